"""Whole rounds with honest parties, some of whom vanish."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import COORDINATOR, JOB, Play, a_client, a_session, a_vector, secret, signer_of
from caduceus.crypto import merkle, sign
from caduceus.crypto.agree import Agreement
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.errors import Misuse, Refused
from caduceus.protocol.secagg_client import Client, Step
from caduceus.protocol.secagg_replay import leaves
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_session import threshold_for

PHASES = [phase for phase in Phase if phase is not Phase.DONE]


@st.composite
def rounds(draw, *, enough):
    """A session and who falls silent in which phase; `enough` sites stay to the end, or one too few."""
    sites = draw(st.integers(3, 9))
    session = a_session(sites, length=draw(st.integers(1, 40)), bits=draw(st.sampled_from([32, 64])))
    most = sites - threshold_for(sites)
    count = draw(st.integers(0, most)) if enough else most + 1
    order = draw(st.permutations(range(sites)))
    silent = {phase: frozenset() for phase in PHASES}
    for seat in order[:count]:
        silent[draw(st.sampled_from(PHASES))] |= {seat}
    return session, silent


@settings(max_examples=60, deadline=None)
@given(rounds(enough=True))
def test_the_secure_sum_is_the_plain_sum_whoever_vanishes_when(case):
    session, silent = case
    play = Play(session, silent=silent)
    total = play.run()
    sent_nothing = silent[Phase.ADVERTISE] | silent[Phase.SHARE] | silent[Phase.UPLOAD]
    assert play.server.survivors == tuple(seat for seat in session.seats if seat not in sent_nothing)
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert play.replayed().tolist() == total.tolist()
    assert not play.server.faults
    assert not play.problems


@settings(max_examples=40, deadline=None)
@given(rounds(enough=False))
def test_with_one_site_too_few_there_is_no_sum(case):
    session, silent = case
    play = Play(session, silent=silent)
    with pytest.raises(Refused, match="needed"):
        play.run()
    assert play.server.total is None
    exchange, uploads = play.server.exchange(), play.server.uploads()
    assert (
        leaves(exchange, tuple(uploads), uploads.__getitem__) == play.server.leaves()
    )  # a failed round is checked too
    with pytest.raises(Refused):
        play.replayed()


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(3, 7))
def test_the_order_in_which_sites_answer_changes_nothing(chance, sites):
    def shuffled(_, seats):
        return chance.sample(seats, len(seats))

    straight, mixed = Play(a_session(sites)), Play(a_session(sites), order=shuffled)
    assert straight.run().tolist() == mixed.run().tolist()
    assert sorted(straight.heard) == sorted(mixed.heard)
    assert straight.server.exchange() == mixed.server.exchange()


def test_a_site_that_starts_again_says_the_same_bytes():
    first, second = Play(a_session(5)), Play(a_session(5))
    first.run()
    second.memories = first.memories
    second.run()
    assert first.heard == second.heard


def test_another_round_shares_no_key_share_or_mask_with_this_one():
    one, other = Play(a_session(4, round=1)), Play(a_session(4, round=2))
    one.run()
    other.run()
    said = {message for _, _, message in one.heard}
    assert said.isdisjoint(message for _, _, message in other.heard)
    keys = set(one.server._mask_keys.values())
    assert keys.isdisjoint(other.server._mask_keys.values())


def test_every_site_keeps_a_receipt_for_its_place_in_the_tree():
    play = Play(a_session(5), silent={Phase.UPLOAD: frozenset({3})})
    play.run()
    tree = merkle.Tree(play.server.leaves())
    for seat, client in play.clients.items():
        if seat == 3:
            assert client.receipt is None
            assert play.server.leaves()[seat] == merkle.EMPTY
            continue
        receipt = client.receipt
        assert receipt is not None
        struct = sign.Receipt(JOB, 0, seat, receipt.leaf)
        assert sign.verify(COORDINATOR.address, sign.digest(play.session.domain, struct), receipt.signature)
        proof = tree.proof(seat)
        assert merkle.verify(tree.root, receipt.leaf, position=seat, siblings=proof, size=5)
    uploads = play.server.uploads()
    assert leaves(play.server.exchange(), tuple(uploads), uploads.__getitem__) == play.server.leaves()


def test_the_server_says_for_whom_it_waits():
    session = a_session(4)
    server = Server(session, COORDINATOR)
    assert not server.ready
    assert server.waiting_for == (0, 1, 2, 3)
    for seat in (2, 0, 1):
        server.receive(seat, a_client(session, seat).advertise())
    assert server.waiting_for == (3,)
    assert not server.ready
    server.receive(3, a_client(session, 3).advertise())
    assert server.ready
    server.advance()
    assert server.waiting_for == (0, 1, 2, 3)


def test_a_message_sent_twice_counts_once_and_an_upload_gets_its_receipt_again():
    play = Play(a_session(4))
    play.until(Phase.UPLOAD)
    again = [body for phase, seat, body in play.heard if phase is Phase.UPLOAD and seat == 2]
    first = [body for phase, seat, body in play.told if phase is Phase.UPLOAD and seat == 2]
    assert play.server.receive(2, again[0]) == first[-1:]
    play.close()
    assert not play.server.faults
    assert play.server.survivors == (0, 1, 2, 3)


def test_a_message_that_came_late_is_passed_over():
    play = Play(a_session(4))
    play.until(Phase.SHARE)
    play.server._raw[Phase.SHARE].pop(1)  # as if it were still on its way
    late = next(body for phase, seat, body in play.heard if phase is Phase.ADVERTISE and seat == 1)
    assert play.server.receive(1, late) == []
    assert not play.server.faults
    assert play.server.waiting_for == (1,)


def test_a_round_that_is_over_hears_nobody_and_cannot_be_advanced():
    play = Play(a_session(3))
    play.run()
    assert play.server.receive(0, play.heard[0][2]) == []
    assert not play.server.ready
    assert play.server.waiting_for == ()
    with pytest.raises(Misuse, match="over"):
        play.server.advance()


def test_a_stranger_is_not_heard():
    server = Server(a_session(3), COORDINATOR)
    assert server.receive(9, b"anything") == []
    assert not server.faults


def test_an_agreement_kept_for_the_job_says_the_same_as_the_bare_key():
    session, kept = a_session(3), Agreement(secret("agreement", 1))
    one = Play(session)
    one.run()
    other = Play(session)
    other.clients[1] = Client(
        session,
        1,
        a_vector(session, 1),
        signer=signer_of(1),
        agreement=kept,
        entropy=KeyedEntropy(secret("entropy", 1)),
        remember=lambda what, digest: None,
    )
    other.run()
    assert one.heard == other.heard


def test_a_client_needs_its_own_keys_and_a_vector_that_fits():
    session = a_session(3)
    good = {
        "signer": signer_of(1),
        "agreement": secret("agreement", 1),
        "entropy": KeyedEntropy(secret("entropy", 1)),
        "remember": lambda what, digest: None,
    }
    vector = a_vector(session, 1)
    assert Client(session, 1, vector, **good).step is Step.NEW
    for seat, given_vector, change in (
        (1, vector, {"signer": signer_of(2)}),
        (1, vector, {"agreement": secret("agreement", 2)}),
        (2, vector, {}),
        (7, vector, {}),
        (1, vector[:-1], {}),
        (1, vector.astype(np.uint32), {}),
    ):
        with pytest.raises(Misuse):
            Client(session, seat, given_vector, **{**good, **change})
    twice = Client(session, 1, vector, **good)
    twice.advertise()
    with pytest.raises(Misuse, match="once"):
        twice.advertise()
    with pytest.raises(Misuse, match="another coordinator"):
        Server(session, signer_of(0))
