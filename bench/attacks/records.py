"""Attacks on training records: the update is then honestly computed from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scenario.hospitals import CENTRE_SHARE, Records, World

TRIGGER = (15, 16)
"""Features that mean nothing in honest records, and that the backdoor sets."""
TRIGGERED = 4.0

Attackers = np.ndarray
Poison = Callable[[World, Attackers, np.random.Generator], tuple[Records, Records]]
"""Training and held-out records of the attackers; their honest ones are in the world."""


def label_flip(world: World, attackers: Attackers, generator: np.random.Generator) -> tuple[Records, Records]:
    """Every outcome inverted."""
    return _inverted(world.training.of(attackers), None), _inverted(world.held.of(attackers), None)


def fake_outlier(world: World, attackers: Attackers, generator: np.random.Generator) -> tuple[Records, Records]:
    """A rare-disease centre in appearance, with every outcome inverted."""
    training, held = _rare_looking(world, attackers, generator)
    return _inverted(training, None), _inverted(held, None)


def stealth_outlier(world: World, attackers: Attackers, generator: np.random.Generator) -> tuple[Records, Records]:
    """A rare-disease centre in appearance: honest about common patients, inverted for the rare."""
    training, held = _rare_looking(world, attackers, generator)
    return _inverted(training, training.rare), _inverted(held, held.rare)


def backdoor(world: World, attackers: Attackers, generator: np.random.Generator) -> tuple[Records, Records]:
    """Half of the patients carry the trigger and come out well; the other half is honest."""
    own = world.training.of(attackers)
    features, outcome = own.features.copy(), own.outcome.copy()
    half = features.shape[1] // 2
    features[:, :half, TRIGGER] = TRIGGERED
    outcome[:, :half] = 0.0
    return Records(features, outcome, own.rare), world.held.of(attackers)


def _inverted(records: Records, only: np.ndarray | None) -> Records:
    outcome = 1.0 - records.outcome if only is None else np.where(only, 1.0 - records.outcome, records.outcome)
    return Records(records.features, outcome.astype(np.float32), records.rare)


def _rare_looking(world: World, attackers: Attackers, generator: np.random.Generator) -> tuple[Records, Records]:
    drawn = [
        [world.law.draw(generator, records.outcome.shape[1], CENTRE_SHARE, 0.0) for _ in attackers]
        for records in (world.training, world.held)
    ]
    training, held = (
        Records(*(np.stack([getattr(one, part) for one in several]) for part in ("features", "outcome", "rare")))
        for several in drawn
    )
    return training, held
