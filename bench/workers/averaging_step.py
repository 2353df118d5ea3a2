"""The local step of federated averaging that peers are given: numpy only, the maths and the batches of our own job.

The course's folder holds `course.json` and, per site, `site-N.npz` with a standardised matrix, targets, and the
batches of every round.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@functools.cache
def course(folder: str) -> dict[str, Any]:
    """What is the same for all sites: sites, names, rounds, parameters, rate, ridge."""
    read: dict[str, Any] = json.loads((Path(folder) / "course.json").read_text())
    return read


@functools.cache
def site(folder: str, number: int) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """A site's matrix with a column of ones, its targets and its batches; read once per process."""
    with np.load(Path(folder) / f"site-{number}.npz") as held:
        matrix = held["matrix"]
        return np.hstack([matrix, np.ones((len(matrix), 1))]), held["target"], held["batches"]


def step(folder: str, number: int, round: int, weights: Floats) -> tuple[Floats, int]:
    """One epoch of gradient descent on a site's rows.

    round    from 0
    weights  float64[parameters], the intercept last; not changed
    returns  the new weights, and the number of rows that they come from
    """
    rate, ridge = course(folder)["rate"], course(folder)["ridge"]
    matrix, target, batches = site(folder, number)
    weights = np.array(weights, np.float64)
    shrink = np.full(len(weights), rate * ridge)
    shrink[-1] = 0.0
    for batch in batches[round]:
        chosen = batch[batch >= 0]
        rows = matrix[chosen]
        error = 1.0 / (1.0 + np.exp(-(rows @ weights))) - target[chosen]
        weights = weights - rate / len(chosen) * (error @ rows) - shrink * weights
    return weights, len(matrix)
