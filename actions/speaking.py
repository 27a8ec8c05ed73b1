"""What every action has at hand: the services of the app, the turn it is in, and how to say something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.casework.queries import QueryCard, QueryDesk
from bot.casework.reception import Reception
from bot.casework.references import find_reference
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.knowledge.guide_book import Guides
from bot.knowledge.topics import Topic


@dataclass(frozen=True)
class Services:
    """What the app lends to its actions."""

    topics: Mapping[str, Topic]
    answers: Answers
    areas: Mapping[str, Area]
    default_area: str
    desk: QueryDesk
    reception: Reception
    site: str
    contacts: Mapping[str, Sequence[str]]
    guides: Guides

    def area(self, id: str) -> Area:
        """The area of that id, or the configured one."""
        return self.areas.get(id, self.areas[self.default_area])

    def contacts_for(self, topic: str, area: Area) -> list[Mapping[str, Any]]:
        """Whom to contact about a topic in an area (`data/policy/contacts.yml`), as far as the area's file knows them."""
        return [area.contacts[key] for key in self.contacts.get(self.topics[topic].area, ()) if key in area.contacts]


@dataclass(frozen=True)
class Turn:
    """The message that an action answers.

    area: whose words answer it, which is the one that the message names. home: the area of the family, as far as it is known.
    pressed: what a guide's button said (`asks`, `value`). texts: what was typed in this conversation, the newest last.
    rejected: forms that gave this message away to another action, and whose question is due again.
    may_be_danger: danger was half heard; whatever a person is asked then comes before what can wait.
    """

    conversation_id: str
    seq: int
    text: str
    area: Area
    role: str
    intent: str
    topics: tuple[str, ...]
    choices: tuple[str, ...]
    language: str
    last_topic: str | None
    therapy: str | None = None
    elsewhere: bool = False
    area_is_known: bool = True
    home: str = ""
    active_form: str | None = None
    rejected: frozenset[str] = frozenset()
    slots: Mapping[str, Any] = field(default_factory=dict)
    pressed: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    may_be_danger: bool = False

    @property
    def reference(self) -> str | None:
        """A query's reference, if the message holds one."""
        return find_reference(self.text)


class SignpostAction(Action):
    """An action with the app's services."""

    action_name = ""

    def __init__(self, services: Services) -> None:
        self.services = services

    def name(self) -> str:
        """The action's name in domain.yml."""
        return self.action_name

    def turn(self, tracker: Tracker) -> Turn:
        """Read the turn from the tracker."""
        latest = tracker.latest_message
        asked = next((e for e in reversed(tracker.events) if e.get("event") == "user"), {})
        metadata = asked.get("metadata") or {}
        understood = latest.get("understanding") or {}
        named = {e["value"] for e in understood.get("entities") or () if e["kind"] == "area"}
        therapies = {e["value"] for e in understood.get("entities") or () if e["kind"] == "therapy"}
        known = [area for area in named if area in self.services.areas]
        intent = (latest.get("intent") or {}).get("name") or ""
        loop = tracker.active_loop or {}
        told_area = tracker.get_slot("area")
        return Turn(
            conversation_id=tracker.sender_id,
            seq=int(metadata.get("seq", 0)),
            text=latest.get("text") or "",
            # "We live in Hampshire": what is said is then Hampshire's, unless several places are named.
            area=self.services.area(known[0] if len(named) == 1 and known else told_area or metadata.get("area", "")),
            elsewhere=named == {"elsewhere"},
            role=metadata.get("role", "parent"),
            intent=intent,
            topics=tuple(understood.get("topics") or ()) or ((intent,) if intent in self.services.topics else ()),
            choices=tuple(understood.get("choices") or ()),
            may_be_danger=bool(understood.get("may_be_danger")),
            language=understood.get("language") or "en",
            therapy=therapies.pop() if len(therapies) == 1 else None,
            last_topic=tracker.get_slot("last_topic"),
            home=told_area if told_area in self.services.areas else metadata.get("area") or (known[0] if len(named) == 1 and known else ""),
            area_is_known=metadata.get("area", "") in self.services.areas,
            active_form=loop.get("name"),
            rejected=frozenset(_rejected_since_asked(tracker.events)),
            slots=tracker.slots,
            pressed={e["entity"]: e["value"] for e in latest.get("entities") or () if e.get("entity") in ("asks", "value")},
            texts=tuple(text for e in tracker.events if e.get("event") == "user" and (text := e.get("text")) and not text.startswith("/")),
        )

    def say(self, dispatcher: CollectingDispatcher, message: Outbound) -> None:
        """Send a message back through the engine."""
        dispatcher.utter_message(json_message=message.as_dict())

    def person_choice(self) -> OfferedChoice:
        """The button that asks for a person."""
        return OfferedChoice(self.services.answers.say("person"), "talk_to_person", topic="talk_to_person")

    def topic_choice(self, topic: str) -> OfferedChoice:
        """The button that asks about a topic."""
        return OfferedChoice(self.services.answers.title(topic), topic, topic=topic)


def _rejected_since_asked(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for event in reversed(events):
        if event.get("event") == "user":
            return
        if event.get("event") == "action_execution_rejected":
            yield event.get("name") or ""


def query_words(card: QueryCard) -> dict[str, Any]:
    """The words of `data/answers/system.yml` that a query fills in."""
    return card.words()


def return_words(answers: Answers, site: str, card: QueryCard) -> str:
    """How to come back from another device, where the query's code is known."""
    return answers.say("return_code", site=site, code=card.return_code) if card.return_code else ""
