"""The five questions of the service's page as an indicative guide: `data/policy/eligibility.yml` as pure functions (S6, S7, Q1 to Q5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from bot.knowledge.answers import Answers, filled
from bot.knowledge.areas import Area
from bot.knowledge.guides import UNSURE, Facts, Input, Result, TableProblem, contact_line, fits, read_inputs, role_words, told_lines
from bot.knowledge.reading import read_yaml

CONTACT = "CONTACT"
TALK_FIRST = "TALK_FIRST"
INSTEAD = "instead"


class FiveQuestions:
    """The guide's table.

    Parameters
    ----------
    raw: the content of `data/policy/eligibility.yml`.
    answers: the register of sentences that the messages cite.
    """

    name = "five_questions"

    def __init__(self, raw: Mapping[str, Any], answers: Answers) -> None:
        self._raw, self._answers = raw, answers
        self.topic: str = raw["topic"]
        self.inputs = read_inputs(raw["inputs"])
        self._away = [(entry["message"], entry["when"]) for entry in raw["away"]]
        self.messages: Mapping[str, Mapping[str, Any]] = {**raw["messages"], **raw["instead"]}
        missing = {message for message, _ in self._away} | {CONTACT, TALK_FIRST}
        if missing - set(self.messages):
            raise TableProblem(f"no wording for {', '.join(sorted(missing - set(self.messages)))}")

    @classmethod
    def load(cls, path: Path, answers: Answers) -> "FiveQuestions":
        """Read the table. Raises TableProblem for one that cannot be used."""
        return cls(read_yaml(path), answers)

    @property
    def page_intro(self) -> str:
        """What stands at the start of the guide as a page."""
        return filled(self._raw["page_intro"], {})

    def intro(self, role: str) -> str:
        """What is said before the first question."""
        return filled(self._raw["intro_school" if role == "school" else "intro"], role_words(role))

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """What to do instead, where the five questions are not the way."""
        return tuple(filled(entry["text"], role_words("parent")) for entry in self._raw["instead"].values())

    def next_input(self, facts: Facts) -> Input | None:
        """The first question without an answer; none where the five questions are not the way."""
        if facts.get(INSTEAD) in self.messages:
            return None
        return next((asked for name, asked in self.inputs.items() if name not in facts), None)

    def decide(self, facts: Facts) -> tuple[str, tuple[str, ...]]:
        """The main message and those added to it. "Not sure" never counts against a family: it only adds the offer of a talk."""
        if facts.get(INSTEAD) in self.messages:
            return facts[INSTEAD], ()
        away = tuple(message for message, condition in self._away if fits(condition, facts))
        unsure = any(facts.get(name, UNSURE) == UNSURE for name in self.inputs)
        if not away:
            return (TALK_FIRST if unsure else CONTACT), ()
        return away[0], (*away[1:], *((TALK_FIRST,) if unsure else ()))

    def result(self, facts: Facts, area: Area, role: str) -> Result:
        """The message in the words of an area and a role (parent or school), with the working."""
        main, also = self.decide(facts)
        words = {**area.words, "area": area.name, **role_words(role)}
        entry = self.messages[main]
        direct = main in self._raw["instead"]
        elsewhere = self._answers.say("elsewhere", places="Somerset") if area.id != "somerset" and not entry.get("everywhere") else ""
        extra = [filled(f"Also: {self.messages[id]['also']}", words) for id in also]
        paragraphs = [elsewhere, entry["text"], *extra]
        sources = [*entry["sources"], *(id for message in also for id in self.messages[message]["sources"])]
        return Result(
            row=main,
            title=filled(entry["title"], words),
            told=() if direct else told_lines(self.inputs, facts, words),
            paragraphs=tuple(filled(part, words) for part in paragraphs if part),
            contacts=tuple(contact_line(self._raw["roles"][id], area, words, role == "school") for id in entry["contacts"]),
            opening="" if direct else filled(self._raw["status"], words),
            closing=filled(self._raw["closing"], words),
            sources=tuple(s for id in dict.fromkeys(sources) if (s := self._answers.source(id, area))),
            person="offer",
            offers=tuple(topic for topic in entry["offer"] if topic != "person"),
            also=also,
        )

    def goal(self, role: str) -> str:
        """The optional question about what the family hopes for (S8); never scored."""
        return filled(self._raw["goal"], role_words(role))
