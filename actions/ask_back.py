"""Asking back: between sure and lost there is a question, never a guess."""

from __future__ import annotations

from typing import Sequence

from actions.follow_up import FollowUp
from actions.guide_return import back_to_guide, on_to_guide
from bot.conversations.outbound import OfferedChoice, Outbound


# named last: who reads it first thinks that they have come to the wrong place
ELSEWHERE = "out_of_scope"


class AskBack(FollowUp):
    """`action_ask_back`: a follow-up is met; else up to three plain titles and "none of these"."""

    action_name = "action_ask_back"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        if events := back_to_guide(self.services, turn) or on_to_guide(self.services, turn):
            return events
        if await self.after_result(dispatcher, turn) or self.meet(dispatcher, turn):
            return []
        self.offer(dispatcher, turn.choices)
        return []

    def offer(self, dispatcher, topics: Sequence[str]) -> None:
        """Ask which of up to three topics is meant, with "none of these" and a person beside them."""
        answers = self.services.answers
        person = self.person_choice()
        likely = sorted([topic for topic in topics if topic in answers and topic != person.topic][:3], key=ELSEWHERE.__eq__)
        choices = [self.topic_choice(topic) for topic in likely]
        if choices:
            choices.append(OfferedChoice(answers.say("none_of_these"), "none_of_these"))
        choices.append(person)
        text = answers.say("ask_back" if likely else "ask_back_words")
        self.say(dispatcher, Outbound(text, outcome="clarify", choices=tuple(choices)))
