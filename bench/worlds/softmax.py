"""A perceptron with one hidden layer and a softmax, as a flat vector: gradients of many workers at once."""

from __future__ import annotations

import numpy as np

from worlds.shards import Singles, Whole

HIDDEN = 32


def opening(generator: np.random.Generator, inputs: int, classes: int) -> Singles:
    """First weights after He et al. 2015; intercepts 0."""
    first = generator.normal(0.0, (2.0 / inputs) ** 0.5, inputs * HIDDEN)
    last = generator.normal(0.0, (1.0 / HIDDEN) ** 0.5, HIDDEN * classes)
    return np.concatenate([first, np.zeros(HIDDEN), last, np.zeros(classes)]).astype(np.float32)


def scores(model: Singles, features: Singles, classes: int) -> Singles:
    """Logarithms of chances, up to a constant: float32[..., records, classes]."""
    slopes, shifts, ends, offsets = _parts(model, features.shape[-1], classes)
    hidden = np.maximum(features @ slopes + shifts, 0.0)
    return np.asarray(hidden @ ends + offsets)


def gradients(model: Singles, features: Singles, labels: Whole, classes: int) -> Singles:
    """Gradients of the mean log-loss, one per worker.

    features  [workers, batch, inputs]; labels [workers, batch]
    returns   [workers, parameters]
    """
    workers, batch, inputs = features.shape
    slopes, shifts, ends, offsets = _parts(model, inputs, classes)
    flat = features.reshape(workers * batch, inputs)
    hidden = np.maximum(flat @ slopes + shifts, 0.0)
    error = hidden @ ends + offsets
    error = np.exp(error - error.max(1, keepdims=True))
    error /= error.sum(1, keepdims=True)
    error[np.arange(len(error)), labels.ravel()] -= 1.0
    error /= np.float32(batch)
    back = ((error @ ends.T) * (hidden > 0.0)).reshape(workers, batch, HIDDEN)
    error, hidden = error.reshape(workers, batch, classes), hidden.reshape(workers, batch, HIDDEN)
    first = np.swapaxes(features, 1, 2) @ back
    last = np.swapaxes(hidden, 1, 2) @ error
    ones = np.ones(batch, np.float32)  # a product is faster than a sum along a middle axis
    parts = (first.reshape(workers, -1), ones @ back, last.reshape(workers, -1), ones @ error)
    return np.concatenate(parts, axis=1)


def _parts(model: Singles, inputs: int, classes: int) -> tuple[Singles, Singles, Singles, Singles]:
    a, b = inputs * HIDDEN, (inputs + 1) * HIDDEN
    c = b + HIDDEN * classes
    return model[:a].reshape(inputs, HIDDEN), model[a:b], model[b:c].reshape(HIDDEN, classes), model[c:]
