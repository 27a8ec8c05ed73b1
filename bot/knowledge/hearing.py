"""Free words heard as facts of the guides, by the reviewed patterns of `data/policy/heard.yml`. What is not clear is no fact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping

from bot.knowledge.guides import UNSURE, Input
from bot.knowledge.reading import read_yaml

_LONGEST = 4000
_SHORT = 8
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "`": "'"})
_SENTENCE = re.compile(r"(?<=[.!?;\n])\s+|\n+")
_NEGATED_SECTION = re.compile(r"\b(?:not|isn't|wasn't) (?:in |under |the )*(?:section |sec |part )?[fg]\b(?! and| or)")
_WORDS = re.compile(r"\w+")
# A typed "yes" is read as the answer to the question's words, which is not always the value's (Q2 asks for the contrary).
_POLAR = ("yes", "no")
_IN_PLAN = ("F", "G", "both")


@dataclass(frozen=True)
class Heard:
    """What a reply came to: a value, or that it can be read in two ways (`unclear`), or neither."""

    value: str | None = None
    unclear: bool = False


class Hearing:
    """Reads messages.

    Parameters
    ----------
    raw: the content of `data/policy/heard.yml`.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        lists = dict(raw["words"])
        for name, pattern in lists.items():
            lists[name] = _spelt(pattern, lists)

        def compiled(patterns: str | Iterable[str]) -> tuple[re.Pattern[str], ...]:
            return tuple(re.compile(_spelt(p, lists)) for p in ([patterns] if isinstance(patterns, str) else patterns))

        self._talk = {key: compiled(raw[key])[0] for key in _TALK}
        self._inputs = {
            name: _Patterns(
                said={value: compiled(p) for value, p in entry.get("said", {}).items()},
                replied={value: compiled(p) for value, p in entry.get("replied", {}).items()},
                unclear=compiled(entry.get("unclear", ())),
                doubtful=compiled(entry.get("doubtful", ())),
                either=tuple(entry.get("either", ())),
                means=entry.get("means", {"yes": "yes", "no": "no"}),
                specific_wins=entry.get("specific_wins", False),
            )
            for name, entry in raw["inputs"].items()
        }
        self._instead = {message: compiled(patterns) for message, patterns in raw["instead"].items()}

    @classmethod
    def load(cls, path: Path) -> "Hearing":
        """Read the patterns."""
        return cls(read_yaml(path))

    def facts(self, text: str, names: Iterable[str]) -> dict[str, str]:
        """What a message says by itself about the named inputs. Questions and suppositions are no facts; a correction overrides."""
        plain = _plain(text)
        marks = list(self._talk["correction"].finditer(plain))
        before, after = (plain[: marks[-1].start()], plain[marks[-1].end() :]) if marks else (plain, "")
        return {**self._facts(before, names), **self._facts(after, names)}

    def _facts(self, plain: str, names: Iterable[str]) -> dict[str, str]:
        stated = " ".join(s for s in _SENTENCE.split(plain) if not self._is_supposed(s.strip()))
        stated = _NEGATED_SECTION.sub(" ", stated)
        found = {}
        for name in names:
            patterns = self._inputs.get(name)
            value = patterns and patterns.volunteered(stated)
            if value:
                found[name] = value
        return found

    def _is_supposed(self, sentence: str) -> bool:
        return bool(self._talk["supposed"].match(sentence))

    def reply(self, text: str, asked: Input) -> Heard:
        """A message read as the answer to one question: by its button's title, by its words, then by a plain yes or no."""
        plain = _plain(text)
        for value in asked.values.values():
            id = value.id if value.id not in _POLAR else value.title
            if _words(plain) in (_words(value.title), _words(value.school_title or value.title), _words(id)):
                return Heard(value.id)
        plain = " ".join(s for s in _SENTENCE.split(plain) if not self._is_asking(s.strip()))
        patterns = self._inputs.get(asked.name, _Patterns())
        if patterns.is_riddle(plain):
            return Heard(unclear=True)
        if self._talk["unsure"].search(plain):
            return Heard(UNSURE) if UNSURE in asked.values else Heard()
        cut = _NEGATED_SECTION.sub(" ", plain)
        strong = patterns.volunteered(cut)
        if strong is None and (patterns.is_torn(patterns.said, cut) or patterns.is_torn(patterns.replied, cut)):
            return Heard(unclear=True)
        specific = strong or patterns.replied_to(cut)
        word = next((word for word in ("yes", "no") if self._talk[word].search(plain)), "")
        general = patterns.means.get(word)
        if specific and general and specific != general and not patterns.specific_wins:
            # A "no" is often followed by what happened instead; only a clear fact stands against it.
            if strong or word == "yes":
                return Heard(unclear=True)
            specific = general
        value = specific or general
        return Heard(value) if value in asked.values else Heard()

    def wish(self, text: str) -> str | None:
        """What somebody wants of the guide itself: `why`, `meaning`, `leave`, `back`, `restart` or `resume`."""
        plain = _plain(text)
        return next((key for key in ("why", "leave", "back", "restart", "resume", "meaning") if self._talk[key].search(plain)), None)

    def corrects(self, text: str) -> bool:
        """Whether a message takes something back."""
        return bool(self._talk["correction"].search(_plain(text)))

    def asks_whose_job(self, text: str) -> bool:
        """Whether a message asks who is responsible, in so many words."""
        return bool(self._talk["whose_job"].search(_plain(text)))

    def says_yes(self, text: str) -> bool:
        """Whether a message is a plain yes."""
        return len(text.split()) <= _SHORT and bool(self._talk["yes"].search(_plain(text)))

    def hopes(self, text: str) -> bool:
        """Whether a message says what a child should come to be able to do."""
        return bool(self._talk["hope"].search(_plain(text))) and not self.is_question(text)

    def is_question(self, text: str) -> bool:
        """Whether a message, or one sentence of it, is put as a question."""
        plain = _plain(text)
        return any(s.rstrip().endswith("?") or self._is_asking(s.strip()) for s in _SENTENCE.split(plain))

    def _is_asking(self, sentence: str) -> bool:
        return bool(self._talk["asking"].match(sentence) or self._talk["supposed"].match(sentence))

    def instead(self, text: str) -> str | None:
        """The message that stands in for the five questions, where they are not the way (section 7: refer directly, lost skills)."""
        plain = _plain(text)
        return next((message for message, patterns in self._instead.items() if any(p.search(plain) for p in patterns)), None)


