"""The public blobs at the hub: given to every member that asks, taken from members within bounds."""

from __future__ import annotations

import threading
from collections import Counter
from typing import final

from caduceus import canon
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest
from caduceus.ports import Store

GIVEN_MOST = (1 << 27) - (1 << 12)
"""Bytes of a blob that is sent to a member: with its head it fits into what every engine carries."""
QUOTA = 1 << 31
"""Bytes that one member may hand in to one process of the hub."""


@final
class Blobs:
    """A store as members may use it."""

    def __init__(self, store: Store, *, quota: int = QUOTA) -> None:
        self._store, self._quota = store, quota
        self._lock = threading.Lock()
        self._taken: Counter[Address] = Counter()

    def give(self, name: bytes) -> bytes:
        """The blob of this name.

        Raises Refused if there is none, or it is too long to be sent; Unavailable as the store does.
        """
        if len(name) != 32:
            raise Refused(f"a blob is asked for by its digest of 32 bytes, not by {len(name)}")
        try:
            blob = self._store.get(Digest(name))
        except Refused:
            # Why is for the coordinator's own log: it may name folders of its machine.
            raise Refused(f"blob {name.hex()}: the coordinator does not have it") from None
        if len(blob) > GIVEN_MOST:
            raise Refused(f"blob {name.hex()}: {len(blob)} bytes are too many to be sent; at most {GIVEN_MOST} are")
        return blob

    def keep(self, who: Address, blob: bytes) -> Digest:
        """Keep a blob of a member's.

        Raises Refused if the member has handed in too much already; Unavailable as the store does.
        """
        digest = canon.digest_bytes(blob)
        if self._store.has(digest):
            return digest
        with self._lock:
            if self._taken[who] + len(blob) > self._quota:
                raise Refused(f"0x{who.hex()} has handed in {self._taken[who]} bytes; at most {self._quota} are kept")
            self._taken[who] += len(blob)
        return self._store.put(blob)
