"""What a role's process says of itself while it runs, and the wraps that tell it."""

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from caduceus.canon import digest_bytes
from caduceus.cli.node_looking import show_status, verify_log
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.loopback import Loopback
from caduceus.edges.watching.audit_check import verify
from caduceus.edges.watching.detail import Detail, Who
from caduceus.edges.watching.event_log import Event, listening
from caduceus.edges.watching.lookout import AUDIT_FOLDER, Lookout
from caduceus.edges.watching.metrics import Way
from caduceus.edges.watching.status import MOST_REFUSALS, is_running, read_status
from caduceus.edges.watching.status_file import StatusFile
from caduceus.edges.watching.watched import WatchedChannel, WatchedJournal, WatchedReactor
from caduceus.errors import PeerFault, Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId, Stage, Tokens
from caduceus.ports import BudgetMove, Sent
from crashes import killed_while_writing

WHO = Who("site", "Ash")
JOB, OTHER = JobId(b"j" * 32), JobId(b"k" * 32)
HUB = Address(b"h" * 20)


def test_a_status_is_read_as_it_was_written_while_the_process_runs_and_after(tmp_path):
    with StatusFile(tmp_path, WHO) as kept:
        kept.connection("connected")
        kept.chain(12, 3.5)
        kept.outbox(2)
        kept.job(JOB, Stage.TRAINING, Event.ROUND_DONE, round=4, unanchored=1)
        kept.job(OTHER, Stage.OPEN, Event.JOB_SEEN)
        kept.job(JOB, Stage.SETTLING, Event.SETTLED, round=5)
        kept.refused(PeerFault("hub", "lied"), JOB)
        found = read_status(tmp_path)
        assert found == kept.now() == read_status(tmp_path / "status.json")
        assert is_running(tmp_path)
    assert (found.role, found.party, found.connection, found.outbox) == ("site", "Ash", "connected", 2)
    assert found.chain is not None
    assert (found.chain.height, found.chain.lag) == (12, 3.5)
    assert [(one.job[:6], one.stage, one.round, one.unanchored, one.event) for one in found.jobs] == [
        ("0x6b6b", "open", None, 0, "job seen"),
        ("0x6a6a", "settling", 5, 0, "settled"),
    ]
    assert [(one.kind, one.reason) for one in found.refusals] == [("peer fault", "hub: lied")]
    assert not is_running(tmp_path)
    assert read_status(tmp_path).connection == "stopped"


def test_only_the_newest_refusals_are_kept_and_all_are_counted(tmp_path):
    with StatusFile(tmp_path, WHO) as kept:
        for number in range(MOST_REFUSALS + 5):
            kept.refused(Refused(str(number)))
    found = read_status(tmp_path)
    assert found.refused == MOST_REFUSALS + 5
    assert [one.reason for one in found.refusals] == [str(number) for number in range(5, MOST_REFUSALS + 5)]


def test_a_killed_process_is_seen_to_be_gone(tmp_path):
    script = """
        import sys, time
        from pathlib import Path
        from caduceus.edges.watching.detail import Detail, Who
        from caduceus.edges.watching.status import is_running
        from caduceus.edges.watching.status_file import StatusFile
        kept = StatusFile(Path(sys.argv[1]), Who("site", "Ash"))
        kept.connection("connected")
        print(is_running(Path(sys.argv[1])), flush=True)
        time.sleep(60)
    """
    assert killed_while_writing(script, str(tmp_path), after=1) == ["True"]
    assert read_status(tmp_path).connection == "connected"
    assert not is_running(tmp_path)
    with StatusFile(tmp_path, WHO):
        assert read_status(tmp_path).connection == "starting"


def test_a_second_process_of_the_same_party_is_refused_and_the_first_ones_status_stays(tmp_path):
    with StatusFile(tmp_path, WHO) as kept:
        kept.connection("connected")
        with pytest.raises(Refused, match="another process runs this role"):
            StatusFile(tmp_path, Who("site", "Ash"))
        assert read_status(tmp_path).connection == "connected"


def test_readers_never_see_half_a_file(tmp_path):
    stop = threading.Event()
    with StatusFile(tmp_path, WHO) as kept:

        def work():
            number = 0
            while not stop.is_set():
                number += 1
                kept.refused(Refused("x" * (number % 290)))

        writer = threading.Thread(target=work)
        writer.start()
        try:
            seen = [read_status(tmp_path).refused for _ in range(200)]
        finally:
            stop.set()
            writer.join()
    assert seen == sorted(seen)


