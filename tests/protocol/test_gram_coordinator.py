"""A coordinator that lies: an aggregator that keeps to the protocol does nothing for it that it would not do anyway."""

from dataclasses import replace

import pytest

from adversary import Memory, reads
from caduceus import canon
from caduceus.crypto import rss
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import gram_upload as uploads
from caduceus.protocol.gram_aggregator import Step
from caduceus.protocol.gram_messages import (
    Accepted,
    Agreed,
    Begin,
    Coins,
    GramList,
    GramShare,
    Listing,
    Shares,
    Verdicts,
    Vouches,
    gathered,
)
from caduceus.protocol.gram_server import Phase
from gram_play import GramPlay, a_plan, said_by, told_by_coordinator

AGGREGATORS = (4, 5, 6)


def at(phase, **given):
    """A round of four sites whose server is about to close a phase, and what it would tell the aggregators."""
    play = GramPlay(a_plan(), **given)
    play.until(phase)
    return play, dict(play.server.advance())


def refuses(aggregator, message, match, error=PeerFault):
    """It does not answer, and answers the true message afterwards as if nothing had been."""
    step = aggregator.step
    with pytest.raises(error, match=match):
        aggregator.react(message)
    assert aggregator.step is (Step.STOPPED if error is Refused else step)


def listing_of(message):
    return canon.unpack(Listing, message)


def with_list(listing, **fields):
    told = replace(reads(GramList, listing.told), **fields)
    return canon.pack(replace(listing, told=told_by_coordinator(told)))


def without(play, listing, *dealers):
    """A list that leaves some dealers out."""
    kept = [at for at, dealer in enumerate(reads(GramList, listing.told).dealers) if dealer not in dealers]
    heads, tails = tuple(listing.heads[at] for at in kept), tuple(listing.dealings[at] for at in kept)
    all_dealers = reads(GramList, listing.told).dealers
    told = GramList(play.plan.id, tuple(all_dealers[at] for at in kept), gathered(heads), gathered(listing.pledges))
    return canon.pack(Listing(told_by_coordinator(told), listing.pledges, heads, tails))


# ---------------------------------------------------------------- lists


def test_an_aggregator_accepts_one_list_and_no_second_one_even_after_a_restart():
    play, told = at(Phase.DEAL)
    listing = listing_of(told[4])
    first = play.aggregators[4].react(told[4])
    assert play.aggregators[4].react(told[4]) == first
    other = without(play, listing, 3)
    refuses(play.aggregators[4], other, "not due to an aggregator at step ACCEPTED")
    fresh = play.an_aggregator(4)
    fresh.pledge()
    refuses(fresh, other, "decided differently", Refused)
    with pytest.raises(Refused, match="has stopped"):
        fresh.react(told[4])
    again = play.an_aggregator(4)
    again.pledge()
    assert again.react(told[4]) == first


def test_aggregators_that_were_shown_different_lists_do_not_go_on_together():
    play, told = at(Phase.DEAL)
    other = without(play, listing_of(told[5]), 3)
    shown = {4: told[4], 5: other, 6: told[6]}
    accepted = tuple(play.aggregators[party].react(shown[party])[0] for party in AGGREGATORS)
    data = b"".join(
        uploads.correction_of(upload, play.plan, dealer) for dealer, upload in sorted(play.server.uploads().items())
    )
    for party in AGGREGATORS:
        given = [data] if party != 5 else []
        with pytest.raises(PeerFault, match="let a message pass that it had to refuse: aggregator"):
            play.aggregators[party].react(uploads.begin(Begin(accepted, ()), given))


def test_a_list_that_is_not_what_it_says_is_refused():
    play, told = at(Phase.DEAL)
    listing, one = listing_of(told[4]), play.aggregators[4]
    for wrong, match in (
        (with_list(listing, dealers=(0, 1, 2)), "something missing"),
        (with_list(listing, dealers=(0, 1, 3, 2)), "listed dealers that there are not"),
        (with_list(listing, dealers=(0, 1, 2, 4)), "listed dealers that there are not"),
        (with_list(listing, session=bytes(32)), "of another round"),
        (with_list(listing, heads=bytes(32)), "listed other messages"),
        (with_list(listing, pledges=bytes(32)), "listed other messages"),
        (with_list(listing, dealers=(3,), heads=gathered(listing.heads)), "goes on with 1 sites"),
        (without(play, listing, 0, 1, 2), "goes on with 1 sites, 2 are needed"),
        (canon.pack(replace(listing, told=said_by(1, reads(GramList, listing.told)))), "not signed by its registered"),
        (canon.pack(replace(listing, dealings=listing.dealings[:-1])), "something missing"),
        (canon.pack(replace(listing, pledges=listing.pledges[:2])), "something missing"),
        (canon.pack(replace(listing, dealings=listing.dealings[::-1])), "sent another dealing than it signed"),
        (canon.pack(replace(listing, heads=listing.heads[::-1])), "listed other messages"),
    ):
        refuses(one, wrong, match)
    assert one.react(told[4])  # none of which has changed anything


