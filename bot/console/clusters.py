"""Messages that say much the same thing, put together by the words they share (pure)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from math import log, sqrt
from typing import Mapping, Sequence

from spacy.lang.en.stop_words import STOP_WORDS

ALIKE = 0.32
# how much of a message's weight is what the bot took it for; the rest is its words
WEIGHT_OF_GUESS = 0.25
SHARED_WORDS = 3
_WORD = re.compile(r"[^\W\d_]{3,}")
_ENDINGS = ("ing", "ies", "es", "ed", "s")
_EVERYDAY = frozenset({"please", "thanks", "thank", "hello", "know", "want", "need", "help", "tell", "child", "son", "daughter", "kid"})


@dataclass(frozen=True)
class Cluster:
    """Messages that are alike, by their place in what was given, and the words that they share most."""

    members: Sequence[int]
    words: Sequence[str]


def clusters(texts: Sequence[str], guesses: Sequence[str] = ()) -> list[Cluster]:
    """Groups of two or more texts that share rare words, the largest first. A text is in one group at most.

    Words are weighed by how rare they are (tf-idf), and what the bot took each text for (`guesses`) counts like a word; a text joins the group whose middle it is nearest to, if that is near enough
    (cosine of ALIKE), else it begins one. Twice over, so that an early group is not closed to its later neighbours.
    """
    vectors = [_with_guess(vector, guess) for vector, guess in zip(_vectors([_stems(text) for text in texts]), guesses or [""] * len(texts))]
    groups: list[list[int]] = []
    for _ in range(2):
        middles = [_middle([vectors[i] for i in group]) for group in groups]
        groups = [[] for _ in middles]
        for i, vector in enumerate(vectors):
            nearest, likeness = _nearest(vector, middles)
            if likeness >= ALIKE:
                groups[nearest].append(i)
                middles[nearest] = _middle([vectors[j] for j in groups[nearest]])
            elif vector:
                middles.append(vector)
                groups.append([i])
    found = [Cluster(group, _shared(texts, group)) for group in groups if len(group) > 1]
    return sorted(found, key=lambda cluster: (-len(cluster.members), cluster.members[0]))


Vector = Mapping[str, float]


def _stems(text: str) -> list[str]:
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS and word not in _EVERYDAY]


def _stem(word: str) -> str:
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 4), "")
    return word.removesuffix(ending)


def _vectors(documents: Sequence[Sequence[str]]) -> list[Vector]:
    spread = Counter(stem for document in documents for stem in set(document))
    weigh = {stem: log(1 + len(documents) / count) for stem, count in spread.items()}
    return [_unit({stem: weigh[stem] * count for stem, count in Counter(document).items()}) for document in documents]


def _with_guess(vector: Vector, guess: str) -> Vector:
    if not guess or not vector:
        return vector
    return {**{stem: value * sqrt(1 - WEIGHT_OF_GUESS) for stem, value in vector.items()}, f"guess {guess}": sqrt(WEIGHT_OF_GUESS)}


def _unit(vector: Vector) -> Vector:
    length = sqrt(sum(value * value for value in vector.values()))
    return {stem: value / length for stem, value in vector.items()} if length else {}


def _middle(vectors: Sequence[Vector]) -> Vector:
    total: Counter[str] = Counter()
    for vector in vectors:
        total.update(vector)
    return _unit(total)


def _nearest(vector: Vector, middles: Sequence[Vector]) -> tuple[int, float]:
    alike = [sum(value * middle.get(stem, 0.0) for stem, value in vector.items()) for middle in middles]
    best = max(range(len(alike)), key=alike.__getitem__, default=-1)
    return best, alike[best] if alike else 0.0


def _shared(texts: Sequence[str], group: Sequence[int]) -> list[str]:
    """The words that most of a group share, as they are written most often."""
    written: dict[str, Counter[str]] = {}
    holders: Counter[str] = Counter()
    for i in group:
        words = {_stem(w): w for w in _WORD.findall(texts[i].lower()) if w not in STOP_WORDS and w not in _EVERYDAY}
        holders.update(words.keys())
        for stem, word in words.items():
            written.setdefault(stem, Counter())[word] += 1
    common = [stem for stem, count in holders.most_common() if count > 1][:SHARED_WORDS]
    return [written[stem].most_common(1)[0][0] for stem in common]
