"""Filters that a client installs and polls: what is new since it last asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count

from caduceus.edges.evm_embedded.history import LogQuery
from caduceus.edges.rpc import REJECTED, RpcError

_MOST = 4096
"""Filters kept; the oldest is forgotten beyond that, as nodes forget those that nobody polls."""


class Kind(Enum):
    """What a filter gives."""

    LOGS = auto()
    BLOCKS = auto()
    TRANSACTIONS = auto()


@dataclass(slots=True)
class Filter:
    """An installed filter; `seen` is the newest block that it has told of."""

    kind: Kind
    seen: int
    query: LogQuery | None = None


@dataclass(slots=True)
class Filters:
    """The installed filters by number. Kept in memory only."""

    _filters: dict[int, Filter] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def install(self, new: Filter) -> int:
        """Keep a filter; returns its number."""
        number = next(self._numbers)
        self._filters[number] = new
        if len(self._filters) > _MOST:
            del self._filters[min(self._filters)]
        return number

    def get(self, number: int) -> Filter:
        """A filter by its number.

        Raises RpcError if there is none.
        """
        found = self._filters.get(number)
        if found is None:
            raise RpcError(REJECTED, "filter not found")
        return found

    def remove(self, number: int) -> bool:
        """Forget a filter; returns whether there was one."""
        return self._filters.pop(number, None) is not None
