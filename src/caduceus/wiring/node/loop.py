"""A role's process at work: it looks at its jobs again and again, says hello, and stops when asked."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, final

from caduceus.agents.duties import Event, Happened
from caduceus.edges.clock import SystemClock
from caduceus.edges.switchboard.limits import Quiet
from caduceus.edges.watching.audit_line import Kind
from caduceus.edges.watching.detail import Detail
from caduceus.edges.watching.event_log import Event as Said
from caduceus.errors import Error, Misuse, Refused, Unavailable
from caduceus.kinds import JobId, Stage
from caduceus.wiring.node.party import Opened

GREETING = {"flare": 2.0, "flower": 20.0}
"""Seconds between two hellos to the hub, by engine: each is to be answered before the next one."""

ENDING = 5.0
"""Seconds that everything under way gets to end; an engine gives the whole of a stop a little longer."""

_AGAIN = 60.0
"""Seconds after which the same trouble is told again."""

_SOON, _LATE = 30.0, 3600.0
"""Seconds before a job on which this program failed is looked at again: twice as long every time, up to the second."""


class Duties(Protocol):
    """A role's duties; see `agents.duties`."""

    def jobs(self) -> Sequence[JobId]: ...

    def attend(self, job: JobId) -> None: ...


def in_words(problem: BaseException) -> Error:
    """An error of ours for whatever was raised. Other people's texts are left out: they may quote a record."""
    if isinstance(problem, Error):
        return problem
    if isinstance(problem, OSError) and problem.strerror:
        return Unavailable(f"{problem.filename or 'a file'}: {problem.strerror}; mend that, nothing is lost meanwhile")
    frames = traceback.extract_tb(problem.__traceback__)
    ours = [frame for frame in frames if "caduceus" in frame.filename] or frames
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return Misuse(f"a bug of this program: {type(problem).__name__}{place}")


