"""A party's machine: its disk stays, what runs on it may die at any moment and be started again."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TypeVar, final

from caduceus.errors import Misuse
from caduceus.sim.journal import Disk, MemoryJournal
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace

T = TypeVar("T")

_DIGITS = re.compile(r"[0-9a-f]{8,}")
"""Digests in the name of a crash point. Some are of signatures and ciphertexts, which have fresh randomness of the
operating system in them: they are left out of the trace, which is the seed's alone."""


class Crash(BaseException):  # not an Error, and no Exception: nothing that runs on the machine may survive it
    """What ran on a machine is gone.

    who    the machine's name
    where  the point at which it died
    """

    def __init__(self, who: str, where: str) -> None:
        super().__init__(f"{who} crashed {where}")
        self.who = who
        self.where = where


@final
class Host:
    """One machine, on which one thing is done at a time, or several that wait beside each other (`beside`).

    plan      asked at each crash point, by its name; True kills the machine there
    on_crash  told once what ran on the machine has unwound, so that somebody can cut the power of its disk too, and
              start it again later
    """

    def __init__(self, name: str, schedule: Schedule, trace: Trace) -> None:
        self.name = name
        self.disk = Disk()
        self.up = True
        self.plan: Callable[[str], bool] = _never
        self.on_crash: Callable[[Host, Crash], None] = _nothing
        self._schedule = schedule
        self._trace = trace
        self._life = 0
        self._at_work = 0
        self._waiting: deque[Callable[[], object]] = deque()

    def journal(self) -> MemoryJournal:
        """A journal on this machine's disk, with a crash point before and after each entry."""
        return MemoryJournal(self.disk, lambda when, keys: self.point(f"{when} {' '.join(keys)}"))

    def point(self, where: str) -> None:
        """A moment at which the machine may die.

        Raises Crash if the plan says so, or if the machine is dead already and this is what runs on the way out.
        """
        if not self.up:
            raise Crash(self.name, where)
        if self.plan(where):
            self._trace.note(f"{self.name} dies {_DIGITS.sub('…', where)}")
            self._fall()
            raise Crash(self.name, where)

    def run(self, do: Callable[[], T]) -> T | None:
        """Do something on this machine; None if it died over it.

        Raises Misuse if the machine is down, or busy: what can wait is for `when_free`.
        """
        if not self.up or self._busy:
            raise Misuse(f"{self.name} is {'busy' if self.up else 'down'}")
        result = self._once(do)
        while self.up and self._waiting:
            self._once(self._waiting.popleft())
        return result

    def when_free(self, do: Callable[[], object]) -> None:
        """Do something now, or once the machine has done what it is at; never if it is down or dies before."""
        if not self.up:
            return
        if self._busy:
            self._waiting.append(do)
        else:
            self.run(do)

    @property
    def _busy(self) -> bool:
        return self._at_work > 0

    def beside(self, do: Callable[[], T]) -> T | None:
        """Do something beside whatever waits on this machine; None if it died over it.

        Raises Misuse if the machine is down.
        """
        if not self.up:
            raise Misuse(f"{self.name} is down")
        return self._once(do)

    def _once(self, do: Callable[[], T]) -> T | None:
        self._at_work += 1
        try:
            result = do()
            self.check()
        except Crash as crash:
            if crash.who != self.name:
                raise
            died = crash
        else:
            return result
        finally:
            self._at_work -= 1
        if not self._busy:
            self.on_crash(self, died)
        return None

    def check(self) -> None:
        """Raises Crash if the machine is dead."""
        if not self.up:
            raise Crash(self.name, "while it was at work")

    def pause(self, seconds: float) -> None:
        """Wait, as something that runs on this machine.

        Raises Crash if the machine was killed meanwhile.
        """
        self.wait(seconds, lambda: False)

    def wait(self, seconds: float, until: Callable[[], bool]) -> bool:
        """The same, until something is true; whether it is."""
        self.check()
        life = self._life
        met = self._schedule.wait(seconds, lambda: self._life != life or until())
        if self._life != life:
            raise Crash(self.name, "in its sleep")
        return met

    def kill(self, *, power: bool = False) -> None:
        """Let the machine die now, whatever it is at.

        power  what the disk had not been told to keep at once is lost too
        """
        if not self.up:
            return
        self._trace.note(f"{self.name} is killed{' by a power cut' if power else ''}")
        if power:
            self.disk.cut_power()
        self._fall()
        if not self._busy:  # otherwise what runs learns of it when it wakes, and unwinds first
            self.on_crash(self, Crash(self.name, "at rest"))

    @property
    def life(self) -> int:
        """How often the machine has died."""
        return self._life

    def _fall(self) -> None:
        self.up = False
        self._life += 1
        self._waiting.clear()

    def restart(self) -> None:
        """Switch the machine on again; what runs on it is for the caller to build, from its journal.

        Raises Misuse if it is up, or if what ran on it has not unwound yet.
        """
        if self.up or self._busy:
            raise Misuse(f"{self.name} is {'up' if self.up else 'still dying'}: it is not started twice")
        self._trace.note(f"{self.name} starts again")
        self.up = True


def _never(_where: str) -> bool:
    return False


def _nothing(_host: Host, _crash: Crash) -> None:
    return
