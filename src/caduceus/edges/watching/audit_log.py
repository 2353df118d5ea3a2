"""A node's own record of what was asked of it, what it decided, what left it and what it was paid.

Kept by each party for itself, so that it needs no word of the coordinator's. Append only: every line holds the digest
of the line before, and a line is on disk before the answer that it is about leaves. So after a crash it may say more
than happened, and never less.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, final

from caduceus.canon import digest_bytes
from caduceus.edges.durable import sync_names
from caduceus.edges.watching.audit_check import Walk, log_files
from caduceus.edges.watching.audit_line import FORM, ORIGIN, Head, Kind, encode
from caduceus.edges.watching.detail import NOTHING, Detail, Value, Who
from caduceus.edges.workspace import write_whole
from caduceus.errors import Misuse, Refused, Unavailable

FILE_BYTES = 4 << 20
"""After how many bytes a new file is begun; opening a log reads its last file."""

_SALT_BYTES = 32


@final
class AuditLog:
    """A folder of files 000001.log, 000002.log, ... that one process writes. Any thread may use it.

    A crash at any byte leaves at most one cut line, at the end: the next start moves it to `torn/` and goes on. Lines
    that outlive the process but not yet a power cut are those noted with `at_once=False`.
    """

    def __init__(
        self, folder: Path, who: Who, *, file_bytes: int = FILE_BYTES, now: Callable[[], float] = time.time
    ) -> None:
        """folder  made if absent, readable by its owner alone
        now     Unix seconds

        Raises Refused if another process has it open, or if its last file was altered.
        """
        self.folder, self._who, self._file_bytes, self._now = folder, who, file_bytes, now
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._broken = ""
        self._synced = 0
        self._file = -1
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(folder)
        try:
            self._salt = _salt(folder)
            self._go_on()
        except BaseException:
            self.close()
            raise

    def note(self, kind: Kind, detail: Detail = NOTHING, *, at_once: bool = True) -> Head:
        """Add a line; returns the head after it.

        at_once  wait for the disk; a later line that waits makes this one durable too

        Raises Unavailable if it cannot be written: then what it is about must not happen.
        """
        return self.note_all(((kind, detail),), at_once=at_once)

    def note_all(self, entries: Sequence[tuple[Kind, Detail]], *, at_once: bool = True) -> Head:
        """Add several lines, one after the other, and wait once. Raises as `note` does."""
        for kind, detail in entries:
            if type(kind) is not Kind or kind is Kind.FILE or type(detail) is not Detail:
                raise Misuse("note: a Kind (other than FILE) and a Detail are noted")
            self._who.check(detail)
        with self._writing:
            for kind, detail in entries:
                if self._size >= self._file_bytes:
                    self._begin(self._number + 1)
                self._write(kind, detail.written())
            head = self._head
        if at_once:
            self._wait(head.lines)
        return head

    def sync(self) -> None:
        """Wait until all that was noted is on disk. Raises Unavailable if the disk fails."""
        self._wait(self._head.lines)

    def head(self) -> Head:
        """Where the log ends now: give it to somebody else, who can then tell whether it was changed."""
        return self._head

    def salted(self, private: bytes) -> bytes:
        """A digest of something private, which nobody can test guesses against who has not this folder's salt.

        Whoever has salt and content can show what the line was about; delete the salt and nobody can.
        """
        return hmac.digest(self._salt, private, "sha256")

    def close(self) -> None:
        """Wait for the disk and let go of the folder. Raises Unavailable if the disk fails."""
        try:
            if self._file >= 0:
                os.fsync(self._file)
        except OSError as problem:
            raise self._break(problem) from None
        finally:
            for descriptor in (self._file, self._lock):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ opening

    def _go_on(self) -> None:
        """Find the end of the log, set a cut line aside, and begin a file where there is none."""
        files = log_files(self.folder)
        self._head, self._size, self._number = Head(0, ORIGIN), 0, 0
        if not files:
            self._begin(1)
            return
        self._number, last = files[-1]
        walk = self._walk(last)
        cut = _set_aside(self.folder, last, walk.size) if walk.torn else None
        if walk.first is None:  # a crash came before the file's own first line
            self._head = self._end_of_earlier(files)
            self._begin(self._number)
        else:
            self._head, self._size = walk.head, walk.size
            self._file = _open(last)
        self._synced = 0
        if cut is not None:
            self.note(Kind.REPAIRED, Detail(size=len(cut), digest=digest_bytes(cut)))

    def _walk(self, file: Path) -> Walk:
        walk = Walk(None)
        if fault := walk.through(file):
            raise Refused(
                f"{file}, line {fault.line}: {fault.why}; the log was altered and is not continued: keep its folder "
                "as evidence, and start with another one"
            )
        return walk

    def _end_of_earlier(self, files: Sequence[tuple[int, Path]]) -> Head:
        if self._number == 1:
            return Head(0, ORIGIN)
        if len(files) < 2 or files[-2][0] != self._number - 1:
            raise Refused(f"{self.folder}: {self._number - 1:06}.log is needed to go on; put it back")
        return self._walk(files[-2][1]).head

    def _begin(self, number: int) -> None:
        """Begin a file, once the one before is on disk."""
        path = self.folder / f"{number:06}.log"
        try:
            if self._file >= 0:
                os.fsync(self._file)
                os.close(self._file)
            self._file = _open(path)
            self._number, self._size = number, 0
            self._write(Kind.FILE, {"form": FORM, "role": self._who.role, "party": self._who.party})
            os.fsync(self._file)
            sync_names(self.folder)
        except OSError as problem:
            raise self._break(problem) from None
        self._synced = self._head.lines

    # ------------------------------------------------------------ writing

    def _write(self, kind: Kind, fields: Mapping[str, Value]) -> None:
        if self._broken or self._file < 0:
            raise Unavailable(self._broken or f"{self.folder}: the audit log is closed")
        at = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = encode(self._head.lines, self._head.digest, kind.value, at, fields)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as problem:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                raise self._break(problem) from None
            raise Unavailable(self._said(problem)) from None
        self._size += len(line)
        self._head = Head(self._head.lines + 1, digest_bytes(line))

    def _wait(self, lines: int) -> None:
        """Wait for the disk; threads that come meanwhile wait for one turn together."""
        with self._syncing:
            with self._writing:
                if self._broken or self._file < 0:
                    raise Unavailable(self._broken or f"{self.folder}: the audit log is closed")
                if self._synced >= lines:
                    return
                file, upto = os.dup(self._file), self._head.lines
            try:
                os.fsync(file)
            except OSError as problem:
                raise self._break(problem) from None
            finally:
                os.close(file)
            with self._writing:
                self._synced = max(self._synced, upto)

    def _said(self, problem: OSError) -> str:
        return f"{self.folder}: the audit log cannot be written ({problem.strerror}); make room, or mend the disk"

    def _break(self, problem: OSError) -> Unavailable:
        """After this nobody knows what is on disk: nothing more is noted until a start has looked."""
        self._broken = f"{self._said(problem)}, and start again"
        return Unavailable(self._broken)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _lock(folder: Path) -> int:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Refused(f"{folder}: another process writes this audit log; stop that one first") from None
    return lock


def _salt(folder: Path) -> bytes:
    path = folder / "salt"
    if not path.exists():
        write_whole(path, secrets.token_bytes(_SALT_BYTES), mode=0o600)
    salt = path.read_bytes()
    if len(salt) != _SALT_BYTES:
        raise Refused(f"{path}: not a salt of {_SALT_BYTES} bytes; put the right one back, or delete it for a new one")
    return salt


def _set_aside(folder: Path, file: Path, size: int) -> bytes:
    """Move what comes after a file's last whole line to `torn/`; returns it."""
    with file.open("r+b") as log:
        log.seek(size)
        cut = log.read()
        write_whole(folder / "torn" / f"{file.stem}-{size}", cut, mode=0o600)
        log.truncate(size)
        log.flush()
        os.fsync(log.fileno())
    return cut
