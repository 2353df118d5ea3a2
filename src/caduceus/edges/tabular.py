"""CSV and Parquet files into canonical tables.

A message names file, column and row, never a value: rows are counted from 1, without the header and
without blank lines.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from caduceus.data.canonical import number_missing, refuse_rows, settle_codes, settle_numbers, stack
from caduceus.data.schema import INTEGER, NUMBER, did_you_mean
from caduceus.data.schema_file import AnySchemaFile, FileColumn, SchemaFile, read_schema_file
from caduceus.data.table import Table
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Floats

_Place = str | int


def load_schema(path: Path) -> AnySchemaFile:
    """Read a schema TOML from disk.

    Raises Refused if there is no such file, it is not UTF-8, or the schema is malformed.
    """
    return read_schema_file(read_text(path), where=path.name)


def read_table(path: Path, schema: SchemaFile) -> Table:
    """Read a file into the canonical table.

    path    a CSV or Parquet file, as the schema says
    schema  how its columns are to be understood

    Raises Refused, naming file, column and row, if the file is absent or not as the schema says, and
    Unavailable if the disk does not answer. An empty table is not refused here (see `data.table.check_usable`).
    """
    where = path.name
    data = _read_bytes(path)
    if not data.strip():
        raise Refused(f"{where}: the file is empty")
    columns = (
        _csv_columns(data, schema, where) if schema.file.format == "csv" else _parquet_columns(data, schema, where)
    )
    values = [_values(columns[place(schema, one)], one, schema, where) for one in schema.values]
    labels = {one.name: _labels(columns[place(schema, one)], one, schema, where) for one in schema.labels}
    public = schema.public()
    return Table(public, stack(public, values), labels, schema.patient)


def read_text(path: Path) -> str:
    """A text file's content.

    Raises Refused if there is no such file or it is not UTF-8.
    """
    return _decode(_read_bytes(path), path.name)


def place(schema: SchemaFile, column: FileColumn) -> _Place:
    """Where a column stands in its file: the name in the header, or the position counted from 0."""
    if schema.file.format == "parquet" or schema.file.header:
        return column.source if isinstance(column.source, str) else column.name
    return column.source - 1 if isinstance(column.source, int) else schema.column.index(column)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(f"{path}: no such file; check the path and the data root") from None
    except IsADirectoryError:
        raise Refused(f"{path}: a folder, not a file") from None
    except PermissionError:
        raise Refused(f"{path}: not readable by this user") from None
    except OSError as problem:
        raise Unavailable(f"{path}: {problem.strerror}") from None


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise Refused(f"{where}: line {line} is not UTF-8; save the file as UTF-8") from None


# ---------------------------------------------------------------- CSV


def _csv_columns(data: bytes, schema: SchemaFile, where: str) -> Mapping[_Place, pa.ChunkedArray]:
    layout = schema.file
    if not data.isascii():
        _decode(data, where)
    head = data.split(b"\n", layout.skip + 1)[layout.skip :]
    if not head or not head[0].strip():
        raise Refused(f"{where}: the file ends before its first row, or its first row is blank")
    fields = _first_row(_decode(head[0], where), layout.delimiter, where)
    if layout.header:
        _check_names(fields, schema, where)
        names, skip = fields, layout.skip + 1
        if len(head) < 2 or not head[1].strip():
            return {name: pa.chunked_array([pa.array([], pa.string())]) for name in names}
    else:
        _check_positions(len(fields), schema, where)
        names, skip = [str(i) for i in range(len(fields))], layout.skip
    table = _parse(data, names, skip, layout.delimiter, where)
    return {(name if layout.header else int(name)): table[name] for name in names}


def _first_row(line: str, delimiter: str, where: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line.strip("\r")], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        raise Refused(
            f"{where}: the first row cannot be read; rows end with a line feed, alone or after a carriage return"
        ) from None


def _check_names(found: Sequence[str], schema: SchemaFile, where: str) -> None:
    if len(set(found)) < len(found):
        repeated = next(name for i, name in enumerate(found) if name in found[:i])
        raise Refused(f"{where}: two columns are named '{repeated}'")
    wanted = [str(place(schema, column)) for column in schema.column]
    for column, name in zip(schema.column, wanted, strict=True):
        if name not in found and column.role != "ignore":
            raise Refused(f"{where}: column '{name}' is missing{did_you_mean(name, tuple(found))}")
    extra = [name for name in found if name not in wanted]
    if extra and schema.file.strict:
        raise Refused(f"{where}: column '{extra[0]}' is not in the schema{did_you_mean(extra[0], tuple(wanted))}")


def _check_positions(found: int, schema: SchemaFile, where: str) -> None:
    wanted = max(int(place(schema, column)) for column in schema.column) + 1
    if found < wanted:
        raise Refused(f"{where}: row 1 has {found} fields, but the schema reads {wanted}: a column is missing")
    listed = not any(isinstance(column.source, int) for column in schema.column)
    if found > wanted and (listed or schema.file.strict):
        raise Refused(f"{where}: row 1 has {found} fields, but the schema lists {wanted}: there is a column too many")


def _parse(data: bytes, names: Sequence[str], skip: int, delimiter: str, where: str) -> pa.Table:
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, skip_rows=skip, column_names=list(names)),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names}),
        )
    except pa.ArrowInvalid:  # its message quotes the row: not repeated here
        raise Refused(f"{where}: not readable as CSV with the delimiter {delimiter!r}") from None
    if ragged:
        row = ragged[0]
        raise Refused(
            f"{where}: row {row.number - skip} has {row.actual_columns} fields instead of {row.expected_columns}"
        )
    return table


# ---------------------------------------------------------------- Parquet


def _parquet_columns(data: bytes, schema: SchemaFile, where: str) -> Mapping[_Place, pa.ChunkedArray]:
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(data))
        _check_names(file.schema_arrow.names, schema, where)
        wanted = [str(place(schema, column)) for column in schema.column if column.role != "ignore"]
        table = file.read(columns=wanted)
    except (pa.ArrowInvalid, OSError):
        raise Refused(f"{where}: not a whole Parquet file; it may have been cut off, copy it again") from None
    return {name: table[name] for name in wanted}


# ---------------------------------------------------------------- columns


def _values(found: pa.ChunkedArray, column: FileColumn, schema: SchemaFile, where: str) -> Floats:
    """The canonical values of one column of the file."""
    texts = _texts(found, column, schema)
    coded = column.kind not in (NUMBER, INTEGER)
    if coded and all(isinstance(code, str) for code in column.meanings):
        if texts is None:
            raise Refused(f"{where}: column '{column.name}' holds numbers, but the schema lists texts as codes")
        return _coded_texts(texts, column, where)
    raw = _plain_numbers(found, column, where) if texts is None else _parsed_numbers(texts, column, where)
    missing = number_missing(column, schema.file)
    if not coded:
        return settle_numbers(raw, column, missing, where)
    raw = np.where(np.isin(raw, missing), np.nan, raw)
    distinct, places = np.unique(raw, return_inverse=True, equal_nan=True)
    places = np.where(np.isnan(raw), -1, places)
    return settle_codes(distinct.tolist(), places.astype(np.int64), column, where)


def _texts(found: pa.ChunkedArray, column: FileColumn, schema: SchemaFile) -> pa.Array | None:
    """The column as text, null where missing; None if the file holds no text there."""
    array = found.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # combine_chunks of no chunks
        array = pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        array = pc.cast(array, pa.string())
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return None
    if schema.file.strip:
        array = pc.utf8_trim_whitespace(array)
    codes = column.meanings if column.is_value and column.kind not in (NUMBER, INTEGER) else {}
    if "" in codes:  # a level of its own: nothing was recorded
        array = pc.fill_null(array, "")
    missing = {str(code) for code in (*column.missing, *schema.file.missing)} | {""}
    gone = pc.is_in(array, pa.array(sorted(missing - set(map(str, codes))), array.type))
    return pc.if_else(gone, pa.scalar(None, array.type), array)


def _coded_texts(texts: pa.Array, column: FileColumn, where: str) -> Floats:
    encoded = pc.dictionary_encode(texts)
    places = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return settle_codes(encoded.dictionary.to_pylist(), places.astype(np.int64), column, where)


def _parsed_numbers(texts: pa.Array, column: FileColumn, where: str) -> Floats:
    try:
        numbers = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        bad = np.zeros(len(texts), np.bool_)
        bad[_first_unparsable(texts)] = True
        refuse_rows(bad, "not a number", column, where)
        raise
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)


def _first_unparsable(texts: pa.Array) -> int:
    """The position of the first text that is no number, by halving: the parser itself is the judge."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(texts.slice(low, middle - low), pa.float64())
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _plain_numbers(found: pa.ChunkedArray, column: FileColumn, where: str) -> Floats:
    kind = found.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise Refused(f"{where}: column '{column.name}' is stored as {kind}, which is neither numbers nor text")
    try:
        numbers = pc.cast(pc.cast(found, pa.int8()) if pa.types.is_boolean(kind) else found, pa.float64())
    except pa.ArrowInvalid:
        raise Refused(f"{where}: column '{column.name}' holds whole numbers too large to be exact") from None
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(), dtype=np.float64)


def _labels(found: pa.ChunkedArray, column: FileColumn, schema: SchemaFile, where: str) -> npt.NDArray[np.str_]:
    """An identifier or site column as text, with no value missing, and identifiers all different."""
    texts = _texts(found, column, schema)
    if texts is None:
        texts = pc.cast(found, pa.string()).combine_chunks()
    refuse_rows(pc.is_null(texts).to_numpy(zero_copy_only=False), f"the {column.role} is missing", column, where)
    labels = np.array(texts.to_pylist(), dtype=np.str_)
    if column.role == "identifier":
        _, firsts, places = np.unique(labels, return_index=True, return_inverse=True)
        repeated = firsts[places] != np.arange(labels.size)
        if repeated.any():
            earlier = int(firsts[places][repeated.argmax()]) + 1
            refuse_rows(repeated, f"the same identifier as in row {earlier}", column, where)
    return labels