@dataclass(frozen=True)
class _Patterns:
    said: Mapping[str, tuple[re.Pattern[str], ...]] = None  # type: ignore[assignment]
    replied: Mapping[str, tuple[re.Pattern[str], ...]] = None  # type: ignore[assignment]
    unclear: tuple[re.Pattern[str], ...] = ()
    doubtful: tuple[re.Pattern[str], ...] = ()
    either: tuple[str, ...] = ()
    means: Mapping[str, str] = None  # type: ignore[assignment]
    specific_wins: bool = False

    def volunteered(self, plain: str) -> str | None:
        if any(p.search(plain) for p in self.unclear) or self.is_torn(self.said, plain):
            return None
        return _first(self.said, plain)

    def is_riddle(self, plain: str) -> bool:
        """Whether these words, as the answer to this question, can be read in two ways."""
        return any(p.search(plain) for p in (*self.unclear, *self.doubtful))

    def is_torn(self, patterns: Mapping[str, tuple[re.Pattern[str], ...]] | None, plain: str) -> bool:
        """Whether the words fit two values that shut each other out, and no value before them ("both", "not sure") takes them."""
        if _first(patterns, plain) not in self.either:
            return False
        return sum(any(p.search(plain) for p in (patterns or {}).get(value, ())) for value in self.either) > 1

    def replied_to(self, plain: str) -> str | None:
        return _first(self.replied, plain)


_TALK = ("yes", "no", "unsure", "why", "meaning", "leave", "resume", "back", "restart", "correction", "supposed", "asking", "whose_job", "hope")


def _first(patterns: Mapping[str, tuple[re.Pattern[str], ...]] | None, plain: str) -> str | None:
    return next((value for value, some in (patterns or {}).items() if any(p.search(plain) for p in some)), None)


def _spelt(pattern: str, lists: Mapping[str, str]) -> str:
    for name, words in lists.items():
        pattern = pattern.replace("{" + name + "}", words)
    return pattern


def _plain(text: str) -> str:
    return re.sub(r"[ \t]+", " ", text[:_LONGEST].translate(_QUOTES).lower()).strip()


def _words(text: str) -> str:
    return " ".join(_WORDS.findall(text.lower()))


def with_what_follows(facts: Mapping[str, str]) -> dict[str, str]:
    """A section named means that the need is in the plan, and a need in (or not in) "the plan" means that there is a plan."""
    full = dict(facts)
    if full.get("section") in _IN_PLAN and full.get("need_in_plan") in (None, UNSURE):
        full["need_in_plan"] = "yes"
    if full.get("need_in_plan") in ("yes", "no") and full.get("plan") in (None, UNSURE):
        full["plan"] = "final"
    return full
