"""Rows into public cells: which rows a question is about, and the one cell that each of them falls into.

Cells come from the schema and the question alone, never from the data: a cell that appeared only because somebody is
in it would tell that somebody is. Whatever a table holds, even what its schema forbids, a row falls into one cell or
into none, so that a patient's part of any vector of counts is bounded without trusting the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.data.schema import BOOLEAN, CATEGORY, INTEGER, NUMBER, Column, Schema, did_you_mean
from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.kinds import Floats

MOST_CELLS = 4096
"""Of one question."""

MISSING = "missing"
"""What the cell of absent values is called."""

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@canon.record("learn/condition/1")
class Condition:
    """What a row must be like to count. A missing value meets no condition.

    column     of the schema
    levels     of a category: the value is one of these; else empty
    true       of a boolean: what the value is; else None
    low, high  of a number: the value lies between them, both included; None is no bound. Other kinds: None
    """

    column: str
    levels: tuple[str, ...]
    true: bool | None
    low: float | None
    high: float | None


@canon.record("learn/axis/1")
class Axis:
    """A column cut into cells.

    column  a category (its levels), a boolean (no, yes) or a number
    bins    of a number: so many equal bins over the schema's range; else 0
    edges   of a number: where its range is cut, ascending, inside the range. The ends of the range are edges of
            their own, so bins always cover all of it. Exactly one of bins and edges is given for a number
    """

    column: str
    bins: int
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of an axis, in order.

    column   of the schema
    labels   one per cell, for people
    edges    float64[bins + 1] of a number; empty for other kinds
    missing  whether the last cell is for rows without a value; if not, such rows are in no cell
    """

    column: str
    labels: tuple[str, ...]
    edges: Floats
    missing: bool

    @property
    def count(self) -> int:
        """How many cells, that of missing values among them."""
        return len(self.labels)

    def places(self, values: Floats, *, closed: str = "left") -> Places:
        """The cell of each value: int64[rows], -1 for none.

        values  float64[rows] as a table has them; numbers outside the range count as its nearest end
        closed  which edge belongs to a bin, left or right. The ends of the range belong to the outer bins
        """
        absent = np.isnan(values)
        if self.edges.size:
            side = "right" if closed == "left" else "left"
            place = np.searchsorted(self.edges[1:-1], values, side=side)  # type: ignore[call-overload]
        else:
            place = np.clip(np.rint(np.where(absent, 0.0, values)), 0, self.count - 1 - self.missing).astype(np.int64)
        return np.where(absent, self.count - 1 if self.missing else -1, place).astype(np.int64)


def cells(axis: Axis, schema: Schema, *, missing: bool) -> Cells:
    """The cells of an axis.

    missing  whether rows without a value get a cell, if the schema lets a value be missing

    Raises Refused, naming the column, if it is unknown, or cannot be cut in this way.
    """
    column = schema.column(axis.column)
    absent = (MISSING,) if missing and not column.required else ()
    if column.kind in (CATEGORY, BOOLEAN):
        if axis.bins or axis.edges:
            raise Refused(f"column {column.name}: a {column.kind} has cells of its own; leave bins and edges out")
        labels = column.levels if column.kind == CATEGORY else ("no", "yes")
        if not labels:
            raise Refused(f"column {column.name}: a category without levels has no cells")
        return Cells(column.name, (*labels, *absent), np.empty(0), bool(absent))
    edges = _edges(axis, column)
    ends = ["to <"] * (len(edges) - 2) + ["to "]
    labels = tuple(f"{a:g} {end}{b:g}" for (a, b), end in zip(pairwise(edges.tolist()), ends, strict=True))
    return Cells(column.name, (*labels, *absent), edges, bool(absent))


def number_range(column: Column) -> tuple[float, float]:
    """The public range of a number, an integer or a boolean.

    Raises Refused, naming the column, if there is none or it holds a single value.
    """
    if column.kind not in (NUMBER, INTEGER, BOOLEAN):
        raise Refused(f"column {column.name}: a {column.kind} has no range; wanted a number, an integer or a boolean")
    if column.range is None:
        raise Refused(f"column {column.name}: the schema gives no plausible range, which bounds what a patient can add")
    if not column.range[0] < column.range[1]:
        raise Refused(f"column {column.name}: the plausible range holds a single value")
    return column.range


def _edges(axis: Axis, column: Column) -> Floats:
    low, high = number_range(column)
    if bool(axis.bins) == bool(axis.edges):
        raise Refused(f"column {column.name}: say either bins or edges for a column of kind {column.kind}")
    if axis.bins:
        if not 1 <= axis.bins <= MOST_CELLS:
            raise Refused(f"column {column.name}: bins from 1 to {MOST_CELLS}")
        edges = np.linspace(low, high, axis.bins + 1)
    else:
        inside = all(low <= edge <= high for edge in axis.edges)
        if not inside or len(axis.edges) > MOST_CELLS:
            raise Refused(f"column {column.name}: at most {MOST_CELLS} edges, from {low:g} to {high:g}")
        if not all(a < b for a, b in pairwise(axis.edges)):
            raise Refused(f"column {column.name}: edges must ascend")
        edges = np.unique(np.array([low, *axis.edges, high]))
    if not (np.diff(edges) > 0).all():
        raise Refused(f"column {column.name}: so many bins are narrower than float64 can tell apart")
    return edges


def check_condition(condition: Condition, schema: Schema) -> None:
    """Refuse a condition that does not fit its column.

    Raises Refused, naming the column.
    """
    column = schema.column(condition.column)
    said = (bool(condition.levels), condition.true is not None, (condition.low, condition.high) != (None, None))
    wanted = (column.kind == CATEGORY, column.kind == BOOLEAN, column.kind in (NUMBER, INTEGER))
    if said != wanted:
        form = "one of its levels" if wanted[0] else "true or false" if wanted[1] else "a lowest or a highest value"
        raise Refused(f"where: column {column.name} is a {column.kind}; the condition must be {form}, and only that")
    for level in condition.levels:
        if level not in column.levels:
            raise Refused(f"where: column {column.name} has no level '{level}'{did_you_mean(level, column.levels)}")
    low = -np.inf if condition.low is None else condition.low
    high = np.inf if condition.high is None else condition.high
    if not low <= high:
        raise Refused(f"where: column {column.name}: the lowest value must be at most the highest, and both numbers")


def matching(conditions: Sequence[Condition], table: Table) -> Mask:
    """bool[rows]: which rows meet all conditions; a missing value meets none."""
    kept = np.ones(table.rows, dtype=np.bool_)
    for one in conditions:
        values = table.column(one.column)
        if one.levels:
            levels = table.schema.column(one.column).levels
            kept &= np.isin(values, [levels.index(level) for level in one.levels])
        elif one.true is not None:
            kept &= values == float(one.true)
        else:
            low, high = -np.inf if one.low is None else one.low, np.inf if one.high is None else one.high
            kept &= (values >= low) & (values <= high)
    return kept
