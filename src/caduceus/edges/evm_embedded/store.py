"""The chain's file: one SQLite database, one owner, one transaction per block.

A block's state nodes, header, transactions, receipts and logs become durable together or not at all, so a
crash at any moment leaves the chain as it was after the last acknowledged block.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from caduceus import canon
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

    def __init__(self, connection: sqlite3.Connection, path: Path | None, lock: int | None, writable: bool) -> None:
        self.connection = connection
        self.path = path
        self.writable = writable
        self._lock = lock
        self._process = os.getpid()
        self._prepared = path is None

    @classmethod
    def create(cls, path: Path | None) -> Store:
        """Make an empty file and own it.

        Raises Refused if `path` exists or another process is making it.
        """
        if path is None:
            store = cls(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False), None, None, True)
            store.connection.executescript(_SCHEMA)
            return store
        lock = _own(path)
        for name in (path, *_companions(path)):
            if name.exists():
                _disown(path, lock)
                told = "exists already; open it" if name == path else "is left from an earlier chain; remove it"
                raise Refused(f"{name} {told}, or choose another file")
        store = cls(_connect(path, "rwc"), path, lock, True)
        store.connection.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};")
        store.prepare()
        store.connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
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
        lock = _own(path) if writable else None
        try:
            connection = _connect(path, "rw" if writable else "ro", immutable)
            try:
                _check_format(connection, path)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            if lock is not None:
                _disown(path, lock)
            raise
        return cls(connection, path, lock, writable)

    def prepare(self) -> None:
        """Get ready to write; until then an opened file is left as it is."""
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
        if os.getpid() != self._process:
            raise Misuse(f"{self.name}: opened by another process; a fork must open the file itself")
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as problem:
            raise self._explained(problem) from None

    def read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query.

        Raises Refused if the file is damaged.
        """
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as problem:
            raise self._explained(problem) from None

    def read_one(self, query: str, values: Sequence[object] = ()) -> Any:
        """The first row of a query, or None.

        Raises Refused if the file is damaged.
        """
        try:
            return self.connection.execute(query, values).fetchone()
        except sqlite3.DatabaseError as problem:
            raise self._explained(problem) from None

    def close(self, finish: Callable[[Path], None] | None = None) -> None:
        """Fold the write-ahead log into the file, leave that single file behind, and give up ownership.

        finish  called with the finished file, while it is still owned
        """
        ours = self._prepared and self.path is not None and os.getpid() == self._process
        if ours:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.connection.execute("PRAGMA journal_mode = DELETE")
        self.connection.close()
        if self._lock is not None and self.path is not None:
            try:
                if finish is not None and ours:
                    finish(self.path)
            finally:
                _disown(self.path, self._lock)
                self._lock = None

    def _explained(self, problem: sqlite3.DatabaseError) -> Exception:
        if isinstance(problem, sqlite3.OperationalError):
            return Unavailable(f"{self.name}: {problem}; nothing was written")
        return Refused(f"{self.name}: damaged ({problem}); audit the file to learn where")


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


def _own(path: Path) -> int:
    """Lock the file's name for this process; the system frees it when the process ends, however it ends."""
    name = _lock_name(path)
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise Unavailable(f"{path}: cannot be locked ({problem}); check the folder and its permissions") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino != name.stat().st_ino:  # its last owner removed the name just now
            raise BlockingIOError
    except (BlockingIOError, FileNotFoundError):
        os.close(lock)
        raise Refused(f"{path}: another process writes this chain; close it there, or open for reading") from None
    return lock


def _disown(path: Path, lock: int) -> None:
    _lock_name(path).unlink(missing_ok=True)
    os.close(lock)


def _companions(path: Path) -> tuple[Path, Path]:
    """Where SQLite keeps changes that are not in the file yet; left behind, they would flow into a new one."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")


def _lock_name(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
