"""A node's audit log: what it survives, what a check finds, and what only a head kept elsewhere shows."""

import json
import random
import shutil
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from caduceus.canon import digest_bytes
from caduceus.edges.watching.audit_check import verify
from caduceus.edges.watching.audit_line import ORIGIN, Kind
from caduceus.edges.watching.audit_log import AuditLog
from caduceus.edges.watching.detail import Detail, Who
from caduceus.errors import Misuse, Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId
from crashes import killed_while_writing

WHO = Who("site", "Ash")
COORDINATOR = Address(b"c" * 20)
JOB = JobId(b"j" * 32)


def filled(folder, lines=6, **options):
    with AuditLog(folder, WHO, **options) as log:
        for round in range(lines):
            log.note(Kind.ASKED, Detail(job=JOB, round=round, peer=COORDINATOR), at_once=False)
        return log.head()


def lines_of(file):
    return file.read_bytes().splitlines(keepends=True)


def test_lines_say_what_was_asked_decided_and_sent_and_chain_from_the_first(tmp_path):
    with AuditLog(tmp_path / "log", WHO) as log:
        log.note(Kind.ASKED, Detail(job=JOB, peer=COORDINATOR, message="job/call/1", size=12), at_once=False)
        log.note(Kind.REFUSED, Detail(job=JOB, reason=Refused("terms: no purpose fits")))
        head = log.note(Kind.LEFT, Detail(size=3, digest=digest_bytes(b"sum"), salted=log.salted(b"table")))
    said = [json.loads(line) for line in lines_of(tmp_path / "log" / "000001.log")]
    assert [one["kind"] for one in said] == ["file", "asked", "refused", "left"]
    assert said[0] | {"at": ""} == {
        "at": "",
        "before": ORIGIN.hex(),
        "form": "caduceus/audit-log/1",
        "kind": "file",
        "n": 0,
        "party": "Ash",
        "role": "site",
    }
    assert (said[1]["peer"], said[1]["message"], said[1]["bytes"]) == ("0x" + COORDINATOR.hex(), "job/call/1", 12)
    assert (said[2]["class"], said[2]["reason"]) == ("refused", "terms: no purpose fits")
    found = verify(tmp_path / "log")
    assert (found.fault, found.head, found.torn, found.first) == (None, head, 0, 0)
    assert head.lines == 4


