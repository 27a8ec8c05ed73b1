"""Asking back: between sure and lost there is a question, never a guess."""

from __future__ import annotations

from actions.follow_up import FollowUp
from actions.guide_return import back_to_guide, on_to_guide
from bot.conversations.outbound import OfferedChoice, Outbound


class AskBack(FollowUp):
    """`action_ask_back`: a follow-up is met; else up to three plain titles and "none of these"."""

    action_name = "action_ask_back"

    async def run(self, dispatcher, tracker, domain):
        turn, answers = self.turn(tracker), self.services.answers
        if events := back_to_guide(self.services, turn) or on_to_guide(self.services, turn):
            return events
        if await self.after_result(dispatcher, turn):
            return []
        if self.meet(dispatcher, turn):
            return []
        likely = [topic for topic in turn.choices if topic in answers][:3]
        choices = [self.topic_choice(topic) for topic in likely]
        if choices:
            choices.append(OfferedChoice(answers.say("none_of_these"), "none_of_these"))
        choices.append(self.person_choice())
        text = answers.say("ask_back" if likely else "ask_back_words")
        self.say(dispatcher, Outbound(text, outcome="clarify", choices=tuple(choices)))
        return []
