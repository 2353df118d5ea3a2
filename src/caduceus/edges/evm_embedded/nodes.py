"""State nodes and contract code by the keccak of their bytes: the database that py-evm reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eth.db.backends.base import BaseAtomicDB

from caduceus.edges.evm_embedded.store import Store
from caduceus.errors import Misuse

_CACHED = 100_000


class Nodes(BaseAtomicDB):
    """py-evm's view of a store: reads go through, writes wait in `pending` for the block's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[bytes, bytes] = {}
        self.pending: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        node = self.pending.get(key) or self._cache.get(key)
        if node is None:
            row = self._store.read_one("SELECT node FROM nodes WHERE hash = ?", (key,))
            if row is None:
                raise KeyError(key)
            node = self._keep(key, row[0])
        return node

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise Misuse("chain: state nodes are never deleted, history keeps them all")

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    @contextmanager
    def atomic_batch(self) -> Iterator[Nodes]:  # type: ignore[override]
        """All writes are one batch: they become durable with the block, or are dropped with it."""
        yield self

    def settle(self) -> None:
        """What was pending is durable now."""
        for key, node in self.pending.items():
            self._keep(key, node)
        self.pending = {}

    def drop(self) -> None:
        """Forget what waits to be written."""
        self.pending = {}

    def _keep(self, key: bytes, node: bytes) -> bytes:
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[key] = node
        return node
