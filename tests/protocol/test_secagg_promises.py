"""What docs/protocol.md promises to a site, tried by a coordinator that follows no protocol at all.

It begins set-ups again with old messages, tells sites different things, and shows committees any list it likes.
"""

from contextlib import suppress
from hashlib import sha256

import numpy as np
import pytest

from adversary import (
    STATE,
    Memory,
    Play,
    SetupPlay,
    a_client,
    a_setup,
    a_setup_site,
    a_vector,
    altered_deal,
    identity_of,
    prepared,
    reads,
    said_by,
    secret,
    signer_of,
    told_by_coordinator,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import keystream
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.errors import Error
from caduceus.protocol import secagg_seeds as seeds
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.envelope import read_vouched
from caduceus.protocol.secagg_intake import SECOND, Fault
from caduceus.protocol.secagg_messages import (
    Confirm,
    Consent,
    Consents,
    Deal,
    Header,
    Inbox,
    Opening,
    RosterFor,
    Survivors,
    pair_check,
)
from caduceus.protocol.secagg_recheck import recheck_setup
from caduceus.protocol.secagg_round_reading import RoundReader
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_reading import deal_tree
from caduceus.protocol.secagg_setup_record import Foundation
from caduceus.protocol.secagg_setup_server import SetupPhase
from caduceus.protocol.secagg_setup_site import SetupSite, SetupStep
from caduceus.protocol.secagg_unmask import open_secrets


def vector_in(upload):
    return np.frombuffer(upload, "<u8", offset=uploads.HEAD_BYTES).copy()


def opened_by(clients, stage, session, survivors, groups, members):
    """The secrets that the members open to a coordinator that shows them a list of its own making."""
    told = told_by_coordinator(Survivors(session.digest, survivors, groups))
    consents = {seat: reads(Consent, clients[seat].react(told)[0]) for seat in members}
    place, openings = stage.foundation.present.member_place, {}
    for seat in members:
        tags = np.stack([consents[other].tags[place[seat]] for other in members])
        asked = told_by_coordinator(Consents(session.digest, tuple(members), tags))
        openings[seat] = reads(Opening, clients[seat].react(asked)[0])
    reader = RoundReader(session, stage.foundation.present)
    return open_secrets(stage.foundation, reader.round, reader.due(groups), frozenset(survivors), openings).found


def streams(seed, session):
    """What a seed may be the key of, for whoever has it: the stream itself, or the one that is bound to a session."""
    return [seed, seeds.stream_key(seed, session.digest)] if hasattr(seeds, "stream_key") else [seed]


def begun(sites=4, **mischief):
    """A set-up in which everybody has dealt, and what each site is then told."""
    play = SetupPlay(setup=a_setup(sites), **mischief)
    play._answer(play.opening())
    rosters = dict(play.server.advance())
    play._answer({seat: play.actors[seat].react(told) for seat, told in rosters.items()})
    return play, rosters, dict(play.server.advance())


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_a_site_begun_again_with_an_old_roster_and_an_emptier_inbox_gives_no_seed_away(journal):
    play, rosters, inboxes = begun()
    victim = 3
    first = reads(Confirm, play.actors[victim].react(inboxes[victim])[0])
    again = a_setup_site(play.layout, victim, play.memories[victim] if journal == "kept" else Memory())
    again.advertise()
    again.react(rosters[victim])
    try:
        told = told_by_coordinator(with_fields(reads(Inbox, inboxes[victim]), deliveries=()))
        second = reads(Confirm, again.react(told)[0])
    except Error:
        return  # it says nothing
    both = np.bitwise_xor(first.tables[:, :, 1], second.tables[:, :, 1])
    for at, other in enumerate((0, 1, 2)):
        assert not np.array_equal(both[at], seeds.pair_seeds(play.actors[victim]._secret_with(other), 2))


def test_a_vector_made_from_another_state_stays_masked():
    """Everybody else is given a state from which they have nothing to send, so that the sum would be one vector."""
    stage = prepared(4)
    states = {seat: STATE if seat == 3 else sha256(b"a state from which nothing follows").digest() for seat in range(4)}
    sessions = {seat: stage.session(state=state) for seat, state in states.items()}
    vectors = {seat: a_vector(sessions[3], 3) if seat == 3 else np.zeros(5, "<u8") for seat in range(4)}
    clients = {seat: a_client(sessions[seat], ground) for seat, ground in stage.grounds.items()}
    total = np.add.reduce([vector_in(client.upload(vectors[seat])) for seat, client in clients.items()])
    found = opened_by(clients, stage, sessions[0], (0, 1, 2, 3), (0,), (0, 1, 2))
    for known in zip(*(streams(seed, sessions[seat]) for seat, seed in found.items()), strict=True):
        left = total.copy()
        keystream.apply(left, [], known)
        assert not np.array_equal(left, vectors[3])


def test_the_same_vector_in_another_session_of_the_round_is_masked_with_other_streams():
    stage = prepared(4)
    sent = [
        vector_in(a_client(stage.session(state=state), stage.grounds[2]).upload(np.zeros(5, "<u8")))
        for state in (STATE, sha256(b"another state").digest())
    ]
    assert not np.array_equal(*sent)


def test_sites_that_are_told_different_draws_are_in_different_set_ups():
    """Or one could be told of another group than the others, and all that it masks with be called silent."""
    layouts = [Layout(a_setup(30, first=1, draw=draw, cohort=3)) for draw in (0, 1)]
    assert layouts[0].groups_in(1) != layouts[1].groups_in(1)
    assert layouts[0].id != layouts[1].id
    keys = [seeds.kem_seed(KeyedEntropy(secret("entropy", 7)), layout.id) for layout in layouts]
    assert keys[0] != keys[1]


def test_a_site_in_a_set_up_with_another_draw_is_in_no_roster_of_the_others():
    play = SetupPlay(setup=a_setup(4, first=1, draw=1), absent=frozenset({2}))
    other = a_setup_site(Layout(a_setup(4, first=1, draw=0)), 2)
    assert play.server.receive(2, other.advertise()) == []
    assert play.run().foundation.roster_present.seats == (0, 1, 3)
    assert play.faults() == []


# ---------------------------------------------------------------- nobody honest is put out, stopped or named


def test_two_sites_that_publish_nothing_in_common_do_not_agree():
    """The dealer seals garbage for one site, and both have zeros where the checks of their seeds belong."""

    def lie(phase, seat, message):
        if phase is SetupPhase.DEAL:
            deal, present = canon.unpack(Deal, message), play.server._present
            parcels, sealed = list(deal.parcels), deal.sealed.copy()
            parcels[3] = bytes(len(parcels[3]))
            sealed[3] = np.frombuffer(sha256(parcels[3]).digest(), np.uint8)
            root = deal_tree(sealed, deal.digests, present.receivers(0), present.member_place).root
            return altered_deal(0, header={"deal_root": root}, sealed=sealed, parcels=tuple(parcels))(message)
        if phase is SetupPhase.CONFIRM:
            said = reads(Confirm, message)
            tables = said.tables.copy()
            tables[2] = 0
            return [said_by(0, with_fields(said, tables=tables))]
        return [message]

    play = SetupPlay(setup=a_setup(7), sites={0: lie})
    assert not {0, 3} <= set(play.run().foundation.ready.seats)
    assert play.problems == {}


def test_an_honest_site_that_starts_again_within_a_phase_is_not_named():
    play = SetupPlay(setup=a_setup(4))
    play._answer(play.opening())
    again = a_setup_site(play.layout, 2, play.memories[2])
    play._speak(SetupPhase.ADVERTISE, 2, [again.advertise()])
    assert play.faults() == []


def test_a_message_that_the_coordinator_did_not_sign_stops_nobody():
    play = SetupPlay(setup=a_setup(4))
    site = play.actors[1]
    site.advertise()
    with pytest.raises(Error):
        site.react(canon.pack(RosterFor(b"nobody's roster", ())))
    assert site.step is not SetupStep.STOPPED


def test_a_member_whose_opening_was_made_to_look_false_can_show_that_its_dealer_dealt_twice():
    """A dealer that deals twice, with a coordinator in league, so that an honest opening would look false."""
    play, rosters, inboxes = begun()
    twice = SetupSite(
        play.layout,
        0,
        signer=signer_of(0),
        identity=identity_of(0),
        entropy=KeyedEntropy(secret("another root")),
        remember=Memory().remember,
    )
    twice._opener = play.actors[0]._opener
    twice.advertise()
    server, verifier = play.server, identity_of(0).public
    second, deal = server._reader.deal(
        twice.react(rosters[0])[0], 0, roster=server._roster_id, present=server._present, verifier=verifier
    )
    kept = server._dealt[0], server._parcels[0]
    server._dealt[0], server._parcels[0] = second, deal.parcels
    inboxes[3] = server._inbox(3)
    server._dealt[0], server._parcels[0] = kept
    confirmed = {seat: play.actors[seat].react(told) for seat, told in inboxes.items()}
    said = reads(Confirm, confirmed[0][0])
    tables = said.tables.copy()
    for at, seed in enumerate(seeds.pair_seeds(play.actors[3]._secret_with(0), 2)):
        tables[2, at, 0] = np.frombuffer(pair_check(0, 3, seed.tobytes()), np.uint8)
    confirmed[0] = [said_by(0, with_fields(said, tables=tables))]
    play._answer(confirmed)
    while server.phase is not SetupPhase.DONE:
        play._answer(play.close())
    later = Play(stage=play.prepared())
    with suppress(Error):
        later.run()
    if 3 in {seat for seat, _ in later.faults()}:
        told = reads(Inbox, inboxes[3]).deliveries[0].header  # under the coordinator's signature
        recorded = later.stage.foundation.dealt[0].signed
        one, other = (read_vouched(Header, said, verifier=lambda _: verifier, who="") for said in (told, recorded))
        assert (one.setup, one.roster, one.seat) == (other.setup, other.roster, other.seat)
        assert one.commitments != other.commitments


def test_a_site_that_a_coordinator_made_deal_twice_has_done_nothing_wrong():
    """Begun again with the roster of before, it seals the same once more, and its header is another."""
    play = SetupPlay(setup=a_setup(4))
    play._answer(play.opening())
    rosters = dict(play.server.advance())
    play._answer({seat: play.actors[seat].react(told) for seat, told in rosters.items()})
    again, second = a_setup_site(play.layout, 2, play.memories[2]), []
    again.advertise()
    with suppress(Error):
        second = again.react(rosters[2])
    while play.server.phase is not SetupPhase.DONE:
        play._answer(play.close())
    faults = tuple(Fault(2, canon.tag_of(Deal), SECOND, one) for one in second)
    foundation = Foundation(play.layout, with_fields(play.server.record(), faults=faults))
    with suppress(Error):
        assert not any(one.is_shown for one in recheck_setup(foundation))
