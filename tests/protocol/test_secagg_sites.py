"""Sites that misbehave: they are named, they count as silent, and the rest is summed all the same."""

from hashlib import sha256
from unittest.mock import patch

import numpy as np
import pytest

from adversary import (
    DOMAIN,
    Play,
    a_client,
    a_session,
    altered,
    altered_shares,
    altered_upload,
    only,
    reads,
    said_by,
    secret,
    signer_of,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import field, sign
from caduceus.crypto.agree import public_key
from caduceus.crypto.shamir import share
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.envelope import SCHEME, Signed
from caduceus.protocol.secagg_messages import Advertise, Consent, Header, Opening, Shares, Upload, share_tree
from caduceus.protocol.secagg_server import Phase
from caduceus.protocol.secagg_session import Party

SITES, BAD = 7, 2
HONEST = tuple(seat for seat in range(SITES) if seat != BAD)
SIGNER = signer_of(BAD)
SESSION = a_session(SITES)
ELSEWHERE = bytes(range(32))
MESSAGES = [Phase.ADVERTISE, Phase.SHARE, Phase.UPLOAD, Phase.CONSENT, Phase.OPEN]
KIND = dict(zip(MESSAGES, (Advertise, Shares, Upload, Consent, Opening), strict=True))


def played(phase, change, session=SESSION, silent=None):
    play = Play(session, sites={BAD: only(phase, change)}, silent=silent or {})
    total = play.run()
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert play.replayed().tolist() == total.tolist()
    assert all(seat == BAD for seat in play.problems)
    return play


def resigned(message, signer):
    """The same content under another signature."""
    if canon.peek_tag(message) == "secagg/shares/1":
        shares = canon.unpack(Shares, message)
        return canon.pack(with_fields(shares, header=resigned(shares.header, signer)))
    signed = canon.unpack(Signed, message)
    digest = sign.digest(DOMAIN, sign.Statement(canon.digest_bytes(signed.body)))
    return canon.pack(Signed(signed.body, SCHEME, signer.sign(digest)))


def an_old_one(phase):
    """What the same site said in this phase of an earlier round."""
    earlier = Play(a_session(SITES, round=9))
    earlier.run()
    return next(body for at, seat, body in earlier.heard if (at, seat) == (phase, BAD))


def of_anothers(phase):
    """What another site said in this phase of this round."""
    honest = Play(SESSION)
    honest.run()
    return next(body for at, seat, body in honest.heard if (at, seat) == (phase, BAD + 1))


ANY_PHASE = {
    "garbage": lambda phase: lambda message: [b"\xff" * 40],
    "nothing in it": lambda phase: lambda message: [b""],
    "a cut message": lambda phase: lambda message: [message[:-1]],
    "a byte too many": lambda phase: lambda message: [message + b"\x00"],
    "somebody else's signature": lambda phase: lambda message: [resigned(message, signer_of(5))],
    "a signature with a high s": lambda phase: lambda message: [with_high_s(message)],
    "a message of an earlier round": lambda phase: lambda message: [an_old_one(phase)],
    "another site's message": lambda phase: lambda message: [of_anothers(phase)],
    "more bytes than any message has": lambda phase: lambda message: [bytes(10**6)],
    "an unknown scheme": lambda phase: lambda message: [with_scheme(message, "none")],
}


def with_scheme(message, scheme):
    if canon.peek_tag(message) == "secagg/shares/1":
        shares = canon.unpack(Shares, message)
        return canon.pack(with_fields(shares, header=with_scheme(shares.header, scheme)))
    return canon.pack(with_fields(canon.unpack(Signed, message), scheme=scheme))


def with_high_s(message):
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

    def flipped(signature):
        s = (order - int.from_bytes(signature[32:64])).to_bytes(32)
        return signature[:32] + s + bytes([55 - signature[64]])

    if canon.peek_tag(message) == "secagg/shares/1":
        shares = canon.unpack(Shares, message)
        return canon.pack(with_fields(shares, header=with_high_s(shares.header)))
    signed = canon.unpack(Signed, message)
    return canon.pack(with_fields(signed, signature=flipped(signed.signature)))


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
@pytest.mark.parametrize("what", ANY_PHASE)
def test_a_broken_message_names_its_sender_in_any_phase_and_the_rest_is_summed(what, phase):
    play = played(phase, ANY_PHASE[what](phase))
    assert [(seat, when) for seat, when, _ in play.faults()] == [(BAD, phase)]
    assert (BAD in play.server.survivors) == (phase > Phase.UPLOAD)


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
def test_of_two_different_messages_the_first_stands_and_the_second_is_written_down(phase):
    def two_more(message):
        return [message, with_high_s(message), resigned(message, signer_of(5)), b"garbage", bytes(10**6)]

    play = played(phase, two_more)
    assert [(seat, when) for seat, when, _ in play.faults()] == [(BAD, phase)]
    assert "two different" in play.faults()[0][2]
    assert play.server.survivors == SESSION.seats


@pytest.mark.parametrize("phase", MESSAGES, ids=lambda phase: phase.name.lower())
@pytest.mark.parametrize("ahead", MESSAGES, ids=lambda phase: phase.name.lower())
def test_a_message_of_another_phase_is_late_or_wrong_and_never_taken(phase, ahead):
    if phase is ahead:
        return
    recorded = Play(SESSION)
    recorded.run()
    other = next(body for at, seat, body in recorded.heard if (at, seat) == (ahead, BAD))
    play = played(phase, lambda message: [other])
    assert [seat for seat, _, _ in play.faults()] == ([] if ahead < phase else [BAD])
    assert (BAD in play.server.survivors) == (phase > Phase.UPLOAD)


CRAFTED = [
    (Phase.ADVERTISE, "no public key", altered(SIGNER, Advertise, mask_key=bytes(32))),
    (Phase.ADVERTISE, "no public key", altered(SIGNER, Advertise, mask_key=bytes([1]) + bytes(31))),
    (Phase.ADVERTISE, "no public key", altered(SIGNER, Advertise, mask_key=bytes(31) + b"\xff")),
    (Phase.ADVERTISE, "no public key", altered(SIGNER, Advertise, mask_key=bytes(33))),
    (Phase.ADVERTISE, "another round", altered(SIGNER, Advertise, session=ELSEWHERE)),
    (Phase.ADVERTISE, "another seat", altered(SIGNER, Advertise, seat=3)),
    (Phase.SHARE, "another roster", altered_shares(SIGNER, header={"roster": ELSEWHERE})),
    (Phase.SHARE, "another round", altered_shares(SIGNER, header={"session": ELSEWHERE})),
    (Phase.SHARE, "another seat", altered_shares(SIGNER, header={"seat": 3})),
    (Phase.SHARE, "not those of its signed header", altered_shares(SIGNER, header={"share_root": ELSEWHERE})),
    (Phase.SHARE, "not those of its signed header", altered_shares(SIGNER, digests=lambda old: old[::-1].copy())),
    (Phase.SHARE, "not three per site", altered_shares(SIGNER, digests=lambda old: old[:-1].copy())),
    (Phase.SHARE, "not three per site", altered_shares(SIGNER, digests=lambda old: old.astype("<u4"))),
    (Phase.SHARE, "parcels that are not one", altered_shares(SIGNER, parcels=lambda old: old[:-1].copy())),
    (Phase.SHARE, "parcels that are not one", altered_shares(SIGNER, parcels=lambda old: old.astype("<u4"))),
    (Phase.SHARE, "sent no parcels", altered_shares(SIGNER, parcels=lambda old: old[:0].copy())),
    (Phase.SHARE, "not those of its signed header", altered_shares(SIGNER, parcels=lambda old: old[::-1].copy())),
    (
        Phase.UPLOAD,
        "5 of 64 bits were due",
        altered_upload(SESSION, SIGNER, Upload, vector=lambda old: old[:-1].copy()),
    ),
    (
        Phase.UPLOAD,
        "5 of 64 bits were due",
        altered_upload(SESSION, SIGNER, Upload, vector=lambda old: old.astype("<u4")),
    ),
    (
        Phase.UPLOAD,
        "5 of 64 bits were due",
        altered_upload(SESSION, SIGNER, Upload, vector=lambda old: old.reshape(1, 5)),
    ),
    (Phase.UPLOAD, "another round", altered_upload(SESSION, SIGNER, Upload, session=ELSEWHERE)),
    (Phase.UPLOAD, "another seat", altered_upload(SESSION, SIGNER, Upload, seat=3)),
    (Phase.UPLOAD, "another roster or dealing", altered_upload(SESSION, SIGNER, Upload, roster=ELSEWHERE)),
    (Phase.UPLOAD, "another roster or dealing", altered_upload(SESSION, SIGNER, Upload, dealing=ELSEWHERE)),
    (Phase.CONSENT, "another roster, dealing", altered(SIGNER, Consent, roster=ELSEWHERE)),
    (Phase.CONSENT, "another roster, dealing", altered(SIGNER, Consent, dealing=ELSEWHERE)),
    (Phase.CONSENT, "another roster, dealing", altered(SIGNER, Consent, survivors=lambda old: old[:-1])),
    (Phase.CONSENT, "another round", altered(SIGNER, Consent, session=ELSEWHERE)),
    (Phase.OPEN, "another round", altered(SIGNER, Opening, session=ELSEWHERE)),
    (Phase.OPEN, "not the one it was given", altered(SIGNER, Opening, shares=lambda old: old + np.uint32(1))),
    (Phase.OPEN, "not the one it was given", altered(SIGNER, Opening, shares=lambda old: old[::-1].copy())),
    (Phase.OPEN, "shares of shape", altered(SIGNER, Opening, shares=lambda old: old[:-1].copy())),
    (Phase.OPEN, "shares of shape", altered(SIGNER, Opening, shares=lambda old: old.astype("<u8"))),
    (Phase.OPEN, "shared nothing, or one twice", altered(SIGNER, Opening, owners=lambda old: (*old[:-1], 99))),
    (Phase.OPEN, "shared nothing, or one twice", altered(SIGNER, Opening, owners=lambda old: (*old[:-1], old[0]))),
    (Phase.OPEN, "shared nothing, or one twice", altered(SIGNER, Opening, owners=lambda old: (2**80, *old[1:]))),
]


@pytest.mark.parametrize(
    ("phase", "why", "change"), CRAFTED, ids=[f"{p.name}-{w}-{i}" for i, (p, w, _) in enumerate(CRAFTED)]
)
def test_a_well_signed_lie_names_its_sender_and_the_rest_is_summed(phase, why, change):
    play = played(phase, change)
    ((seat, when, said),) = play.faults()
    assert (seat, when) == (BAD, phase)
    assert why in said
    evidence = play.server.faults[0].evidence
    assert evidence in [body for at, who, body in play.heard if (at, who) == (phase, BAD)]


def test_opening_the_mask_key_of_a_survivor_is_refused_by_name():
    """The share of the other kind, which would let a coordinator take a survivor's masks off."""
    play = Play(SESSION)
    play.until(Phase.OPEN)
    thief = play.clients[BAD]
    shares = [
        parcel.key_share if owner in play.server.survivors else parcel.self_share
        for owner, parcel in sorted(thief._parcels.items())
    ]
    rows = np.frombuffer(b"".join(shares), "<u4").reshape(-1, 9)
    play = played(Phase.OPEN, altered(SIGNER, Opening, shares=rows))
    assert "not the one it was given" in play.faults()[0][2]


@pytest.mark.parametrize("key", [bytes(32), bytes(31) + b"\x80"])
def test_a_site_that_enrolled_with_no_key_stands_alone_and_stops_nobody(key):
    parties = list(SESSION.parties)
    parties[BAD] = Party(BAD, SIGNER.address, key)
    session = with_fields(SESSION, parties=tuple(parties))
    play = Play(session, make=with_its_own_session)
    play.run()
    assert [(seat, when) for seat, when, _ in play.faults()] == [(BAD, Phase.ADVERTISE)]
    assert "enrolled with something that is no public key" in play.faults()[0][2]
    assert play.server.survivors == HONEST


def with_its_own_session(session, seat, memory):
    """As `a_client`; the bad site runs on a session that it made itself, and advertises for the true one."""
    if seat != BAD:
        return a_client(session, seat, memory)
    parties = list(session.parties)
    parties[BAD] = Party(BAD, SIGNER.address, public_key(secret("agreement", BAD)))
    client = a_client(with_fields(session, parties=tuple(parties)), seat, memory)
    said = reads(Advertise, client.advertise())
    client.advertise = lambda: said_by(BAD, with_fields(said, session=session.digest))
    return client


# ---------------------------------------------------------------- what is inside the seals


def sealing(change):
    """The bad site seals something else for some recipients, and commits to that, as it must."""

    def resealed(message):
        shares = canon.unpack(Shares, message)
        parcels, digests = shares.parcels.copy(), shares.digests.copy()
        change(parcels)
        for row, parcel in enumerate(parcels):
            digests[row, 2] = np.frombuffer(sha256(parcel.tobytes()).digest(), np.uint8)
        header = with_fields(reads(Header, shares.header), share_root=share_tree(digests).root)
        yield canon.pack(with_fields(shares, header=said_by(BAD, header), digests=digests, parcels=parcels))

    return only(Phase.SHARE, resealed)


def spoil(*rows):
    def change(parcels):
        parcels[list(rows)] ^= 1

    return change


def swap(parcels):
    parcels[[0, 1]] = parcels[[1, 0]]


def without_a_share_of(play, owner):
    openings = {seat: reads(Opening, body) for at, seat, body in play.heard if at is Phase.OPEN}
    return {seat for seat, opening in openings.items() if owner not in opening.owners}


def test_a_site_that_seals_garbage_for_everybody_fails_the_round_in_its_own_name():
    play = Play(SESSION, sites={BAD: sealing(spoil(0, 1, 3, 4, 5, 6))})
    with pytest.raises(Refused, match=f"only 1 sites opened their shares of seat {BAD}, 5 are needed"):
        play.run()
    assert play.server.total is None
    assert play.faults() == [(BAD, Phase.OPEN, "sealed parcels in which 6 sites found no share")]
    assert not play.problems
    with pytest.raises(Refused):
        play.server.advance()
    assert len(play.faults()) == 1  # asked again, it is not named again


@pytest.mark.parametrize(("change", "rows"), [(spoil(0, 1), {0, 1}), (swap, {0, 1}), (spoil(5), {5})])
def test_a_few_parcels_of_garbage_cost_their_recipients_a_share_and_nobody_is_blamed(change, rows):
    play = Play(SESSION, sites={BAD: sealing(change)})
    total = play.run()
    assert total.tolist() == play.plain_sum(SESSION.seats) == play.replayed().tolist()
    assert without_a_share_of(play, BAD) == rows
    assert not play.server.faults
    assert not play.problems


def test_few_enough_sites_to_be_liars_cannot_have_a_dealer_named():
    """Two of seven keep back their shares of an honest site; a third is gone. No sum, and no culprit."""
    keep_back = {
        seat: only(
            Phase.OPEN, altered(signer_of(seat), Opening, owners=lambda old: old[1:], shares=lambda old: old[1:])
        )
        for seat in (3, 4)
    }
    play = Play(SESSION, sites=keep_back, silent={Phase.OPEN: frozenset({5})})
    with pytest.raises(Refused, match="only 4 sites opened their shares of seat 0, 5 are needed"):
        play.run()
    assert not play.server.faults


def crooked(play, how):
    """Let the bad site's own client share something else than it should."""
    client = play.clients[BAD]
    honest, share = client._share, how(client)

    def crooked_share(roster):
        with patch("caduceus.protocol.secagg_client.shamir.share", share):
            return honest(roster)

    client._share = crooked_share
    return play


def other_values(change):
    def how(client):
        return lambda secrets, **rest: change(share(secrets, **rest))

    return how


def other_secrets(client):
    return lambda secrets, **rest: share([secret("other", 1), secret("other", 2)], **rest)


def random_values(shares):
    return np.random.default_rng(1).integers(0, field.P, shares.shape, dtype="<u4")


@pytest.mark.parametrize("how", [other_secrets, other_values(random_values)], ids=["another seed", "no seed at all"])
def test_a_survivor_that_shared_another_seed_is_named(how):
    play = crooked(Play(SESSION), how)
    with pytest.raises(Refused, match=f"no sum can be computed: seat {BAD} shared another self-mask seed"):
        play.run()
    assert play.server.total is None
    assert play.faults() == [(BAD, Phase.OPEN, "shared another self-mask seed than it committed to")]
    with pytest.raises(PeerFault, match=f"seat {BAD}: shared another self-mask seed"):
        play.replayed()


@pytest.mark.parametrize("how", [other_secrets, other_values(random_values)], ids=["another key", "no key at all"])
def test_a_dropout_that_shared_another_mask_key_is_named(how):
    play = crooked(Play(SESSION, silent={Phase.UPLOAD: frozenset({BAD})}), how)
    with pytest.raises(Refused, match=f"no sum can be computed: seat {BAD} shared another mask key"):
        play.run()
    assert play.faults() == [(BAD, Phase.OPEN, "shared another mask key than it advertised")]
    with pytest.raises(PeerFault, match=f"seat {BAD}: shared another mask key"):
        play.replayed()


def test_a_seed_that_was_committed_to_falsely_names_its_owner():
    play = Play(SESSION, sites={BAD: only(Phase.SHARE, altered_shares(SIGNER, header={"seed_commitment": ELSEWHERE}))})
    with pytest.raises(Refused, match=f"seat {BAD} shared another self-mask seed"):
        play.run()


def test_words_that_are_no_residues_are_not_taken_for_shares():
    """The owner commits to them, so only the recipients can tell; they open nothing of it."""
    play = crooked(Play(SESSION), other_values(lambda shares: np.full(shares.shape, field.P, "<u4")))
    with pytest.raises(Refused, match=f"only 1 sites opened their shares of seat {BAD}"):
        play.run()


def test_digests_of_other_shares_than_were_sealed_leave_nothing_to_open():
    def change(message):
        shares = canon.unpack(Shares, message)
        digests = shares.digests.copy()
        digests[:, 0] ^= 1
        header = with_fields(reads(Header, shares.header), share_root=share_tree(digests).root)
        yield canon.pack(with_fields(shares, header=said_by(BAD, header), digests=digests))

    play = Play(SESSION, sites={BAD: only(Phase.SHARE, change)})
    with pytest.raises(Refused, match="opened their shares of seat 2"):
        play.run()
    assert {seat for seat, _, _ in play.faults()} == {BAD}


def test_as_many_hostile_sites_as_the_threshold_allows_still_leave_a_sum():
    play = Play(
        SESSION,
        sites={
            1: only(Phase.SHARE, lambda message: [b"garbage"]),
            4: only(Phase.OPEN, altered(signer_of(4), Opening, shares=lambda old: old + np.uint32(1))),
        },
    )
    total = play.run()
    assert total.tolist() == play.plain_sum(seat for seat in range(SITES) if seat != 1)
    assert sorted(seat for seat, _, _ in play.faults()) == [1, 4]
    assert play.replayed().tolist() == total.tolist()


def test_with_one_hostile_site_more_there_is_no_sum():
    garbage = only(Phase.OPEN, lambda message: [b"garbage"])
    play = Play(SESSION, sites=dict.fromkeys((0, 3, 6), garbage))
    with pytest.raises(Refused, match="only 4 of 7 sites answered with open"):
        play.run()
    assert play.server.total is None
