"""A party's blobs, of which the public ones that it makes are handed to the hub, where everybody else finds them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest
from caduceus.ports import Store


@final
class HandingStore:
    """A store that hands over what is put in it, at once or, where nobody answers, at the next `flush`.

    hand_over  returns once somebody else keeps the blob; raises Unavailable if nobody answers
    """

    def __init__(self, inner: Store, hand_over: Callable[[bytes], Digest]) -> None:
        self._inner, self._hand_over = inner, hand_over
        self._lock = threading.Lock()
        self._handed: set[Digest] = set()
        self._waiting: dict[Digest, None] = {}

    def put(self, blob: bytes) -> Digest:
        """Keep a blob here, and there as soon as there is a line.

        Raises Refused if it is not taken there: too long, or too much.
        """
        digest = self._inner.put(blob)
        with self._lock:
            if digest in self._handed:
                return digest
            self._waiting[digest] = None
        self._hand(digest)
        return digest

    def flush(self) -> int:
        """Hand over what still waits; returns how many do so afterwards.

        One that is refused does not wait any more: the next `put` of it says why.
        """
        with self._lock:
            waiting = list(self._waiting)
        for digest in waiting:
            try:
                if not self._hand(digest):
                    break
            except Refused:
                continue
        return len(self._waiting)

    def _hand(self, digest: Digest) -> bool:
        """Hand one over; whether somebody answered."""
        try:
            self._hand_over(self._inner.get(digest))
        except Unavailable:
            return False
        except Refused:
            with self._lock:
                self._waiting.pop(digest, None)
            raise
        with self._lock:
            self._handed.add(digest)
            self._waiting.pop(digest, None)
        return True

    def get(self, digest: Digest) -> bytes:
        """As the store within."""
        return self._inner.get(digest)

    def has(self, digest: Digest) -> bool:
        """As the store within."""
        return self._inner.has(digest)
