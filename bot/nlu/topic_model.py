"""Which topic a message is about: sentence meaning, wording and neighbours, one calibrated probability a topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from sklearn.model_selection import StratifiedKFold

from bot.nlu.embedding import WIDTH
from bot.nlu.network import Network, log_softmax
from bot.nlu.wording import WordingModel


@dataclass(frozen=True)
class Ranking:
    """Topics from likeliest down with their probabilities, and how near the nearest training example lies (cosine, 0..1)."""

    topics: tuple[str, ...]
    probabilities: tuple[float, ...]
    nearness: float

    @classmethod
    def of(cls, topics: Sequence[str], probabilities: np.ndarray, nearness: float) -> "Ranking":
        """`topics` put in order of their `probabilities`."""
        order = np.argsort(-probabilities)
        return cls(tuple(topics[i] for i in order.tolist()), tuple(probabilities[order].tolist()), float(nearness))

    @property
    def confidence(self) -> float:
        """The first topic's probability, less for what lies far from every example: times the cube root of the nearness."""
        return self.probabilities[0] * max(self.nearness, 0.0) ** (1 / 3)

    def probability(self, topic: str) -> float:
        """The probability of one topic."""
        return self.probabilities[self.topics.index(topic)]


@dataclass(frozen=True)
class Weights:
    """How much each part counts in the mixture of scores. benchmarks/understanding.md has what was tried."""

    linear: float = 1.0
    hidden: float = 1.0
    wording: float = 10.0
    neighbours: float = 2.0


class TopicModel:
    """A mixture: softmax regression and a small network on sentence vectors, ridge regression on words, neighbours' votes.

    Parameters
    ----------
    weights: of the parts.
    seed: of all that is random in training.
    """

    def __init__(self, weights: Weights = Weights(), seed: int = 7) -> None:
        self.weights, self.seed = weights, seed
        self.temperature = 1.0

    def fit(self, texts: Sequence[str], vectors: np.ndarray, topics: Sequence[str], calibrate: bool = True) -> "TopicModel":
        """Learn from `texts`, their `vectors` (SentenceEncoder.encode, row for row) and the `topics` they belong to."""
        if calibrate:
            self.temperature = self._temperature(texts, vectors, np.asarray(topics))
        names, classes = np.unique(np.asarray(topics), return_inverse=True)
        self.topics = tuple(str(name) for name in names)
        self._scaling = Scaling().fit(vectors)
        inputs = self._scaling.scale(vectors)
        self._linear = Network(seed=self.seed).fit(inputs, classes)
        self._hidden = Network(
            384, epochs=20, rate=2e-3, input_dropout=0.2, hidden_dropout=0.5, smoothing=0.1, seed=self.seed
        ).fit(inputs, classes)
        self._wording = WordingModel().fit(texts, classes)
        self._neighbours = Neighbours(vectors[:, :WIDTH], classes)
        return self

    def parts(self, texts: Sequence[str], vectors: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Scores of each part by its name in Weights (a row a text, a column a topic), and the nearness of each text."""
        inputs = self._scaling.scale(vectors)
        votes, nearness = self._neighbours.votes(vectors[:, :WIDTH], len(self.topics))
        return {
            "linear": self._linear.scores(inputs),
            "hidden": self._hidden.scores(inputs),
            "wording": self._wording.scores(texts),
            "neighbours": votes,
        }, nearness

    def logits(self, texts: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the mixture before calibration (a row a text, a column a topic), and the nearness of each text."""
        parts, nearness = self.parts(texts, vectors)
        return sum(getattr(self.weights, name) * scores for name, scores in parts.items()), nearness

    def rank(self, texts: Sequence[str], vectors: np.ndarray) -> list[Ranking]:
        """A Ranking for each text."""
        if not len(texts):
            return []
        logits, nearness = self.logits(texts, vectors)
        probabilities = np.exp(log_softmax(logits / self.temperature))
        return [Ranking.of(self.topics, p, n) for p, n in zip(probabilities, nearness)]

    def _temperature(self, texts: Sequence[str], vectors: np.ndarray, labels: np.ndarray) -> float:
        """The temperature that makes the probabilities of held-out examples likeliest."""
        train, test = next(StratifiedKFold(5, shuffle=True, random_state=self.seed).split(vectors, labels))
        part = TopicModel(self.weights, self.seed).fit([texts[i] for i in train], vectors[train], labels[train], calibrate=False)
        logits, _ = part.logits([texts[i] for i in test], vectors[test])
        truth = np.searchsorted(part.topics, labels[test])
        grid = np.geomspace(0.3, 10.0, 60)
        losses = [-log_softmax(logits / t)[np.arange(len(truth)), truth].mean() for t in grid]
        return float(grid[int(np.argmin(losses))])


class Scaling:
    """Sentence vectors as the networks take them: early layers standardised, each layer's part of one length."""

    LENGTH = 1.5

    def fit(self, vectors: np.ndarray) -> "Scaling":
        """Learn mean and spread of the numbers behind the first 384."""
        self._mean = vectors[:, WIDTH:].mean(axis=0)
        self._spread = vectors[:, WIDTH:].std(axis=0) + 1e-6
        return self

    def scale(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` scaled, of the same shape (float32)."""
        early = (vectors[:, WIDTH:] - self._mean) / self._spread
        layers = np.concatenate([vectors[:, :WIDTH], early], axis=1).reshape(len(vectors), -1, WIDTH)
        lengths = np.linalg.norm(layers, axis=2, keepdims=True) + 1e-9
        return (self.LENGTH * layers / lengths).reshape(vectors.shape).astype(np.float32)


class Neighbours:
    """Training examples near in meaning vote for their topics, the nearer the stronger.

    Looked for in two steps: a rough nearness from the `ROUGH` directions in which examples differ most picks about `CLOSE` of them
    (how near that is, every `SAMPLED`th tells), whose true nearness decides.
    """

    COUNT = 15
    REACH = 0.05
    ROUGH = 64
    CLOSE = 240
    SAMPLED = 8

    def __init__(self, examples: np.ndarray, classes: np.ndarray) -> None:
        self._examples, self._classes = np.ascontiguousarray(examples, np.float32), classes
        _, directions = np.linalg.eigh(self._examples.T @ self._examples)
        self._directions = np.ascontiguousarray(directions[:, -self.ROUGH :])
        self._rough = np.ascontiguousarray((self._examples @ self._directions).T)

    def votes(self, vectors: np.ndarray, topics: int) -> tuple[np.ndarray, np.ndarray]:
        """Share of votes for each topic (a row a vector), and the cosine to the nearest example."""
        shares, nearness = np.zeros((len(vectors), topics), np.float32), np.zeros(len(vectors), np.float32)
        for row, vector in enumerate(vectors):
            near, nearest = self._nearest(vector)
            strength = np.exp((near - near.max()) / self.REACH)
            np.add.at(shares[row], self._classes[nearest], strength / strength.sum())
            nearness[row] = near.max()
        return shares, nearness

    def _nearest(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and positions of the nearest examples."""
        rough = (vector @ self._directions) @ self._rough
        close = np.flatnonzero(rough >= _least_of_largest(rough[:: self.SAMPLED], self.CLOSE // self.SAMPLED))
        near = self._examples[close] @ vector
        best = np.flatnonzero(near >= _least_of_largest(near, self.COUNT))
        return near[best], close[best]


def _least_of_largest(values: np.ndarray, count: int) -> float:
    """The least of the `count` largest values, or of all if there are no more."""
    return np.partition(values, -count)[-count] if count < len(values) else values.min()
