"""What a site gives to a judged round, and what becomes known of it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.crypto.projections import LARGEST_NORM
from caduceus.errors import Misuse
from caduceus.kinds import Floats

WHOLE = 1 << 16
"""Weights are whole numbers of this part of one."""

STEPS = LARGEST_NORM
"""No vector is longer than so many steps of the fixed point: what the check of its length takes for granted."""

UNKNOWN = -1
"""In a report: nothing is said."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Given:
    """What one party gives to a round.

    rows    float64[rows, length], each of Euclidean norm at most the round's bound; they are shared among the
            aggregators, and nobody sees them
    report  one whole number per stratum, public; `UNKNOWN` where nothing is said
    """

    rows: Floats
    report: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lots:
    """How many rows everybody gives to a round.

    site       of a site, >= 1; the first one is what is weighed and summed
    evaluator  of an evaluator that is no site; 0 if none is asked
    """

    site: int
    evaluator: int


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """What a round opens before its sum: the same numbers for the aggregators, the coordinator and the auditor.

    lots     rows per party
    sites    how many of the parties are sites; they come first
    gram     float64[rows, rows], inner products in squared model units: the rows of party 0, of party 1, ..., and
             last the public row, if the round has one; zeros where a party is absent
    present  bool[parties]
    reports  int64[parties, strata]
    """

    lots: Lots
    sites: int
    gram: Floats
    present: npt.NDArray[np.bool_]
    reports: npt.NDArray[np.int64]

    @property
    def evaluators(self) -> int:
        """Evaluators that are no sites."""
        return len(self.present) - self.sites

    def of_sites(self, row: int) -> npt.NDArray[np.int64]:
        """Where the sites' rows of one kind stand in the matrix: int64[sites].

        row  0 is the one that is weighed
        """
        if not 0 <= row < self.lots.site:
            raise Misuse(f"Opened: a site gives {self.lots.site} rows, there is no row {row}")
        return np.arange(self.sites) * self.lots.site + row

    def of_evaluators(self, row: int) -> npt.NDArray[np.int64]:
        """The same for evaluators: int64[evaluators]."""
        if not 0 <= row < self.lots.evaluator:
            raise Misuse(f"Opened: an evaluator gives {self.lots.evaluator} rows, there is no row {row}")
        return self.sites * self.lots.site + np.arange(self.evaluators) * self.lots.evaluator + row

    @property
    def public(self) -> int:
        """Where the public row stands."""
        at = self.sites * self.lots.site + self.evaluators * self.lots.evaluator
        if at != len(self.gram) - 1:
            raise Misuse("Opened: this round has no public row")
        return at


LEAST_MIXED = 3.0
"""A sum counts at least as if so many sites weighed the same (Kish's effective number); fewer would be seen."""


def mixes(weights: npt.NDArray[np.int64]) -> bool:
    """Whether a weighted sum hides each of its summands behind others, or is none at all.

    weights  int64[sites]

    The effective number is the square of the sum over the sum of squares (Kish 1965, section 8.2).
    """
    total, squares = float(weights.sum()), float((weights.astype(np.float64) ** 2).sum())
    return total == 0 or total * total >= LEAST_MIXED * squares


def mixed(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same weights, none above the greatest number for which the sum mixes: int64[sites].

    weights  int64[sites], parts of `WHOLE`

    returns  all zeros if fewer than three weigh anything at all

    Otherwise a single large hospital could keep every sum from being opened.
    """
    if mixes(weights):
        return weights
    third = int(np.sort(weights)[-3]) if len(weights) >= LEAST_MIXED else 0
    if third == 0:
        return np.zeros_like(weights)
    # With the third as the limit three are equal; the greater the limit, the fewer count.
    too_much = bisect_left(range(third, WHOLE + 1), True, key=lambda most: not mixes(np.minimum(weights, most)))
    return np.minimum(weights, third + too_much - 1)


def whole(weights: Floats) -> npt.NDArray[np.int64]:
    """Weights as parts of `WHOLE`: int64[sites], rounded so that they never add up to more than was asked for.

    weights  float64[sites], >= 0, adding up to at most 1

    Raises Misuse if they are anything else.
    """
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() <= 1 + 1e-9):
        raise Misuse("whole: weights are at least 0 and add up to at most 1")
    return np.floor(weights * WHOLE + 1e-6).astype(np.int64)