def test_sha256sum_of_the_last_line_is_the_head(tmp_path):
    head = filled(tmp_path / "log")
    last = f"tail -n 1 {tmp_path / 'log' / '000001.log'} | sha256sum"
    said = subprocess.run(["sh", "-c", last], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == head.digest.hex()


def test_an_untouched_log_has_no_fault_over_restarts_and_files(tmp_path):
    folder = tmp_path / "log"
    for _ in range(3):
        head = filled(folder, 10, file_bytes=1500)
    found = verify(folder)
    assert len(found.files) > 3
    assert (found.fault, found.head) == (None, head)
    alone = verify(found.files[2])
    assert alone.fault is None
    assert alone.first == int(json.loads(lines_of(found.files[2])[0])["n"]) > 0


@pytest.mark.parametrize("at", [1, 3, 5])
@pytest.mark.parametrize("deed", ["delete", "edit", "insert", "swap"])
def test_a_changed_line_is_named(tmp_path, deed, at):
    folder = tmp_path / "log"
    filled(folder)
    file = folder / "000001.log"
    lines = lines_of(file)
    if deed == "delete":
        del lines[at]
        wrong = at + 1  # the one that now stands there
    elif deed == "edit":
        lines[at] = lines[at].replace(b'"round":', b'"round":9')
        wrong = at + 2  # the next line does not hold its digest any more
    elif deed == "insert":
        lines.insert(at, lines[at])
        wrong = at + 2
    else:
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        wrong = at + 1
    file.write_bytes(b"".join(lines))
    fault = verify(folder).fault
    assert fault is not None
    assert (fault.file, fault.line) == (file, wrong)
    with pytest.raises(Refused, match=rf"000001\.log, line {wrong}"):
        AuditLog(folder, WHO)


def test_every_single_bit_that_flips_is_noticed_but_in_the_last_line(tmp_path):
    folder = tmp_path / "log"
    head = filled(folder, 2)
    file = folder / "000001.log"
    whole = file.read_bytes()
    last = len(whole) - len(lines_of(file)[-1])
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        found = verify(folder, head=head.digest)
        assert found.found is None
        assert found.fault is not None or place >= last
    file.write_bytes(whole)
    assert verify(folder, head=head.digest).found == head.lines - 1


def test_files_that_are_missing_swapped_or_of_another_log_are_named(tmp_path):
    folder, other = tmp_path / "log", tmp_path / "other"
    filled(folder, 30, file_bytes=1500)
    filled(other, 30, file_bytes=1500)
    files = verify(folder).files
    second = files[1].read_bytes()
    for spoilt, line in (
        ((other / files[1].name).read_bytes(), 1),
        (files[2].read_bytes(), 1),
        (second[:-5], len(second.splitlines())),
    ):
        files[1].write_bytes(spoilt)
        fault = verify(folder).fault
        assert fault is not None
        assert (fault.file, fault.line) == (files[1], line)
    files[1].unlink()
    fault = verify(folder).fault
    assert fault is not None
    assert "000002.log" in fault.why


def test_an_end_that_was_cut_off_shows_only_against_a_head_that_was_kept_elsewhere(tmp_path):
    folder = tmp_path / "log"
    early, head = filled(folder, 3), filled(folder, 3)
    file = folder / "000001.log"
    file.write_bytes(b"".join(lines_of(file)[:-2]))
    found = verify(folder, head=head.digest)
    assert found.fault is None  # the chain itself is whole
    assert found.found is None  # but it does not lead to the head
    assert verify(folder, head=early.digest).found == early.lines - 1


def test_a_log_written_again_shows_only_against_a_head_that_was_kept_elsewhere(tmp_path):
    head = filled(tmp_path / "log")
    shutil.rmtree(tmp_path / "log")
    filled(tmp_path / "log", 9)
    found = verify(tmp_path / "log", head=head.digest)
    assert (found.fault, found.found) == (None, None)


def test_a_crash_at_any_byte_leaves_the_whole_lines_and_sets_the_rest_aside(tmp_path):
    made = tmp_path / "made"
    filled(made, 2)
    whole = (made / "000001.log").read_bytes()
    ends = [place for place, byte in enumerate(whole, 1) if byte == ord("\n")]
    near = {end + step for end in (0, *ends) for step in (-2, -1, 0, 1, 2)}
    for size in sorted(near & set(range(len(whole) + 1)) | set(range(0, len(whole), 23))):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "000001.log").write_bytes(whole[:size])
        cut = size - (whole[:size].rfind(b"\n") + 1)
        assert verify(folder).torn == cut
        with AuditLog(folder, WHO) as log:
            log.note(Kind.STARTED, at_once=False)
        found = verify(folder)
        assert (found.fault, found.torn) == (None, 0)
        kept = (folder / "000001.log").read_bytes()
        if size > cut:
            assert kept.startswith(whole[: size - cut])
        aside = list((folder / "torn").glob("*")) if cut else []
        assert [one.read_bytes() for one in aside] == ([whole[size - cut : size]] if cut else [])
        assert (b'"kind":"repaired"' in kept) == bool(cut)
        shutil.rmtree(folder)


def test_a_crash_while_a_new_file_begins_is_gone_on_from(tmp_path):
    folder = tmp_path / "log"
    filled(folder, 30, file_bytes=1500)
    files = verify(folder).files
    header = lines_of(files[-1])[0]
    for left in (b"", header[:20], header):
        files[-1].write_bytes(left)
        with AuditLog(folder, WHO, file_bytes=1500) as log:
            log.note(Kind.STARTED)
        assert verify(folder).fault is None
    files[-1].write_bytes(b"")
    files[-2].rename(tmp_path / files[-2].name)
    with pytest.raises(Refused, match="put it back"):
        AuditLog(folder, WHO)


def test_a_tail_of_nothing_but_zeros_is_set_aside(tmp_path):
    folder = tmp_path / "log"
    head = filled(folder, 3)
    with (folder / "000001.log").open("ab") as file:
        file.write(bytes(70_000))
    with AuditLog(folder, WHO) as log:
        assert log.head().lines == head.lines + 1
    assert verify(folder, head=head.digest).found == head.lines - 1


WRITER = """
    import sys
    from pathlib import Path
    from caduceus.edges.watching.audit_line import Kind
    from caduceus.edges.watching.audit_log import AuditLog
    from caduceus.edges.watching.detail import Detail, Who
    log = AuditLog(Path(sys.argv[1]), Who("site", "Ash"), file_bytes=20_000)
    round = 0
    while True:
        head = log.note(Kind.LEFT, Detail(round=round), at_once=sys.argv[2] == "wait")
        print(head.digest.hex(), flush=True)
        round += 1
"""


