"""Bucketing: a rule sees averages of small random groups instead of single updates."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.aggregate.voices import Indices

_DOMAIN = b"caduceus bucketing v1"


def shuffled(seed: bytes, rows: Indices) -> Indices:
    """Rows in an order that everybody can recompute: by the SHA-256 of seed and row.

    seed  public, fixed after the updates were committed to, or attackers choose their company
    """
    return np.array(sorted(map(int, rows), key=lambda row: sha256(_DOMAIN + seed + row.to_bytes(4)).digest()), np.intp)


def buckets(seed: bytes, voices: Floats, size: int) -> Floats:
    """The averages of random groups, as a matrix: float64[m, n], rows sum to 1.

    voices  float64[n], >= 0; rows with 0 are in no group; averages are by voice
    size    sites per group, >= 1; the last group may be smaller: m = ceil(present / size)

    One hostile site spoils one group, so the rule that follows must stand as many faults, among fewer rows.
    Needs COHORT: the groups' sums are all that anybody sees; and from inner products (GRAM) it can be computed too.
    Breakdown: the rule's, divided by `size`.
    Raises Misuse if the size is below 1 or nobody is present.
    Source: Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR 2022,
    algorithm 1.
    """
    rows = np.flatnonzero(voices > 0)
    if size < 1 or not len(rows):
        raise Misuse(f"bucketing: groups have 1 site or more, and somebody is present; got {size}, {len(rows)} present")
    places = np.empty(len(voices), np.intp)
    places[shuffled(seed, rows)] = np.arange(len(rows)) // size
    matrix = np.zeros((-(-len(rows) // size), len(voices)))
    matrix[places[rows], rows] = voices[rows]
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))
