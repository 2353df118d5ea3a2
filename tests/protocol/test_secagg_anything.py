"""Whatever arrives, only the errors that are promised come out, and no sum but the right one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import COORDINATOR, Memory, Play, a_client, a_vector, only, prepared
from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.secagg_client import Step
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_recheck import recheck_round
from caduceus.protocol.secagg_replay import replay, upload_leaf
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord

SITES, BAD = 5, 2
STAGE = prepared(SITES)
SESSION = STAGE.session()
OTHER_ROUND, THIS_ROUND = (Play(stage=STAGE, session=STAGE.session(round=number)) for number in (1, 0))
TOTALS = [play.run().tolist() for play in (OTHER_ROUND, THIS_ROUND)]
SAID = [body for play in (OTHER_ROUND, THIS_ROUND) for _, _, body in (*play.heard, *play.told)]
UPLOADS = dict(THIS_ROUND.server.uploads())


@st.composite
def mangling(draw):
    """A way to spoil a message: other bytes, a flipped byte, a cut, bytes put in, a message from elsewhere."""
    how = draw(st.sampled_from(["bytes", "flip", "cut", "insert", "elsewhere"]))
    where, byte = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))
    if how in ("bytes", "elsewhere"):
        other = draw(st.binary(max_size=700) if how == "bytes" else st.sampled_from(SAID))
        return lambda message: other

    def spoil(message):
        at = int(where * len(message))
        middle = {"flip": bytes([message[at] ^ byte]) + message[at + 1 :], "cut": b"", "insert": bytes([byte])}[how]
        return message[:at] + middle + (message[at:] if how == "insert" else b"")

    return spoil


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(list(Phase)[:-1]), st.lists(mangling(), min_size=1, max_size=3))
def test_whatever_one_site_sends_the_server_raises_nothing_and_sums_the_rest(phase, spoilers):
    mischief = only(phase, lambda message: [spoil(message) for spoil in spoilers])
    play = Play(stage=STAGE, sites={BAD: mischief})
    total = play.run()
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert {0, 1, 3, 4} <= set(play.server.survivors)
    assert {fault.seat for fault in play.server.faults} <= {BAD}
    found = recheck_round(play.server.exchange(), STAGE.foundation)  # it would name an honest coordinator
    assert len(found) == len(play.server.faults)
    assert play.replayed()[0].tolist() == total.tolist()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-1, SITES), st.one_of(st.binary(max_size=600), st.sampled_from(SAID)))))
def test_whatever_anybody_sends_in_any_order_the_server_raises_nothing(messages):
    """Nor is a site named for what another one sent."""
    server = Server(SESSION, STAGE.foundation, COORDINATOR)
    for seat, data in messages:
        server.receive(seat, data)
    said = {seat: data for seat, data in messages[::-1] if 0 <= seat < SITES}
    assert {fault.seat for fault in server.faults} <= set(said)
    assert all(UPLOADS[seat] == data for seat, data in server.uploads().items())
    honest = {seat for seat, data in said.items() if data == UPLOADS[seat]}
    assert honest <= set(server.uploads())  # the first that it sent was the true one


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([Phase.UPLOAD, Phase.CONSENT]), st.lists(mangling(), min_size=1, max_size=3))
def test_whatever_a_coordinator_sends_a_site_answers_the_true_message_or_blames_or_refuses(phase, spoilers):
    true = [(at, body) for at, seat, body in THIS_ROUND.told if seat == BAD]
    client = a_client(SESSION, STAGE.grounds[BAD], Memory())
    client.upload(a_vector(SESSION, BAD))
    answers = []
    for at, body in true:
        for sent in [spoil(body) for spoil in spoilers] if at is phase else []:
            before = client.step
            try:
                answers += client.react(sent)
            except (PeerFault, Refused):
                assert client.step in (before, Step.STOPPED)
        if client.step is Step.STOPPED:
            break
        try:
            answers += client.react(body)
        except (PeerFault, Refused):
            break
    honest = [body for _, seat, body in THIS_ROUND.heard if seat == BAD][1:]
    assert set(answers) <= set(honest)  # nothing that it would not have said anyway; the same again to the same


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.binary(max_size=600), mangling().map(lambda spoil: spoil(UPLOADS[BAD]))))
def test_whatever_stands_for_an_upload_is_read_or_named(data):
    exchange = THIS_ROUND.server.exchange()
    assert uploads.kind_of(data) is None or isinstance(uploads.kind_of(data), str)
    if data == UPLOADS[BAD]:
        assert upload_leaf(exchange, STAGE.foundation, BAD, data) == THIS_ROUND.server.leaves()[BAD]
        return
    with pytest.raises(PeerFault, match=r"^the coordinator: "):
        upload_leaf(exchange, STAGE.foundation, BAD, data)


@settings(deadline=None, max_examples=120)
@given(mangling(), st.data())
def test_a_spoiled_record_is_refused_or_gives_the_same_sum(spoil, data):
    exchange = canon.pack(THIS_ROUND.server.exchange())
    which = data.draw(st.sampled_from(["exchange", *UPLOADS]))
    spoiled = {**UPLOADS, which: spoil(UPLOADS[which])} if which in UPLOADS else UPLOADS
    leaves = [merkle.EMPTY] * SITES
    try:
        record = canon.unpack(Exchange, spoil(exchange) if which == "exchange" else exchange)
        totals = replay(record, STAGE.foundation, spoiled.__getitem__, leaves=leaves)
    except (PeerFault, Refused):
        return
    # What is under no signature or digest of this record is the list of faults.
    assert record.session == SESSION
    assert spoiled == UPLOADS
    assert totals[0].tolist() == TOTALS[1]
    assert leaves == THIS_ROUND.server.leaves()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


@pytest.mark.parametrize("seat", range(SITES))
def test_one_flipped_byte_anywhere_in_an_upload_is_found(seat):
    exchange = THIS_ROUND.server.exchange()
    for at in range(len(UPLOADS[seat])):
        with pytest.raises(PeerFault, match=f"the coordinator: .*seat {seat}"):
            upload_leaf(exchange, STAGE.foundation, seat, flipped(UPLOADS[seat], at))


def test_one_flipped_byte_anywhere_in_the_exchange_is_found():
    exchange = canon.pack(THIS_ROUND.server.exchange())
    for at in range(0, len(exchange), 7):
        try:
            record = canon.unpack(Exchange, flipped(exchange, at))
        except Refused:
            continue
        with pytest.raises((PeerFault, Refused)):
            replay(record, STAGE.foundation, UPLOADS.__getitem__)


def test_one_flipped_byte_anywhere_in_the_record_of_the_setup_is_found():
    """Whoever reads a record brings the set-up, from the chain; the rest hangs on what the sessions name."""
    true, ready = STAGE.foundation.blob, STAGE.foundation.ready_id
    for at in range(3, len(true), 97):
        try:
            record = canon.unpack(SetupRecord, flipped(true, at))
            if record.setup != STAGE.foundation.layout.setup:
                continue
            found = Foundation(Layout(record.setup), record)
        except (PeerFault, Refused):
            continue
        assert found.ready_id != ready
        with pytest.raises(PeerFault, match="another set-up"):
            replay(THIS_ROUND.server.exchange(), found, UPLOADS.__getitem__)
