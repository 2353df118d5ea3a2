"""Dealers that cheat: they are out and named, whatever they choose, and the rest of the round is exact."""

from dataclasses import replace

import numpy as np
import pytest

from adversary import Memory, reads, secret
from caduceus import canon
from caduceus.crypto import projections, rss
from caduceus.errors import Refused
from caduceus.protocol import gram_boxes, gram_upload, secagg_upload
from caduceus.protocol.gram_messages import Accepted, Agreed, Dealing, GramUpload, Loan, Shares
from caduceus.protocol.gram_opening import TOO_FAR, TOO_LONG
from caduceus.protocol.gram_reading import TWO_REJECTED
from caduceus.protocol.gram_server import Phase
from gram_play import GramPlay, a_plan, entropy_of, report_of, rows_of, signer_of

CHEAT = 2


def upload_of(plan, dealer, *, dealing=None, rows=None):
    """An upload that its dealer signed, with something wrong in it."""
    made = GramPlay(plan, memories={dealer: Memory()}).dealers[dealer]
    message = made.upload(rows_of(plan, dealer) if rows is None else rows, report_of(plan, dealer))
    if dealing is None:
        return message
    told = gram_upload.read(message, plan, dealer).told
    tail = canon.pack(dealing(told.dealing))
    fresh, place = gram_upload.blank(plan, dealer, tail)
    place[:] = gram_upload.read(message, plan, dealer).correction
    record = replace(told.upload, dealing=canon.digest_bytes(tail))
    gram_upload.finish(fresh, record, plan, signer_of(plan.ground.name_of(dealer)))
    return bytes(fresh)


def sends(upload):
    return {CHEAT: lambda phase, _, message: [upload]}


def other_seeds(plan, k):
    """A box for aggregator k that opens, to seeds that nobody committed to."""
    receiver = plan.aggregators[k]
    kem, junk = plan.ground.aggregators[k].kem, secret("junk") * 2
    return gram_boxes.write(junk, kem, context=plan.id, sender=CHEAT, receiver=receiver)


def spoiled_boxes(plan, *which, how):
    def spoil(dealing):
        boxes = list(dealing.boxes)
        for k in which:
            boxes[k] = other_seeds(plan, k) if how == "other" else bytes(len(boxes[k]))
        return replace(dealing, boxes=tuple(boxes))

    return spoil


def assert_out(play, why, inside=(0, 1, 3)):
    """The cheat is out and named with evidence that a stranger finds as well; the others' sum is the plain one."""
    total = play.run()
    gram, plain = play.plain(inside)
    assert play.server.products.raw.tolist() == gram.tolist()
    assert total.view(np.int64).tolist() == plain.tolist()
    assert play.server.summed == tuple(inside)
    assert play.named() == [(play.plan.ground.name_of(CHEAT), why)]
    again = play.replayed()
    assert again.total.tolist() == total.tolist()
    assert again.faults == tuple(play.server.faults)
    assert play.problems.keys() <= {CHEAT}  # its receipt is for what it sent
    return play.server.faults[0]


# ---------------------------------------------------------------- boxes


@pytest.mark.parametrize("how", ["other", "junk"])
@pytest.mark.parametrize("k", range(3))
def test_a_box_that_does_not_open_at_one_aggregator_is_made_up_for_by_the_others(k, how):
    plan = a_plan()
    play = GramPlay(plan, liars=sends(upload_of(plan, CHEAT, dealing=spoiled_boxes(plan, k, how=how))))
    total = play.run()
    gram, plain = play.plain(plan.dealers)
    assert play.server.products.raw.tolist() == gram.tolist()
    assert total.view(np.int64).tolist() == plain.tolist()
    assert not play.server.faults  # whether box or aggregator was bad, nobody can tell
    assert play.replayed().total.tolist() == total.tolist()
    lenders = {party for phase, party, body in play.heard if phase is Phase.LEND and reads(Loan, body).dealers}
    assert lenders == set(plan.aggregators) - {plan.aggregators[k]}
    assert len(play.server.exchange().loans) == 2


@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_boxes_that_do_not_open_at_two_aggregators_put_their_dealer_out(pair):
    plan = a_plan()
    play = GramPlay(plan, liars=sends(upload_of(plan, CHEAT, dealing=spoiled_boxes(plan, *pair, how="other"))))
    fault = assert_out(play, TWO_REJECTED)
    said = [reads(Accepted, one) for one in canon.unpack(Agreed, fault.evidence).accepted]
    assert [one.rejected for one in said] == [(CHEAT,) if k in pair else () for k in range(3)]
    assert Phase.LEND not in {phase for phase, *_ in play.heard}


@pytest.mark.parametrize("component", range(3))
def test_a_commitment_that_its_seed_does_not_open_puts_its_dealer_out(component):
    """Both holders of the component see it, so that shares are consistent with one another by what was committed to."""
    plan = a_plan()

    def spoil(dealing):
        commitments = list(dealing.commitments)
        commitments[component] = rss.commit(secret("another"))
        return replace(dealing, commitments=tuple(commitments))

    play = GramPlay(plan, liars=sends(upload_of(plan, CHEAT, dealing=spoil)))
    fault = assert_out(play, TWO_REJECTED)
    said = [reads(Accepted, one) for one in canon.unpack(Agreed, fault.evidence).accepted]
    assert [k for k in range(3) if said[k].rejected] == [k for k in range(3) if component in rss.holds(k)]


