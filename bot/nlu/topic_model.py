"""Which topic a message is about: sentence meaning and character n-grams, one calibrated probability a topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from scipy.sparse import hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import normalize


@dataclass(frozen=True)
class Ranking:
    """Topics from likeliest down with their probabilities, and how near the nearest training example lies (cosine, 0..1)."""

    topics: tuple[str, ...]
    probabilities: tuple[float, ...]
    nearness: float

    @property
    def confidence(self) -> float:
        """The first topic's probability times the nearness: best or near best of the scores tried for "do we know this?"."""
        return self.probabilities[0] * max(self.nearness, 0.0)


class TopicModel:
    """Logistic regression on sentence vectors beside character and word n-grams (reduced), calibrated with one temperature.

    Parameters
    ----------
    c: inverse regularisation.
    """

    def __init__(self, c: float = 10.0, seed: int = 7) -> None:
        self.c, self.seed = c, seed
        self.temperature = 1.0

    def fit(self, texts: Sequence[str], vectors: np.ndarray, topics: Sequence[str], calibrate: bool = True) -> "TopicModel":
        """Learn from `texts` and their sentence `vectors` (row for row) and the `topics` they belong to."""
        labels = np.asarray(topics)
        if calibrate:
            self.temperature = self._temperature(texts, vectors, labels)
        self._letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2, max_features=30_000, dtype=np.float32)
        self._words = TfidfVectorizer(token_pattern=r"(?u)\b\w[\w']*\b", ngram_range=(1, 2), sublinear_tf=True, min_df=2, dtype=np.float32)
        sparse = hstack([self._letters.fit_transform(texts), self._words.fit_transform(texts)]).tocsr() * np.float32(0.7)
        self._reduction = TruncatedSVD(300, n_iter=2, random_state=self.seed).fit(sparse)
        features = np.hstack([vectors, self._reduction.transform(sparse)])
        self._regression = LogisticRegression(C=self.c, max_iter=100, tol=1e-3, random_state=self.seed).fit(features, labels)
        self.topics = tuple(self._regression.classes_)
        self._examples = vectors.astype(np.float32)
        self._example_topics = labels
        return self

    def logits(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Uncalibrated scores, a row a text, a column a topic."""
        sparse = hstack([self._letters.transform(texts), self._words.transform(texts)]).tocsr() * np.float32(0.7)
        return self._regression.decision_function(np.hstack([vectors, self._reduction.transform(sparse)]))

    def rank(self, texts: Sequence[str], vectors: np.ndarray) -> list[Ranking]:
        """A Ranking for each text."""
        if not len(texts):
            return []
        probabilities = softmax(self.logits(texts, vectors) / self.temperature)
        nearness = (vectors @ self._examples.T).max(axis=1)
        order = np.argsort(-probabilities, axis=1)
        return [
            Ranking(tuple(self.topics[i] for i in o), tuple(float(p[i]) for i in o), float(n))
            for o, p, n in zip(order, probabilities, nearness)
        ]

    def _temperature(self, texts, vectors, labels) -> float:
        folds = StratifiedKFold(5, shuffle=True, random_state=self.seed)
        train, test = next(folds.split(vectors, labels))
        part = TopicModel(self.c, self.seed)
        part.fit([texts[i] for i in train], vectors[train], labels[train], calibrate=False)
        logits = part.logits([texts[i] for i in test], vectors[test])
        truth = np.searchsorted(part.topics, labels[test])
        grid = np.geomspace(0.1, 3.0, 60)
        losses = [-np.log(softmax(logits / t)[np.arange(len(truth)), truth] + 1e-12).mean() for t in grid]
        return float(grid[int(np.argmin(losses))])


def softmax(scores: np.ndarray) -> np.ndarray:
    """Row-wise softmax."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return normalize(shifted, norm="l1")
