"""A round done again by a stranger: the same to the last bit, or somebody is named."""

from dataclasses import fields, replace

import numpy as np
import pytest

from adversary import reads, secret
from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import gram_upload
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_messages import (
    Accepted,
    Coin,
    GramList,
    GramShare,
    GramSum,
    Loan,
    Pledge,
    Verdict,
    gathered,
    words_digest,
)
from caduceus.protocol.gram_replay import replay, upload_leaf
from caduceus.protocol.gram_server import Phase
from gram_play import GramPlay, a_plan, said_by, told_by_coordinator


def played(**given):
    play = GramPlay(a_plan(4, 2, site_rows=2, public=True, report=1), **given)
    play.run()
    return play


PLAY = played(silent={Phase.DEAL: frozenset({1, 5})})
EXCHANGE = PLAY.server.exchange()
UPLOADS = dict(PLAY.server.uploads())


def again(exchange=EXCHANGE, uploads=UPLOADS, plan=PLAY.plan, judge=None, **given):
    return replay(exchange, plan, uploads.__getitem__, judge or PLAY.rule, **given)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_a_stranger_finds_everything_that_the_round_opened():
    leaves = [merkle.EMPTY] * 4
    found = again(leaves=leaves)
    assert found.total.tolist() == PLAY.server.total.tolist()
    assert found.products.raw.tolist() == PLAY.server.products.raw.tolist()
    assert found.judged.gram.tolist() == PLAY.server.judged.gram.tolist()
    assert found.judged.weights.tolist() == PLAY.server.judged.weights.tolist()
    assert found.listed == PLAY.server.dealers == (0, 2, 3, 4)
    assert found.summed == PLAY.server.summed == (0, 2, 3)
    assert found.faults == ()
    assert leaves == PLAY.server.leaves()
    assert leaves[1] == merkle.EMPTY
    for dealer, data in UPLOADS.items():
        assert upload_leaf(EXCHANGE, PLAY.plan, dealer, data) != merkle.EMPTY


# ---------------------------------------------------------------- flipped bits


def test_one_flipped_bit_anywhere_in_the_exchange_is_found():
    packed = canon.pack(EXCHANGE)
    for at in range(0, len(packed), 29):
        try:
            record = canon.unpack(GramExchange, flipped(packed, at))
        except Refused:
            continue
        with pytest.raises((PeerFault, Refused)):
            again(record)


@pytest.mark.parametrize("dealer", UPLOADS)
def test_one_flipped_bit_anywhere_in_an_upload_is_found(dealer):
    true = UPLOADS[dealer]
    for at in (*range(0, 600, 3), *range(600, len(true), 37), len(true) - 1):
        with pytest.raises(PeerFault, match="the coordinator"):
            upload_leaf(EXCHANGE, PLAY.plan, dealer, flipped(true, at))
    for at in (3, 300, 520, len(true) // 2, len(true) - 1):
        with pytest.raises(PeerFault, match="the coordinator"):
            again(uploads={**UPLOADS, dealer: flipped(true, at)})


# ---------------------------------------------------------------- forged records


def test_a_record_with_messages_swapped_left_out_or_doubled_is_found():
    for name in ("pledges", "accepted", "shares", "coins", "vouches", "verdicts", "sums"):
        given = getattr(EXCHANGE, name)
        for wrong in (given[:2], (*given, given[0]), given[::-1], (given[0], given[0], given[2])):
            with pytest.raises((PeerFault, Refused)):
                again(replace(EXCHANGE, **{name: wrong}))


def test_every_field_of_a_record_is_held_to_something_but_the_coordinators_word_on_faults():
    other = played()
    theirs = other.server.exchange()
    held = {field.name for field in fields(GramExchange)} - {"faults", "session", "objections", "loans"}
    for name in held:
        with pytest.raises(PeerFault, match="the coordinator"):
            again(replace(EXCHANGE, **{name: getattr(theirs, name)}))
    with pytest.raises(PeerFault, match="another session"):
        again(replace(EXCHANGE, session=a_plan(round=5).session))
    with pytest.raises(PeerFault, match="1 loans, 0 were due"):
        again(replace(EXCHANGE, loans=(EXCHANGE.accepted[0],)))
    with pytest.raises(Refused, match="failed"):
        again(replace(EXCHANGE, objections=(b"",)))


def test_another_list_than_the_aggregators_accepted_is_the_coordinators_fault():
    told = reads(GramList, EXCHANGE.told)
    kept = tuple(dealer for dealer in told.dealers if dealer != 3)
    heads = gathered(_head(dealer) for dealer in kept)
    forged = told_by_coordinator(replace(told, dealers=kept, heads=heads))
    with pytest.raises(PeerFault, match="accepted another list"):
        again(replace(EXCHANGE, told=forged))


def _head(dealer):
    return gram_upload.read(UPLOADS[dealer], PLAY.plan, dealer).told.head


def test_an_upload_in_the_place_of_another_is_the_coordinators_fault():
    for dealer, other in ((0, 2), (2, 3), (3, 0)):
        with pytest.raises(PeerFault, match="the coordinator"):
            again(uploads={**UPLOADS, dealer: UPLOADS[other]})
    fresh = played()
    with pytest.raises(PeerFault, match="the coordinator"):
        again(uploads={**UPLOADS, 0: fresh.server.uploads()[0]})  # the same rows in other boxes


def test_evaluators_uploads_are_held_to_the_record():
    assert EXCHANGE.evaluators == (canon.digest_bytes(UPLOADS[4]), None)
    for wrong in ((None, None), EXCHANGE.evaluators[:1], (*EXCHANGE.evaluators, None), EXCHANGE.evaluators[::-1]):
        with pytest.raises(PeerFault, match="evaluator"):
            again(replace(EXCHANGE, evaluators=wrong))


def forged(k, kind, name, change):
    """The record with one aggregator's message changed and signed again by it, as a liar in league would."""
    given = list(getattr(EXCHANGE, name))
    given[k] = said_by(k, change(reads(kind, given[k])))
    return replace(EXCHANGE, **{name: tuple(given)})


def plus(words, at):
    found = words.copy()
    found[at] += np.uint64(1)
    return found


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        (Pledge, "pledges", lambda one: replace(one, coins=(bytes(32), bytes(32)))),
        (Accepted, "accepted", lambda one: replace(one, coin=secret("x"))),
        (Accepted, "accepted", lambda one: replace(one, rejected=(0,))),
        (Accepted, "accepted", lambda one: replace(one, rejected=(1,))),
        (GramShare, "shares", lambda one: replace(one, products=plus(one.products, (0, 0)))),
        (GramShare, "shares", lambda one: replace(one, lengths=plus(one.lengths, (0, 0)))),
        (Coin, "coins", lambda one: replace(one, coin=secret("x"))),
    ],
)
def test_a_message_that_was_changed_later_does_not_fit_what_followed_it(kind, name, change):
    for k in range(3):
        with pytest.raises(PeerFault):
            again(forged(k, kind, name, change))


