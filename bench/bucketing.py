"""Whether robust rules drop minorities and bucketing helps: Karimireddy, He, Jaggi (ICLR 2022), repeated.

    python bench/bucketing.py [--seeds 5] [--workers 1] [--quick]

Their protocol (24 workers and nobody attacks, or 25 workers of which 5 attack; batches of 32; bucketing of two;
clipping in three steps from the last aggregate; the mean of the last five evaluations) on scikit-learn's digits in
place of MNIST and on the stroke trial. A perceptron with 32 hidden units is in place of their convolutional network,
so there are fewer steps at a larger rate; attackers send gradients without momentum, as theirs do; ALIE stands .30
deviations off instead of .25; a batch is drawn with replacement. Radii grow with momentum, by 1 / (1 - beta).

Read fairly: rates, steps and the long tail were chosen on seed 0, which is among the seeds. Where the column *clipped*
says 0 %, clipping is the mean, so its rows and comparisons say nothing of their own; their radius of 10 clips nothing
here, and a radius of 1, not theirs, is shown besides. The attacks, as strong as theirs, do the mean hardly any harm in
these worlds, so none of this speaks for the mean. Orderings share arms and are not independent, and a comparison can
hold by a hair or between two models that are no better than chance (stroke, sorted): the tables say which.

*Overall* is accuracy at the training frequencies of the classes (digits) or AUROC (stroke); *minority* is the recall
of digits 5 to 9, mean of classes, or of the dead, at the average risk. Means and standard deviations over seeds; a
seed decides the split, the first weights, batches and buckets. A comparison holds, or is reversed, where the 95 %
interval of its paired differences (Student's t) is on one side of zero; otherwise it is open. Of many comparisons a
few are on the wrong side by chance. Writes bench/results/bucketing.json and bucketing.svg (with --quick:
bucketing_quick.*).

CADUCEUS_DATA names the folder of the data; without it the stroke trial is left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from instruments.record import RESULTS, environment, keep, provenance, show

os.environ.update({name: value for name, value in environment().items() if name.endswith("_THREADS")})

import numpy as np

from caduceus.edges.federation import DATA_ROOT
from caduceus.kinds import Floats
from instruments.dumbbells import Mark, Panel, draw, dumbbells
from worlds.arms import ARMS, RULES, Arm, Given
from worlds.claims import Claim, Verdict, claims
from worlds.protocol import train
from worlds.settings import QUICK, SETTINGS
from worlds.shards import FIGURES

CLIPPED = FIGURES
"""Behind the figures: the share of updates that were clipped, not a number where nothing clips."""
Run = tuple[str, Arm, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="at least 2 (default 5, with --quick 3)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--quick", action="store_true", help=f"only {'; '.join(QUICK)}, with 3 seeds")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 2:
        parser.error("deviations need two seeds or more")
    names = [name for name in (QUICK if chosen.quick else SETTINGS) if _possible(name)]
    seeds = range(3 if chosen.quick else chosen.seeds)
    about = provenance(seed=list(seeds))
    began = time.monotonic()
    found = figures(names, seeds, chosen.workers)
    for name in names:
        _table(name, found[name])
    said = claims({name: {arm: row[:, :FIGURES] for arm, row in arms.items()} for name, arms in found.items()})
    _say(said)
    print(f"\n{len(names) * len(ARMS) * len(seeds)} runs in {time.monotonic() - began:.0f} s, {chosen.workers} at once")
    title = "bucketing_quick" if chosen.quick else "bucketing"
    keep(title, about | {"figures": _record(found), "claims": [_told(one) for one in said]})
    draw(RESULTS / f"{title}.svg", _chart(found))
    return 0


def _possible(name: str) -> bool:
    if name.startswith("stroke") and not os.environ.get(DATA_ROOT):
        print(f"left out, as {DATA_ROOT} is not set: {name}", file=sys.stderr)
        return False
    return True


def figures(names: Sequence[str], seeds: Sequence[int], workers: int) -> dict[str, dict[Arm, Floats]]:
    """Every arm in every setting: float64[seeds, 3], the two figures and the share clipped."""
    runs = [(name, arm, seed) for name in names for arm in ARMS for seed in seeds]
    if workers == 1:
        results = [one(run) for run in runs]
    else:
        with ProcessPoolExecutor(workers) as pool:
            results = list(pool.map(one, runs, chunksize=4))
    table = np.array(results).reshape(len(names), len(ARMS), len(seeds), FIGURES + 1)
    return {name: dict(zip(ARMS, rows, strict=True)) for name, rows in zip(names, table, strict=True)}


def one(run: Run) -> Floats:
    """One model, trained and judged: float64[3]."""
    name, arm, seed = run
    setting = SETTINGS[name]
    given = Given(setting.protocol.attackers, setting.protocol.momentum, [])
    found = train(setting.build(seed), arm.server(given, seed), setting.protocol, seed)
    return np.append(found, np.mean(given.clipped) if given.clipped else np.nan)


def _table(name: str, arms: Mapping[Arm, Floats]) -> None:
    rows = []
    for rule in RULES:
        before, after = arms[Arm(rule, False)], arms[Arm(rule, True)]
        cells = [_interval(one[:, figure]) for figure in range(FIGURES) for one in (before, after)]
        clipped = "" if np.isnan(before[0, CLIPPED]) else f"{before[:, CLIPPED].mean():.0%}"
        rows.append([rule, *cells, clipped])
    overall = SETTINGS[name].overall
    show(name, ("", overall, "with bucketing", "minority", "with bucketing", "clipped"), rows)


def _interval(values: Floats) -> str:
    return f"{values.mean():.3f} +- {values.std(ddof=1):.3f}"


def _say(said: Sequence[Claim]) -> None:
    rows = [[one.text, *(str(len(one.of(verdict))) for verdict in Verdict)] for one in said]
    show("what the paper says, in comparisons", ("", *Verdict), rows)
    for claim in said:
        for verdict in (Verdict.REVERSED, Verdict.OPEN):
            for comparison in claim.of(verdict):
                mean, half = comparison.interval
                print(f"{verdict}: {comparison.text} ({mean:+.3f} +- {half:.3f})")


def _record(found: Mapping[str, Mapping[Arm, Floats]]) -> dict[str, object]:
    """By setting, arm and seed; a share of clipped updates of -1 says that the rule does not clip."""
    return {
        name: {str(arm): np.where(np.isnan(rows), -1.0, rows).round(5).tolist() for arm, rows in arms.items()}
        for name, arms in found.items()
    }


def _told(claim: Claim) -> dict[str, object]:
    return {
        "claim": claim.text,
        **{str(verdict): [comparison.text for comparison in claim.of(verdict)] for verdict in Verdict},
    }


def _chart(found: Mapping[str, Mapping[Arm, Floats]]) -> str:
    panels = []
    for name, arms in found.items():
        world, _, setting = name.partition(", ")
        attacked = SETTINGS[name].protocol.attack is not None
        for figure, word in enumerate((SETTINGS[name].overall, "recall of the minority")[: 1 if attacked else 2]):
            rows = [
                (_mark(arms[Arm(rule, False)][:, figure]), _mark(arms[Arm(rule, True)][:, figure])) for rule in RULES
            ]
            panels.append(Panel(setting, f"{world}, {word}", rows))
    title = "Robust rules on unlike workers, without and with bucketing"
    return dumbbells(title, ("alone", "behind bucketing of two"), list(RULES), panels, columns=4)


def _mark(values: Floats) -> Mark:
    return Mark(float(values.mean()), float(values.std(ddof=1)))


if __name__ == "__main__":
    sys.exit(main())