def test_several_dealers_fail_at_several_aggregators_and_each_is_dealt_with_by_itself():
    plan = a_plan(6, 1, site_rows=2)
    spoil = {0: (0,), 1: (1, 2), 3: (2,), 4: (2,), 6: (1,)}
    liars = {
        dealer: lambda phase, party, message, which=which: [
            upload_of(plan, party, dealing=spoiled_boxes(plan, *which, how="junk"))
        ]
        for dealer, which in spoil.items()
    }
    play = GramPlay(plan, liars=liars)
    total = play.run()
    gram, plain = play.plain([0, 2, 3, 4, 5, 6])
    assert play.server.products.raw.tolist() == gram.tolist()
    assert total.view(np.int64).tolist() == plain.tolist()
    assert play.named() == [("seat 1", TWO_REJECTED)]
    assert play.replayed().total.tolist() == total.tolist()


def test_a_dealing_copied_from_another_dealer_opens_nowhere():
    """Its boxes are sealed under the sender's number: who copies shares that it cannot read is out."""
    plan = a_plan()
    copied = gram_upload.read(upload_of(plan, 0), plan, 0)
    fresh, place = gram_upload.blank(plan, CHEAT, copied.told.tail)
    place[:] = copied.correction
    gram_upload.finish(fresh, replace(copied.told.upload, seat=CHEAT), plan, signer_of("seat 2"))
    assert_out(GramPlay(plan, liars=sends(bytes(fresh))), TWO_REJECTED)


# ---------------------------------------------------------------- bounds


def with_entries(values):
    def rows(plan, dealer):
        table = rows_of(plan, dealer)
        if dealer == CHEAT:
            table = table.copy()
            table[-1] = 0
            table[-1, : len(values)] = np.array(values, object).astype(np.uint64)
        return table

    return rows


@pytest.mark.parametrize("values", [[1 << 32], [1 << 63], [1 << 40, 1 << 40], [3 << 32, 1], [(1 << 64) - (1 << 33)]])
@pytest.mark.parametrize("length", [5, 300])
def test_an_entry_whose_square_wraps_to_something_short_is_found_and_named(values, length):
    """2**32 has square zero in the ring: its norm alone would pass any bound."""
    plan = a_plan(length=length, site_rows=2, bound=1 << 15)
    play = GramPlay(plan, rows=lambda plan, dealer: with_entries(values)(plan, dealer))
    if length > plan.session.buckets:
        play = GramPlay(plan, rows=lambda plan, dealer: halved(with_entries(values), plan, dealer))
    total = play.run()
    assert play.named() == [("seat 2", TOO_FAR)]
    evidence = canon.unpack(Shares, play.server.faults[0].evidence)
    assert evidence.shares == play.server.exchange().shares
    _, plain = play.plain([0, 1, 3])
    assert total.view(np.int64).tolist() == plain.tolist()
    assert play.replayed().faults == tuple(play.server.faults)


