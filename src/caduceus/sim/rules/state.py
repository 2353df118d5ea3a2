"""State with a way back: every write remembers what it replaced, so a transaction or a block can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar, final

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_ABSENT: Any = object()

Step = tuple[Any, Any, Any]
"""A dictionary, a key and what was there before; a list alone stands for one item that was appended to it."""


@final
class Way:
    """What was replaced since the beginning, newest last."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def note(self, step: Step) -> None:
        """Remember one write."""
        self._steps.append(step)

    def here(self) -> int:
        """A mark to which `back` leads."""
        return len(self._steps)

    def back(self, mark: int) -> None:
        """Undo everything since a mark."""
        _undo(self._steps[mark:])
        del self._steps[mark:]

    def taken(self) -> list[Step]:
        """All that is remembered; it is no longer remembered here, and `undo` takes it back later."""
        steps, self._steps = self._steps, []
        return steps


def undo(steps: Sequence[Step]) -> None:
    """Take back what a `Way` remembered; nothing later may still stand."""
    _undo(steps)


def _undo(steps: Sequence[Step]) -> None:
    for where, key, before in reversed(steps):
        if isinstance(where, list):
            where.pop()
        elif before is _ABSENT:
            del where[key]
        else:
            where[key] = before


@final
class Table(Generic[K, V]):
    """Values by key; values are never changed in place."""

    __slots__ = ("_values", "_way")

    def __init__(self, way: Way) -> None:
        self._values: dict[K, V] = {}
        self._way = way

    def get(self, key: K) -> V | None:
        """The value, or None."""
        return self._values.get(key)

    def get_or(self, key: K, default: D) -> V | D:
        """The value, or a default."""
        return self._values.get(key, default)

    def put(self, key: K, value: V) -> None:
        """Write a value."""
        self._way.note((self._values, key, self._values.get(key, _ABSENT)))
        self._values[key] = value

    def drop(self, key: K) -> None:
        """Delete a value that is there."""
        self._way.note((self._values, key, self._values.pop(key)))

    def items(self) -> Iterable[tuple[K, V]]:
        """Everything, in no promised order."""
        return self._values.items()

    def values(self) -> Iterable[V]:
        """All values, in no promised order."""
        return self._values.values()


@final
class Rows(Generic[K, V]):
    """Lists by key that only grow: what happened, in order."""

    __slots__ = ("_lists", "_way")

    def __init__(self, way: Way) -> None:
        self._lists: dict[K, list[V]] = {}
        self._way = way

    def add(self, key: K, row: V) -> None:
        """Append a row."""
        rows = self._lists.setdefault(key, [])
        rows.append(row)
        self._way.note((rows, None, None))

    def of(self, key: K) -> Sequence[V]:
        """A copy of the rows."""
        return list(self._lists.get(key, ()))
