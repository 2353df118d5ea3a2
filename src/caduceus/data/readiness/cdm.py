"""The tables of an OMOP database as arrays, and OHDSI's tables of what is to be checked in them.

Names are compared in lower case. Keys are whole numbers, whatever type a database gave them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from caduceus.data.readiness import coded
from caduceus.data.readiness.coded import NO_DAY, Flags, Integers
from caduceus.data.readiness.sheet import OMOP, Sheet
from caduceus.errors import Refused
from caduceus.kinds import Floats

Row = Mapping[str, str]
"""A row of one of OHDSI's tables, by the names of their columns."""

NO_KEY = NO_DAY
"""Where a key is missing."""

FILES = ("Check_Descriptions", "Table_Level", "Field_Level", "Concept_Level")
"""The four tables, by the ends of their files' names ("OMOP_CDMv5.4_Field_Level.csv")."""


@dataclass(frozen=True, slots=True)
class Official:
    """The check tables of the OHDSI Data Quality Dashboard, as read.

    version  of the CDM that they are for, as "5.4"; "" if the files' names do not say
    descriptions, tables, fields, concepts  rows of the four tables
    """

    version: str
    descriptions: tuple[Row, ...]
    tables: tuple[Row, ...]
    fields: tuple[Row, ...]
    concepts: tuple[Row, ...]


def read_official(texts: Mapping[str, str]) -> Official:
    """Read the four CSV tables.

    texts  whole files, by names that end as `FILES` do, with or without ".csv"

    Raises Refused if one is missing or is another table.
    """
    found: list[tuple[Row, ...]] = []
    needed = ("checkName", "measurePersonCompleteness", "isRequired", "plausibleUnitConceptIds")
    for end, column in zip(FILES, needed, strict=True):
        text = next((text for name, text in texts.items() if name.removesuffix(".csv").endswith(end)), None)
        if text is None:
            raise Refused(
                f"OHDSI's check tables: no file that ends in '{end}.csv'; take them from its release for the CDM"
            )
        rows = tuple(csv.DictReader(io.StringIO(text)))
        if not rows or column not in rows[0]:
            raise Refused(f"OHDSI's check tables: '{end}.csv' has no column '{column}'")
        found.append(tuple({key: (value or "").strip() for key, value in row.items() if key} for row in rows))
    version = re.search(r"v(\d+\.\d+)", " ".join(texts))
    return Official(version.group(1) if version else "", *found)


class Cdm:
    """The OMOP sheets of a data set; arrays are made once."""

    def __init__(self, sheets: Sequence[Sheet], today: int | None) -> None:
        self.sheets = {sheet.name.lower(): sheet for sheet in sheets if sheet.source == OMOP}
        self.today = today
        self._arrays: dict[tuple[str, str], pa.Array] = {}
        self._keys: dict[tuple[str, str], Integers] = {}
        self._days: dict[tuple[str, str], Integers | None] = {}

    def has(self, table: str, field: str = "") -> bool:
        """Whether a table is there, or a field of it."""
        sheet = self.sheets.get(table)
        return sheet is not None and (not field or any(path.lower() == field for path in sheet.leaves))

    def rows(self, table: str) -> int:
        """Records of a table, 0 if it is not there."""
        return self.sheets[table].rows if table in self.sheets else 0

    def array(self, table: str, field: str) -> pa.Array:
        """The values of a field; it has to be there."""
        if (table, field) not in self._arrays:
            sheet = self.sheets[table]
            leaf = next(leaf for path, leaf in sheet.leaves.items() if path.lower() == field)
            self._arrays[table, field] = coded.per_record(leaf, sheet.rows)
        return self._arrays[table, field]

    def present(self, table: str, field: str) -> Flags:
        """Where a field has a value."""
        flags: Flags = self.array(table, field).is_valid().to_numpy(zero_copy_only=False)
        return flags

    def numbers(self, table: str, field: str) -> Floats | None:
        """A field as numbers, NaN where missing; None if it has none."""
        values = self.array(table, field)
        return np.full(len(values), np.nan) if values.null_count == len(values) else coded.numbers(values)

    def keys(self, table: str, field: str) -> Integers:
        """A field of keys or concepts as whole numbers, `NO_KEY` where missing or no number."""
        if (table, field) not in self._keys:
            measured = self.numbers(table, field)
            rows = self.rows(table)
            known = np.zeros(rows, bool) if measured is None else np.isfinite(measured)
            keys = np.full(rows, NO_KEY)
            if measured is not None:
                keys[known] = measured[known].astype(np.int64)
            self._keys[table, field] = keys
        return self._keys[table, field]

    def days(self, table: str, field: str) -> Integers | None:
        """A field as days since 1970, `NO_DAY` where missing; None if it has no dates."""
        if (table, field) not in self._days:
            self._days[table, field] = coded.days(self.array(table, field))
        return self._days[table, field]

    def lookup(self, wanted: Integers, table: str, key: str, found: Integers) -> Integers:
        """What `found` says, a value per record of a table, for every wanted key of it; `NO_KEY` where there is none.

        Where several records have a key, the first counts.
        """
        keys = self.keys(table, key)
        order = np.argsort(keys, kind="stable")
        place = np.searchsorted(keys[order], wanted)
        place = np.minimum(place, max(len(keys) - 1, 0))
        if not len(keys):
            return np.full(len(wanted), NO_KEY)
        row = order[place]
        return np.where((keys[row] == wanted) & (wanted != NO_KEY), found[row], NO_KEY)

    def births(self) -> Integers | None:
        """The day of birth of every record of person, June 1st where only the year is known; None without a year."""
        if not self.has("person", "year_of_birth"):
            return None
        years = self.keys("person", "year_of_birth")
        born = np.full(len(years), NO_DAY)
        known = years != NO_KEY
        born[known] = (years[known] - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 151
        exact = self.days("person", "birth_datetime") if self.has("person", "birth_datetime") else None
        return born if exact is None else np.where(exact != NO_DAY, exact, born)

    def texts(self, table: str, field: str) -> list[str | None]:
        """A field as texts; booleans of fields that are wholly empty are none."""
        values = self.array(table, field)
        return [None] * len(values) if pa.types.is_boolean(values.type) else values.cast(pa.string()).to_pylist()
