"""What a buyer may ask of all sites together, without a model: counts, means, distributions, tables, survival.

An analysis is a list of questions, answered at once from one sum with noise. Everything in it is public and fixed
before a row is read. Its precision is fixed too, by the job's privacy budget: a question's weight says how much of it
goes to that question. Precision is one over the variance of the noise, so of two questions the one with four times
the weight has half the standard error.
"""

from __future__ import annotations

import math
from itertools import pairwise

from caduceus import canon
from caduceus.data.schema import BOOLEAN, CATEGORY, INTEGER, NUMBER, Schema
from caduceus.errors import Refused
from caduceus.learn.inquiry.cells import MOST_CELLS, Axis, Condition, cells, check_condition, number_range

MOST_QUERIES = 64
MOST_AXES = 3
MOST_LEVELS = 99
"""Quantiles of one question."""

MOST_TIMES = 256
"""Bins of a survival curve's time."""

LEAST_CELL, LARGEST_CELL = 5, 1000
"""What `minimum_cell` may be."""

COUNT, MEAN, HISTOGRAM, QUANTILES, TABLE, SURVIVAL = "count", "mean", "histogram", "quantiles", "table", "survival"
"""The kinds of questions."""


@canon.record("learn/query/mean/1")
class Mean:
    """The mean of a column over the patients that have a value; rows without one are left out.

    column     number, integer or boolean, with a public range; values are clipped to it
    deviation  whether the standard deviation is asked for too; of a boolean it follows from the mean
    """

    column: str
    deviation: bool


@canon.record("learn/query/histogram/1")
class Histogram:
    """How many patients per cell of one column.

    missing  whether rows without a value have a cell of their own; else they are left out
    """

    axis: Axis
    missing: bool


@canon.record("learn/query/quantiles/1")
class Quantiles:
    """Quantiles of a number, read off a fine histogram; rows without a value are left out, and counted.

    axis    its bins are the resolution: no quantile is known better than to one bin. Finer is not always better,
            because the noise of all bins below a quantile adds up
    levels  ascending, in (0, 1), such as 0.5 for the median
    """

    axis: Axis
    levels: tuple[float, ...]


@canon.record("learn/query/table/1")
class Contingency:
    """How many patients per combination of cells of one to three columns.

    missing  whether rows without a value have a cell of their own; else a row without all values is left out
    """

    axes: tuple[Axis, ...]
    missing: bool


@canon.record("learn/query/survival/1")
class Survival:
    """How many patients are without the event after each time (Kaplan and Meier 1958).

    time   number or integer: how long a patient was followed; its bins are the public grid of times
    event  boolean: whether the event ended it; else the patient was lost from sight (censored)
    by     a category with one curve per level; "" for one curve. Rows that lack any of these values are left out, and
           counted
    """

    time: Axis
    event: str
    by: str


@canon.record("learn/query/1")
class Query:
    """One question: at most one of the last five fields; with none of them, how many patients there are.

    name    unique in the analysis
    where   all must hold for a row to count
    weight  share of the precision, relative to the other questions
    """

    name: str
    where: tuple[Condition, ...]
    weight: float
    mean: Mean | None
    histogram: Histogram | None
    quantiles: Quantiles | None
    table: Contingency | None
    survival: Survival | None

    @property
    def kind(self) -> str:
        """What is asked for, in a word."""
        asked = (self.mean, self.histogram, self.quantiles, self.table, self.survival)
        kinds = (MEAN, HISTOGRAM, QUANTILES, TABLE, SURVIVAL)
        return next((kind for kind, one in zip(kinds, asked, strict=True) if one is not None), COUNT)


@canon.record("learn/analysis/1")
class Analysis:
    """All questions of a job.

    minimum_cell  no answer about fewer patients is published (`small_cells`)
    """

    queries: tuple[Query, ...]
    minimum_cell: int


def columns(analysis: Analysis) -> tuple[str, ...]:
    """The schema columns that any question uses, conditions included, each once."""
    used: list[str] = []
    for query in analysis.queries:
        used += [one.column for one in query.where]
        if query.mean is not None:
            used.append(query.mean.column)
        if query.histogram is not None:
            used.append(query.histogram.axis.column)
        if query.quantiles is not None:
            used.append(query.quantiles.axis.column)
        if query.table is not None:
            used += [axis.column for axis in query.table.axes]
        if query.survival is not None:
            used += [query.survival.time.column, query.survival.event]
            used += [query.survival.by] if query.survival.by else []
    return tuple(dict.fromkeys(used))


