"""Reviewed answers from `data/answers/` and the sentences they cite."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Iterable, Mapping

from bot.knowledge.reading import read_yaml

from bot.knowledge.areas import Area

_NOT_TOPIC_FILES = {"sources.yml", "languages.yml", "system.yml"}


@dataclass(frozen=True)
class Source:
    """A sentence that an answer rests on: its words, where it stands, and whose rule it is (an area, or "england")."""

    id: str
    quote: str
    title: str
    url: str
    area: str = ""

    @property
    def is_rule(self) -> bool:
        """Whether an area lives by it. The Hampshire review of 2010 only recommended, and each wording says so."""
        return not self.id.startswith("H-")

    def as_json(self) -> dict:
        """The four fields that the chat API shows."""
        return {"id": self.id, "quote": self.quote, "title": self.title, "url": self.url}


@dataclass(frozen=True)
class Answer:
    """Reviewed wording for one topic. `local` names the area fact shown for `{local}`; `without_local` stands in where it is unknown."""

    topic: str
    title: str
    text: str
    short: str
    school: str
    sources: tuple[str, ...]
    local: str
    without_local: str
    offer: tuple[str, ...]
    owner: str
    reviewed_on: date


@dataclass(frozen=True)
class Wording:
    """An answer as one person is told it: finished text and the sources under it."""

    topic: str
    text: str
    sources: tuple[Source, ...]


class AnswerProblem(Exception):
    """An answer cannot be used; the message says which and what to mend."""


class Answers:
    """All reviewed answers, with the register of sources and the words of the system itself."""

    def __init__(
        self, answers: Mapping[str, Answer], sources: Mapping[str, Source], system: Mapping[str, str], languages: Mapping[str, Mapping]
    ) -> None:
        self._answers, self._sources, self._system, self._languages = dict(answers), sources, system, languages
        self._filed: Mapping[str, Answer] = dict(answers)

    @classmethod
    def load(cls, folder: Path) -> "Answers":
        """Read every file of `data/answers/`. Raises AnswerProblem for an unknown source or a field that is missing."""
        sources = {
            id: Source(id, entry["quote"], entry["title"], entry["url"], entry.get("area", ""))
            for id, entry in read_yaml(folder / "sources.yml").items()
        }
        answers: dict[str, Answer] = {}
        for path in sorted(folder.glob("*.yml")):
            if path.name in _NOT_TOPIC_FILES:
                continue
            for topic, entry in read_yaml(path).items():
                if topic in answers:
                    raise AnswerProblem(f"{path.name}: {topic} is answered twice")
                answers[topic] = _answer(path.name, topic, entry, sources)
        return cls(answers, sources, read_yaml(folder / "system.yml"), read_yaml(folder / "languages.yml"))

    def __contains__(self, topic: str) -> bool:
        return topic in self._answers

    def __iter__(self):
        return iter(self._answers.values())

    def __getitem__(self, topic: str) -> Answer:
        return self._answers[topic]

    def source(self, id: str, area: Area) -> Source | None:
        """A sentence of the register, or an area's own fact for a `local:` id; nothing where the area has none."""
        if not id.startswith("local:"):
            return self._sources[id]
        fact = area.facts.get(id.removeprefix("local:"))
        return _local_source(id.removeprefix("local:"), fact, area) if fact else None

    def filed(self, topic: str) -> Answer:
        """The answer on a topic as its file has it."""
        return self._filed[topic]

    def amend(self, changes: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Let approved changes stand in for what the files say: topic and changed fields each. What is not named is as filed.

        A change whose review is older than the file's does not count any more: it has been overtaken by a commit.
        """
        amended = dict(self._filed)
        for topic, fields in changes:
            if topic in amended and fields["reviewed_on"] >= self._filed[topic].reviewed_on:
                amended[topic] = replace(amended[topic], **fields)
        self._answers = amended

    def sources_of(self, topic: str) -> list[Source]:
        """The sentences of the register that an answer cites."""
        return [self._sources[id] for id in self._answers[topic].sources if id in self._sources]

    def title(self, topic: str) -> str:
        """The plain title of a topic, as shown on a choice."""
        return self._answers[topic].title

    def say(self, key: str, **words: str) -> str:
        """A sentence of the system itself (`data/answers/system.yml`) with its words filled in."""
        return self._system[key].strip().format(**words)

    def in_language(self, language: str) -> str:
        """The short reply in another language (ISO 639-1), or nothing where we have none."""
        return self._languages[language]["text"] if language in self._languages else ""

    def wording(self, topic: str, area: Area, role: str = "parent", short: bool = False) -> Wording:
        """The answer on `topic` as somebody in `area` with `role` (parent or school) is told it."""
        answer = self._answers[topic]
        text = answer.short if short else (answer.school if role == "school" and answer.school else answer.text)
        fact = area.facts.get(answer.local) if answer.local else None
        sources = [self._sources[id] for id in answer.sources if not id.startswith("local:")]
        if fact is not None:
            sources.append(_local_source(answer.local, fact, area))
        for id in answer.sources:
            key = id.removeprefix("local:")
            if id.startswith("local:") and key != answer.local and key in area.facts:
                sources.append(_local_source(key, area.facts[key], area))
        local = fact.text if fact else answer.without_local
        text = filled(text, {**area.words, "local": local.strip(), "area": area.name})
        elsewhere = {s.area for s in sources if s.is_rule} - {"england", area.id, ""}
        if elsewhere and "In Somerset" not in text:
            text = f"{self.say('elsewhere', places=_places(elsewhere))}\n\n{text}"
        return Wording(topic, text, tuple(sources))


def _places(areas: set[str]) -> str:
    return " and ".join(sorted(a.title() for a in areas))


def _local_source(key: str, fact, area: Area) -> Source:
    quote = fact.quote or fact.text
    return Source(f"local:{key}", quote, f"{area.name}: checked on {fact.checked_on:%-d %B %Y}", fact.url, area.id)


def filled(text: str, words: Mapping[str, str]) -> str:
    """A wording of `data/` as it is shown: paragraphs on one line each, and each `{word}` that is known filled in."""
    text = unwrapped(text)
    for key, value in words.items():
        text = text.replace("{" + key + "}", value)
    return text.strip()


def unwrapped(text: str) -> str:
    """Paragraphs on one line each; list lines keep their own."""
    return "\n\n".join(re.sub(r"\n(?!- )", " ", part.strip()) for part in re.split(r"\n\s*\n", text))


def _answer(file: str, topic: str, entry: dict, sources: Mapping[str, Source]) -> Answer:
    try:
        answer = Answer(
            topic=topic,
            title=entry["title"],
            text=entry["text"],
            short=entry["short"],
            school=entry.get("school") or "",
            sources=tuple(entry.get("sources") or ()),
            local=(entry.get("local") or "").removeprefix("local:"),
            without_local=entry.get("without_local") or "",
            offer=tuple(entry.get("offer") or ()),
            owner=entry["owner"],
            reviewed_on=entry["reviewed_on"],
        )
    except KeyError as missing:
        raise AnswerProblem(f"{file}: {topic} has no {missing}") from missing
    for id in answer.sources:
        if id not in sources and not id.startswith("local:"):
            raise AnswerProblem(f"{file}: {topic} cites {id}, which sources.yml does not hold")
    if "{local}" in answer.text and not (answer.local and answer.without_local):
        raise AnswerProblem(f"{file}: {topic} shows {{local}} and needs both local and without_local")
    return answer
