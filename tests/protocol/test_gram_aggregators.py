"""One aggregator that lies: the round is void and nothing wrong comes of it; who may have lied is written down."""

from dataclasses import replace

import numpy as np
import pytest

from adversary import reads, secret
from caduceus import canon
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.protocol import gram_boxes, gram_keys
from caduceus.protocol.gram_held import Held
from caduceus.protocol.gram_messages import (
    Accepted,
    Coin,
    GramShare,
    GramSum,
    Loan,
    Objection,
    Pledge,
    Verdict,
    Vouch,
    VouchBy,
)
from caduceus.protocol.gram_server import Phase
from caduceus.protocol.secagg_intake import SECOND
from gram_play import GramPlay, a_plan, said_by

ROWS = {"site_rows": 2, "public": True}
FIRST = 6
"""The number of aggregator 0 in a round of four sites and two evaluators."""


def a_round(**given):
    return GramPlay(a_plan(4, 2, **ROWS), **given)


def tampered(liar, phase, kind, change):
    """Mischief of one aggregator in one phase: its message with other fields, signed by itself."""

    def mischief(now, party, message):
        if now is phase:
            return [said_by(liar, change(reads(kind, message)))]
        return [message]

    return {FIRST + liar: mischief}


def with_word(words, at, by):
    found = words.copy()
    found[at] = (int(found[at]) + by) % 2**64
    return found


def assert_void(play, match, again="failed"):
    with pytest.raises(Refused, match=match):
        play.run()
    assert play.server.total is None
    with pytest.raises((Refused, PeerFault), match=again):
        play.replayed()


# ---------------------------------------------------------------- products


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize(("at", "by"), [((0, 0), 1), ((5, 5), 1 << 63), ((-1, -1), 1 << 40)])
def test_products_that_are_off_by_anything_fail_the_next_aggregators_check(liar, at, by):
    """Also by 2**63, which vanishes modulo 2**64 under every even factor."""
    change = tampered(liar, Phase.SHARE, GramShare, lambda one: replace(one, products=with_word(one.products, at, by)))
    play = a_round(liars=change)
    checker = (liar + 1) % 3
    assert_void(play, f"aggregator {checker} stopped: aggregator {liar} opened products that failed the check")
    (data,) = play.server.exchange().objections
    said = reads(Objection, data)
    assert (said.party, said.about) == (FIRST + checker, FIRST + liar)
    assert not play.server.exchange().sums  # nobody opened its part of the sum


@pytest.mark.parametrize("liar", range(3))
def test_a_lie_that_keeps_the_matrix_symmetric_is_found_as_well(liar):
    def change(one):
        products = with_word(with_word(one.products, (0, 2), 1 << 20), (2, 0), 1 << 20)
        return replace(one, products=products)

    play = a_round(liars=tampered(liar, Phase.SHARE, GramShare, change))
    assert_void(play, f"aggregator {liar} opened products that failed the check")


def test_parts_that_add_up_to_no_inner_products_void_the_round_at_once():
    change = tampered(1, Phase.SHARE, GramShare, lambda one: replace(one, products=with_word(one.products, (0, 1), 1)))
    assert_void(a_round(liars=change), "no matrix of inner products")


@pytest.mark.parametrize("liar", range(3))
def test_a_lie_about_an_absent_party_voids_the_round(liar):
    at = 2 * 3  # the rows of seat 3
    change = tampered(
        liar, Phase.SHARE, GramShare, lambda one: replace(one, products=with_word(one.products, (at, at), 1))
    )
    play = a_round(liars=change, silent={Phase.DEAL: frozenset({3})})
    assert_void(play, "no matrix of inner products")


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("field", ["lengths", "following"])
def test_projections_that_two_holders_do_not_agree_on_void_the_round_and_name_the_two(liar, field):
    """A cheating aggregator can thus neither save a dealer that breaks its bounds nor throw one out."""

    def change(one):
        other = with_word(one.lengths, (0, 0), 1 << 50) if field == "lengths" else bytes(32)
        return replace(one, **{field: other})

    play = a_round(liars=tampered(liar, Phase.SHARE, GramShare, change))
    component = liar if field == "lengths" else (liar + 1) % 3
    pair = {component, (component - 1) % 3}
    assert_void(play, f"lied about component {component}")
    assert {who for who, _ in play.named()} == {f"aggregator {k}" for k in pair}
    assert liar in pair
    assert not play.server.exchange().coins


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("what", ["claim", "sealed"])
def test_whoever_vouches_wrongly_voids_the_round(liar, what):
    def mischief(phase, party, message):
        if phase is not Phase.VOUCH:
            return [message]
        carried = canon.unpack(VouchBy, message)
        vouch, sealed = reads(Vouch, carried.vouch), carried.sealed
        if what == "claim":
            vouch = replace(vouch, claim=with_word(vouch.claim, 0, 1))
        else:
            sealed = bytes(len(sealed))
            vouch = replace(vouch, sealed=canon.digest_bytes(sealed))
        return [canon.pack(VouchBy(said_by(liar, vouch), sealed))]

    play = a_round(liars={FIRST + liar: mischief})
    assert_void(play, "failed the check")
    accuser = reads(Objection, play.server.exchange().objections[0])
    checker = liar + 1 if what == "claim" else liar - 1
    assert accuser.party == FIRST + checker % 3


