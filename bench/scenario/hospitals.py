"""The synthetic hospitals: common patients everywhere, a rare disease in one centre, a different law for the rare.

Twenty features, of which fourteen matter. In the rare stratum every other risk factor acts the other way, so what is
learned from common patients misleads there; rare patients are recognised by their last three features. Every hospital
has its own shift of the features that matter. Outcomes are drawn, so no model is perfect (oracle about .85).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

FEATURES, MATTER, MARK = 20, 14, 17
SITES, RECORDS, HELD = 20, 300, 200
CENTRE = 0
"""The seat of the rare-disease centre."""
RARE_SHARE, CENTRE_SHARE = 0.03, 0.7
ANCHOR, ANCHOR_SHARE = 200, 0.2
STEEPNESS, MARKED = 3.0, 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Patients: features float32[..., records, 20]; outcome (0 or 1) float32, rare bool, both [..., records]."""

    features: Singles
    outcome: Singles
    rare: Flags

    def of(self, seats: npt.NDArray[np.int64]) -> Records:
        """Those of some hospitals."""
        return Records(self.features[seats], self.outcome[seats], self.rare[seats])


class Source(Protocol):
    """Where further patients come from: attackers dress up with them."""

    def draw(
        self, generator: np.random.Generator, records: int, share: float, shift: npt.NDArray[np.float64] | float
    ) -> Records:
        """Patients of one hospital; each is rare with probability `share`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """How outcomes follow from features, for common and for rare patients: float64[20] each."""

    common: npt.NDArray[np.float64]
    rare: npt.NDArray[np.float64]

    def draw(
        self, generator: np.random.Generator, records: int, share: float, shift: npt.NDArray[np.float64] | float
    ) -> Records:
        """Patients of one hospital; each is rare with probability `share`."""
        rare = generator.random(records) < share
        features = generator.normal(0.0, 1.0, (records, FEATURES)) + shift
        features[rare, MARK:] += MARKED
        odds = STEEPNESS * np.where(rare, features @ self.rare, features @ self.common)
        outcome = generator.random(records) < 1.0 / (1.0 + np.exp(-odds))
        return Records(features.astype(np.float32), outcome.astype(np.float32), rare)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything about one seed.

    law             where patients come from
    training, held  of the hospitals, [20, 300] and [20, 200]; an attacker's are replaced by what it uses
    root            [200] as common hospitals have them
    anchor          [200] with a fifth rare: what an independent evaluator has
    common, rare    for the figures: 6000 and 3000, seen by no rule
    """

    law: Source
    training: Records
    held: Records
    root: Records
    anchor: Records
    common: Records
    rare: Records


def build(seed: int) -> World:
    """The world of a seed; nobody attacks yet."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(0.0, 1.0, FEATURES)
    weights[MATTER:] = 0.0
    weights /= np.linalg.norm(weights)
    signs = np.ones(FEATURES)
    signs[:MATTER:2] = -1.0
    law = Law(weights, weights * signs)
    training, held = [], []
    for seat in range(SITES):
        share = CENTRE_SHARE if seat == CENTRE else RARE_SHARE
        shift = generator.normal(0.0, 0.25, FEATURES)
        shift[MATTER:] = 0.0
        training.append(law.draw(generator, RECORDS, share, shift))
        held.append(law.draw(generator, HELD, share, shift))
    common, rare = law.draw(generator, 6000, 0.0, 0.0), law.draw(generator, 3000, 1.0, 0.0)
    root, anchor = law.draw(generator, 200, RARE_SHARE, 0.0), law.draw(generator, ANCHOR, ANCHOR_SHARE, 0.0)
    return World(law, stack(training), stack(held), root, anchor, common, rare)


def stack(several: list[Records]) -> Records:
    """Hospitals (or worlds) side by side along a new first axis."""
    return Records(
        np.stack([one.features for one in several]),
        np.stack([one.outcome for one in several]),
        np.stack([one.rare for one in several]),
    )
