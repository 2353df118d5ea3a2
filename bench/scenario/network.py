"""A perceptron with one hidden layer as a flat vector, for any number of models at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]

HIDDEN = 32


def size(inputs: int, hidden: int = HIDDEN) -> int:
    """How many parameters."""
    return (inputs + 2) * hidden + 1


def opening(generator: np.random.Generator, inputs: int, hidden: int = HIDDEN) -> Singles:
    """First weights after He et al. 2015; intercepts 0."""
    first = generator.normal(0.0, (2.0 / inputs) ** 0.5, inputs * hidden)
    last = generator.normal(0.0, (1.0 / hidden) ** 0.5, hidden)
    return np.concatenate([first, np.zeros(hidden), last, np.zeros(1)]).astype(np.float32)


def log_odds(model: Singles, features: Singles) -> Singles:
    """Predictions: [..., records] of models [..., parameters] on features [..., records, inputs]."""
    slopes, shifts, ends, end = _parts(model, features.shape[-1])
    hidden = np.maximum(features @ slopes + shifts[..., None, :], 0.0)
    return np.asarray((hidden @ ends[..., None])[..., 0] + end[..., None])


def gradients(model: Singles, features: Singles, outcome: Singles, weights: Singles) -> Singles:
    """Gradients of weighted log-losses.

    model     [..., parameters]
    features  [..., records, inputs]; outcome [..., records]
    weights   [..., k, records]; k weightings of the same records
    returns   [..., k, parameters]
    """
    inputs = features.shape[-1]
    slopes, shifts, ends, end = _parts(model, inputs)
    hidden = np.maximum(features @ slopes + shifts[..., None, :], 0.0)
    odds = (hidden @ ends[..., None])[..., 0] + end[..., None]
    error = (chance(odds) - outcome)[..., None, :] * weights
    back = ends[..., None, :] * (hidden > 0.0)
    parts = []
    for k in range(weights.shape[-2]):
        signal = error[..., k, :, None] * back
        first = np.swapaxes(features, -1, -2) @ signal
        last = (np.swapaxes(hidden, -1, -2) @ error[..., k, :, None])[..., 0]
        flat = first.reshape(*first.shape[:-2], -1)
        parts.append(np.concatenate([flat, signal.sum(-2), last, error[..., k, :].sum(-1)[..., None]], axis=-1))
    return np.stack(parts, axis=-2)


def losses(model: Singles, features: Singles, outcome: Singles, weights: Singles) -> Singles:
    """Weighted log-losses: [..., k]."""
    odds = log_odds(model, features)
    each = np.logaddexp(0.0, odds) - outcome * odds
    return np.asarray((each[..., None, :] * weights).sum(-1))


def chance(odds: Singles) -> Singles:
    """Probabilities from log-odds."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)))


def _parts(model: Singles, inputs: int) -> tuple[Singles, Singles, Singles, Singles]:
    hidden = (model.shape[-1] - 1) // (inputs + 2)
    first = inputs * hidden
    slopes = model[..., :first].reshape(*model.shape[:-1], inputs, hidden)
    return slopes, model[..., first : first + hidden], model[..., first + hidden : first + 2 * hidden], model[..., -1]
