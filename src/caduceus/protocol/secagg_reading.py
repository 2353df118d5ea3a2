"""Reading what the parties of a round signed: the same checks at the coordinator, at sites, and at an auditor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar, cast, final

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import agree, merkle, sign
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Address, Digest
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import Signed, open_envelope, read_body, read_signed
from caduceus.protocol.secagg_messages import (
    PARCEL_BYTES,
    Advertise,
    Consent,
    Header,
    Opening,
    Roster,
    Shares,
    Upload,
    share_tree,
)
from caduceus.protocol.secagg_session import Session, check

T = TypeVar("T", Advertise, Consent, Header, Opening)

COORDINATOR = "the coordinator"

_STATEMENTS_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Dealt:
    """What one site shared, as checked.

    header   public part
    signed   the header as its site signed it
    digests  uint8[holders, 3, 32], see `Shares`
    tree     over the digests
    """

    header: Header
    signed: bytes
    digests: npt.NDArray[np.uint8]
    tree: merkle.Tree


@final
class Reader:
    """Reads messages of one session, hostile until proven otherwise.

    A PeerFault names the seat that the message was taken from. Whoever reads what the coordinator only passed
    on does so inside `passed_on`: an honest coordinator passes on nothing that fails here.

    Raises Refused if the session is not a sound one (see `secagg_session.check`).
    """

    __slots__ = ("_parties", "id", "session")

    def __init__(self, session: Session) -> None:
        check(session)
        self.session = session
        self.id = session.digest
        self._parties = {party.seat: party for party in session.parties}

    def has(self, seat: int) -> bool:
        """Whether a seat is invited."""
        return seat in self._parties

    def agreement_key(self, seat: int) -> bytes:
        """The public agreement key that an invited seat enrolled with."""
        return self._parties[seat].agreement_key

    def advertisement(self, data: bytes, seat: int) -> Advertise:
        """The advertisement that a seat signed.

        Raises PeerFault if it is malformed, not its own or of another session, or if nobody can agree on keys
        with it: what it advertises, or what it enrolled with, is no sound public key.
        """
        said = self._statement(Advertise, data, seat)
        if not agree.is_sound(said.mask_key):
            raise PeerFault(_name(seat), "advertised something that is no public key", evidence=data)
        if not agree.is_sound(self._parties[seat].agreement_key):
            raise PeerFault(_name(seat), "enrolled with something that is no public key", evidence=data)
        return said

    def roster(self, roster: Roster) -> dict[int, bytes]:
        """The advertised mask keys by seat, ascending.

        Raises PeerFault naming the coordinator if an advertisement is not what its seat signed.
        """
        seats = roster.seats
        if len(seats) != len(roster.advertisements) or list(seats) != sorted(set(seats)):
            raise PeerFault(COORDINATOR, "sent a roster that is not one advertisement per seat, ascending")
        if not all(map(self.has, seats)):
            raise PeerFault(COORDINATOR, "sent a roster with a stranger")
        with passed_on():
            return {
                seat: self.advertisement(data, seat).mask_key
                for seat, data in zip(seats, roster.advertisements, strict=True)
            }

    def header(self, data: bytes, seat: int, roster: Digest) -> Header:
        """The header that a seat signed; raises PeerFault as `advertisement` does, or if it is for another roster."""
        header = self._statement(Header, data, seat)
        if header.roster != roster:
            raise PeerFault(_name(seat), "shared for another roster", evidence=data)
        return header

    def shares(self, data: bytes, seat: int, roster: Digest, holders: int) -> tuple[Dealt, Shares]:
        """What a seat shared among `holders` sites, with parcels or without.

        Raises PeerFault if the digests or parcels are not those of its signed header, or for another roster.
        """
        who = _name(seat)
        try:
            shares = canon.unpack(Shares, data)
        except Refused as problem:
            raise PeerFault(who, f"sent shares that are unreadable: {problem}", evidence=data) from None
        header = self.header(shares.header, seat, roster)
        digests, parcels = shares.digests, shares.parcels
        if digests.dtype.str != "|u1" or digests.shape != (holders, 3, 32):
            raise PeerFault(who, "sent digests that are not three per site of the roster", evidence=data)
        tree = share_tree(digests)
        if tree.root != header.share_root:
            raise PeerFault(who, "sent digests that are not those of its signed header", evidence=data)
        if parcels.dtype.str != "|u1" or parcels.shape not in ((holders, PARCEL_BYTES), (0, PARCEL_BYTES)):
            raise PeerFault(who, "sent parcels that are not one per site of the roster", evidence=data)
        sealed = parcels.tobytes()
        found = [sha256(sealed[at : at + PARCEL_BYTES]).digest() for at in range(0, len(sealed), PARCEL_BYTES)]
        if sealed and b"".join(found) != digests[:, 2].tobytes():
            raise PeerFault(who, "sent parcels that are not those of its signed header", evidence=data)
        return Dealt(header, shares.header, digests, tree), shares

    def upload(self, data: bytes, seat: int, roster: Digest, dealing: Digest) -> tuple[Upload, Signed]:
        """The upload that a seat signed, and its envelope.

        Raises PeerFault if it is malformed, not its own, of another round, or of another shape.
        """
        session, who = self.session, _name(seat)
        signed = open_envelope(data, who=who)
        struct = sign.Upload(session.job, session.round, seat, canon.digest_bytes(signed.body))
        if not sign.verify(self._signer(seat), sign.digest(session.domain, struct), signed.signature):
            raise PeerFault(who, "sent an upload that is not signed by its registered signer", evidence=data)
        upload = read_body(Upload, signed, data, who=who)
        if (upload.session, upload.seat) != (self.id, seat):
            raise PeerFault(who, "sent an upload of another round or from another seat", evidence=data)
        if (upload.roster, upload.dealing) != (roster, dealing):
            raise PeerFault(who, "sent an upload for another roster or dealing", evidence=data)
        if upload.vector.shape != (session.length,) or upload.vector.dtype != DTYPES[session.bits]:
            found = f"{upload.vector.dtype}{upload.vector.shape}"
            raise PeerFault(who, f"sent {found}, {session.length} of {session.bits} bits were due", evidence=data)
        return upload, signed

    def consent(self, data: bytes, seat: int, roster: Digest, dealing: Digest, survivors: tuple[int, ...]) -> None:
        """Make sure that a seat consented to this roster, dealing and survivor list; raises PeerFault if not."""
        said = self._statement(Consent, data, seat)
        if (said.roster, said.dealing, said.survivors) != (roster, dealing, survivors):
            raise PeerFault(_name(seat), "consented to another roster, dealing or survivor list", evidence=data)

    def opening(self, data: bytes, seat: int) -> Opening:
        """The opening that a seat signed, its shares not yet checked; raises PeerFault as `advertisement` does."""
        return self._statement(Opening, data, seat)

    def _statement(self, kind: type[T], data: bytes, seat: int) -> T:
        who, any_kind = _name(seat), cast(Any, kind)
        try:
            said = cast(T, _signed_statement(any_kind, data, self._signer(seat), self.session.domain))
        except PeerFault as problem:
            raise PeerFault(who, problem.why, evidence=data) from None
        if (said.session, said.seat) != (self.id, seat):
            raise PeerFault(who, "sent a message of another round or from another seat", evidence=data)
        return said

    def _signer(self, seat: int) -> Address:
        return self._parties[seat].signer


@contextmanager
def passed_on() -> Iterator[None]:
    """Faults found inside are the coordinator's: it passed on, or wrote down, what it had to refuse."""
    try:
        yield
    except PeerFault as problem:
        why = f"let a message pass that it had to refuse: {problem.who} {problem.why}"
        raise PeerFault(COORDINATOR, why, evidence=problem.evidence) from None


def peek_seat(kind: type[T], data: bytes) -> int:
    """The seat that a message says it is from, unchecked; -1 if it cannot be read. For looking up the key only."""
    try:
        return canon.unpack(kind, canon.unpack(Signed, data).body).seat
    except Refused:
        return -1


@lru_cache(maxsize=_STATEMENTS_REMEMBERED)  # public values in and out: all parties read the same messages
def _signed_statement(kind: type[object], data: bytes, signer: Address, domain: bytes) -> object:
    return read_signed(kind, data, signer=signer, domain=domain, who="")


def _name(seat: int) -> str:
    return f"seat {seat}"
