"""A store whose blobs are handed to the hub: at once, or once there is a line, or refused with a reason."""

from __future__ import annotations

import pytest
from switchboard_engine import MemoryStore

from caduceus.edges.switchboard.store import HandingStore
from caduceus.errors import Refused, Unavailable


class Clerk:
    """Takes blobs in, or does not."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.problem: Exception | None = None

    def __call__(self, blob: bytes) -> bytes:
        if self.problem is not None:
            raise self.problem
        self.taken.append(blob)
        return b""


def test_a_blob_is_handed_in_once():
    inner, clerk = MemoryStore(), Clerk()
    store = HandingStore(inner, clerk)
    assert store.put(b"one") == store.put(b"one")
    assert clerk.taken == [b"one"]
    assert store.flush() == 0
    assert store.get(store.put(b"one")) == b"one"


def test_a_blob_waits_for_a_line():
    inner, clerk = MemoryStore(), Clerk()
    store, clerk.problem = HandingStore(inner, clerk), Unavailable("no line")
    assert store.has(store.put(b"one"))
    store.put(b"two")
    assert store.flush() == 2
    clerk.problem = None
    assert store.flush() == 0
    assert clerk.taken == [b"one", b"two"]


def test_a_blob_that_is_not_taken_is_told_to_who_puts_it_and_does_not_block_the_others():
    inner, clerk = MemoryStore(), Clerk()
    store, clerk.problem = HandingStore(inner, clerk), Unavailable("no line")
    store.put(b"one")
    clerk.problem = Refused("too much")
    assert store.flush() == 0
    with pytest.raises(Refused, match=r"too much"):
        store.put(b"one")
    clerk.problem = None
    store.put(b"two")
    assert clerk.taken == [b"two"]
