"""Disk and process edges: blobs, journals, keys, the loopback channel."""

import stat
import subprocess
import sys

import pytest

from caduceus.canon import digest_bytes
from caduceus.edges import keyring
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.loopback import Loopback
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import write_whole
from caduceus.errors import Error, Refused, Unavailable
from caduceus.kinds import Address, Digest

A, B = Address(b"a" * 20), Address(b"b" * 20)


def test_a_blob_comes_back_under_the_digest_of_its_bytes(tmp_path):
    store = FolderStore(tmp_path)
    name = store.put(b"sum")
    assert name == store.put(b"sum") == digest_bytes(b"sum")
    assert store.get(name) == b"sum"
    assert list(store.names()) == [name]


def test_a_missing_blob_and_an_altered_one_are_named(tmp_path):
    store = FolderStore(tmp_path)
    with pytest.raises(Refused, match="missing"):
        store.get(Digest(b"\0" * 32))
    name = store.put(b"sum")
    next(tmp_path.glob("*/*")).write_bytes(b"sun")
    with pytest.raises(Refused, match=name.hex()):
        store.get(name)


def test_a_file_that_is_no_blob_is_refused_and_a_leftover_of_a_crash_is_not(tmp_path):
    store = FolderStore(tmp_path)
    store.put(b"sum")
    (tmp_path / "ab").mkdir(exist_ok=True)
    (tmp_path / "ab" / "abc.123.part").write_bytes(b"half")
    assert len(list(store.names())) == 1
    (tmp_path / "note.txt").write_bytes(b"hello")
    with pytest.raises(Refused, match=r"note\.txt"):
        list(store.names())


def test_a_journal_remembers_across_a_restart_and_never_changes_its_mind(tmp_path):
    path = tmp_path / "journal.sqlite"
    with SqliteJournal(path) as journal:
        journal.put_once("round/1", b"first")
        journal.put_once("round/1", b"first")
        with pytest.raises(Refused, match="round/1"):
            journal.put_once("round/1", b"second")
    with SqliteJournal(path) as journal:
        assert journal.get("round/1") == b"first"
        assert journal.get("round/2") is None
        journal.put_once("round/10", b"x")
        assert journal.keys("round/") == ["round/1", "round/10"]


def test_several_entries_are_remembered_together_or_not_at_all(tmp_path):
    path = tmp_path / "journal.sqlite"
    with SqliteJournal(path) as journal:
        journal.put_all({"a": b"1", "b": b"2"}, at_once=False)
        with pytest.raises(Refused, match="b was decided differently"):
            journal.put_all({"c": b"3", "b": b"other"})
        assert journal.get("c") is None
        journal.put_once("d", b"4")
    with SqliteJournal(path) as journal:
        assert journal.keys("") == ["a", "b", "d"]


def test_a_second_process_cannot_open_a_journal(tmp_path):
    path = tmp_path / "journal.sqlite"
    lines = (
        "from pathlib import Path",
        "from caduceus.edges.journal import SqliteJournal",
        f"SqliteJournal(Path({str(path)!r}))",
    )
    script = "\n".join(lines)
    with SqliteJournal(path):
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "in use by another process" in other.stderr


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database at all, but long enough to look" * 100)
    with pytest.raises(Refused, match="not a journal"):
        SqliteJournal(path)


def test_keys_are_made_once_for_their_owner_alone_and_never_printed(tmp_path):
    path = tmp_path / "site" / "keys"
    ring = keyring.load_or_make(path)
    assert keyring.load_or_make(path) == ring
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len({ring.account, ring.signer, ring.identity, ring.entropy}) == 4
    assert ring.account.hex() not in repr(ring)
    assert repr(ring.account)[2:10] not in repr(ring)


def test_a_readable_or_damaged_key_file_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "keys"
    keyring.load_or_make(path)
    path.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        keyring.load(path)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Refused, match="not a key file"):
        keyring.load(path)


class Echo:
    def react(self, body: bytes) -> list[bytes]:
        if body == b"refuse":
            raise Refused("no")
        if body == b"bug":
            raise ZeroDivisionError
        return [body, body.upper()]


@pytest.fixture(params=[0, 2], ids=["served while listening", "served by threads"])
def workers(request):
    return request.param


def test_the_loopback_carries_messages_in_order_to_each_site(workers):
    with Loopback({A: Echo(), B: Echo()}, workers=workers) as channel:
        channel.send(A, b"one")
        channel.send(A, b"two")
        channel.send(B, b"three")
        seen = [channel.receive(timeout=5) for _ in range(6)]
    from_a = [envelope.body for envelope in seen if envelope.sender == A]
    assert from_a == [b"one", b"ONE", b"two", b"TWO"]


def test_an_unknown_site_is_unavailable_and_silence_is_none(workers):
    with Loopback({A: Echo()}, workers=workers) as channel:
        with pytest.raises(Unavailable):
            channel.send(B, b"x")
        assert channel.receive(timeout=0) is None


def test_nobody_is_waited_for_once_every_site_is_at_rest(workers):
    with Loopback({A: Echo(), B: Echo()}, workers=workers) as channel:
        for site in (A, B):
            channel.send(site, b"refuse")
        assert channel.receive(timeout=1e6) is None


def test_a_refusal_silences_the_site_and_a_bug_surfaces(workers):
    told: list[Error] = []
    with Loopback({A: Echo()}, workers=workers, on_fault=lambda _site, problem: told.append(problem)) as channel:
        channel.send(A, b"refuse")
        channel.send(A, b"after")
        assert channel.receive(timeout=5).body == b"after"
        assert isinstance(told[0], Refused)
        channel.send(A, b"bug")
        channel.receive(timeout=5)
        with pytest.raises(ZeroDivisionError):
            channel.receive(timeout=5)


def test_a_crash_while_writing_a_key_leaves_no_half_key(tmp_path):
    path = tmp_path / "keys"
    (tmp_path / "keys.part").write_bytes(b"half")
    (tmp_path / "keys.part").chmod(0o600)
    ring = keyring.load_or_make(path)
    assert keyring.load(path) == ring
    assert not (tmp_path / "keys.part").exists()


def test_a_file_is_written_whole_and_its_secrets_are_its_owners_at_every_moment(tmp_path, monkeypatch):
    class Killed(BaseException): ...

    def killed(_descriptor: int) -> None:
        (part,) = tmp_path.iterdir()
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(Killed):
            write_whole(tmp_path / "salts", b"secret", mode=0o600)
    assert not (tmp_path / "salts").exists()
    write_whole(tmp_path / "salts", b"secret", mode=0o600)
    assert [(file.name, file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) for file in tmp_path.iterdir()] == [
        ("salts", b"secret", 0o600)
    ]