def test_one_that_vouches_with_other_bytes_than_it_signed_is_named():
    def mischief(phase, party, message):
        if phase is not Phase.VOUCH:
            return [message]
        carried = canon.unpack(VouchBy, message)
        return [canon.pack(replace(carried, sealed=carried.sealed[:-1]))]

    play = a_round(liars={FIRST: mischief})
    assert_void(play, "aggregator 0 vouched with something else than it signed")


def test_two_liars_who_vouch_for_one_another_are_beyond_the_promise_yet_the_norm_of_the_sum_gives_them_away(
    monkeypatch,
):
    change = tampered(
        0, Phase.SHARE, GramShare, lambda one: replace(one, products=with_word(one.products, (0, 0), 512))
    )
    play = a_round(liars=change)
    honest = Held.is_satisfied
    monkeypatch.setattr(Held, "is_satisfied", lambda held, *given: held.k == 1 or honest(held, *given))
    match = "not the one whose square norm the inner products give"
    assert_void(play, match, again=match)


# ---------------------------------------------------------------- the sum


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("field", ["part", "following"])
def test_a_part_of_the_sum_that_two_holders_do_not_agree_on_voids_the_round_and_names_the_two(liar, field):
    def change(one):
        return replace(one, **{field: with_word(one.part, 0, 1) if field == "part" else bytes(32)})

    play = a_round(liars=tampered(liar, Phase.SUM, GramSum, change))
    component = liar if field == "part" else (liar + 1) % 3
    quarrel = f"aggregator {component} or aggregator {(component - 1) % 3} lied about component {component}"
    assert_void(play, quarrel, again=quarrel.replace(" lied", ": lied"))
    assert {who for who, _ in play.named()} == {f"aggregator {component}", f"aggregator {(component - 1) % 3}"}


@pytest.mark.parametrize("liar", range(3))
def test_one_that_weighs_as_it_likes_is_named(liar):
    def change(one):
        weights = one.weights.copy()
        weights[0] += 1
        return replace(one, weights=weights)

    play = a_round(liars=tampered(liar, Phase.SUM, GramSum, change))
    assert_void(play, f"aggregator {liar} weighed otherwise than the public rule says")
    (fault,) = play.server.faults
    assert fault.seat == FIRST + liar
    assert reads(GramSum, fault.evidence).weights[0] == play.server.judged.weights[0] + 1


# ---------------------------------------------------------------- coins, lists, boxes


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize(("phase", "kind"), [(Phase.ACCEPT, Accepted), (Phase.COIN, Coin)])
def test_a_coin_that_was_not_pledged_is_named(liar, phase, kind):
    play = a_round(liars=tampered(liar, phase, kind, lambda one: replace(one, coin=secret("another coin"))))
    assert_void(play, f"aggregator {liar} gave another coin than it pledged")
    assert play.named() == [(f"aggregator {liar}", "gave another coin than it pledged")]


def test_one_that_signs_two_lists_is_named_and_the_first_stands():
    def mischief(phase, party, message):
        if phase is not Phase.ACCEPT:
            return [message]
        return [message, said_by(1, replace(reads(Accepted, message), told=canon.digest_bytes(b"another list")))]

    play = a_round(liars={FIRST + 1: mischief})
    total = play.run()
    assert play.named() == [("aggregator 1", SECOND)]
    assert reads(Accepted, play.server.faults[0].evidence).told == canon.digest_bytes(b"another list")
    assert play.replayed().total.tolist() == total.tolist()


@pytest.mark.parametrize("liar", range(3))
def test_one_that_rejects_everybody_puts_nobody_out(liar):
    change = tampered(liar, Phase.ACCEPT, Accepted, lambda one: replace(one, rejected=tuple(range(6))))
    play = a_round(liars=change)
    play.aggregators[FIRST + liar]._seeds = lambda told: None  # it goes on as if it had none of the seeds
    total = play.run()
    assert total.view(np.int64).tolist() == play.plain(play.plan.dealers)[1].tolist()
    assert play.server.summed == (0, 1, 2, 3)
    assert play.replayed().total.tolist() == total.tolist()


