"""State nodes and contract code by the keccak of their bytes: reads go through, writes wait for their block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from eth_hash.auto import keccak

from caduceus.edges.evm_embedded import wire
from caduceus.edges.evm_embedded.store import Store

_CACHED = 50_000
_T = TypeVar("_T")


class Nodes:
    """A store's nodes. New ones are pending until the block's transaction has made them durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[bytes, bytes] = {}
        self._decoded: dict[bytes, Sequence[wire.Item]] = {}
        self.pending: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        node = self.pending.get(key) or self._cache.get(key)
        if node is None:
            row = self._store.read_one("SELECT node FROM nodes WHERE hash = ?", (key,))
            if row is None:
                raise KeyError(key)
            node = row[0]
            _room(self._cache)[key] = node
        return node

    def node(self, key: bytes) -> Sequence[wire.Item]:
        """A trie node, read; not to be changed.

        Raises KeyError if it is not there.
        """
        decoded = self._decoded.get(key)
        if decoded is None:
            decoded = wire.as_list(wire.decode(self[key]), "state node")
            _room(self._decoded)[key] = decoded
        return decoded

    def add(self, data: bytes, decoded: Sequence[wire.Item] | None = None) -> bytes:
        """Make bytes pending; returns their hash.

        decoded  what they decode to, if they are a trie node
        """
        key = keccak(data)
        self.pending[key] = data
        if decoded is not None:
            _room(self._decoded)[key] = decoded
        return key

    def settle(self) -> None:
        """What was pending is durable now."""
        _room(self._cache).update(self.pending)
        self.pending = {}

    def drop(self) -> None:
        """Forget what waits to be written."""
        if self.pending:
            self.pending = {}
            self._decoded.clear()


def _room(cache: dict[bytes, _T]) -> dict[bytes, _T]:
    if len(cache) >= _CACHED:
        cache.clear()
    return cache
