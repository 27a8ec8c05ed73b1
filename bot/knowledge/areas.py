"""Council areas: names, facts, contacts, emergency routes and promises from `data/areas/`, each with the day it was checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Mapping

from bot.knowledge.reading import read_yaml


_PHONE = re.compile(r"\d[\d ]{4,}\d")


@dataclass(frozen=True)
class Fact:
    """A finished sentence that belongs to an area, with its page and the day a person checked it."""

    text: str
    url: str
    checked_on: date
    quote: str = ""


@dataclass(frozen=True)
class EmergencyRoute:
    """What to do now: a heading, a line before the list, the list, and a line after it."""

    heading: str
    text: str
    lines: tuple[str, ...]
    after: str = ""

    def as_text(self) -> str:
        """The card as plain text, for every channel."""
        bullets = "\n".join(f"- {line}" for line in self.lines)
        return "\n\n".join(part for part in (self.heading, f"{self.text}\n{bullets}", self.after) if part)


@dataclass(frozen=True)
class Promise:
    """Working days in which a query of each kind is answered. No source gives a number: the operator sets it."""

    working_days: int = 5
    priority_working_days: int = 2
    urgent_working_days: int = 0

    def days(self, kind: str) -> int:
        """Working days for kind `ordinary`, `priority` or `urgent`."""
        return {"ordinary": self.working_days, "priority": self.priority_working_days, "urgent": self.urgent_working_days}[kind]


# Days that a conversation is kept after the last thing that happened, by the state that its query ended in. The operator sets them.
KEPT = {"no_query": 30, "confirmed": 365, "silent": 365, "closed_by_manager": 365, "withdrawn": 30}


@dataclass(frozen=True)
class Area:
    """One council area. `kept_days` are days by the state a query ended in (`no_query`: none was opened), `privacy` says who answers for
    the data: controller, officer, address, purposes."""

    id: str
    name: str
    words: Mapping[str, str]
    facts: Mapping[str, Fact]
    contacts: Mapping[str, Mapping]
    urgent: Mapping[str, EmergencyRoute]
    not_for_emergencies: str
    promise: Promise
    closures: tuple[date, ...] = ()
    kept_days: Mapping[str, int] = field(default_factory=lambda: dict(KEPT))
    privacy: Mapping[str, str] = field(default_factory=dict)
    teams: tuple[Mapping, ...] = field(default=())

    @property
    def public_numbers(self) -> tuple[str, ...]:
        """The telephone numbers that this area's file gives out."""
        texts = [fact.text for fact in self.facts.values()]
        texts += [line for route in self.urgent.values() for line in (*route.lines, route.text, route.after)]
        texts += [str(contact.get("phone") or "") for contact in self.contacts.values()]
        return tuple(number for text in texts for number in _PHONE.findall(text))


class AreaProblem(Exception):
    """An area file cannot be used; the message says which file and what to mend."""


def load_areas(folder: Path) -> Mapping[str, Area]:
    """Areas by id. Raises AreaProblem for a file that lacks what every area needs."""
    areas = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            area = _area(read_yaml(path))
        except (KeyError, TypeError, ValueError) as problem:
            raise AreaProblem(f"{path.name}: {type(problem).__name__}: {problem}") from problem
        areas[area.id] = area
    if not areas:
        raise AreaProblem(f"no area file in {folder}")
    return areas


def _area(raw: dict) -> Area:
    urgent = dict(raw["urgent"])
    not_for_emergencies = urgent.pop("always")
    promise = raw.get("promise", {})
    return Area(
        id=raw["id"],
        name=raw["name"],
        words=raw["words"],
        facts={
            key: Fact(fact["text"], fact["url"], fact["checked_on"], fact.get("quote") or "")
            for key, fact in raw["facts"].items()
        },
        contacts=raw.get("contacts", {}),
        urgent={
            kind: EmergencyRoute(route["heading"], route["text"], tuple(route["lines"]), route.get("after", ""))
            for kind, route in urgent.items()
        },
        not_for_emergencies=not_for_emergencies,
        promise=Promise(promise["working_days"], promise["priority_working_days"], promise["urgent_working_days"]),
        closures=tuple(raw.get("closures") or ()),
        kept_days=_kept_days(raw.get("retention") or {}),
        privacy=raw.get("privacy") or {},
        teams=tuple(raw.get("teams") or ()),
    )


def _kept_days(given: dict) -> dict[str, int]:
    if unknown := set(given) - set(KEPT):
        raise ValueError(f"retention knows no {', '.join(sorted(unknown))}; it knows {', '.join(KEPT)}")
    if wrong := [state for state, days in given.items() if not isinstance(days, int) or isinstance(days, bool) or days < 1]:
        raise ValueError(f"retention needs whole days, 1 or more, for {', '.join(wrong)}")
    return {**KEPT, **given}
