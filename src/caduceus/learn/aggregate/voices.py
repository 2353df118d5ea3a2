"""Who takes part in an aggregate, and how much each counts in an average.

A *voice* is a site's weight in an average: its number of samples, capped, so that nobody buys the average with a
large claim. Judging (distances, neighbours, medians of coordinates) is one site, one vote, whatever the voices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats

Indices = npt.NDArray[np.intp]
"""Rows, counted from 0."""


def capped(counts: Floats, *, cap: float = 2.0) -> Floats:
    """Voices by capped sample count.

    counts   float64[n], samples that each site says it trained on, 0 for absent
    cap      no site counts as more than this many times the median count of those present, > 0
    returns  float64[n], samples, 0 for absent

    A site that claims any number of samples has at most `cap` times a median site's voice.

    Raises Misuse if a count is negative or not a number, Refused if nobody is present.
    """
    if not cap > 0:
        raise Misuse(f"voices: a cap is above 0, got {cap}")
    if not (counts >= 0).all():
        raise Misuse("voices: a sample count is negative or not a number")
    if not (counts > 0).any():
        raise Refused("voices: no site has any samples")
    return np.minimum(counts, cap * float(np.median(counts[counts > 0])))


@dataclass(frozen=True, slots=True, eq=False)
class Present:
    """The rows that take part.

    rows    intp[k], ascending
    voices  float64[k], positive, sum 1
    total   n, how many rows there are
    """

    rows: Indices
    voices: Floats
    total: int

    @property
    def count(self) -> int:
        """k."""
        return len(self.rows)

    def of(self, matrix: Floats) -> Floats:
        """The part of an n x n matrix that belongs to them: float64[k, k]."""
        return matrix[np.ix_(self.rows, self.rows)]

    def spread(self, weights: Floats) -> Floats:
        """Weights of the k rows as weights of all n, 0 for those who are absent: float64[n]."""
        wide = np.zeros(self.total)
        wide[self.rows] = weights
        return wide

    def average(self, chosen: Indices) -> Floats:
        """Weights of the average of some of the k rows, by voice: float64[n]."""
        weights = np.zeros(self.count)
        weights[chosen] = self.voices[chosen]
        return self.spread(weights / weights.sum())


def present(gram: Floats, voices: Floats | None = None) -> Present:
    """Who takes part, by voices and by the matrix itself.

    gram    float64[n, n], inner products; a row whose own product is not finite is absent, so that no site can stop
            a round with an update that is not a number
    voices  float64[n], >= 0; 0 for a row that has no say: an absent site, a reference; None: all rows, alike

    Raises Misuse if the matrix is not square, does not fit the voices, or is not finite between two rows that are;
    Refused if nobody is left.
    """
    total = len(gram)
    if gram.shape != (total, total):
        raise Misuse(f"inner products: expected a square matrix, got {gram.shape}")
    if voices is None:
        voices = np.ones(total)
    if voices.shape != (total,) or not (voices >= 0).all() or not np.isfinite(voices).all():
        raise Misuse(f"voices: expected {total} finite numbers, none negative")
    rows = np.flatnonzero((voices > 0) & np.isfinite(np.diagonal(gram)))
    if not len(rows):
        raise Refused("nobody to aggregate: every row is absent or not finite")
    if not np.isfinite(gram[np.ix_(rows, rows)]).all():
        raise Misuse("inner products: not finite between rows whose own products are")
    return Present(rows, voices[rows] / voices[rows].sum(), total)
