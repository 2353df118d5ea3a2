"""The rules under test, each alone and behind bucketing, as one step of a server that sees all updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

from caduceus.learn.aggregate.bucketing import buckets
from caduceus.learn.aggregate.centres import centred_clipping, geometric_median
from caduceus.learn.aggregate.coordinates import median
from caduceus.learn.aggregate.gram import apply, gram, mixed_rows
from caduceus.learn.aggregate.selection import krum
from worlds.protocol import Rule
from worlds.shards import Singles

BUCKET = 2
"""Updates per bucket."""
CLIPS = 3
"""Steps of clipping in a round, from the last aggregate."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a rule may depend on.

    faults    how many hostile updates it must stand; bucketing leaves as many
    momentum  of the workers: updates are about 1 / (1 - momentum) times as long as gradients, and so is a radius
    clipped   gets the share of updates outside the radius, once a round
    """

    faults: int
    momentum: float
    clipped: list[float]


def _mean(given: Given, updates: Singles, last: Singles) -> Singles:
    return np.asarray(updates.mean(0))


def _krum(given: Given, updates: Singles, last: Singles) -> Singles:
    return _single(apply(krum(gram(updates), given.faults), updates))


def _median(given: Given, updates: Singles, last: Singles) -> Singles:
    return _single(median(updates))


def _geometric_median(given: Given, updates: Singles, last: Singles) -> Singles:
    return _single(apply(geometric_median(gram(updates)), updates))


def _clipping(given: Given, updates: Singles, last: Singles, *, radius: float) -> Singles:
    reach = radius / (1.0 - given.momentum)
    given.clipped.append(float((np.linalg.norm(updates - last, axis=1) > reach).mean()))
    rows = np.concatenate([updates, last[None]])
    return _single(apply(centred_clipping(gram(rows), len(updates), radius=reach, steps=CLIPS), rows))


def _single(row: np.ndarray) -> Singles:
    return np.asarray(row, dtype=np.float32)


MEAN, KRUM, MEDIAN, GEOMETRIC, CLIPPING, TIGHT = (
    "mean",
    "Krum",
    "median",
    "geometric median",
    "clipping at 10",
    "clipping at 1",
)
RULES: Mapping[str, Callable[[Given, Singles, Singles], Singles]] = {
    MEAN: _mean,
    KRUM: _krum,
    MEDIAN: _median,
    GEOMETRIC: _geometric_median,
    CLIPPING: partial(_clipping, radius=10.0),
    TIGHT: partial(_clipping, radius=1.0),
}
"""The paper's five (its radius is 10), and a radius that does clip here."""


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """A rule, with or without bucketing before it."""

    rule: str
    bucketed: bool

    def __str__(self) -> str:
        return f"{self.rule}, bucketing" if self.bucketed else self.rule

    def server(self, given: Given, seed: int) -> Rule:
        """The server's step; buckets are drawn anew every round, from the seed."""
        rule, rounds = RULES[self.rule], count()

        def step(updates: Singles, last: Singles) -> Singles:
            if self.bucketed:
                groups = buckets(f"{seed} {next(rounds)}".encode(), np.ones(len(updates)), BUCKET)
                updates = _single(mixed_rows(groups, updates))
            return rule(given, updates, last)

        return step


ARMS = tuple(Arm(rule, bucketed) for rule in RULES for bucketed in (False, True))
