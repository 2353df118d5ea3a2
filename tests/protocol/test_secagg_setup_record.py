"""The record of a set-up: an honest one passes, and whatever is altered in it is the coordinator's doing."""

from functools import cache
from hashlib import sha256

import numpy as np
import pytest

from adversary import (
    SetupPlay,
    a_setup,
    a_setup_site,
    altered,
    only,
    reads,
    said_by,
    signer_of,
    vouched_by,
    with_fields,
)
from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.secagg_messages import Advertise, Confirm, Deal, Endorse, Header, signed_digest
from caduceus.protocol.secagg_plan import Family, Plan
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord, without_parcels
from caduceus.protocol.secagg_setup_server import SetupPhase

SITES, BAD = 7, 2
SETUP = a_setup(SITES)
RING = a_setup(8, plan=Plan(8, 2, 4, 3, Family.RING), silent=1)
"""The committee is 0, 2, 4 and 6."""
ELSEWHERE = bytes(range(32))


def played(setup=SETUP, silent=()):
    """A set-up in which nothing went wrong; some sites advertise and say no more."""
    return _played(setup, silent)


@cache
def _played(setup, silent):
    play = SetupPlay(setup=setup, silent={SetupPhase.DEAL: frozenset(silent)})
    play.run()
    assert not play.problems
    return play


def the_record(setup=SETUP, silent=()):
    return canon.unpack(SetupRecord, canon.pack(played(setup, silent).server.record()))


def read(record, setup=SETUP):
    """As a stranger reads it, from bytes."""
    return Foundation(Layout(setup), canon.unpack(SetupRecord, canon.pack(record)))


def at(place, change):
    """One message of several changed."""
    return lambda old: (*old[:place], change(old[place]), *old[place + 1 :])


def flipped(table, row=0):
    changed = table.copy()
    changed[row] ^= 1
    return changed


def swapped(old):
    return (old[1], old[0], *old[2:])


# ---------------------------------------------------------------- an honest record


@pytest.mark.parametrize(
    ("setup", "silent"), [(SETUP, ()), (SETUP, (1, 4)), (RING, ()), (RING, (3,))], ids=["full", "gone", "ring", "away"]
)
def test_an_honest_record_passes_and_says_what_the_sites_stand_on(setup, silent):
    play, record = played(setup, silent), the_record(setup, silent)
    found = read(record, setup)
    grounds = {seat: site.ground for seat, site in play.actors.items() if site.ground is not None}
    assert found.ready.seats == found.present.seats == tuple(sorted(grounds))
    assert {ground.ready for ground in grounds.values()} == {found.ready_id}
    assert found.roster_present.seats == play.layout.seats
    assert found.blob == canon.pack(play.server.record()) == play.server.foundation().blob
    for seat in grounds:
        neighbours, table = found.table(seat)
        confirm = next(reads(Confirm, b) for when, who, b in play.heard if (when, who) == (SetupPhase.CONFIRM, seat))
        assert neighbours == play.layout.neighbours(seat)
        assert np.array_equal(table, confirm.tables)
        assert found.dealt[seat].header.seat == seat
    for member in found.present.members:
        digests = found.dealt[found.ready.seats[0]].digests[found.holder_place(member)]
        assert digests.shape == (setup.rounds, 2, 32)


def test_a_record_is_of_the_setup_that_it_was_made_in():
    record = the_record()
    for other in (with_fields(SETUP, first=2), with_fields(SETUP, beacon=ELSEWHERE), a_setup(SITES, rounds=1)):
        with pytest.raises(PeerFault, match="the coordinator: recorded another set-up"):
            Foundation(Layout(other), record)
    read(record)


def test_more_endorsements_than_are_needed_do_no_harm():
    play, record = played(), the_record()
    everyones = tuple(body for when, _, body in play.heard if when is SetupPhase.ENDORSE)
    assert len(everyones) == SITES > SETUP.plan.threshold
    read(with_fields(record, endorses=everyones))
    read(with_fields(record, endorses=everyones[-SETUP.plan.threshold :]))


def test_a_deal_is_kept_with_everything_but_its_parcels_and_still_answers_for_them():
    for when, seat, body in played().heard:
        if when is not SetupPhase.DEAL:
            continue
        kept, deal = canon.unpack(Deal, without_parcels(body)), canon.unpack(Deal, body)
        assert kept == with_fields(deal, parcels=())
        assert without_parcels(canon.pack(kept)) == canon.pack(kept)
        digests = [sha256(parcel).digest() if parcel else bytes(32) for parcel in deal.parcels]
        assert [row.tobytes() for row in kept.sealed] == digests
        assert digests[seat] == bytes(32)
        assert len(canon.pack(kept)) < len(body) / 2
    parcels = {parcel for when, _, body in played().heard if when is SetupPhase.DEAL for parcel in parcels_of(body)}
    assert not any(parcel in played().server.foundation().blob for parcel in parcels if parcel)


def parcels_of(body):
    return canon.unpack(Deal, body).parcels


