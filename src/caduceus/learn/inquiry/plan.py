"""An analysis as one sum: what a site computes of its own table, and how much a patient can change in it.

Every question has a block of the vector. A row adds its weight (`data.patients`) times the row's own vector, which is

    1 in the cell that the row falls into               count, histogram, quantiles, table, survival: norm 1
    (1, x) or (1, x, x * x) with x in [-1, 1]           mean: norm at most sqrt(2) or sqrt(3)

or zero if the question is not about the row. A patient's weights add to at most 1, so by the triangle inequality all
rows of a patient together change block q by at most its norm s_q. The block is then scaled by w_q / s_q, where w_q is
the square root of the question's share of all weights, so the squares of the w_q add to 1. A patient changes the whole
vector by at most

    sqrt(sum over q of (w_q / s_q * s_q)^2) = sqrt(sum over q of w_q^2) = 1                                      (1)

and a patient whom every question is about, with x at the end of the range, by exactly that. So the whole is one
release of sensitivity 1, with one Gaussian event in the accounts, whatever the number of questions. If the noise of
the sum has deviation s per entry, block q in its own units has s * s_q / w_q.

A site does not withhold its own small cells before they are summed. A patient who lifts a cell over the threshold
would then change it by the whole threshold instead of by one, and (1) would have to pay for that with as many times
the noise; and the sum of what sites leave over is no longer the sum over all patients. What a site does before
anything leaves it is to refuse a question with too many cells (`check_cells`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caduceus.data import patients
from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.inquiry.cells import Axis, Cells, Mask, Places, cells, matching, number_range
from caduceus.learn.inquiry.queries import Analysis, Mean, Query, check
from caduceus.learn.rows import ROWS_LIMIT

MOST_ENTRIES = 1 << 16
"""Of the whole vector."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One question's part of the vector.

    axes         the cells of its columns: of a histogram, of quantiles, of a table; time and then group of survival
    start        first entry
    length       entries
    sensitivity  s_q of the module's docstring
    share        w_q
    """

    query: Query
    axes: tuple[Cells, ...]
    start: int
    length: int
    sensitivity: float
    share: float

    @property
    def factor(self) -> float:
        """What the block's own numbers are multiplied by."""
        return self.share / self.sensitivity

    @property
    def published(self) -> int:
        """How many separate groups of patients the answer tells of; fine histograms behind quantiles are not told."""
        if self.query.histogram is not None or self.query.table is not None or self.query.survival is not None:
            return math.prod(axis.count for axis in self.axes)
        return 1


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The vector of an analysis."""

    analysis: Analysis
    schema: Schema
    blocks: tuple[Block, ...]

    @property
    def length(self) -> int:
        """Entries of every site's vector."""
        return self.blocks[-1].start + self.blocks[-1].length

    @property
    def bound(self) -> float:
        """Every entry of one site's vector lies in [-bound, bound]: a row adds at most 1 before scaling."""
        return ROWS_LIMIT * max(block.factor for block in self.blocks)

    @property
    def sensitivity(self) -> float:
        """Euclidean norm of what one patient can change in a site's vector, by (1)."""
        return 1.0


def plan(analysis: Analysis, schema: Schema) -> Plan:
    """Lay out the vector of an analysis.

    Raises Refused, naming the question and the column, if a question does not fit the schema, or if all of them
    together have too many entries.
    """
    check(analysis, schema)
    weights = math.fsum(query.weight for query in analysis.queries)
    blocks: list[Block] = []
    start = 0
    for query in analysis.queries:
        axes = _axes(query, schema)
        length = _length(query, axes)
        sensitivity = math.sqrt(length) if query.mean is not None else 1.0
        blocks.append(Block(query, axes, start, length, sensitivity, math.sqrt(query.weight / weights)))
        start += length
    if start > MOST_ENTRIES:
        raise Refused(f"analysis: {start} numbers in all, at most {MOST_ENTRIES}; ask for fewer cells")
    return Plan(analysis, schema, tuple(blocks))


