"""Raw columns to canonical ones: what is missing, impossible, out of range, and which level a code is.

A message names file, column and row and never the value: rows are counted from 1, without a header.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from caduceus.data.schema import INTEGER, Schema, Square
from caduceus.data.schema_file import FileColumn, FileLayout
from caduceus.errors import Refused
from caduceus.kinds import Floats


def number_missing(column: FileColumn, layout: FileLayout) -> list[float]:
    """The codes for "missing" that are numbers, of the column and of its file."""
    return [float(code) for code in (*column.missing, *layout.missing) if not isinstance(code, str)]


def settle_numbers(raw: Floats, column: FileColumn, missing: Sequence[float], where: str) -> Floats:
    """The canonical values of a number or integer column.

    raw      float64[rows], NaN where the file has nothing
    missing  further values that mean "missing"
    where    the file, for the message
    returns  float64[rows], NaN where missing, inside the plausible range

    Raises Refused if a value is infinite, not whole in an integer column, outside the range where
    that is an error, or missing where it is required.
    """
    values = np.where(np.isin(raw, missing), np.nan, raw) if missing else raw.copy()
    for one in column.impossible:
        low, high = one if isinstance(one, tuple) else (one, one)
        values[(values >= low) & (values <= high)] = np.nan
    refuse_rows(np.isinf(values), "not a finite number", column, where)
    if column.kind == INTEGER:
        refuse_rows(~np.isnan(values) & (values != np.round(values)), "not a whole number", column, where)
    if column.range is not None:
        low, high = column.range
        outside = (values < low) | (values > high)
        if column.outside == "error":
            refuse_rows(outside, f"outside the plausible range {low:g} to {high:g} of the schema", column, where)
        values = np.clip(values, low, high) if column.outside == "clip" else np.where(outside, np.nan, values)
    _refuse_missing(values, column, where)
    return values


def settle_codes(found: Iterable[Any], places: npt.NDArray[np.int64], column: FileColumn, where: str) -> Floats:
    """The canonical values of a category or boolean column.

    found    the distinct codes in the file: texts or numbers
    places   int64[rows]: which of them stands in each row, -1 where it is missing
    where    the file, for the message
    returns  float64[rows]: position of the level, or 0 and 1; NaN where missing

    Raises Refused if a code is not in the schema, or a value is missing where it is required.
    """
    codes = column.meanings
    unknown = -1.0
    meaning = np.array([codes.get(code, unknown) for code in found] + [np.nan])
    values: Floats = meaning[places]
    expected = "levels" if column.levels else "positive and negative codes"
    refuse_rows(values == unknown, f"not one of the {expected} of the schema", column, where)
    _refuse_missing(values, column, where)
    return values


def derive(x: Floats, square: Square) -> Floats:
    """(x - center)**2 / scale, NaN where x is missing."""
    return np.square(x - square.center) / square.scale


def stack(schema: Schema, read: Sequence[Floats]) -> Floats:
    """All columns of the canonical table: those that were read, and those derived from them.

    read     float64[rows] for every column of the schema that is not derived, in order
    returns  float64[columns, rows]
    """
    by_name = dict(zip(schema.names, read, strict=False))
    return np.stack(
        [
            by_name[one.name] if one.derived is None else derive(by_name[one.derived.of], one.derived)
            for one in schema.columns
        ]
    )


def refuse_rows(bad: npt.NDArray[np.bool_], why: str, column: FileColumn, where: str) -> None:
    """Raise Refused, naming the first bad row, if there is one."""
    if bad.any():
        source = f" (source {column.source!r})" if column.source is not None else ""
        raise Refused(f"{where}: row {int(bad.argmax()) + 1}, column '{column.name}'{source}: {why}")


def _refuse_missing(values: Floats, column: FileColumn, where: str) -> None:
    if column.required:
        refuse_rows(np.isnan(values), "missing, but the schema requires a value", column, where)
