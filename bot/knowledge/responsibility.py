"""Who is responsible for the therapy in a plan: the decision table of `data/policy/responsibility.yml` as pure functions.

The source says when the therapy service is not responsible (S12 to S14); the Children and Families Act 2014, section 42, says who is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from bot.knowledge.answers import Answers, filled
from bot.knowledge.areas import Area, Promise
from bot.knowledge.guides import (
    UNSURE,
    Condition,
    Facts,
    Input,
    Result,
    TableProblem,
    contact_line,
    fits,
    is_blocked,
    read_inputs,
    role_words,
    told_lines,
)
from bot.knowledge.reading import read_yaml

_PERSON = ("no", "offer", "yes")
_VOLUNTEERED = "no"
_ELSEWHERE = ("other England", "outside England", UNSURE)


@dataclass(frozen=True)
class Row:
    """A row of the table: when it applies (any of the conditions), and its wording, contacts and sentences as the file has them."""

    id: str
    when: tuple[Condition, ...]
    entry: Mapping[str, Any]

    def applies(self, facts: Facts) -> bool:
        """Whether the facts fit one of the conditions."""
        return any(fits(condition, facts) for condition in self.when)

    def __getitem__(self, key: str) -> Any:
        return self.entry.get(key, "")


@dataclass(frozen=True)
class Decision:
    """The row that applies; the row that it frames, if it is a gate that others stand behind; the paragraphs added; S13's finding."""

    row: Row
    state: Row | None
    also: tuple[Row, ...]
    finding: str


