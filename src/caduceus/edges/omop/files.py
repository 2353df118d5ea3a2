"""An OMOP database as a folder of files: one Parquet or CSV file, or a folder of parts, for each table."""

# ruff: noqa: S608  (names are quoted)

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from caduceus.edges.cohort_engine import engine, text
from caduceus.edges.omop.model import INTEGER, TEXT, kind
from caduceus.errors import Refused

if TYPE_CHECKING:
    import duckdb

_ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")


class Files:
    """The tables of a folder."""

    def __init__(self, folder: Path) -> None:
        """Look at what is in the folder.

        Raises Refused if it is none, or holds a table twice.
        """
        if not folder.is_dir():
            raise Refused(f"{folder}: no such folder; it should hold the tables of an OMOP database")
        self.where = folder.name
        self._folder = folder.resolve()
        self._found: dict[str, Path] = {}
        for place in sorted(self._folder.iterdir()):
            name = _table(place)
            if name in self._found:
                raise Refused(f"{self.where}: table {name} is there twice, {self._found[name].name} and {place.name}")
            if name:
                self._found[name] = place
        self._columns: dict[str, dict[str, tuple[str, str]]] = {}
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        self._connection = engine(folder=self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def columns(self, table: str) -> frozenset[str]:
        """See `Source`."""
        return frozenset(self._described(table))

    def table(self, name: str, columns: Iterable[str]) -> str:
        """See `Source`."""
        there = self._described(name)
        parts = (
            f"{_read(*there[one], one) if one in there else f'cast(null as {kind(one)})'} as {one}" for one in columns
        )
        return f"(select {', '.join(parts)} from {self._scan(name)})"

    def fetch(self, query: str) -> pa.Table:
        """See `Source`.

        Raises Refused, naming the column if it can be found, and never a value.
        """
        import duckdb

        try:
            assert self._connection is not None
            return self._connection.sql(query).to_arrow_table()
        except duckdb.ConversionException:
            raise Refused(f"{self.where}: {self._unreadable()}") from None
        except duckdb.Error as problem:  # its message may quote a record
            raise Refused(f"{self.where}: not readable as an OMOP database ({type(problem).__name__})") from None

    def _run(self, query: str) -> Any:
        assert self._connection is not None
        return self._connection.execute(query)

    def _described(self, table: str) -> dict[str, tuple[str, str]]:
        """The columns of a table, name and type as its file has them, by their names in small letters."""
        if table not in self._found:
            return {}
        if table not in self._columns:
            found = self._described_by(table)
            pairs = zip(found["column_name"].to_pylist(), found["column_type"].to_pylist(), strict=True)
            self._columns[table] = {name.lower().strip(): (name, type_) for name, type_ in pairs}
        return self._columns[table]

    def _described_by(self, table: str) -> pa.Table:
        import duckdb

        assert self._connection is not None
        try:
            return self._connection.sql(
                f"select column_name, column_type from (describe select * from {self._scan(table)})"
            ).to_arrow_table()
        except duckdb.Error:  # its message may quote a record
            raise Refused(
                f"{self.where}: {self._found[table].name}: not readable as Parquet or CSV; is it whole?"
            ) from None

    def _scan(self, table: str) -> str:
        place = self._found[table]
        parts = [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.name.endswith(_ENDINGS))
        names = ", ".join(text(str(one)) for one in parts)
        if parts[0].suffix == ".parquet":
            return f"read_parquet([{names}], union_by_name = true)"
        # The vocabularies come with tabs and without quotes, whatever their names end with.
        layout = "delim = '\t', quote = ''" if _has_tabs(parts[0]) else "quote = '\"'"
        return f"read_csv([{names}], header = true, all_varchar = true, union_by_name = true, {layout})"

    def _unreadable(self) -> str:
        """Which column holds what is neither a number nor a date, though it should."""
        for table, columns in self._columns.items():
            for small, (said, type_) in columns.items():
                if kind(small) == TEXT:
                    continue
                cell = _read(said, type_, small)
                tried = cell.replace("cast(", "try_cast(")
                query = f"select count(*) from {self._scan(table)} where {_cell(said)} is not null and {tried} is null"
                if self._run(query).fetchone()[0]:
                    wanted = {"date": "dates as YYYY-MM-DD", "timestamp": "times as YYYY-MM-DD hh:mm:ss"}
                    return f"table {table}, column {small}: not all are {wanted.get(kind(small), 'numbers')}"
        return "a column holds something else than the model says"


def _table(place: Path) -> str:
    """The table that a file or folder holds, in small letters; "" if none."""
    name = place.name.lower()
    if place.is_dir():
        return name.removesuffix(".parquet") if any(one.name.endswith(_ENDINGS) for one in place.rglob("*")) else ""
    return next((name.removesuffix(one) for one in _ENDINGS if name.endswith(one)), "")


def _has_tabs(place: Path) -> bool:
    with gzip.open(place) if place.suffix == ".gz" else place.open("rb") as file:
        return b"\t" in file.readline()


def _read(name: str, type_: str, column: str) -> str:
    """SQL for a column of the model from one of the file; exports write missing values as "", whole numbers as 1.0."""
    if type_ != "VARCHAR":
        return f"cast({_quoted(name)} as {kind(column)})"
    cell = _cell(name)
    return f"cast(cast({cell} as double) as bigint)" if kind(column) == INTEGER else f"cast({cell} as {kind(column)})"


def _cell(name: str) -> str:
    return f"nullif(trim(cast({_quoted(name)} as varchar)), '')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
