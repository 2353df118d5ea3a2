"""Secure sums of honest sites: exact whoever vanishes, refused when too many do, the same whenever repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import JOB, Memory, Play, a_client, a_session, a_vector, signer_of
from caduceus import canon
from caduceus.crypto import sign
from caduceus.crypto.merkle import EMPTY, leaf
from caduceus.errors import Misuse, Refused
from caduceus.protocol.envelope import Signed
from caduceus.protocol.secagg_client import EXPECTS as SITE_EXPECTS
from caduceus.protocol.secagg_client import Step
from caduceus.protocol.secagg_messages import Consent, Upload, upload_leaf_data
from caduceus.protocol.secagg_replay import leaves, replay
from caduceus.protocol.secagg_server import EXPECTS, Phase, Server
from caduceus.protocol.secagg_session import threshold_for

PHASES = [Phase.ADVERTISE, Phase.SHARE, Phase.UPLOAD, Phase.CONSENT, Phase.OPEN]


def replayed(play):
    uploads = play.server.uploads()
    return replay(play.server.exchange(), uploads.__getitem__)


# ---------------------------------------------------------------- laws


@st.composite
def leaving(draw):
    """A number of sites, and who goes silent in which phase, not so many that the threshold is missed."""
    sites = draw(st.integers(3, 9))
    may_leave = sites - threshold_for(sites)
    leavers = draw(st.lists(st.integers(0, sites - 1), max_size=may_leave, unique=True))
    when = draw(st.lists(st.sampled_from(PHASES), min_size=len(leavers), max_size=len(leavers)))
    return sites, {
        phase: frozenset(seat for seat, at in zip(leavers, when, strict=True) if at is phase) for phase in PHASES
    }


@settings(deadline=None, max_examples=60)
@given(leaving(), st.sampled_from([32, 64]), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_secure_sum_is_the_plain_sum_of_those_whose_upload_is_in(silent, bits, length, shuffle):
    sites, gone = silent
    early = frozenset().union(*(gone[phase] for phase in PHASES[:3]))
    play = Play(
        a_session(sites, length=length, bits=bits),
        silent=gone,
        order=lambda phase, seats: shuffle.sample(seats, len(seats)),
    )
    total = play.run()
    staying = [seat for seat in range(sites) if seat not in early]
    assert total.tolist() == play.plain_sum(staying)
    assert play.server.survivors == tuple(staying)
    assert replayed(play).tolist() == total.tolist()
    assert not play.problems
    assert not play.server.faults


@settings(deadline=None, max_examples=25)
@given(st.integers(3, 8), st.sampled_from(PHASES), st.data())
def test_one_site_too_few_in_any_phase_and_no_sum_exists(sites, phase, data):
    too_many = sites - threshold_for(sites) + 1
    gone = data.draw(st.sets(st.integers(0, sites - 1), min_size=too_many, max_size=too_many))
    play = Play(a_session(sites), silent={phase: frozenset(gone)})
    with pytest.raises(Refused, match="are needed"):
        play.run()
    assert play.server.total is None
    with pytest.raises(Refused, match=r"are needed|no survivors"):
        replayed(play)


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 6), max_size=2))
def test_the_order_in_which_sites_answer_changes_nothing_that_is_recorded(shuffle, gone):
    session, silent = a_session(7), {Phase.UPLOAD: frozenset(gone)}
    plain = Play(session, silent=silent)
    shuffled = Play(session, silent=silent, order=lambda phase, seats: shuffle.sample(seats, len(seats)))
    assert plain.run().tolist() == shuffled.run().tolist()
    assert canon.pack(plain.server.exchange()) == canon.pack(shuffled.server.exchange())
    assert plain.server.uploads() == shuffled.server.uploads()
    assert plain.server.leaves() == shuffled.server.leaves()


def test_vectors_longer_than_a_piece_of_keystream_come_out_right():
    play = Play(a_session(4, length=20_000), silent={Phase.UPLOAD: frozenset({2})})
    assert play.run().tolist() == play.plain_sum([0, 1, 3])


# ---------------------------------------------------------------- scripted stories


def test_two_sites_vanish_before_unmasking_and_the_rest_is_summed():
    play = Play(a_session(7), silent={Phase.UPLOAD: frozenset({1}), Phase.OPEN: frozenset({4})})
    assert play.run().tolist() == play.plain_sum([0, 2, 3, 4, 5, 6])
    assert play.server.survivors == (0, 2, 3, 4, 5, 6)


def test_a_site_that_is_gone_for_good_may_sit_in_any_seat():
    for gone in range(4):
        play = Play(a_session(4), silent={Phase.ADVERTISE: frozenset({gone})})
        assert play.run().tolist() == play.plain_sum([seat for seat in range(4) if seat != gone])


def test_the_server_knows_for_whom_it_waits():
    play = Play(a_session(4))
    assert play.server.waiting_for == (0, 1, 2, 3)
    for seat in (2, 0, 3):
        play.server.receive(seat, play.clients[seat].advertise())
    assert not play.server.ready
    assert play.server.waiting_for == (1,)
    play.server.receive(1, play.clients[1].advertise())
    assert play.server.ready
    assert play.server.waiting_for == ()


def test_a_round_that_is_over_goes_no_further():
    play = Play(a_session(3))
    play.run()
    assert play.server.phase is Phase.DONE
    assert not play.server.ready
    with pytest.raises(Misuse, match="over"):
        play.server.advance()


def test_every_upload_is_answered_with_a_receipt_that_stands_on_the_chain():
    session = a_session(4)
    play = Play(session, silent={Phase.UPLOAD: frozenset({3})})
    play.run()
    for seat in range(3):
        receipt = play.clients[seat].receipt
        upload = canon.unpack(Signed, play.server.uploads()[seat])
        body = canon.digest_bytes(upload.body)
        assert (
            receipt.leaf == leaf(upload_leaf_data(JOB, 0, seat, body, upload.signature)) == play.server.leaves()[seat]
        )
        assert sign.verify(
            session.coordinator,
            sign.digest(session.domain, sign.Receipt(JOB, 0, seat, receipt.leaf)),
            receipt.signature,
        )
        assert sign.verify(
            signer_of(seat).address, sign.digest(session.domain, sign.Upload(JOB, 0, seat, body)), upload.signature
        )
    assert play.clients[3].receipt is None
    assert play.server.leaves()[3] == EMPTY
    exchange, uploads = play.server.exchange(), play.server.uploads()
    assert leaves(exchange, tuple(uploads), uploads.__getitem__) == play.server.leaves()


def test_the_leaf_is_what_the_contract_hashes():
    eth_abi = pytest.importorskip("eth_abi")
    body, signature = bytes(range(32)), bytes(65)
    expected = eth_abi.encode(
        ["bytes32", "uint256", "uint256", "bytes32", "bytes32"],
        [JOB, 7, 3, body, canon.digest_bytes(signature)],
    )
    assert upload_leaf_data(JOB, 7, 3, body, signature) == expected


# ---------------------------------------------------------------- doing it again


def test_sites_that_start_again_with_the_same_memory_repeat_the_same_bytes():
    session = a_session(5)
    first = Play(session, silent={Phase.UPLOAD: frozenset({2})})
    total = first.run()
    again = Play(session, silent={Phase.UPLOAD: frozenset({2})}, memories=first.memories)
    assert again.run().tolist() == total.tolist()
    assert again.heard == first.heard
    assert again.told == first.told
    assert canon.pack(again.server.exchange()) == canon.pack(first.server.exchange())


def test_the_same_sites_say_nothing_alike_in_another_round_or_from_another_state():
    heard = set()
    for session in (a_session(3), a_session(3, round=1), a_session(3, state=bytes(32)), a_session(3, length=6)):
        play = Play(session)
        play.run()
        said = {body for _, _, body in play.heard}
        assert not heard & said
        heard |= said


def test_an_upload_that_came_twice_gets_its_receipt_twice_and_counts_once():
    play = Play(a_session(4), sites={1: lambda phase, seat, message: [message, message]})
    assert play.run().tolist() == play.plain_sum(range(4))
    assert not play.server.faults


def test_a_message_that_comes_late_is_passed_over():
    play = Play(a_session(4), silent={Phase.ADVERTISE: frozenset({3})})
    late = a_client(play.session, 3).advertise()
    for seat in range(3):
        play.server.receive(seat, play.clients[seat].advertise())
    play.server.advance()
    assert play.server.receive(3, late) == []
    assert not play.server.faults
    assert play.server.waiting_for == (0, 1, 2)


# ---------------------------------------------------------------- what the messages give away


def chi_square(values):
    counts = np.bincount(values, minlength=256)
    expected = len(values) / 256
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("bits", [32, 64])
def test_masked_vectors_look_uniform_in_every_byte_and_unmasked_ones_do_not(bits):
    # 255 degrees of freedom: above 390 has probability 1e-7 for a uniform lane; the inputs are fixed.
    session = a_session(4, length=20_000, bits=bits)
    width = bits // 8
    plain = np.arange(session.length, dtype=f"<u{width}") % 100
    play = Play(session)
    for seat in session.seats:
        play.clients[seat] = a_client(session, seat, vector=plain)
    total = play.run()
    assert total.tolist() == [4 * (i % 100) for i in range(session.length)]
    for data in play.server.uploads().values():
        masked = canon.unpack(Upload, canon.unpack(Signed, data).body).vector
        lanes = np.frombuffer(masked.tobytes(), np.uint8).reshape(-1, width)
        assert all(chi_square(lanes[:, lane]) < 390 for lane in range(width))
    lanes = np.frombuffer(plain.tobytes(), np.uint8).reshape(-1, width)
    assert all(chi_square(lanes[:, lane]) > 390 for lane in range(width))


def test_a_vector_is_left_as_it_was():
    session = a_session(3)
    vector = a_vector(session, 0)
    before = vector.tolist()
    play = Play(session)
    play.clients[0] = a_client(session, 0, Memory(), vector)
    play.run()
    assert vector.tolist() == before


# ---------------------------------------------------------------- the tables


def test_every_phase_has_one_kind_of_message_and_every_step_its_own():
    assert list(EXPECTS) == PHASES
    assert len(set(EXPECTS.values())) == len(PHASES)
    assert EXPECTS[Phase.CONSENT] == canon.tag_of(Consent)
    waiting = set(Step) - {Step.NEW, Step.OPENED}
    assert set(SITE_EXPECTS) == {step for step in waiting if step.name != "STOPPED"}


def test_a_client_or_server_with_the_wrong_keys_is_misuse():
    session = a_session(3)
    with pytest.raises(Misuse, match="another coordinator"):
        Server(session, signer_of(0))
    with pytest.raises(Misuse, match="the session asks for"):
        a_client(session, 0, vector=np.zeros(4, "<u8"))
    with pytest.raises(Misuse, match="the session asks for"):
        a_client(session, 0, vector=np.zeros(5, "<u4"))
    client = a_client(session, 0)
    client.advertise()
    with pytest.raises(Misuse, match="once"):
        client.advertise()
