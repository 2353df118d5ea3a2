"""A privacy plan in words, tables and bars, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from caduceus.cli.tables import plain_table, whole
from caduceus.data.policy import show_micro
from caduceus.kinds import MICRO, PICO, Floats
from caduceus.learn.state import Phase
from caduceus.market.costs import Costs
from caduceus.privacy.mechanisms import LEAST_MULTIPLIER
from caduceus.report.words import plain
from caduceus.wiring.privacy_plan import DP_SGD, Opened, Plan, Scores, Shape, opened

_KINDS = {Phase.MOMENTS: "counts, means", Phase.TRAINING: "gradient"}
_MODELS = {DP_SGD: "A small perceptron by DP-SGD"}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR = 16
_ALMOST = 0.98  # of an epsilon: the noise of sampled steps is found to a hundredth
_ALL_SUMS = 8  # up to here every sum has a line
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student 1908: two-sided 95 % points for 1 to 30 degrees of freedom."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A plan that is ready to be told.

    asked          the job, with all its patients; plans may be of fewer
    budget         epsilon of a data set
    chosen         the plan that was asked for, one of `plans`
    plans          epsilon rising
    without        epsilons for which there is no job
    costs          of `chosen`
    with_all       epsilon of `chosen` where every site's noise is there
    scores         of `plans`; None without runs
    without_spare  float64[runs], AUROC of `chosen` if no noise could be missing
    """

    asked: Shape
    budget: float
    chosen: Plan
    plans: tuple[Plan, ...]
    without: tuple[float, ...]
    costs: Costs
    with_all: float
    scores: Scores | None
    without_spare: Floats | None
    seed: int

    @property
    def excess(self) -> float:
        """How much more noise there is than stated, as a factor, while every site is there."""
        return math.sqrt(self.asked.sites / self.asked.noisy)

    def jobs(self, plan: Plan) -> int:
        """How many such jobs a data set's budget bears."""
        return round(self.budget * MICRO) // plan.privacy.epsilon_micro


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over runs, and between which figures it lies with a chance of 95 % (Student's t).

    low, high  None for one run
    """

    mean: float
    low: float | None
    high: float | None


def interval(figures: Floats) -> Interval:
    """The mean of a figure over runs.

    figures  float64[runs], at least one
    """
    mean, freedom = float(np.mean(figures)), len(figures) - 1
    if freedom < 1:
        return Interval(mean, None, None)
    point = _STUDENT[min(freedom, len(_STUDENT)) - 1]
    reach = point * float(np.std(figures, ddof=1)) / math.sqrt(len(figures))
    return Interval(mean, mean - reach, mean + reach)


# ---------------------------------------------------------------- for people


def say(console: Console, shown: Shown) -> None:
    """Say what noise there is, what it is worth, what the contract reserves, and what it costs."""
    for sentence in _beginning(shown):
        console.print(sentence)
    _say_sums(console, shown)
    for sentence in (*_spare(shown), *_reserved(shown)):
        console.print(sentence)
    if shown.scores is not None:
        _say_ladder(console, shown, shown.scores)
        for sentence in _notes(shown, shown.scores):
            console.print(sentence, style="dim")


def _beginning(shown: Shown) -> Iterator[str]:
    shape, privacy = shown.asked, shown.chosen.privacy
    model = _MODELS.get(shape.model, "Logistic regression")
    yield (
        f"[bold]{model}: {whole(shape.rows)} patients, {shape.sites} sites, {shape.features} columns, "
        f"{whole(privacy.spending.releases)} noisy sums[/bold]"
    )
    factor = math.exp(privacy.epsilon_micro / MICRO)
    yield (
        f"Epsilon {show_micro(privacy.epsilon_micro)}: with or without any one patient, whatever is published is as "
        f"likely to within a factor of {factor:.3g}. Delta {shape.delta:g}: the chance, at most, that more shows."
    )
    if shape.delta * shape.rows > 0.5:
        yield f"[yellow]Delta is large for {whole(shape.rows)} patients; well below one in so many is usual.[/yellow]"


def _say_sums(console: Console, shown: Shown) -> None:
    numbers = ("sum", "noise", "off by", "all there", "epsilon so far")
    table = plain_table("Noise of each sum", "sum", "opens", *numbers[1:], right=numbers)
    for one, is_next in _picked(opened(shown.chosen)):
        if not is_next:
            table.add_row("…")
        off = in_patients(one, shown.chosen)
        table.add_row(
            str(one.number),
            _KINDS.get(one.phase, one.phase.name.lower()),
            f"{one.release.multiplier:.3g}",
            f"{off:.3g}",
            f"{off * shown.excess:.3g}",
            show_micro(shown.costs.at(one.number).epsilon_micro),
        )
    console.print(table)
    task = shown.chosen.task
    if task.spec.descent is not None:
        drawn = whole(round(task.spec.descent.sampling * shown.asked.rows))
        gradient = f"of a gradient, in patients who pull as hard as any may; about {drawn} are in a step"
    else:
        gradient = "of a gradient, in patients whom the model has wholly wrong"
    console.print(
        "Noise: standard deviation over what one patient can change. Off by: standard deviation of one figure, in "
        f"patients: of the number of patients itself; {gradient}. All there: the same while no site is missing.",
        style="dim",
    )


def _picked(sums: tuple[Opened, ...]) -> Iterator[tuple[Opened, bool]]:
    """The sums that have a line, and whether each follows on the one before."""
    count = len(sums)
    marks = range(count) if count <= _ALL_SUMS else sorted({0, 1, count // 4, count // 2, 3 * count // 4, count - 1})
    before = -1
    for index in marks:
        yield sums[index], index == before + 1
        before = index


def in_patients(one: Opened, plan: Plan) -> float:
    """Standard deviation of an entry's noise, in what a patient adds to it.

    A patient adds 1 to the count of patients. In a gradient, a patient whose outcome the model has wholly wrong adds 1
    to the intercept's entry; where a patient's gradient is cut to another length, that is the unit.
    """
    descent = plan.task.spec.descent
    unit = descent.clip if descent is not None and one.phase is Phase.TRAINING else 1.0
    return one.release.deviation / unit


def _spare(shown: Shown) -> Iterator[str]:
    shape = shown.asked
    if shape.noisy == shape.sites:
        yield "The noise of every site makes the stated one: none may be missing from a sum."
        return
    said = (
        f"The noise of {shape.noisy} of {shape.sites} sites makes the stated one; that of "
        f"{shape.sites - shape.noisy} may be missing. While all are there it is {shown.excess:.3g} times as much, and "
        f"worth epsilon {shown.with_all:.3g}."
    )
    if shown.without_spare is not None and shown.scores is not None:
        lost = interval(shown.without_spare - _of(shown, shown.scores))
        if lost.low is not None and lost.high is not None and lost.low <= 0:
            said += (
                f" What this spare noise costs, so few runs cannot show: at most {plain(max(lost.high, 0.0))} of AUROC."
            )
        else:
            said += f" This spare noise costs {plain(lost.mean)} of AUROC{_between(lost)}."
    yield said


def _reserved(shown: Shown) -> Iterator[str]:
    whole_run, jobs = shown.costs.whole, shown.jobs(shown.chosen)
    if shown.chosen.spent < _ALMOST * shown.chosen.epsilon:
        yield (
            f"[yellow]No sum has less noise than {LEAST_MULTIPLIER:g}, so what is opened is worth only epsilon "
            f"{shown.chosen.spent:.3g}, and all of {shown.chosen.epsilon:g} is reserved; ask for less.[/yellow]"
        )
    yield (
        f"A contract reserves {whole(whole_run.epsilon_micro)} micro of epsilon and {whole(whole_run.delta_pico)} pico "
        "of delta of every data set that enrols; a job that ends early is charged for the sums that it opened."
    )
    delta = f" and delta {jobs * whole_run.delta_pico / PICO:g}" if jobs else ""
    yield f"A data set with a budget of epsilon {shown.budget:g}{delta} bears [bold]{_jobs(jobs)}[/bold]."


def _jobs(number: int) -> str:
    return f"{whole(number)} such job{'' if number == 1 else 's'}" if number else "no such job"


def _say_ladder(console: Console, shown: Shown, scores: Scores) -> None:
    numbers = ("epsilon", "noise", "jobs", "AUROC", "loss", "95 %")
    table = plain_table("What it costs", *numbers, "", right=numbers)
    exact = float(scores.exact.mean())
    for plan, areas in zip(shown.plans, scores.noisy, strict=True):
        lost = interval(scores.exact - areas)
        figures = (
            show_micro(plan.privacy.epsilon_micro),
            f"{plan.multiplier:.3g}",
            whole(shown.jobs(plan)),
            plain(float(areas.mean())),
            plain(lost.mean),
            _between(lost, "{} to {}"),
        )
        style = "bold" if plan is shown.chosen else ""
        table.add_row(*figures, bar(float(areas.mean()), exact), style=style)
    table.add_row("no noise", "0", "–", plain(exact), "", "", bar(exact, exact))
    console.print(table)


def bar(area: float, exact: float) -> str:
    """A bar from chance, .5, to the AUROC without noise."""
    share = (area - 0.5) / (exact - 0.5) if exact > 0.5 else 0.0
    eighths = round(min(max(share, 0.0), 1.0) * _BAR * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _notes(shown: Shown, scores: Scores) -> Iterator[str]:
    runs, shape = len(scores.exact), shown.chosen.shape
    played = f"{runs} runs" if runs > 1 else "1 run"
    yield (
        f"AUROC on fresh patients, mean of {played} from seed {shown.seed}; bars begin at chance. "
        "Loss: against exact logistic regression on the same patients, with the 95 % interval of its mean. "
        f"Patients are made up; one in {1 / shape.rate:.3g} has the outcome, and whoever knew every true risk would "
        f"reach {plain(float(scores.best.mean()))}. Your data will differ; how noise falls with patients will not."
    )
    if shape.rows < shown.asked.rows:
        yield (
            f"Played with {whole(shape.rows)} of the {whole(shown.asked.rows)} patients to save time: with all of them "
            "the loss is smaller."
        )
    if shown.without:
        left_out = ", ".join(f"{one:g}" for one in shown.without)
        yield f"No job spends as much as epsilon {left_out} on these sums."
    yield (
        f"In a job file: [model] kind = '{shape.model}' and [privacy] epsilon = "
        f"{shown.chosen.epsilon:.9g}, delta = {shape.delta:g}, missing = {shape.missing}. Judging a model takes "
        "patients of its own and no more epsilon."
    ).replace("[", "\\[")


def _between(figure: Interval, form: str = " ({} to {})") -> str:
    if figure.low is None or figure.high is None:
        return "–" if not form.startswith(" ") else ""
    return form.format(plain(figure.low), plain(figure.high))


def _of(shown: Shown, scores: Scores) -> Floats:
    areas: Floats = scores.noisy[shown.plans.index(shown.chosen)]
    return areas


# ---------------------------------------------------------------- for other programs


def as_json(shown: Shown) -> str:
    """The whole plan as JSON; epsilons of the contract in millionths, deltas in millionths of a millionth."""
    shape, costs = shown.asked, shown.costs
    said: dict[str, object] = {
        "model": shape.model,
        "rows": shape.rows,
        "sites": shape.sites,
        "missing_percent": shape.missing,
        "features": shape.features,
        "rate": shape.rate,
        "epsilon_micro": costs.whole.epsilon_micro,
        "delta_pico": costs.whole.delta_pico,
        "multiplier": shown.chosen.multiplier,
        "noisy_sites": shape.noisy,
        "epsilon_with_all_sites": shown.with_all,
        "budget": shown.budget,
        "jobs": shown.jobs(shown.chosen),
        "sums": [
            {
                "sum": one.number,
                "opens": _KINDS.get(one.phase, one.phase.name.lower()),
                "entries": one.release.length,
                "multiplier": one.release.multiplier,
                "deviation": one.release.deviation,
                "deviation_in_patients": in_patients(one, shown.chosen),
                "epsilon_micro": costs.at(one.number).epsilon_micro,
            }
            for one in opened(shown.chosen)
        ],
    }
    if shown.scores is not None:
        said["simulation"] = _simulation_json(shown, shown.scores)
    return json.dumps(said, indent=2, ensure_ascii=False)


def _simulation_json(shown: Shown, scores: Scores) -> dict[str, object]:
    ladder = []
    for plan, areas in zip(shown.plans, scores.noisy, strict=True):
        lost = interval(scores.exact - areas)
        ladder.append(
            {
                "epsilon_micro": plan.privacy.epsilon_micro,
                "multiplier": plan.multiplier,
                "jobs": shown.jobs(plan),
                "auroc": float(areas.mean()),
                "loss": lost.mean,
                "loss_95": None if lost.low is None else [lost.low, lost.high],
            }
        )
    return {
        "rows": shown.chosen.shape.rows,
        "runs": len(scores.exact),
        "seed": shown.seed,
        "auroc_best": float(scores.best.mean()),
        "auroc_without_noise": float(scores.exact.mean()),
        "auroc_without_spare_noise": None if shown.without_spare is None else float(shown.without_spare.mean()),
        "ladder": ladder,
    }
