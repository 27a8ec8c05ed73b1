"""Follow-ups: "and who do I contact?", "what about physio?", "say that simpler", read in the light of the topic before."""

from __future__ import annotations

import re
from typing import Mapping

from actions.speaking import Turn
from actions.topics import TopicAction
from bot.conversations.outbound import Outbound

_CONTACT = re.compile(
    r"\b(who|how|where)\b.{0,20}\b(contact|ring|call|phone|speak to|talk to|email|write to|get hold of|go to|ask)\b|\b(phone )?number\b|\bcontact details\b",
    re.IGNORECASE,
)
_SAME = re.compile(r"^\W*(ok(ay)?|so|right)?\W*(and|what|how|is it|does it|same)\b.{0,12}\b(about|for|with|goes for|if|same)\b", re.IGNORECASE)
_LONGEST = 14


def contact_wanted(text: str) -> bool:
    """Whether a short message only asks whom to contact."""
    return len(text.split()) <= _LONGEST and bool(_CONTACT.search(text))


def same_for_another(text: str) -> bool:
    """Whether a short message asks if the last answer goes for somebody or something else too."""
    return len(text.split()) <= _LONGEST and bool(_SAME.search(text))


class FollowUp(TopicAction):
    """Meets a follow-up, for the actions that found no topic of its own in a message."""

    def meet(self, dispatcher, turn: Turn) -> bool:
        """Answer in the light of the last topic; whether the message was a follow-up to one."""
        topic = turn.last_topic
        if topic is None:
            return False
        if contact_wanted(turn.text):
            self._contacts(dispatcher, turn, topic)
            return True
        if same_for_another(turn.text):
            title = self.services.answers.title(topic)
            self._say(dispatcher, self.services.answers.say("follow_same", title=title), topic, "answer")
            return True
        return False

    def simpler(self, dispatcher, turn: Turn) -> bool:
        """Give the last answer's short wording; whether there was one."""
        if turn.last_topic is None:
            return False
        self.answer(dispatcher, turn, turn.last_topic, short=True)
        return True

    def _contacts(self, dispatcher, turn: Turn, topic: str) -> None:
        known = self.services.contacts_for(topic, turn.area)
        answers = self.services.answers
        text = answers.say("follow_contact", lines="\n".join(f"- {_line(c)}" for c in known)) if known else answers.say("follow_no_contact", area=turn.area.name)
        self._say(dispatcher, text, topic, "answer")

    def _say(self, dispatcher, text: str, topic: str, outcome: str) -> None:
        self.say(dispatcher, Outbound(text, outcome=outcome, topic=topic, choices=(self.person_choice(),)))


def _line(contact: Mapping) -> str:
    checked = f"checked {contact['checked_on']:%-d %B %Y}"
    return f"{contact['name']}, {contact['phone']} ({checked})" if contact.get("phone") else f"{contact['name']}: {contact['url']} ({checked})"
