"""Answers in reviewed wording, one message a topic, with their sources."""

from __future__ import annotations

from rasa_sdk.events import SlotSet

from actions.speaking import SignpostAction
from bot.conversations.outbound import Outbound

_OUTCOMES = {"answer": "answer", "check": "answer", "case": "answer", "talk": "talk", "out": "out"}


class Answer(SignpostAction):
    """`action_answer`: what we know about each topic that was understood."""

    action_name = "action_answer"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        for topic in turn.topics:
            wording = self.services.answers.wording(topic, turn.area, turn.role)
            self.say(
                dispatcher,
                Outbound(
                    wording.text,
                    outcome=_OUTCOMES[self.services.topics[topic].kind],
                    topic=topic,
                    sources=tuple(s.as_json() for s in wording.sources),
                    choices=tuple(self._offers(topic)),
                ),
            )
        return [SlotSet("last_topic", turn.topics[-1])] if turn.topics else []

    def _offers(self, topic: str):
        for offer in self.services.answers[topic].offer:
            yield self.person_choice() if offer == "person" else self.topic_choice(offer)
