"""The chain's file: one SQLite database, one owner, one transaction per block.

A block's state nodes, header, transactions, receipts and logs become durable together or not at all, so a
crash at any moment leaves the chain as it was after the last acknowledged block.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from caduceus import canon
from caduceus.edges.evm_embedded.ownership import Ownership
from caduceus.errors import Misuse, Refused, Unavailable

FORMAT = 1
APPLICATION = 0x43414455
"""Marks the file as ours in SQLite's own header ("CADU")."""

_SCHEMA = """
CREATE TABLE identity (genesis BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE nodes (hash BLOB PRIMARY KEY, node BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL);
CREATE TABLE transactions (
    block INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE, sender BLOB NOT NULL,
    raw BLOB NOT NULL, receipt BLOB NOT NULL, PRIMARY KEY (block, position)
) WITHOUT ROWID;
CREATE TABLE logs (
    block INTEGER NOT NULL, position INTEGER NOT NULL, place INTEGER NOT NULL, address BLOB NOT NULL,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL, PRIMARY KEY (block, position)
) WITHOUT ROWID;
CREATE INDEX logs_by_topic ON logs (topic0, topic1, block);
CREATE INDEX logs_by_address ON logs (address, block);
"""


@canon.record("chain/genesis/1")
class Genesis:
    """Everything that block 0 is made of."""

    chain_id: int
    timestamp: int
    gas_limit: int
    balances: tuple[tuple[bytes, int], ...]
    """Address and wei, sorted by address."""