def test_a_head_that_its_dealer_did_not_sign_is_refused():
    play, told = at(Phase.DEAL)
    listing = listing_of(told[4])
    heads = (listing.heads[1], *listing.heads[1:])
    forged = replace(listing, heads=heads, dealings=(listing.dealings[1], *listing.dealings[1:]))
    list_ = replace(reads(GramList, listing.told), heads=gathered(heads))
    refuses(
        play.aggregators[4],
        canon.pack(replace(forged, told=told_by_coordinator(list_))),
        "seat 0 sent an upload that is not signed by its registered signer",
    )


def test_a_pledge_in_the_place_of_another_is_refused():
    play, told = at(Phase.DEAL)
    listing = listing_of(told[4])
    old = GramPlay(a_plan())  # the same keys, and another encapsulation
    pledges = tuple(old.aggregators[party].pledge() for party in AGGREGATORS)
    swapped = (pledges[0], *listing.pledges[1:])
    list_ = replace(reads(GramList, listing.told), pledges=gathered(swapped))
    forged = canon.pack(replace(listing, pledges=swapped, told=told_by_coordinator(list_)))
    refuses(play.aggregators[4], forged, "another pledge than this aggregator's")


# ---------------------------------------------------------------- products


def begin_of(message):
    return uploads.read_begin(message)


@pytest.mark.parametrize("k", [0, 2])
def test_an_altered_correction_is_refused(k):
    play, told = at(Phase.ACCEPT)
    begin, data = begin_of(told[4 + k])
    one = play.aggregators[4 + k]
    for place in (0, 8 * 70, len(data) - 1):
        altered = bytearray(data)
        altered[place] ^= 1
        refuses(one, uploads.begin(begin, [altered]), "sent another correction than it signed")
    for cut in (data[:-8], bytes(data) + bytes(8), b""):
        refuses(one, uploads.begin(begin, [cut]), "bytes of corrections")
    assert one.react(told[4 + k])


def test_an_aggregator_without_the_first_component_gets_no_corrections():
    play, told = at(Phase.ACCEPT)
    begin, data = begin_of(told[5])
    assert not data
    refuses(play.aggregators[5], uploads.begin(begin, [bytes(8)]), "8 bytes of corrections, 0 are due")
    assert play.aggregators[5].react(told[5])


def test_acceptances_that_were_left_out_changed_or_swapped_are_refused():
    play, told = at(Phase.ACCEPT)
    begin, data = begin_of(told[4])
    accepted = begin.accepted
    lie = said_by(0, replace(reads(Accepted, accepted[0]), rejected=(1,)))
    for wrong in (
        accepted[:2],
        (*accepted, accepted[0]),
        accepted[::-1],
        (accepted[0], accepted[0], accepted[2]),
        (lie, *accepted[1:]),
    ):
        with pytest.raises(PeerFault, match="the coordinator"):
            play.aggregators[4].react(uploads.begin(Begin(wrong, ()), [data]))
    with pytest.raises(PeerFault, match="1 loans, 0 are due"):
        play.aggregators[4].react(uploads.begin(Begin(accepted, (accepted[0],)), [data]))
    assert play.aggregators[4].react(told[4])


def test_an_aggregator_multiplies_for_one_set_of_dealers():
    """Two aggregators' answers decide who is in: a second one of a lying aggregator would be a second question."""
    play, told = at(Phase.ACCEPT)
    begin, data = begin_of(told[4])
    first = play.aggregators[4].react(told[4])
    assert play.aggregators[4].react(told[4]) == first
    lie = said_by(2, replace(reads(Accepted, begin.accepted[2]), rejected=(1,)))
    other = uploads.begin(Begin((*begin.accepted[:2], lie), ()), [data])
    with pytest.raises(PeerFault, match="at step MULTIPLIED"):
        play.aggregators[4].react(other)
    fresh = play.an_aggregator(4)
    fresh.pledge()
    fresh.react(next(body for phase, party, body in play.told if phase is Phase.DEAL and party == 4))
    with pytest.raises(Refused, match="decided differently"):
        fresh.react(canon.pack(Agreed((*begin.accepted[:2], lie))))


def test_rejections_that_leave_too_few_sites_are_not_gone_on_with():
    play, told = at(Phase.ACCEPT)
    begin, data = begin_of(told[4])
    few = [said_by(k, replace(reads(Accepted, begin.accepted[k]), rejected=(0, 1, 2))) for k in (1, 2)]
    accepted = (begin.accepted[0], *few)
    for message in (uploads.begin(Begin(accepted, ()), [data]), canon.pack(Agreed(accepted))):
        refuses(play.aggregators[4], message, "goes on with 1 sites, 2 are needed")


