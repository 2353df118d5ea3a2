"""A journal has all of a write or nothing of it, wherever the process or the disk stops."""

import random
import shutil
import subprocess
import sys
import textwrap

import pytest

from caduceus.edges.journal import SqliteJournal
from crashes import Crash, CrashingJournal, When, killed_while_writing

SIZE = 20
"""Entries of one write."""

WRITER = """
    import sys
    from pathlib import Path
    from caduceus.edges.journal import SqliteJournal
    journal = SqliteJournal(Path(sys.argv[1]))
    number = len(journal.keys("")) // 20
    while True:
        value = number.to_bytes(4) * int(sys.argv[3])
        entries = {f"{place:02}/{number:06}": value for place in range(20)}
        journal.put_all(entries, at_once=sys.argv[2] == "wait")
        print(number, flush=True)
        number += 1
"""


def writes(journal):
    """The numbers of the writes that are there; each is there whole, with the values that it had."""
    found = {}
    for key in journal.keys(""):
        found.setdefault(int(key.split("/")[1]), []).append(journal.get(key))
    for number, values in found.items():
        assert len(values) == SIZE, f"write {number} is there in part"
        assert {value[:4] for value in values} == {number.to_bytes(4)}
        assert len({len(value) for value in values}) == 1
    return sorted(found)


@pytest.mark.parametrize(("wait", "size"), [("wait", 10), ("later", 10), ("wait", 5_000)])
def test_a_killed_process_leaves_whole_writes_and_all_that_it_was_told_are_there(tmp_path, wait, size):
    path = tmp_path / "journal.sqlite"
    chance = random.Random(size)
    for _ in range(3):
        said = killed_while_writing(WRITER, str(path), wait, str(size), after=chance.randrange(1, 20))
        with SqliteJournal(path) as journal:
            there = writes(journal)
        assert there == list(range(len(there)))
        assert there[-1] in (int(said[-1]), int(said[-1]) + 1)


def test_a_log_of_writes_that_stops_at_any_byte_has_the_whole_ones_before_it(tmp_path):
    made = tmp_path / "made.sqlite"
    killed_while_writing(WRITER, str(made), "later", "300", after=8)
    wal = made.with_name("made.sqlite-wal").read_bytes()
    assert len(wal) > 100_000
    chance = random.Random(1)
    places = sorted({0, 31, 32, 33, len(wal) - 1, len(wal), *(chance.randrange(len(wal)) for _ in range(60))})
    counts = []
    for place in places:
        path = tmp_path / "cut.sqlite"
        shutil.copyfile(made, path)
        path.with_name("cut.sqlite-wal").write_bytes(wal[:place])
        with SqliteJournal(path) as journal:
            there = writes(journal)
            assert there == list(range(len(there)))
            counts.append(len(there))
            journal.put_once("after", b"x")
    assert counts == sorted(counts)
    assert len(set(counts)) > 4


def test_a_log_of_writes_with_a_spoilt_end_has_the_whole_ones_before_it(tmp_path):
    made = tmp_path / "made.sqlite"
    killed_while_writing(WRITER, str(made), "later", "300", after=8)
    wal = made.with_name("made.sqlite-wal").read_bytes()
    chance = random.Random(2)
    for _ in range(30):
        place = chance.randrange(32, len(wal))
        path = tmp_path / "spoilt.sqlite"
        shutil.copyfile(made, path)
        spoilt = wal[:place] + bytes([wal[place] ^ 0x55]) + wal[place + 1 :]
        path.with_name("spoilt.sqlite-wal").write_bytes(spoilt)
        with SqliteJournal(path) as journal:
            there = writes(journal)
        assert there == list(range(len(there)))


def test_a_full_disk_refuses_the_write_whole_and_the_next_one_goes_through(tmp_path):
    path = tmp_path / "journal.sqlite"
    script = """
        import resource, signal, sys
        from pathlib import Path
        from caduceus.edges.journal import SqliteJournal
        from caduceus.errors import Unavailable
        journal = SqliteJournal(Path(sys.argv[1]))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        taken, refused = [], []
        for number in range(20):
            value = number.to_bytes(4) * 300
            try:
                journal.put_all({f"{place:02}/{number:06}": value for place in range(20)}, at_once=number % 2 == 0)
                taken.append(number)
            except Unavailable as problem:
                assert "make room" in str(problem), problem
                refused.append(number)
        assert all(journal.get(f"00/{number:06}") is None for number in refused)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        number = 99
        journal.put_all({f"{place:02}/{number:06}": number.to_bytes(4) for place in range(20)})
        print(*taken, number)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    taken = [int(one) for one in done.stdout.split()]
    assert 1 < len(taken) < 21
    with SqliteJournal(path) as journal:
        assert writes(journal) == taken


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("at", range(4))
def test_a_role_that_crashes_at_a_write_and_starts_again_ends_the_same(tmp_path, at, when):
    path = tmp_path / "journal.sqlite"

    def role(journal):
        for number in range(4):
            journal.put_all({f"a/{number}": bytes([number]), f"b/{number}": b"x"})

    with SqliteJournal(path) as inner:
        with pytest.raises(Crash):
            role(CrashingJournal(inner, at, when))
        done = at + (when is When.AFTER)
        assert len(inner.keys("")) == 2 * done
    with SqliteJournal(path) as journal:
        role(journal)
        assert len(journal.keys("")) == 8
