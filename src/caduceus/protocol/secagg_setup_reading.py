"""Reading the messages of a set-up, hostile until proven otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle, xwing
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol.secagg_messages import (
    Advertise,
    Bytes,
    Confirm,
    Deal,
    Endorse,
    Header,
    Ready,
    Roster,
    deal_leaf,
    parcel_bytes,
)
from caduceus.protocol.secagg_reading import (
    COORDINATOR,
    fits,
    name_of,
    passed_on,
    statement,
    vouched,
    vouched_by_itself,
)
from caduceus.protocol.secagg_setup import Layout, Present, ascending

_ZEROS = bytes(32)


@dataclass(frozen=True, slots=True)
class Dealt:
    """What one site dealt, as checked.

    header       public part
    signed       the header as its site signed it
    commitments  uint8[rounds, 2, 32], see `Deal`
    digests      uint8[members, rounds, 2, 32]
    sealed       uint8[receivers, 32]
    tree         over one leaf per receiver
    """

    header: Header
    signed: bytes
    commitments: Bytes
    digests: Bytes
    sealed: Bytes
    tree: merkle.Tree


@final
class SetupReader:
    """Reads messages of one set-up."""

    __slots__ = ("layout",)

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def advertisement(self, data: bytes, seat: int) -> Advertise:
        """The advertisement that a seat vouches for.

        Raises PeerFault if it is malformed, not its own, of another set-up, or if nobody can encapsulate to its key.
        """
        said = vouched_by_itself(Advertise, data, voucher=self.layout.party(seat).voucher, seat=seat)
        self._belongs(said.setup, said.seat, seat, data)
        if not xwing.is_sound(said.kem_key):
            raise PeerFault(name_of(seat), "advertised something that is no public key", evidence=data)
        return said

    def roster(self, roster: Roster) -> Present:
        """Who is here.

        Raises PeerFault naming the coordinator if the roster is malformed or names a stranger.
        """
        seats = roster.seats
        if not fits(roster.digests, (len(seats), 32)) or not ascending(seats):
            raise PeerFault(COORDINATOR, "sent a roster that is not one advertisement per seat, ascending")
        if not self.layout.parties.keys() >= set(seats):
            raise PeerFault(COORDINATOR, "sent a roster with a stranger")
        return self.layout.present(seats)

    def advertised(self, roster: Roster, seats: Sequence[int], data: Sequence[bytes]) -> dict[int, Advertise]:
        """The advertisements of some seats of a roster, by seat.

        Raises PeerFault naming the coordinator if one is missing or is not the one in the roster.
        """
        if len(data) != len(seats):
            raise PeerFault(COORDINATOR, f"sent {len(data)} advertisements where {len(seats)} are due")
        place = {seat: at for at, seat in enumerate(roster.seats)}
        flat = roster.digests.tobytes()
        found = {}
        for seat, one in zip(seats, data, strict=True):
            at = place[seat] * 32
            if sha256(one).digest() != flat[at : at + 32]:
                raise PeerFault(COORDINATOR, f"sent another advertisement of seat {seat} than is in its roster")
            with passed_on():
                found[seat] = self.advertisement(one, seat)
        return found

    def header(self, data: bytes, seat: int, *, roster: Digest, verifier: bytes) -> Header:
        """The header that a seat vouches for.

        Raises PeerFault as `advertisement` does, or if it is for another roster.
        """
        header = vouched(Header, data, verifier=verifier, seat=seat)
        self._belongs(header.setup, header.seat, seat, data)
        if header.roster != roster:
            raise PeerFault(name_of(seat), "dealt for another roster", evidence=data)
        return header

    def deal(self, data: bytes, seat: int, *, roster: Digest, present: Present, verifier: bytes) -> tuple[Dealt, Deal]:
        """What a seat dealt, with parcels or without.

        Raises PeerFault if anything in it is not what its signed header says, or for another roster.
        """
        who, rounds = name_of(seat), self.layout.setup.rounds
        try:
            deal = canon.unpack(Deal, data)
        except Refused as problem:
            raise PeerFault(who, f"dealt something unreadable: {problem}", evidence=data) from None
        header = self.header(deal.header, seat, roster=roster, verifier=verifier)
        receivers = present.receivers(seat)
        shapes = (
            (deal.commitments, (rounds, 2, 32)),
            (deal.digests, (len(present.members), rounds, 2, 32)),
            (deal.sealed, (len(receivers), 32)),
        )
        if not all(fits(table, shape) for table, shape in shapes):
            raise PeerFault(who, "dealt tables that are not one entry per receiver and round", evidence=data)
        tree = deal_tree(deal.sealed, deal.digests, receivers, present.member_place)
        if tree.root != header.deal_root or canon.digest_bytes(deal.commitments.tobytes()) != header.commitments:
            raise PeerFault(who, "dealt tables that are not those of its signed header", evidence=data)
        if deal.parcels:
            self._check_parcels(deal, seat, receivers, present, data)
        dealt = Dealt(header, deal.header, deal.commitments, deal.digests, deal.sealed, tree)
        return dealt, deal

    def _check_parcels(self, deal: Deal, seat: int, receivers: Sequence[int], present: Present, data: bytes) -> None:
        rounds, flat = self.layout.setup.rounds, deal.sealed.tobytes()
        sizes = {member: parcel_bytes(rounds, to_member=member) for member in (False, True)}
        due = [0 if one == seat else sizes[one in present.member_place] for one in receivers]
        if [len(parcel) for parcel in deal.parcels] != due:
            raise PeerFault(name_of(seat), "dealt parcels that are not one per receiver", evidence=data)
        found = [sha256(parcel).digest() if parcel else _ZEROS for parcel in deal.parcels]
        if b"".join(found) != flat:
            raise PeerFault(name_of(seat), "dealt parcels that are not those of its signed header", evidence=data)

    def confirmation(self, data: bytes, seat: int, *, roster: Digest, present: Present) -> Confirm:
        """What a seat says it has in common with its neighbours.

        Raises PeerFault if it is malformed, not its own, or for another roster.
        """
        said = self._statement(Confirm, data, seat)
        if said.roster != roster:
            raise PeerFault(name_of(seat), "confirmed another roster", evidence=data)
        if not fits(said.tables, (len(present.neighbours(seat)), self.layout.setup.rounds, 2, 32)):
            raise PeerFault(name_of(seat), "confirmed tables that are not one per neighbour and round", evidence=data)
        if not ascending(said.missing) or not set(said.missing) <= set(present.dealers(seat)):
            raise PeerFault(name_of(seat), "missed parcels that were not due to it", evidence=data)
        return said

    def endorsement(self, data: bytes, seat: int, *, ready: Ready) -> Endorse:
        """A member's endorsement of an outcome; raises PeerFault if it is malformed, or of another outcome."""
        said = statement(
            Endorse, data, signer=self.layout.party(seat).signer, domain=self.layout.setup.domain, seat=seat
        )
        if (said.ready, said.seat) != (canon.digest(ready), seat) or not fits(said.tags, (len(ready.seats), 32)):
            raise PeerFault(name_of(seat), "endorsed another outcome, or for another seat", evidence=data)
        return said

    def ready(self, ready: Ready, *, roster: Digest, present: Present) -> Present:
        """Who is ready.

        Raises PeerFault naming the coordinator if the outcome is malformed, of another set-up, or names one that is
        not in the roster; Refused if too few are ready.
        """
        if (ready.setup, ready.roster) != (self.layout.id, roster):
            raise PeerFault(COORDINATOR, "sent the outcome of another set-up or roster")
        if not ascending(ready.seats) or not set(ready.seats) <= present.place.keys():
            raise PeerFault(COORDINATOR, "sent an outcome that names a site that is not here, or one twice")
        found = self.layout.present(ready.seats)
        self.enough(found, "ready")
        return found

    def enough(self, present: Present, what: str) -> None:
        """Raise Refused, saying what the sites are, unless they are a quorum with a threshold of the committee."""
        sites, members = len(present.seats), len(present.members)
        quorum, threshold = self.layout.setup.quorum, self.layout.setup.plan.threshold
        if sites < quorum or members < threshold:
            raise Refused(
                f"only {sites} sites are {what}, {members} of them in the committee; "
                f"{quorum} and {threshold} are needed"
            )

    def _statement(self, kind: type[Confirm], data: bytes, seat: int) -> Confirm:
        said = statement(kind, data, signer=self.layout.party(seat).signer, domain=self.layout.setup.domain, seat=seat)
        self._belongs(said.setup, said.seat, seat, data)
        return said

    def _belongs(self, setup: Digest, said: int, seat: int, data: bytes) -> None:
        if (setup, said) != (self.layout.id, seat):
            raise PeerFault(name_of(seat), "sent a message of another set-up or from another seat", evidence=data)


def in_common(one: Bytes, other: Bytes) -> bool:
    """Whether two neighbours published the same checks of their pair seeds.

    one, other  uint8[rounds, 32]; zeros stand for nothing, and two that have nothing have nothing in common
    """
    return bool(np.array_equal(one, other)) and bool(one.any(axis=1).all())


def deal_tree(sealed: Bytes, digests: Bytes, receivers: Sequence[int], member_place: Mapping[int, int]) -> merkle.Tree:
    """The tree over what a dealer answers for, a leaf per receiver.

    sealed   uint8[receivers, 32]
    digests  uint8[members, rounds, 2, 32]
    """
    parcels, shares = sealed.tobytes(), digests.tobytes()
    width = len(shares) // max(len(digests), 1)
    leaves = []
    for at, receiver in enumerate(receivers):
        place = member_place.get(receiver)
        own = b"" if place is None else shares[place * width : (place + 1) * width]
        leaves.append(deal_leaf(parcels[at * 32 : at * 32 + 32], own))
    return merkle.Tree(leaves)
