"""The `Journal` port in memory, on a disk that keeps its promises and no more than those."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import final

from caduceus.errors import Refused


class When(StrEnum):
    """On which side of a write something happens."""

    BEFORE = "before writing"
    AFTER = "after writing"


OnWrite = Callable[[When, tuple[str, ...]], None]
"""Told of each write, with its keys in the order given; may raise, and then the writer is gone."""


@final
class Disk:
    """What a machine remembers: it outlives every process, and a power cut in part."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._unsafe: list[str] = []
        """The keys that a power cut would lose, oldest first."""

    def get(self, key: str) -> bytes | None:
        """What is written under a key."""
        return self._kept.get(key)

    def write(self, entries: Mapping[str, bytes], *, at_once: bool) -> None:
        """Write all entries; a write at once makes everything durable that was written before it."""
        for key, value in entries.items():
            if key not in self._kept:
                self._kept[key] = value
                self._unsafe.append(key)
        if at_once:
            self._unsafe.clear()

    def cut_power(self) -> None:
        """Lose what was not made durable."""
        for key in self._unsafe:
            del self._kept[key]
        self._unsafe.clear()

    def forget(self, key: str) -> None:
        """Lose one entry, by somebody's hand."""
        self._kept.pop(key, None)
        if key in self._unsafe:
            self._unsafe.remove(key)

    def written(self) -> Sequence[str]:
        """The keys of everything that is written, sorted."""
        return sorted(self._kept)


def _unwatched(_when: When, _keys: tuple[str, ...]) -> None:
    return


@final
class MemoryJournal:
    """Keys that are written once, on a disk.

    on_write  called before and after each write; what it raises before leaves nothing written, and what it raises
              after leaves everything written
    """

    def __init__(self, disk: Disk, on_write: OnWrite = _unwatched) -> None:
        self._disk = disk
        self._on_write = on_write

    def get(self, key: str) -> bytes | None:
        """What is remembered under a key."""
        return self._disk.get(key)

    def put_once(self, key: str, value: bytes) -> None:
        """Remember, durably; remembering the same again changes nothing.

        Raises Refused if another value is already remembered under `key`.
        """
        self.put_all({key: value})

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        """Remember several things or none of them; see `ports.Journal`.

        Raises Refused if another value is already remembered under one of the keys.
        """
        keys = tuple(entries)
        self._on_write(When.BEFORE, keys)
        for key, value in entries.items():
            if self._disk.get(key) not in (None, value):
                raise Refused(f"journal: {key} was decided differently before; it is not decided again")
        self._disk.write({key: bytes(value) for key, value in entries.items()}, at_once=at_once)
        self._on_write(When.AFTER, keys)

    def keys(self, prefix: str) -> Sequence[str]:
        """The remembered keys that start with `prefix`, sorted."""
        return [key for key in self._disk.written() if key.startswith(prefix)]
