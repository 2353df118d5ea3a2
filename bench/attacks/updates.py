"""Attacks on updates: what the attackers send, knowing what everybody honest sends (which nobody does under GRAM)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What the attackers know when they choose.

    own     [f, d]; their updates as trained on their records
    honest  [n - f, d]; those of the others
    best    the one of `honest` that helped most so far; `outlier` the one that is unlike the others (both rows)
    last    [d]; the last move of the global model
    """

    own: Singles
    honest: Singles
    best: int
    outlier: int
    last: Singles
    generator: np.random.Generator


Craft = Callable[[Sight], Singles]


def as_trained(sight: Sight) -> Singles:
    """Send what was trained; the harm is in the records."""
    return sight.own


def sign_flip(sight: Sight) -> Singles:
    """The opposite, four times as long."""
    return -4.0 * sight.own


def gaussian(sight: Sight) -> Singles:
    """Noise, ten times as long as an honest update."""
    length = float(np.linalg.norm(sight.honest, axis=1).mean())
    noise = sight.generator.normal(0.0, 1.0, sight.own.shape)
    return (noise * 10.0 * length / np.sqrt(sight.own.shape[1])).astype(np.float32)


def alie(sight: Sight) -> Singles:
    """A little is enough: as far from the mean as the crowd still covers (Baruch et al. 2019)."""
    n, f = len(sight.own) + len(sight.honest), len(sight.own)
    supporters = n // 2 + 1 - f
    z = max(NormalDist().inv_cdf((n - f - supporters) / (n - f)), 0.3)
    return _all_alike(sight, sight.honest.mean(0) - z * sight.honest.std(0))


def inner_product(sight: Sight) -> Singles:
    """Inner-product manipulation: half of the mean, backwards (Xie et al. 2020)."""
    return _all_alike(sight, -0.5 * sight.honest.mean(0))


def min_max(sight: Sight) -> Singles:
    """As far as the largest distance between honest updates hides (Shejwalkar, Houmansadr 2021)."""
    return _farthest(sight, lambda squares: squares.max(), _spread(sight.honest).max())


def min_sum(sight: Sight) -> Singles:
    """As far as the largest sum of distances between honest updates hides (same source)."""
    return _farthest(sight, lambda squares: squares.sum(), _spread(sight.honest).sum(1).max())


def mimic(sight: Sight) -> Singles:
    """Copy one ordinary honest site (Karimireddy et al. 2022)."""
    return _all_alike(sight, sight.honest[len(sight.honest) // 2])


def copy_best(sight: Sight) -> Singles:
    """Copy the site that helped most so far."""
    return _all_alike(sight, sight.honest[sight.best])


def copy_outlier(sight: Sight) -> Singles:
    """Copy the rare-disease centre."""
    return _all_alike(sight, sight.honest[sight.outlier])


def free_rider(sight: Sight) -> Singles:
    """Replay the last move with a little noise; work nothing."""
    noise = sight.generator.normal(0.0, 1e-4, sight.own.shape)
    return (sight.last[None] + noise).astype(np.float32)


def replacement(sight: Sight) -> Singles:
    """Five times as long, so that the average becomes the attackers' model (Bagdasaryan et al. 2020)."""
    return 5.0 * sight.own


def hidden(sight: Sight) -> Singles:
    """As trained, with as much noise again, so that the attackers are less alike: half the strength, harder to link."""
    noise = sight.generator.normal(0.0, 1.0, sight.own.shape) / np.sqrt(sight.own.shape[1])
    return (sight.own + noise * np.linalg.norm(sight.own, axis=1, keepdims=True)).astype(np.float32)


def sybil(sight: Sight) -> Singles:
    """One hospital under several names: its own honest update from each, a little noise apart."""
    noise = sight.generator.normal(0.0, 1e-4, sight.own.shape)
    return (sight.own[:1] + noise).astype(np.float32)


def _all_alike(sight: Sight, update: Singles) -> Singles:
    return np.repeat(update[None].astype(np.float32), len(sight.own), axis=0)


def _spread(updates: Singles) -> npt.NDArray[np.float64]:
    products = updates.astype(np.float64) @ updates.astype(np.float64).T
    squares = np.diag(products)
    return np.maximum(squares[:, None] + squares - 2.0 * products, 0.0)


def _farthest(sight: Sight, measure: Callable[[Singles], float], limit: float) -> Singles:
    mean, away = sight.honest.mean(0), -sight.honest.std(0)
    low, high = 0.0, 20.0
    for _ in range(20):
        step = (low + high) / 2.0
        squares = ((mean + step * away - sight.honest) ** 2).sum(1)
        low, high = (step, high) if measure(squares) <= limit else (low, step)
    return _all_alike(sight, mean + low * away)
