"""Handing over: the question is logged and has a named lead and a day before the parent is told so (H-T2-R9)."""

from __future__ import annotations

from anyio import to_thread

from actions.speaking import SignpostAction, Turn, query_words, return_words
from bot.conversations.outbound import Outbound

_PRIORITY = frozenset({"bounced"})


class HandOver(SignpostAction):
    """`action_hand_over`: for topics that are a person's work, and for what was not understood."""

    action_name = "action_hand_over"

    async def run(self, dispatcher, tracker, domain):
        from actions.answer import Answer
        from actions.follow_up import FollowUp

        turn = self.turn(tracker)
        topics = self.services.topics
        if turn.intent == "hand_over" and FollowUp(self.services).meet(dispatcher, turn):
            return []
        case = next((t for t in turn.topics if topics[t].kind == "case"), None)
        await self.pass_on(dispatcher, turn, case)
        for topic in turn.topics:
            if topics[topic].kind not in ("case", "urgent"):
                Answer(self.services).answer(dispatcher, turn, topic)
        return []

    async def pass_on(self, dispatcher, turn: Turn, topic: str | None) -> None:
        """Open a query for this message and say who has it; `topic` is what it is about, if that was understood."""
        services = self.services
        card = await to_thread.run_sync(
            lambda: services.desk.open(
                turn.conversation_id,
                turn.seq,
                reason="case" if topic else "unresolved",
                topic=topic,
                kind="priority" if topic in _PRIORITY else "ordinary",
                language=turn.language,
                therapy=turn.therapy,
            )
        )
        wording = services.answers.wording(topic, turn.area, turn.role) if topic else None
        before = services.answers.in_language(turn.language) or (wording.text if wording else services.answers.say("not_understood"))
        told = services.answers.say("joined_query" if card.joined else "handed_over", **query_words(card))
        back = return_words(services.answers, services.site, card)
        self.say(
            dispatcher,
            Outbound(
                "\n\n".join((before, told, back)),
                outcome="handoff",
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources) if wording else (),
                query_id=card.id,
            ),
        )