@final
class Running:
    """A role at work, in threads of its own, from `begin` until `stop`.

    A bug about one job is told, and that job left alone for a while: anybody may post a job, and one that this program
    cannot bear must not keep it from the others. Any other bug ends the role, and with it the process: `wait` returns,
    and what watches the process starts it again.

    may_block  whether attending to a job may take as long as its training: then each job has a thread
    """

    def __init__(self, opened: Opened, stack: ExitStack, *, may_block: bool = False) -> None:
        self._opened, self._stack, self._may_block = opened, stack, may_block
        self._clock, self._quiet = SystemClock(), Quiet(_AGAIN)
        self._stopping, self._looked = threading.Event(), threading.Event()
        self._aside: dict[JobId, tuple[float, float]] = {}
        self._busy: dict[JobId, threading.Thread] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, duties: Duties, greet: Callable[[], None]) -> Self:
        """Attend to jobs from now on.

        greet  called every few seconds; says hello to the hub
        """
        self._threads = [
            threading.Thread(target=one, args=(what,), name=name, daemon=True)
            for one, what, name in ((self._look, duties, "duties"), (self._say_hello, greet, "hello"))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """End it; what was under way goes on from the journal the next time.

        A thread that is still at work after `ENDING` seconds finds journal and audit log closed: it promises nothing
        more, and nothing that it does leaves.
        """
        self._stopping.set()
        self._looked.set()
        end = time.monotonic() + ENDING
        for thread in (*self._threads, *self._busy.copy().values()):
            if thread is not threading.current_thread():
                thread.join(timeout=max(0.0, end - time.monotonic()))
        self._stack.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until somebody stops it, or a bug has; returns whether that is so."""
        return self._stopping.wait(seconds)

    def fail(self, problem: BaseException) -> None:
        """A bug in this process: say so, and end."""
        if self._stopping.is_set():
            return  # what a thread runs into when everything is closed under it is no news
        try:
            self._opened.lookout.problem(in_words(problem))
        finally:
            self._stopping.set()

    def _say_hello(self, greet: Callable[[], None]) -> None:
        """Not before the first look: who is greeted sends what was lost, and somebody must be there to answer it."""
        self._looked.wait()
        while not self._stopping.is_set():
            try:
                greet()
            except (Error, OSError) as problem:
                self._trouble(None, in_words(problem))
            except BaseException as problem:  # noqa: BLE001  (the outermost edge of this thread)
                self.fail(problem)
                return
            self._stopping.wait(GREETING[self._opened.file.engine])

    def _look(self, duties: Duties) -> None:
        opened, poll = self._opened, self._opened.file.chain.poll
        while not self._stopping.is_set():
            opened.pulse.beat()
            try:
                now = opened.network.chain.now()
                opened.lookout.chain(opened.network.node.height(), max(0.0, opened.network.now() - now))
                for job in duties.jobs():
                    if self._stopping.is_set():
                        return
                    opened.pulse.beat()
                    self._attend(duties, job)
            except (Error, OSError) as problem:
                self._trouble(None, in_words(problem))
            except BaseException as problem:  # noqa: BLE001  (the outermost edge of this thread)
                self.fail(problem)
                return
            finally:
                self._looked.set()
            self._stopping.wait(poll)

    def _attend(self, duties: Duties, job: JobId) -> None:
        if self._aside.get(job, (0.0, 0.0))[0] > self._clock.monotonic():
            return
        if not self._may_block:
            self._attend_now(duties, job)
            return
        for ended in [one for one, thread in self._busy.items() if not thread.is_alive()]:
            del self._busy[ended]
        if job not in self._busy:
            self._busy[job] = threading.Thread(
                target=self._attend_apart, args=(duties, job), name=f"job-{job.hex()[:8]}", daemon=True
            )
            self._busy[job].start()

    def _attend_apart(self, duties: Duties, job: JobId) -> None:
        try:
            self._attend_now(duties, job)
        except BaseException as problem:  # noqa: BLE001  (the outermost edge of this thread)
            self.fail(problem)

    def _attend_now(self, duties: Duties, job: JobId) -> None:
        try:
            duties.attend(job)
        except MemoryError:  # whatever else this process is at suffers too
            raise
        except Exception as problem:  # noqa: BLE001  (the outermost edge of what strangers may ask for)
            told = in_words(problem)
            if isinstance(told, Misuse):
                self._put_aside(job)
            self._trouble(job, told)
        else:
            self._aside.pop(job, None)

    def _put_aside(self, job: JobId) -> None:
        _until, pause = self._aside.get(job, (0.0, _SOON))
        self._aside[job] = (self._clock.monotonic() + pause, min(2 * pause, _LATE))

    def _trouble(self, job: JobId | None, problem: Error) -> None:
        """Say it once, and again after a while if it lasts; it is tried again either way."""
        if not self._stopping.is_set() and self._quiet.may_say((job, str(problem))):
            self._opened.lookout.problem(problem, Detail(job=job, reason=problem))


_SAID = {
    Happened.JOINED: Said.RESUMED,
    Happened.PUBLISHED: Said.RESUMED,
    Happened.ACCEPTED: Said.JOB_TAKEN,
    Happened.ENROLLED: Said.JOB_TAKEN,
    Happened.DECLINED: Said.JOB_DECLINED,
    Happened.ANCHORED: Said.ANCHORED,
    Happened.SETTLED: Said.SETTLED,
    Happened.COLLECTED: Said.PAID,
    Happened.FAULT: Said.ROUND_FAILED,
}
_KEPT = {
    Happened.ENROLLED: Kind.RESERVED,
    Happened.ACCEPTED: Kind.ALLOWED,
    Happened.DECLINED: Kind.REFUSED,
    Happened.COMPLAINED: Kind.SIGNED,
    Happened.COLLECTED: Kind.PAID,
}


_STAGES = {
    Happened.ACCEPTED: Stage.ENROLLING,
    Happened.ENROLLED: Stage.ENROLLING,
    Happened.STARTED: Stage.TRAINING,
    Happened.SERVING: Stage.TRAINING,
    Happened.SETTLED: Stage.SETTLING,
    Happened.COMPLETED: Stage.COMPLETED,
    Happened.EXPIRED: Stage.EXPIRED,
}


def _stage_of(event: Event) -> Stage | None:
    """Where a job stands after something has happened; None if that does not say."""
    if event.what is Happened.COLLECTED:
        return Stage[event.why.upper()] if event.why.upper() in Stage.__members__ else None
    return _STAGES.get(event.what)


_REASONED = frozenset({Happened.DECLINED, Happened.FAULT, Happened.COMPLAINED, Happened.REFUSED, Happened.WAITING})


def teller(opened: Opened) -> Callable[[Event], None]:
    """Tells the lookout what a role does."""
    lookout, clock = opened.lookout, SystemClock()
    rounds: dict[JobId, _Rounds] = {}

    def tell(event: Event) -> None:
        reason = Refused(event.why) if event.what in _REASONED else None
        round_ = event.round if event.round >= 0 else None
        detail = Detail(job=event.job, round=round_, reason=reason, tokens=event.tokens)
        if (kept := _KEPT.get(event.what)) is not None:
            lookout.note(kept, detail)
        if event.job is None or event.what not in (Happened.ROUND, Happened.ANCHORED):
            if event.job is not None and event.what is Happened.COLLECTED:
                rounds.pop(event.job, None)
            said = _SAID.get(event.what, Said.STAGE_REACHED)
            lookout.log.say(said, detail)
            if event.job is not None and (stage := _stage_of(event)) is not None:
                lookout.status.job(event.job, stage, said)
            return
        seen = rounds.setdefault(event.job, _Rounds(clock.monotonic()))
        if event.what is Happened.ANCHORED:
            seen.anchored = event.round
            lookout.log.say(Said.ANCHORED, detail)
        elif event.why:
            lookout.round_failed(event.job, event.round, Refused(event.why))
        else:
            now = clock.monotonic()
            lookout.round_done(event.job, event.round, now - seen.last, unanchored=max(0, event.round - seen.anchored))
            seen.last = now

    return tell


@dataclass(slots=True)
class _Rounds:
    """When the last round of a job ended, in seconds of the clock, and which one is on the chain."""

    last: float
    anchored: int = -1
