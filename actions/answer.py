"""Answers in reviewed wording, one message a topic, with their sources."""

from __future__ import annotations

from rasa_sdk.events import SlotSet

from actions.guide_return import back_to_guide, on_to_guide
from actions.topics import TopicAction

# Topics that speak of another area themselves.
_ELSEWHERE = frozenset({"other_area", "ehcp_moving_area", "joint_therapy_review"})


class Answer(TopicAction):
    """`action_answer`: what we know about each topic that was understood; what is a person's work among them goes to one."""

    action_name = "action_answer"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        if events := back_to_guide(self.services, turn):
            return events
        if await self.after_result(dispatcher, turn):
            return []
        for topic in turn.topics:
            if self.services.topics[topic].kind == "case":
                await self.pass_on(dispatcher, turn, topic)
            else:
                self.answer(dispatcher, turn, topic)
        if turn.elsewhere and not _ELSEWHERE & set(turn.topics) and any(self._is_local(t) for t in turn.topics):
            self.answer(dispatcher, turn, "other_area")
        about = [t for t in turn.topics if self.services.topics[t].kind not in ("talk", "out")]
        return [*([SlotSet("last_topic", about[-1])] if about else []), *on_to_guide(self.services, turn)]

    def _is_local(self, topic: str) -> bool:
        """Whether an answer rests on an area's own rule or fact."""
        return any(not id.startswith(("law:", "H-")) for id in self.services.answers[topic].sources)
