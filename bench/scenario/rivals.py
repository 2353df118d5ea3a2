"""The rules and reward schemes that the mechanism is compared with, as rules of the scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from attacks.updates import Singles
from caduceus.learn.aggregate import rules as aggregate
from scenario import network
from scenario.hospitals import SITES
from scenario.rounds import ATTACKERS, Answer, Opened, Rule

Floats = npt.NDArray[np.float64]

FAULTS = len(ATTACKERS)
NOTHING = np.zeros(SITES)
EQUAL = np.full(SITES, 1.0 / SITES)
NO_ROOTS = np.zeros(2)


def by_gram(name: str) -> Rule:
    """A rule of `learn.aggregate` on the updates' Gram matrix; everybody with a weight is paid by it."""
    weigh = aggregate.rule_named(name).weigh
    assert weigh is not None

    def rule(opened: Opened) -> Answer:
        weights = weigh(opened.seen.products, aggregate.Setting(faults=FAULTS))
        return Answer(weights, np.maximum(weights, 0.0), NO_ROOTS)

    return rule


def by_root(root: int) -> Rule:
    """FLTrust with a server's own update: 0 from a root set like common hospitals, 1 from a stratified one."""
    weigh = aggregate.rule_named("fltrust").weigh
    assert weigh is not None

    def rule(opened: Opened) -> Answer:
        rows = np.vstack([opened.updates, opened.roots[root : root + 1]]).astype(np.float64)
        weights = weigh(rows @ rows.T, aggregate.Setting(reference=SITES))[:SITES]
        lengths = np.linalg.norm(rows[:SITES], axis=1)
        return Answer(weights, weights * lengths, NO_ROOTS)

    return rule


def averaging(pay: Callable[[Opened], Floats]) -> Rule:
    """Plain averaging with a reward scheme beside it."""
    return lambda opened: Answer(EQUAL, pay(opened), NO_ROOTS)


def cosine_shapley(opened: Opened) -> Floats:
    """Cosine of each update with their mean (Xu et al. 2021, CGSV), positive part, as shares."""
    products = opened.seen.products
    towards = products.mean(axis=1)
    lengths = np.sqrt(np.diag(products) * products.mean())
    return _shares(towards / np.maximum(lengths, 1e-12))


def leave_one_out(opened: Opened) -> Floats:
    """What the mean without a site loses on a server's common records, positive part, as shares."""
    updates = opened.updates
    total = updates.sum(axis=0)
    moves = np.vstack([total[None] / SITES, (total - updates) / (SITES - 1)])
    records = opened.ground.common
    equal = np.full((1, len(records.outcome)), 1.0 / len(records.outcome), np.float32)
    losses = network.losses(opened.model + moves, records.features, records.outcome, equal)[:, 0]
    return _shares((losses[1:] - losses[0]).astype(np.float64))


def deposit_refund_take(opened: Opened) -> Floats:
    """Every record is backed by a deposit that comes back, with a part of the forfeits, if the model comes to agree
    with its label (Harris, Waggoner 2019): shares of all that is paid out."""
    records = opened.ground.sites
    return _shares(1.0 - forfeits(opened.model, records.features, records.outcome))


def forfeits(model: Singles, features: Singles, outcome: Singles) -> Floats:
    """float64[n]: the part of each site's records whose label the model does not predict."""
    predicted = network.log_odds(model, features) > 0.0
    return np.asarray((predicted != (outcome > 0.5)).mean(axis=1), dtype=np.float64)


def _shares(worth: Floats) -> Floats:
    positive = np.maximum(worth, 0.0)
    return positive / max(float(positive.sum()), 1e-12)


RIVALS: Mapping[str, Callable[[int], Rule]] = {
    "averaging": lambda seed: averaging(lambda opened: EQUAL),
    "Krum": lambda seed: by_gram("krum"),
    "multi-Krum": lambda seed: by_gram("multi-krum"),
    "geometric median": lambda seed: by_gram("geometric-median"),
    "mixing + geometric median": lambda seed: by_gram("mixing+geometric-median"),
    "FLAME": lambda seed: by_gram("flame"),
    "FLTrust, common root": lambda seed: by_root(0),
    "FLTrust, stratified root": lambda seed: by_root(1),
}
"""Combination rules; `averaging` with equal pay."""

SCHEMES: Mapping[str, Callable[[int], Rule]] = {
    "deposit, refund, take": lambda seed: averaging(deposit_refund_take),
    "leave one out": lambda seed: averaging(leave_one_out),
    "cosine Shapley": lambda seed: averaging(cosine_shapley),
}
"""Reward schemes, on the models that averaging makes."""
