"""What a site says of a model, stratum by stratum: how wrong it is on rows that it did not learn from, and which way
would make it better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caduceus.kinds import Floats
from caduceus.learn.fedavg import Network
from caduceus.learn.judged.opened import UNKNOWN

LEAST = 8
"""Held-out records of a stratum, fewer than which nothing is said about."""

_COARSE = 1000
"""Losses are told in this part of one: finer differences are a single record's."""

_MILLION = 1_000_000
_WORST = 50.0  # of a reported loss: what a model that is sure and wrong has, and no more
_ROW = 1e3  # a row's gradient is cut to this norm; it is in the public model's units, where features have deviation 1


def slopes(
    network: Network, weights: Floats, matrix: Floats, target: Floats, stratum: npt.NDArray[np.int64], count: int
) -> Floats:
    """The gradients of the mean logistic loss of every stratum, each of length one: float64[count, parameters].

    matrix   float64[rows, inputs], standardised, of held-out rows
    target   float64[rows]
    stratum  int64[rows], below `count`
    returns  zeros for a stratum of fewer than `LEAST` rows, or without any slope

    Reveals, as rows that are shared out and multiplied: which updates help this party's patients of a stratum.
    """
    found = np.zeros((count, len(weights)))
    for part in range(count):
        rows = stratum == part
        if rows.sum() < LEAST:
            continue
        every = np.full(int(rows.sum()), 1.0 / rows.sum())
        slope = network.clipped(weights, matrix[rows], target[rows], every, _ROW)
        norm = float(np.linalg.norm(slope))
        if np.isfinite(norm) and norm > 0:
            found[part] = slope / norm
    return found


def losses(log_odds: Floats, target: Floats, stratum: npt.NDArray[np.int64], count: int) -> tuple[int, ...]:
    """The mean logistic loss of every stratum in millionths, coarsely; `UNKNOWN` for one of fewer than `LEAST` rows.

    log_odds  float64[rows]

    Reveals, in public: how well the model serves this party's held-out patients of a stratum, as one mean.
    """
    each = np.logaddexp(0.0, log_odds) - target * log_odds
    told = []
    for part in range(count):
        rows = stratum == part
        if rows.sum() < LEAST:
            told.append(UNKNOWN)
            continue
        mean = min(float(np.nan_to_num(each[rows], nan=_WORST, posinf=_WORST).mean()), _WORST)
        told.append(round(mean * _COARSE) * (_MILLION // _COARSE))
    return tuple(told)
