"""From the opened sum to published answers: in the open, so that anyone who holds the sum can do it again.

Nothing here needs a privacy budget: it sees the noisy sum alone. No finite sum makes it fail, however large the noise
is; an answer that noise has made useless has an interval that says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from caduceus.data.schema import BOOLEAN, Schema
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.inquiry import noisy_means, noisy_quantiles, small_cells, survival
from caduceus.learn.inquiry.answers import BOTH, NOISE, Answer, Answers, Heading, Numbers, told
from caduceus.learn.inquiry.cells import MISSING, number_range
from caduceus.learn.inquiry.noisy_means import Z95, Estimate
from caduceus.learn.inquiry.plan import Block, Plan
from caduceus.learn.inquiry.queries import COUNT, HISTOGRAM, MEAN, QUANTILES, SURVIVAL, TABLE
from caduceus.learn.task import checked

LIMIT = 2.0**40
"""No count or sum of all sites comes near: larger numbers come from noise, and are cut here to stay finite."""

PATIENTS = "patients"
ALL = "all"
"""The label of a margin."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """One question's part of the opened sum, in the question's own units.

    sums   float64[block.length]
    noise  standard deviation in each of them: deviation * sensitivity / share
    """

    block: Block
    sums: Floats
    noise: float
    minimum: int
    schema: Schema


def combine(plan: Plan, total: Floats, deviation: float) -> Answers:
    """The answers.

    total      float64[plan.length], the sum of all sites' vectors with noise; finite
    deviation  standard deviation of the noise in each entry of it, >= 0: that of all noise that is in the sum, which
               may be more than the release promises

    Raises Misuse if the total has another shape or either is not finite.
    """
    total = checked(total, plan.length)
    if not 0 <= deviation < math.inf:
        raise Misuse(f"combine: a deviation of {deviation}")
    answers = []
    for block in plan.blocks:
        own = total[block.start : block.start + block.length]
        sums = np.clip(np.clip(own, -LIMIT, LIMIT) / block.factor, -LIMIT, LIMIT)
        noise = min(min(deviation, LIMIT) / block.factor, LIMIT)
        opened = Opened(block, sums, noise, plan.analysis.minimum_cell, plan.schema)
        answers.append(Answer(block.query.name, block.query.kind, _ANSWERS[block.query.kind](opened)))
    return Answers(tuple(answers), plan.analysis.minimum_cell, float(deviation))


def check_answers(plan: Plan, answers: Answers) -> None:
    """Refuse answers, perhaps a peer's, that do not belong to these questions. Their numbers are not looked at.

    Raises Refused.
    """
    wanted = combine(plan, np.zeros(plan.length), 0.0)
    if _outline(answers) != _outline(wanted) or answers.minimum_cell != wanted.minimum_cell:
        raise Refused("answers: not those to the questions of the analysis")
    for numbers in (numbers for answer in answers.answers for numbers in answer.numbers):
        size = (len(numbers.heading.labels),)
        arrays = (numbers.values, numbers.errors, numbers.low, numbers.high)
        if any(one.shape != size or one.dtype != np.float64 for one in arrays) or numbers.withheld.shape != size:
            raise Refused(f"answers: {numbers.heading.what}: expected {size[0]} numbers")


def _outline(answers: Answers) -> list[tuple[str, str, tuple[Heading, ...]]]:
    return [(one.name, one.kind, tuple(numbers.heading for numbers in one.numbers)) for one in answers.answers]


def _count(opened: Opened) -> tuple[Numbers, ...]:
    return (_patients(opened, (ALL,), opened.sums[:1]),)


def _mean(opened: Opened) -> tuple[Numbers, ...]:
    asked = opened.block.query.mean
    assert asked is not None
    column = opened.schema.column(asked.column)
    low, high = number_range(column)
    middle, half = (low + high) / 2, (high - low) / 2
    count, total = float(opened.sums[0]), float(opened.sums[1])
    shown = small_cells.enough(opened.sums[:1], opened.minimum)
    divisor = max(count, 1.0)  # a smaller count is not shown
    known = column.kind == BOOLEAN or asked.deviation
    spread = Estimate(0.0, 0.0, 0.0, 0.0)
    variance = 0.0
    if asked.deviation:
        spread = noisy_means.deviation(divisor, total, float(opened.sums[2]), opened.noise)
        variance = spread.value**2
    elif known:
        variance = max(1.0 - min(abs(total / divisor), 1.0) ** 2, 0.0)  # x is -1 or 1
    found = _figures([noisy_means.mean(divisor, total, opened.noise, variance)])
    scaled = found * half + np.array([[middle], [0.0], [middle], [middle]])
    parts = [
        _patients(opened, (ALL,), opened.sums[:1]),
        told(_heading("mean", column.unit, BOTH if known else NOISE, (ALL,)), scaled, shown),
    ]
    if asked.deviation:
        heading = _heading("standard deviation", column.unit, NOISE, (ALL,))
        parts.append(told(heading, _figures([spread]) * half, shown))
    return tuple(parts)


def _table(opened: Opened) -> tuple[Numbers, ...]:
    """The cells, and then the margins: all sums over one axis or more."""
    axes = opened.block.axes
    shape = tuple(axis.count for axis in axes)
    counts = small_cells.with_margins(opened.sums.reshape(shape))
    terms = small_cells.with_margins(np.ones(shape))
    shown = ~small_cells.withheld(counts, opened.minimum)
    inner = np.zeros(counts.shape, dtype=np.bool_)
    inner[tuple(slice(n) for n in shape)] = True
    figures = _counted(counts.ravel(), opened.noise * np.sqrt(terms.ravel()))
    labels = [", ".join(words) for words in product(*((*axis.labels, ALL) for axis in axes))]
    parts = []
    for what, mask in ((PATIENTS, inner.ravel()), ("margins", ~inner.ravel())):
        heading = _heading(what, "", NOISE, tuple(labels[i] for i in np.flatnonzero(mask)))
        parts.append(told(heading, figures[:, mask], shown.ravel()[mask]))
    return tuple(parts)


def _quantiles(opened: Opened) -> tuple[Numbers, ...]:
    asked, axis = opened.block.query.quantiles, opened.block.axes[0]
    assert asked is not None
    bins = len(axis.edges) - 1
    counts, absent = opened.sums[:bins], opened.sums[bins:]
    total = float(counts.sum())
    found = [noisy_quantiles.quantile(counts, axis.edges, level, opened.noise) for level in asked.levels]
    levels = np.array(asked.levels)
    tails = total * np.minimum(levels, 1 - levels)
    patients = _counted(np.append(total, absent), opened.noise * np.sqrt([float(bins)] + [1.0] * len(absent)))
    labels = ("with a value", *((MISSING,) if len(absent) else ()))
    what = f"quantiles, in bins of {np.diff(axis.edges).max():g} at most"
    unit = opened.schema.column(axis.column).unit
    heading = Heading(what, unit, BOTH, tuple(f"{level:g}" for level in levels), levels)
    return (
        told(_heading(PATIENTS, "", NOISE, labels), patients, small_cells.enough(patients[0], opened.minimum)),
        told(heading, _figures(found), small_cells.enough(tails, opened.minimum)),
    )


def _survival(opened: Opened) -> tuple[Numbers, ...]:
    time, *by = opened.block.axes
    counts = opened.sums[:-1].reshape(-1, time.count, 2)
    censored, events = counts[..., 0], counts[..., 1]
    unit = opened.schema.column(time.column).unit
    labels = tuple(f"{edge:g} {unit}".strip() for edge in time.edges)
    parts = []
    for g, group in enumerate(by[0].labels if by else ("",)):
        curve = survival.kaplan_meier(events[g], censored[g], opened.noise, opened.minimum)
        of = f", {group}" if group else ""
        figures = np.stack([curve.survival, curve.error, curve.low, curve.high])
        parts.append(told(Heading(f"survival{of}", "", BOTH, labels, time.edges), figures, curve.shown))
        risk = _counted(curve.at_risk, curve.risk_error)
        parts.append(told(Heading(f"at risk{of}", "", NOISE, labels, time.edges), risk, curve.risk_shown))
    if len(counts) == 2:
        parts.append(_log_rank(survival.log_rank(events, censored, opened.noise, opened.minimum)))
    parts.append(_patients(opened, (f"left out, {MISSING} values",), opened.sums[-1:]))
    return tuple(parts)


def _log_rank(statistic: float | None) -> Numbers:
    figures = np.full((4, 2), np.nan)
    if statistic is not None:
        figures[0] = statistic, math.erfc(abs(statistic) / math.sqrt(2))
    return told(_heading("log-rank", "", BOTH, ("z", "p")), figures, np.full(2, statistic is not None))


_ANSWERS: dict[str, Callable[[Opened], tuple[Numbers, ...]]] = {
    COUNT: _count,
    MEAN: _mean,
    HISTOGRAM: _table,
    QUANTILES: _quantiles,
    TABLE: _table,
    SURVIVAL: _survival,
}


def _patients(opened: Opened, labels: tuple[str, ...], counts: Floats) -> Numbers:
    figures = _counted(counts, np.full(len(counts), opened.noise))
    return told(_heading(PATIENTS, "", NOISE, labels), figures, small_cells.enough(counts, opened.minimum))


def _counted(counts: Floats, errors: Floats) -> Floats:
    """float64[4, n]: counts, errors and intervals, which do not go below nobody."""
    return np.stack([counts, errors, np.maximum(counts - Z95 * errors, 0.0), counts + Z95 * errors])


def _figures(estimates: list[Estimate]) -> Floats:
    return np.array([[one.value, one.error, one.low, one.high] for one in estimates]).T


def _heading(what: str, unit: str, covers: str, labels: tuple[str, ...]) -> Heading:
    return Heading(what, unit, covers, labels, np.empty(0))
