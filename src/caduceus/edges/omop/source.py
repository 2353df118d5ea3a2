"""Where the tables of an OMOP database lie, and how they are asked: one dialect of SQL for files and for PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from caduceus.edges.omop.files import Files
from caduceus.edges.omop.postgres import Postgres


class Source(Protocol):
    """The tables of one database.

    where  its name, for messages
    """

    where: str

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table, in small letters; none if there is no such table."""
        ...

    def table(self, name: str, columns: Iterable[str]) -> str:
        """What stands in a query's FROM for a table with just these columns, of the kinds that `model.kind` says; null
        where the table lacks one.
        """
        ...

    def fetch(self, query: str) -> pa.Table:
        """The answer to a query in the SQL that DuckDB and PostgreSQL share."""
        ...


def open_source(place: Path | str, *, namespace: str) -> AbstractContextManager[Source]:
    """The database at a place.

    place      a folder of Parquet or CSV files, or the URL of a PostgreSQL database
    namespace  of a database: the schema that holds the tables
    """
    if isinstance(place, str) and "://" in place:
        return Postgres(place, namespace)
    return Files(Path(place))
