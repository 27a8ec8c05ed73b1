"""'I don't understand': the last answer in its short wording."""

from __future__ import annotations

from actions.follow_up import FollowUp


class Repeat(FollowUp):
    """`action_repeat`: says the last answer shorter; without one, asks what is meant."""

    action_name = "action_repeat"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        if not self.simpler(dispatcher, turn):
            self.answer(dispatcher, turn, "repeat")
        return []
