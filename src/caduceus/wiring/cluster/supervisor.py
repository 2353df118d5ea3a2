"""Keeps processes alive: starts them, starts them again when they end, and ends them all at the last."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, final

from caduceus.errors import Misuse, Refused

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a process is started again; the next one where it ended within a minute, the last one repeats."""

_LONG = 60.0
_ENOUGH = 10.0
"""Seconds that a process may take to end when it is asked to."""

_LOOK = 0.05
_NEVER_STARTED = 127
_LAUNCH = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True, slots=True)
class Job:
    """A process to keep alive.

    command    asked before every start: arguments, environment, folder
    output     file that gets what it says
    ends_last  others need it: it is ended after them
    """

    name: str
    command: Callable[[], tuple[Sequence[str], Mapping[str, str], Path]]
    output: Path
    ends_last: bool = False


@dataclass(slots=True)
class _Kept:
    job: Job
    process: subprocess.Popen[bytes] | None = None
    tried: threading.Event = field(default_factory=threading.Event)
    began: float = 0.0
    again_at: float = 0.0
    quick: int = 0
    starts: int = 0
    held: bool = False
    endings: list[int] = field(default_factory=list)
    trouble: str = ""


@final
class Supervisor:
    """Processes by name. They end with this object; on Linux also when this process is killed.

    on_change  told from another thread what happens to whom
    """

    def __init__(self, on_change: Callable[[str, str], None] = lambda _name, _what: None) -> None:
        self._on_change = on_change
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._closing = False
        self._stopped = threading.Event()
        # One thread starts them all: the kernel ends a process when the thread that started it does.
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def keep(self, job: Job) -> None:
        """Start a process, and keep it alive.

        Raises Refused if it cannot be started at all, because its command is refused or its program is not there.
        """
        kept = _Kept(job)
        with self._lock:
            if self._closing or job.name in self._kept:
                raise Misuse(f"supervisor: '{job.name}' is kept already, or everybody was ended")
            self._kept[job.name] = kept
        kept.tried.wait()
        if kept.process is None and kept.endings == [_NEVER_STARTED]:
            with self._lock:
                del self._kept[job.name]
            raise Refused(f"{job.name}: {kept.trouble}")

    def pid(self, name: str) -> int | None:
        """The process that runs under a name now."""
        with self._lock:
            process = self._kept[name].process
            return None if process is None or process.poll() is not None else process.pid

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who is kept."""
        return tuple(self._kept)

    def starts(self, name: str) -> int:
        """How often a process was started."""
        return self._kept[name].starts

    def endings(self, name: str) -> list[int]:
        """How its processes ended, oldest first: exit codes, negative for signals."""
        return list(self._kept[name].endings)

    def kill(self, name: str) -> None:
        """End a process without a word; it is started again after a while."""
        with self._lock:
            process = self._kept[name].process
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def hold(self, name: str) -> None:
        """End a process, and leave it ended until `release`."""
        with self._lock:
            kept = self._kept[name]
            kept.held = True
            process = kept.process
        if process is not None:
            _end([process])

    def release(self, name: str) -> None:
        """Start a process that was held."""
        with self._lock:
            kept = self._kept[name]
            kept.held, kept.again_at, kept.quick = False, 0.0, 0

    def close(self) -> None:
        """End everybody, those that others need at last."""
        with self._lock:
            self._closing = True
            everybody = list(self._kept.values())
        for last in (False, True):
            _end([one.process for one in everybody if one.process is not None and one.job.ends_last is last])
        for one in everybody:
            one.tried.set()
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK):
            with self._lock:
                for kept in [] if self._closing else list(self._kept.values()):
                    self._look_at(kept)

    def _look_at(self, kept: _Kept) -> None:
        now = time.monotonic()
        if kept.process is not None and (code := kept.process.poll()) is not None:
            kept.process = None
            self._ended(kept, code, f"ended by signal {-code}" if code < 0 else f"ended with {code}")
        if kept.process is None and not kept.held and now >= kept.again_at:
            self._start(kept)

    def _ended(self, kept: _Kept, code: int, what: str) -> None:
        now = time.monotonic()
        kept.endings.append(code)
        kept.quick = 0 if now - kept.began > _LONG else min(kept.quick + 1, len(_PAUSES))
        kept.again_at = now + _PAUSES[max(kept.quick - 1, 0)]
        self._on_change(kept.job.name, what)

    def _start(self, kept: _Kept) -> None:
        kept.began, kept.starts = time.monotonic(), kept.starts + 1
        try:
            kept.process = _launch(kept.job)
        except (Refused, OSError) as problem:
            kept.trouble = f"cannot be started: {problem}"
            self._ended(kept, _NEVER_STARTED, kept.trouble)
        else:
            self._on_change(kept.job.name, "started" if kept.starts == 1 else f"started again ({kept.starts})")
        finally:
            kept.tried.set()


def _launch(job: Job) -> subprocess.Popen[bytes]:
    argv, env, cwd = job.command()
    if shutil.which(argv[0]) is None:
        raise Refused(f"{argv[0]}: no such program")
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with job.output.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  (our own commands)
            (sys.executable, "-I", "-S", _LAUNCH, str(os.getpid()), *argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask them all to end, and wait; whoever takes too long is killed, with all that it has started."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + _ENOUGH
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
