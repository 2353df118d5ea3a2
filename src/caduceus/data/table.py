"""The canonical table: one site's records as numbers, whatever file they came from.

The table never leaves its site. Everything that does is computed from it under the rules of a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from caduceus.data.schema import BOOLEAN, CATEGORY, Schema
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats

CELL_BYTES = 8
"""Bytes per column in the canonical form of a record: one little-endian float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One site's records.

    schema  what the columns mean
    values  float64[columns, rows], in the order of the schema; NaN is missing, a category is the
            position of its level, a boolean is 0 or 1; kept read-only
    labels  text[rows] by name: identifiers and site names. They serve to find a record at its own
            site, train no model and are in no commitment
    of      name of the label that says whose row it is, "" if every row is a patient of its own
    """

    schema: Schema
    values: Floats
    labels: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    of: str = ""

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64, order="C", ndmin=2)
        if values.shape[0] != len(self.schema.columns) or values.ndim != 2:
            raise Misuse(f"Table: values of shape {values.shape} for {len(self.schema.columns)} columns")
        if any(label.shape != (values.shape[1],) for label in self.labels.values()):
            raise Misuse(f"Table: a label column does not have {values.shape[1]} rows")
        if self.of and self.of not in self.labels:
            raise Misuse(f"Table: no label '{self.of}' that says whose rows they are")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def rows(self) -> int:
        """How many records."""
        return int(self.values.shape[1])

    @property
    def patients(self) -> npt.NDArray[np.str_] | None:
        """text[rows]: whose row it is; None if every row is a patient of its own."""
        return self.labels[self.of] if self.of else None

    def column(self, name: str) -> Floats:
        """The values of one column: float64[rows], NaN where missing, read-only.

        Raises Refused if the schema has no such column.
        """
        values: Floats = self.values[self.schema.position(name)]
        return values

    def select(self, rows: npt.NDArray[Any]) -> Table:
        """The table of some of the rows.

        rows  bool[rows], or positions in the order wanted
        """
        return Table(
            self.schema, self.values[:, rows], {name: label[rows] for name, label in self.labels.items()}, self.of
        )

    def record_bytes(self) -> npt.NDArray[np.uint8]:
        """The canonical bytes of every record, for commitments.

        returns  uint8[rows, 8 * columns]: each value as a little-endian float64 in the order of the
                 schema, one bit pattern for missing (quiet NaN, no payload) and one for zero
        """
        cells = np.ascontiguousarray(self.values.T) + 0.0  # minus zero becomes zero
        cells[np.isnan(cells)] = np.nan
        return cells.astype("<f8").view(np.uint8).reshape(self.rows, CELL_BYTES * len(self.schema.columns))


def check_rows(table: Table, where: str) -> None:
    """Refuse a table without records.

    where  the site or file, for the message

    Raises Refused if there is no row.
    """
    if table.rows == 0:
        raise Refused(f"{where}: no rows; leave this site out or check the file")


def check_usable(table: Table, target: str, where: str) -> None:
    """Refuse a table that no model can be trained on.

    target  the column to be predicted
    where   the site or file, for the message

    Raises Refused if there is no row, no row with an outcome, or only one outcome.
    """
    check_rows(table, where)
    outcome = table.column(target)
    outcome = outcome[~np.isnan(outcome)]
    if outcome.size == 0:
        raise Refused(f"{where}: column '{target}' (the target) is missing in every row")
    if outcome.min() == outcome.max():
        raise Refused(
            f"{where}: column '{target}' (the target) has the same value in every row; nothing can be learned from it"
        )


def check_values(table: Table, where: str) -> None:
    """Refuse a table that breaks its own schema; for sources other than files.

    where  the site or source, for the message

    Raises Refused, naming column and row, if a value is infinite, outside its column's range, no
    level of its category, neither 0 nor 1 in a boolean, or missing where it is required.
    """
    for column, values in zip(table.schema.columns, table.values, strict=True):
        low, high = column.range or (-np.inf, np.inf)
        if column.kind == CATEGORY:
            low, high = 0.0, len(column.levels) - 1.0
        bad = np.isinf(values) | (values < low) | (values > high)
        if column.kind in (CATEGORY, BOOLEAN):
            bad |= ~np.isnan(values) & (values != np.round(values))
        if column.required:
            bad |= np.isnan(values)
        if bad.any():
            raise Refused(
                f"{where}: row {int(bad.argmax()) + 1}, column '{column.name}': not a value that the schema allows"
            )
