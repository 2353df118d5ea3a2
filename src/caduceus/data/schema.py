"""What a table means: the public half of a schema.

A schema says which columns a table has, of which kind, in which unit, and within which plausible
range, and nothing about any one file or patient. It is the same at every site of a job, whatever
their files look like (`data.schema_file` holds that half), so its digest can stand in a job.
"""

from __future__ import annotations

import difflib

from caduceus import canon
from caduceus.data.cohort import Cohort
from caduceus.errors import Refused
from caduceus.kinds import Digest

NUMBER, INTEGER, CATEGORY, BOOLEAN = "number", "integer", "category", "boolean"
"""The kinds of columns: measured; counted; one of a fixed list of levels; true or false."""

FEATURE, TARGET = "feature", "target"
"""The roles of a column whose values may take part in training: known beforehand; to be predicted."""


@canon.record("data/square/1")
class Square:
    """How a derived column comes from another: (x - center)**2 / scale.

    of      the column x
    center  in the unit of x
    scale   > 0
    """

    of: str
    center: float
    scale: float


@canon.record("data/column/2")
class Column:
    """One column of the canonical table.

    name         unique in the schema
    kind         number, integer, category or boolean
    role         feature or target
    unit         UCUM, "" if the values have none
    description  what the values mean, for people; part of the digest because it is the meaning
    low, high    the plausible range, public, in the unit of the column; None where it is not known.
                 No value of a table lies outside it. Booleans have 0 and 1, categories None
    levels       names of a category's levels, in order, the reference first; else empty
    required     whether no value may be missing
    derived      how the column is computed, None if it is read
    codes        SYSTEM:code, as "LOINC:4548-4" (see `data.records`): what is recorded there, for people and programs
    """

    name: str
    kind: str
    role: str
    unit: str
    description: str
    low: float | None
    high: float | None
    levels: tuple[str, ...]
    required: bool
    derived: Square | None
    codes: tuple[str, ...] = ()

    @property
    def range(self) -> tuple[float, float] | None:
        """Low and high, or None if the schema does not know them."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def width(self) -> int:
        """How many features it makes: one, or one per level that is not the reference."""
        return len(self.levels) - 1 if self.kind == CATEGORY else 1


@canon.record("data/schema/2")
class Schema:
    """The columns of a canonical table, in order: those that are read, then those derived from them.

    Identifiers and site names are no part of it: they are kept apart and never train a model.

    cohort  who is in the table and where its columns come from, if it is made of clinical records; else None
    """

    title: str
    columns: tuple[Column, ...]
    cohort: Cohort | None = None

    @property
    def codes(self) -> frozenset[str]:
        """Every code that a site must look for in its clinical records to make the table."""
        cohort = self.cohort
        said = () if cohort is None else (*cohort.required, *cohort.excluded, *cohort.washout)
        index = () if cohort is None else cohort.index
        return frozenset(index).union(*(one.codes for one in said), *(one.codes for one in self.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that may be trained on, in order."""
        return tuple(column.name for column in self.columns if column.role == FEATURE)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the columns that may be predicted, in order."""
        return tuple(column.name for column in self.columns if column.role == TARGET)

    def column(self, name: str) -> Column:
        """The column of this name.

        Raises Refused, with the nearest name, if there is none.
        """
        return self.columns[self.position(name)]

    def position(self, name: str) -> int:
        """The place of the column of this name, counted from 0.

        Raises Refused, with the nearest name, if there is none.
        """
        for i, column in enumerate(self.columns):
            if column.name == name:
                return i
        raise Refused(f"schema '{self.title}' has no column '{name}'{did_you_mean(name, self.names)}")

    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes: equal wherever tables mean the same."""
        return canon.digest(self)


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """A hint to end an error with: the known word nearest to `word`, or all of them if they are few.

    returns  text that starts with "; ", or "" if there is nothing useful to say
    """
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 30 else ""