def check(analysis: Analysis, schema: Schema) -> None:
    """Refuse questions that make no sense for a schema; the analysis may come from a peer.

    Raises Refused, naming the question and the column.
    """
    if not 1 <= len(analysis.queries) <= MOST_QUERIES:
        raise Refused(f"analysis: from 1 to {MOST_QUERIES} queries")
    if not LEAST_CELL <= analysis.minimum_cell <= LARGEST_CELL:
        raise Refused(f"analysis: minimum_cell from {LEAST_CELL} to {LARGEST_CELL}")
    names: set[str] = set()
    for number, query in enumerate(analysis.queries, 1):
        if not 1 <= len(query.name) <= 100 or not query.name.isprintable():
            raise Refused(f"query {number}: a name of 1 to 100 printable characters")
        if query.name in names:
            raise Refused(f"query '{query.name}': another query has this name")
        names.add(query.name)
        try:
            _check_query(query, schema)
        except Refused as problem:
            raise Refused(f"query '{query.name}': {problem}") from None


def _check_query(query: Query, schema: Schema) -> None:
    asked = (query.mean, query.histogram, query.quantiles, query.table, query.survival)
    _require(sum(one is not None for one in asked) <= 1, "asks for one thing only")
    _require(1e-3 <= query.weight <= 1e3, "weight from 0.001 to 1000")
    for condition in query.where:
        check_condition(condition, schema)
    if query.mean is not None:
        _check_mean(query.mean, schema)
    if query.histogram is not None:
        cells(query.histogram.axis, schema, missing=query.histogram.missing)
    if query.quantiles is not None:
        _check_quantiles(query.quantiles, schema)
    if query.table is not None:
        _check_table(query.table, schema)
    if query.survival is not None:
        _check_survival(query.survival, schema)


def _check_mean(mean: Mean, schema: Schema) -> None:
    column = schema.column(mean.column)
    number_range(column)
    if mean.deviation and column.kind == BOOLEAN:
        raise Refused(f"column {column.name}: the deviation of a boolean follows from its mean; leave it out")


def _check_quantiles(quantiles: Quantiles, schema: Schema) -> None:
    _number(quantiles.axis.column, schema)
    cells(quantiles.axis, schema, missing=True)
    levels = quantiles.levels
    _require(1 <= len(levels) <= MOST_LEVELS, f"from 1 to {MOST_LEVELS} levels")
    _require(all(0 < level < 1 for level in levels), "levels above 0 and below 1")
    _require(all(a < b for a, b in pairwise(levels)), "levels must ascend")


def _check_table(table: Contingency, schema: Schema) -> None:
    _require(1 <= len(table.axes) <= MOST_AXES, f"from 1 to {MOST_AXES} columns")
    names = [axis.column for axis in table.axes]
    for name in names:
        _require(names.count(name) == 1, f"column {name} is named twice")
    count = math.prod(cells(axis, schema, missing=table.missing).count for axis in table.axes)
    _require(count <= MOST_CELLS, f"columns {', '.join(names)}: {count} cells, at most {MOST_CELLS}")


def _check_survival(survival: Survival, schema: Schema) -> None:
    _number(survival.time.column, schema)
    bins = cells(survival.time, schema, missing=False).count
    _require(bins <= MOST_TIMES, f"column {survival.time.column}: {bins} bins of time, at most {MOST_TIMES}")
    event = schema.column(survival.event)
    _require(event.kind == BOOLEAN, f"column {event.name} is a {event.kind}; the event must be a boolean")
    groups = 1
    if survival.by:
        by = schema.column(survival.by)
        _require(by.kind == CATEGORY, f"column {by.name} is a {by.kind}; groups must be a category")
        groups = cells(Axis(by.name, 0, ()), schema, missing=False).count
    _require(2 * bins * groups < MOST_CELLS, f"column {survival.time.column}: fewer times or groups")


def _number(name: str, schema: Schema) -> None:
    column = schema.column(name)
    _require(column.kind in (NUMBER, INTEGER), f"column {name} is a {column.kind}; wanted a number or an integer")


def _require(holds: bool, wanted: str) -> None:
    if not holds:
        raise Refused(wanted)
