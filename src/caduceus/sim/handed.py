"""The store of a party that is not at the hub: its own blobs, and the hub's while there is a line."""

from __future__ import annotations

from typing import final

from caduceus.errors import Unavailable
from caduceus.kinds import Address, Digest
from caduceus.ports import Store
from caduceus.sim.store import MemoryStore
from caduceus.sim.switch import Switch


@final
class HandedStore:
    """See `ports.Store`. What is put in it is handed to the hub, at once or at the next `flush`.

    own     the party's blobs, which outlive its process
    common  the hub's
    """

    def __init__(self, own: MemoryStore, common: Store, switch: Switch, account: Address) -> None:
        self._own, self._common, self._switch, self._account = own, common, switch, account
        self._waiting: dict[Digest, None] = {}

    def put(self, blob: bytes) -> Digest:
        """Keep a blob here, and there as soon as there is a line."""
        digest = self._own.put(blob)
        self._waiting[digest] = None
        self.flush()
        return digest

    def flush(self) -> None:
        """Hand over what still waits."""
        if self._waiting and self._switch.is_open(self._account):
            for digest in self._waiting:
                self._common.put(self._own.get(digest))
            self._waiting.clear()

    def get(self, digest: Digest) -> bytes:
        """A blob from here, or else from there.

        Raises Refused if neither has it, Unavailable if there is no line.
        """
        if not self._own.has(digest):
            if not self._switch.is_open(self._account):
                raise Unavailable("the hub does not answer; ask again later")
            self._own.put(self._common.get(digest))
        return self._own.get(digest)

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here."""
        return self._own.has(digest)