def halved(rows, plan, dealer):
    """Rows so far below the bound that those of a small sketch are below it as well; the cheat's as they are."""
    table = rows(plan, dealer)
    return table if dealer == CHEAT else (table.view(np.int64) // 2).view(np.uint64)


@pytest.mark.parametrize("over", [1, 100, 1 << 12])
def test_a_row_above_the_bound_is_named_by_its_opened_norm(over):
    plan = a_plan(bound=1 << 14)
    play = GramPlay(plan, rows=with_entries([(1 << 14) + over]))
    fault = assert_out(play, TOO_LONG)
    assert canon.unpack(Shares, fault.evidence).shares == play.server.exchange().shares


def test_a_row_at_the_bound_is_in():
    plan = a_plan(bound=1 << 14)
    play = GramPlay(plan, rows=with_entries([1 << 14]))
    play.run()
    assert play.server.summed == (0, 1, 2, 3)
    assert not play.server.faults


def test_an_evaluator_is_held_to_the_same_bounds():
    plan = a_plan(CHEAT, 2, bound=1 << 14)
    play = GramPlay(plan, rows=with_entries([1 << 20]))
    play.run()
    assert play.named() in ([("evaluator 0", why)] for why in (TOO_LONG, TOO_FAR))  # by the beacon's chance
    assert play.server.judged.present.tolist() == [True, True, False, True]
    assert play.server.summed == (0, 1)


def test_too_few_sites_within_their_bounds_and_no_sum_is_opened():
    plan = a_plan(2, quorum=2)
    play = GramPlay(plan, rows=lambda plan, dealer: rows_of(plan, dealer) + np.uint64(dealer << 20))
    with pytest.raises(Refused, match="only 1 sites are within their bounds, 2 are needed"):
        play.run()
    assert play.named() in ([("seat 1", why)] for why in (TOO_LONG, TOO_FAR))  # by the beacon's chance
    assert play.server.total is None


def test_blinding_entries_out_of_their_range_put_their_dealer_out():
    """They are the dealer's own to choose, so far as nobody is hurt but itself."""
    plan = a_plan()
    dealer = GramPlay(plan).dealers[CHEAT]

    def far(_seed):
        return np.full(projections.COUNT, 1 << 40, np.int64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "blind", far)
        upload = dealer.upload(rows_of(plan, CHEAT), report_of(plan, CHEAT))
    assert_out(GramPlay(plan, liars=sends(upload)), TOO_FAR)


# ---------------------------------------------------------------- what is no upload


def spoiled_uploads():
    plan = a_plan()
    true = upload_of(plan, CHEAT)
    head = secagg_upload.HEAD_BYTES
    yield "garbage", b"\0\0nonsense"
    yield "nothing", b""
    yield "cut short", true[:-1]
    yield "the head alone", true[:head]
    yield "one byte more", true + b"\0"
    yield "another correction", true[:head] + bytes([true[head] ^ 1]) + true[head + 1 :]
    yield "another's", upload_of(plan, 0)
    yield "another round's", upload_of(a_plan(round=4), CHEAT)
    yield "another length", upload_of(a_plan(length=6), CHEAT)
    yield "no boxes", upload_of(plan, CHEAT, dealing=lambda one: replace(one, boxes=(b"", b"", b"")))
    yield "short commitments", upload_of(plan, CHEAT, dealing=lambda one: replace(one, commitments=(b"", b"", b"")))
    yield "no report", upload_of(plan, CHEAT, dealing=lambda one: replace(one, report=()))
    yield "a huge report", upload_of(plan, CHEAT, dealing=lambda one: replace(one, report=(1 << 53, 0)))
    yield "a report below what is unknown", upload_of(plan, CHEAT, dealing=lambda one: replace(one, report=(0, -2)))
    yield "too long", true + bytes(1 << 14)


@pytest.mark.parametrize(("what", "upload"), [pytest.param(*case, id=case[0]) for case in spoiled_uploads()])
def test_what_is_no_upload_is_not_taken_and_its_dealer_is_absent(what, upload):
    play = GramPlay(a_plan(), liars=sends(upload))
    total = play.run()
    _, plain = play.plain([0, 1, 3])
    assert total.view(np.int64).tolist() == plain.tolist()
    # What was meant for another session may only be late: its dealer is absent, and nobody is named.
    assert [who for who, _ in play.named()] == ["seat 2"] * (what not in ("another round's", "another length")), what
    assert CHEAT not in play.server.uploads()
    assert play.replayed().total.tolist() == total.tolist()


def test_of_two_uploads_the_first_stands_and_the_second_is_named():
    plan = a_plan()
    other = GramPlay(plan, memories={CHEAT: Memory()}).dealers[CHEAT].upload(rows_of(plan, 0), report_of(plan, 0))
    play = GramPlay(plan, liars={CHEAT: lambda phase, _, message: [message, other, message]})
    total = play.run()
    assert total.view(np.int64).tolist() == play.plain(plan.dealers)[1].tolist()
    assert play.named() == [("seat 2", "sent two different messages where one was due")]
    assert play.server.faults[0].evidence == other[: secagg_upload.HEAD_BYTES]


def test_an_upload_that_comes_late_is_passed_over():
    play = GramPlay(a_plan(), silent={Phase.DEAL: frozenset({CHEAT})})
    late = play.dealers[CHEAT].upload(rows_of(play.plan, CHEAT), report_of(play.plan, CHEAT))
    play.until(Phase.ACCEPT)
    assert play.server.receive(CHEAT, late) == []
    while not play.server.is_over:
        play.answer(play.close())
    assert play.server.summed == (0, 1, 3)
    assert not play.server.faults


def test_strangers_are_not_heard():
    play = GramPlay(a_plan())
    upload = play.dealers[0].upload(rows_of(play.plan, 0), report_of(play.plan, 0))
    for party in (-1, 7, 99):
        assert play.server.receive(party, upload) == []
    assert not play.server.faults


def test_a_dealer_draws_its_secrets_from_its_entropy_alone():
    plan = a_plan()
    same = upload_of(plan, CHEAT), upload_of(plan, CHEAT)
    one, other = (gram_upload.read(data, plan, CHEAT) for data in same)
    assert one.told.dealing.commitments == other.told.dealing.commitments
    assert one.correction.tolist() == other.correction.tolist()
    assert one.told.dealing.boxes != other.told.dealing.boxes  # which is why they are kept
    seeds = [entropy_of(CHEAT).derive(f"gram/seed/{k}", plan.id, b"another table", size=32) for k in range(3)]
    assert {rss.commit(seed) for seed in seeds}.isdisjoint(one.told.dealing.commitments)
    assert isinstance(one.told.dealing, Dealing)
    assert isinstance(one.told.upload, GramUpload)
