"""Whoever a coordinator names is checked again: shown, claimed, or the coordinator's own fault."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from adversary import Memory, reads, secret
from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_messages import Accepted, GramShare, GramSum, GramUpload, Vouch, VouchBy
from caduceus.protocol.gram_opening import TOO_FAR, TOO_LONG
from caduceus.protocol.gram_reading import TWO_REJECTED
from caduceus.protocol.gram_recheck import recheck
from caduceus.protocol.gram_server import Phase
from caduceus.protocol.secagg_intake import SECOND, Fault
from gram_play import GramPlay, a_plan, report_of, rows_of, said_by

CHEAT = 2
AGGREGATOR = 4
"""The number of aggregator 0 in a round of four sites."""

UPLOAD = canon.tag_of(GramUpload)


def rechecked(play, exchange=None):
    record = canon.unpack(GramExchange, canon.pack(exchange or play.server.exchange()))
    return recheck(record, play.plan, play.server.uploads().__getitem__)


def shown(play):
    return [(one.fault.seat, one.fault.why, one.is_shown) for one in rechecked(play)]


def named_for(play, seat, due, why, evidence=b""):
    """The record with one more fault in it."""
    exchange = play.server.exchange()
    return replace(exchange, faults=(*exchange.faults, Fault(seat, due, why, evidence)))


def played(**given):
    play = GramPlay(a_plan(), **given)
    with suppress(Refused):
        play.run()
    return play


@pytest.mark.parametrize(("by", "why"), [(1 << 18, TOO_LONG), (1 << 33, TOO_FAR)])
def test_a_broken_bound_is_shown(by, why):
    play = GramPlay(a_plan(), rows=lambda plan, dealer: rows_of(plan, dealer) + np.uint64(by * (dealer == CHEAT)))
    play.run()
    assert shown(play) == [(CHEAT, why, True)]


def test_boxes_that_two_aggregators_could_not_open_are_shown():
    play = GramPlay(a_plan())
    for party in (4, 6):
        honest = play.aggregators[party]._seeds
        play.aggregators[party]._seeds = lambda told, honest=honest: None if told.upload.seat == CHEAT else honest(told)
    play.run()
    assert shown(play) == [(CHEAT, TWO_REJECTED, True)]


@pytest.mark.parametrize("why", [TWO_REJECTED, TOO_FAR, TOO_LONG])
@pytest.mark.parametrize("seat", [0, CHEAT])
def test_a_dealer_that_is_named_for_what_is_not_so_is_the_coordinators_fault(why, seat):
    honest = played()
    with pytest.raises(PeerFault, match=f"the coordinator: names seat {seat} for what the record does not show"):
        rechecked(honest, named_for(honest, seat, UPLOAD, why))


@pytest.mark.parametrize("why", [TWO_REJECTED, TOO_FAR, TOO_LONG])
@pytest.mark.parametrize("phase", [Phase.DEAL, Phase.ACCEPT, Phase.SHARE, Phase.CHECK])
def test_a_dealer_that_is_named_before_anything_could_show_it_is_the_coordinators_fault(why, phase):
    play = GramPlay(a_plan())
    play.until(phase)
    with pytest.raises(PeerFault, match="the coordinator"):
        rechecked(play, named_for(play, CHEAT, UPLOAD, why))


def test_two_uploads_that_a_dealer_signed_are_shown_and_altered_ones_are_not():
    plan = a_plan()
    other = GramPlay(plan, memories={CHEAT: Memory()}).dealers[CHEAT].upload(rows_of(plan, 0), report_of(plan, 0))
    play = GramPlay(plan, liars={CHEAT: lambda phase, _, message: [message, other]})
    play.run()
    assert shown(play) == [(CHEAT, SECOND, True)]
    altered = GramPlay(plan, liars={CHEAT: lambda phase, _, message: [message, message[:-1] + b"\1"]})
    altered.run()
    assert shown(altered) == [(CHEAT, SECOND, False)]
    elsewhere = GramPlay(a_plan(round=4)).dealers[CHEAT].upload(rows_of(plan, 0), report_of(plan, 0))
    replayed = GramPlay(plan, liars={CHEAT: lambda phase, _, message: [message, elsewhere]})
    replayed.run()
    assert shown(replayed) == []  # it may only be late


def test_garbage_from_a_dealer_is_claimed():
    play = GramPlay(a_plan(), liars={CHEAT: lambda phase, _, message: [b"\0\0garbage"]})
    play.run()
    ((seat, _, is_shown),) = shown(play)
    assert (seat, is_shown) == (CHEAT, False)


def twice(phase, kind, change):
    def mischief(now, party, message):
        if now is not phase:
            return [message]
        if kind is VouchBy:
            carried = canon.unpack(VouchBy, message)
            return [message, canon.pack(replace(carried, vouch=said_by(1, change(reads(Vouch, carried.vouch)))))]
        return [message, said_by(1, change(reads(kind, message)))]

    return {AGGREGATOR + 1: mischief}


@pytest.mark.parametrize(
    ("phase", "kind", "change"),
    [
        (Phase.ACCEPT, Accepted, lambda one: replace(one, told=bytes(32))),
        (Phase.SHARE, GramShare, lambda one: replace(one, following=bytes(32))),
        (Phase.VOUCH, VouchBy, lambda one: replace(one, claim=one.claim[::-1].copy())),
        (Phase.SUM, GramSum, lambda one: replace(one, following=bytes(32))),
    ],
)
def test_two_different_messages_that_an_aggregator_signed_are_shown(phase, kind, change):
    play = GramPlay(a_plan(), liars=twice(phase, kind, change))
    play.run()
    assert shown(play) == [(AGGREGATOR + 1, SECOND, True)]


def test_a_second_message_that_it_did_not_sign_is_claimed():
    play = played()
    accepted = reads(Accepted, play.server.exchange().accepted[0])
    tag = canon.tag_of(Accepted)
    for evidence in (said_by(1, accepted), b"", play.server.exchange().accepted[0]):
        (one,) = rechecked(play, named_for(play, AGGREGATOR, tag, SECOND, evidence))
        assert not one.is_shown
    (one,) = rechecked(play, named_for(play, AGGREGATOR, "gram/unknown/1", SECOND, b"x"))
    assert not one.is_shown


@pytest.mark.parametrize(
    ("phase", "kind", "field"), [(Phase.SHARE, GramShare, "following"), (Phase.SUM, GramSum, "following")]
)
def test_a_quarrel_is_in_the_record_and_shows_neither_of_the_two(phase, kind, field):
    def mischief(now, party, message):
        return [said_by(1, replace(reads(kind, message), **{field: bytes(32)})) if now is phase else message]

    play = played(liars={AGGREGATOR + 1: mischief})
    assert [(seat, is_shown) for seat, _, is_shown in shown(play)] == [(6, False), (5, False)]
    honest = played()
    for fault in play.server.faults:
        with pytest.raises(PeerFault, match=r"names aggregator \d for what the record does not show"):
            rechecked(honest, replace(honest.server.exchange(), faults=(fault,)))


def test_an_answer_to_what_the_coordinator_may_have_shown_to_one_alone_is_claimed():
    def mischief(now, party, message):
        return [said_by(1, replace(reads(Accepted, message), told=bytes(32))) if now is Phase.ACCEPT else message]

    play = played(liars={AGGREGATOR + 1: mischief})
    assert shown(play) == [(AGGREGATOR + 1, "accepted another list than it was shown", False)]


def test_a_party_that_there_is_not_cannot_be_named():
    play = played()
    for seat in (-1, 7):
        with pytest.raises(PeerFault, match="which there is not"):
            rechecked(play, named_for(play, seat, UPLOAD, SECOND, secret("x")))
    with pytest.raises(PeerFault, match="another session"):
        recheck(play.server.exchange(), a_plan(round=5), play.server.uploads().__getitem__)


def test_a_round_in_which_nobody_is_named_has_nothing_to_recheck():
    assert rechecked(played()) == ()
