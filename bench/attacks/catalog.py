"""The attacks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attacks import records, updates


@dataclass(frozen=True, slots=True)
class Attack:
    """One of them.

    poison  what it does to records; None: nothing
    craft   what it sends
    lies    the strata about which its evaluators lie: they vouch for the attackers' mean update
    """

    poison: records.Poison | None
    craft: updates.Craft
    lies: tuple[int, ...] = (0, 1)


NONE = "none"

ATTACKS: Mapping[str, Attack] = {
    "label flip": Attack(records.label_flip, updates.as_trained),
    "sign flip": Attack(None, updates.sign_flip),
    "gaussian": Attack(None, updates.gaussian),
    "alie": Attack(None, updates.alie),
    "inner product": Attack(None, updates.inner_product),
    "min-max": Attack(None, updates.min_max),
    "min-sum": Attack(None, updates.min_sum),
    "mimic": Attack(None, updates.mimic),
    "fake outlier": Attack(records.fake_outlier, updates.as_trained),
    "stealth outlier": Attack(records.stealth_outlier, updates.as_trained, lies=(1,)),
    "backdoor": Attack(records.backdoor, updates.replacement),
    "hidden backdoor": Attack(records.backdoor, updates.hidden),
    "free-rider": Attack(None, updates.free_rider),
    "sybil": Attack(None, updates.sybil),
    "copy the best": Attack(None, updates.copy_best),
    "copy the outlier": Attack(None, updates.copy_outlier),
}
"""Four hospitals do one of these, and `none` is nobody."""
