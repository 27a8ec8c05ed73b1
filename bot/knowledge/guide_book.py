"""Both guides with the hearing of free words, and what a conversation's slots say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from bot.knowledge.answers import Answers
from bot.knowledge.eligibility import INSTEAD, FiveQuestions
from bot.knowledge.guides import Guide, role_words, told_lines
from bot.knowledge.hearing import Hearing
from bot.knowledge.responsibility import Responsibility

SLOT = "guide"


@dataclass(frozen=True)
class Guides:
    """The guides by name."""

    responsibility: Responsibility
    five_questions: FiveQuestions
    hearing: Hearing

    @classmethod
    def load(cls, folder: Path, answers: Answers) -> "Guides":
        """Read the tables of `data/policy/`. Raises TableProblem."""
        return cls(
            Responsibility.load(folder / "responsibility.yml", answers),
            FiveQuestions.load(folder / "eligibility.yml", answers),
            Hearing.load(folder / "heard.yml"),
        )

    def named(self, name: str | None) -> Guide | None:
        """The guide of that name."""
        return {guide.name: guide for guide in (self.responsibility, self.five_questions)}.get(name or "")

    def facts(self, guide: Guide, slots: Mapping[str, Any]) -> dict[str, str]:
        """What the slots of a conversation hold for a guide."""
        known = {name: str(slots[name]) for name, entry in guide.inputs.items() if slots.get(name) in entry.values}
        return {**known, **({INSTEAD: slots[INSTEAD]} if slots.get(INSTEAD) and guide is self.five_questions else {})}

    def told(self, slots: Mapping[str, Any], role: str) -> tuple[str, ...]:
        """Everything that was told in a conversation's guides, a sentence each, for the person who takes over."""
        if not slots.get(SLOT):
            return ()
        both = (self.responsibility, self.five_questions)
        return tuple(line for guide in both for line in told_lines(guide.inputs, self.facts(guide, slots), role_words(role)))
