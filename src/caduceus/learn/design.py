"""From a clinical table to the columns of a model: scaled numbers and indicators.

Scaling uses only the schema's public ranges, so every site scales alike before anything is known about
the data, no scaled value leaves [-1, 1], and sums of squares stay small enough for exact fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caduceus.data.schema import BOOLEAN, CATEGORY, FEATURE, TARGET, Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.kinds import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Which columns a model sees, in order: measured ones first, then indicators of absence.

    names       of all columns of a standardised matrix, for people
    source      schema column behind each measured column
    level       for an indicator of a category, the position of its level; 0 for other columns
    center      float64[measured], in the unit of the column
    half        float64[measured], > 0: scaled value = (value - center) / half
    indicators  positions of the measured columns whose absence is a column of its own
    target      schema column to predict
    """

    names: tuple[str, ...]
    source: tuple[str, ...]
    level: tuple[int, ...]
    center: Floats
    half: Floats
    indicators: tuple[int, ...]
    target: str

    @property
    def measured(self) -> int:
        """Columns that are read from the table."""
        return len(self.source)

    @property
    def width(self) -> int:
        """All columns of a standardised matrix, without the intercept."""
        return len(self.names)

    def features(self, table: Table) -> Floats:
        """The scaled measured columns: float64[rows, measured] in [-1, 1], NaN where missing.

        A category's missing value is missing in each of its indicators.

        Raises Refused, naming the column, if a value lies outside the public range.
        """
        scaled = np.empty((table.rows, self.measured))
        for i, (name, level) in enumerate(zip(self.source, self.level, strict=True)):
            values = table.column(name)
            if level:
                values = np.where(np.isnan(values), np.nan, values == level)
            scaled[:, i] = (values - self.center[i]) / self.half[i]
            if np.nanmax(np.abs(scaled[:, i]), initial=0.0) > 1 + 1e-9:
                raise Refused(f"column {name}: a value lies outside the schema's range; correct the one or the other")
        return np.clip(scaled, -1.0, 1.0)

    def labels(self, table: Table) -> Floats:
        """The target: float64[rows], 0 or 1.

        Raises Refused if it is missing anywhere.
        """
        values = table.column(self.target)
        if np.isnan(values).any():
            raise Refused(f"column {self.target}: the target is missing in some row; leave such rows out")
        return values


def plan(schema: Schema, features: tuple[str, ...], missing_indicators: tuple[str, ...], target: str) -> Design:
    """Decide the columns of a model.

    schema              what the table's columns mean
    features            schema columns to use, in order: numbers and booleans as one column, a category as
                        one indicator per level but the first
    missing_indicators  those features whose absence is a column of its own
    target              a boolean schema column of role target

    Raises Refused, naming the column, if it is unknown, named twice, of the wrong role or kind, or has no range.
    """
    _check_names(schema, features, missing_indicators, target)
    names: list[str] = []
    source: list[str] = []
    level: list[int] = []
    center: list[float] = []
    half: list[float] = []
    first: dict[str, int] = {}
    for name in features:
        column = schema.column(name)
        first[name] = len(names)
        middle, reach = _scaling(column)
        for k in range(1, len(column.levels)) if column.kind == CATEGORY else (0,):
            names.append(f"{name}={column.levels[k]}" if k else name)
            source.append(name)
            level.append(k)
            center.append(middle)
            half.append(reach)
    names += [f"{name} missing" for name in missing_indicators]
    indicators = tuple(first[name] for name in missing_indicators)
    return Design(tuple(names), tuple(source), tuple(level), np.array(center), np.array(half), indicators, target)


def _check_names(schema: Schema, features: tuple[str, ...], missing_indicators: tuple[str, ...], target: str) -> None:
    if not features:
        raise Refused("features: name at least one column")
    for field, names in (("features", features), ("missing_indicators", missing_indicators)):
        for i, name in enumerate(names):
            if name in names[:i]:
                raise Refused(f"{field}: column {name} is named twice")
    for name in features:
        if schema.column(name).role != FEATURE:
            raise Refused(f"features: column {name} has role {schema.column(name).role}, not feature")
    for name in missing_indicators:
        if name not in features:
            raise Refused(f"missing_indicators: column {name} is not among the features")
    aim = schema.column(target)
    if aim.role != TARGET or aim.kind != BOOLEAN:
        raise Refused(f"target: column {target} is a {aim.kind} of role {aim.role}; wanted a boolean of role target")


def _scaling(column: Column) -> tuple[float, float]:
    if column.kind == CATEGORY and len(column.levels) < 2:
        raise Refused(f"column {column.name}: a category of one level tells nothing; leave it out")
    if column.kind in (BOOLEAN, CATEGORY):
        return 0.0, 1.0  # zeros and ones stay exact, so a column that never varies has exactly no variance
    if column.range is None:
        raise Refused(
            f"column {column.name}: the schema gives no plausible range; training needs one to bound its sums"
        )
    low, high = column.range
    if not low < high:
        raise Refused(f"column {column.name}: the plausible range holds a single value")
    return (low + high) / 2, (high - low) / 2
