"""Sites that misbehave in a set-up: they are named, they are left out, and the rest gets ready all the same."""

from functools import cache

import numpy as np
import pytest

from adversary import (
    COORDINATOR,
    DOMAIN,
    JOB,
    SetupPlay,
    a_setup,
    a_setup_site,
    altered,
    altered_deal,
    altered_vouched,
    framed,
    identity_of,
    only,
    reads,
    said_by,
    signer_of,
    upload_kind,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import sign, xwing
from caduceus.errors import Misuse, Refused
from caduceus.protocol import secagg_parcel as parcels
from caduceus.protocol.envelope import SCHEME, Signed
from caduceus.protocol.secagg_intake import SECOND
from caduceus.protocol.secagg_messages import (
    Advertise,
    Confirm,
    Consent,
    Deal,
    Endorse,
    Endorsed,
    Header,
    Inbox,
    Ready,
    RosterFor,
)
from caduceus.protocol.secagg_plan import Family, Plan
from caduceus.protocol.secagg_recheck import recheck_setup
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_server import SetupPhase, SetupServer

SITES, BAD = 7, 2
SIGNER = signer_of(BAD)
SETUP = a_setup(SITES)
SEATS = tuple(range(SITES))
FIVE = a_setup(5)
RING = a_setup(8, plan=Plan(8, 2, 4, 3, Family.RING), silent=2)
"""The committee is 0, 2, 4 and 6; in the ring 3 sits between 0 and 2, and 5 between 1 and 7."""
ELSEWHERE = bytes(range(32))
MESSAGES = [SetupPhase.ADVERTISE, SetupPhase.DEAL, SetupPhase.CONFIRM, SetupPhase.ENDORSE]
KIND = dict(zip(MESSAGES, (Advertise, Deal, Confirm, Endorse), strict=True))


def everyone_but(*seats, setup=SETUP):
    return tuple(party.seat for party in setup.parties if party.seat not in seats)


def played(phase, change, *, setup=FIVE, bad=BAD):
    """A set-up in which one site does this in one phase; the others notice nothing."""
    return ended(SetupPlay(setup=setup, sites={bad: only(phase, change)}), phase, setup=setup, bad=bad)


def ended(play, phase, *, setup=FIVE, bad=BAD):
    """The set-up to its end, from which the site is left out if it had no part in this phase."""
    found = play.run()
    left_out = () if phase is SetupPhase.ENDORSE else (bad,)
    assert found.foundation.ready.seats == everyone_but(*left_out, setup=setup)
    assert play.problems.keys() <= {bad}
    assert found.grounds.keys() >= set(everyone_but(bad, setup=setup))
    return play


def named(play):
    """Whom the server caught, and what was due."""
    return [(fault.seat, fault.due) for fault in play.server.faults]


def due(phase, seat=BAD):
    return (seat, canon.tag_of(KIND[phase]))


@cache
def an_honest_one(setup):
    play = SetupPlay(setup=setup)
    play.run()
    return play


def said(phase, seat, setup=SETUP, play=None):
    """What a site said first in a phase, in an honest set-up or in this one."""
    return next(body for at, who, body in (play or an_honest_one(setup)).heard if (at, who) == (phase, seat))


def ids(cases):
    return [f"{at}-{case[0]}" for at, case in enumerate(cases)]


# ---------------------------------------------------------------- messages that are none


def with_envelope(message, change):
    """The message with its envelope changed; of a deal, the header's."""
    if canon.peek_tag(message) == canon.tag_of(Deal):
        deal = canon.unpack(Deal, message)
        return canon.pack(with_fields(deal, header=with_envelope(deal.header, change)))
    return canon.pack(change(canon.unpack(Signed, message)))


def signed_by_another(signed):
    if signed.scheme == SCHEME:
        digest = sign.digest(DOMAIN, sign.Statement(canon.digest_bytes(signed.body)))
        return with_fields(signed, signature=signer_of(5).sign(digest))
    return with_fields(signed, signature=identity_of(5).sign(signed.body, context=b"caduceus/statement/1"))


def for_another_purpose(signed):
    """By the right key, in another context or domain."""
    if signed.scheme == SCHEME:
        digest = sign.digest(ELSEWHERE, sign.Statement(canon.digest_bytes(signed.body)))
        return with_fields(signed, signature=SIGNER.sign(digest))
    return with_fields(signed, signature=identity_of(BAD).sign(signed.body, context=b""))


def enveloped(change):
    return lambda phase: lambda message: [with_envelope(message, change)]


ANY_PHASE = {
    "garbage": lambda phase: lambda message: [b"\xff" * 40],
    "nothing in it": lambda phase: lambda message: [b""],
    "a cut message": lambda phase: lambda message: [message[:-1]],
    "a byte too many": lambda phase: lambda message: [message + b"\x00"],
    "somebody else's signature": enveloped(signed_by_another),
    "a signature for another purpose": enveloped(for_another_purpose),
    "no signature": enveloped(lambda signed: with_fields(signed, signature=b"")),
    "an unknown scheme": enveloped(lambda signed: with_fields(signed, scheme="none")),
    "the other scheme's name": enveloped(
        lambda signed: with_fields(signed, scheme="ml-dsa-65" if signed.scheme == SCHEME else SCHEME)
    ),
    "more bytes than any message has": lambda phase: lambda message: [bytes(10**6)],
    "the right kind and nothing else": lambda phase: lambda message: [canon.pack(Signed(b"", "", b""))],
}


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
@pytest.mark.parametrize("what", ANY_PHASE)
def test_a_broken_message_names_its_sender_in_any_phase_and_the_rest_gets_ready(what, phase):
    play = played(phase, ANY_PHASE[what](phase))
    assert named(play) == [due(phase)]
    assert len(play.server.faults[0].evidence) < 10**6


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
def test_another_sites_message_of_this_set_up_names_its_sender(phase):
    play = SetupPlay(setup=FIVE)
    play.sites = {BAD: only(phase, lambda message: [said(phase, BAD - 1, play=play)])}
    assert named(ended(play, phase)) == [due(phase)]


# ---------------------------------------------------------------- of another phase, roster or set-up


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
@pytest.mark.parametrize("ahead", MESSAGES, ids=lambda phase: phase.name.lower())
def test_a_message_of_another_phase_is_never_taken_and_names_nobody_where_it_may_have_come_late(phase, ahead):
    """The set-up was begun before, with another roster, or before there was one."""
    if phase is ahead:
        return
    assert named(played(phase, lambda message: [said(ahead, BAD, FIVE)])) == []


def test_a_message_of_this_roster_before_its_time_names_its_sender():
    def confirm(message):
        header = reads(Header, canon.unpack(Deal, message).header)
        tables = np.zeros((4, FIVE.rounds, 2, 32), np.uint8)
        return [said_by(BAD, Confirm(header.setup, header.roster, BAD, (), tables))]

    assert named(played(SetupPhase.DEAL, confirm)) == [due(SetupPhase.DEAL)]


OF_A_ROUND = said_by(BAD, Consent(ELSEWHERE, BAD, ELSEWHERE, np.zeros((5, 32), np.uint8)))
BEFORE = with_fields(FIVE, first=2)
LARGER = altered_deal(BAD, header={"roster": ELSEWHERE}, parcels=lambda old: (*old, bytes(10**6)))
STRAYS = [
    ("advertised in another set-up", SetupPhase.ADVERTISE, altered_vouched(BAD, Advertise, setup=ELSEWHERE)),
    ("dealt in another set-up", SetupPhase.DEAL, altered_deal(BAD, header={"setup": ELSEWHERE})),
    ("dealt for another roster", SetupPhase.DEAL, altered_deal(BAD, header={"roster": ELSEWHERE})),
    ("dealt more in another set-up", SetupPhase.DEAL, LARGER),
    ("confirmed in another set-up", SetupPhase.CONFIRM, altered(SIGNER, Confirm, setup=ELSEWHERE)),
    ("confirmed another roster", SetupPhase.CONFIRM, altered(SIGNER, Confirm, roster=ELSEWHERE)),
    ("signed with another key there", SetupPhase.CONFIRM, altered(signer_of(5), Confirm, roster=ELSEWHERE)),
    ("confirmed as another seat there", SetupPhase.CONFIRM, altered(SIGNER, Confirm, roster=ELSEWHERE, seat=3)),
    ("endorsed another outcome", SetupPhase.ENDORSE, altered(SIGNER, Endorse, ready=ELSEWHERE)),
    *(("of a round", phase, lambda _: [OF_A_ROUND]) for phase in MESSAGES),
    *(("begun before", phase, lambda _, phase=phase: [said(phase, BAD, FIVE)]) for phase in MESSAGES[1:]),
    *(("elsewhere", phase, lambda _, phase=phase: [said(phase, BAD, BEFORE)]) for phase in MESSAGES),
]
STRAY_NAMES = [f"{what}-{phase.name.lower()}" for what, phase, _ in STRAYS]


@pytest.mark.parametrize(("what", "phase", "change"), STRAYS, ids=STRAY_NAMES)
def test_a_stray_names_nobody_its_sender_is_silent_and_the_rest_gets_ready(what, phase, change):
    play = played(phase, change)
    assert named(play) == []
    assert BAD not in play.server._intake.taken[phase]


@pytest.mark.parametrize(("what", "phase", "change"), STRAYS, ids=STRAY_NAMES)
def test_after_strays_a_site_is_waited_for_and_its_true_message_is_taken(what, phase, change):
    kept = []

    def strays(message):
        kept.append(message)
        return [*change(message), *change(message)]

    play = SetupPlay(setup=FIVE, sites={BAD: only(phase, strays)})
    play.until(phase)
    assert not play.server.ready
    for message in (kept[0], *change(kept[0])):  # a stray is no second message either
        assert play.server.receive(BAD, message) == []
        assert play.server.ready
    while play.server.phase is not SetupPhase.DONE:
        play._answer(play.close())
    found = play.prepared()
    assert found.foundation.ready.seats == everyone_but(setup=FIVE)
    assert found.grounds.keys() == set(everyone_but(setup=FIVE))
    assert named(play) == []


@pytest.mark.parametrize("inside", ["an upload", "a deal", "an advertisement"])
def test_a_deal_with_a_stray_for_its_header_names_nobody_and_no_stranger_holds_it_against_the_coordinator(inside):
    """What would be kept as evidence is the header, which its sender chose: read alone, it is a stray or late."""

    def header(deal):
        if inside == "an advertisement":
            return said(SetupPhase.ADVERTISE, BAD, play=play)
        if inside == "a deal":
            return canon.pack(canon.unpack(Deal, said(SetupPhase.DEAL, BAD, FIVE)))
        return an_upload_elsewhere()

    play = SetupPlay(setup=FIVE)
    change = lambda message: [canon.pack(with_fields(canon.unpack(Deal, message), header=header(message)))]  # noqa: E731
    play.sites = {BAD: only(SetupPhase.DEAL, change)}
    assert named(ended(play, SetupPhase.DEAL)) == []
    assert recheck_setup(play.prepared().foundation) == ()


def an_upload_elsewhere():
    body = canon.pack(upload_kind()(ELSEWHERE, BAD, ELSEWHERE))
    struct = sign.Upload(JOB, 0, BAD, canon.digest_bytes(body))
    return framed(Signed(body, SCHEME, SIGNER.sign(sign.digest(DOMAIN, struct))), b"")


# ---------------------------------------------------------------- messages that are well signed, and wrong


def flipped(table, row=0):
    changed = table.copy()
    changed[row] ^= 1
    return changed


def x25519(half):
    return lambda old: old[:-32] + half


ADVERTISED = [
    ("no public key", {"kem_key": x25519(bytes(32))}),
    ("no public key", {"kem_key": x25519(bytes([1]) + bytes(31))}),
    ("no public key", {"kem_key": x25519(bytes(31) + b"\xff")}),
    ("no public key", {"kem_key": lambda old: b"\xff" * 3 + old[3:]}),  # an ML-KEM coefficient above the modulus
    ("no public key", {"kem_key": lambda old: old[:-1]}),
    ("no public key", {"kem_key": b""}),
    ("another set-up", {"setup": b""}),
    ("from another seat", {"seat": 3}),
    ("from another seat", {"seat": 2**70}),
    ("another key than it enrolled with", {"verifier": lambda old: identity_of(3).public}),
    ("another key than it enrolled with", {"verifier": b""}),
]


@pytest.mark.parametrize(("why", "fields"), ADVERTISED, ids=ids(ADVERTISED))
def test_a_false_advertisement_names_its_sender(why, fields):
    play = played(SetupPhase.ADVERTISE, altered_vouched(BAD, Advertise, **fields))
    assert named(play) == [due(SetupPhase.ADVERTISE)]
    assert why in play.faults()[0][1]
    assert reads(Advertise, play.server.faults[0].evidence).kem_key is not None


def test_a_site_that_vouches_with_a_key_that_it_did_not_enrol_is_named():
    """Whoever has the seat's other key, and not this one, cannot make others seal to a key of its own."""
    stranger = identity_of(77)
    change = altered_vouched(77, Advertise, verifier=stranger.public, kem_key=xwing.Decapsulator(ELSEWHERE).public)
    play = played(SetupPhase.ADVERTISE, change)
    assert play.faults() == [(BAD, "signed with another key than it enrolled with")]


NOT_OF_THE_HEADER = "not those of its signed header"
DEALT = [
    ("another roster", altered_deal(BAD, header={"roster": ELSEWHERE[1:]})),
    ("another set-up", altered_deal(BAD, header={"setup": b""})),
    ("from another seat", altered_deal(BAD, header={"seat": 3})),
    (NOT_OF_THE_HEADER, altered_deal(BAD, header={"deal_root": ELSEWHERE})),
    (NOT_OF_THE_HEADER, altered_deal(BAD, header={"commitments": ELSEWHERE})),
    (NOT_OF_THE_HEADER, altered_deal(BAD, commitments=flipped)),
    (NOT_OF_THE_HEADER, altered_deal(BAD, commitments=lambda old: old[::-1].copy())),
    (NOT_OF_THE_HEADER, altered_deal(BAD, digests=flipped)),
    (NOT_OF_THE_HEADER, altered_deal(BAD, digests=lambda old: old[::-1].copy())),
    (NOT_OF_THE_HEADER, altered_deal(BAD, sealed=flipped)),
    (NOT_OF_THE_HEADER, altered_deal(BAD, sealed=lambda old: flipped(old, BAD))),
    (NOT_OF_THE_HEADER, altered_deal(BAD, parcels=lambda old: (old[1], old[0], *old[2:]))),
    (NOT_OF_THE_HEADER, altered_deal(BAD, parcels=lambda old: (bytes(len(old[0])), *old[1:]))),
    ("one entry per receiver and round", altered_deal(BAD, commitments=lambda old: old[:-1].copy())),
    ("one entry per receiver and round", altered_deal(BAD, commitments=lambda old: old.astype("<u4"))),
    ("one entry per receiver and round", altered_deal(BAD, digests=lambda old: old[:-1].copy())),
    ("one entry per receiver and round", altered_deal(BAD, digests=lambda old: old[:, :1].copy())),
    ("one entry per receiver and round", altered_deal(BAD, digests=lambda old: old[:0].copy())),
    ("one entry per receiver and round", altered_deal(BAD, digests=lambda old: old.reshape(5, -1, 32).copy())),
    ("one entry per receiver and round", altered_deal(BAD, sealed=lambda old: old[:-1].copy())),
    ("one entry per receiver and round", altered_deal(BAD, sealed=lambda old: old.astype("<u8"))),
    ("not one per receiver", altered_deal(BAD, parcels=lambda old: old[:-1])),
    ("not one per receiver", altered_deal(BAD, parcels=lambda old: (*old, b""))),
    ("not one per receiver", altered_deal(BAD, parcels=lambda old: (old[0][:-1], *old[1:]))),
    ("not one per receiver", altered_deal(BAD, parcels=lambda old: (b"", *old[1:]))),
    ("not one per receiver", altered_deal(BAD, parcels=lambda old: (*old[:BAD], old[0], *old[BAD + 1 :]))),
    ("dealt without parcels", altered_deal(BAD, parcels=())),
]


@pytest.mark.parametrize(("why", "change"), DEALT, ids=ids(DEALT))
def test_a_false_deal_names_its_sender(why, change):
    play = played(SetupPhase.DEAL, change)
    assert named(play) == [due(SetupPhase.DEAL)]
    assert why in play.faults()[0][1]


CONFIRMED = [
    ("another roster", {"roster": ELSEWHERE[1:]}),
    ("another set-up", {"setup": ELSEWHERE + b"x"}),
    ("from another seat", {"seat": 3}),
    ("not one per neighbour and round", {"tables": lambda old: old[:-1].copy()}),
    ("not one per neighbour and round", {"tables": lambda old: old[:, :1].copy()}),
    ("not one per neighbour and round", {"tables": lambda old: old[:0].copy()}),
    ("not one per neighbour and round", {"tables": lambda old: old.astype("<u4")}),
    ("not one per neighbour and round", {"tables": lambda old: old.reshape(-1, 32).copy()}),
    ("not due to it", {"missing": (99,)}),
    ("not due to it", {"missing": (-1,)}),
    ("not due to it", {"missing": (BAD,)}),
    ("not due to it", {"missing": (3, 3)}),
    ("not due to it", {"missing": (4, 3)}),
    ("not due to it", {"missing": (2**80,)}),
]


@pytest.mark.parametrize(("why", "fields"), CONFIRMED, ids=ids(CONFIRMED))
def test_a_false_confirmation_names_its_sender(why, fields):
    play = played(SetupPhase.CONFIRM, altered(SIGNER, Confirm, **fields))
    assert named(play) == [due(SetupPhase.CONFIRM)]
    assert why in play.faults()[0][1]


def test_nobody_misses_what_was_not_dealt_to_it():
    """In a sparse graph a site hears from few; that others dealt it nothing is no reproach."""
    fields = {"missing": (1,)}
    play = played(SetupPhase.CONFIRM, altered(signer_of(3), Confirm, **fields), setup=RING, bad=3)
    assert "not due to it" in play.faults()[0][1]


ENDORSED = [
    ("another outcome", {"ready": b""}),
    ("for another seat", {"seat": 3}),
    ("endorsed another outcome", {"tags": lambda old: old[:-1].copy()}),
    ("endorsed another outcome", {"tags": lambda old: old.reshape(-1).copy()}),
    ("endorsed another outcome", {"tags": lambda old: old.astype("<u4")}),
]


@pytest.mark.parametrize(("why", "fields"), ENDORSED, ids=ids(ENDORSED))
def test_a_false_endorsement_names_its_sender(why, fields):
    play = played(SetupPhase.ENDORSE, altered(SIGNER, Endorse, **fields))
    assert named(play) == [due(SetupPhase.ENDORSE)]
    assert why in play.faults()[0][1]


def test_as_many_members_as_can_be_liars_stop_nobody_with_false_tags():
    """Only who they are for can check them: so all that came are passed on, and a threshold of them is right."""
    nothing = {seat: altered(signer_of(seat), Endorse, tags=lambda old: np.zeros_like(old)) for seat in (0, 1)}
    play = SetupPlay(setup=SETUP, sites={seat: only(SetupPhase.ENDORSE, change) for seat, change in nothing.items()})
    found = play.run()
    assert found.grounds.keys() == set(range(SITES))
    assert not play.problems
    assert len(found.foundation.record.endorses) == SETUP.plan.threshold


# ---------------------------------------------------------------- twice, late, too large


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
def test_of_two_different_messages_the_first_stands_and_the_second_is_written_down(phase):
    second = {
        SetupPhase.ADVERTISE: altered_vouched(BAD, Advertise, kem_key=xwing.Decapsulator(ELSEWHERE).public),
        SetupPhase.DEAL: altered_deal(BAD, commitments=flipped),
        SetupPhase.CONFIRM: altered(SIGNER, Confirm, missing=(0, 1)),
        SetupPhase.ENDORSE: altered(SIGNER, Endorse, tags=flipped),
    }[phase]

    def more(message):
        return [message, *second(message), message, b"garbage", bytes(10**6), *second(message)]

    play = SetupPlay(setup=SETUP, sites={BAD: only(phase, more)})
    assert play.run().foundation.ready.seats == SEATS
    assert named(play) == [due(phase)]
    assert play.faults() == [(BAD, SECOND)]
    assert play.server.faults[0].evidence == [body for at, who, body in play.heard if (at, who) == (phase, BAD)][1]
    assert not play.problems


def test_a_second_message_that_is_no_deal_though_it_says_so_is_written_down_as_well():
    head = canon.pack(Deal(b"", *(np.zeros((0, 32), np.uint8),) * 3, ()))[:20]
    play = SetupPlay(setup=SETUP, sites={BAD: only(SetupPhase.DEAL, lambda message: [message, head])})
    assert play.run().foundation.ready.seats == SEATS
    assert play.faults() == [(BAD, SECOND)]


def test_a_site_that_starts_again_says_the_same_in_other_words_and_goes_on():
    """Its advertisement is signed anew and its parcels are sealed anew: no second decision, and nobody is blamed."""
    play = SetupPlay(setup=SETUP)
    play.until(SetupPhase.ADVERTISE)
    site = a_setup_site(play.layout, BAD, play.memories[BAD])
    advertisement = site.advertise()
    assert advertisement != said(SetupPhase.ADVERTISE, BAD, play=play)
    assert play.server.receive(BAD, advertisement) == []
    play._answer(play.close())
    (roster,) = play.server.receive(BAD, advertisement)
    (deal,) = site.react(roster)
    assert canon.unpack(Deal, deal).header != canon.unpack(Deal, said(SetupPhase.DEAL, BAD, play=play)).header
    assert play.server.receive(BAD, deal) == []
    play._answer(play.close())
    (inbox,) = play.server.receive(BAD, deal)
    assert site.react(inbox) == [said(SetupPhase.CONFIRM, BAD, play=play)]
    assert not play.faults()


@pytest.mark.parametrize("phase", MESSAGES[1:], ids=lambda phase: phase.name.lower())
def test_a_site_that_was_too_slow_for_a_phase_is_not_taken_in_later_and_not_blamed(phase):
    slow = MESSAGES[phase - 1]
    play = SetupPlay(setup=SETUP, silent={slow: frozenset({BAD})})
    play.until(phase)
    for message in (said(slow, BAD), said(phase, BAD)):
        assert play.server.receive(BAD, message) == []
    assert not play.faults()
    while play.server.phase is not SetupPhase.DONE:
        play._answer(play.close())
    assert BAD not in play.prepared().foundation.ready.seats


def test_a_site_whose_line_broke_is_told_again_what_followed_its_message():
    play = SetupPlay(setup=SETUP)
    play.until(SetupPhase.ENDORSE)
    told = {(at, seat): body for at, seat, body in play.told}
    for phase, kind in ((SetupPhase.ADVERTISE, RosterFor), (SetupPhase.DEAL, Inbox), (SetupPhase.CONFIRM, Ready)):
        (again,) = play.server.receive(BAD, said(phase, BAD, play=play))
        assert again == told[phase, BAD]
        assert canon.tag_of(kind).encode() in again
    assert play.server.receive(BAD, said(SetupPhase.ENDORSE, BAD, play=play)) == []  # nothing followed yet
    assert not play.faults()


def test_a_member_that_was_left_out_is_not_asked_to_endorse_an_outcome_without_it():
    """It would take that for a lie of the coordinator's."""
    quarrels = altered(SIGNER, Confirm, tables=lambda old: old[::-1].copy())
    play = SetupPlay(setup=SETUP, sites={BAD: only(SetupPhase.CONFIRM, quarrels)})
    play.until(SetupPhase.ENDORSE)
    assert play.server.receive(BAD, said(SetupPhase.CONFIRM, BAD, play=play)) == []
    assert (SetupPhase.CONFIRM, BAD) not in {(at, seat) for at, seat, _ in play.told}
    assert not play.problems


def test_nobody_is_heard_who_is_not_enrolled_or_when_it_is_over():
    play = SetupPlay(setup=SETUP)
    play.run()
    for seat, message in ((99, said(SetupPhase.ADVERTISE, 3)), (-1, b""), (BAD, b"garbage"), (BAD, bytes(10**7))):
        assert play.server.receive(seat, message) == []
    assert not play.faults()
    with pytest.raises(Misuse, match="the set-up is over"):
        play.server.advance()


def test_bytes_beyond_any_honest_message_are_not_even_read():
    def padded(message):
        deal = canon.unpack(Deal, message)
        return [canon.pack(with_fields(deal, parcels=(*deal.parcels, bytes(10**6))))]

    play = played(SetupPhase.DEAL, padded)
    assert "bytes, at most" in play.faults()[0][1]
    assert play.server.faults[0].evidence == b""


# ---------------------------------------------------------------- silent sites


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
def test_as_many_as_can_be_spared_fall_silent_and_the_rest_gets_ready(phase):
    play = SetupPlay(setup=SETUP, silent={phase: frozenset({1, 4})})
    found = play.run()
    out = {1, 4} if phase is not SetupPhase.ENDORSE else set()
    assert set(found.foundation.ready.seats) == set(range(SITES)) - out
    assert found.grounds.keys() >= set(range(SITES)) - {1, 4}
    assert not play.faults()
    assert not play.problems


TOO_FEW = {
    SetupPhase.ADVERTISE: "only 4 sites are here, 4 of them in the committee; 5 and 5 are needed",
    SetupPhase.DEAL: "only 4 sites answered with deal, 5 are needed",
    SetupPhase.CONFIRM: "only 4 sites are ready, 4 of them in the committee; 5 and 5 are needed",
    SetupPhase.ENDORSE: "only 4 sites answered with endorse, 5 are needed",
}


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
def test_with_one_silent_site_more_the_setup_is_refused_and_nothing_is_told(phase):
    play = SetupPlay(setup=SETUP, silent={phase: frozenset({1, 4, 5})})
    with pytest.raises(Refused, match=TOO_FEW[phase]):
        play.run()
    with pytest.raises(Refused, match=TOO_FEW[phase]):
        play.server.advance()  # asked again, it is the same
    assert play.server.phase is phase
    assert not play.faults()
    if phase < SetupPhase.ENDORSE:
        with pytest.raises(Misuse, match="no outcome yet"):
            play.server.record()


def test_a_slow_site_saves_a_setup_that_lacked_one():
    play = SetupPlay(setup=SETUP, silent={SetupPhase.ADVERTISE: frozenset({1, 4, 5})})
    with pytest.raises(Refused, match="only 4 sites are here"):
        play.until(SetupPhase.DEAL)
    play.server.receive(5, said(SetupPhase.ADVERTISE, 5))
    assert sorted(play.server.advance()) == [0, 2, 3, 5, 6]


def test_a_committee_that_is_not_there_is_seen_before_anybody_deals():
    for committee, gone in ((1, 1), (4, 2)):
        setup = a_setup(8, plan=Plan(8, 2, committee, 2 * committee // 3 + 1, Family.RING), silent=2)
        silent = {SetupPhase.ADVERTISE: frozenset(Layout(setup).committee[:gone])}
        with pytest.raises(Refused, match=f"only {8 - gone} sites are here, {committee - gone} of them in the comm"):
            SetupPlay(setup=setup, silent=silent).run()


# ---------------------------------------------------------------- neighbours that do not agree


def quarrelling(*others, setup=SETUP, bad=BAD, **fields):
    """Says that it has something else in common with these neighbours than they say."""
    places = [Layout(setup).neighbours(bad).index(other) for other in others]

    def other_tables(tables):
        changed = tables.copy()
        changed[places] ^= 1
        return changed

    return only(SetupPhase.CONFIRM, altered(signer_of(bad), Confirm, tables=other_tables, **fields))


def test_of_two_neighbours_that_do_not_agree_both_are_left_out_and_neither_is_named():
    """Nobody else can say which one lied, and whoever starts this loses its own place."""
    play = SetupPlay(setup=SETUP, sites={BAD: quarrelling(5)})
    found = play.run()
    assert found.foundation.ready.seats == everyone_but(BAD, 5)
    assert found.grounds.keys() == set(everyone_but(BAD, 5))
    assert not play.faults()
    assert not play.problems


@pytest.mark.parametrize("others", [(0, 3, 5), (0, 1, 3, 4, 5, 6)])
def test_one_that_quarrels_with_more_than_can_be_liars_is_left_out_alone_and_named(others):
    play = SetupPlay(setup=SETUP, sites={BAD: quarrelling(*others)})
    found = play.run()
    assert found.foundation.ready.seats == everyone_but(BAD)
    assert play.faults() == [(BAD, f"has other secrets than {len(others)} of its neighbours")]
    assert reads(Confirm, play.server.faults[0].evidence).seat == BAD
    assert not play.problems


def test_one_that_quarrels_with_as_many_as_can_be_liars_takes_one_with_it():
    play = SetupPlay(setup=SETUP, sites={BAD: quarrelling(0, 5)})
    assert play.run().foundation.ready.seats == everyone_but(0, BAD)
    assert not play.faults()


@pytest.mark.parametrize("victims", [(5,), (5, 6)])
def test_liars_together_take_no_more_honest_sites_with_them_than_they_are(victims):
    big = a_setup(13)
    liars = (0, 1, 2, 3)
    play = SetupPlay(setup=big, sites={bad: quarrelling(*victims, setup=big, bad=bad) for bad in liars})
    gone = set(range(13)) - set(play.run().foundation.ready.seats)
    assert len(gone & set(liars)) >= len(gone - set(liars)) > 0


def test_a_quarrel_with_somebody_who_is_gone_is_none():
    play = SetupPlay(setup=SETUP, sites={BAD: quarrelling(5)}, silent={SetupPhase.CONFIRM: frozenset({5})})
    assert play.run().foundation.ready.seats == everyone_but(5)
    assert not play.faults()


def test_a_check_of_one_round_that_differs_is_a_quarrel():
    def last_round(tables):
        changed = tables.copy()
        changed[0, -1, 0, 31] ^= 1
        return changed

    play = SetupPlay(setup=SETUP, sites={BAD: only(SetupPhase.CONFIRM, altered(SIGNER, Confirm, tables=last_round))})
    assert play.run().foundation.ready.seats == everyone_but(0, BAD)


def test_in_a_sparse_graph_only_neighbours_can_quarrel():
    assert Layout(RING).neighbours(3) == (0, 2)
    play = SetupPlay(setup=RING, sites={3: quarrelling(2, setup=RING, bad=3)})
    assert play.run().foundation.ready.seats == everyone_but(2, 3, setup=RING)
    assert not play.faults()  # two of eight can be liars


def test_so_many_quarrels_that_too_few_are_left_are_the_end_of_the_setup():
    play = SetupPlay(setup=SETUP, sites={0: quarrelling(1, bad=0), 2: quarrelling(3, bad=2)})
    with pytest.raises(Refused, match="only 3 sites are ready"):
        play.run()
    assert play.server.phase is SetupPhase.CONFIRM


# ---------------------------------------------------------------- dealers that seal garbage


def sealing_garbage(bad, *receivers):
    """Seals noise to some receivers, and answers for its digest, as it must."""

    def make(layout, seat, memory):
        site = a_setup_site(layout, seat, memory)
        if seat == bad:
            honest = site._parcel
            site._parcel = lambda to: bytes([to]) * len(honest(to)) if to in receivers else honest(to)
        return site

    return make


@pytest.mark.parametrize("receivers", [(0, 1, 2), (0, 1, 2, 3, 4, 5)])
def test_a_dealer_that_seals_garbage_to_more_members_than_can_be_liars_is_named_and_left_out(receivers):
    play = SetupPlay(setup=SETUP, make=sealing_garbage(6, *receivers))
    found = play.run()
    assert found.foundation.ready.seats == everyone_but(6)
    assert play.faults() == [(6, f"sealed parcels in which {len(receivers)} members found no share")]
    assert reads(Header, play.server.faults[0].evidence).seat == 6
    assert not play.problems


@pytest.mark.parametrize("receivers", [(0,), (1, 4)])
def test_a_dealer_that_seals_garbage_to_few_is_neither_named_nor_left_out(receivers):
    """As many can be lying about it; and a threshold has its shares."""
    play = SetupPlay(setup=SETUP, make=sealing_garbage(6, *receivers))
    found = play.run()
    assert found.foundation.ready.seats == SEATS
    for seat in SEATS:
        assert (6 in found.grounds[seat].shares) == (seat not in receivers)
    assert not play.faults()
    assert not play.problems


def test_a_dealer_whose_shares_fewer_than_a_threshold_have_is_left_out_without_a_name():
    """Two of seven found no share and a third is silent: four could open, five are needed."""
    play = SetupPlay(setup=SETUP, make=sealing_garbage(6, 0, 1), silent={SetupPhase.CONFIRM: frozenset({3})})
    assert play.run().foundation.ready.seats == everyone_but(3, 6)
    assert not play.faults()


def test_members_that_claim_to_miss_an_honest_dealers_shares_cannot_have_it_named_or_left_out():
    liars = {seat: only(SetupPhase.CONFIRM, altered(signer_of(seat), Confirm, missing=(5,))) for seat in (0, 1)}
    play = SetupPlay(setup=SETUP, sites=liars)
    assert play.run().foundation.ready.seats == SEATS
    assert not play.faults()


def test_a_dealer_that_seals_garbage_to_a_neighbour_has_nothing_in_common_with_it():
    """In the full graph the lower seat deals the pair's secret: both go."""
    play = SetupPlay(setup=SETUP, make=sealing_garbage(0, 5))
    assert play.run().foundation.ready.seats == everyone_but(0, 5)
    assert not play.faults()


def test_a_dealer_that_gives_another_secret_than_it_keeps_has_nothing_in_common_with_its_neighbours():
    def make(layout, seat, memory):
        site = a_setup_site(layout, seat, memory)
        if seat == 0:
            honest = parcels.write

            def other_secret(receiver):
                shares = site._shares[site._present.member_place[receiver]].tobytes()
                contents = parcels.Contents(ELSEWHERE, shares)
                key = site._adverts[receiver].kem_key
                return honest(contents, key, context=site._context, dealer=0, receiver=receiver)

            own = site._parcel
            site._parcel = lambda to: other_secret(to) if to in (1, 2, 3) else own(to)
        return site

    play = SetupPlay(setup=SETUP, make=make)
    assert play.run().foundation.ready.seats == everyone_but(0)
    assert play.faults() == [(0, "has other secrets than 3 of its neighbours")]


def test_as_many_hostile_sites_as_the_threshold_allows_still_leave_a_setup():
    play = SetupPlay(
        setup=SETUP,
        sites={1: only(SetupPhase.DEAL, lambda message: [b"garbage"])},
        make=sealing_garbage(6, 0, 2, 3),
    )
    found = play.run()
    assert found.foundation.ready.seats == everyone_but(1, 6)
    assert sorted(seat for seat, _ in play.faults()) == [1, 6]


def test_with_one_hostile_site_more_there_is_no_setup():
    garbage = only(SetupPhase.DEAL, lambda message: [b"garbage"])
    play = SetupPlay(setup=SETUP, sites=dict.fromkeys((0, 3, 6), garbage))
    with pytest.raises(Refused, match="only 4 sites answered with deal, 5 are needed"):
        play.run()


# ---------------------------------------------------------------- an honest set-up


@pytest.mark.parametrize(
    "setup", [SETUP, RING, a_setup(4), a_setup(6, cohort=3)], ids=["full", "ring", "four", "groups"]
)
def test_where_nothing_goes_wrong_everybody_is_ready_and_stands_on_the_same_outcome(setup):
    play = an_honest_one(setup)
    found = play.prepared()
    assert found.grounds.keys() == set(play.layout.seats) == set(found.foundation.ready.seats)
    assert {ground.ready for ground in found.grounds.values()} == {found.foundation.ready_id}
    assert not play.faults()
    assert not play.problems
    asked = {seat for at, seat, _ in play.told if at is SetupPhase.CONFIRM}
    assert asked == set(play.layout.committee)


def test_what_a_site_is_told_is_made_for_it_when_it_is_sent():
    server, play = SetupServer(Layout(RING), COORDINATOR), an_honest_one(RING)
    for seat in play.layout.seats:
        server.receive(seat, said(SetupPhase.ADVERTISE, seat, RING))
    outgoing = server.advance()
    assert [*outgoing] == list(play.layout.seats)
    message = canon.unpack(RosterFor, outgoing[3])
    wanted = sorted({3, *play.layout.peers(3)})
    assert [reads(Advertise, one).seat for one in message.advertisements] == wanted != list(play.layout.seats)
    with pytest.raises(KeyError):
        outgoing[99]


def test_the_endorsements_reach_every_ready_site_each_with_its_own_tags():
    play = an_honest_one(SETUP)
    told = {seat: canon.unpack(Endorsed, body) for at, seat, body in play.told if at is SetupPhase.ENDORSE}
    assert told.keys() == set(SEATS)
    for seat, endorsed in told.items():
        for member, tag in zip(endorsed.members, endorsed.tags, strict=True):
            own = reads(Endorse, said(SetupPhase.ENDORSE, member))
            assert tag.tobytes() == own.tags[seat].tobytes()
            assert tag.any() == (member != seat)
