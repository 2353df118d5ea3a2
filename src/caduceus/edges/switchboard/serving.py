"""The jobs that a spoke answers in: a thread for each, which lets its reactor answer one message at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

from caduceus.errors import Error, Refused
from caduceus.kinds import Address, JobId
from caduceus.ports import Reactor

WAITING = 64
"""Messages of a job that may wait for its reactor."""
_REMEMBERED = 4096
"""Jobs that are known to have been left, or to have begun too early."""


@dataclass(slots=True)
class _Served:
    """A job that this party answers in."""

    coordinator: Address
    reactor: Reactor
    worker: ThreadPoolExecutor
    waiting: int = 0


@final
class Serving:
    """Reactors by job. Thread-safe.

    reply   sends a reactor's answer; raises Unavailable if it is lost
    fail    told of what a reactor refuses
    on_bug  told of what a reactor raises that is none of our errors
    """

    def __init__(
        self,
        reply: Callable[[JobId, bytes], None],
        fail: Callable[[JobId, Error], None],
        on_bug: Callable[[BaseException], None],
    ) -> None:
        self._reply, self._fail, self._on_bug = reply, fail, on_bug
        self._lock = threading.Lock()
        self._served: dict[JobId, _Served] = {}
        self._over: dict[JobId, None] = {}
        self._early: dict[JobId, None] = {}

    def begin(self, job: JobId, coordinator: Address, reactor: Reactor) -> bool:
        """Answer in a job from now on, unless that is done already; whether messages came before somebody answered."""
        with self._lock:
            if job not in self._served:
                worker = ThreadPoolExecutor(1, thread_name_prefix=f"job-{job.hex()[:8]}")
                self._served[job] = _Served(coordinator, reactor, worker)
                self._over.pop(job, None)
            was_early = job in self._early
            self._early.pop(job, None)
            return was_early

    def end(self, job: JobId) -> None:
        """Answer no more; what the reactor is at is not interrupted, and what it says is dropped."""
        with self._lock:
            served = self._served.pop(job, None)
            _note(self._over, job)
        if served is not None:
            served.worker.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End all."""
        with self._lock:
            jobs = list(self._served)
        for job in jobs:
            self.end(job)

    def coordinator_of(self, job: JobId) -> Address | None:
        """The key that the job's coordinator signs with; None if nobody answers in the job."""
        with self._lock:
            served = self._served.get(job)
            return None if served is None else served.coordinator

    def take(self, job: JobId, body: bytes) -> None:
        """Hand a message to its reactor's thread.

        Raises Refused if nobody answers in the job, or too many messages wait.
        """
        with self._lock:
            served = self._served.get(job)
            if served is None:
                _note(self._early, job)
                why = "it is over, or this party has left it" if job in self._over else "this party has no part in it"
                raise Refused(f"job 0x{job.hex()[:8]}: nobody answers here: {why}")
            if served.waiting >= WAITING:
                raise Refused(f"job 0x{job.hex()[:8]}: {served.waiting} messages wait for this party; it takes no more")
            served.waiting += 1
            future = served.worker.submit(self._react, job, served, body)
        future.add_done_callback(lambda done: self._done(served, done))

    def _done(self, served: _Served, _future: Future[None]) -> None:
        with self._lock:
            served.waiting -= 1

    def _react(self, job: JobId, served: _Served, body: bytes) -> None:
        try:
            for reply in served.reactor.react(body):
                with self._lock:
                    if self._served.get(job) is not served:
                        return
                self._reply(job, reply)
        except Error as problem:
            self._fail(job, problem)
        except BaseException as problem:  # noqa: BLE001  (a bug in this process: its owner decides, not this thread)
            self._on_bug(problem)


def _note(jobs: dict[JobId, None], job: JobId) -> None:
    jobs[job] = None
    while len(jobs) > _REMEMBERED:
        jobs.pop(next(iter(jobs)))
