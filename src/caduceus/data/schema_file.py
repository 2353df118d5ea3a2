"""How one file becomes a canonical table: the schema as a steward writes it down in TOML.

It adds to the public `Schema` where each column stands in the file and how the file says "missing",
"yes" and "no". That half is the site's own business and in no digest.
"""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

from pydantic import Field, model_validator

from caduceus.data.cohort_file import RECORDS, CohortFile
from caduceus.data.document import Document, read_document
from caduceus.data.schema import BOOLEAN, CATEGORY, FEATURE, INTEGER, NUMBER, Column, Schema
from caduceus.data.schema_words import FileDerived, Interval, Name, RecordCode, first_repeated
from caduceus.errors import Refused

Code = str | int | float

PATIENT = "patient"
"""Role of the column that says whose row it is, and may say the same for several rows."""

TABLES = ("csv", "parquet")
"""Formats of files that hold a table."""

LABEL_ROLES = ("identifier", "site", PATIENT)
"""Roles of columns that are kept as text beside the table."""


class FileLayout(Document):
    """How the file is laid out.

    header     whether the first row names the columns; without it they are taken by position
    delimiter  one character between the fields of a row (CSV)
    skip       lines before the header or the first row that say something else (CSV)
    strip      whether white space around a text is dropped
    strict     whether a column that the schema does not name is an error
    missing    codes that mean "missing" in every column; an empty field, a null and NaN always do
    """

    format: Literal["csv", "parquet"] = "csv"
    header: bool = True
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip: Annotated[int, Field(ge=0)] = 0
    strip: bool = True
    strict: bool = False
    missing: tuple[Code, ...] = ()


class FileLevel(Document):
    """A level of a category whose name differs from its codes in the file."""

    name: Annotated[str, Field(min_length=1)]
    codes: Annotated[tuple[Code, ...], Field(min_length=1)]


class FileColumn(Document):
    """One column of the file.

    name        in the canonical table
    source      its name in the file if that differs, or its position counted from 1 if there is no header
    role        feature and target are values; identifier and site are kept apart as text, and so is patient, which says
                whose row it is and may say the same for several rows; ignore is not read
    kind        of a value; see `data.schema`
    unit        UCUM
    codes       of clinical vocabularies that say what the column is, as SYSTEM:code; nothing is read by them
    missing     codes that mean "missing" here, besides the file's
    impossible  numbers, or [low, high] intervals, that cannot be and therefore mean "missing"
    range       plausible range; features that are numbers need one: secure sums are bounded by it
    outside     what a number outside the range is
    levels      of a category, the reference first: a code, or a name with its codes ("" is an empty field)
    positive    codes that make a boolean true
    negative    codes that make it false; any other code is an error
    required    whether no value may be missing
    """

    name: Name
    source: str | Annotated[int, Field(ge=1)] | None = None
    role: Literal["feature", "target", "identifier", "site", "patient", "ignore"] = "feature"
    kind: Literal["number", "integer", "category", "boolean"] | None = None
    unit: str = ""
    description: str = ""
    codes: tuple[RecordCode, ...] = ()
    missing: tuple[Code, ...] = ()
    impossible: tuple[float | Interval, ...] = ()
    range: Interval | None = None
    outside: Literal["error", "missing", "clip"] = "error"
    levels: tuple[Code | FileLevel, ...] = ()
    positive: tuple[Code, ...] | None = None
    negative: tuple[Code, ...] | None = None
    required: bool = False

    @property
    def is_value(self) -> bool:
        """Whether the column's values go into the canonical table."""
        return self.role in ("feature", "target")

    @property
    def named_levels(self) -> tuple[FileLevel, ...]:
        """The levels of a category, each with its name and codes."""
        return tuple(
            level if isinstance(level, FileLevel) else FileLevel(name=_code_name(level), codes=(level,))
            for level in self.levels
        )

    @property
    def meanings(self) -> dict[Code, int]:
        """What each code of a category or boolean stands for: the position of a level, or 0 and 1."""
        if self.kind == BOOLEAN:
            return dict.fromkeys(self.negative or (0,), 0) | dict.fromkeys(self.positive or (1,), 1)
        return {code: i for i, level in enumerate(self.named_levels) for code in level.codes}

    @model_validator(mode="after")
    def _fits_together(self) -> FileColumn:
        if not self.is_value:
            said = self.model_fields_set - {"name", "source", "role", "description"}
            if said:
                raise ValueError(f"a column with role '{self.role}' has no '{min(said)}'")
        elif self.kind is None:
            raise ValueError("key 'kind' is missing (number, integer, category or boolean)")
        elif self.kind in (NUMBER, INTEGER):
            self._check_number()
        else:
            self._check_codes()
        return self

    def _check_number(self) -> None:
        if self.levels or self.positive is not None or self.negative is not None:
            raise ValueError(f"a column of kind '{self.kind}' has no levels, positive or negative codes")
        if self.range is None and self.role == FEATURE:
            raise ValueError("a feature that is a number needs a plausible 'range': secure sums are bounded by it")
        if any(low > high for low, high in (*self._intervals(), *([self.range] if self.range else []))):
            raise ValueError("an interval is [low, high] with low <= high")
        if self.range is not None and self.range[0] == self.range[1]:
            raise ValueError("the plausible range is empty")

    def _check_codes(self) -> None:
        if self.range is not None or self.impossible or self.outside != "error":
            raise ValueError(f"a column of kind '{self.kind}' has no range and no impossible numbers")
        if self.kind == CATEGORY:
            if self.positive is not None or self.negative is not None:
                raise ValueError("positive and negative codes belong to booleans")
            names = [level.name for level in self.named_levels]
            if len(names) < 2 or len(set(names)) < len(names):
                raise ValueError("a category needs two levels or more, each with its own name")
            codes = [code for level in self.named_levels for code in level.codes]
        else:
            if self.levels:
                raise ValueError("levels belong to categories")
            if (self.positive is None) != (self.negative is None):
                raise ValueError("a boolean names both its positive and its negative codes, or neither (1 and 0)")
            codes = [*(self.positive or (1,)), *(self.negative or (0,))]
        if len(set(codes)) < len(codes):
            raise ValueError("the same code is listed twice")
        if any(isinstance(code, str) for code in codes) and not all(isinstance(code, str) for code in codes):
            raise ValueError("the codes of one column are all numbers or all texts")

    def _intervals(self) -> tuple[Interval, ...]:
        return tuple(one for one in self.impossible if isinstance(one, tuple))

    def column(self) -> Column:
        """What the column means, without where it stands in a file."""
        low, high = (0.0, 1.0) if self.kind == BOOLEAN else self.range or (None, None)
        return Column(
            name=self.name,
            kind=str(self.kind),
            role=self.role,
            unit=self.unit,
            description=self.description,
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            levels=tuple(level.name for level in self.named_levels),
            required=self.required,
            derived=None,
            codes=self.codes,
        )


