"""A coordinator that lies in a set-up: no site stands on two outcomes, and no site answers for what it did not do."""

from functools import cache
from hashlib import sha256

import numpy as np
import pytest

from adversary import (
    DOMAIN,
    Memory,
    SetupPlay,
    a_setup,
    a_setup_site,
    entropy_of,
    identity_of,
    reads,
    said_by,
    signer_of,
    told_by_coordinator,
    vouched_by,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import field, shamir, sign, xwing
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import secagg_parcel as parcels
from caduceus.protocol import secagg_seeds as seeds
from caduceus.protocol.envelope import Signed
from caduceus.protocol.secagg_messages import (
    KINDS,
    Advertise,
    Confirm,
    Deal,
    Endorse,
    Endorsed,
    Header,
    Inbox,
    Ready,
    Roster,
    RosterFor,
    commitment,
    share_digests,
)
from caduceus.protocol.secagg_plan import Family, Plan
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_server import SetupPhase
from caduceus.protocol.secagg_setup_site import SetupSite, SetupStep

SITES, SITE = 5, 2
FULL = a_setup(SITES)
RING = a_setup(8, plan=Plan(8, 2, 4, 3, Family.RING), silent=1)
"""The committee is 0, 2, 4 and 6; the ring 0-3-2-7-5-... lets 3 hear from 0 and 2."""
AWAY = 3
"""A seat that is no member of the ring's committee."""
LATER = with_fields(FULL, first=2)
ELSEWHERE = bytes(range(32))
STEPS = [SetupStep.ADVERTISED, SetupStep.DEALT, SetupStep.CONFIRMED, SetupStep.ENDORSED]
KIND = dict(zip(STEPS, (RosterFor, Inbox, Ready, Endorsed), strict=True))


@cache
def played(setup):
    """A set-up in which nothing went wrong, with everything that was said in it."""
    play = SetupPlay(setup=setup)
    play.run()
    assert not play.problems
    assert not play.faults()
    return play


def told(kind, setup=FULL, seat=SITE):
    """What the coordinator told a site in an honest set-up."""
    return next(body for _, to, body in played(setup).told if to == seat and kind_of(body) == canon.tag_of(kind))


def kind_of(message):
    tag = canon.peek_tag(message)
    return canon.peek_tag(canon.unpack(Signed, message).body) if tag == canon.tag_of(Signed) else tag


def said(phase, seat=SITE, setup=FULL):
    """What a site said in an honest set-up."""
    return next(body for at, who, body in played(setup).heard if (at, who) == (phase, seat))


def a_site_at(step, *, setup=FULL, seat=SITE, memory=None):
    """A site, as after a restart, that has heard what brings it to a step."""
    site = a_setup_site(Layout(setup), seat, memory)
    site.advertise()
    for before in STEPS[: STEPS.index(step)]:
        if before is not SetupStep.CONFIRMED or site._layout.is_member(seat):
            site.react(told(KIND[before], setup, seat))
    assert site.step is step or not site._layout.is_member(seat)
    return site


def lied_to(step, message, **rest):
    """What a site raises when this is its next message; what the coordinator signed as a whole stops it."""
    site = a_site_at(step, **rest)
    with pytest.raises((PeerFault, Refused)) as caught:
        site.react(message)
    if isinstance(caught.value, PeerFault):
        assert caught.value.who == "the coordinator"
    if kind_of(message) in map(canon.tag_of, (RosterFor, Endorsed)):
        assert site.step is step
    else:
        assert site.step is SetupStep.STOPPED
        with pytest.raises(PeerFault, match="given up"):
            site.react(message)  # and now it would not even answer the truth
    return caught.value


def changed(kind, message, **fields):
    """The message with other fields, signed by the coordinator where it must be."""
    if kind in (RosterFor, Endorsed):
        return canon.pack(with_fields(canon.unpack(kind, message), **fields))
    return told_by_coordinator(with_fields(reads(kind, message), **fields))


def ids(cases):
    return [f"{at}-{case[0]}" for at, case in enumerate(cases)]


# ---------------------------------------------------------------- what anybody on the wire can do


def resigned(message, signer, digest_of=canon.digest_bytes):
    signed = canon.unpack(Signed, message)
    return canon.pack(
        with_fields(signed, signature=signer.sign(sign.digest(DOMAIN, sign.Statement(digest_of(signed.body)))))
    )


def unsound(step, message):
    """Messages that the coordinator did not sign, made of one that it did."""
    if step is SetupStep.ADVERTISED:
        whole, inside = canon.unpack(RosterFor, message), "roster"
        yield canon.pack(with_fields(whole, advertisements=lambda old: old[:-1]))
        yield canon.pack(with_fields(whole, advertisements=lambda old: (*old[:-1], old[0])))
    elif step is SetupStep.ENDORSED:
        whole, inside = canon.unpack(Endorsed, message), "ready"
        yield canon.pack(with_fields(whole, tags=lambda old: old ^ np.uint8(1)))
        yield canon.pack(with_fields(whole, members=lambda old: old[::-1]))
    else:
        whole, inside = None, None
    signed = message if whole is None else getattr(whole, inside)
    unsigned = canon.pack(with_fields(canon.unpack(Signed, signed), signature=bytes(65)))
    other_scheme = canon.pack(with_fields(canon.unpack(Signed, signed), scheme="ml-dsa-65"))
    for forged in (b"", signed[:-1], unsigned, other_scheme, resigned(signed, signer_of(3))):
        yield forged if whole is None else canon.pack(with_fields(whole, **{inside: forged}))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_bytes_that_are_not_the_coordinators_for_this_setup_change_nothing(step):
    message, site = told(KIND[step]), a_site_at(step)
    of_another = told(KIND[step], LATER)  # signed by the coordinator, for other rounds
    for data in (b"", b"\xff" * 99, message[:-1], message + b"\x00", of_another, *unsound(step, message)):
        with pytest.raises((PeerFault, Refused)):
            site.react(data)
        assert site.step is step
    site.react(message)
    assert site.step is not step


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_message_out_of_turn_is_not_taken_and_only_the_last_one_taken_is_answered_again(step):
    """And alike: two answers to one message would be two decisions."""
    site, place = a_site_at(step), STEPS.index(step)
    for earlier in STEPS[: place - 1 if place else 0]:
        assert site.react(told(KIND[earlier])) == []
    for later in STEPS[place + 1 :]:
        if (step, later) != (SetupStep.CONFIRMED, SetupStep.ENDORSED):
            with pytest.raises(PeerFault, match="the coordinator"):
                site.react(told(KIND[later]))
    assert site.step is step
    answer = site.react(told(KIND[step]))
    assert site.react(told(KIND[step])) == answer
    assert bool(answer) == (step is not SetupStep.ENDORSED)


def test_a_site_hears_nothing_before_it_speaks_and_nothing_new_once_it_is_ready():
    site = a_setup_site(Layout(FULL), SITE)
    with pytest.raises(PeerFault, match="the coordinator"):
        site.react(told(RosterFor))
    site = a_site_at(SetupStep.ENDORSED)
    assert site.react(told(Endorsed)) == []
    for record in (reads(Inbox, told(Inbox)), reads(Ready, told(Ready))):
        with pytest.raises(PeerFault, match="a site that has got ready"):
            site.react(told_by_coordinator(with_fields(record, roster=ELSEWHERE)))
    assert site.step is SetupStep.READY


def test_a_member_that_was_not_asked_in_time_takes_the_outcome_that_the_others_endorsed():
    site = a_site_at(SetupStep.CONFIRMED)
    assert site.react(told(Endorsed)) == []
    assert site.ground.ready == played(FULL).actors[SITE].ground.ready


# ---------------------------------------------------------------- the roster


def advertised(setup=FULL):
    return {seat: said(SetupPhase.ADVERTISE, seat, setup) for seat in Layout(setup).seats}


def a_roster(adverts, *, to=SITE, setup=FULL, **fields):
    """What a site is told when these sites are here with these advertisements."""
    layout, seats = Layout(setup), tuple(sorted(adverts))
    digests = np.frombuffer(b"".join(sha256(adverts[seat]).digest() for seat in seats), np.uint8).reshape(-1, 32)
    roster = with_fields(Roster(layout.id, seats, digests), **fields)
    wanted = sorted(({*layout.peers(to)} | {to}) & adverts.keys())
    return canon.pack(RosterFor(told_by_coordinator(roster), tuple(adverts[seat] for seat in wanted)))


def another(seat, /, **fields):
    """A seat's advertisement with other fields, signed by itself."""
    return vouched_by(seat, with_fields(reads(Advertise, said(SetupPhase.ADVERTISE, seat)), **fields))


def forged(seat, by):
    """An advertisement of the coordinator's making: whoever it has on its side signs for another's seat."""
    theirs = reads(Advertise, said(SetupPhase.ADVERTISE, by))
    return vouched_by(by, with_fields(theirs, seat=seat))


def without(adverts, *seats):
    return {seat: one for seat, one in adverts.items() if seat not in seats}


def flipped(table, row=0):
    changed = table.copy()
    changed[row] ^= 1
    return changed


ROSTERS = [
    ("not one advertisement per seat", {"seats": lambda old: old[:-1]}),
    ("not one advertisement per seat", {"digests": lambda old: old[:-1].copy()}),
    ("not one advertisement per seat", {"digests": lambda old: old[:, :-1].copy()}),
    ("not one advertisement per seat", {"digests": lambda old: old.astype("<u4")}),
    ("not one advertisement per seat", {"seats": lambda old: old[::-1]}),
    ("not one advertisement per seat", {"seats": lambda old: (0, *old[:-1])}),
    ("stranger", {"seats": lambda old: (*old[:-1], 99)}),
    ("stranger", {"seats": lambda old: (-1, *old[1:])}),
    ("another advertisement of seat 0", {"digests": lambda old: flipped(old)}),
    ("another advertisement of seat 4", {"digests": lambda old: flipped(old, 4)}),
]


@pytest.mark.parametrize(("why", "fields"), ROSTERS, ids=ids(ROSTERS))
def test_a_false_roster_is_the_coordinators_fault(why, fields):
    fault = lied_to(SetupStep.ADVERTISED, a_roster(advertised(), **fields))
    assert isinstance(fault, PeerFault)
    assert why in fault.why


ADVERTISEMENTS = [
    ("unreadable", lambda: b"garbage"),
    ("another key than it enrolled with", lambda: forged(3, by=4)),
    ("not signed by its registered key", lambda: vouched_by(4, reads(Advertise, said(SetupPhase.ADVERTISE, 3)))),
    (
        "'eip712-secp256k1' where 'ml-dsa-65' is due",
        lambda: said_by(3, reads(Advertise, said(SetupPhase.ADVERTISE, 3))),
    ),
    ("of another set-up or from another seat", lambda: said(SetupPhase.ADVERTISE, 3, LATER)),
    ("another key than it enrolled with", lambda: said(SetupPhase.ADVERTISE, 4)),
    ("of another set-up or from another seat", lambda: another(3, seat=4)),
    ("no public key", lambda: another(3, kem_key=bytes(xwing.PUBLIC_BYTES))),
    ("sent something else than was due", lambda: vouched_by(3, reads(Header, a_deal(3).header))),
]


def a_deal(seat, setup=FULL):
    return canon.unpack(Deal, said(SetupPhase.DEAL, seat, setup))


@pytest.mark.parametrize(("why", "make"), ADVERTISEMENTS, ids=ids(ADVERTISEMENTS))
def test_an_advertisement_that_is_not_the_seats_own_for_this_setup_is_the_coordinators_fault(why, make):
    fault = lied_to(SetupStep.ADVERTISED, a_roster(advertised() | {3: make()}))
    assert isinstance(fault, PeerFault)
    assert "let a message pass that it had to refuse: seat 3" in fault.why
    assert why in fault.why


def test_an_advertisement_too_many_or_too_few_is_the_coordinators_fault():
    message = canon.unpack(RosterFor, told(RosterFor))
    for adverts in (message.advertisements[:-1], (*message.advertisements, b""), ()):
        fault = lied_to(SetupStep.ADVERTISED, canon.pack(RosterFor(message.roster, adverts)))
        assert f"sent {len(adverts)} advertisements where 5 are due" in str(fault)


def test_a_roster_without_this_site_or_with_too_few_gets_nothing():
    assert "without this site" in str(lied_to(SetupStep.ADVERTISED, a_roster(without(advertised(), SITE))))
    few = lied_to(SetupStep.ADVERTISED, a_roster(without(advertised(), 0, 1)))
    assert isinstance(few, Refused)
    assert "only 3 sites are here, 3 of them in the committee; 4 and 4 are needed" in str(few)
    a_site_at(SetupStep.ADVERTISED).react(a_roster(without(advertised(), 0)))


def test_a_roster_without_enough_of_the_committee_gets_nothing():
    """Not even a crash: there would be nobody to share with."""
    for committee, gone in ((1, 1), (4, 2)):
        setup = a_setup(8, plan=Plan(8, 2, committee, 2 * committee // 3 + 1, Family.RING), silent=2)
        layout = Layout(setup)
        site = a_setup_site(layout, seat := next(seat for seat in layout.seats if not layout.is_member(seat)))
        adverts = {other: a_setup_site(layout, other).advertise() for other in layout.seats} | {seat: site.advertise()}
        with pytest.raises(Refused, match=f"only {8 - gone} sites are here, {committee - gone} of them"):
            site.react(a_roster(without(adverts, *layout.committee[:gone]), to=seat, setup=setup))
        assert site.react(a_roster(adverts, to=seat, setup=setup))


def test_a_key_that_was_made_for_the_site_itself_is_found():
    """Its own identity was stolen, or its own root lost: it cannot open what is sealed to that key."""
    stolen = another(SITE, kem_key=xwing.Decapsulator(ELSEWHERE).public)
    assert "another key of this site" in str(lied_to(SetupStep.ADVERTISED, a_roster(advertised() | {SITE: stolen})))
    site = SetupSite(
        Layout(FULL),
        SITE,
        signer=signer_of(SITE),
        identity=identity_of(SITE),
        entropy=KeyedEntropy(ELSEWHERE),
        remember=Memory().remember,
    )
    site.advertise()
    with pytest.raises(Refused, match="has lost the root that made it"):
        site.react(told(RosterFor))


# ---------------------------------------------------------------- the inbox


def delivery(at, **fields):
    """One delivery of an inbox changed."""
    return {"deliveries": lambda old: (*old[:at], with_fields(old[at], **fields), *old[at + 1 :])}


def exchanged(*names):
    """Parts of the first two deliveries exchanged."""

    def change(old):
        one, other = old[:2]
        return (
            with_fields(one, **{name: getattr(other, name) for name in names}),
            with_fields(other, **{name: getattr(one, name) for name in names}),
            *old[2:],
        )

    return {"deliveries": change}


INBOXES = [
    ("another roster", {"roster": ELSEWHERE}),
    ("not one parcel per site", {"deliveries": lambda old: old[::-1]}),
    ("not one parcel per site", {"deliveries": lambda old: (old[0], *old)}),
    ("not one parcel per site", delivery(0, dealer=99)),
    ("not one parcel per site", delivery(1, dealer=SITE)),
    ("not one parcel per site", delivery(0, dealer=-1)),
    ("not signed by its registered key", exchanged("header")),
    ("unreadable", delivery(0, header=b"garbage")),
    ("that seat 0 did not seal", exchanged("parcel")),
    ("that seat 0 did not seal", exchanged("parcel", "digests")),
    ("that seat 0 did not seal", exchanged("siblings")),
    ("that seat 0 did not seal", delivery(0, parcel=lambda old: bytes([old[0] ^ 1]) + old[1:])),
    ("that seat 1 did not seal", delivery(1, parcel=lambda old: old[:-1])),
    ("that seat 1 did not seal", delivery(1, parcel=lambda old: old + b"\x00")),
    ("that seat 1 did not seal", delivery(1, parcel=b"")),
    ("that seat 3 did not seal", delivery(2, digests=lambda old: flipped(old))),
    ("that seat 3 did not seal", delivery(2, digests=lambda old: old[:0].copy())),
    ("that seat 3 did not seal", delivery(2, digests=lambda old: old.reshape(-1, 1, 32).copy())),
    ("that seat 3 did not seal", delivery(2, digests=lambda old: old.astype("<u4"))),
    ("that seat 4 did not seal", delivery(3, siblings=lambda old: flipped(old))),
    ("that seat 4 did not seal", delivery(3, siblings=lambda old: old[:-1].copy())),
    ("that seat 4 did not seal", delivery(3, siblings=lambda old: np.concatenate([old, old[:1]]))),
    ("that seat 4 did not seal", delivery(3, siblings=lambda old: old.reshape(-1)[:-1].copy())),
]


@pytest.mark.parametrize(("why", "fields"), INBOXES, ids=ids(INBOXES))
def test_a_false_inbox_is_the_coordinators_fault(why, fields):
    fault = lied_to(SetupStep.DEALT, changed(Inbox, told(Inbox), **fields))
    assert isinstance(fault, PeerFault)
    assert why in fault.why


HEADERS = [
    ("dealt for another roster", lambda header: vouched_by(0, with_fields(header, roster=ELSEWHERE))),
    ("of another set-up", lambda header: vouched_by(0, with_fields(header, setup=ELSEWHERE))),
    ("from another seat", lambda header: vouched_by(0, with_fields(header, seat=1))),
    ("not signed by its registered key", lambda header: vouched_by(1, header)),
    ("'eip712-secp256k1' where", lambda header: said_by(0, header)),
]


@pytest.mark.parametrize(("why", "sign_it"), HEADERS, ids=ids(HEADERS))
def test_different_rosters_to_different_sites_never_meet(why, sign_it):
    """A site that is shown a header for another roster than its own blames the coordinator and sends nothing."""
    false = delivery(0, header=lambda old: sign_it(reads(Header, old)))
    fault = lied_to(SetupStep.DEALT, changed(Inbox, told(Inbox), **false))
    assert "let a message pass that it had to refuse: seat 0" in str(fault)
    assert why in str(fault)


def test_a_site_takes_a_parcel_from_nobody_who_does_not_deal_to_it():
    """In a sparse graph most do not; whoever sides with the coordinator may still seal something for them."""
    inbox = reads(Inbox, told(Inbox, RING, AWAY))
    assert [one.dealer for one in inbox.deliveries] == [0, 2]
    assert all(len(one.digests) == 0 for one in inbox.deliveries)
    for stranger in (1, 4, 7):
        more = delivery(1, dealer=stranger)
        fault = lied_to(SetupStep.DEALT, told_by_coordinator(with_fields(inbox, **more)), setup=RING, seat=AWAY)
        assert "not one parcel per site that deals to this one" in str(fault)
    fault = lied_to(SetupStep.DEALT, told(Inbox, RING, 2), setup=RING, seat=AWAY)
    assert "not one parcel per site" in str(fault)


def test_a_parcel_of_another_place_is_not_this_sites():
    """Sealed by the dealer, under its header, for somebody else."""
    theirs = reads(Inbox, told(Inbox, FULL, 3)).deliveries[0]
    fault = lied_to(SetupStep.DEALT, changed(Inbox, told(Inbox), deliveries=lambda old: (theirs, *old[1:])))
    assert "that seat 0 did not seal" in str(fault)


@pytest.mark.parametrize("dealers", [(), (1,), (0, 3), (0, 1, 4)])
def test_whoever_dealt_nothing_is_simply_not_there(dealers):
    some = changed(Inbox, told(Inbox), deliveries=lambda old: tuple(one for one in old if one.dealer in dealers))
    confirm = reads(Confirm, a_site_at(SetupStep.DEALT).react(some)[0])
    assert confirm.missing == ()
    shown = {seat for at, seat in enumerate((0, 1, 3, 4)) if confirm.tables[at, :, 0].any()}
    assert shown == ({*dealers} & {0, 1}) | {3, 4}  # with higher seats it has a secret of its own making


def test_a_second_inbox_for_the_same_roster_is_not_confirmed():
    """With a dealer left out, its pad stands in the table alone: it must not be the one that hid its seeds before."""
    memory = Memory()
    site = a_site_at(SetupStep.DEALT, memory=memory)
    (first,) = site.react(told(Inbox))
    for fewer in (told_fewer(0), told_fewer(1)):
        again = a_site_at(SetupStep.DEALT, memory=memory)
        with pytest.raises(Refused, match=r"confirm/.* was decided differently before"):
            again.react(fewer)
        assert again.step is SetupStep.STOPPED
    assert a_site_at(SetupStep.DEALT, memory=memory).react(told(Inbox)) == [first]
    (unremembered,) = a_site_at(SetupStep.DEALT).react(told_fewer(0))
    one, other = (reads(Confirm, message).tables[0, :, 1] for message in (first, unremembered))
    both = np.bitwise_xor(one, other)
    seeds_of_the_pair = played(FULL).actors[SITE].ground.pair_seeds[0]
    assert not (both == seeds_of_the_pair).all(axis=1).any()  # pads are bound to the checks beside them


def told_fewer(at):
    return changed(Inbox, told(Inbox), deliveries=lambda old: old[:at] + old[at + 1 :])


# ---------------------------------------------------------------- what a dealer may have sealed

BAD = 0


def to_another_key(site, receiver, honest):
    return parcels.write(
        parcels.Contents(bytes(32), bytes(len(honest) - 1168)),
        xwing.Decapsulator(ELSEWHERE).public,
        context=site._context,
        dealer=BAD,
        receiver=receiver,
    )


def sealed_again(change):
    """The dealer's own contents, changed, sealed to the right key."""

    def seal(site, receiver, honest):
        shares = site._shares[site._present.member_place[receiver]].tobytes()
        contents = change(parcels.Contents(seeds.pair_secret(site._pair_root, receiver), shares))
        key = site._adverts[receiver].kem_key
        return parcels.write(contents, key, context=site._context, dealer=BAD, receiver=receiver)

    return seal


def with_shares(change):
    return sealed_again(lambda contents: parcels.Contents(contents.secret, change(contents.shares)))


GARBAGE = {
    "noise": lambda site, receiver, honest: bytes(len(honest)),
    "a bit turned": lambda site, receiver, honest: honest[:-1] + bytes([honest[-1] ^ 1]),
    "sealed to another key": to_another_key,
    "sealed for another receiver": lambda site, receiver, honest: type(site)._parcel(site, receiver % 4 + 1),
    "an X25519 half of small order": lambda site, receiver, honest: honest[:1088] + bytes(32) + honest[1120:],
    "another share": with_shares(lambda shares: bytes([shares[0] ^ 1]) + shares[1:]),
    "shares in another order": with_shares(lambda shares: shares[36:72] + shares[:36] + shares[72:]),
    "a share cut and the secret longer": sealed_again(
        lambda contents: parcels.Contents(contents.secret + b"\x00", contents.shares[:-1])
    ),
}


def crooked(play, *, parcel=None, shares=None):
    """Let the bad site seal something else for seat 2, or share something else among all, as it commits to."""
    site = play.actors[BAD]
    if parcel is not None:
        honest = site._parcel
        site._parcel = lambda receiver: honest(receiver) if receiver != SITE else parcel(site, SITE, honest(SITE))
    if shares is not None:
        share = site._share
        site._share = lambda: shares(share())
    return play


@pytest.mark.parametrize("what", GARBAGE)
def test_a_parcel_that_its_dealer_made_useless_is_missing_and_is_not_the_coordinators_fault(what):
    play = crooked(SetupPlay(setup=FULL), parcel=GARBAGE[what])
    play.until(SetupPhase.CONFIRM)
    assert not play.problems
    assert not play.faults()
    for seat in range(1, SITES):
        confirm = next(reads(Confirm, body) for at, who, body in play.heard if (at, who) == (SetupPhase.CONFIRM, seat))
        assert confirm.missing == ((BAD,) if seat == SITE else ())
        assert confirm.tables[0, :, 0].any() == (seat != SITE)  # nothing is in common with whoever sealed garbage


def test_words_that_are_no_residues_are_not_taken_for_shares():
    """The dealer commits to them, so only the receivers can tell."""

    def too_large(table):
        words = table.view("<u4").copy()
        words[:, 0] = field.P
        return words.view(np.uint8).reshape(table.shape)

    play = crooked(SetupPlay(setup=FULL), shares=too_large)
    play.until(SetupPhase.CONFIRM)
    assert not play.problems
    said = [reads(Confirm, body) for at, seat, body in play.heard if at is SetupPhase.CONFIRM and seat != BAD]
    assert [confirm.missing for confirm in said] == [(BAD,)] * (SITES - 1)


def test_a_parcel_opens_for_its_receiver_from_its_dealer_in_its_setup_and_with_its_shares():
    opener, shares = xwing.Decapsulator(ELSEWHERE), bytes(range(72)) * 2
    where = {"context": b"here", "dealer": 1, "receiver": 2}
    digests = share_digests(1, 2, shares)
    parcel = parcels.write(parcels.Contents(bytes(32), shares), opener.public, **where)
    found = parcels.read(parcel, opener, **where, digests=digests)
    assert (found.secret, found.shares) == (bytes(32), shares)
    for other in ({"context": b"there"}, {"dealer": 3}, {"receiver": 3}):
        assert parcels.read(parcel, opener, **where | other, digests=digests) is None
    for wrong in (b"", digests[:-32], digests + digests[:32], digests[::-1], share_digests(1, 3, shares)):
        assert parcels.read(parcel, opener, **where, digests=wrong) is None
    for broken in (b"", parcel[:-1], parcel[:1000], bytes(len(parcel))):
        assert parcels.read(broken, opener, **where, digests=digests) is None
    assert parcels.read(parcel, xwing.Decapsulator(bytes(32)), **where, digests=digests) is None


# ---------------------------------------------------------------- the outcome

OUTCOMES = [
    ("another set-up or roster", {"roster": ELSEWHERE}),
    ("without this site", {"seats": lambda old: tuple(seat for seat in old if seat != SITE)}),
    ("not here, or one twice", {"seats": lambda old: (*old[:-1], 99)}),
    ("not here, or one twice", {"seats": lambda old: (-1, *old[1:])}),
    ("not here, or one twice", {"seats": lambda old: old[::-1]}),
    ("not here, or one twice", {"seats": lambda old: (*old, old[-1])}),
    ("only 3 sites are ready", {"seats": lambda old: old[:3]}),
    ("only 0 sites are ready", {"seats": ()}),
]


@pytest.mark.parametrize(("why", "fields"), OUTCOMES, ids=ids(OUTCOMES))
def test_a_false_outcome_is_neither_endorsed_nor_taken(why, fields):
    false = changed(Ready, told(Ready), **fields)
    memory = Memory()
    assert why in str(lied_to(SetupStep.CONFIRMED, false))
    site = a_site_at(SetupStep.ENDORSED, memory=memory)
    with pytest.raises((PeerFault, Refused), match=why):
        site.react(changed(Endorsed, told(Endorsed), ready=false))
    assert site.ground is None


def test_a_site_that_is_not_in_the_roster_is_not_ready_either():
    site = a_site_at(SetupStep.ADVERTISED)
    site.react(a_roster(without(advertised(), 4)))
    roster = site._roster
    site.react(changed(Inbox, told(Inbox), roster=roster, deliveries=()))
    with pytest.raises(PeerFault, match="names a site that is not here"):
        site.react(changed(Ready, told(Ready), roster=roster))


def test_an_outcome_without_enough_of_the_committee_is_refused():
    false = changed(Ready, told(Ready, RING, 2), seats=lambda old: tuple(seat for seat in old if seat not in (0, 4)))
    with pytest.raises(Refused, match="only 6 sites are ready, 2 of them in the committee; 7 and 3 are needed"):
        a_site_at(SetupStep.CONFIRMED, setup=RING, seat=2).react(false)


def test_only_a_member_of_the_committee_endorses():
    fault = lied_to(SetupStep.CONFIRMED, told(Ready, RING, 2), setup=RING, seat=AWAY)
    assert "asked a site that is no member of the committee" in str(fault)
    (answer,) = a_site_at(SetupStep.CONFIRMED, setup=RING, seat=2).react(told(Ready, RING, 2))
    assert reads(Endorse, answer).seat == 2


def test_an_outcome_with_which_a_site_shares_no_mask_is_refused():
    """The coordinator keeps a dealer's parcel back and says that both are ready."""
    site = a_site_at(SetupStep.DEALT)
    site.react(told_fewer(0))
    site.react(told(Ready))
    with pytest.raises(Refused, match="seat 0 counts as ready, and this site has nothing in common with it"):
        site.react(told(Endorsed))
    assert site.ground is None


def rows(*kept):
    return {"members": lambda old: tuple(old[at] for at in kept), "tags": lambda old: old[list(kept)].copy()}


ENDORSEMENTS = [
    ("only 3 members", rows(0, 1, 2)),
    ("only 2 members", rows(0, 3)),
    ("only 0 members", {"members": (), "tags": np.zeros((0, 32), np.uint8)}),
    ("only 3 members", {**rows(0, 1, 2, 3), "tags": lambda old: flipped(old[:4])}),
    ("only 3 members", {"tags": lambda old: flipped(flipped(old, 0), 4)}),
    ("only 1 members", {"tags": lambda old: np.zeros_like(old)}),
    ("only 3 members", {"tags": lambda old: old[[1, 0, 2, 3, 4]].copy()}),
    ("no member, or one twice", {"members": lambda old: (*old[:-1], 99)}),
    ("no member, or one twice", {"members": lambda old: (0, 0, *old[2:])}),
    ("no member, or one twice", {"members": lambda old: old[::-1]}),
    ("not one tag per member", {"tags": lambda old: old[:-1].copy()}),
    ("not one tag per member", {"tags": lambda old: old[:, :-1].copy()}),
    ("not one tag per member", {"tags": lambda old: old.astype("<u4")}),
    ("unreadable", {"ready": b"garbage"}),
]


@pytest.mark.parametrize(("why", "fields"), ENDORSEMENTS, ids=ids(ENDORSEMENTS))
def test_an_outcome_that_too_few_members_stand_by_is_not_taken(why, fields):
    assert why in str(lied_to(SetupStep.ENDORSED, changed(Endorsed, told(Endorsed), **fields)))


def test_tags_that_are_for_another_site_or_about_another_outcome_assure_of_nothing():
    theirs = canon.unpack(Endorsed, told(Endorsed, FULL, 3)).tags
    fault = lied_to(SetupStep.ENDORSED, changed(Endorsed, told(Endorsed), tags=theirs))
    assert "only 1 members" in str(fault)
    other = changed(Ready, told(Ready), headers=ELSEWHERE)
    fault = lied_to(SetupStep.CONFIRMED, changed(Endorsed, told(Endorsed), ready=other))
    assert "only 1 members" in str(fault)


def test_one_false_tag_more_or_less_does_not_matter_while_a_threshold_is_right():
    site = a_site_at(SetupStep.ENDORSED)
    assert site.react(changed(Endorsed, told(Endorsed), tags=lambda old: flipped(old, 4))) == []
    assert site.step is SetupStep.READY


# ---------------------------------------------------------------- one outcome per roster


def test_a_second_outcome_for_the_same_roster_finds_nobody_to_endorse_it():
    second = changed(Ready, told(Ready), headers=ELSEWHERE)
    for seat in range(SITES):
        memory = Memory()
        a_site_at(SetupStep.ENDORSED, seat=seat, memory=memory)
        again = a_site_at(SetupStep.CONFIRMED, seat=seat, memory=memory)
        with pytest.raises(Refused, match=r"ready/.* was decided differently before"):
            again.react(second)
        assert again.step is SetupStep.STOPPED


def test_the_same_outcome_asked_again_after_a_restart_gets_the_same_endorsement():
    for seat in range(SITES):
        memory = played(FULL).memories[seat]
        (answer,) = a_site_at(SetupStep.CONFIRMED, seat=seat, memory=memory).react(told(Ready, FULL, seat))
        assert answer == said(SetupPhase.ENDORSE, seat)


def test_different_outcomes_to_different_members_leave_nobody_ready():
    """Half of the committee is told that 4 is out; the coordinator passes on every tag that it has."""
    first, second = told(Ready), changed(Ready, told(Ready), seats=(0, 1, 2, 3))
    sites = {seat: a_site_at(SetupStep.CONFIRMED, seat=seat) for seat in range(4)}
    heard = {seat: first if seat < 2 else second for seat in sites}
    tags = {seat: reads(Endorse, site.react(heard[seat])[0]).tags for seat, site in sites.items()}
    for seat, site in sites.items():
        for ready in (first, second):
            table = np.stack([tags[other][seat] for other in range(4)])
            with pytest.raises(Refused, match="stand by the set-up's outcome, 4 are needed"):
                site.react(canon.pack(Endorsed(ready, (0, 1, 2, 3), table)))
        assert site.ground is None


def test_a_members_own_word_counts_for_no_other_outcome_than_it_stands_by():
    """Of four, seat 3 lies for either outcome and seat 2 endorsed the second: seat 0's own word must not be the third.

    The second outcome has the tags of 2 and 3 for seat 0, which endorsed the first.
    """
    setup = a_setup(4)
    first = told(Ready, setup, 0)
    second = changed(Ready, first, headers=ELSEWHERE)
    memory = Memory()
    site = a_site_at(SetupStep.CONFIRMED, setup=setup, seat=0, memory=memory)
    site.react(first)
    tags = {
        seat: reads(Endorse, a_site_at(SetupStep.CONFIRMED, setup=setup, seat=seat).react(second)[0]).tags[0]
        for seat in (2, 3)
    }
    false = canon.pack(Endorsed(second, (0, 2, 3), np.stack([np.zeros(32, np.uint8), tags[2], tags[3]])))
    for place in (site, a_site_at(SetupStep.CONFIRMED, setup=setup, seat=0, memory=memory)):
        with pytest.raises(Refused, match=r"ready/.* was decided differently before"):
            place.react(false)
        assert place.ground is None


def test_an_outcome_that_was_not_endorsed_by_enough_binds_nobody():
    """Or a coordinator could have a member refuse the true one."""
    memory, false = Memory(), changed(Ready, told(Ready), headers=ELSEWHERE)
    site = a_site_at(SetupStep.CONFIRMED, memory=memory)
    with pytest.raises(Refused, match="only 1 members"):
        site.react(changed(Endorsed, told(Endorsed), ready=false))
    site.react(told(Ready))
    site.react(told(Endorsed))
    assert site.step is SetupStep.READY


def test_a_setup_that_is_begun_again_with_others_gets_an_outcome_and_secrets_of_its_own():
    memories = {seat: Memory() for seat in range(SITES)}
    grounds = []
    for absent in (frozenset[int](), frozenset({4})):
        grounds.append(SetupPlay(setup=FULL, absent=absent, memories=memories).run().grounds)
    assert all(
        len([what for what in memory if what.startswith("ready/")]) == 2 - (seat == 4)
        for seat, memory in memories.items()
    )
    first, second = (grounds[at][SITE] for at in range(2))
    assert first.ready != second.ready
    assert not (first.self_seeds == second.self_seeds).all(axis=1).any()
    for other in (0, 1, 3):
        assert not (first.pair_seeds[other] == second.pair_seeds[other]).all(axis=1).any()
        assert first.tag_keys[other] != second.tag_keys[other]
        assert first.shares[other] != second.shares[other]


# ---------------------------------------------------------------- what an honest set-up gives


@pytest.mark.parametrize("setup", [FULL, RING], ids=["full", "ring"])
def test_neighbours_publish_the_same_checks_and_a_recovery_key_opens_the_seeds_behind_them(setup):
    play = played(setup)
    layout = play.layout
    confirms = {seat: reads(Confirm, said(SetupPhase.CONFIRM, seat, setup)) for seat in layout.seats}
    for seat, site in play.actors.items():
        neighbours = layout.neighbours(seat)
        for at, other in enumerate(neighbours):
            back = layout.neighbours(other).index(seat)
            assert np.array_equal(confirms[seat].tables[at, :, 0], confirms[other].tables[back, :, 0])
            assert np.array_equal(site.ground.pair_seeds[other], play.actors[other].ground.pair_seeds[seat])
        for round in range(setup.rounds):
            opened = confirms[seat].tables[:, round, 1] ^ seeds.pads(
                site._secrets[1, round].tobytes(), confirms[seat].tables[:, round, 0]
            )
            assert [row.tobytes() for row in opened] == [
                site.ground.pair_seeds[other][round].tobytes() for other in neighbours
            ]


@pytest.mark.parametrize("setup", [FULL, RING], ids=["full", "ring"])
def test_any_threshold_of_the_committee_holds_what_every_site_is_bound_to(setup):
    play, threshold = played(setup), setup.plan.threshold
    committee = play.layout.committee
    for owner, site in play.actors.items():
        bound = a_deal(owner, setup).commitments
        for members in (committee[:threshold], committee[-threshold:]):
            held = [np.frombuffer(play.actors[member].ground.shares[owner], "<u4") for member in members]
            table = np.stack([one.reshape(-1, shamir.LIMBS) for one in held], axis=1)
            found = shamir.reconstruct([committee.index(member) for member in members], table)
            for at, secret in enumerate(found):
                round, kind = divmod(at, 2)
                assert secret == site._secrets[kind, round].tobytes()
                assert commitment(KINDS[kind], secret) == bound[round, kind].tobytes()
            assert shamir.reconstruct([0, 1], table[:, :2]) != found[:]  # fewer hold nothing


@pytest.mark.parametrize(("setup", "seat"), [(FULL, SITE), (RING, 2), (RING, AWAY)], ids=["full", "member", "away"])
def test_a_site_stands_on_the_same_ground_after_a_restart_and_says_nothing(setup, seat):
    live = played(setup).actors[seat].ground
    site = a_setup_site(Layout(setup), seat, played(setup).memories[seat])
    messages = {kind: told(kind, setup, seat) for kind in (RosterFor, Inbox, Endorsed)}
    found = site.restore(*messages.values())
    assert (found.seat, found.ready, found.present.seats) == (live.seat, live.ready, live.present.seats)
    assert np.array_equal(found.self_seeds, live.self_seeds)
    assert {other: one.tobytes() for other, one in found.pair_seeds.items()} == {
        other: one.tobytes() for other, one in live.pair_seeds.items()
    }
    assert (found.tag_keys, found.shares) == (live.tag_keys, live.shares)
    assert (site.ground, site.step) == (found, SetupStep.READY)
    assert set(found.shares) == (set(live.present.seats) if site._layout.is_member(seat) else set())


def test_what_is_restored_is_checked_again():
    true = [told(kind) for kind in (RosterFor, Inbox, Endorsed)]
    false = [
        a_roster(advertised(), digests=lambda old: flipped(old)),
        changed(Inbox, told(Inbox), **exchanged("parcel")),
        changed(Endorsed, told(Endorsed), tags=lambda old: np.zeros_like(old)),
    ]
    for at in range(3):
        site = a_setup_site(Layout(FULL), SITE)
        with pytest.raises((PeerFault, Refused)):
            site.restore(*true[:at], false[at], *true[at + 1 :])
        assert site.ground is None
    other = SetupSite(
        Layout(FULL),
        SITE,
        signer=signer_of(SITE),
        identity=identity_of(SITE),
        entropy=entropy_of(3),
        remember=Memory().remember,
    )
    with pytest.raises(Refused, match="lost the root"):
        other.restore(*true)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_site_that_starts_again_on_the_way_is_told_the_same_and_gets_as_far(step):
    memory = Memory()
    a_site_at(step, memory=memory)  # and it is gone
    site = a_site_at(SetupStep.ENDORSED, memory=memory)
    site.react(told(Endorsed))
    assert site.ground.ready == played(FULL).actors[SITE].ground.ready


def test_no_secret_of_a_site_is_ever_shown():
    site = played(FULL).actors[SITE]
    ground = site.ground
    secrets = [
        *(row.tobytes() for row in site._secrets.reshape(-1, 32)),
        *(row.tobytes() for table in ground.pair_seeds.values() for row in table),
        *(share[:36] for share in ground.shares.values()),
        *ground.tag_keys.values(),
        site._pair_root,
    ]
    shown = "".join(
        f"{one!r} {one}" for one in (site, ground, site._contents, site._opener, site._entropy, site._identity)
    )
    assert repr(ground) == "Ground(seat=2)"
    for one in secrets:
        assert one.hex() not in shown
        assert repr(one)[2:-1] not in shown
    spoken = b"".join(body for _, seat, body in played(FULL).heard if seat == SITE)
    assert not any(one in spoken for one in secrets)
