"""The numbers and lists of the query cycle, from `data/policy/casework.yml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from bot.knowledge.reading import read_yaml

VERDICTS = ("yes", "partly", "no")


class PolicyProblem(Exception):
    """The policy file cannot be used; the message says what to mend."""


@dataclass(frozen=True)
class Patience:
    """Working days between reminders to the parent, and from the last of them to `silent`."""

    remind_after: tuple[int, ...]
    silent_after: int


@dataclass(frozen=True)
class Ladder:
    """Working days after the promised day at which deputy and manager are told; later where the rung below has acknowledged."""

    deputy_after: int
    deputy_after_acknowledged: int
    manager_after: int
    manager_after_acknowledged: int
    manager_again_every: int


@dataclass(frozen=True)
class CasePolicy:
    """What the operator has set. Days are working days, `urgent_minutes` minutes (deputy, manager)."""

    verdict: Patience
    awaiting_parent: Patience
    unread_after: int
    unseen_after: int
    overdue: Ladder
    urgent_minutes: tuple[int, int]
    explanation_days: int
    explanation_reminders: tuple[int, ...]
    explanation_manager_after: int
    second_reader: frozenset[str]
    joins_open_query: frozenset[str]
    answered_while_held: frozenset[str]
    courtesies: frozenset[str]
    verdict_words: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "CasePolicy":
        """Read the file. Raises PolicyProblem."""
        raw = read_yaml(path)
        try:
            words = {phrase: verdict for verdict in VERDICTS for phrase in raw["verdict_words"][verdict]}
            return cls(
                verdict=_patience(raw["verdict"]),
                awaiting_parent=_patience(raw["awaiting_parent"]),
                unread_after=raw["unread_after"],
                unseen_after=raw["unseen_after"],
                overdue=Ladder(**raw["overdue"]),
                urgent_minutes=(raw["urgent"]["deputy_after"], raw["urgent"]["manager_after"]),
                explanation_days=raw["explanation"]["working_days"],
                explanation_reminders=tuple(raw["explanation"]["remind_after"]),
                explanation_manager_after=raw["explanation"]["manager_after"],
                verdict_words=words,
                **{name: frozenset(raw[name]) for name in ("second_reader", "joins_open_query", "answered_while_held", "courtesies")},
            )
        except (KeyError, TypeError) as problem:
            raise PolicyProblem(f"{path.name}: {type(problem).__name__}: {problem}") from problem

    def verdict_in(self, text: str) -> str | None:
        """The verdict that a whole message is, if it is one."""
        plain = re.sub(r"[^a-z ]+", "", text.lower().replace("'", "").replace("’", ""))
        return self.verdict_words.get(" ".join(plain.split()))


def _patience(raw: Mapping) -> Patience:
    return Patience(tuple(raw["remind_after"]), raw["silent_after"])