class SchemaFile(Document):
    """A schema TOML: `[file]`, one `[[column]]` per column in the order of the file, and `[[derived]]`."""

    title: str
    file: FileLayout = FileLayout()
    column: Annotated[tuple[FileColumn, ...], Field(min_length=1)]
    derived: tuple[FileDerived, ...] = ()

    @property
    def values(self) -> tuple[FileColumn, ...]:
        """The columns that go into the canonical table, in order."""
        return tuple(column for column in self.column if column.is_value)

    @property
    def labels(self) -> tuple[FileColumn, ...]:
        """The identifier, site and patient columns, in order."""
        return tuple(column for column in self.column if column.role in LABEL_ROLES)

    @property
    def patient(self) -> str:
        """Name of the column that says whose row it is; "" if every row is a patient of its own."""
        return next((column.name for column in self.column if column.role == PATIENT), "")

    @model_validator(mode="after")
    def _fits_together(self) -> SchemaFile:
        names = [one.name for one in self.column] + [one.name for one in self.derived]
        if len(set(names)) < len(names):
            raise ValueError(f"two columns are named '{first_repeated(names)}'")
        places = [one.source if one.source is not None else one.name for one in self.column]
        if len(set(places)) < len(places):
            raise ValueError(f"two columns are read from '{first_repeated(places)}'")
        if not any(one.role == FEATURE for one in self.column):
            raise ValueError("no column has the role 'feature'")
        if sum(one.role == PATIENT for one in self.column) > 1:
            raise ValueError("two columns have the role 'patient'; one says whose row it is")
        self._check_places()
        numbers = {one.name for one in self.values if one.kind in (NUMBER, INTEGER) and one.range is not None}
        for one in self.derived:
            if one.of not in numbers:
                raise ValueError(f"derived '{one.name}': '{one.of}' is not a number with a range in this schema")
        return self

    def _check_places(self) -> None:
        positions = [one.source for one in self.column if isinstance(one.source, int)]
        if positions and (self.file.header or self.file.format == "parquet"):
            raise ValueError("a position as 'source' is for CSV files without a header; name the column")
        if not self.file.header and positions and len(positions) < len(self.column):
            raise ValueError("give every column a position as 'source', or none and list them all in order")
        if not self.file.header and any(isinstance(one.source, str) for one in self.column):
            raise ValueError("a file without a header has no column names; use positions as 'source'")

    def public(self) -> Schema:
        """The public half: what the table means."""
        columns = [one.column() for one in self.values]
        by_name = {column.name: column for column in columns}
        return Schema(title=self.title, columns=(*columns, *(one.column(by_name[one.of]) for one in self.derived)))


AnySchemaFile = SchemaFile | CohortFile
"""A schema TOML: of tables that lie in files, or of tables that are made of clinical records."""


def read_schema_file(text: str, *, where: str) -> AnySchemaFile:
    """Read a schema TOML; its file format says of which kind it is.

    text   the whole file
    where  its name, for the message

    Raises Refused, naming `where` and the first key or column that is wrong.
    """
    tree = _tree(text)
    layout = tree.get("file")
    said = layout.get("format", "csv") if isinstance(layout, dict) else "csv"
    if said in RECORDS:
        return read_document(text, CohortFile, where=where)
    if isinstance(said, str) and said not in TABLES:
        raise Refused(f"{where}: file format: '{said}' is none of {', '.join((*TABLES, *RECORDS))}")
    if "cohort" in tree:
        raise Refused(f'{where}: cohort: is for clinical records; say [file] format = "fhir" or "omop"')
    return read_document(text, SchemaFile, where=where)


def _tree(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}  # `read_document` says what is wrong


def _code_name(code: Code) -> str:
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)
