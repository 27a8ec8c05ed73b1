"""Handing over: the question is logged and has a named lead and a day before the parent is told so (H-T2-R9)."""

from __future__ import annotations

from anyio import to_thread

from actions.speaking import SignpostAction, query_words
from bot.conversations.outbound import Outbound

_PRIORITY = frozenset({"bounced"})


class HandOver(SignpostAction):
    """`action_hand_over`: for topics that are a person's work, and for what was not understood."""

    action_name = "action_hand_over"

    async def run(self, dispatcher, tracker, domain):
        turn, services = self.turn(tracker), self.services
        topic = next((t for t in turn.topics if services.topics[t].kind == "case"), None)
        card = await to_thread.run_sync(
            lambda: services.desk.open(
                turn.conversation_id,
                turn.seq,
                reason="case" if topic else "unresolved",
                topic=topic,
                kind="priority" if topic in _PRIORITY else "ordinary",
            )
        )
        wording = services.answers.wording(topic, turn.area, turn.role) if topic else None
        before = wording.text if wording else services.answers.say("not_understood")
        told = services.answers.say("handed_over", **query_words(card))
        self.say(
            dispatcher,
            Outbound(
                f"{before}\n\n{told}",
                outcome="handoff",
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources) if wording else (),
                query_id=card.id,
            ),
        )
        return []
