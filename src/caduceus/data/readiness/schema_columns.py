"""What a schema file says of a column of the data: which one it is, and what its codes mean."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness.coded import Flags, numbers
from caduceus.data.readiness.rule import Context
from caduceus.data.schema_file import Code, FileColumn


def file_column(context: Context, path: str) -> FileColumn | None:
    """The column of the schema file that is read from a column of the data; None if there is none."""
    if context.schema is None:
        return None
    return next((one for one in context.schema.column if path in (one.source or one.name, one.name)), None)


def meant(values: pa.Array, column: FileColumn | None) -> pa.Array:
    """Values as the levels that they mean: positions, null where a value means none; unchanged without levels.

    A boolean that is read from five codes has two levels.
    """
    if column is None or not column.meanings:
        return values
    levels = np.full(len(values), -1, np.int64)
    for level in sorted(set(column.meanings.values())):
        codes = tuple(code for code, position in column.meanings.items() if position == level)
        levels[is_one_of(values, codes)] = level
        if "" in codes:
            levels[values.is_null().to_numpy(zero_copy_only=False)] = level
    return pa.array(levels, mask=levels < 0)


def is_one_of(values: pa.Array, codes: tuple[Code, ...]) -> Flags:
    """Which values are one of these codes, as texts or as numbers; missing is none."""
    if not codes:
        return np.zeros(len(values), bool)
    texts = [one for one in codes if isinstance(one, str)]
    figures = [float(one) for one in codes if not isinstance(one, str)]
    marked = np.zeros(len(values), bool)
    if texts and (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        stripped = pc.utf8_trim_whitespace(values)
        found = pc.is_in(stripped, value_set=pa.array([one.strip() for one in texts], values.type))
        marked |= pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if figures and (measured := numbers(values)) is not None:
        marked |= np.isin(measured, figures)
    return marked
