"""Who writes a chain file: one process at a time, and the system forgets it when that process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from caduceus.errors import Refused, Unavailable


class Ownership:
    """The right to write a file, held through a lock on a file of its own beside it."""

    def __init__(self, name: Path, lock: int) -> None:
        self._name = name
        self._lock: int | None = lock
        self._process = os.getpid()

    @classmethod
    def take(cls, path: Path) -> Ownership:
        """Own a file, which need not exist.

        Raises Refused, naming the file, if it has an owner; Unavailable if its folder cannot be written.
        """
        name = path.with_name(path.name + ".lock")
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
        return cls(name, lock)

    @property
    def inherited(self) -> bool:
        """Whether this process only got it by being forked; it must then touch nothing."""
        return os.getpid() != self._process

    def release(self) -> None:
        """Let others own the file. A fork only forgets its copy."""
        if self._lock is None:
            return
        if not self.inherited:
            self._name.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None
