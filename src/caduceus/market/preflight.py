"""Before a job starts: do the sites' tables mean what the schema says? Asked of all of them at once, through noise.

The questions are an analysis job like any other: how many patients there are and one histogram per column, in one
secure sum with noise, out of every data set's budget. From the published sums alone everybody sees what is odd in all
sites together (`compare`). And each site, holding its own table beside the same sums, sees for itself how it deviates
from the others (`own`); that is told to nobody else.

What makes no sense for the schema at all (a code that is no level, a number outside of its range) never gets as far:
reading the table refuses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from caduceus.data.patients import weights
from caduceus.data.readiness.finding import FEW, Finding, Severity
from caduceus.data.schema import BOOLEAN, CATEGORY, Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.inquiry.answers import Answers
from caduceus.learn.inquiry.cells import Axis, Mask, cells
from caduceus.learn.inquiry.queries import MOST_QUERIES, Analysis, Histogram, Query
from caduceus.market.preflight_units import other_unit

BINS = 24
"""Of a number's range; in equal ratios where it spans more than `_WIDE`-fold, so that a factor shows at every size."""

_WIDE = 20.0
_MANY_MISSING, _FAR = 0.5, 0.1
_CLEAR = 3.0
"""Standard errors beyond which a difference is no noise."""


def questions(schema: Schema, columns: Sequence[str] = (), *, bins: int = BINS, minimum_cell: int = FEW) -> Analysis:
    """What is asked of all sites.

    columns  those that a job uses; all that are read, if none is named
    bins     of numbers; fewer where sites have few rows (`learn.inquiry.plan.check_cells` refuses too many)

    Raises Refused if a column is unknown, or if there are more than one analysis asks.
    """
    for name in columns:
        schema.column(name)
    asked = [
        one
        for one in schema.columns
        if one.derived is None and (not columns or one.name in columns) and (one.levels or one.range is not None)
    ]
    if not 0 < len(asked) < MOST_QUERIES:
        raise Refused(
            f"preflight: {len(asked)} columns; from 1 to {MOST_QUERIES - 1} are asked about at once, name fewer"
        )
    patients = Query("preflight", (), 1.0, None, None, None, None, None)
    return Analysis((patients, *(_question(one, bins) for one in asked)), minimum_cell)


