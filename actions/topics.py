"""What actions have in common about a topic: its reviewed answer, or that the question went to a named person."""

from __future__ import annotations

from typing import Sequence

from anyio import to_thread
from rasa_sdk.executor import CollectingDispatcher

from actions.speaking import SignpostAction, Turn, query_words
from bot.conversations.outbound import OfferedChoice, Outbound

_OUTCOMES = {"answer": "answer", "check": "answer", "case": "answer", "talk": "talk", "out": "out"}
_PRIORITY = frozenset({"bounced"})


class TopicAction(SignpostAction):
    """An action that answers on topics and passes questions on."""

    def answer(self, dispatcher: CollectingDispatcher, turn: Turn, topic: str, short: bool = False) -> None:
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

    def _offers(self, topic: str):
        # A guide that is spoken of rather than begun (another topic came first) can be begun with one tap.
        if self.services.topics[topic].kind == "check":
            yield self.topic_choice(topic)
        for offer in self.services.answers[topic].offer:
            yield self.person_choice() if offer == "person" else self.topic_choice(offer)

    async def pass_on(
        self, dispatcher: CollectingDispatcher, turn: Turn, topic: str | None, before: str = "", choices: Sequence[OfferedChoice] = ()
    ) -> None:
        """Open a query for this message, with everything told in a guide, and say who has it (H-T2-R9).

        `topic` is what it is about, if that was understood; `before` stands in for the topic's wording.
        """
        services = self.services
        card = await to_thread.run_sync(
            lambda: services.desk.open(
                turn.conversation_id,
                turn.seq,
                reason="case" if topic else "unresolved",
                topic=topic,
                kind="priority" if topic in _PRIORITY else "ordinary",
                language=turn.language,
                area=turn.area.id,
                told=services.guides.told(turn.slots, turn.role),
            )
        )
        wording = services.answers.wording(topic, turn.area, turn.role) if topic else None
        before = before or services.answers.in_language(turn.language) or (wording.text if wording else services.answers.say("not_understood"))
        told = services.answers.say("handed_over", **query_words(card))
        self.say(
            dispatcher,
            Outbound(
                f"{before}\n\n{told}",
                outcome="handoff",
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources) if wording else (),
                choices=tuple(choices),
                query_id=card.id,
            ),
        )
