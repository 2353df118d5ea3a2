"""A view's rows as Arrow columns: which type each has, and what fits it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from caduceus.edges.fhir.definition import ColumnDefinition
from caduceus.edges.fhir.rows import Row
from caduceus.edges.fhir.view import View
from caduceus.errors import Refused

_TYPES: dict[str, tuple[pa.DataType, tuple[type, ...]]] = {
    "boolean": (pa.bool_(), (bool,)),
    "integer": (pa.int32(), (int,)),
    "positiveInt": (pa.int32(), (int,)),
    "unsignedInt": (pa.int32(), (int,)),
    "integer64": (pa.int64(), (int,)),
    "decimal": (pa.float64(), (int, float)),
}
_TEXT: tuple[pa.DataType, tuple[type, ...]] = (pa.string(), (str,))
"""What every other type is: dates, times and codes stay texts, as the source wrote them."""


def _kind(column: ColumnDefinition) -> tuple[pa.DataType, tuple[type, ...]]:
    return _TYPES.get((column.type or "string").rpartition("/")[2], _TEXT)


def arrow_schema(view: View) -> pa.Schema:
    """The schema of a view's table."""
    kinds = [(column, _kind(column)[0]) for column in view.columns]
    return pa.schema([pa.field(one.name, pa.list_(kind) if one.collection else kind) for one, kind in kinds])


def arrow_batch(view: View, schema: pa.Schema, rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as a batch.

    schema  of `arrow_schema`

    Raises Refused, naming view, column and path, if a value is not of its column's type.
    """
    check_rows(view, rows)
    arrays = []
    for i, (column, field) in enumerate(zip(view.columns, schema, strict=True)):
        values = [row[i] for row in rows]
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            raise Refused(_says(view, column)) from None
    return pa.record_batch(arrays, schema=schema)


def check_rows(view: View, rows: Sequence[Row]) -> None:
    """Raises Refused, naming view, column and path, if a value of some row is not of its column's type."""
    for column, values in zip(view.columns, zip(*rows, strict=True), strict=False):
        allowed = _kind(column)[1]
        flat = (one for some in values for one in some) if column.collection else values
        for kind in set(map(type, flat)) - {type(None)}:
            if not issubclass(kind, allowed) or (kind is bool and bool not in allowed):
                raise Refused(_says(view, column))


def _says(view: View, column: ColumnDefinition) -> str:
    return (
        f"{view.name}: column '{column.name}', path '{column.path}': there is a value that is no"
        f" {column.type or 'string (say its type)'}"
    )