def _question(column: Column, bins: int) -> Query:
    axis = Axis(column.name, 0, ())
    if column.kind not in (CATEGORY, BOOLEAN):
        assert column.range is not None  # `questions` leaves the others out
        low, high = column.range
        is_wide = low > 0 and high / low > _WIDE
        inner = tuple(np.geomspace(low, high, bins + 1)[1:-1].tolist()) if is_wide else ()
        axis = Axis(column.name, 0, inner) if is_wide else Axis(column.name, bins, ())
    return Query(f"preflight: {column.name}", (), 1.0, None, Histogram(axis, missing=False), None, None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What was published of one column.

    labels    of the cells
    edges     of a number's cells, else empty
    counts    float64, patients per cell; 0 in those that were withheld
    withheld  bool, per cell: too few patients, or it would tell such a number
    rest      patients in all cells that were withheld
    missing   patients without a value
    error     standard error of a cell, from noise
    """

    column: Column
    labels: tuple[str, ...]
    edges: Floats
    counts: Floats
    withheld: Mask
    rest: float
    missing: float
    error: float

    @property
    def known(self) -> float:
        """Patients with a value."""
        return float(self.counts.sum()) + self.rest

    @property
    def total(self) -> float:
        """Patients, at least 1."""
        return max(self.known + self.missing, 1.0)

    @property
    def shares(self) -> Floats:
        """Of the patients with a value, per cell that is shown, and of those that are not, together."""
        counts = np.append(self.counts[~self.withheld], self.rest)
        return counts / max(float(counts.sum()), 1.0)

    def doubt(self, cells: int) -> float:
        """Standard error of a sum of cells, from noise."""
        return self.error * math.sqrt(cells)


def sums_of(analysis: Analysis, answers: Answers, schema: Schema) -> tuple[Sums, ...]:
    """The published sums by column.

    Raises Misuse if the answers are another analysis'.
    """
    if [one.name for one in answers.answers] != [one.name for one in analysis.queries]:
        raise Misuse("preflight: these are answers to other questions")
    patients = float(np.nan_to_num(answers.answers[0].numbers[0].values, nan=0.0)[0])
    found = []
    for query, answer in zip(analysis.queries[1:], answers.answers[1:], strict=True):
        if query.histogram is None:
            raise Misuse(f"preflight: '{query.name}' is not one of its questions")
        grid = cells(query.histogram.axis, schema, missing=False)
        inner, margins = answer.numbers
        withheld = inner.withheld.astype(np.bool_)
        counts = np.where(withheld, 0.0, np.maximum(np.nan_to_num(inner.values, nan=0.0), 0.0))
        known = max(float(np.nan_to_num(margins.values, nan=0.0).max(initial=0.0)), float(counts.sum()))
        error = float(np.nanmax(margins.errors, initial=0.0)) / math.sqrt(grid.count)
        column = schema.column(query.histogram.axis.column)
        rest, missing = known - float(counts.sum()), 0.0 if column.required else max(patients - known, 0.0)
        found.append(Sums(column, grid.labels, grid.edges, counts, withheld, rest, missing, error))
    return tuple(found)


# ---------------------------------------------------------------- all sites together


def compare(sums: Sequence[Sums]) -> tuple[Finding, ...]:
    """What is odd in all sites together, from published sums alone."""
    return tuple(one for each in sums for one in (*_unused(each), *_absent(each), *_mixed(each)))


def _unused(sums: Sums) -> list[Finding]:
    if sums.edges.size or sums.total < 4 * FEW:
        return []
    few = max(FEW, _CLEAR * sums.error)
    idle = [label for label, count in zip(sums.labels, sums.counts, strict=True) if count < few]
    if not idle or len(idle) == len(sums.labels):
        return []
    is_all = sums.rest < few or not sums.withheld.any()
    says = f"hardly anybody has {'' if is_all else 'one of '}{', '.join(idle)}, over all sites"
    return [_finding("level", sums, Severity.WARN, says, "see that every site codes these levels, or merge them")]


def _absent(sums: Sums) -> list[Finding]:
    share = sums.missing / sums.total
    if share - _CLEAR * sums.doubt(len(sums.labels) + 1) / sums.total < _MANY_MISSING - _FAR:
        return []
    says = f"about {_percent(share)} of the patients have no value, over all sites"
    return [_finding("missing", sums, Severity.WARN, says, "leave the column out, or sites that do not measure it")]


def _mixed(sums: Sums) -> list[Finding]:
    """Two humps with nothing in between that lie as two units of the same would."""
    if not sums.edges.size:
        return []
    is_there = sums.counts >= max(FEW, _CLEAR * sums.error)
    humps = [hump for hump in _runs(is_there) if sums.counts[hump].sum() > 2 * FEW]
    middles = [_middle(sums.edges[hump.start : hump.stop + 1], sums.counts[hump]) for hump in humps]
    for i, low in enumerate(middles):
        for high in middles[i + 1 :]:
            unit = other_unit(sums.column, of=low, among=high) or other_unit(sums.column, of=high, among=low)
            if unit:
                says = f"two groups of values, about {low:.3g} and {high:.3g}, as if some were in {unit}"
                return [_finding("unit", sums, Severity.BLOCK, says, _convert(sums.column, unit))]
    return []


# ---------------------------------------------------------------- one site, for itself


def own(table: Table, sums: Sequence[Sums]) -> tuple[Finding, ...]:
    """How a site's table deviates from those of the others; for this site's steward alone.

    Reveals: nothing, as long as it stays at the site. Shares are rounded to five per cent.

    Raises Refused if the table has no such column.
    """
    shares = weights(table)
    found: list[Finding] = []
    for each in sums:
        mine = _tally(table.column(each.column.name), shares, each)
        others = replace(
            each,
            counts=np.maximum(each.counts - mine.counts, 0.0),
            rest=max(each.rest - mine.rest, 0.0),
            missing=max(each.missing - mine.missing, 0.0),
        )
        if min(mine.total, others.total) >= 2 * FEW:
            found += [*_missing(mine, others), *_other_unit(mine, others), *_other_coding(mine, others)]
    return tuple(found)


def _tally(values: Floats, shares: Floats, sums: Sums) -> Sums:
    absent = np.isnan(values)
    if sums.edges.size:
        places = np.searchsorted(sums.edges[1:-1], values[~absent], side="right")
    else:
        places = values[~absent].astype(np.int64)
    counts = np.bincount(places, weights=shares[~absent], minlength=len(sums.labels)).astype(np.float64)
    rest = float(counts[sums.withheld].sum())
    shown = np.where(sums.withheld, 0.0, counts)
    return replace(sums, counts=shown, rest=rest, missing=float(shares[absent].sum()), error=0.0)


def _missing(mine: Sums, others: Sums) -> list[Finding]:
    here, there = mine.missing / mine.total, others.missing / others.total
    if abs(here - there) < max(_FAR, _CLEAR * _doubt(there, mine, others, len(mine.labels) + 1)):
        return []
    says = f"about {_percent(here)} without a value here, about {_percent(there)} elsewhere"
    if here < there:
        remedy = "if a zero or a default stands for a missing value here, say so in the schema file"
        return [_finding("missing", mine, Severity.NOTE, says, remedy)]
    return [_finding("missing", mine, Severity.WARN, says, "see how this site writes a missing value, and a real zero")]


def _other_unit(mine: Sums, others: Sums) -> list[Finding]:
    if not mine.edges.size or min(mine.counts.sum(), others.counts.sum()) < 2 * FEW:
        return []
    here, there = _middle(mine.edges, mine.counts), _middle(others.edges, others.counts)
    unit = other_unit(mine.column, of=here, among=there)
    if not unit:
        return []
    says = f"the median lies where values in {unit} would, seen from the other sites"
    return [_finding("unit", mine, Severity.BLOCK, says, _convert(mine.column, unit))]


def _other_coding(mine: Sums, others: Sums) -> list[Finding]:
    if mine.edges.size or min(mine.known, others.known) < 2 * FEW:
        return []
    here, there = mine.shares, others.shares
    place = int(np.abs(here - there).argmax())
    far = float(np.abs(here - there)[place])
    if far < max(2 * _FAR, _CLEAR * _doubt(float(there[place]), mine, others, 1)):
        return []
    if len(here) > 1 and float(np.abs(np.sort(here) - np.sort(there)).max()) < far / 3:
        says = "the shares of the levels are those of the other sites, but of other levels"
        return [_finding("coding", mine, Severity.BLOCK, says, "compare the codes in the schema file with the source")]
    labels = [label for label, is_withheld in zip(mine.labels, mine.withheld, strict=True) if not is_withheld]
    levels = zip(labels, here[:-1], there[:-1], strict=True)
    never = [label for label, one, other in levels if one == 0 and other > _FAR]
    if never:
        says = f"never {', '.join(never)} here, and often elsewhere"
        return [_finding("level", mine, Severity.WARN, says, "see whether this site codes these levels at all")]
    says = "the levels are shared out otherwise than at the other sites"
    return [_finding("level", mine, Severity.NOTE, says, "other patients, or other codes: look")]


# ---------------------------------------------------------------- both


def _doubt(share: float, mine: Sums, others: Sums, count: int) -> float:
    """Standard error of the difference of a share here and there: chance at both, and the noise of so many cells."""
    chance = share * (1 - share) * (1 / mine.total + 1 / others.total)
    return math.sqrt(max(chance, 0.0) + (others.doubt(count) / others.total) ** 2)


def _middle(edges: Floats, counts: Floats) -> float:
    """The median of a histogram, each cell's patients evenly within it."""
    below = np.concatenate([[0.0], np.cumsum(counts)])
    return float(np.interp(below[-1] / 2, below, edges))


def _runs(flags: Mask) -> list[slice]:
    """Where flags are true one after the other."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _convert(column: Column, unit: str) -> str:
    return f"convert from {unit} to {column.unit} before the table is read"


def _percent(share: float) -> str:
    return f"{5 * round(20 * share)} %"


def _finding(rule: str, sums: Sums, severity: Severity, says: str, remedy: str) -> Finding:
    return Finding(f"preflight.{rule}", sums.column.name, None, None, severity, says, remedy)
