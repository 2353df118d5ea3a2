"""A role's durable memory over SQLite: what is remembered is on disk before the role acts on it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from caduceus.errors import Refused, Unavailable


class SqliteJournal:
    """Keys that are written once. One role, one file; a second process is kept out."""

    def __init__(self, path: Path) -> None:
        """Raises Refused if another process has the journal open or the file is not one."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._is_pending = True  # an earlier process may have left entries that nobody waited for
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as problem:
            self._db.close()
            raise Refused(f"{path}: in use by another process ({problem}); stop that one first") from None
        except sqlite3.DatabaseError as problem:
            self._db.close()
            raise Refused(f"{path}: not a journal ({problem})") from None

    def get(self, key: str) -> bytes | None:
        with self._lock:
            row = self._db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put_once(self, key: str, value: bytes) -> None:
        """Remember, durably; remembering the same again changes nothing.

        Raises Refused if another value is already remembered under `key`.
        """
        self.put_all({key: value})

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        """Remember several things or none of them.

        at_once  wait for the disk; without it the entries outlive this process, and a power cut once a later
                 entry has waited

        Raises Refused if another value is already remembered under one of the keys, and Unavailable if the disk
        takes none of it: then none of what they say may be acted on.
        """
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if at_once else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                added = [self._insert(key, value) for key, value in entries.items()]
                is_new = any(added)
                self._db.execute("COMMIT")
                if at_once and not is_new and self._is_pending:
                    # SQLite waits for the disk only where it wrote something; this waits for what is still on its way.
                    self._db.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
                self._is_pending = not at_once and (is_new or self._is_pending)
            except sqlite3.OperationalError as problem:
                self._undo()
                raise Unavailable(f"{self.path}: cannot be written ({problem}); make room, or mend the disk") from None
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        if self._db.in_transaction:  # a full disk may have ended it already
            self._db.execute("ROLLBACK")

    def _insert(self, key: str, value: bytes) -> bool:
        """Whether it was not remembered yet."""
        if self._db.execute("INSERT OR IGNORE INTO memory VALUES (?, ?)", (key, value)).rowcount == 1:
            return True
        (kept,) = self._db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()
        if bytes(kept) != value:
            raise Refused(f"{self.path.name}: {key} was decided differently before; it is not decided again")
        return False

    def keys(self, prefix: str) -> Sequence[str]:
        with self._lock:
            rows = self._db.execute(
                "SELECT key FROM memory WHERE key >= ? AND key < ? ORDER BY key", (prefix, prefix + "\U0010ffff")
            ).fetchall()
        return [row[0] for row in rows]

    def close(self) -> None:
        with self._lock:  # not under a thread that is writing
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
