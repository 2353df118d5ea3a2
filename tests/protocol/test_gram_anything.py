"""Whatever arrives, only the errors that are promised come out, and no sum but the right one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import COORDINATOR
from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_replay import replay, upload_leaf
from caduceus.protocol.gram_server import EXPECTS, GramServer, Phase
from gram_play import GramPlay, a_plan

SITES, BAD, LIAR = 4, 2, 6
"""Four sites, one evaluator, and the three aggregators 5, 6 and 7."""

PLAN = a_plan(SITES, 1)
THIS, OTHER = GramPlay(PLAN), GramPlay(a_plan(SITES, 1, round=4))
TOTAL = THIS.run().tolist()
OTHER.run()
SAID = [body for play in (THIS, OTHER) for _, _, body in (*play.heard, *play.told)]
UPLOADS = dict(THIS.server.uploads())
EXCHANGE = THIS.server.exchange()


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


@settings(deadline=None, max_examples=25)
@given(st.lists(mangling(), min_size=1, max_size=3))
def test_whatever_one_dealer_sends_the_rest_is_summed(spoilers):
    play = GramPlay(PLAN, liars={BAD: lambda phase, party, message: [spoil(message) for spoil in spoilers]})
    total = play.run()
    _, plain = play.plain(np.flatnonzero(play.server.judged.present).tolist())
    assert total.view(np.int64).tolist() == plain.tolist()
    assert {0, 1, 3} <= set(play.server.summed)
    assert {fault.seat for fault in play.server.faults} <= {BAD}
    assert play.replayed().total.tolist() == total.tolist()


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([phase for phase in EXPECTS if phase is not Phase.LEND]),
    st.lists(mangling(), min_size=1, max_size=3),
)
def test_whatever_one_aggregator_sends_the_sum_is_the_right_one_or_none(phase, spoilers):
    def mischief(now, party, message):
        return [spoil(message) for spoil in spoilers] if now is phase else [message]

    play = GramPlay(PLAN, liars={LIAR: mischief})
    try:
        assert play.run().view(np.int64).tolist() == play.plain(PLAN.dealers)[1].tolist()
    except Refused:
        assert play.server.total is None
    assert {fault.seat for fault in play.server.faults} <= {LIAR}


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(-1, 9), st.one_of(st.binary(max_size=600), st.sampled_from(SAID)))))
def test_whatever_anybody_sends_in_any_order_the_server_raises_nothing(messages):
    """Nor is a party named for what another one sent."""
    server = GramServer(PLAN, COORDINATOR, THIS.rule)
    for party, data in messages:
        server.receive(party, data)
    said = {party: data for party, data in messages[::-1] if 0 <= party <= 7}
    assert {fault.seat for fault in server.faults} <= set(said)
    assert all(UPLOADS[dealer] == data for dealer, data in server.uploads().items())
    honest = {dealer for dealer, data in said.items() if UPLOADS.get(dealer) == data}
    assert honest <= set(server.uploads())  # the first that it sent was the true one


@settings(deadline=None, max_examples=80)
@given(st.sampled_from([5, 6, 7]), st.integers(0, 5), st.lists(mangling(), min_size=1, max_size=3))
def test_whatever_a_coordinator_sends_an_aggregator_answers_the_true_message_or_blames_or_refuses(
    party, step, spoilers
):
    true = [body for _, who, body in THIS.told if who == party]
    honest = [body for _, who, body in THIS.heard if who == party]
    fresh = GramPlay(PLAN, memories={party: type(THIS.memories[party])(THIS.memories[party])}).aggregators[party]
    answers = [fresh.pledge()]
    for at, body in enumerate(true):
        for sent in [spoil(body) for spoil in spoilers] if at == step else []:
            try:
                answers += fresh.react(sent)
            except (PeerFault, Refused):
                continue
        try:
            answers += fresh.react(body)
        except Refused:
            break
    assert set(answers) <= set(honest)  # nothing that it would not have said anyway; the same again to the same
    assert set(answers) == set(honest)  # and nothing was spoiled by it


@settings(deadline=None, max_examples=40)
@given(mangling())
def test_whatever_a_dealer_is_told_it_takes_its_receipt_or_blames(spoil):
    (receipt,) = (body for _, who, body in THIS.told if who == BAD)
    fresh = GramPlay(PLAN, memories={BAD: type(THIS.memories[BAD])(THIS.memories[BAD])})
    fresh.opening()
    spoiled = spoil(receipt)
    try:
        assert fresh.dealers[BAD].react(spoiled) == []
        assert spoiled == receipt
    except PeerFault:
        assert spoiled != receipt


@settings(deadline=None, max_examples=80)
@given(st.one_of(st.binary(max_size=600), mangling().map(lambda spoil: spoil(UPLOADS[BAD]))))
def test_whatever_stands_for_an_upload_is_read_or_named(data):
    if data == UPLOADS[BAD]:
        assert upload_leaf(EXCHANGE, PLAN, BAD, data) == THIS.server.leaves()[BAD]
        return
    with pytest.raises(PeerFault, match=r"^the coordinator: "):
        upload_leaf(EXCHANGE, PLAN, BAD, data)


@settings(deadline=None, max_examples=80)
@given(mangling(), st.data())
def test_a_spoiled_record_is_refused_or_gives_the_same_sum(spoil, data):
    packed = canon.pack(EXCHANGE)
    which = data.draw(st.sampled_from(["exchange", *UPLOADS]))
    spoiled = {**UPLOADS, which: spoil(UPLOADS[which])} if which in UPLOADS else UPLOADS
    try:
        record = canon.unpack(GramExchange, spoil(packed) if which == "exchange" else packed)
        found = replay(record, PLAN, spoiled.__getitem__, THIS.rule)
    except (PeerFault, Refused):
        return
    assert spoiled == UPLOADS
    assert found.total.tolist() == TOTAL