@pytest.mark.parametrize("k", range(3))
def test_a_sum_that_was_changed_names_its_aggregators(k):
    with pytest.raises(PeerFault, match=f"aggregator {k} or aggregator {(k - 1) % 3}: lied about component {k}"):
        again(forged(k, GramSum, "sums", lambda one: replace(one, part=plus(one.part, 0))))
    other = replace(reads(GramSum, EXCHANGE.sums[k]), weights=np.ones(4, np.int64))
    with pytest.raises(PeerFault, match=f"the coordinator: .*aggregator {k} weighed otherwise"):
        again(replace(EXCHANGE, sums=(*EXCHANGE.sums[:k], said_by(k, other), *EXCHANGE.sums[k + 1 :])))


def test_a_stranger_with_another_rule_finds_that_it_was_not_kept():
    with pytest.raises(PeerFault, match="weighed otherwise than the public rule says"):
        again(judge=lambda gram, reports, present: np.array([1, 0, 1, 1], np.int64))


def test_all_three_aggregators_together_cannot_make_up_a_sum_that_the_products_do_not_bear():
    """They could make up the products as well: that is what three organisations are for."""
    sums = [reads(GramSum, data) for data in EXCHANGE.sums]
    part = plus(sums[0].part, 0)
    lied = [replace(sums[0], part=part), sums[1], replace(sums[2], following=words_digest(part))]
    with pytest.raises(Refused, match="not the one whose square norm"):
        again(replace(EXCHANGE, sums=tuple(said_by(k, one) for k, one in enumerate(lied))))
    far = sums[0].part.copy()
    far[0] += np.uint64(1 << 60)
    lied = [replace(sums[0], part=far), sums[1], replace(sums[2], following=words_digest(far))]
    with pytest.raises(Refused, match="longer than rows within their bounds"):
        again(replace(EXCHANGE, sums=tuple(said_by(k, one) for k, one in enumerate(lied))))


def test_a_sum_without_three_verdicts_is_none_even_if_all_three_opened_it():
    for wrong in (said_by(1, replace(reads(Verdict, EXCHANGE.verdicts[1]), vouches=bytes(32))), EXCHANGE.verdicts[0]):
        verdicts = (EXCHANGE.verdicts[0], wrong, EXCHANGE.verdicts[2])
        sums = (
            said_by(k, replace(reads(GramSum, one), verdicts=gathered(verdicts))) for k, one in enumerate(EXCHANGE.sums)
        )
        with pytest.raises(PeerFault, match=r"the coordinator: .*aggregator 1"):
            again(replace(EXCHANGE, verdicts=verdicts, sums=tuple(sums)))


def test_loans_are_held_to_what_was_due():
    play = GramPlay(a_plan())
    play.aggregators[5]._seeds = lambda told, honest=play.aggregators[5]._seeds: (
        None if told.upload.seat == 2 else honest(told)
    )
    play.run()
    exchange = play.server.exchange()
    assert [reads(Loan, one).dealers for one in exchange.loans] == [(2,), (2,)]
    play.replayed()
    for wrong in ((), exchange.loans[:1], exchange.loans[::-1], (*exchange.loans, exchange.loans[0])):
        with pytest.raises(PeerFault, match="the coordinator"):
            play.replayed(replace(exchange, loans=wrong))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.LEND, Phase.DONE)])
def test_a_round_that_was_not_finished_has_a_record_and_no_sum(phase):
    play = GramPlay(a_plan())
    play.until(phase)
    if phase is Phase.SUM:  # heard, and not closed
        assert play.replayed().total.tolist() == play.plain(range(4))[1].view(np.uint64).tolist()
        return
    with pytest.raises(Refused, match="failed"):
        play.replayed()


def test_a_missing_upload_is_missed():
    def fetch(dealer):
        raise Refused(f"no blob of {dealer}")

    with pytest.raises(Refused, match="no blob of 0"):
        replay(EXCHANGE, PLAY.plan, fetch, PLAY.rule)
    with pytest.raises(PeerFault, match="deals nothing"):
        upload_leaf(EXCHANGE, PLAY.plan, 6, UPLOADS[0])
