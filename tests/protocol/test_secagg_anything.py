"""Whatever arrives, only the errors that are promised come out, and no sum but the right one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import Memory, Play, a_client, a_session, only
from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.secagg_client import Step
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_replay import leaves, replay
from caduceus.protocol.secagg_server import Phase

SESSION, BAD = a_session(5), 2
OTHER_ROUND, THIS_ROUND = Play(a_session(5, round=1)), Play(SESSION)
TOTALS = [play.run().tolist() for play in (OTHER_ROUND, THIS_ROUND)]
SAID = [body for play in (OTHER_ROUND, THIS_ROUND) for _, _, body in (*play.heard, *play.told)]


@st.composite
def mangling(draw):
    """A way to spoil a message: other bytes, a flipped byte, a cut, bytes put in, a message from elsewhere."""
    how = draw(st.sampled_from(["bytes", "flip", "cut", "insert", "elsewhere"]))
    where, byte = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))
    if how in ("bytes", "elsewhere"):
        other = draw(st.binary(max_size=300) if how == "bytes" else st.sampled_from(SAID))
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
    play = Play(SESSION, sites={BAD: mischief})
    total = play.run()
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert {0, 1, 3, 4} <= set(play.server.survivors)
    assert {fault.seat for fault in play.server.faults} <= {BAD}
    uploads = play.server.uploads()
    assert replay(play.server.exchange(), uploads.__getitem__).tolist() == total.tolist()


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(list(Phase)[:-1]), st.lists(mangling(), min_size=1, max_size=3))
def test_whatever_a_coordinator_sends_a_site_answers_the_true_message_or_blames_or_refuses(phase, spoilers):
    true = [(at, body) for at, seat, body in THIS_ROUND.told if seat == BAD]
    memory = Memory()
    client = a_client(SESSION, BAD, memory)
    client.advertise()
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


@settings(deadline=None, max_examples=120)
@given(mangling(), st.data())
def test_a_spoiled_record_is_refused_or_gives_the_same_sum(spoil, data):
    uploads = THIS_ROUND.server.uploads()
    exchange = canon.pack(THIS_ROUND.server.exchange())
    which = data.draw(st.sampled_from(["exchange", *uploads]))
    spoiled = {**uploads, which: spoil(uploads[which])} if which in uploads else uploads
    try:
        record = canon.unpack(Exchange, spoil(exchange) if which == "exchange" else exchange)
        total = replay(record, spoiled.__getitem__)
        tree = leaves(record, tuple(spoiled), spoiled.__getitem__)
    except (PeerFault, Refused):
        return
    same = record == THIS_ROUND.server.exchange() and spoiled == uploads
    # What is not under a signature or a digest of this record is the session, which the caller compares with
    # the chain, and the list of faults.
    assert same or record.session != SESSION or record.faults
    if record.session == SESSION:
        assert total.tolist() == TOTALS[1]
        assert tree == THIS_ROUND.server.leaves()


@pytest.mark.parametrize("seat", range(5))
def test_one_flipped_byte_anywhere_in_an_upload_is_found(seat):
    uploads = THIS_ROUND.server.uploads()
    exchange = THIS_ROUND.server.exchange()
    for at in range(len(uploads[seat])):
        data = uploads[seat]
        spoiled = {**uploads, seat: data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]}
        with pytest.raises(PeerFault, match=f"seat {seat}"):
            replay(exchange, spoiled.__getitem__)


def test_one_flipped_byte_anywhere_in_the_exchange_is_found():
    uploads = THIS_ROUND.server.uploads()
    exchange = canon.pack(THIS_ROUND.server.exchange())
    for at in range(0, len(exchange), 7):
        spoiled = exchange[:at] + bytes([exchange[at] ^ 0x55]) + exchange[at + 1 :]
        try:
            record = canon.unpack(Exchange, spoiled)
        except Refused:
            continue
        with pytest.raises((PeerFault, Refused)):
            replay(record, uploads.__getitem__)
