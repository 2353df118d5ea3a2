"""CSV and Parquet files as sheets.

A CSV's columns become numbers or dates only where that loses nothing: "01960" stays a text. No message quotes a value;
a first row that looks like a record is refused, because what stands there would be shown as names of columns.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from caduceus.data.readiness.sheet import TABLE, Leaf, Sheet
from caduceus.data.schema_file import SchemaFile
from caduceus.edges.tabular import place as place_in_file
from caduceus.errors import Refused, Unavailable

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean "missing" where no schema says so."""

DELIMITED = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt", ".data")
PARQUET = (".parquet",)

_WHOLE = r"^-?(?:0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATUM = re.compile(r"^\s*(?:[+-]?[\d.,]+|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|[^@\s]+@[^@\s]+|)\s*$")


def read_columns(path: Path, schema: SchemaFile | None = None, *, name: str = "", source: str = TABLE) -> Sheet:
    """A CSV or Parquet file as a sheet.

    schema  where it names columns of a file without a header, or the delimiter; None reads what the file says
    name    of the sheet; "" takes the file's, without its ending

    Raises Refused, naming file and place, if the file is absent, empty or cannot be read as what its name says.
    """
    table = _parquet(path) if path.name.lower().endswith(PARQUET) else _delimited(path, schema)
    leaves = {one: Leaf(one, _whole(table[one])) for one in table.column_names}
    patient = (
        "" if schema is None else next((_where(schema, one) for one in schema.column if one.role == "patient"), "")
    )
    return Sheet(name or stem(path), source, table.num_rows, leaves, patient if patient in leaves else "")


def roles(sheet: Sheet, schema: SchemaFile) -> Mapping[str, str]:
    """What a schema says of a sheet's columns, by place."""
    said = {_where(schema, one): one.role for one in schema.column}
    return {sheet.place(path): said[path] for path in sheet.leaves if path in said}


def stem(path: Path) -> str:
    """A file's name without its endings."""
    name = path.name
    for end in (*DELIMITED, *PARQUET):
        if name.lower().endswith(end):
            return name[: -len(end)]
    return name


def taken(sheet: Sheet, rows: Sequence[int]) -> Sheet:
    """Some records of a sheet of one value per record."""
    keep = pa.array(rows, pa.int64())
    leaves = {path: Leaf(path, leaf.values.take(keep)) for path, leaf in sheet.leaves.items()}
    return Sheet(sheet.name, sheet.source, len(rows), leaves, sheet.patient)


def _where(schema: SchemaFile, column: object) -> str:
    found = next(one for one in schema.column if one is column)
    at = place_in_file(schema, found)
    return at if isinstance(at, str) else found.name


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return pa.array([], array.type) if isinstance(array, pa.ChunkedArray) else array


def _parquet(path: Path) -> pa.Table:
    try:
        table = pyarrow.parquet.read_table(path)
    except FileNotFoundError:
        raise Refused(f"{path}: no such file; check the path and the data root") from None
    except (pa.ArrowInvalid, OSError):
        raise Refused(f"{path.name}: not a whole Parquet file; it may have been cut off, copy it again") from None
    return pa.table({one: _plain(table[one]) for one in table.column_names})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts of any kind as plain ones, decimals as numbers, and lists and structures as JSON, to be read as texts."""
    if pa.types.is_nested(column.type):
        texts = [None if one is None else json.dumps(one, default=str) for one in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_decimal(column.type):
        return pc.cast(column, pa.float64())
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    textual = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_dictionary(column.type)
    return pc.cast(column, pa.string() if not pa.types.is_primitive(kind) else kind) if textual else column


def _delimited(path: Path, schema: SchemaFile | None) -> pa.Table:
    data = _bytes(path)
    if not data.strip():
        raise Refused(f"{path.name}: the file is empty")
    skip = schema.file.skip if schema is not None else 0
    lines = data.split(b"\n", skip + 1)
    if len(lines) <= skip or not lines[skip].strip():
        raise Refused(f"{path.name}: the file ends before its first row, or its first row is blank")
    first = _text(lines[skip], path.name)
    delimiter = schema.file.delimiter if schema is not None else _guess(first)
    try:
        fields = [one.strip() for one in next(csv.reader([first.strip("\r")], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        raise Refused(f"{path.name}: the first row cannot be read as CSV") from None
    header = schema is None or schema.file.header
    if schema is None:
        _refuse_records(fields, path.name)
    names = fields if header else _positions(len(fields), schema)
    if len(set(names)) < len(names):
        raise Refused(f"{path.name}: two columns have the same name")
    missing = MISSING if schema is None else ("", "NaN", *map(str, schema.file.missing))
    return _parsed(data, names, skip + int(header), delimiter, missing, path.name)


def _refuse_records(fields: Sequence[str], where: str) -> None:
    """Without a schema the first row must be names: what stands there is shown."""
    if sum(bool(_DATUM.match(one)) for one in fields) * 2 >= len(fields):
        raise Refused(
            f"{where}: its first row looks like a record and not like names of columns; add a header, or give a "
            "schema with [file] header = false"
        )


def _positions(count: int, schema: SchemaFile | None) -> list[str]:
    named: dict[int, str] = {}
    for one in () if schema is None else schema.column:
        at = place_in_file(schema, one) if schema is not None else 0
        if isinstance(at, int):
            named[at] = one.name
    return [named.get(i, f"column {i + 1}") for i in range(count)]


def _guess(line: str) -> str:
    counts = {one: line.count(one) for one in (",", "\t", ";", "|")}
    return max(counts, key=lambda one: counts[one])


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(f"{path}: no such file; check the path and the data root") from None
    except (gzip.BadGzipFile, EOFError):
        raise Refused(f"{path.name}: not a whole gzip file; it may have been cut off, copy it again") from None
    except PermissionError:
        raise Refused(f"{path}: not readable by this user") from None
    except OSError as problem:
        raise Unavailable(f"{path}: {problem.strerror}") from None


def _text(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{where}: not UTF-8; save the file as UTF-8") from None


def _parsed(
    data: bytes, names: Sequence[str], skip: int, delimiter: str, missing: Sequence[str], where: str
) -> pa.Table:
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, skip_rows=skip, column_names=list(names)),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, null_values=list(missing), strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:  # its message quotes the row: not repeated here
        if b"\n" not in data.strip() and skip:
            return pa.table({name: pa.array([], pa.string()) for name in names})
        raise Refused(
            f"{where}: not readable as CSV with delimiter {delimiter!r}; every row needs {len(names)} fields in UTF-8"
        ) from None
    return pa.table({name: _typed(table[name]) for name in names})


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers and dates where every text is the one way to write them; else the texts."""
    if column.null_count == len(column):
        return column
    for pattern, kind in ((_WHOLE, pa.int64()), (_NUMBER, pa.float64()), (_DAY, pa.date32())):
        if pc.all(pc.match_substring_regex(column, pattern), skip_nulls=True).as_py():
            try:
                return pc.cast(column, kind)
            except pa.ArrowInvalid:
                return column
    return column
