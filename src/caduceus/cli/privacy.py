"""The command that shows what differential privacy would take and cost: privacy plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from caduceus.cli.privacy_words import Shown, as_json, say
from caduceus.cli.screen import Screen
from caduceus.cli.tables import whole
from caduceus.errors import Misuse, Refused
from caduceus.report.privacy_curve import Curve, Point, curve
from caduceus.wiring.privacy_plan import DP_SGD, LOGISTIC, Shape, epsilon_of, epsilon_with_all, plan, play, with_missing

LADDER = (0.1, 0.3, 1.0, 3.0, 8.0)
"""Epsilons that are shown beside the one that was asked for: from very strict to hardly any protection."""

MOST_ROWS = 30_000
"""More patients are not made up: noise costs less the more there are, so the plan stays on the safe side."""

_PATIENTS = {LOGISTIC: 120_000, DP_SGD: 30_000}  # of all runs together, unless somebody asks for so many runs
_RUNS = {LOGISTIC: (4, 12), DP_SGD: (2, 4)}
_ROUNDS = {LOGISTIC: 1_000, DP_SGD: 10_000}
_SITES = (3, 1024)
_LEAST_OF_A_KIND = 10
_APART = 0.05  # nearer to the one that was asked for, another epsilon shows nothing


@dataclass(frozen=True, slots=True)
class Asked:
    """What was said on the command line; None: not said.

    noise   total multiplier; at most one of epsilon and noise is said
    budget  epsilon of a data set
    runs    0: no simulation
    curve   where to draw
    """

    shape: Shape
    epsilon: float | None
    noise: float | None
    budget: float
    runs: int | None
    seed: int
    curve: Path | None


def show_plan(asked: Asked, *, json: bool) -> None:
    """Plan, play and say it; everything is checked before anything takes long.

    Raises Refused, naming the option, if there is no such job.
    """
    _check(asked)
    epsilon = _epsilon(asked)
    with Screen() as screen:
        shown = _plan(asked, epsilon, screen)
    if asked.curve is not None:
        asked.curve.write_text(_drawn(shown), encoding="utf-8")
    if json:
        print(as_json(shown))  # noqa: T201  (for other programs: nothing may wrap or colour it)
        return
    console = Console(highlight=False)
    say(console, shown)
    if asked.curve is not None:
        console.print(f"Curve: {asked.curve}", soft_wrap=True, markup=False)


def _plan(asked: Asked, epsilon: float, screen: Screen) -> Shown:
    shape = replace(asked.shape, rows=max(min(asked.shape.rows, MOST_ROWS), asked.shape.sites))
    runs = _usual_runs(shape) if asked.runs is None else asked.runs
    ladder = sorted([epsilon, *(one for one in LADDER if runs and not math.isclose(one, epsilon, rel_tol=_APART))])
    screen.begin("Finding the noise", len(ladder))
    plans, without = [], []
    for one in ladder:
        try:
            plans.append(plan(shape, one))
        except Refused as problem:
            if one == epsilon:
                raise _named(problem, "--epsilon" if asked.noise is None else "--noise") from None
            without.append(one)
        screen.step(f"epsilon {one:g}")
    chosen = next(one for one in plans if one.epsilon == epsilon)
    screen.begin("Adding up what it spends", 0)
    costs, real = chosen.costs(), epsilon_with_all(chosen)
    scores = strict = None
    if runs:
        bare = with_missing(chosen, 0)  # played on the same patients
        screen.begin(f"Training on made-up patients, {runs} times", runs * (len(plans) + 2))
        everything = play([*plans, bare], asked.seed, runs, lambda: screen.step(f"{whole(shape.rows)} patients"))
        scores = replace(everything, noisy=everything.noisy[:-1])
        strict = everything.noisy[-1]
    return Shown(
        asked=asked.shape,
        budget=asked.budget,
        chosen=chosen,
        plans=tuple(plans),
        without=tuple(without),
        costs=costs,
        with_all=real,
        scores=scores,
        without_spare=strict,
        seed=asked.seed,
    )


def _usual_runs(shape: Shape) -> int:
    least, most = _RUNS[shape.model]
    return min(max(_PATIENTS[shape.model] // shape.rows, least), most)


def _drawn(shown: Shown) -> str:
    scores = shown.scores
    if scores is None:
        raise Misuse("a curve is drawn of runs")
    points = [
        Point.of(one.epsilon, one.multiplier, areas.tolist(), asked=one is shown.chosen)
        for one, areas in zip(shown.plans, scores.noisy, strict=True)
    ]
    shape = shown.asked
    about = (
        f"{shape.model}, {whole(shape.rows)} patients, {shape.sites} sites, {shape.features} columns, delta "
        f"{shape.delta:g}; made-up patients, {len(scores.exact)} runs"
    )
    return curve(Curve(tuple(points), float(scores.exact.mean()), about))


# ---------------------------------------------------------------- what may be asked for


def _epsilon(asked: Asked) -> float:
    if asked.noise is None:
        return 1.0 if asked.epsilon is None else asked.epsilon
    try:
        found = epsilon_of(asked.noise, asked.shape.delta)
    except Refused as problem:
        raise _named(problem, "--noise") from None
    _require(
        0.001 < found <= 100,
        f"--noise: {asked.noise:g} gives an epsilon of {found:g}; it must be above 0.001, at most 100: "
        f"{'less' if found <= 0.001 else 'more'} noise",
    )
    return found


def _check(asked: Asked) -> None:
    shape = asked.shape
    _require(asked.epsilon is None or asked.noise is None, "--epsilon, --noise: each follows from the other; give one")
    _within("--epsilon", asked.epsilon, 0.001, 100, open_below=True)
    _require(asked.noise is None or (asked.noise > 0 and math.isfinite(asked.noise)), "--noise: a number above 0")
    _require(shape.model in _ROUNDS, f"--model: '{shape.model}'; choose {LOGISTIC} or {DP_SGD}")
    _within("--delta", shape.delta, 1e-12, 0.01)
    _within("--sites", shape.sites, *_SITES)
    _within("--missing", shape.missing, 0, 90)
    _within("--features", shape.features, 1, 1000)
    _within("--rounds", shape.rounds, 1, _ROUNDS[shape.model])
    _within("--rows", shape.rows, shape.sites, 10**9)
    _require(0 < shape.rate < 1, "--rate: a share between 0 and 1, such as 0.1")
    fewest = min(shape.rate, 1 - shape.rate) * shape.rows
    _require(
        fewest >= _LEAST_OF_A_KIND,
        f"--rate: {fewest:.0f} of {shape.rows} patients with one of the outcomes; {_LEAST_OF_A_KIND} are needed to "
        "learn anything, so choose more --rows or a --rate nearer to 0.5",
    )
    _require(shape.sampling is None or shape.model == DP_SGD, f"--sampling: for --model {DP_SGD} only")
    _within("--sampling", shape.sampling, 0, 1, open_below=True)
    _within("--budget", asked.budget, 0, 10**6, open_below=True)
    _within("--seeds", asked.runs, 0, 1000)
    _within("--seed", asked.seed, 0, 2**40 - 1)
    if asked.curve is not None:
        _require(asked.runs != 0, "--curve: there is nothing to draw without runs; leave out --seeds 0")
        _require(asked.curve.parent.is_dir(), f"--curve: the folder {asked.curve.parent} does not exist; make it first")


def _within(option: str, value: float | None, low: float, high: float, *, open_below: bool = False) -> None:
    holds = value is None or (low <= value <= high and not (open_below and value == low))
    edge = "above" if open_below else "from"
    _require(holds, f"{option}: {value} is out of range; {edge} {low:g} to {high:g}")


def _named(problem: Refused, option: str) -> Refused:
    return Refused(f"{option}: {str(problem).removeprefix('plan: ')}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)
