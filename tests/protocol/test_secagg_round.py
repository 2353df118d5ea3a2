"""Secure sums of honest sites: exact whoever vanishes, refused when too many do, the same whenever repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import (
    COORDINATOR,
    DOMAIN,
    JOB,
    Memory,
    Play,
    SetupPlay,
    a_client,
    a_setup,
    a_vector,
    full,
    prepared,
    signer_of,
    sum_of,
)
from caduceus import canon
from caduceus.crypto import keystream, merkle, sign
from caduceus.errors import Refused
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.envelope import kind_of
from caduceus.protocol.secagg_client import EXPECTS as SITE_EXPECTS
from caduceus.protocol.secagg_client import Step
from caduceus.protocol.secagg_messages import Consent, Opening, Receipt, Upload, upload_leaf_data
from caduceus.protocol.secagg_plan import Family, Plan, threshold_for
from caduceus.protocol.secagg_server import EXPECTS, Phase, Server
from caduceus.protocol.secagg_setup_server import SetupPhase

PHASES = [Phase.UPLOAD, Phase.CONSENT, Phase.OPEN]


def shuffled(shuffle):
    return lambda phase, seats: shuffle.sample(seats, len(seats))


def silenced(leavers, when):
    return {phase: frozenset(seat for seat, at in zip(leavers, when, strict=True) if at is phase) for phase in PHASES}


def assert_sums(play, total, staying):
    """A round in which nobody lied: the sum is the plain one, and a stranger computes the same."""
    assert total.tolist() == play.plain_sum(staying)
    assert play.server.survivors == play.server.summed == tuple(staying)
    assert {at: one.tolist() for at, one in play.replayed().items()} == {0: total.tolist()}
    assert not play.problems
    assert not play.server.faults


# ---------------------------------------------------------------- laws


@st.composite
def leaving(draw):
    """A number of sites, and who goes silent in which phase, not so many that the threshold is missed."""
    sites = draw(st.integers(3, 10))
    may_leave = sites - threshold_for(sites)
    leavers = draw(st.lists(st.integers(0, sites - 1), max_size=may_leave, unique=True))
    when = draw(st.lists(st.sampled_from(PHASES), min_size=len(leavers), max_size=len(leavers)))
    return sites, silenced(leavers, when)


@settings(deadline=None, max_examples=60)
@given(leaving(), st.sampled_from([32, 64]), st.integers(1, 40), st.integers(0, 1), st.randoms(use_true_random=False))
def test_the_secure_sum_is_the_plain_sum_of_those_whose_upload_is_in(leavers, bits, length, round, shuffle):
    sites, silent = leavers
    stage = prepared(sites)
    session = stage.session(length=length, bits=bits, round=round)
    play = Play(stage=stage, session=session, silent=silent, order=shuffled(shuffle))
    assert_sums(play, play.run(), [seat for seat in range(sites) if seat not in silent[Phase.UPLOAD]])


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 10), st.sampled_from(PHASES), st.data())
def test_one_site_too_few_in_any_phase_and_no_sum_exists(sites, phase, data):
    too_many = sites - threshold_for(sites) + 1
    gone = data.draw(st.sets(st.integers(0, sites - 1), min_size=too_many, max_size=too_many))
    play = Play(stage=prepared(sites), silent={phase: frozenset(gone)})
    with pytest.raises(Refused, match="are needed"):
        play.run()
    assert not play.server.totals
    assert play.server.summed == ()
    with pytest.raises(Refused, match=r"are needed|failed before"):
        play.replayed()
    with pytest.raises(Refused, match="are needed"):
        play.server.advance()  # asked again, it says the same


@settings(deadline=None, max_examples=15)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 6), max_size=2))
def test_the_order_in_which_sites_answer_changes_nothing_that_is_recorded(shuffle, gone):
    silent = {Phase.UPLOAD: frozenset(gone)}
    plain = Play(stage=prepared(7), silent=silent)
    mixed = Play(stage=prepared(7), silent=silent, order=shuffled(shuffle))
    assert plain.run().tolist() == mixed.run().tolist()
    assert canon.pack(plain.server.exchange()) == canon.pack(mixed.server.exchange())
    assert plain.server.uploads() == mixed.server.uploads()
    assert plain.server.leaves() == mixed.server.leaves()


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("length", [1, 2, 3, 20_000, 40_001])
def test_vectors_of_any_length_come_out_right(bits, length):
    """Also one that is longer than a piece of keystream, and one that ends within a block of it."""
    stage = prepared(4)
    play = Play(stage=stage, session=stage.session(length=length, bits=bits), silent={Phase.UPLOAD: frozenset({2})})
    assert_sums(play, play.run(), [0, 1, 3])


def test_several_threads_give_the_same_bytes_as_one(monkeypatch):
    monkeypatch.setattr(keystream, "_WORTH_THREADS", 0)
    monkeypatch.setattr(keystream, "_SPAN_BYTES", 16)
    stage = prepared(5)
    session = stage.session(length=1001)
    gone = {Phase.UPLOAD: frozenset({3})}
    alone, together = (Play(stage=stage, session=session, silent=gone) for _ in range(2))
    together.server = Server(session, stage.foundation, COORDINATOR, threads=3)
    alone.run()
    spoken = {seat: [site.upload(a_vector(session, seat), threads=4)] for seat, site in together.clients.items()}
    while together.server.phase is not Phase.DONE:
        together._answer(spoken)
        spoken = together.close()
    assert together.heard == alone.heard
    assert_sums(together, sum_of(together.server.totals), [0, 1, 2, 4])


# ---------------------------------------------------------------- several rounds of one set-up


@pytest.mark.parametrize("bits", [32, 64])
def test_whoever_is_silent_in_one_round_is_in_the_next(bits):
    stage = prepared(5, rounds=8)
    for number in range(8):
        gone, phase = number % 5, PHASES[number % 3]
        session = stage.session(round=number, bits=bits, length=3 + number)
        play = Play(stage=stage, session=session, silent={phase: frozenset({gone})})
        assert_sums(play, play.run(), [seat for seat in range(5) if phase is not Phase.UPLOAD or seat != gone])


def test_a_round_that_failed_leaves_the_next_one_whole():
    stage = prepared(4)
    failed = Play(stage=stage, silent={Phase.OPEN: frozenset({0, 1})})
    with pytest.raises(Refused, match="are needed"):
        failed.run()
    play = Play(stage=stage, session=stage.session(round=1))
    assert_sums(play, play.run(), range(4))


def test_the_rounds_of_a_setup_need_not_begin_with_the_first_of_the_job():
    stage = SetupPlay(setup=a_setup(4, first=40, rounds=3)).run()
    for number in (42, 40):
        play = Play(stage=stage, session=stage.session(round=number))
        assert_sums(play, play.run(), range(4))
    for number in (39, 43, 0):
        with pytest.raises(Refused, match="is not one of the 3 from 40"):
            Play(stage=stage, session=stage.session(round=number))


@pytest.mark.parametrize("phase", [SetupPhase.ADVERTISE, SetupPhase.DEAL, SetupPhase.CONFIRM], ids=lambda one: one.name)
@pytest.mark.parametrize("gone", [0, 3, 6])
def test_a_site_that_never_got_ready_is_missed_by_no_round(phase, gone):
    """Shares keep the place of their holder in the whole committee, also where another is missing."""
    stage = SetupPlay(setup=a_setup(7), silent={phase: frozenset({gone})}).run()
    ready = [seat for seat in range(7) if seat != gone]
    assert list(stage.foundation.present.seats) == ready == sorted(stage.grounds)
    for number, silent in enumerate(({}, {Phase.UPLOAD: frozenset({ready[2]})})):
        play = Play(stage=stage, session=stage.session(round=number), silent=silent)
        assert_sums(play, play.run(), [seat for seat in ready if not silent or seat != ready[2]])


# ---------------------------------------------------------------- few neighbours, a small committee


PLANS = [
    Plan(12, 4, 5, 4, Family.RING),
    Plan(12, 6, 6, 5, Family.RING),
    Plan(12, 6, 5, 4, Family.RANDOM),
    Plan(12, 9, 7, 5, Family.RANDOM),
    Plan(12, 11, 4, 3, Family.FULL),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.family.name}-{plan.degree}-{plan.committee}")
@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_a_sparse_plan_sums_whoever_uploads_members_and_others_alike(plan, data):
    stage = prepared(12, plan=plan, silent=3)
    members, quorum = stage.foundation.layout.committee, stage.foundation.layout.setup.quorum
    assert len(members) < 12
    gone = data.draw(st.sets(st.integers(0, 11), max_size=12 - quorum))
    staying = [seat for seat in range(12) if seat not in gone]
    early, late = (set(data.draw(st.sets(st.sampled_from(members), max_size=1))) for _ in range(2))
    silent = dict(zip(PHASES, map(frozenset, (gone, early, late)), strict=True))
    play = Play(stage=stage, session=stage.session(length=3, bits=data.draw(st.sampled_from([32, 64]))), silent=silent)
    if len(set(members) - gone - early - late) < plan.threshold:
        with pytest.raises(Refused, match="are needed"):
            play.run()
        assert not play.server.totals
    else:
        assert_sums(play, play.run(), staying)
    outsiders = {seat for _, seat, _ in play.told} - set(members)
    assert outsiders == set(staying) - set(members)
    assert {kind_of(told) for _, seat, told in play.told if seat in outsiders} <= {canon.tag_of(Receipt)}
    assert {seat for phase, seat, _ in play.heard if phase > Phase.UPLOAD} <= set(members)


def test_a_sparse_plan_opens_nothing_where_more_are_missing_than_it_was_made_for():
    """The graph of the rest may have fallen apart, and its parts would be sums of their own."""
    stage = prepared(12, plan=PLANS[0], silent=3)
    members = stage.foundation.layout.committee
    outsiders = [seat for seat in range(12) if seat not in members]
    for missing, works in ((3, True), (4, False)):
        play = Play(stage=stage, silent={Phase.UPLOAD: frozenset(outsiders[:missing])})
        if works:
            assert_sums(play, play.run(), sorted({*members, *outsiders[missing:]}))
        else:
            with pytest.raises(Refused, match="only 8 sites answered with upload, 9 are needed"):
                play.run()


def test_a_site_masks_with_its_neighbours_alone_and_is_recovered_from_them():
    stage = prepared(12, plan=PLANS[0], silent=3)
    for gone in range(12):
        assert len(stage.grounds[gone].pair_seeds) == 4
        play = Play(stage=stage, silent={Phase.UPLOAD: frozenset({gone})})
        assert_sums(play, play.run(), [seat for seat in range(12) if seat != gone])


# ---------------------------------------------------------------- scripted stories


def test_two_sites_vanish_before_unmasking_and_the_rest_is_summed():
    play = Play(stage=prepared(7), silent={Phase.UPLOAD: frozenset({1}), Phase.OPEN: frozenset({4})})
    assert_sums(play, play.run(), [0, 2, 3, 4, 5, 6])


def test_a_site_that_is_gone_may_sit_in_any_seat():
    for gone in range(4):
        play = Play(stage=prepared(4), silent={Phase.UPLOAD: frozenset({gone})})
        assert_sums(play, play.run(), [seat for seat in range(4) if seat != gone])


def test_the_server_knows_whether_it_still_waits():
    play = Play(stage=prepared(4))
    spoken = play.opening()
    for seat in (2, 0, 3):
        play.server.receive(seat, spoken[seat][0])
    assert not play.server.ready
    play.server.receive(1, spoken[1][0])
    assert play.server.ready
    play.close()
    assert not play.server.ready


def test_a_round_is_three_messages_of_a_member_and_one_of_everybody_else():
    stage = prepared(12, plan=PLANS[0], silent=3)
    play = Play(stage=stage)
    play.run()
    said = [[body for _, who, body in play.heard if who == seat] for seat in range(12)]
    members = stage.foundation.layout.committee
    assert [len(one) for one in said] == [3 if seat in members else 1 for seat in range(12)]
    assert {kind_of(said[seat][at]) for seat in members for at in (1, 2)} == {
        canon.tag_of(Consent),
        canon.tag_of(Opening),
    }


def test_every_upload_is_answered_with_a_receipt_that_stands_on_the_chain():
    play = Play(stage=prepared(4), silent={Phase.UPLOAD: frozenset({3})})
    play.run()
    for seat in range(3):
        receipt = play.clients[seat].receipt
        upload = uploads.envelope(play.server.uploads()[seat], who="")
        body = canon.digest_bytes(upload.body)
        data = upload_leaf_data(JOB, 0, seat, body, upload.signature)
        assert receipt.leaf == merkle.leaf(data) == play.server.leaves()[seat]
        said = sign.digest(DOMAIN, sign.Receipt(JOB, 0, seat, receipt.leaf))
        assert sign.verify(COORDINATOR.address, said, receipt.signature)
        said = sign.digest(DOMAIN, sign.Upload(JOB, 0, seat, body))
        assert sign.verify(signer_of(seat).address, said, upload.signature)
        assert canon.unpack(Upload, upload.body).vector == uploads.vector_digest(play.server.uploads()[seat])
    assert play.clients[3].receipt is None
    assert play.server.leaves()[3] == merkle.EMPTY


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
    silent = {Phase.UPLOAD: frozenset({2})}
    first = Play(stage=prepared(5), silent=silent)
    total = first.run()
    again = Play(stage=prepared(5), silent=silent, memories=first.memories)
    assert again.run().tolist() == total.tolist()
    assert again.heard == first.heard
    assert again.told == first.told
    assert canon.pack(again.server.exchange()) == canon.pack(first.server.exchange())


def test_the_same_sites_say_nothing_alike_in_another_round_or_from_another_state():
    heard, stage = set(), prepared(3)
    for differs in ({}, {"round": 1}, {"state": bytes(32)}, {"length": 6}, {"bits": 32}):
        play = Play(stage=stage, session=stage.session(**differs))
        play.run()
        said = {body for _, _, body in play.heard}
        assert not heard & said
        heard |= said


def test_an_upload_that_came_twice_gets_its_receipt_twice_and_counts_once():
    play = Play(stage=prepared(4), sites={1: lambda phase, seat, message: [message, message]})
    assert_sums(play, play.run(), range(4))
    receipts = [told for _, seat, told in play.told if seat == 1 and kind_of(told) == canon.tag_of(Receipt)]
    assert len(receipts) == 2
    assert receipts[0] == receipts[1]


def test_an_upload_that_comes_late_is_passed_over():
    play = Play(stage=prepared(4), silent={Phase.UPLOAD: frozenset({3})})
    late = a_client(play.session, play.stage.grounds[3]).upload(a_vector(play.session, 3))
    play.until(Phase.CONSENT)
    for phase in (Phase.CONSENT, Phase.OPEN):
        assert play.server.phase is phase
        assert play.server.receive(3, late) == []
        assert play.server.ready
        play._answer(play.close())
    assert_sums(play, sum_of(play.server.totals), range(3))


# ---------------------------------------------------------------- the tables


def test_every_phase_has_one_kind_of_message_and_every_step_its_own():
    assert list(EXPECTS) == PHASES
    assert list(EXPECTS.values()) == [canon.tag_of(kind) for kind in (Upload, Consent, Opening)]
    assert set(SITE_EXPECTS) == set(Step) - {Step.NEW, Step.STOPPED}


def test_a_vector_is_left_as_it_was_unless_it_lies_in_the_message():
    stage = prepared(3)
    session = stage.session()
    vector = a_vector(session, 0)
    copied = a_client(session, stage.grounds[0]).upload(vector)
    assert vector.tolist() == a_vector(session, 0).tolist()
    memory = Memory()
    client = a_client(session, stage.grounds[0], memory)
    message, place = client.blank()
    place[:] = vector
    assert client.upload(place, message=message) == copied  # saves the copy, and says the same
    assert place.tobytes() == copied[uploads.HEAD_BYTES :]
    assert place.tolist() != vector.tolist()


def test_a_plan_of_everybody_is_what_small_set_ups_have():
    assert full(5) == Plan(5, 4, 5, 4, Family.FULL)
    assert np.array_equal(prepared(5).foundation.layout.committee, range(5))
