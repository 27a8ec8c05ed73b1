"""A small neural network in numpy: softmax regression, with a hidden layer if wanted."""

from __future__ import annotations

import numpy as np


class Network:
    """Inputs -> one score a class; trained by Adam on cross-entropy with smoothed labels.

    Parameters
    ----------
    hidden: units of the hidden layer (ReLU); 0 for none, which is multinomial logistic regression.
    epochs: times every example is seen; more where there are so few examples that this makes under `LEAST_STEPS` steps.
    rate: first learning rate, falling to nothing at the end.
    input_dropout, hidden_dropout: share of numbers left out at random in training.
    smoothing: share of each label spread over all classes.
    """

    BATCH = 256
    LEAST_STEPS = 600
    DECAY = 1e-4

    def __init__(
        self,
        hidden: int = 0,
        epochs: int = 30,
        rate: float = 1e-2,
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        smoothing: float = 0.05,
        seed: int = 7,
    ) -> None:
        self.hidden, self.epochs, self.rate, self.seed = hidden, epochs, rate, seed
        self.input_dropout, self.hidden_dropout, self.smoothing = input_dropout, hidden_dropout, smoothing

    def fit(self, inputs: np.ndarray, classes: np.ndarray) -> "Network":
        """Learn from `inputs` (a row an example, float32) and the number of each example's class, counted from 0."""
        random = np.random.default_rng(self.seed)
        examples, width = inputs.shape
        count = int(classes.max()) + 1
        self._weights = self._start(random, width, count)
        targets = np.full((examples, count), self.smoothing / count, np.float32)
        targets[np.arange(examples), classes] += 1 - self.smoothing
        steps_an_epoch = -(-examples // self.BATCH)
        epochs = max(self.epochs, -(-self.LEAST_STEPS // steps_an_epoch))
        adam = Adam(self._weights, self.rate, epochs * steps_an_epoch, self.DECAY)
        for _ in range(epochs):
            order = random.permutation(examples)
            for start in range(0, examples, self.BATCH):
                rows = order[start : start + self.BATCH]
                adam.step(self._gradients(inputs[rows], targets[rows], random))
        return self

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        """Log probability of each class, a row an input."""
        matrix, shift = self._weights[-2:]
        if self.hidden:
            inputs = np.maximum(inputs @ self._weights[0] + self._weights[1], 0)
        return log_softmax(inputs @ matrix + shift)

    def _start(self, random: np.random.Generator, width: int, count: int) -> list[np.ndarray]:
        sizes = [width, self.hidden, count] if self.hidden else [width, count]
        weights = []
        for rows, columns in zip(sizes, sizes[1:]):
            spread = np.sqrt((0.1 if columns == count else 2.0) / rows)
            weights += [(spread * random.standard_normal((rows, columns))).astype(np.float32), np.zeros(columns, np.float32)]
        return weights

    def _gradients(self, inputs: np.ndarray, targets: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
        inputs = inputs * _kept(random, inputs.shape, self.input_dropout)
        units = inputs
        if self.hidden:
            units = np.maximum(inputs @ self._weights[0] + self._weights[1], 0)
            units *= _kept(random, units.shape, self.hidden_dropout)
        error = (np.exp(log_softmax(units @ self._weights[-2] + self._weights[-1])) - targets) / len(inputs)
        gradients = [units.T @ error, error.sum(axis=0)]
        if self.hidden:
            # A unit that is off, or left out, passes nothing back; one that is kept passes what it was scaled by.
            back = (error @ self._weights[-2].T) * (units > 0) / np.float32(1 - self.hidden_dropout)
            gradients = [inputs.T @ back, back.sum(axis=0), *gradients]
        return gradients


class Adam:
    """Adam with decoupled weight decay and a learning rate falling linearly to nothing; changes `weights` in place."""

    def __init__(self, weights: list[np.ndarray], rate: float, steps: int, decay: float) -> None:
        self._weights, self._rate, self._steps, self._decay = weights, rate, steps, decay
        self._means = [np.zeros_like(w) for w in weights]
        self._squares = [np.zeros_like(w) for w in weights]
        self._done = 0

    def step(self, gradients: list[np.ndarray]) -> None:
        """One step down `gradients`."""
        self._done += 1
        rate = np.float32(self._rate * (1 - self._done / (self._steps + 1)))
        mean_part, square_part = np.float32(1 - 0.9**self._done), np.float32(1 - 0.999**self._done)
        for weight, mean, square, gradient in zip(self._weights, self._means, self._squares, gradients):
            mean += np.float32(0.1) * (gradient - mean)
            square += np.float32(0.001) * (gradient * gradient - square)
            if weight.ndim > 1:
                weight *= np.float32(1 - rate * self._decay)
            weight -= rate * (mean / mean_part) / (np.sqrt(square / square_part) + np.float32(1e-8))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Logarithm of the row-wise softmax."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _kept(random: np.random.Generator, shape: tuple[int, ...], left_out: float) -> np.ndarray | np.float32:
    if not left_out:
        return np.float32(1)
    return (random.random(shape, dtype=np.float32) >= left_out) / np.float32(1 - left_out)
