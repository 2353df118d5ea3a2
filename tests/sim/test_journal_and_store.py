"""The journal and the store in memory keep what their ports promise, and lose the rest on purpose."""

from __future__ import annotations

import pytest

from caduceus.canon import digest_bytes
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.sim.journal import Disk, MemoryJournal, When
from caduceus.sim.store import MemoryStore


def test_what_is_remembered_is_not_decided_again() -> None:
    journal = MemoryJournal(Disk())
    journal.put_once("a", b"1")
    journal.put_once("a", b"1")
    with pytest.raises(Refused, match=r"a was decided differently before"):
        journal.put_once("a", b"2")
    with pytest.raises(Refused, match=r"a was decided differently before"):
        journal.put_all({"b": b"1", "a": b"2"})
    assert journal.get("b") is None  # several things or none of them
    assert journal.keys("") == ["a"]


def test_keys_are_sorted_and_found_by_prefix() -> None:
    journal = MemoryJournal(Disk())
    journal.put_all({"round/2": b"", "round/10": b"", "other": b""})
    assert journal.keys("round/") == ["round/10", "round/2"]


def test_a_crash_loses_nothing_and_a_power_cut_what_was_not_made_durable() -> None:
    disk = Disk()
    journal = MemoryJournal(disk)
    journal.put_all({"a": b"1"}, at_once=False)
    journal.put_once("b", b"2")
    journal.put_all({"c": b"3", "d": b"4"}, at_once=False)
    assert MemoryJournal(disk).keys("") == ["a", "b", "c", "d"]
    disk.cut_power()
    assert MemoryJournal(disk).keys("") == ["a", "b"]  # a was made durable together with b
    journal.put_once("c", b"another value, for the first was forgotten")


def test_repeating_a_lazy_entry_at_once_makes_it_durable() -> None:
    disk = Disk()
    journal = MemoryJournal(disk)
    journal.put_all({"a": b"1"}, at_once=False)
    journal.put_once("a", b"1")
    disk.cut_power()
    assert journal.get("a") == b"1"


@pytest.mark.parametrize("when", list(When))
def test_who_dies_at_a_write_has_written_everything_or_nothing(when: When) -> None:
    class Dead(BaseException):
        pass

    def die(moment: When, keys: tuple[str, ...]) -> None:
        if moment is when and "b" in keys:
            raise Dead

    disk = Disk()
    journal = MemoryJournal(disk, die)
    journal.put_once("a", b"1")
    with pytest.raises(Dead):
        journal.put_all({"b": b"2", "c": b"3"})
    assert disk.written() == (["a", "b", "c"] if when is When.AFTER else ["a"])


def test_blobs_are_shared_and_named_by_their_bytes() -> None:
    told: list[str] = []
    store = MemoryStore()
    mine = store.seen_from(told.append)
    name = mine.put(b"blob")
    assert name == mine.put(b"blob") == digest_bytes(b"blob")
    assert told == [f"before storing {name.hex()[:8]}", f"after storing {name.hex()[:8]}"]
    assert store.get(name) == b"blob"
    assert list(store.names()) == [name]
    assert not store.has(Digest(bytes(32)))
    with pytest.raises(Refused, match=r"0000 is missing"):
        store.get(Digest(bytes(32)))