# ---------------------------------------------------------------- what was altered in it


def deal_of(seat, setup):
    """What a seat dealt in another set-up."""
    return without_parcels(next(b for when, who, b in played(setup).heard if (when, who) == (SetupPhase.DEAL, seat)))


def dealt_anew(seat, **fields):
    """A deal under another header, which the seat signed as well."""

    def change(old):
        deal = canon.unpack(Deal, old)
        return canon.pack(with_fields(deal, header=vouched_by(seat, with_fields(reads(Header, deal.header), **fields))))

    return change


def a_table_of(name, change):
    return lambda old: canon.pack(with_fields(canon.unpack(Deal, old), **{name: change}))


def in_record(name, change):
    return lambda record: with_fields(record, **{name: change})


def in_part(name, **fields):
    return lambda record: with_fields(record, **{name: with_fields(getattr(record, name), **fields)})


def endorsed_with(**fields):
    """Seat 0, which sides with the coordinator, signs another endorsement."""
    return in_record("endorses", at(0, lambda old: said_by(0, with_fields(reads(Endorse, old), **fields))))


def with_outcome_made_to_fit(change):
    """The coordinator alters messages and writes an outcome with their digests, which nobody endorsed."""

    def make(record):
        changed = change(record)
        ready = with_fields(
            changed.ready,
            headers=signed_digest(canon.unpack(Deal, deal).header for deal in changed.deals),
            confirms=signed_digest(changed.confirms),
        )
        return with_fields(changed, ready=ready)

    return make


LATER = with_fields(SETUP, first=2)
ALTERED = [
    ("recorded another set-up", in_record("setup", LATER)),
    ("recorded another set-up", in_part("roster", setup=ELSEWHERE)),
    ("another set-up or roster", in_part("roster", digests=flipped)),
    ("another set-up or roster", in_part("roster", seats=lambda old: old[:-1], digests=lambda old: old[:-1].copy())),
    ("not one advertisement per seat", in_part("roster", seats=lambda old: old[:-1])),
    ("not one advertisement per seat", in_part("roster", digests=lambda old: old.astype("<u4"))),
    ("stranger", in_part("roster", seats=lambda old: (*old[:-1], 99))),
    ("another set-up or roster", in_part("ready", setup=ELSEWHERE)),
    ("another set-up or roster", in_part("ready", roster=ELSEWHERE)),
    ("not here, or one twice", in_part("ready", seats=lambda old: (*old[:-1], 99))),
    ("not here, or one twice", in_part("ready", seats=lambda old: old[::-1])),
    ("not one message per ready site", in_part("ready", seats=lambda old: old[:-1])),
    ("other deals than its outcome names", in_part("ready", headers=ELSEWHERE)),
    ("other confirmations than its outcome names", in_part("ready", confirms=ELSEWHERE)),
    ("another advertisement of seat 0", in_record("advertisements", swapped)),
    ("another advertisement of seat 3", in_record("advertisements", at(3, lambda old: b""))),
    (
        "another advertisement of seat 3",
        in_record("advertisements", at(3, lambda old: vouched_by(3, reads(Advertise, old)))),
    ),
    ("not one message per ready site", in_record("advertisements", lambda old: old[:-1])),
    ("0 are due", in_record("others", lambda old: (b"",))),
    ("seat 0 sent a message that is not signed", in_record("deals", swapped)),
    ("not one message per ready site", in_record("deals", lambda old: old[:-1])),
    ("seat 3 dealt something unreadable", in_record("deals", at(3, lambda old: b"garbage"))),
    ("seat 3 sent a message of another set-up", in_record("deals", at(3, lambda old: deal_of(3, LATER)))),
    ("seat 3 dealt for another roster", in_record("deals", at(3, dealt_anew(3, roster=ELSEWHERE)))),
    ("not those of its signed header", in_record("deals", at(3, dealt_anew(3, deal_root=ELSEWHERE)))),
    ("not those of its signed header", in_record("deals", at(3, a_table_of("commitments", flipped)))),
    ("not those of its signed header", in_record("deals", at(3, a_table_of("digests", flipped)))),
    ("not those of its signed header", in_record("deals", at(3, a_table_of("sealed", flipped)))),
    ("one entry per receiver", in_record("deals", at(3, a_table_of("digests", lambda old: old[:-1].copy())))),
    ("not one per receiver", in_record("deals", at(3, a_table_of("parcels", (b"",))))),
    ("other deals than its outcome names", in_record("deals", at(3, dealt_anew(3)))),
    ("other confirmations than its outcome names", in_record("confirms", swapped)),
    ("other confirmations than its outcome names", in_record("confirms", at(3, lambda old: old + b"\x00"))),
    ("not one message per ready site", in_record("confirms", lambda old: old[:-1])),
    ("seat 0 sent a message that is not signed", with_outcome_made_to_fit(in_record("confirms", swapped))),
    ("seat 3 sent something unreadable", with_outcome_made_to_fit(in_record("confirms", at(3, lambda old: b"")))),
    (
        "seat 3 confirmed another roster",
        with_outcome_made_to_fit(
            in_record("confirms", at(3, lambda old: said_by(3, with_fields(reads(Confirm, old), roster=ELSEWHERE))))
        ),
    ),
    ("endorsed another outcome", with_outcome_made_to_fit(in_record("deals", at(3, dealt_anew(3))))),
    ("no member, or one twice", in_record("endorses", lambda old: (old[0], *old))),
    ("no member, or one twice", in_record("endorses", at(0, lambda old: b"garbage"))),
    ("no member, or one twice", endorsed_with(seat=99)),
    ("seat 1 sent a message that is not signed", endorsed_with(seat=1)),
    ("endorsed another outcome", endorsed_with(ready=ELSEWHERE)),
    ("endorsed another outcome", endorsed_with(tags=lambda old: old[:-1].copy())),
]


