"""A site that breaks the protocol is named with what it sent, and the others' sum comes out without it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import (
    DOMAIN,
    Play,
    a_client,
    a_session,
    altered,
    altered_upload,
    only,
    secret,
    shares_with,
    signer_of,
    two_faced,
)
from caduceus import canon
from caduceus.crypto.field import P
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.envelope import Signed, sign_record
from caduceus.protocol.secagg_exchange import Fault
from caduceus.protocol.secagg_messages import Advertise, Consent, Opening, Upload
from caduceus.protocol.secagg_replay import replay
from caduceus.protocol.secagg_server import Phase
from caduceus.protocol.secagg_session import Party

SITES, BAD = 5, 2
SESSION = a_session(SITES)
ME = signer_of(BAD)
REST = [seat for seat in range(SITES) if seat != BAD]
SMALL_ORDER = bytes(31) + b"\x80"
OTHER_ROUND = Play(a_session(SITES, round=1))
OTHER_ROUND.run()


def from_round_one(phase):
    """What the bad site truthfully said in another round."""
    return lambda message: [next(body for at, seat, body in OTHER_ROUND.heard if (at, seat) == (phase, BAD))]


def of_another_seat(phase):
    """What another site truthfully says in this round."""
    honest = Play(SESSION)
    honest.run()
    return lambda message: [next(body for at, seat, body in honest.heard if (at, seat) == (phase, 0))]


def flipped(shares):
    changed = shares.copy()
    changed[0, 0] ^= 1
    return changed


def unsigned_by_me(message):
    """The same body under another key."""
    signed = canon.unpack(Signed, message)
    yield canon.pack(Signed(signed.body, signed.scheme, signer_of(0).sign(bytes(32))))


CASES = {
    "bytes that mean nothing": (Phase.ADVERTISE, lambda message: [b"\x00\x01"], "sent"),
    "nothing at all": (Phase.SHARE, lambda message: [b""], "sent"),
    "an advertisement cut short": (Phase.ADVERTISE, lambda message: [message[:-1]], "sent"),
    "an advertisement signed by somebody else": (Phase.ADVERTISE, unsigned_by_me, "not signed"),
    "an unknown signature scheme": (
        Phase.ADVERTISE,
        lambda message: [canon.pack(Signed(canon.unpack(Signed, message).body, "none", bytes(65)))],
        "scheme",
    ),
    "an advertisement of another round": (Phase.ADVERTISE, from_round_one(Phase.ADVERTISE), "another round"),
    "somebody else's advertisement": (Phase.ADVERTISE, of_another_seat(Phase.ADVERTISE), "not signed"),
    "another seat in its own name": (Phase.ADVERTISE, altered(ME, Advertise, seat=0), "another seat"),
    "a mask key of small order": (Phase.ADVERTISE, altered(ME, Advertise, mask_key=SMALL_ORDER), "no public key"),
    "a mask key cut short": (Phase.ADVERTISE, altered(ME, Advertise, mask_key=bytes(31)), "no public key"),
    "a consent before its time": (
        Phase.ADVERTISE,
        lambda message: [next(body for at, seat, body in OTHER_ROUND.heard if (at, seat) == (Phase.CONSENT, BAD))],
        "sent",
    ),
    "shares of another round": (Phase.SHARE, from_round_one(Phase.SHARE), "another round"),
    "somebody else's shares": (Phase.SHARE, of_another_seat(Phase.SHARE), "not signed"),
    "shares cut short": (Phase.SHARE, lambda message: [message[:-1]], "unreadable"),
    "shares for another roster": (Phase.SHARE, shares_with(ME, roster=secret("roster")), "another roster"),
    "digests that were not signed": (
        Phase.SHARE,
        shares_with(digests=lambda digests: digests ^ np.uint8(1)),
        "not those of its signed header",
    ),
    "digests for too few": (Phase.SHARE, shares_with(digests=lambda digests: digests[:-1].copy()), "per site"),
    "parcels for too few": (Phase.SHARE, shares_with(parcels=lambda parcels: parcels[:-1]), "per site"),
    "an upload of another round": (Phase.UPLOAD, from_round_one(Phase.UPLOAD), "not signed"),
    "an upload signed as something else": (
        Phase.UPLOAD,
        lambda message: [sign_record(ME, DOMAIN, canon.unpack(Upload, canon.unpack(Signed, message).body))],
        "not signed",
    ),
    "a vector that is too short": (
        Phase.UPLOAD,
        altered_upload(SESSION, ME, Upload, vector=lambda vector: vector[:-1].copy()),
        "were due",
    ),
    "a vector of another ring": (
        Phase.UPLOAD,
        altered_upload(SESSION, ME, Upload, vector=lambda vector: vector.astype("<u4")),
        "were due",
    ),
    "a vector that is a matrix": (
        Phase.UPLOAD,
        altered_upload(SESSION, ME, Upload, vector=lambda vector: vector[None, :].copy()),
        "were due",
    ),
    "an upload for another roster": (
        Phase.UPLOAD,
        altered_upload(SESSION, ME, Upload, roster=secret("roster")),
        "another",
    ),
    "an upload with masks towards others": (
        Phase.UPLOAD,
        altered_upload(SESSION, ME, Upload, dealing=secret("dealing")),
        "another",
    ),
    "consent to other survivors": (Phase.CONSENT, altered(ME, Consent, survivors=(0, 1, 2, 3)), "consented to another"),
    "consent to another roster": (Phase.CONSENT, altered(ME, Consent, roster=secret("r")), "consented to another"),
    "consent of another round": (Phase.CONSENT, from_round_one(Phase.CONSENT), "another round"),
    "an opening of another round": (Phase.OPEN, from_round_one(Phase.OPEN), "another round"),
    "a share that is not the one it was given": (
        Phase.OPEN,
        altered(ME, Opening, shares=flipped),
        "not the one it was given",
    ),
    "a share that is no share": (
        Phase.OPEN,
        altered(ME, Opening, shares=lambda shares: np.full_like(shares, P)),
        "not the one it was given",
    ),
    "shares of too few owners": (
        Phase.OPEN,
        altered(ME, Opening, shares=lambda shares: shares[:-1].copy()),
        "opened shares of shape",
    ),
    "shares of an owner twice": (
        Phase.OPEN,
        altered(ME, Opening, owners=lambda owners: (owners[0], *owners[:-1])),
        "one twice",
    ),
    "shares of a stranger": (Phase.OPEN, altered(ME, Opening, owners=lambda owners: (*owners[:-1], 9)), "nothing"),
}


@pytest.mark.parametrize(("phase", "change", "why"), CASES.values(), ids=CASES)
def test_a_site_that_sends_what_is_not_due_is_named_and_left_out(phase, change, why):
    play = Play(SESSION, sites={BAD: only(phase, change)})
    total = play.run()
    summed = REST if phase <= Phase.UPLOAD else list(range(SITES))  # once its upload is in, it stays in
    assert total.tolist() == play.plain_sum(summed)
    [fault] = play.server.faults
    assert (fault.seat, fault.phase) == (BAD, phase)
    assert why in fault.why
    assert fault.evidence == next(body for at, seat, body in play.heard if (at, seat) == (phase, BAD))
    uploads = play.server.uploads()
    assert replay(play.server.exchange(), uploads.__getitem__).tolist() == total.tolist()
    assert play.server.exchange().faults == (fault,)


def test_two_sites_that_break_the_protocol_leave_too_few_of_five():
    mischief = only(Phase.UPLOAD, lambda message: [b"nonsense"])
    play = Play(SESSION, sites={1: mischief, 2: mischief})
    with pytest.raises(Refused, match="only 3 of 5 sites answered with upload, 4 are needed"):
        play.run()
    assert [fault.seat for fault in play.server.faults] == [1, 2]


def test_once_named_a_site_is_not_waited_for_and_not_heard():
    play = Play(SESSION)
    good = play.clients[BAD].advertise()
    assert play.server.receive(BAD, b"nonsense") == []
    assert play.server.waiting_for == (0, 1, 3, 4)
    for again in (good, b"more nonsense", good):
        assert play.server.receive(BAD, again) == []
    assert len(play.server.faults) == 1
    assert play.server.waiting_for == (0, 1, 3, 4)


@pytest.mark.parametrize("phase", [Phase.ADVERTISE, Phase.UPLOAD])
def test_of_two_different_messages_the_first_stands_and_the_second_is_written_down(phase):
    def twice(message):
        yield message
        if phase is Phase.ADVERTISE:
            yield from altered(ME, Advertise, mask_key=signer_key())(message)
        else:
            yield from altered_upload(SESSION, ME, Upload, vector=lambda vector: vector + np.uint64(1))(message)

    play = Play(SESSION, sites={BAD: only(phase, twice)})
    total = play.run()
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert [(fault.seat, fault.phase) for fault in play.server.faults] == [(BAD, phase)]
    assert "two different" in play.server.faults[0].why
    uploads = play.server.uploads()
    assert replay(play.server.exchange(), uploads.__getitem__).tolist() == total.tolist()
    if phase is Phase.UPLOAD:  # its receipt is out: the upload must be in the tree, on record and in the sum
        assert play.clients[BAD].receipt.leaf == play.server.leaves()[BAD]
        assert BAD in uploads
        assert BAD in play.server.survivors


def signer_key():
    """Some other sound public key."""
    return a_session(9).parties[8].agreement_key


def test_a_site_that_enrolled_with_a_key_of_small_order_is_left_out_alone():
    parties = [
        Party(party.seat, party.signer, SMALL_ORDER if party.seat == BAD else party.agreement_key)
        for party in SESSION.parties
    ]
    session = type(SESSION)(
        **{name: getattr(SESSION, name) for name in type(SESSION).__slots__ if name != "parties"},
        parties=tuple(parties),
    )
    play = Play(session, absent=frozenset({BAD}))
    play.server.receive(BAD, sign_record(ME, DOMAIN, Advertise(session.digest, BAD, signer_key())))
    assert play.run().tolist() == play.plain_sum(REST)
    assert [(fault.seat, "enrolled" in fault.why) for fault in play.server.faults] == [(BAD, True)]


# ---------------------------------------------------------------- shares that are not what they should be


def test_a_parcel_that_does_not_open_costs_its_recipient_one_share_and_nobody_is_blamed():
    def spoil(message):
        yield from shares_with(parcels=lambda parcels: replaced(parcels, 0))(message)

    play = Play(SESSION, sites={BAD: only(Phase.SHARE, spoil)})
    play.run()
    opening = canon.unpack(Opening, canon.unpack(Signed, play.server.exchange().openings[0]).body)
    assert opening.seat == 0
    assert BAD not in opening.owners
    assert not play.server.faults


def replaced(parcels, place):
    """The parcel at one place, or all of them, with another last byte."""
    return tuple(
        parcel[:-1] + bytes([parcel[-1] ^ 1]) if parcel and (place is None or i == place) else parcel
        for i, parcel in enumerate(parcels)
    )


def test_a_site_that_seals_garbage_for_everybody_fails_the_round_in_its_own_name():
    play = Play(SESSION, sites={BAD: only(Phase.SHARE, shares_with(parcels=lambda parcels: replaced(parcels, None)))})
    with pytest.raises(Refused, match=f"seat {BAD}"):
        play.run()
    assert play.server.total is None


def test_a_seed_that_is_not_the_committed_one_names_its_owner():
    play = Play(SESSION, sites={BAD: only(Phase.SHARE, shares_with(ME, seed_commitment=secret("other seed")))})
    with pytest.raises(Refused, match=f"seat {BAD}.*self-mask seed"):
        play.run()
    assert play.server.total is None
    uploads = play.server.uploads()
    with pytest.raises(PeerFault, match="self-mask seed") as caught:
        replay(play.server.exchange(), uploads.__getitem__)
    assert caught.value.who == f"seat {BAD}"


def test_a_mask_key_that_is_not_the_advertised_one_names_its_owner_when_it_vanishes():
    play = Play(SESSION, silent={Phase.UPLOAD: frozenset({BAD})})
    two_faced(play.clients[BAD], secret("other mask key"))
    with pytest.raises(Refused, match=f"seat {BAD}.*mask key"):
        play.run()
    uploads = play.server.uploads()
    with pytest.raises(PeerFault, match="mask key") as caught:
        replay(play.server.exchange(), uploads.__getitem__)
    assert caught.value.who == f"seat {BAD}"


def test_a_mask_key_that_is_never_opened_harms_nobody():
    play = Play(SESSION)
    two_faced(play.clients[BAD], secret("other mask key"))
    assert play.run().tolist() == play.plain_sum(range(SITES))


# ---------------------------------------------------------------- anything at all


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(list(Phase)[:-1]), st.data())
def test_whatever_one_site_sends_nothing_is_raised_and_the_rest_is_summed(phase, data):
    def mangle(message):
        how = data.draw(st.sampled_from(["bytes", "flip", "cut", "swap"]))
        if how == "bytes":
            return [data.draw(st.binary(max_size=300))]
        if how == "cut":
            return [message[: data.draw(st.integers(0, len(message) - 1))]]
        if how == "swap":
            return [data.draw(st.sampled_from([body for _, _, body in OTHER_ROUND.heard]))]
        place = data.draw(st.integers(0, len(message) - 1))
        return [message[:place] + bytes([message[place] ^ data.draw(st.integers(1, 255))]) + message[place + 1 :]]

    play = Play(SESSION, sites={BAD: only(phase, mangle)})
    total = play.run()
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert set(REST) <= set(play.server.survivors)
    assert {fault.seat for fault in play.server.faults} <= {BAD}


def test_a_flood_is_not_kept_as_evidence():
    play = Play(SESSION)
    play.server.receive(BAD, bytes(50_000_000))
    [fault] = play.server.faults
    assert isinstance(fault, Fault)
    assert (fault.seat, fault.evidence) == (BAD, b"")
    assert "50000000 bytes" in fault.why


def test_a_stranger_and_an_uninvited_seat_are_not_even_noted():
    play = Play(SESSION)
    assert play.server.receive(77, a_client(SESSION, 0).advertise()) == []
    assert play.server.receive(-1, b"") == []
    assert not play.server.faults
