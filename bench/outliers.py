"""Poison out, an honest outlier in: rules and rewards under every attack, beside what others do.

    python bench/outliers.py                 # all arms, attacks, 10 seeds (about an hour of one core)
    python bench/outliers.py --arms "two lanes, anchor" --attacks backdoor --seeds 3

The scenario is `scenario.hospitals`: twenty hospitals, one of them a rare-disease centre, four attackers who also lie
as evaluators. Sixty rounds of federated averaging of a small perceptron; every rule gets the same updates, clipped by
the sites. `two lanes` is `caduceus.market.mechanism`, driven with what a secure round opens: inner products, hold-outs'
and the anchor's gradients as rows. Seeds from 400 on were never looked at while parameters were chosen (0 to 19 were,
and the first figures of 300 to 309). `hidden backdoor` is beyond what the mechanism promises: it shows where it ends.
Reward schemes pay along the models that averaging makes. Writes bench/results/outliers.json and two charts.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attacks.catalog import ATTACKS, NONE
from caduceus.market.mechanism.rules import Rules
from instruments.dumbbells import draw
from instruments.record import RESULTS, environment, keep, provenance, show
from instruments.tiles import Span, tiles
from scenario.figures import HEAD, by_seed, of, rows
from scenario.hospitals import CENTRE
from scenario.lanes import two_lanes
from scenario.rivals import EQUAL, NO_ROOTS, RIVALS, SCHEMES, forfeits
from scenario.rounds import ATTACKERS, Answer, Opened, Outcome, Rule, Setting, play

FIRST_SEED = 400
CLEAN = "averaging"


@dataclass(frozen=True, slots=True)
class Arm:
    """A rule with what it needs around it."""

    make: Callable[[int], Rule]
    setting: Setting


WITHOUT = Setting(anchor=False, held=False)
ARMS: Mapping[str, Arm] = {
    "two lanes, anchor": Arm(two_lanes(Rules()), Setting(anchor=True)),
    "two lanes, no anchor": Arm(two_lanes(Rules()), Setting(anchor=False)),
    **{name: Arm(make, WITHOUT) for name, make in (RIVALS | SCHEMES).items()},
}

Found = dict[str, dict[str, list[Outcome]]]
"""By arm and attack: one outcome per seed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--attacks", nargs="+", choices=[NONE, *ATTACKS], default=[NONE, *ATTACKS])
    parser.add_argument("--quick", action="store_true", help="two seeds, four attacks")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.first, chosen.seeds, chosen.attacks = 0, 2, [NONE, "label flip", "stealth outlier", "backdoor"]
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    about = provenance(seed=list(seeds))
    found: Found = {}
    for name in chosen.arms:
        arm = ARMS[name]
        found[name] = {attack: play(arm.make, attack, seeds, arm.setting) for attack in chosen.attacks}
        show(name, HEAD, rows(found[name]))
    lost = _forfeits(seeds) if set(SCHEMES) & set(found) else {}
    if lost:
        parts = [(attack, *(f"{part:.3f}" for part in each)) for attack, each in lost.items()]
        show("deposit, refund, take: part of deposits lost", ("", "outlier", "other honest", "attackers"), parts)
    name = "outliers_quick" if chosen.quick else "outliers"
    keep(name, about | {"forfeits": lost, "arms": {arm: by_seed(attacks) for arm, attacks in found.items()}})
    _charts(name, found, chosen.attacks)
    return 0


def _forfeits(seeds: Sequence[int]) -> dict[str, list[float]]:
    """Of the outlier, of other honest sites and of attackers, over all rounds of averaging."""
    found = {}
    for attack in (NONE, "label flip"):
        lost: list[np.ndarray] = []

        def rule(opened: Opened, lost: list[np.ndarray] = lost) -> Answer:
            records = opened.ground.sites
            lost.append(forfeits(opened.model, records.features, records.outcome))
            return Answer(EQUAL, EQUAL, NO_ROOTS)

        play(lambda seed, rule=rule: rule, attack, seeds, WITHOUT)  # type: ignore[misc]
        mean = np.mean(lost, axis=0)
        others = np.delete(mean, [CENTRE, *ATTACKERS])
        found[attack] = [float(mean[CENTRE]), float(others.mean()), float(mean[ATTACKERS].mean())]
    return found


def _charts(name: str, found: Found, attacks: Sequence[str]) -> None:
    rules = [arm for arm in found if arm not in SCHEMES]
    rare = [[float(of(found[arm][attack], "rare").mean()) for attack in attacks] for arm in rules]
    draw(RESULTS / f"{name}_rare.svg", tiles("AUROC on the rare subgroup", rules, attacks, rare, Span(0.5, 0.85)))
    pay = [[float(np.mean([one.pay[CENTRE] for one in found[arm][attack]])) for attack in attacks] for arm in found]
    title = "The rare-disease centre's share of all pay (an equal share is .05)"
    draw(RESULTS / f"{name}_pay.svg", tiles(title, list(found), attacks, pay, Span(0.0, 0.2)))


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # these matrices are small: more threads only wait for each other
        os.execve(sys.executable, [sys.executable, *sys.argv], environment())
    raise SystemExit(main())