@pytest.mark.parametrize("wait", ["wait", "later"])
def test_a_killed_process_loses_no_line_that_it_was_told_is_there(tmp_path, wait):
    folder = tmp_path / "log"
    chance = random.Random(7)
    for _ in range(3):
        said = killed_while_writing(WRITER, str(folder), wait, after=chance.randrange(1, 60 if wait == "wait" else 600))
        for head in (said[0], said[-1]):
            found = verify(folder, head=Digest(bytes.fromhex(head)))
            assert found.fault is None
            assert found.found is not None


def test_a_full_disk_refuses_the_line_and_the_chain_goes_on_when_there_is_room(tmp_path):
    folder = tmp_path / "log"
    script = """
        import resource, signal, sys
        from pathlib import Path
        from caduceus.edges.watching.audit_line import Kind
        from caduceus.edges.watching.audit_log import AuditLog
        from caduceus.edges.watching.detail import Who
        from caduceus.errors import Unavailable
        log = AuditLog(Path(sys.argv[1]), Who("site", "Ash"))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        refused = 0
        for _ in range(20):
            try:
                log.note(Kind.STARTED)
            except Unavailable as problem:
                assert "cannot be written" in str(problem), problem
                refused += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.note(Kind.STOPPED)
        log.close()
        print(refused)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = verify(folder)
    assert (found.fault, found.torn) == (None, 0)
    assert found.head.lines == 1 + (20 - int(done.stdout)) + 1
    assert 0 < int(done.stdout) < 20


def test_after_a_disk_that_fails_to_keep_nothing_more_is_noted_until_a_start_has_looked(tmp_path, monkeypatch):
    folder = tmp_path / "log"
    with AuditLog(folder, WHO) as log:
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", _failing)
            with pytest.raises(Unavailable, match="start again"):
                log.note(Kind.STARTED)
        with pytest.raises(Unavailable, match="start again"):
            log.note(Kind.STARTED)
    with AuditLog(folder, WHO) as log:
        log.note(Kind.STARTED)
    assert verify(folder).fault is None


def _failing(_descriptor: int) -> None:
    raise OSError(5, "Input/output error")


def test_threads_that_note_at_once_share_the_wait_and_lose_nothing(tmp_path):
    folder = tmp_path / "log"
    with AuditLog(folder, WHO, file_bytes=5000) as log:
        heads = []

        def work():
            for round in range(20):
                heads.append(log.note(Kind.LEFT, Detail(round=round)))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = verify(folder)
    assert found.fault is None
    assert found.head == max(heads, key=lambda one: one.lines)
    assert found.head.lines == 80 + len(found.files)


def test_one_process_writes_a_log_and_its_owner_alone_reads_it(tmp_path):
    folder = tmp_path / "log"
    with AuditLog(folder, WHO) as log:
        log.note(Kind.STARTED)
        with pytest.raises(Refused, match="another process"):
            AuditLog(folder, WHO)
        assert verify(folder).fault is None  # looking needs no lock
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(Unavailable, match="closed"):
        log.note(Kind.STARTED)


def test_a_salted_digest_is_the_same_for_the_same_salt_only(tmp_path):
    with AuditLog(tmp_path / "one", WHO) as one, AuditLog(tmp_path / "two", WHO) as two:
        salted = one.salted(b"table")
        assert salted == one.salted(b"table")
        assert salted not in (two.salted(b"table"), digest_bytes(b"table"))
    with AuditLog(tmp_path / "one", WHO) as one:
        assert one.salted(b"table") == salted


def test_nothing_but_kinds_and_details_is_noted(tmp_path):
    with AuditLog(tmp_path / "log", WHO) as log:
        for bad in (("asked", Detail()), (Kind.ASKED, {"value": 3}), (Kind.FILE, Detail())):
            with pytest.raises(Misuse):
                log.note(*bad)
        with pytest.raises(Misuse, match="peer_name"):
            log.note(Kind.ASKED, Detail(peer_name="Mrs Smith"))
        assert log.head().lines == 1


def test_a_folder_without_a_log_is_refused(tmp_path):
    with pytest.raises(Refused, match="holds no audit log"):
        verify(tmp_path)
    with pytest.raises(Refused, match="cannot be read"):
        verify(tmp_path / "absent")
