"""Work that waits beside other work: a strand has a thread of its own, and exactly one thread runs at any time.

A strand runs until it waits; then whoever let it run goes on. So nothing is ever truly at the same time, the order is
the schedule's alone, and yet code that waits in the middle of a call needs no change to be interleaved with others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final


class Ended(BaseException):  # not an Error, and no Exception: nothing may survive the end of its world
    """The world in which this strand ran is over."""


@final
class Strand:
    """One thread, which runs only while it is let.

    until  what it waits for
    end    tick at which it goes on in any case
    """

    def __init__(self, do: Callable[[], object]) -> None:
        self.until: Callable[[], bool] = _at_once
        self.end = 0
        self.is_done = False
        self.problem: BaseException | None = None
        self._do = do
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="strand", daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Let it run until it waits or is done; raises what ended it, if something did."""
        self._go.release()
        self._back.acquire()
        if self.is_done:
            self._thread.join()
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem

    def park(self) -> None:
        """From inside: wait until somebody lets it run again.

        Raises Ended if its world is over.
        """
        self._back.release()
        self._go.acquire()
        if self._is_ending:
            raise Ended

    def finish(self) -> None:
        """Unwind it, whatever it waits for."""
        self._is_ending = True
        while not self.is_done:
            self.resume()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._is_ending:
                self._do()
        except Ended:
            pass
        except BaseException as problem:  # noqa: BLE001  (handed to whoever let it run, who raises it)
            self.problem = problem
        self.is_done = True
        self._back.release()


def _at_once() -> bool:
    return True
