"""Logs say what happened in a closed vocabulary, and nothing that came out of a record."""

import io
import json
import logging
import threading

import numpy as np
import pytest

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.edges.watching.detail import LONGEST_REASON, Detail, Who, message_of, reason_of
from caduceus.edges.watching.event_log import LOGGER, Event, EventLog, Form, listening
from caduceus.errors import Misuse, PeerFault, Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId, Stage
from caduceus.protocol.envelope import sign_record

WHO = Who("site", "Ash", frozenset({"Birch"}))
JOB = JobId(b"j" * 32)
SECRET = "age 63, HIV positive"


def said(*events, form=Form.JSON, least=logging.DEBUG):
    stream = io.StringIO()
    with listening(stream, form, least=least):
        for event in events:
            EventLog(WHO).say(*event)
    return stream.getvalue()


def test_a_line_is_one_object_with_who_what_and_the_fields_that_apply():
    detail = Detail(
        job=JOB,
        round=3,
        peer=Address(b"p" * 20),
        peer_name="Birch",
        size=1024,
        seconds=1.23456,
        digest=Digest(b"d" * 32),
        stage=Stage.TRAINING,
    )
    line = json.loads(said((Event.ROUND_DONE, detail)))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "role": "site",
        "party": "Ash",
        "event": "round done",
        "job": "0x" + JOB.hex(),
        "round": 3,
        "peer": "0x" + b"p".hex() * 20,
        "peer_name": "Birch",
        "bytes": 1024,
        "seconds": 1.235,
        "digest": b"d".hex() * 32,
        "stage": "training",
    }


def test_the_plain_form_is_one_readable_line_with_the_reason_last():
    line = said((Event.REFUSED, Detail(job=JOB, round=2, reason=Refused("terms: no"))), form=Form.PLAIN)
    assert line.endswith("warning site Ash: refused job=0x6a6a6a6a… round=2 class=refused (terms: no)\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "field",
    [
        {"count": SECRET},
        {"count": 63.5},
        {"count": True},
        {"count": np.int64(63)},
        {"count": -1},
        {"round": "3"},
        {"size": None, "seconds": float("nan")},
        {"seconds": np.float32(1)},
        {"seconds": -1},
        {"peer": SECRET},
        {"peer": b"short"},
        {"digest": "ab" * 32},
        {"digest": b"\0" * 31},
        {"job": bytearray(32)},
        {"stage": "training"},
        {"stage": 4},
        {"message": SECRET},
        {"message": b"job/call/1"},
        {"call": "Jobs.enrol(patient 7)"},
        {"dataset": b"heart"},
        {"gas": "many"},
        {"peer_name": 3},
        {"peer_name": "x" * 65},
        {"peer_name": "\x1b[2J"},
        {"reason": SECRET},
    ],
)
def test_a_value_of_another_kind_is_refused_and_not_quoted(field):
    with pytest.raises(Misuse) as problem:
        Detail(**field)
    assert SECRET not in str(problem.value)


@pytest.mark.parametrize("key", ["value", "text", "patient", "_written"])
def test_there_is_no_other_field(key):
    with pytest.raises(TypeError):
        Detail(**{key: 1})


def test_a_name_that_the_configuration_does_not_have_is_refused():
    with pytest.raises(Misuse, match="peer_name"):
        EventLog(WHO).say(Event.CONNECTED, Detail(peer_name="Mrs Smith"))


@pytest.mark.parametrize("event", ["refused", Event.REFUSED.value, None])
def test_only_events_of_the_list_are_logged(event):
    with pytest.raises(Misuse):
        EventLog(WHO).say(event)
    with pytest.raises(Misuse):
        EventLog(WHO).say(Event.REFUSED, {"value": SECRET})


