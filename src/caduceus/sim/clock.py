"""Virtual time: it stands still until somebody moves it."""

from __future__ import annotations

from typing import final

from caduceus.errors import Misuse

MICROS = 1_000_000
"""Ticks of the clock in a second: whole numbers, so that sums of times have no rounding."""


def micros(seconds: float) -> int:
    """Seconds as ticks, at the nearest."""
    return round(seconds * MICROS)


@final
class VirtualClock:
    """The `Clock` port, and the wall clock of the simulated world.

    start  Unix seconds at which it begins
    """

    def __init__(self, start: int = 1_800_000_000) -> None:
        self._start = start
        self.ticks = 0
        """Since the beginning, in millionths of a second."""

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self.ticks / MICROS

    def unix(self, ticks: int | None = None) -> int:
        """Whole Unix seconds, now or at another tick."""
        return self._start + (self.ticks if ticks is None else ticks) // MICROS

    def move_to(self, ticks: int) -> None:
        """Let time go by.

        Raises Misuse if that would be backwards.
        """
        if ticks < self.ticks:
            raise Misuse(f"the virtual clock is at {self.ticks} and cannot go back to {ticks}")
        self.ticks = ticks
