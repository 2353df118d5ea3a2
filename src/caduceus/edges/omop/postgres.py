"""An OMOP database in PostgreSQL, read in one read-only transaction that sees one moment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from caduceus.edges.omop.model import kind
from caduceus.errors import Refused, Unavailable

SCHEMES = ("postgresql", "postgres")


class Postgres:
    """The tables of a schema of a PostgreSQL database."""

    def __init__(self, url: str, namespace: str) -> None:
        """Say which database; it is asked for once it is entered.

        url        postgresql://user@host/database, without a password: libpq takes that from a password file
        namespace  the schema that holds the tables

        Raises Refused if the URL is another one or holds a password, or the schema is no plain name.
        """
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", namespace):
            raise Refused("the schema of a database is a name of letters, digits and _")
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise Refused(f"'{parts.scheme}://' is no place for an OMOP database; a folder or postgresql:// is")
        if parts.password is not None or {"password", "passfile"} & set(parse_qs(parts.query)):
            raise Refused(
                "the URL of a database holds a password, and would be shown and stored with it; put the password into "
                "a file that PGPASSFILE names"
            )
        self.where = f"database {parts.path.strip('/') or '(default)'}, schema {namespace}"
        self._url, self._namespace = url, namespace
        self._connection: Any = None
        self._failure: type[Exception] = OSError

    def __enter__(self) -> Self:
        try:
            dbapi = import_module("adbc_driver_postgresql.dbapi")
        except ImportError:
            raise Refused(
                "a PostgreSQL database is read with ADBC, which is not installed: pip install adbc-driver-postgresql"
            ) from None
        self._failure = dbapi.Error
        try:
            self._connection = dbapi.connect(self._url)
            with self._connection.cursor() as cursor:
                cursor.execute("set transaction isolation level repeatable read, read only")
        except dbapi.Error as problem:
            self.__exit__()
            raise Unavailable(f"{self.where}: no connection ({_state(problem)})") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def columns(self, table: str) -> frozenset[str]:
        """See `Source`."""
        found = self.fetch(
            "select lower(column_name) as name from information_schema.columns "  # noqa: S608
            f"where table_schema = '{self._namespace}' and lower(table_name) = '{table}'"
        )
        return frozenset(found["name"].to_pylist())

    def table(self, name: str, columns: Iterable[str]) -> str:
        """See `Source`."""
        there = self.columns(name)
        parts = (f"cast({one if one in there else 'null'} as {kind(one)}) as {one}" for one in columns)
        return f"(select {', '.join(parts)} from {self._namespace}.{name})"  # noqa: S608

    def fetch(self, query: str) -> pa.Table:
        """See `Source`.

        Raises Refused, without what the database says: that may quote a record.
        """
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                found: pa.Table = cursor.fetch_arrow_table()
                return found
        except self._failure as problem:
            raise Refused(
                f"{self.where}: the database refused a query ({_state(problem)}); may this user read its tables?"
            ) from None


def _state(problem: Exception) -> str:
    state = str(getattr(problem, "sqlstate", None) or "").strip("\0 ")
    return f"SQLSTATE {state}" if state else type(problem).__name__