def test_what_others_send_to_our_logger_is_dropped():
    stream = io.StringIO()
    with listening(stream, least=logging.DEBUG):
        logging.getLogger(LOGGER).error("row 12: %s", SECRET)
        logging.getLogger(LOGGER).error("x", extra={"caduceus_said": SECRET})
        EventLog(WHO).say(Event.STARTED)
    assert SECRET not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_other_libraries_loggers_are_left_as_they_are():
    before = {name: logging.getLogger(name).level for name in ("nvflare", "flwr", "grpc")}
    theirs, ours = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(theirs)
    logging.getLogger().addHandler(handler)
    try:
        root = list(logging.getLogger().handlers)
        with listening(ours):
            logging.getLogger("flwr").warning("theirs")
            EventLog(WHO).say(Event.STARTED)
            assert list(logging.getLogger().handlers) == root
    finally:
        logging.getLogger().removeHandler(handler)
    assert theirs.getvalue() == "theirs\n"  # ours goes to nobody else
    assert "theirs" not in ours.getvalue()
    assert before == {name: logging.getLogger(name).level for name in before}


def test_less_urgent_events_are_left_out_and_nobody_listens_after_the_end():
    events = [(Event.MESSAGE_IN,), (Event.STARTED,), (Event.REFUSED,), (Event.BUG,)]
    assert [json.loads(line)["event"] for line in said(*events, least=logging.WARNING).splitlines()] == [
        "refused",
        "bug",
    ]
    assert len(said(*events, least=logging.DEBUG).splitlines()) == 4
    assert not logging.getLogger(LOGGER).isEnabledFor(logging.INFO)


def test_errors_of_ours_are_quoted_on_one_line_and_cut_and_those_of_others_are_named_only():
    assert reason_of(Refused("a\nb\x1b[31m\tc")) == "a b [31m c"
    assert len(reason_of(Unavailable("x" * 5000))) == LONGEST_REASON
    assert reason_of(ValueError(SECRET)) == "ValueError"
    fault = json.loads(said((Event.PEER_FAULT, Detail(reason=PeerFault("Birch", "lied", evidence=SECRET.encode())))))
    assert (fault["class"], fault["reason"]) == ("peer fault", "Birch: lied")
    bug = json.loads(said((Event.BUG, Detail(reason=KeyError(SECRET)))))
    assert (bug["class"], bug["reason"]) == ("bug", "KeyError")


@canon.record("test/said/1")
class Said:
    text: str


@canon.record("Mrs Smith is ill")
class Hostile:
    text: str


def test_a_message_is_called_by_its_kind_and_a_sender_cannot_put_words_into_it():
    signer = Signer(b"\1" * 32)
    assert message_of(sign_record(signer, b"\0" * 32, Said("x"))) == "test/said/1"
    assert message_of(canon.pack(Said("x"))) == "test/said/1"
    assert message_of(canon.pack(Hostile("x"))) == message_of(b"\xff\x00") == "unreadable"
    assert message_of(b"") == "empty"
    Detail(message=message_of(b"anything"))


def test_a_file_is_gone_on_with_and_may_be_moved_away(tmp_path):
    path = tmp_path / "role.log"
    for _ in range(2):
        with listening(path):
            EventLog(WHO).say(Event.STARTED)
    with listening(path):
        path.rename(tmp_path / "role.log.1")
        EventLog(WHO).say(Event.STOPPED)
    assert len((tmp_path / "role.log.1").read_text().splitlines()) == 2
    assert json.loads(path.read_text())["event"] == "stopped"


def test_lines_of_several_threads_and_parties_stay_whole():
    stream = io.StringIO()
    parties = [EventLog(Who("aggregator", name)) for name in ("One", "Two", "Three")]
    with listening(stream):

        def work(log):
            for round in range(50):
                log.say(Event.ROUND_DONE, Detail(round=round))

        threads = [threading.Thread(target=work, args=(log,)) for log in parties]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 150
    for party in ("One", "Two", "Three"):
        assert [one["round"] for one in lines if one["party"] == party] == list(range(50))


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_a_party_has_a_printable_name(name):
    with pytest.raises(Misuse, match="printable"):
        Who("buyer", name)


def test_a_process_has_a_role_of_the_list():
    with pytest.raises(Misuse, match="site, coordinator"):
        Who("doctor", "Ash")