@pytest.mark.parametrize(("why", "change"), ALTERED, ids=[f"{i}-{why}" for i, (why, _) in enumerate(ALTERED)])
def test_whatever_is_altered_in_a_record_is_the_coordinators_doing(why, change):
    with pytest.raises(PeerFault, match=r"^the coordinator: ") as caught:
        read(change(the_record()))
    assert why in caught.value.why


def test_a_record_without_enough_endorsements_or_ready_sites_is_refused():
    record = the_record()
    with pytest.raises(Refused, match="only 4 members endorsed the set-up's outcome, 5 are needed"):
        read(with_fields(record, endorses=lambda old: old[:4]))
    few = {name: lambda old: old[:4] for name in ("advertisements", "deals", "confirms")}
    with pytest.raises(Refused, match="only 4 sites are ready, 4 of them in the committee; 5 and 5 are needed"):
        read(with_fields(record, **few, ready=with_fields(record.ready, seats=lambda old: old[:4])))


def test_leaving_a_ready_site_out_afterwards_leaves_nobody_who_endorsed_that():
    record = the_record()
    fewer = {name: lambda old: old[:-1] for name in ("advertisements", "deals", "confirms")}
    left_out = with_fields(
        record, **fewer, ready=with_fields(record.ready, seats=lambda old: old[:-1]), others=record.advertisements[-1:]
    )
    with pytest.raises(PeerFault, match="endorsed another outcome"):
        read(with_outcome_made_to_fit(lambda record: record)(left_out))


def test_those_who_advertised_and_are_not_ready_are_in_the_record_with_what_they_signed():
    record = the_record(silent=(1, 4))
    found = read(record)
    assert found.ready.seats == (0, 2, 3, 5, 6)
    assert [reads(Advertise, one).seat for one in record.others] == [1, 4]
    assert found.verifiers.keys() == set(range(SITES))
    for others in ((), record.others[::-1], record.others[:1], (*record.others, b"")):
        with pytest.raises(PeerFault, match="advertisement"):
            read(with_fields(record, others=others))


def test_a_strangers_endorsement_counts_for_nothing():
    """In a sparse graph most ready sites are no members."""
    record = the_record(RING)
    theirs = said_by(3, with_fields(reads(Endorse, record.endorses[0]), seat=3))
    with pytest.raises(PeerFault, match="of a site that is no member"):
        read(with_fields(record, endorses=lambda old: (*old[:-1], theirs)), RING)
    read(record, RING)


# ---------------------------------------------------------------- a coordinator that settles on what it may not


def test_neighbours_that_do_not_agree_are_not_both_ready():
    """Members endorse an outcome without seeing the confirmations; a stranger sees them."""
    quarrel = altered(signer_of(BAD), Confirm, tables=lambda old: flipped(old, 4))
    play = SetupPlay(setup=SETUP, sites={BAD: only(SetupPhase.CONFIRM, quarrel)})
    play.server._agreeing = lambda heard: heard
    with pytest.raises(PeerFault, match="the coordinator: let seats 2 and 5 be ready, which do not agree"):
        play.run()
    assert not play.problems


@pytest.mark.parametrize(("receivers", "fits"), [((0, 1), True), ((0, 1, 2), False)])
def test_nobody_is_ready_whose_shares_too_many_members_lack(receivers, fits):
    def make(layout, seat, memory):
        site = a_setup_site(layout, seat, memory)
        if seat == 6:
            honest = site._parcel
            site._parcel = lambda to: bytes(len(honest(to))) if to in receivers else honest(to)
        return site

    play = SetupPlay(setup=SETUP, make=make)
    play.server._recoverable = lambda here: here
    if fits:
        assert play.run().foundation.ready.seats == tuple(range(SITES))
    else:
        with pytest.raises(PeerFault, match="the coordinator: let seat 6 be ready, whose shares 3 members lack"):
            play.run()


def test_digests_of_messages_name_each_in_its_place():
    messages = [b"one", b"two", b"three"]
    assert signed_digest(messages) == signed_digest(iter(messages))
    assert len({signed_digest(x) for x in (messages, messages[::-1], messages[:2], [b"onetwo", b"three"], [])}) == 5
