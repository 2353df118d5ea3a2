"""Reading what sites signed: the same checks at the coordinator, at other sites, and at an auditor."""

from __future__ import annotations

from typing import TypeVar

from caduceus import canon
from caduceus.crypto import agree, sign
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import Signed, open_envelope, read_body, read_signed
from caduceus.protocol.secagg_messages import (
    Advertise,
    Consent,
    Header,
    Opening,
    Roster,
    Shares,
    Upload,
    share_tree,
)
from caduceus.protocol.secagg_session import Session

T = TypeVar("T", Advertise, Consent, Header, Opening)


def read_advertisement(session: Session, session_id: Digest, data: bytes, seat: int) -> Advertise:
    """The advertisement that a seat signed.

    Raises PeerFault naming the seat if it is malformed, not its own, of another session, or its key is none.
    """
    said = _read(Advertise, session, session_id, data, seat)
    if len(said.mask_key) != agree.PUBLIC_BYTES or not any(said.mask_key):
        raise PeerFault(_name(seat), "advertised something that is no public key", evidence=data)
    return said


def read_roster(session: Session, session_id: Digest, roster: Roster) -> dict[int, bytes]:
    """The advertised mask keys by seat, ascending.

    Raises PeerFault if an advertisement is not what its seat signed, or two keys are the same.
    """
    keys: dict[int, bytes] = {}
    for data in roster.advertisements:
        seat = peek_seat(Advertise, data)
        if seat not in session.seats or (keys and seat <= max(keys)):
            raise PeerFault("the coordinator", "sent a roster out of order, or with a stranger", evidence=data)
        keys[seat] = read_advertisement(session, session_id, data, seat).mask_key
    if len(set(keys.values())) < len(keys):
        raise PeerFault("the coordinator", "sent a roster in which two sites have the same mask key")
    return keys


def read_header(session: Session, session_id: Digest, data: bytes, seat: int) -> Header:
    """The header that a seat signed; raises PeerFault naming the seat as `read_advertisement` does."""
    return _read(Header, session, session_id, data, seat)


def read_shares(
    session: Session, session_id: Digest, roster: Digest, holders: int, data: bytes, seat: int
) -> tuple[Header, Shares]:
    """What a seat shared among `holders` sites, with parcels or without.

    Raises PeerFault naming the seat if the digests are not those of its signed header, or for another roster.
    """
    who = _name(seat)
    try:
        shares = canon.unpack(Shares, data)
    except Refused as problem:
        raise PeerFault(who, f"sent shares that are unreadable: {problem}", evidence=data) from None
    header = read_header(session, session_id, shares.header, seat)
    if header.roster != roster:
        raise PeerFault(who, "shared for another roster", evidence=data)
    if shares.digests.dtype.str != "|u1" or shares.digests.shape != (holders, 2, 32):
        raise PeerFault(who, "sent digests that are not one pair per site of the roster", evidence=data)
    if share_tree(shares.digests).root != header.share_root:
        raise PeerFault(who, "sent digests that are not those of its signed header", evidence=data)
    return header, shares


def read_upload(
    session: Session, session_id: Digest, roster: Digest, senders: tuple[int, ...], data: bytes, seat: int
) -> tuple[Upload, Signed]:
    """The upload that a seat signed, and its envelope.

    Raises PeerFault naming the seat if it is malformed, not its own, of another round, or of another shape.
    """
    who = _name(seat)
    signed = open_envelope(data, who=who)
    struct = sign.Upload(session.job, session.round, seat, canon.digest_bytes(signed.body))
    if not sign.verify(session.party(seat).signer, sign.digest(session.domain, struct), signed.signature):
        raise PeerFault(who, "sent an upload that is not signed by its registered signer", evidence=data)
    upload = read_body(Upload, signed, data, who=who)
    if (upload.session, upload.seat, upload.roster, upload.senders) != (session_id, seat, roster, senders):
        raise PeerFault(who, "sent an upload of another round, roster or seat", evidence=data)
    if upload.vector.shape != (session.length,) or upload.vector.dtype != DTYPES[session.bits]:
        raise PeerFault(who, f"sent {upload.vector.shape} entries, {session.length} were due", evidence=data)
    return upload, signed


def read_consent(session: Session, session_id: Digest, data: bytes, seat: int) -> Consent:
    """The consent that a seat signed; raises PeerFault naming the seat as `read_advertisement` does."""
    return _read(Consent, session, session_id, data, seat)


def read_opening(session: Session, session_id: Digest, data: bytes, seat: int) -> Opening:
    """The opening that a seat signed; raises PeerFault naming the seat as `read_advertisement` does."""
    return _read(Opening, session, session_id, data, seat)


def peek_seat(kind: type[T], data: bytes) -> int:
    """The seat that a message says it is from, unchecked; -1 if it cannot be read. For looking up the key only."""
    try:
        return canon.unpack(kind, canon.unpack(Signed, data).body).seat
    except Refused:
        return -1


def _read(kind: type[T], session: Session, session_id: Digest, data: bytes, seat: int) -> T:
    who = _name(seat)
    said = read_signed(kind, data, signer=session.party(seat).signer, domain=session.domain, who=who)
    if said.session != session_id or said.seat != seat:
        raise PeerFault(who, "sent a message of another round or from another seat", evidence=data)
    return said


def _name(seat: int) -> str:
    return f"seat {seat}"
