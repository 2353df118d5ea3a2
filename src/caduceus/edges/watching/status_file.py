"""Keeping `status.json` as the process changes: written whole, at every change."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, final

from caduceus.edges.watching.audit_line import Head
from caduceus.edges.watching.detail import Who, class_of, reason_of
from caduceus.edges.watching.event_log import Event
from caduceus.edges.watching.status import (
    FILE,
    LOCK,
    MOST_JOBS,
    MOST_REFUSALS,
    ChainSight,
    Connection,
    JobStatus,
    Refusal,
    Status,
)
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import JobId, Stage

_TRIES, _PAUSE = 20, 0.05  # seconds; a reader holds the lock for a moment


def _lock(folder: Path) -> int:
    """Take the lock that says that the process lives; readers only try for it, to see whether anybody has it."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_PAUSE)
        else:
            return lock
    os.close(lock)
    raise Refused(f"{folder}: another process runs this role; stop that one first")


def _utc() -> datetime:
    return datetime.now(UTC)


@final
class StatusFile:
    """One process's status. Any thread may use it.

    A reader sees a whole file or the one before. It is not waited for until it is on disk: after a power cut the role
    starts anew and writes another. Nor does a role stop because it cannot be written: nothing is decided by it.
    """

    def __init__(
        self,
        folder: Path,
        who: Who,
        *,
        on_problem: Callable[[Unavailable], None] = lambda _problem: None,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        """folder     the party's; made if absent
        on_problem  told when the file could not be written, once until it can be again

        Raises Refused if another process keeps this status.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._on_problem, self._now = folder / FILE, on_problem, now
        self._is_written = True
        self._changing = threading.Lock()
        self._lock = _lock(folder)
        self._status = Status(role=who.role, party=who.party, process=os.getpid(), since=self._now(), at=self._now())
        self._change()

    def now(self) -> Status:
        """As it was written last."""
        return self._status

    def connection(self, state: Connection) -> None:
        """The line to the other parties."""
        self._change(connection=state)

    def chain(self, height: int, lag: float) -> None:
        """The newest block that was seen, and how many seconds old it is."""
        self._change(chain=ChainSight(height=height, lag=max(lag, 0.0), at=self._now()))

    def outbox(self, waiting: int) -> None:
        """How many messages wait to be sent."""
        self._change(outbox=waiting)

    def audit_log(self, head: Head) -> None:
        """Where the audit log ends."""
        self._change(audit_lines=head.lines, audit_head=head.digest.hex())

    def job(self, job: JobId, stage: Stage, event: Event, *, round: int | None = None, unanchored: int = 0) -> None:
        """What last happened in a job."""
        entry = JobStatus(
            job="0x" + job.hex(),
            stage=stage.name.lower(),
            round=round,
            unanchored=unanchored,
            event=event.word,
            at=self._now(),
        )
        with self._changing:
            others = tuple(one for one in self._status.jobs if one.job != entry.job)
            self._write(jobs=(*others, entry)[-MOST_JOBS:])

    def refused(self, problem: BaseException, job: JobId | None = None) -> None:
        """Something was refused, or failed."""
        entry = Refusal(
            at=self._now(),
            kind=class_of(problem),
            reason=reason_of(problem),
            job=None if job is None else "0x" + job.hex(),
        )
        with self._changing:
            known = (*self._status.refusals, entry)[-MOST_REFUSALS:]
            self._write(refusals=known, refused=self._status.refused + 1)

    def close(self) -> None:
        """Say that the process stops, and let go of the file."""
        if self._lock >= 0:
            self._change(connection="stopped")
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, **fields: Any) -> None:
        with self._changing:
            self._write(**fields)

    def _write(self, **fields: Any) -> None:
        self._status = self._status.model_copy(update={**fields, "at": self._now()})
        try:
            self._replace(self._status.model_dump_json(indent=1) + "\n")
        except OSError as problem:
            was_written, self._is_written = self._is_written, False
            if was_written:
                self._on_problem(Unavailable(f"{self._path}: cannot be written ({problem.strerror}); make room"))
        else:
            self._is_written = True

    def _replace(self, text: str) -> None:
        part = self._path.with_name(FILE + ".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(self._path)