def test_a_status_that_cannot_be_written_stops_nobody_and_is_said_once(tmp_path, monkeypatch):
    stream = StringIO()
    with listening(stream), Lookout(tmp_path, WHO) as lookout:
        with monkeypatch.context() as patch:
            patch.setattr("os.fdopen", _full)
            lookout.outbox(1)
            lookout.outbox(2)
        assert read_status(tmp_path).outbox == 0
        lookout.connection("connected")
        assert read_status(tmp_path).outbox == 2
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["reason"] for one in said if one["event"] == "unavailable"] == [
        f"{tmp_path}/status.json: cannot be written (No space left on device); make room"
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not a status"),
        (b"{}", "not a status"),
        (b"\xff", "not a status"),
        (b"[" * 100_000, "not a status"),
        (b" " * 1_100_000, "too long"),
    ],
)
def test_what_is_no_status_is_refused(tmp_path, text, why):
    (tmp_path / "status.json").write_bytes(text)
    with pytest.raises(Refused, match=why):
        read_status(tmp_path)


def test_a_role_that_was_never_started_has_no_status(tmp_path):
    with pytest.raises(Refused, match="has the role been started here"):
        read_status(tmp_path)
    assert not is_running(tmp_path)


class Doubling:
    """A reactor that answers twice, refuses, finds a fault, or has a bug."""

    def react(self, body):
        if body == b"refuse":
            raise Refused("terms: no purpose fits")
        if body == b"fault":
            raise PeerFault("hub", "lied")
        if body == b"bug":
            raise ZeroDivisionError("patient 7")
        return [body, body * 2]


def lines(folder):
    return [json.loads(line) for line in (folder / AUDIT_FOLDER / "000001.log").read_bytes().splitlines()]


def test_every_question_and_answer_is_in_the_audit_log_before_the_answer_leaves(tmp_path):
    with Lookout(tmp_path, WHO) as lookout:
        reactor = WatchedReactor(Doubling(), lookout, JOB, HUB)
        assert list(reactor.react(b"sum")) == [b"sum", b"sumsum"]
        written = lines(tmp_path)
        assert [one["kind"] for one in written[2:]] == ["asked", "left", "left", "allowed"]
        assert {one["peer"] for one in written[2:]} == {"0x" + HUB.hex()}
        assert [one["digest"] for one in written[2:5]] == [
            digest_bytes(body).hex() for body in (b"sum", b"sum", b"sumsum")
        ]
        assert lookout.status.now().audit_head == lookout.audit.head().digest.hex()
        for body, kind in ((b"refuse", Refused), (b"fault", PeerFault), (b"bug", ZeroDivisionError)):
            with pytest.raises(kind):
                reactor.react(body)
        assert [(one["class"], one["reason"]) for one in lines(tmp_path) if one["kind"] == "refused"] == [
            ("refused", "terms: no purpose fits"),
            ("peer fault", "hub: lied"),
            ("bug", "ZeroDivisionError"),
        ]
        assert lookout.status.now().refused == 3
    assert b"patient" not in (tmp_path / AUDIT_FOLDER / "000001.log").read_bytes()
    found = verify(tmp_path / AUDIT_FOLDER)
    assert found.fault is None
    assert lines(tmp_path)[-1]["kind"] == "stopped"


def test_an_answer_does_not_leave_if_it_cannot_be_noted(tmp_path, monkeypatch):
    with Lookout(tmp_path, WHO) as lookout:
        reactor = WatchedReactor(Doubling(), lookout, JOB, HUB)
        with monkeypatch.context() as patch:
            patch.setattr("os.write", _full)
            with pytest.raises(Unavailable, match="make room"):
                reactor.react(b"sum")
        assert list(reactor.react(b"sum")) == [b"sum", b"sumsum"]


def _full(_descriptor, *_rest, **_options):
    raise OSError(28, "No space left on device")


def test_messages_are_counted_by_their_kind_in_log_and_figures(tmp_path):
    stream = StringIO()
    with listening(stream, least=logging.DEBUG), Lookout(tmp_path, WHO) as lookout:
        with Loopback({HUB: Doubling()}, workers=0) as inner:
            channel = WatchedChannel(inner, lookout, JOB)
            channel.send(HUB, b"sum")
            assert [channel.receive(timeout=0).body for _ in range(2)] == [b"sum", b"sumsum"]
            assert channel.receive(timeout=0) is None
        text = lookout.metrics.text()
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one["bytes"]) for one in said if "message" in one["event"]] == [
        ("message out", 3),
        ("message in", 3),
        ("message in", 6),
    ]
    if lookout.metrics.is_on:
        assert 'caduceus_message_bytes_total{way="in"} 9.0' in text


def test_a_watched_journal_counts_what_was_written_and_not_what_was_refused(tmp_path):
    with Lookout(tmp_path, WHO) as lookout, SqliteJournal(tmp_path / "journal.sqlite") as inner:
        journal = WatchedJournal(inner, lookout.metrics)
        journal.put_once("a", b"1")
        journal.put_all({"b": b"2", "c": b"3"})
        with pytest.raises(Refused):
            journal.put_once("a", b"2")
        assert journal.get("a") == b"1"
        assert journal.keys("") == ["a", "b", "c"]
        if lookout.metrics.is_on:
            assert "caduceus_journal_writes_total 2.0" in lookout.metrics.text()


