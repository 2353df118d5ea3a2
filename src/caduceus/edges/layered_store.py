"""Blobs that are here, and those that somebody else has: fetched once, checked, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from caduceus.canon import digest_bytes
from caduceus.edges.blob import MOST_BYTES
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.ports import Store

Fetch = Callable[[Digest, int], bytes]
"""Asks somebody for a blob of at most so many bytes. Raises Refused if they do not have it, Unavailable if they are
silent."""


@final
class LayeredStore:
    """A store of one's own before somebody else's.

    What is fetched is worth nothing until its digest is right; then it is kept, and never asked for again. What is put
    stays here: handing it over is the business of who serves the others.
    """

    def __init__(self, local: Store, fetch: Fetch, *, who: str, most: int = MOST_BYTES) -> None:
        """fetch  the other store; told how long a blob may be, so that it need not take in more
        who    whose it is, for the fault
        most   bytes of the longest blob that is fetched
        """
        self._local, self._fetch, self._who, self._most = local, fetch, who, most

    def put(self, blob: bytes) -> Digest:
        """Store a blob here."""
        return self._local.put(blob)

    def get(self, digest: Digest) -> bytes:
        """A blob from here, or else from there.

        Raises Refused if the one here was altered, or if neither has it; PeerFault if what came is not the blob that
        was asked for; Unavailable if there is no answer.
        """
        if self._local.has(digest):
            return self._local.get(digest)
        blob = self._fetch(digest, self._most)
        if len(blob) > self._most:
            raise PeerFault(self._who, f"answered {len(blob)} bytes for a blob of which at most {self._most} are taken")
        if digest_bytes(blob) != digest:
            raise PeerFault(self._who, f"answered {len(blob)} bytes that are not blob {digest.hex()}")
        self._local.put(blob)
        return blob

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here; nobody is asked."""
        return self._local.has(digest)


def fetch_from(store: Store) -> Fetch:
    """Fetches from a store that this process reaches itself, such as a bucket that all parties read."""

    def fetch(digest: Digest, most: int) -> bytes:
        blob = store.get(digest)
        if len(blob) > most:
            raise Refused(f"blob {digest.hex()}: {len(blob)} bytes, and at most {most} are taken")
        return blob

    return fetch
