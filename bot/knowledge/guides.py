"""What the two guides share: questions with their values, decision tables, and a result with its working."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Protocol, Sequence

from bot.knowledge.answers import Source, filled
from bot.knowledge.areas import Area

UNSURE = "unsure"
# The system's own sentences at the head of a note's parts (data/answers/system.yml).
NOTE_HEADINGS = ("guide_summary", "guide_told_summary", "guide_contacts", "guide_say", "guide_sources")

Facts = Mapping[str, str]
Condition = Mapping[str, Sequence[str]]


class TableProblem(Exception):
    """A decision table cannot be used; the message says which row and what to mend."""


@dataclass(frozen=True)
class Value:
    """One answer to a question: its id in the decision table, the button's title, and the sentence of "You told us"."""

    id: str
    title: str
    told: str = ""
    school_title: str = ""

    def title_for(self, role: str) -> str:
        """The button's title for a parent or a school."""
        return self.school_title if role == "school" and self.school_title else self.title


@dataclass(frozen=True)
class Input:
    """One question: its words, why it is asked, where to look, and its values. Not `asked`: only heard when it is volunteered."""

    name: str
    values: Mapping[str, Value]
    ask: str = ""
    school: str = ""
    why: str = ""
    where: str = ""
    clear_up: str = ""
    asked: bool = True
    when: Condition = field(default_factory=dict)
    unless: Condition = field(default_factory=dict)

    def ask_for(self, role: str) -> str:
        """The question for a parent or a school."""
        return self.school if role == "school" and self.school else self.ask


@dataclass(frozen=True)
class Result:
    """What a guide found, in finished words.

    row: the row or message that applies. also: rows that added a paragraph.
    opening: what every result of the guide begins with. told: the working, a sentence for each fact. paragraphs: what applies, and the
    law. say: what to say or send.
    contacts: whom to talk to, a line each. person: `yes` opens a query, `offer` offers one, `no` neither.
    kind: the query's kind. offers: topics to go on with.
    """

    row: str
    title: str
    told: tuple[str, ...]
    paragraphs: tuple[str, ...]
    say: str = ""
    contacts: tuple[str, ...] = ()
    opening: str = ""
    closing: str = ""
    sources: tuple[Source, ...] = ()
    person: str = "offer"
    kind: str = "ordinary"
    offers: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    may_dispute: bool = False

    def as_text(self, told: str, contacts: str, say: str) -> str:
        """The result as one message; the three headings come from the system's own sentences."""
        parts = [
            *([self.opening] if self.opening else []),
            *([_listed(told, self.told)] if self.told else []),
            *self.paragraphs,
            *([_listed(contacts, self.contacts)] if self.contacts else []),
            *([f"{say} {self.say}"] if self.say else []),
            *([self.closing] if self.closing else []),
        ]
        return "\n\n".join(parts)


class Guide(Protocol):
    """A guide by conversation or by page."""

    name: str
    topic: str
    inputs: Mapping[str, Input]
    page_intro: str

    def next_input(self, facts: Facts) -> Input | None:
        """The question that is still needed, or nothing when the result stands."""

    def result(self, facts: Facts, area: Area, role: str) -> Result:
        """What the facts come to. Missing facts count as not sure."""

    def intro(self, role: str) -> str:
        """What is said before the first question."""


def fits(condition: Condition, facts: Facts) -> bool:
    """Whether every named fact is known and one of its listed values."""
    return all(facts.get(name) in values for name, values in condition.items())


def is_blocked(condition: Condition, facts: Facts) -> bool:
    """Whether any named fact is one of its listed values."""
    return any(facts.get(name) in values for name, values in condition.items())


def read_inputs(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Input]:
    """The `inputs` of a policy file, in its order. Raises TableProblem."""
    inputs = {}
    for name, entry in raw.items():
        try:
            values = {
                str(id): Value(str(id), value["title"], value.get("told", ""), value.get("school_title", ""))
                for id, value in entry["values"].items()
            }
            texts = {key: entry.get(key, "").strip() for key in ("ask", "school", "why", "where", "clear_up")}
            inputs[name] = Input(
                name, values, **texts, asked=entry.get("asked", True), when=entry.get("when", {}), unless=entry.get("unless", {})
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise TableProblem(f"input {name}: {type(problem).__name__}: {problem}") from problem
        if inputs[name].asked and not (inputs[name].ask and inputs[name].why and inputs[name].where):
            raise TableProblem(f"input {name} is asked and needs ask, why and where")
    return inputs


def role_words(role: str) -> dict[str, str]:
    """The words in which a parent is spoken to about their child, a colleague in a school about a pupil."""
    if role == "school":
        return {
            **{"child": "the pupil", "Child": "The pupil", "childs": "the pupil's", "You_live": "The pupil lives", "You_pay": "The family pays"},
            **{"You": "We", "who_knows": "the council", "you": "us", "who_to_ask": "the parents or the family's health visitor", "you_or_school": "you or the family"},
        }
    return {
        **{"child": "your child", "Child": "Your child", "childs": "your child's", "You_live": "You live", "You_pay": "You pay"},
        **{"You": "You", "you": "you", "who_knows": "the SENCO", "who_to_ask": "your health visitor or the SENCO", "you_or_school": "you or the school"},
    }


def told_lines(inputs: Mapping[str, Input], facts: Facts, words: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each fact, in the order of the questions."""
    sentences = (inputs[name].values[facts[name]].told for name in inputs if facts.get(name) in inputs[name].values)
    return tuple(filled(sentence, words) for sentence in sentences if sentence)


def contact_line(role: Mapping[str, Any], area: Area, words: Mapping[str, str], is_school: bool) -> str:
    """Whom to talk to: the role in plain words and, where the area's file has one, the checked contact."""
    name = filled(role["school"] if is_school and role.get("school") else role["name"], words)
    known = area.contacts.get(role.get("contact", ""))
    if known is None:
        return f"{name[0].upper()}{name[1:]}"
    reach = ", ".join(str(known[key]) for key in ("phone", "url") if known.get(key))
    return f"{name[0].upper()}{name[1:]}: {reach} (checked {known['checked_on']:%-d %B %Y})"


def as_note(result: Result, summary: str, told: str, contacts: str, say: str, sources: str) -> str:
    """A result as plain text for a colleague to keep, with its sources; the headings come from the system's own sentences."""
    cited = _listed(sources, list(dict.fromkeys(f"{s.title}: {s.url}" for s in result.sources)))
    return "\n\n".join([f"{summary} {result.title}", result.as_text(told, contacts, say), *([cited] if result.sources else [])])


def _listed(heading: str, lines: Sequence[str]) -> str:
    return "\n".join([heading, *(f"- {line}" for line in lines)])
