"""Danger words, looked for in every message before any classifier (rule B0 of the responsibility rules).

`data/policy/urgent.yml` and the folder beside it hold the reviewed patterns; this finds them with spaCy's matchers, in the engine's last
component (`bot.nlu.graph.urgent_guard`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping

import spacy
import yaml
from spacy.lang.en.stop_words import STOP_WORDS
from spacy.matcher import Matcher, PhraseMatcher
from spacy.util import filter_spans

_NOT_URGENT = "not_urgent"


@dataclass(frozen=True)
class Danger:
    """An urgent topic that was found, and the words that showed it."""

    topic: str
    words: str


class UrgentPatterns:
    """Finds urgent topics in a message.

    Parameters
    ----------
    policy: the content of `data/policy/urgent.yml`.
    languages: the contents of the files in `data/policy/urgent/`: each urgent topic's phrases and patterns in another language.
    """

    def __init__(self, policy: Mapping[str, Any], languages: Iterable[Mapping[str, Any]] = ()) -> None:
        self._language = spacy.blank("en")
        self._forms = {lemma: forms.split() for lemma, forms in policy.get("words", {}).items()}
        self._patterns: list[tuple[str, list[str]]] = []
        self._matchers: dict[int, Matcher] = {}
        self._by_anchor: dict[str, list[int]] = defaultdict(list)
        self._phrases = PhraseMatcher(self._language.vocab, attr="LOWER")
        self.topics = frozenset(policy["topics"])
        for topic, entry in policy["topics"].items():
            self._add(topic, entry)
        self._add(_NOT_URGENT, policy[_NOT_URGENT])
        for language in languages:
            for topic, entry in language["topics"].items():
                self._add(topic, entry)

    @classmethod
    def load(cls, path: Path | str) -> "UrgentPatterns":
        """Read the policy file, and beside it the folder of the same name with a file for each language."""
        path = Path(path)
        return cls(_read(path), map(_read, sorted(path.with_suffix("").glob("*.yml"))))

    def _add(self, label: str, entry: Mapping[str, Any]) -> None:
        self._phrases.add(label, [self._language.make_doc(str(phrase).lower()) for phrase in entry.get("phrases", ())])
        for pattern in map(self._spelt_out, entry.get("patterns", ())):
            for word in _anchor(pattern):
                self._by_anchor[word].append(len(self._patterns))
            self._patterns.append((label, pattern))

    def _matcher(self, number: int) -> Matcher:
        """The matcher of a pattern, made when a message first needs it: most patterns of most languages never are."""
        if number not in self._matchers:
            label, pattern = self._patterns[number]
            matcher = Matcher(self._language.vocab)
            matcher.add(label, [_tokens(pattern)])
            self._matchers[number] = matcher
        return self._matchers[number]

    def _spelt_out(self, pattern: list[str]) -> list[str]:
        """The pattern with every `~lemma` as the forms that `words` lists for it. Raises ValueError for a lemma that is not listed."""
        return [part[: len(part) - len(part.lstrip("?"))] + "|".join(self._forms_of(part.lstrip("?").split("|"))) for part in pattern]

    def _forms_of(self, words: list[str]) -> list[str]:
        unknown = [word for word in words if word[0] == "~" and word[1:] not in self._forms]
        if unknown:
            raise ValueError(f"urgent.yml: {', '.join(unknown)} stands in a pattern and is not listed under `words`")
        return [form for word in words for form in (self._forms[word[1:]] if word[0] == "~" else [word])]

    def find(self, text: str) -> list[Danger]:
        """The dangers in a message, each topic once; a hit that overlaps an innocent phrase does not count."""
        document = self._language.make_doc(text[:4000].replace("’", "'"))
        possible = {number for word in {token.lower_ for token in document} for number in self._by_anchor.get(word, ())}
        spans = [span for number in sorted(possible) for span in self._matcher(number)(document, as_spans=True)]
        spans += self._phrases(document, as_spans=True)
        innocent = filter_spans([span for span in spans if span.label_ == _NOT_URGENT])
        found: dict[str, Danger] = {}
        for span in spans:
            if span.label_ != _NOT_URGENT and not _overlaps(span, innocent):
                known = found.get(span.label_)
                if known is None or len(span.text) > len(known.words):
                    found[span.label_] = Danger(span.label_, span.text)
        return list(found.values())


def _read(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # nosec B506 - a safe loader


def _overlaps(span, others: Iterable) -> bool:
    return any(span.start < other.end and other.start < span.end for other in others)


def _anchor(pattern: list[str]) -> frozenset[str]:
    """The words of which one must stand in a message before a pattern is worth trying: its rarest part that may not be missing.

    Raises ValueError if every part may be missing.
    """
    required = [frozenset(part.split("|")) for part in pattern if part[0] not in "*?"]
    if not required:
        raise ValueError(f"a pattern of which everything may be missing would match everything: {pattern}")
    return min(required, key=lambda words: (len(words & STOP_WORDS), len(words)))


def _tokens(pattern: list[str]) -> list[dict[str, Any]]:
    """`["a|b", "?c", "*0-2"]` as spaCy's token patterns: any of a or b, perhaps c, up to two words of any kind."""
    tokens: list[dict[str, Any]] = []
    for part in pattern:
        if part.startswith("*"):
            least, most = (int(n) for n in part[1:].split("-"))
            tokens += [{}] * least + [{"OP": "?"}] * (most - least)
        elif part.startswith("?"):
            tokens.append({"LOWER": {"IN": part[1:].split("|")}, "OP": "?"})
        else:
            tokens.append({"LOWER": {"IN": part.split("|")}})
    return tokens
