"""Answers in reviewed wording, one message a topic, with their sources."""

from __future__ import annotations

from rasa_sdk.events import SlotSet

from actions.hand_over import HandOver
from actions.speaking import SignpostAction, Turn
from bot.conversations.outbound import Outbound

_OUTCOMES = {"answer": "answer", "check": "answer", "case": "answer", "talk": "talk", "out": "out"}


# Topics that speak of another area themselves.
_ELSEWHERE = frozenset({"other_area", "ehcp_moving_area", "joint_therapy_review"})


class Answer(SignpostAction):
    """`action_answer`: what we know about each topic that was understood; what is a person's work among them goes to one."""

    action_name = "action_answer"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        for topic in turn.topics:
            if self.services.topics[topic].kind == "case":
                await HandOver(self.services).pass_on(dispatcher, turn, topic)
            else:
                self.answer(dispatcher, turn, topic)
        if turn.elsewhere and not _ELSEWHERE & set(turn.topics) and any(self._is_local(t) for t in turn.topics):
            self.answer(dispatcher, turn, "other_area")
        about = [t for t in turn.topics if self.services.topics[t].kind not in ("talk", "out")]
        return [SlotSet("last_topic", about[-1])] if about else []

    def answer(self, dispatcher, turn: Turn, topic: str, short: bool = False) -> None:
        """Say what we know about one topic."""
        wording = self.services.answers.wording(topic, turn.area, turn.role, short)
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

    def _is_local(self, topic: str) -> bool:
        """Whether an answer rests on an area's own rule or fact."""
        return any(not id.startswith(("law:", "H-")) for id in self.services.answers[topic].sources)

    def _offers(self, topic: str):
        for offer in self.services.answers[topic].offer:
            yield self.person_choice() if offer == "person" else self.topic_choice(offer)