@pytest.mark.parametrize("how", ["another seed", "junk"])
@pytest.mark.parametrize("liar", range(3))
def test_one_that_lends_another_seed_voids_the_round(liar, how):
    borrower = (liar + 1) % 3
    play = a_round()
    play.aggregators[FIRST + borrower]._seeds = lambda told: None
    agreed = {}

    def mischief(phase, party, message):
        if phase is not Phase.LEND:
            return [message]
        loan = reads(Loan, message)
        agreed["digest"] = loan.accepted
        key = play.aggregators[FIRST + liar]._key_of(play.aggregators[FIRST + liar]._shared_with(borrower))
        bad = bytes(len(loan.sealed[0]))
        if how == "another seed":
            dealer = loan.dealers[0]
            bad = gram_keys.lend(key, secret("x"), accepted=loan.accepted, dealer=dealer, borrower=borrower)
        return [said_by(liar, replace(loan, sealed=(bad, *loan.sealed[1:])))]

    play.liars = {FIRST + liar: mischief}
    assert_void(play, f"aggregator {borrower} stopped: aggregator {liar} lent another seed of party 0")


@pytest.mark.parametrize("liar", range(3))
def test_one_that_gives_no_key_to_the_one_before_it_is_complained_about(liar):
    def change(one):
        before = (liar - 1) % 3
        play_ = a_round()
        kem = play_.plan.ground.aggregators[before].kem
        box = gram_boxes.write(b"short", kem, context=one.session, sender=FIRST + liar, receiver=FIRST + before)
        return replace(one, box=box + bytes(len(one.box) - len(box)))

    play = a_round()
    change_ = tampered(liar, Phase.DEAL, Pledge, change)

    def mischief(phase, party, message):
        found = change_[FIRST + liar](phase, party, message)
        if phase is Phase.DEAL:  # it believes in what it sends
            play.aggregators[FIRST + liar]._pledged = reads(Pledge, found[0])
        return found

    play.liars = {FIRST + liar: mischief}
    assert_void(play, f"aggregator {(liar - 1) % 3} stopped: aggregator {liar} sealed no key")


# ---------------------------------------------------------------- what is not due


KINDS = {
    Phase.DEAL: (Pledge, {"coins": (b"", b"")}),
    Phase.ACCEPT: (Accepted, {"rejected": (0, 0)}),
    Phase.SHARE: (GramShare, {"products": np.zeros((2, 2), np.uint64)}),
    Phase.COIN: (Coin, {"shares": bytes(32)}),
    Phase.CHECK: (Verdict, {"vouches": bytes(32)}),
    Phase.SUM: (GramSum, {"part": np.zeros(3, np.uint64)}),
}


@pytest.mark.parametrize("phase", KINDS)
@pytest.mark.parametrize("how", ["malformed", "another's", "another round's", "garbage", "huge"])
def test_an_aggregator_that_says_something_else_than_is_due_is_named_and_the_round_is_void(phase, how):
    kind, fields = KINDS[phase]

    def mischief(now, party, message):
        if now is not phase:
            return [message]
        said = reads(kind, message)
        return [
            {
                "malformed": lambda: said_by(1, replace(said, **fields)),
                "another's": lambda: said_by(0, said),
                "another round's": lambda: said_by(1, replace(said, session=bytes(32))),
                "garbage": lambda: b"\xff\x00garbage",
                "huge": lambda: message + bytes(1 << 16),
            }[how]()
        ]

    play = a_round(liars={FIRST + 1: mischief})
    assert_void(play, "aggregator 1")
    # What was meant for another round may only be late: it counts as silence, and nobody is named.
    assert [who for who, _ in play.named()] == ["aggregator 1"] * (how != "another round's")


def test_an_objection_ends_the_round_whoever_makes_it_and_whenever():
    plan = a_round().plan
    for phase in (Phase.DEAL, Phase.SHARE, Phase.SUM):

        def mischief(now, party, message, phase=phase):
            said = Objection(plan.id, party, -1, bytes(32), "does not want to")
            return [said_by(2, said) if now is phase else message]

        play = a_round(liars={FIRST + 2: mischief})
        assert_void(play, "aggregator 2 stopped: does not want to")


def test_an_objection_about_nobody_in_particular_has_to_be_in_form():
    play = a_round()
    for fields in ({"about": 3}, {"answers": b""}, {"why": "x" * 2000}):
        said = replace(Objection(play.plan.id, FIRST, -1, bytes(32), "no"), **fields)
        other = a_round()
        other.server.receive(FIRST, said_by(0, said))
        assert not other.server.exchange().objections
        assert [who for who, _ in other.named()] == ["aggregator 0"]


def test_a_rule_that_differs_at_one_aggregator_opens_nothing():
    play = a_round()
    play.aggregators[FIRST]._judge = lambda gram, reports, present: np.array([1, 0, 0, 0], np.int64)
    assert_void(play, "aggregator 0 weighed otherwise")


def test_a_rule_cannot_change_what_others_judge_by():
    """It is given copies: a rule that scribbles on its arguments is only its own problem."""

    def scribble(gram, reports, present):
        weights = np.where(present[:4], 7, 0).astype(np.int64)
        gram[:], reports[:], present[:] = 0, 0, False
        return weights

    play = a_round(judge=scribble)
    play.run()
    assert play.server.judged.present.all()
    with pytest.raises(Misuse):
        a_round(judge=lambda *_: np.zeros(3)).run()
