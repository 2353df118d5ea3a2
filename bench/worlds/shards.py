"""Records dealt out to workers, alike or sorted by class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

FIGURES = 2
"""How well a model does overall, and on the minority."""

Judge = Callable[[Singles], tuple[float, float]]
"""Class scores float32[held, classes] to those two figures, each in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """What honest workers train on, one behind the other.

    features  float32[records, inputs]; labels int64[records]
    sizes     int64[workers], each >= 1, summing to records: worker 0 has the first `sizes[0]` records, and so on
    held      float32[held, inputs], for the figures; no worker has them
    """

    features: Singles
    labels: Whole
    sizes: Whole
    held: Singles
    judge: Judge
    classes: int

    def draw(self, generator: np.random.Generator, batch: int) -> tuple[Singles, Whole]:
        """A batch per worker, with replacement: float32[workers, batch, inputs], int64[workers, batch]."""
        starts = np.cumsum(self.sizes) - self.sizes
        rows = starts[:, None] + (generator.random((len(self.sizes), batch)) * self.sizes[:, None]).astype(np.int64)
        return self.features[rows], self.labels[rows]

    def draw_alike(self, generator: np.random.Generator, workers: int, batch: int) -> tuple[Singles, Whole]:
        """A batch per attacker, each from everybody's records."""
        rows = generator.integers(0, len(self.labels), (workers, batch))
        return self.features[rows], self.labels[rows]


def dealt(labels: Whole, workers: int, generator: np.random.Generator, *, alike: bool) -> tuple[Whole, Whole]:
    """In which order records lie, and how many each worker gets (equal parts, to one record).

    alike  shuffled before they are cut into parts; else sorted by class, so that most workers have one class only
    """
    shuffled = generator.permutation(len(labels))
    order = shuffled if alike else shuffled[np.argsort(labels[shuffled], kind="stable")]
    ends = np.linspace(0, len(labels), workers + 1).round().astype(np.int64)
    return order, np.diff(ends)
