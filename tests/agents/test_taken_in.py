"""Uploads are in the store before anybody is told that they were taken in, and the next process knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caduceus.agents.taken_in import TakenIn
from caduceus.canon import digest_bytes
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.store import FolderStore
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest, JobId

JOB = JobId(b"j" * 32)
SESSION, OTHER = Digest(b"s" * 32), Digest(b"o" * 32)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "blobs")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with SqliteJournal(tmp_path / "journal.sqlite") as opened:
        yield opened


def test_an_upload_that_was_taken_in_is_a_blob_at_once_and_kept_by_its_digest(store, journal):
    taken = TakenIn(store, journal, JOB, SESSION)
    taken[3] = b"three"
    assert taken.digests == {3: digest_bytes(b"three")}
    assert store.get(taken.digests[3]) == taken[3] == b"three"
    assert (list(taken), len(taken), 3 in taken, 1 in taken) == ([3], 1, True, False)


def test_another_process_finds_what_was_taken_in_and_counts_it_only_when_it_takes_it_in_itself(store, journal):
    before = TakenIn(store, journal, JOB, SESSION)
    before[10], before[2] = b"ten", b"two"
    after = TakenIn(store, journal, JOB, SESSION)
    assert list(after.earlier()) == [(2, b"two"), (10, b"ten")]
    assert len(after) == 0
    after[2] = b"two"
    assert after.digests.keys() == {2}


def test_another_session_of_the_same_round_has_uploads_of_its_own(store, journal):
    TakenIn(store, journal, JOB, SESSION)[1] = b"one"
    other = TakenIn(store, journal, JOB, OTHER)
    assert list(other.earlier()) == []
    other[1] = b"another"
    assert list(TakenIn(store, journal, JOB, SESSION).earlier()) == [(1, b"one")]


def test_what_was_taken_in_is_not_exchanged_or_given_up(store, journal):
    taken = TakenIn(store, journal, JOB, SESSION)
    taken[1] = b"one"
    taken[1] = b"one"
    with pytest.raises(Refused, match="decided differently"):
        taken[1] = b"another"
    with pytest.raises(Misuse, match="stays"):
        del taken[1]
    assert taken[1] == b"one"


def test_a_blob_that_was_lost_since_is_missed_by_name(store, journal):
    taken = TakenIn(store, journal, JOB, SESSION)
    taken[1] = b"one"
    (blob,) = [path for path in store.root.rglob("*") if path.is_file()]
    blob.unlink()
    with pytest.raises(Refused, match=f"{blob.name} is missing"):
        list(TakenIn(store, journal, JOB, SESSION).earlier())


def test_what_a_receipt_is_for_is_on_disk_before_the_receipt_leaves(store):
    waited = []

    class Watched:
        """A journal that says what is waited for."""

        def put_once(self, key: str, value: bytes) -> None:
            waited.append((key, value))

        def put_all(self, entries, *, at_once: bool = True) -> None:
            waited.extend(entries.items() if at_once else ())

    TakenIn(store, Watched(), JOB, SESSION)[5] = b"five"
    assert [value for _, value in waited] == [digest_bytes(b"five")]
