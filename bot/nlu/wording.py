"""What the words themselves say: ridge regression on words, word beginnings and pairs."""

from __future__ import annotations

import re
from collections import Counter
from typing import Sequence

import numpy as np
from scipy.linalg import solve
from sklearn.feature_extraction.text import TfidfVectorizer

_WORD = re.compile(r"\w[\w']*")
_BEGINNING = 5


def traits(text: str) -> list[str]:
    """Each word, its first five letters if it is longer, and each pair of neighbours' beginnings: "refer*" is in "referral" too."""
    found = _WORD.findall(text.lower())
    beginnings = [word[:_BEGINNING] for word in found]
    pairs = [f"{first} {second}" for first, second in zip(beginnings, beginnings[1:])]
    return found + [f"{word[:_BEGINNING]}*" for word in found if len(word) > _BEGINNING] + pairs


class WordingModel:
    """Ridge regression of class membership on weighted traits. Its words weigh openly, where sentence vectors blur them.

    Parameters
    ----------
    penalty: regularisation, in the units of the examples' similarity (an example's with itself is 1).
    """

    def __init__(self, penalty: float = 1.5) -> None:
        self.penalty = penalty

    def fit(self, texts: Sequence[str], classes: np.ndarray) -> "WordingModel":
        """Learn from `texts` and the number of each one's class, counted from 0."""
        self._vectorizer = TfidfVectorizer(analyzer=traits, sublinear_tf=True, min_df=2, dtype=np.float32)
        examples = self._vectorizer.fit_transform(texts)
        self._rarity = self._vectorizer.idf_.astype(np.float32)
        members = np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
        self._shift = members.mean(axis=0)
        # Fewer examples than traits: solved over the examples' similarities, then turned into weights of the traits.
        similarity = (examples @ examples.T).toarray()
        similarity[np.diag_indices_from(similarity)] += np.float32(self.penalty)
        self._weights = examples.T @ solve(similarity, members - self._shift, assume_a="pos", overwrite_a=True)
        return self

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """About 0 to 1 for each class, a row a text."""
        return np.stack([self._score(text) for text in texts])

    def _score(self, text: str) -> np.ndarray:
        """What `self._vectorizer.transform` would give, times the weights: its checks and sparse matrices cost ten times the sum."""
        known = self._vectorizer.vocabulary_
        counts = Counter(known[trait] for trait in traits(text) if trait in known)
        if not counts:
            return self._shift
        columns = np.fromiter(counts, np.int64, len(counts))
        values = (1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))) * self._rarity[columns]
        return (values / np.linalg.norm(values)) @ self._weights[columns] + self._shift
