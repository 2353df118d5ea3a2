"""DuckDB as it is used here: in this process's memory, with nothing fetched from a network and nothing written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Floats

if TYPE_CHECKING:
    import duckdb


def engine(*, folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A database in memory.

    folder  the only one whose files it may read; None is none

    Raises Refused, saying what to install, if DuckDB is absent.
    """
    try:
        import duckdb
    except ImportError:
        raise Refused(
            "clinical records are read with DuckDB, which is not installed: pip install 'caduceus[health]'"
        ) from None
    connection = duckdb.connect(
        ":memory:",
        config={
            "temp_directory": "",  # no value from a record in a temporary file
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    if folder is not None:
        connection.execute("set allowed_directories = $1", [[f"{folder}/"]])
    connection.execute("set enable_external_access = false")
    return connection


@contextmanager
def short_of_memory(where: str) -> Iterator[None]:
    """Say so where a table does not fit.

    Raises Unavailable, naming the source.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise Unavailable(f"{where}: there is not enough memory for these records; use a larger machine") from None


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def fill(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Put rows into a table, if there are any."""
    if found := list(rows):
        connection.executemany(f"insert into {table} values ({', '.join('?' * len(found[0]))})", found)  # noqa: S608


def scatter(connection: duckdb.DuckDBPyConnection, query: str, rows: int, *, otherwise: float) -> Floats:
    """A column of the table from a query for positions and values.

    query      selects a position of a row, from 0 on, and its value
    otherwise  stands in the rows that the query does not name
    returns    float64[rows]; a null is NaN
    """
    values = np.full(rows, otherwise)
    found = connection.execute(query).fetchnumpy()
    places, numbers = (np.ma.filled(np.ma.asarray(one, np.float64), np.nan) for one in found.values())
    values[places.astype(np.int64)] = numbers
    return values