class Store:
    """An open chain file, or a chain that lives in memory.

    connection  SQLite in autocommit; writes go through `transaction`
    path        the file, or None in memory
    writable    whether this store owns the file
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None, owner: Ownership | None) -> None:
        self.connection = connection
        self.path = path
        self.writable = path is None or owner is not None
        self._owner = owner
        self._prepared = path is None
        self._lets_go = False

    @classmethod
    def create(cls, path: Path | None) -> Store:
        """Make an empty file and own it.

        Raises Refused if `path` exists or another process is making it; Unavailable if the disk refuses. Then
        nothing is left.
        """
        if path is None:
            store = cls(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False), None, None)
            store.connection.executescript(_SCHEMA)
            return store
        owner = Ownership.take(path)
        try:
            refuse_remains(path)
            store = cls(_connect(path, "rwc"), path, owner)
            marks = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"
            try:
                with store.explaining():
                    store.connection.executescript(f"{marks} BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
                    store.prepare()
            except BaseException:
                store.connection.close()
                path.unlink(missing_ok=True)
                raise
        except BaseException:
            owner.release()
            raise
        return store

    @classmethod
    def open(cls, path: Path, *, writable: bool, immutable: bool = False) -> Store:
        """Open an existing chain file; a reader may look while its owner writes.

        immutable  nobody writes it: read the file alone, and leave no file beside it

        Raises Refused, naming the file, if it is missing, not a chain file, of another format, or (when
        `writable`) owned by another process.
        """
        if not path.is_file():
            raise Refused(f"{path}: there is no such chain file")
        owner = Ownership.take(path) if writable else None
        try:
            store = cls(_connect(path, "rw" if writable else "ro", immutable), path, owner)
            store._lets_go = not writable and not immutable
            try:
                _check_format(store.connection, path)
            except BaseException:
                store.connection.close()
                raise
        except BaseException:
            if owner is not None:
                owner.release()
            raise
        return store

    def prepare(self) -> None:
        """Get ready to write; until then an opened file is left as it is.

        Raises Unavailable if another program holds the file.
        """
        with self.explaining():
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")  # an acknowledged block survives a power cut too
            self.connection.execute("PRAGMA cache_size = -16384")
        self._prepared = True

    def genesis(self) -> Genesis:
        """What block 0 was made of.

        Raises Refused if the file holds no readable genesis.
        """
        row = self.read_one("SELECT genesis FROM identity", ())
        if row is None:
            raise Refused(f"{self.name}: holds no genesis; its making was interrupted, delete it and start anew")
        return canon.unpack(Genesis, row[0])

    @property
    def name(self) -> str:
        """The file as messages call it."""
        return "the chain in memory" if self.path is None else str(self.path)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything written inside becomes durable at the end, or nothing of it.

        Raises Misuse if this store is a reader's, or was opened by the parent of this process;
        Unavailable if the disk refuses, in which case nothing was written.
        """
        if not self._prepared:
            raise Misuse(f"{self.name}: opened for reading only")
        if self._owner is not None and self._owner.inherited:
            raise Misuse(f"{self.name}: opened by another process; a fork must open the file itself")
        with self.explaining():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query.

        Raises Refused if the file is damaged.
        """
        with self.explaining():
            rows = self.connection.execute(query, values).fetchall()
            if self._lets_go:
                self._let_go()
        return rows

    def read_one(self, query: str, values: Sequence[object] = ()) -> Any:
        """The first row of a query, or None.

        Raises Refused if the file is damaged.
        """
        with self.explaining():
            row = self.connection.execute(query, values).fetchone()
            if self._lets_go:
                self._let_go()
        return row

    def close(self, finish: Callable[[Path], None] | None = None) -> None:
        """Fold the write-ahead log into the file, leave that single file behind, and give up ownership.

        finish  called with the finished file, while it is still owned. It is not called if another program holds
                the file at this moment: then its log stays beside it, nothing is lost, and the next closing finishes.
        """
        if self._owner is None:
            self.connection.close()
            return
        if self._owner.inherited:
            return  # the file is the parent's business, and so is the connection
        try:
            finished = self._prepared and self._fold()
            self.connection.close()
            if finished and finish is not None and self.path is not None:
                finish(self.path)
        finally:
            self._owner.release()

    def _fold(self) -> bool:
        try:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:  # "database is locked"
            return False
        return True

    def _let_go(self) -> None:
        """A reader beside a living writer holds nothing between two questions, so that the writer can finish."""
        if self.path is not None and self.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            self.connection.close()
            self.connection = _connect(self.path, "ro")

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """SQLite's errors as ours: Unavailable if the disk refused and nothing was written, Refused if damaged."""
        try:
            yield
        except sqlite3.OperationalError as problem:
            raise Unavailable(f"{self.name}: {problem}; nothing was written") from None
        except sqlite3.DatabaseError as problem:
            raise Refused(f"{self.name}: damaged ({problem}); audit the file to learn where") from None


def refuse_remains(path: Path) -> None:
    """Raises Refused, naming the file, if a chain is in the way of a new one, or what an earlier one left."""
    for name in (path, *_companions(path)):
        if name.exists():
            told = "exists already; open it" if name == path else "is left from an earlier chain; remove it"
            raise Refused(f"{name} {told}, or choose another file")


def remove_all(path: Path) -> None:
    """Remove a file and what SQLite keeps beside it."""
    for name in (*_companions(path), path):
        name.unlink(missing_ok=True)


def _connect(path: Path, mode: str, immutable: bool = False) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode={mode}" + ("&immutable=1" if immutable else "")
    try:
        return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
    except sqlite3.OperationalError as problem:
        raise Unavailable(f"{path}: cannot be opened ({problem}); check the folder and its permissions") from None


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as problem:
        raise Refused(f"{path}: not readable as a chain file ({problem})") from None
    if application != APPLICATION:
        raise Refused(f"{path}: not a chain file (application id {application:#010x}, not {APPLICATION:#010x})")
    if version != FORMAT:
        raise Refused(f"{path}: chain file of format {version}; this version reads format {FORMAT}")


def _companions(path: Path) -> tuple[Path, Path]:
    """Where SQLite keeps changes that are not in the file yet; left behind, they would flow into a new one."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")
