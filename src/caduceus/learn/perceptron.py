"""A perceptron as a flat vector: its first weights and its predictions in numpy, its training where that pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from caduceus.kinds import Floats
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.fedavg import Course
from caduceus.learn.folds import keystream
from caduceus.learn.private.alone import blocks, filled
from caduceus.learn.spec import TANH


@final
@dataclass(frozen=True, slots=True)
class Perceptron:
    """Linear layers with an activation between them and one output, the log-odds; implements `fedavg.Network`.

    The vector holds layer after layer the weight matrix (outputs x inputs, row by row) and the intercepts: the
    order in which torch lists the parameters of such a module.

    hidden      widths of the hidden layers; () is logistic regression, which trains in numpy
    activation  relu or tanh
    """

    hidden: tuple[int, ...]
    activation: str

    def shapes(self, inputs: int) -> tuple[tuple[int, int], ...]:
        """(outputs, inputs) of every layer."""
        widths = (inputs, *self.hidden, 1)
        return tuple(zip(widths[1:], widths[:-1], strict=True))

    def parameters(self, inputs: int) -> int:
        """How many parameters."""
        return sum(outputs * (width + 1) for outputs, width in self.shapes(inputs))

    def opening(self, inputs: int, seed: int) -> Floats:
        """Uniform in +-1/sqrt(inputs of the layer), torch's own rule for linear layers; zeros if there is one layer.

        returns  float64[parameters], from public words (`folds.keystream`)
        """
        if not self.hidden:
            return np.zeros(self.parameters(inputs))
        words = keystream(self.parameters(inputs), "opening", "", seed)
        uniform: Floats = (words >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0  # 53 bits onto [-1, 1)
        reach = [np.full(outputs * (width + 1), width**-0.5) for outputs, width in self.shapes(inputs)]
        return np.asarray(uniform * np.concatenate(reach), dtype=np.float64)

    def slopes(self, inputs: int) -> Floats:
        """float64[parameters]: 1 for weights, 0 for intercepts."""
        marks = [
            part for outputs, width in self.shapes(inputs) for part in (np.ones(outputs * width), np.zeros(outputs))
        ]
        return np.concatenate(marks)

    def layers(self, weights: Floats, inputs: int) -> list[tuple[Floats, Floats]]:
        """Weight matrix and intercepts of every layer: views of `weights`."""
        layers = []
        at = 0
        for outputs, width in self.shapes(inputs):
            matrix = weights[at : at + outputs * width].reshape(outputs, width)
            layers.append((matrix, weights[at + outputs * width : at + outputs * (width + 1)]))
            at += outputs * (width + 1)
        return layers

    def log_odds(self, weights: Floats, matrix: Floats) -> Floats:
        """Predictions: float64[rows]."""
        signal = matrix
        layers = self.layers(weights, matrix.shape[1])
        for slopes, intercepts in layers[:-1]:
            signal = signal @ slopes.T + intercepts
            signal = np.tanh(signal) if self.activation == TANH else np.maximum(signal, 0.0)
        slopes, intercepts = layers[-1]
        return np.asarray(signal @ slopes[0] + intercepts[0])

    def clipped(self, weights: Floats, matrix: Floats, target: Floats, shares: Floats, clip: float) -> Floats:
        """The sum of all rows' gradients, each cut to Euclidean norm `clip` and then weighed: float64[parameters].

        A row's gradient is the same whoever else is there (see `private.alone`).
        """
        total = np.zeros(len(weights))
        for place in blocks(len(matrix)):
            rows, wanted, counted = (filled(part[place]) for part in (matrix, target, shares))
            total += self._clipped(weights, rows, wanted, counted, clip)
        return total

    def _clipped(self, weights: Floats, matrix: Floats, target: Floats, shares: Floats, clip: float) -> Floats:
        """The same for one block.

        No row's own gradient is ever written out: its norm in a layer is that of the row's input, with a 1 for the
        intercept, times that of the gradient at the layer's output (Goodfellow 2015), and the sum is one product per
        layer (Bu et al. 2023).
        """
        layers = self.layers(weights, matrix.shape[1])
        inputs = [matrix]
        for slopes, intercepts in layers[:-1]:
            signal = inputs[-1] @ slopes.T + intercepts
            inputs.append(np.tanh(signal) if self.activation == TANH else np.maximum(signal, 0.0))
        slopes, intercepts = layers[-1]
        slope = (sigmoid(inputs[-1] @ slopes[0] + intercepts[0]) - target)[:, None]
        outputs = [slope]
        for (slopes, _), signal in zip(layers[:0:-1], inputs[:0:-1], strict=True):
            bend = 1.0 - signal * signal if self.activation == TANH else (signal > 0).astype(np.float64)
            outputs.append((outputs[-1] @ slopes) * bend)
        outputs.reverse()
        squares = sum(
            ((given * given).sum(axis=1) + 1.0) * (back * back).sum(axis=1)
            for given, back in zip(inputs, outputs, strict=True)
        )
        # A row whose gradient is beyond float64 counts nothing, and the others as they would without it: whether, and
        # what, a site answers must not hang on one row.
        beyond = ~np.isfinite(squares)
        if beyond.any():
            inputs = [np.where(beyond[:, None], 0.0, given) for given in inputs]
            outputs = [np.where(beyond[:, None], 0.0, back) for back in outputs]
            squares = np.where(beyond, 0.0, squares)
        counted = shares * np.minimum(1.0, clip / np.maximum(np.sqrt(squares), 1e-300))
        parts = []
        for given, back in zip(inputs, outputs, strict=True):
            weighed = counted[:, None] * back
            parts += [(weighed.T @ given).ravel(), weighed.sum(axis=0)]
        return np.concatenate(parts)

    def train(self, weights: Floats, matrix: Floats, target: Floats, course: Course) -> Floats:
        """The change that a course of gradient descent makes: float64[parameters]."""
        if not self.hidden:
            return _train_linear(weights, matrix, target, course)
        # Importing torch costs more than a whole small job; only sites that train hidden layers pay for it.
        from caduceus.learn import torch_fedavg

        module = torch_fedavg.perceptron(matrix.shape[1], self.hidden, self.activation)
        return torch_fedavg.train(module, weights, matrix, target, course)


def _train_linear(weights: Floats, matrix: Floats, target: Floats, course: Course) -> Floats:
    extended = np.hstack([matrix, np.ones((len(matrix), 1))])
    current = weights.copy()
    shrink = np.full(len(weights), course.rate * course.ridge)
    shrink[-1] = 0.0
    for batch in course.batches:
        rows = extended[batch]
        error = sigmoid(rows @ current) - target[batch]
        current -= course.rate / len(batch) * (error @ rows) + shrink * current
    return current - weights