def check_cells(plan: Plan, rows: int) -> None:
    """Refuse questions that cut so many patients into so many cells that most answers would be about a few.

    The rule: a histogram, a table or a survival curve (groups times bins of time) has at most one cell per half a
    `minimum_cell` of the stated rows. With fewer rows the average cell would be withheld anyway.

    rows  how many records the sites that take part have at least, together, as their cards say

    Raises Refused, naming the question.
    """
    for block in plan.blocks:
        least = math.ceil(block.published * plan.analysis.minimum_cell / 2)
        if rows < least:
            names = ", ".join(axis.column for axis in block.axes)
            raise Refused(
                f"query '{block.query.name}': {block.published} cells{' of ' * bool(names)}{names} need {least} rows, "
                f"and the sites state {rows} at least; ask for fewer cells"
            )


def tally(plan: Plan, table: Table) -> Floats:
    """A site's vector: float64[length], each entry within the bound.

    table  the site's records, under the plan's schema

    Reveals, once summed over sites and blurred, no more of any patient than the release's multiplier says.

    Raises Refused for more than `ROWS_LIMIT` rows, Misuse for another schema's table.
    """
    if table.schema != plan.schema:
        raise Misuse("tally: the table has another schema than the plan")
    if table.rows > ROWS_LIMIT:
        raise Refused(f"more than {ROWS_LIMIT} rows; split the data set")
    weights = patients.weights(table)
    vector = np.zeros(plan.length)
    for block in plan.blocks:
        kept = matching(block.query.where, table)
        own = vector[block.start : block.start + block.length]
        if block.query.mean is not None:
            own[:] = _powers(block.query.mean, table, kept, block.length) @ weights
        else:
            places = np.where(kept, _places(block, table), -1)
            told = places >= 0
            own[:] = np.bincount(places[told], weights[told], minlength=block.length)
        own *= block.factor
    return vector


def _axes(query: Query, schema: Schema) -> tuple[Cells, ...]:
    if query.histogram is not None:
        return (cells(query.histogram.axis, schema, missing=query.histogram.missing),)
    if query.quantiles is not None:
        return (cells(query.quantiles.axis, schema, missing=True),)
    if query.table is not None:
        return tuple(cells(axis, schema, missing=query.table.missing) for axis in query.table.axes)
    if query.survival is not None:
        named = (query.survival.time, *((Axis(query.survival.by, 0, ()),) if query.survival.by else ()))
        return tuple(cells(axis, schema, missing=False) for axis in named)
    return ()


def _length(query: Query, axes: tuple[Cells, ...]) -> int:
    if query.mean is not None:
        return 3 if query.mean.deviation else 2
    count = math.prod(axis.count for axis in axes)
    return 2 * count + 1 if query.survival is not None else count  # censored and event, and one cell for those left out


def _powers(mean: Mean, table: Table, kept: Mask, count: int) -> Floats:
    """float64[count, rows]: 1, x, x * x, or zeros for rows that are not asked about or have no value."""
    low, high = number_range(table.schema.column(mean.column))
    values = table.column(mean.column)
    told = kept & ~np.isnan(values)
    held = np.clip(np.where(told, values, low), low, high)
    x = np.clip((held - (low + high) / 2) / ((high - low) / 2), -1.0, 1.0)
    return np.where(told, np.stack([np.ones_like(x), x, x * x])[:count], 0.0)


def _places(block: Block, table: Table) -> Places:
    """int64[rows]: each row's entry of the block, -1 for none."""
    if block.query.survival is not None:
        return _survival_places(block, table)
    place = np.zeros(table.rows, dtype=np.int64)
    absent = np.zeros(table.rows, dtype=np.bool_)
    for axis in block.axes:
        one = axis.places(table.column(axis.column))
        absent |= one < 0
        place = place * axis.count + one
    return np.where(absent, -1, place)


def _survival_places(block: Block, table: Table) -> Places:
    """Entry 2 * (group * bins + bin) + event; the last one for rows that lack a value.

    Bins are closed on the right: who has the event at a time of the grid does not survive that time.
    """
    survival = block.query.survival
    assert survival is not None
    time, *by = block.axes
    bin_ = time.places(table.column(time.column), closed="right")
    group = by[0].places(table.column(by[0].column)) if by else np.zeros(table.rows, dtype=np.int64)
    event = table.column(survival.event)
    absent = (bin_ < 0) | (group < 0) | np.isnan(event)
    place = 2 * (group * time.count + bin_) + (np.where(absent, 0.0, event) > 0.5)
    return np.where(absent, block.length - 1, place)
