"""The outlier scenario on real patients: strokes of the posterior circulation as the minority.

    CADUCEUS_DATA=... python bench/outliers_stroke.py

Patients and hospitals of the International Stroke Trial, death within 14 days; how the minority was chosen and how the
two worlds are made is said in `scenario.strokes`. The model, the attackers and the rules are those of
bench/outliers.py, but for a smaller step. The law of the minority is nearly that of all others here, so the question
without an attack is what the mechanism costs; with one, what it saves. Figures vary with few deaths: about 300 tested
patients of the minority, of whom a tenth died. Writes bench/results/outliers_stroke.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from attacks.catalog import ATTACKS, NONE
from caduceus.edges.federation import DATA_ROOT
from instruments.record import environment, keep, provenance, show
from outliers import ARMS, FIRST_SEED
from scenario import strokes
from scenario.figures import HEAD, by_seed, rows
from scenario.rounds import play

RATE = 0.1
WORLDS = {"referral centre": strokes.referral, "hospitals as they are": strokes.as_they_are}
RULES = ("two lanes, anchor", "two lanes, no anchor", "averaging", "multi-Krum", "FLTrust, stratified root")
ATTACKED = (NONE, "label flip", "min-max", "fake outlier", "stealth outlier", "backdoor", "copy the outlier")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(RULES))
    parser.add_argument("--attacks", nargs="+", choices=[NONE, *ATTACKS], default=list(ATTACKED))
    chosen = parser.parse_args(arguments)
    if not os.environ.get(DATA_ROOT):
        print(f"set {DATA_ROOT} to the folder of the clinical data", file=sys.stderr)
        return 2
    seeds = range(FIRST_SEED, FIRST_SEED + chosen.seeds)
    about = provenance(seed=list(seeds))
    kept = {}
    for world, build in WORLDS.items():
        for name in chosen.arms:
            arm = ARMS[name]
            setting = replace(arm.setting, rate=RATE)
            found = {attack: play(arm.make, attack, seeds, setting, build) for attack in chosen.attacks}
            show(f"{world}: {name}", HEAD, rows(found))
            kept[f"{world}: {name}"] = by_seed(found)
    keep("outliers_stroke", about | {"minority": strokes.MINORITY, "arms": kept})
    return 0


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # as in bench/outliers.py
        os.execve(sys.executable, [sys.executable, *sys.argv], environment())
    raise SystemExit(main())
