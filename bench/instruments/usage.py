"""What a command costs as a whole: every process that it starts, from its first instruction to its last.

Linux only. Processes that outlive their parent (Ray's do) are found too: this process adopts them, waits for them,
and adds what the kernel says that they used.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK = 0.05  # seconds between two looks at the process table
_LINGER = 20.0  # seconds that orphans get to end


@dataclass(frozen=True, slots=True)
class Usage:
    """A command, measured from outside.

    wall       seconds from its start to the end of the last of its processes
    processor  seconds of all its processes, user and system: the larger of what the kernel's accounting of ended
               children says and what was seen in the process table, as either can miss a child
    peak       largest sum of resident memory over its processes, in bytes; shared pages count in each
    processes  how many were seen
    """

    wall: float
    processor: float
    peak: int
    processes: int


def run(command: Sequence[str], *, environment: Mapping[str, str], log: Path, timeout: float) -> Usage:
    """Run a command to its end and say what it cost.

    log  file that gets its output

    Raises RuntimeError, with the end of the log, if it fails; subprocess.TimeoutExpired if it takes too long.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    with log.open("wb") as out:
        began = time.monotonic()
        process = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT)
        look = _Look(process.pid)
        look.start()
        try:
            code, waited = _wait(process, began + timeout)
        finally:
            look.stop()
        ended = time.monotonic()
    if code:
        raise RuntimeError(f"{' '.join(command)}: exit code {code}\n{log.read_text(errors='replace')[-3000:]}")
    return Usage(ended - began, max(waited, look.processor), look.peak, look.processes)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, float]:
    """Reap the command and whatever it left behind; its exit code and the processor seconds of all of them."""
    code, processor = None, 0.0
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            if time.monotonic() > deadline:
                for child in _children():
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
            continue
        processor += used.ru_utime + used.ru_stime
        if pid == process.pid:
            code = process.returncode = os.waitstatus_to_exitcode(status)
            deadline = min(deadline, time.monotonic() + _LINGER)
    assert code is not None
    return code, processor


def _children() -> list[int]:
    """Direct children of this process, adopted ones included."""
    return [pid for pid, row in _table().items() if row.parent == os.getpid()]


@dataclass(frozen=True, slots=True)
class _Row:
    parent: int
    began: int
    processor: float
    resident: int


def _table() -> dict[int, _Row]:
    """The process table."""
    rows = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue  # it ended meanwhile
            fields = text.rpartition(")")[2].split()
            used = (int(fields[11]) + int(fields[12])) / _TICK
            rows[int(folder.name)] = _Row(int(fields[1]), int(fields[19]), used, int(fields[21]) * _PAGE)
    return rows


class _Look(threading.Thread):
    """Looks at the process table every so often; a process stays known once it was seen under the command."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._used: dict[tuple[int, int], float] = {}
        self._known = {root}
        self._done = threading.Event()

    @property
    def processor(self) -> float:
        """Seconds seen so far."""
        return sum(self._used.values())

    @property
    def processes(self) -> int:
        """Processes seen so far."""
        return len(self._used)

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self.join()

    def run(self) -> None:
        while not self._done.wait(_LOOK):
            table = _table()
            while fresh := {pid for pid, row in table.items() if row.parent in self._known} - self._known:
                self._known |= fresh
            ours = [(pid, table[pid]) for pid in self._known if pid in table]
            self._used |= {(pid, row.began): row.processor for pid, row in ours}
            self.peak = max(self.peak, sum(row.resident for _, row in ours))