def test_shares_of_zero_for_other_dealers_have_nothing_in_common():
    """Under one share of zero, the products of two sets of dealers would give away what only they differ in."""
    play, told = at(Phase.ACCEPT)
    other = GramPlay(play.plan, memories={party: Memory(play.memories[party]) for party in play.memories})
    lender = other.aggregators[5]
    lender._seeds = lambda told, honest=lender._seeds: None if told.upload.seat == 0 else honest(told)
    other.run()
    zeros = []
    for one, message in ((play, told[4]), (other, None)):
        held = one.aggregators[4]
        if message is not None:
            held.react(message)
        own, following = held._held.images
        zeros.append(held._held.products() - rss.products(own, following))
    assert (zeros[0] != zeros[1]).all()


def test_second_coins_are_given_for_one_set_of_products():
    play, told = at(Phase.SHARE)
    shares = canon.unpack(Shares, told[4]).shares
    first = play.aggregators[4].react(told[4])
    assert play.aggregators[4].react(told[4]) == first
    fresh = play.an_aggregator(4)
    fresh.pledge()
    for phase in (Phase.DEAL, Phase.ACCEPT):
        fresh.react(next(body for at, party, body in play.told if at is phase and party == 4))
    share = reads(GramShare, shares[1])
    products = share.products.copy()
    products[0, 0] ^= 1
    other = (shares[0], said_by(1, replace(share, products=products)), shares[2])
    with pytest.raises(Refused, match="decided differently"):
        fresh.react(canon.pack(Shares(other)))
    for wrong in (shares[:2], shares[::-1], (shares[0], shares[0], shares[2])):
        with pytest.raises(PeerFault, match="the coordinator"):
            play.an_aggregator(5).react(canon.pack(Shares(wrong)))


@pytest.mark.parametrize(
    ("phase", "kind"), [(Phase.SHARE, Shares), (Phase.COIN, Coins), (Phase.VOUCH, Vouches), (Phase.CHECK, Verdicts)]
)
def test_messages_of_the_three_that_were_left_out_or_swapped_are_refused(phase, kind):
    play, told = at(phase)
    true = canon.unpack(kind, told[5])
    name = next(iter(type(true).__dataclass_fields__))
    given = getattr(true, name)
    for wrong in (given[:2], (*given, given[0]), given[::-1], (given[0], given[0], given[2]), (b"", b"", b"")):
        refuses(play.aggregators[5], canon.pack(replace(true, **{name: wrong})), "the coordinator")
    assert play.aggregators[5].react(told[5])


def test_what_was_sealed_for_an_aggregator_cannot_be_changed_on_the_way():
    play, told = at(Phase.VOUCH)
    true = canon.unpack(Vouches, told[5])
    for wrong in (b"", true.sealed[:-1], canon.unpack(Vouches, told[4]).sealed):
        refuses(play.aggregators[5], canon.pack(replace(true, sealed=wrong)), "passed on something else")
    assert play.aggregators[5].react(told[5])


def test_no_step_can_be_skipped():
    play = GramPlay(a_plan())
    play.run()
    for party in AGGREGATORS:
        told = [(phase, body) for phase, who, body in play.told if who == party]
        for start in range(len(told)):
            for skipped in range(start + 1, len(told)):
                fresh = GramPlay(a_plan(), memories={party: Memory(play.memories[party])}).aggregators[party]
                fresh.pledge()
                for _, body in told[:start]:
                    fresh.react(body)
                with pytest.raises(PeerFault, match="the coordinator"):
                    fresh.react(told[skipped][1])


def test_an_aggregator_that_has_not_pledged_answers_nothing():
    play, told = at(Phase.DEAL)
    memory = {4: Memory()}
    fresh = GramPlay(a_plan(), memories=memory).aggregators[4]
    with pytest.raises(PeerFault, match="at step NEW"):
        fresh.react(told[4])
    assert play.aggregators[4].react(told[4])


def test_messages_of_another_round_mean_nothing():
    _, told = at(Phase.DEAL)
    other = GramPlay(a_plan(round=4))
    other.until(Phase.DEAL)
    for party in AGGREGATORS:
        with pytest.raises(PeerFault, match="the coordinator"):
            other.aggregators[party].react(told[party])


def test_a_coordinator_that_weighs_by_another_rule_gets_no_sum():
    play = GramPlay(a_plan())
    play.server._judge = lambda gram, reports, present: present[:4].astype("<i8")
    with pytest.raises(Refused, match="weighed otherwise than the public rule says"):
        play.run()
    assert play.server.total is None


def test_what_comes_late_from_another_round_is_passed_over_and_nobody_is_named():
    """An aggregator's answer that was on its way when a round ended early must not end the next one too."""
    earlier, now = GramPlay(a_plan(round=7)), GramPlay(a_plan(round=8))
    earlier.run()
    late = list(earlier.heard)
    now.until(Phase.DEAL)
    while not now.server.is_over:
        for _, party, message in late:
            assert now.server.receive(party, message) == []
        now.answer(now.close())
    assert now.named() == []
