"""Bugs that are planted, to see that the laws find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from caduceus.ports import Journal
from caduceus.sim.host import Host


class Hasty:
    """Implements `ports.Journal` with a bug: it says that something is durable before it is."""

    def __init__(self, inner: Journal) -> None:
        self.inner = inner

    def get(self, key: str) -> bytes | None:
        return self.inner.get(key)

    def put_once(self, key: str, value: bytes) -> None:
        self.put_all({key: value})

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        del at_once
        self.inner.put_all(entries, at_once=False)

    def keys(self, prefix: str) -> Sequence[str]:
        return self.inner.keys(prefix)


class Forgetful:
    """Implements `ports.Journal` with a bug: what a site opens for, it answers without writing it down."""

    def __init__(self, inner: Journal) -> None:
        self.inner = inner

    def get(self, key: str) -> bytes | None:
        return self.inner.get(key)

    def put_once(self, key: str, value: bytes) -> None:
        self.put_all({key: value})

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        if not any(key.endswith("/survivors") for key in entries):
            self.inner.put_all(entries, at_once=at_once)

    def keys(self, prefix: str) -> Sequence[str]:
        return self.inner.keys(prefix)


def only(name: str, planted: Callable[[Journal], Journal]) -> Callable[[Host], Journal]:
    """Plant it at the parties whose names begin so."""
    return lambda host: planted(host.journal()) if host.name.startswith(name) else host.journal()
