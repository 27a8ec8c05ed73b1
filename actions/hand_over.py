"""Handing over: the question is logged and has a named lead and a day before the parent is told so (H-T2-R9)."""

from __future__ import annotations

from actions.follow_up import FollowUp
from actions.guide_return import as_left, back_to_guide, guide_left, resume_choices


class HandOver(FollowUp):
    """`action_hand_over`: for topics that are a person's work, and for what was not understood."""

    action_name = "action_hand_over"

    async def run(self, dispatcher, tracker, domain):
        turn, topics = self.turn(tracker), self.services.topics
        if turn.intent == "hand_over":
            if events := back_to_guide(self.services, turn):
                return events
            if await self.after_result(dispatcher, turn):
                return []
            if self.meet(dispatcher, turn):
                return []
        case = next((t for t in turn.topics if topics[t].kind == "case"), None)
        await self.pass_on(dispatcher, turn, case, choices=resume_choices(self.services, turn), guide=as_left(self.services, turn))
        for topic in turn.topics:
            if topics[topic].kind not in ("case", "urgent"):
                self.answer(dispatcher, turn, topic)
        return guide_left(turn)
