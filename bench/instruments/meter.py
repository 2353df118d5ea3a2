"""What a command's processes use while it runs, so that a part of its time can be looked at; and their certain end.

Linux only. The command itself is not counted: it is the script that starts and watches what is measured.
"""

from __future__ import annotations

import bisect
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, final

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
_TICK = os.sysconf("SC_CLK_TCK")
_LOOK = 0.1
"""Seconds between two looks at the process table: so much of a process's last time may be missed."""

_PATIENCE = 10.0


@final
class Meter:
    """Runs one command, and adds up the processor time of everything that it starts, directly or not.

    Orphans come to this process (it becomes a subreaper), and all that is left is killed when the meter is left. So
    meanwhile this process must start nothing else.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
        self._samples: list[tuple[float, float]] = []
        self._used: dict[tuple[int, str], float] = {}
        self._done = threading.Event()
        with log.open("wb") as out:
            self._process = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT)
        self._known = {self._process.pid, os.getpid()}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def processes(self) -> int:
        """How many were seen."""
        return len(self._used)

    def wait(self, timeout: float) -> int:
        """The command's exit code. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def between(self, begin: float, end: float) -> float:
        """Processor seconds, user and system, used between two times (seconds since 1970), by straight lines."""
        return self._at(end) - self._at(begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        end = time.monotonic() + _PATIENCE
        while left := self._left():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._reap(left)
            if time.monotonic() > end:
                raise RuntimeError(f"processes do not end: {left}")
            time.sleep(0.05)

    def _watch(self) -> None:
        while not self._done.is_set():
            self._look()
            self._done.wait(_LOOK)
        self._look()

    def _look(self) -> None:
        table = _table()
        while fresh := {pid for pid, (parent, *_) in table.items() if parent in self._known} - self._known:
            self._known |= fresh
        now = time.time()
        for pid in self._known & table.keys() - {self._process.pid, os.getpid()}:
            _, began, used = table[pid]
            self._used[pid, began] = used
        self._samples.append((now, sum(self._used.values())))

    def _left(self) -> list[int]:
        """Processes of the command that still run or were not reaped, those that it started before it ended too."""
        self._look()
        table = _table()
        seen = {pid for pid, began in self._used if pid in table and table[pid][1] == began}
        if self._process.poll() is None:
            seen.add(self._process.pid)
        return sorted(seen)

    def _reap(self, pids: Sequence[int]) -> None:
        """Take the exit codes of orphans that came to this process."""
        for pid in pids:
            if pid != self._process.pid:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue

    def _at(self, when: float) -> float:
        index = bisect.bisect(self._samples, (when, float("inf")))
        if index in (0, len(self._samples)):
            return self._samples[min(index, len(self._samples) - 1)][1]
        (before, low), (after, high) = self._samples[index - 1], self._samples[index]
        return low + (high - low) * (when - before) / (after - before)


def _table() -> dict[int, tuple[int, str, float]]:
    """By process: parent, start, processor seconds."""
    rows = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            rows[int(folder.name)] = (int(fields[1]), fields[19], (int(fields[11]) + int(fields[12])) / _TICK)
    return rows
