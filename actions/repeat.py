"""'I don't understand': the last answer in its short wording."""

from __future__ import annotations

from actions.answer import Answer
from actions.follow_up import FollowUp
from actions.speaking import SignpostAction


class Repeat(SignpostAction):
    """`action_repeat`: says the last answer shorter; without one, asks what is meant."""

    action_name = "action_repeat"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        if not FollowUp(self.services).simpler(dispatcher, turn):
            Answer(self.services).answer(dispatcher, turn, "repeat")
        return []
