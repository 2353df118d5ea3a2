"""What happens when, in virtual time: one queue of events, run in one thread.

Code that waits runs what happens meanwhile, so waits nest: something that waits inside an event is run to its end
before the wait around it goes on, however long that takes. A party that waits outside then just looks slow. What is
to wait beside other things, and not around them, runs as a strand (`spawn`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import final

from caduceus.errors import Misuse
from caduceus.sim.clock import VirtualClock, micros
from caduceus.sim.strand import Strand
from caduceus.sim.trace import Trace


@dataclass(slots=True)
class Event:
    """Something that is to happen; `cancelled` keeps it from happening."""

    what: str
    do: Callable[[], None]
    cancelled: bool = False


@final
class Schedule:
    """The events to come.

    chance  decides which of several events of one moment is first
    """

    def __init__(self, clock: VirtualClock, trace: Trace, chance: Random) -> None:
        self.clock = clock
        self._trace = trace
        self._chance = chance
        self._queue: list[tuple[int, float, int, Event]] = []
        self._serial = 0
        self._parked: list[Strand] = []
        self._running: Strand | None = None

    def spawn(self, do: Callable[[], object]) -> None:
        """Do something as a strand of its own, which begins with the next event."""
        self._parked.append(Strand(do))

    def close(self) -> None:
        """End every strand, as the world ends."""
        while self._parked:
            self._running = self._parked.pop()
            self._running.finish()
        self._running = None

    def after(self, seconds: float, what: str, do: Callable[[], None]) -> Event:
        """Let something happen later.

        seconds  from now, at least 0
        what     goes into the trace when it happens; nothing does if it is empty

        Raises Misuse if it should have happened in the past.
        """
        if seconds < 0:
            raise Misuse(f"{what}: {seconds} s from now is in the past")
        event = Event(what, do)
        self._serial += 1
        due = self.clock.ticks + micros(seconds)
        heapq.heappush(self._queue, (due, self._chance.random(), self._serial, event))
        return event

    def every(self, seconds: float, what: str, do: Callable[[], None]) -> None:
        """Let something happen again and again, first after one period."""

        def again() -> None:
            self.every(seconds, what, do)
            do()

        self.after(seconds, what, again)

    def advance(self, seconds: float) -> None:
        """Let time go by, and everything happen that is due in it."""
        self.wait(seconds, lambda: False)

    def wait(self, seconds: float, until: Callable[[], bool]) -> bool:
        """Let time go by until something is true, but no longer than `seconds`; whether it is true at the end.

        What is due at the very end still happens.
        """
        end = self.clock.ticks + micros(seconds)
        if self._running is not None:
            return self._park(self._running, end, until)
        while not until():
            if not self._run_next(end):
                self.clock.move_to(max(end, self.clock.ticks))
                return until()
        return True

    def _park(self, strand: Strand, end: int, until: Callable[[], bool]) -> bool:
        """The same for what runs as a strand: everything else goes on until it is its turn."""
        if until():
            return True
        strand.until, strand.end = until, end
        self._serial += 1
        heapq.heappush(self._queue, (end, self._chance.random(), self._serial, Event("", _nothing)))
        self._parked.append(strand)
        strand.park()
        return until()

    def _let_run(self) -> None:
        """Let every strand go on that waits for nothing any more, in the order in which they began to wait."""
        found = True
        while found:
            found = False
            for strand in tuple(self._parked):
                if self.clock.ticks >= strand.end or strand.until():
                    found = True
                    self._parked.remove(strand)
                    self._running = strand
                    try:
                        strand.resume()
                    finally:
                        self._running = None

    def settle(self, most: int = 1_000_000) -> None:
        """Run until nothing is left to happen.

        Raises Misuse after `most` events: something repeats for ever.
        """
        for _ in range(most):
            if not self._queue or not self._run_next(self._queue[0][0]):
                return
        raise Misuse(f"the schedule has run {most} events and is not done")

    def _run_next(self, end: int) -> bool:
        """Run the next event if it is due by `end`; whether there was one."""
        if self._running is None and self._parked:
            self._let_run()
        if not self._queue or self._queue[0][0] > end:
            return False
        due, _, _, event = heapq.heappop(self._queue)
        if event.cancelled:
            return True
        self.clock.move_to(max(due, self.clock.ticks))
        if event.what:
            self._trace.note(event.what)
        event.do()
        return True


def _nothing() -> None:
    return