def test_a_lookout_tells_log_figures_and_status_the_same_story(tmp_path):
    stream = StringIO()
    with listening(stream), Lookout(tmp_path, WHO) as lookout:
        lookout.connection("connected")
        lookout.connection("connected")
        lookout.chain(7, 2.0)
        lookout.outbox(1)
        lookout.stage(JOB, Stage.TRAINING)
        lookout.round_done(JOB, 3, 1.5, unanchored=2)
        status, text = lookout.status.now(), lookout.metrics.text()
        lookout.round_failed(JOB, 4, Refused("too few sites"))
        lookout.message(Way.IN, Detail(size=5))
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert [one for one in events if one != "metrics off"] == [
        "started",
        "connected",
        "stage reached",
        "round done",
        "round failed",
        "stopped",
    ]
    assert (status.connection, status.outbox, status.jobs[0].round, status.jobs[0].unanchored) == ("connected", 1, 3, 2)
    if lookout.metrics.is_on:
        assert "caduceus_rounds_unanchored 2.0" in text


def test_transactions_pay_and_budget_are_in_the_audit_log(tmp_path):
    stream = StringIO()
    sent = Sent(transaction=b"t" * 32, block=9, gas=21000, what="Jobs.claim")
    dataset = Digest(b"d" * 32)
    with listening(stream), Lookout(tmp_path, WHO) as lookout:
        lookout.sent(sent, JOB)
        lookout.paid(sent, JOB, Tokens(70))
        lookout.budget(dataset, BudgetMove(JOB, 500_000, 7, released=False))
        lookout.budget(dataset, BudgetMove(JOB, 200_000, 3, released=True))
        lookout.budget_reserved(dataset, 300_000, 4)
        if lookout.metrics.is_on:
            assert f'caduceus_privacy_epsilon_reserved{{dataset="0x{dataset.hex()}"}} 0.3' in lookout.metrics.text()
    found = [one for one in lines(tmp_path) if one["kind"] not in ("file", "started", "stopped")]
    assert [(one["kind"], one.get("tokens"), one.get("epsilon_micro")) for one in found] == [
        ("signed", None, None),
        ("paid", 70, None),
        ("reserved", None, 500_000),
        ("released", None, 200_000),
    ]
    assert found[0]["transaction"] == "0x" + sent.transaction.hex()
    assert (found[0]["call"], found[0]["gas"], found[0]["block"]) == ("Jobs.claim", 21000, 9)
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {"transaction included", "paid", "budget reserved", "budget released"} <= {one["event"] for one in said}


def test_a_second_lookout_for_a_party_is_refused(tmp_path):
    with Lookout(tmp_path, WHO), pytest.raises(Refused, match="stop that one first"):
        Lookout(tmp_path, WHO)
    with Lookout(tmp_path, WHO):
        pass
    assert verify(tmp_path / AUDIT_FOLDER).fault is None


def test_the_commands_show_a_status_as_a_table_and_as_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with StatusFile(tmp_path, WHO, now=lambda: datetime.now(UTC) - timedelta(minutes=3)) as kept:
        show_status(tmp_path, as_json=False)
        assert "No job yet." in capsys.readouterr().out
        kept.connection("connected")
        kept.chain(1234567, 3.5)
        kept.job(JOB, Stage.TRAINING, Event.ROUND_DONE, round=4, unanchored=1)
        kept.refused(Refused("[red]terms[/red]"))
        show_status(tmp_path, as_json=False)
        out = capsys.readouterr().out
        show_status(tmp_path, as_json=True)
        said = json.loads(capsys.readouterr().out)
    assert "Ash (site)" in out
    assert "connected" in out
    assert "block 1 234 567" in out
    assert "0x6a6a6a6a6a" in out
    assert "[red]terms[/red]" in out
    assert "3 min ago" in out
    assert said["running"] is True
    assert said["jobs"][0]["round"] == 4
    show_status(tmp_path, as_json=False)
    assert "not running" in capsys.readouterr().out


def test_the_commands_name_the_first_bad_line_and_a_head_that_is_not_there(tmp_path, capsys):
    with Lookout(tmp_path, WHO) as lookout:
        head = lookout.audit.head().digest.hex()
    folder = tmp_path / AUDIT_FOLDER
    verify_log(folder, None)
    out = capsys.readouterr().out
    assert "3 good lines in 1 file" in out
    assert "only a head shows" in out
    verify_log(folder, f"0x{head}")
    assert "is line number 1; 1 came after it" in capsys.readouterr().out
    with pytest.raises(Refused, match="no line has the digest 00"):
        verify_log(folder, "00" * 32)
    with pytest.raises(Refused, match="64 hex digits"):
        verify_log(folder, "xyz")
    file = folder / "000001.log"
    file.write_bytes(file.read_bytes().replace(b"started", b"stopped", 1))
    with pytest.raises(Refused, match=r"000001\.log, line 3: does not hold the digest"):
        verify_log(folder, None)
