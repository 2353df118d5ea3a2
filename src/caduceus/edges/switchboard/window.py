"""Which numbers of a sender were seen, so that none counts twice, and whether one is missing."""

from __future__ import annotations

from typing import final


@final
class Window:
    """Numbers of one process, counted from 1; frames may overtake each other by less than `WIDTH`.

    Source: the anti-replay window of RFC 4303, section 3.4.3.
    """

    WIDTH = 1024

    def __init__(self) -> None:
        self.highest = 0
        self._seen = 0
        self._settled = 0

    def take(self, number: int) -> bool:
        """Whether the number is new; it is not any more."""
        if number > self.highest:
            shift = number - self.highest
            self._seen = ((self._seen << shift) if shift < self.WIDTH else 0) | 1
            self._seen &= (1 << self.WIDTH) - 1
            self.highest = number
            return True
        behind = self.highest - number
        if number <= 0 or behind >= self.WIDTH or self._seen >> behind & 1:
            return False
        self._seen |= 1 << behind
        return True

    def misses(self, upto: int) -> bool:
        """Whether a number up to `upto` has not come that was not asked for before; each is told of once."""
        first, self._settled = self._settled, max(self._settled, upto)
        if upto <= first:
            return False
        if upto > self.highest or self.highest - first > self.WIDTH:
            return True
        wanted = ((1 << (upto - first)) - 1) << (self.highest - upto)
        return self._seen & wanted != wanted