class Responsibility:
    """The guide's table.

    Parameters
    ----------
    raw: the content of `data/policy/responsibility.yml`.
    answers: the register of sentences that the rows cite.
    """

    name = "responsibility"

    def __init__(self, raw: Mapping[str, Any], answers: Answers) -> None:
        self._raw, self._answers = raw, answers
        self.topic: str = raw["topic"]
        self.inputs = read_inputs(raw["inputs"])
        self._findings = [(entry["when"], entry["finding"]) for entry in raw["findings"]]
        self.gates, self.states, self.also = (_rows(raw[part]) for part in ("gates", "states", "also"))
        self._anywhere = _without_facts(raw["anywhere"])
        self._check()

    @classmethod
    def load(cls, path: Path, answers: Answers) -> "Responsibility":
        """Read the table. Raises TableProblem for one that cannot be used."""
        return cls(read_yaml(path), answers)

    def _check(self) -> None:
        for row in (*self.gates, *self.states, *self.also):
            unknown = {name for condition in row.when for name in condition} - set(self.inputs) - {"finding", "row"}
            if unknown:
                raise TableProblem(f"{row.id} depends on {', '.join(sorted(unknown))}, which is no input")
            for role in row["contacts"]:
                if role not in self._raw["roles"]:
                    raise TableProblem(f"{row.id} names the contact {role}, which roles does not hold")
            for id in (*row["sources"], *row["law_sources"], *row["elsewhere_sources"]):
                try:
                    self._answers.source(id, self._anywhere)
                except KeyError:
                    raise TableProblem(f"{row.id} cites {id}, which sources.yml does not hold") from None

    @property
    def page_intro(self) -> str:
        """What stands at the start of the guide as a page."""
        return filled(self._raw["page_intro"], {})

    def intro(self, role: str) -> str:
        """What is said before the first question."""
        return filled(self._raw["intro_school" if role == "school" else "intro"], role_words(role))

    @property
    def answered_by(self) -> Mapping[str, list[str]]:
        """Rows that the answer on a topic meets: row -> topics."""
        return self._raw["answered_by"]

    def next_input(self, facts: Facts) -> Input | None:
        """The first question whose answer can still change the result."""
        if self._is_ended(facts):
            return None
        known = {**facts, "row": self.decide(facts).row.id}
        return next((i for i in self.inputs.values() if i.asked and i.name not in facts and self._is_needed(i, known)), None)

    def _is_ended(self, facts: Facts) -> bool:
        """Whether a gate ends the questions: gates come in order, so one that a question could still put before it holds it open."""
        for gate in self.gates:
            if gate["ends"] and gate.applies(facts):
                return True
            if gate["ends"] and any(self.inputs[name].asked and name not in facts for condition in gate.when for name in condition):
                return False
        return False

    @staticmethod
    def _is_needed(asked: Input, known: Facts) -> bool:
        return fits(asked.when, known) and not is_blocked(asked.unless, known)

    def finding(self, facts: Facts) -> str:
        """What S13 comes to for a need in a plan: NOT_THE_SERVICE (either limb is enough), NOT_EXCLUDED or CANNOT_TELL."""
        return next(finding for condition, finding in self._findings if fits(condition, facts))

    def decide(self, facts: Facts) -> Decision:
        """The row for these facts. Gates come first, in order; what is not known counts as not sure, what is only volunteered as no."""
        complete = {name: facts.get(name, UNSURE if entry.asked else _VOLUNTEERED) for name, entry in self.inputs.items()}
        complete["finding"] = self.finding(complete)
        gates = [gate for gate in self.gates if gate.applies(complete)]
        state = next((gate for gate in gates if gate["ends"]), None) or self.state(complete)
        row = gates[0] if gates else state
        complete["row"] = state.id
        also = () if state["ends"] else tuple(added for added in self.also if added.applies(complete))
        return Decision(row, None if row is state else state, also, complete["finding"])

    def state(self, complete: Facts) -> Row:
        """The one state row for a complete set of facts (with its `finding`)."""
        return next(row for row in self.states if row.applies(complete))

    def result(self, facts: Facts, area: Area, role: str) -> Result:
        """The row in the words of an area and a role (parent or school), with the working."""
        decision = self.decide(facts)
        area = self._anywhere if facts.get("area") in _ELSEWHERE else area
        words = {**area.words, "area": area.name, **role_words(role)}
        state = decision.state or decision.row
        local = area.id == "somerset"
        paragraphs, sources = self._framed(decision, words, role) if decision.state else self._stated(state, words, role, local)
        for row in decision.also:
            paragraphs.append(filled(row["school"] if role == "school" and row["school"] else row["text"], words))
            sources += row["sources"] or []
        rows = [*([decision.state] if decision.state else []), decision.row, *decision.also]
        roles = list(dict.fromkeys(role_id for row in rows for role_id in row["contacts"] or ()))
        return Result(
            row=decision.row.id,
            title=filled(decision.state["title_elsewhere"] if decision.state else decision.row["title"], words),
            told=told_lines(self.inputs, facts, words),
            paragraphs=tuple(paragraphs),
            say=filled(self._to_say(state, role, local), words),
            contacts=tuple(contact_line(self._raw["roles"][id], area, words, role == "school") for id in roles),
            sources=tuple(s for id in dict.fromkeys(sources) if (s := self._answers.source(id, area))),
            person="no" if decision.row["person"] == "no" else max((_person(row, facts) for row in rows), key=_PERSON.index),
            kind=next((row["kind"] for row in rows if row["kind"]), "ordinary"),
            offers=tuple(state["offer"] or ()),
            also=tuple(row.id for row in decision.also),
            may_dispute=bool(state["offers_disputed"]),
        )

    def _stated(self, state: Row, words: Mapping[str, str], role: str, local: bool) -> tuple[list[str], list[str]]:
        """A state row: the source's rule in its own area (elsewhere as an example, after the law), and the law."""
        if local or not state["elsewhere"]:
            parts = [self._in_role(state, "says", role), self._in_role(state, "law", role)]
            sources = [*(state["sources"] or ()), *(state["law_sources"] or ())]
        else:
            parts = [state["law_first"] or self._in_role(state, "law", role), state["elsewhere"]]
            sources = [*(state["law_sources"] or ()), *(state["elsewhere_sources"] or state["sources"] or ())]
        return [filled(part, words) for part in (*parts, state["example"]) if part], sources

    def _framed(self, decision: Decision, words: Mapping[str, str], role: str) -> tuple[list[str], list[str]]:
        """A state row elsewhere in England: the law first, the source's rule only as an example (it is no rule there)."""
        paragraphs, sources = self._stated(decision.state, words, role, local=False)
        frame = decision.row
        says = frame["says_hampshire"] if words["area"] == "Hampshire" and frame["says_hampshire"] else frame["says"]
        return [*paragraphs[:1], filled(says, words), *paragraphs[1:]], [*sources, *(frame["sources"] or ())]

    def _to_say(self, state: Row, role: str, local: bool) -> str:
        return state["say_elsewhere"] if not local and state["say_elsewhere"] else self._in_role(state, "say", role)

    @staticmethod
    def _in_role(row: Row, key: str, role: str) -> str:
        return row[f"{key}_school"] if role == "school" and row[f"{key}_school"] else row[key]


def _person(row: Row, facts: Facts) -> str:
    return "yes" if row["person_when"] and fits(row["person_when"], facts) else row["person"] or "no"


def _rows(raw: Mapping[str, Mapping[str, Any]]) -> tuple[Row, ...]:
    def row(id: str, entry: Mapping[str, Any]) -> Row:
        if "when" not in entry:
            raise TableProblem(f"{id} does not say when it applies")
        when = entry["when"] if isinstance(entry["when"], list) else [entry["when"]]
        return Row(id, tuple(when), entry)

    return tuple(row(id, entry) for id, entry in raw.items())


def _without_facts(words: Mapping[str, str]) -> Area:
    return Area("", words["area"], words, {}, {}, {}, "", Promise())
