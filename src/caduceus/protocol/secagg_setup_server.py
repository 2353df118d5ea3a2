"""The coordinator's half of a set-up.

Sans I/O: messages in, messages out. The coordinator holds no secret but its signing key; it passes on keys and sealed
parcels, compares what neighbours say they have in common, and collects the committee's word for one outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import IntEnum
from hashlib import sha256
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol.envelope import Signed, sign_record
from caduceus.protocol.secagg_intake import Fault, Intake, Outgoing
from caduceus.protocol.secagg_messages import (
    Advertise,
    Confirm,
    Deal,
    Delivery,
    Endorse,
    Endorsed,
    Inbox,
    Ready,
    Roster,
    RosterFor,
    parcel_bytes,
    signed_digest,
)
from caduceus.protocol.secagg_reading import name_of
from caduceus.protocol.secagg_setup import Layout, most_missing
from caduceus.protocol.secagg_setup_reading import Dealt, SetupReader, in_common
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord, without_parcels
from caduceus.protocol.secagg_stray import is_stray


class SetupPhase(IntEnum):
    """What the coordinator is waiting for."""

    ADVERTISE = 0
    DEAL = 1
    CONFIRM = 2
    ENDORSE = 3
    DONE = 4


SETUP_EXPECTS: Mapping[SetupPhase, str] = {
    SetupPhase.ADVERTISE: canon.tag_of(Advertise),
    SetupPhase.DEAL: canon.tag_of(Deal),
    SetupPhase.CONFIRM: canon.tag_of(Confirm),
    SetupPhase.ENDORSE: canon.tag_of(Endorse),
}
"""The kind of message that is welcome in each phase. One of an earlier phase came late and is passed over."""

_ROOM = 1 << 16
"""Bytes of a message beside its tables."""


@final
class SetupServer:
    """One set-up.

    layout  of a set-up that names this coordinator
    signer  the coordinator's

    Raises Misuse if the signer is not the set-up's.
    """

    def __init__(self, layout: Layout, signer: Signer) -> None:
        if signer.address != layout.setup.coordinator:
            raise Misuse("secagg: the set-up names another coordinator")
        self._layout, self._signer, self._reader = layout, signer, SetupReader(layout)
        shelves = {int(SetupPhase.DEAL): Stripped()}
        self._intake = Intake(
            tuple(SETUP_EXPECTS.values()), layout.seats, _largest(layout), self._is_stray, shelves, _is_same
        )
        self._verifiers: dict[int, bytes] = {}
        self._present = layout.present(())
        self._roster = Roster(layout.id, (), np.zeros((0, 32), np.uint8))
        self._roster_id = Digest(b"")
        self._told: dict[int, bytes] = {}
        self._dealt: dict[int, Dealt] = {}
        self._parcels: dict[int, tuple[bytes, ...]] = {}
        self._confirms: dict[int, Confirm] = {}
        self._endorses: dict[int, Endorse] = {}
        self._places: dict[int, dict[int, int]] = {}
        self._receivers: dict[int, dict[int, int]] = {}
        self._ready: Ready | None = None
        self._ready_id: Digest | None = None
        self._members: tuple[int, ...] = ()

    @property
    def phase(self) -> SetupPhase:
        """What the coordinator is waiting for."""
        return SetupPhase(self._intake.phase)

    @property
    def ready(self) -> bool:
        """Whether everyone who is still expected has answered in this phase."""
        return self._intake.is_ready

    @property
    def is_over(self) -> bool:
        """Whether the set-up is done."""
        return self._intake.is_over

    @property
    def faults(self) -> list[Fault]:
        """Who broke the protocol, and how."""
        return self._intake.faults

    # ------------------------------------------------------------ in

    def receive(self, seat: int, data: bytes) -> list[bytes]:
        """Take in a message that the channel says came from a seat; see `Intake.receive`."""
        return self._intake.receive(seat, data, self._take, self._again) if seat in self._layout.parties else []

    def _is_stray(self, data: bytes) -> bool:
        return is_stray(data, self._layout.id, roster=self._roster_id or None, ready=self._ready_id)

    def _take(self, seat: int, data: bytes) -> list[bytes]:
        reader = self._reader
        match self.phase:
            case SetupPhase.ADVERTISE:
                self._verifiers[seat] = reader.advertisement(data, seat).verifier
            case SetupPhase.DEAL:
                dealt, deal = reader.deal(
                    data, seat, roster=self._roster_id, present=self._present, verifier=self._verifiers[seat]
                )
                if not deal.parcels:
                    raise PeerFault(name_of(seat), "dealt without parcels", evidence=data)
                self._dealt[seat], self._parcels[seat] = dealt, deal.parcels
            case SetupPhase.CONFIRM:
                self._confirms[seat] = reader.confirmation(data, seat, roster=self._roster_id, present=self._present)
            case _:
                assert self._ready is not None
                self._endorses[seat] = reader.endorsement(data, seat, ready=self._ready)
        return []

    def _again(self, phase: int, seat: int) -> list[bytes]:
        """What followed a message that was taken before, so that a site whose line broke catches up."""
        if phase >= self._intake.phase:
            return []
        if phase == SetupPhase.CONFIRM and seat not in self._next(()):
            return []
        return [self._after(SetupPhase(phase), seat)]

    # ------------------------------------------------------------ out

    def advance(self) -> Outgoing:
        """Close the phase with whoever has answered.

        returns  what to send to whom

        Raises Refused if too few are left: the set-up has failed.
        """
        setup, phase = self._layout.setup, self.phase
        if phase is SetupPhase.DONE:
            raise Misuse("secagg: the set-up is over")
        if phase is SetupPhase.ENDORSE:
            heard = self._intake.close(lambda _: (), setup.plan.threshold)
            self._members = tuple(heard)
            assert self._ready is not None
            told: Sequence[int] = self._ready.seats
        else:
            answered = sorted(self._intake.taken[phase])
            if phase is SetupPhase.ADVERTISE:
                self._reader.enough(self._layout.present(answered), "here")
            elif phase is SetupPhase.CONFIRM:
                self._settle_on(answered)
            heard = self._intake.close(self._next, setup.quorum)
            self._close(phase, heard)
            told = self._next(heard)
        return Outgoing(told, lambda seat: self._after(phase, seat))

    def _next(self, heard: Sequence[int]) -> Sequence[int]:
        """Who goes on: after the outcome is settled, the ready members of the committee."""
        return heard if self._ready is None else self._layout.present(self._ready.seats).members

    def _close(self, phase: SetupPhase, heard: list[int]) -> None:
        taken = self._intake.taken[phase]
        if phase is SetupPhase.ADVERTISE:
            digests = b"".join([sha256(taken[seat]).digest() for seat in heard])
            table = np.frombuffer(digests, np.uint8).reshape(len(heard), 32)
            self._roster = Roster(self._layout.id, tuple(heard), table)
            self._roster_id = canon.digest(self._roster)
            self._present = self._layout.present(heard)
            self._told[phase] = self._say(self._roster)
        elif phase is SetupPhase.DEAL:
            self._dealt = {seat: self._dealt[seat] for seat in heard}
        else:
            assert self._ready is not None
            self._ready_id = canon.digest(self._ready)
            self._told[phase] = self._say(self._ready)

    def _after(self, phase: SetupPhase, seat: int) -> bytes:
        """What a site is told when a phase that it took part in closes."""
        match phase:
            case SetupPhase.ADVERTISE:
                taken = self._intake.taken[phase]
                wanted = sorted((*self._present.peers(seat), seat))
                return canon.pack(RosterFor(self._told[phase], tuple(taken[one] for one in wanted)))
            case SetupPhase.DEAL:
                return self._inbox(seat)
            case SetupPhase.CONFIRM:
                return self._told[phase]
            case _:
                return self._endorsed(seat)

    def _inbox(self, recipient: int) -> bytes:
        deliveries = []
        for dealer in self._present.dealers(recipient):
            if dealer in self._dealt:
                deliveries.append(self._delivery(dealer, recipient))
        return self._say(Inbox(self._layout.id, self._roster_id, tuple(deliveries)))

    def _delivery(self, dealer: int, recipient: int) -> Delivery:
        dealt, place = self._dealt[dealer], self._present.member_place.get(recipient)
        at = self._receiver_place(dealer)[recipient]
        siblings = b"".join(dealt.tree.proof(at))
        return Delivery(
            dealer=dealer,
            header=dealt.signed,
            digests=dealt.commitments[:0] if place is None else dealt.digests[place],
            parcel=self._parcels[dealer][at],
            siblings=np.frombuffer(siblings, np.uint8).reshape(-1, 32),
        )

    def _receiver_place(self, dealer: int) -> dict[int, int]:
        """Positions of those that a site deals to."""
        if dealer not in self._receivers:
            self._receivers[dealer] = {seat: at for at, seat in enumerate(self._present.receivers(dealer))}
        return self._receivers[dealer]

    def _endorsed(self, seat: int) -> bytes:
        assert self._ready is not None
        place = self._ready.seats.index(seat)
        tags = np.stack([self._endorses[member].tags[place] for member in self._members])
        return canon.pack(Endorsed(self._told[SetupPhase.CONFIRM], self._members, tags))

    # ------------------------------------------------------------ who is ready

    def _settle_on(self, heard: list[int]) -> None:
        """Leave out whoever does not agree with its neighbours, and whoever dealt to too few.

        Raises Refused if too few are left.
        """
        here = self._agreeing(heard)
        here = self._recoverable(here)
        ready = Ready(
            setup=self._layout.id,
            roster=self._roster_id,
            seats=tuple(here),
            headers=signed_digest(self._dealt[seat].signed for seat in here),
            confirms=signed_digest(self._intake.taken[SetupPhase.CONFIRM][seat] for seat in here),
        )
        self._reader.ready(ready, roster=self._roster_id, present=self._present)
        self._ready = ready

    def _agreeing(self, heard: list[int]) -> list[int]:
        """Sites of which every two neighbours published the same checks of their pair seeds.

        Of two that do not agree nobody else can say which one lied. Whoever quarrels with more than there can be liars
        is one, is named, and goes alone. Of the quarrels that are left both ends go: at least one of them is a liar, so
        no liar takes more than one honest site with it.
        """
        quarrels = {seat: set(self._quarrels(seat, set(heard))) for seat in heard}
        liars = len(self._layout.seats) // 3

        def leave_out(seat: int) -> None:
            for other in quarrels.pop(seat):
                quarrels[other].discard(seat)

        while found := [seat for seat, others in quarrels.items() if len(others) > liars]:
            evidence = self._intake.taken[SetupPhase.CONFIRM][found[0]]
            self._intake.name(found[0], f"has other secrets than {len(quarrels[found[0]])} of its neighbours", evidence)
            leave_out(found[0])
            liars -= 1
        while left := [seat for seat, others in sorted(quarrels.items()) if others]:
            other = min(quarrels[left[0]])
            leave_out(left[0])
            leave_out(other)
        return sorted(quarrels)

    def _quarrels(self, seat: int, here: set[int]) -> list[int]:
        """Neighbours whose checks of the pair seeds differ from this site's."""
        neighbours = self._present.neighbours(seat)
        own = self._confirms[seat].tables
        return [
            other
            for at, other in enumerate(neighbours)
            if other in here and not in_common(own[at, :, 0], self._checks(other, seat))
        ]

    def _checks(self, seat: int, other: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        at = self._place_of(seat)[other]
        return self._confirms[seat].tables[at, :, 0]

    def _place_of(self, seat: int) -> dict[int, int]:
        if seat not in self._places:
            self._places[seat] = {other: at for at, other in enumerate(self._present.neighbours(seat))}
        return self._places[seat]

    def _recoverable(self, here: list[int]) -> list[int]:
        """Sites whose secrets a threshold of the committee can open; the committee is among them.

        A dealer of which more members miss their parcels than there can be liars is named.
        """
        plan = self._layout.setup.plan
        while True:
            members = self._layout.present(here).members
            missing = Counter(dealer for member in members for dealer in self._confirms[member].missing)
            for dealer in [seat for seat in here if missing[seat] > plan.committee // 3]:
                why = f"sealed parcels in which {missing[dealer]} members found no share"
                self._intake.name(dealer, why, self._dealt[dealer].signed)
            kept = [seat for seat in here if missing[seat] <= most_missing(plan, len(members))]
            if len(kept) == len(here):
                return kept
            here = kept

    # ------------------------------------------------------------ for the record

    def foundation(self) -> Foundation:
        """What rounds of this set-up stand on; once the set-up is done."""
        return Foundation(self._layout, self.record())

    def record(self) -> SetupRecord:
        """Everything that an outsider needs to check the set-up, parcels aside."""
        taken = self._intake.taken
        if self._ready is None:
            raise Misuse("secagg: the set-up has no outcome yet")
        seats, threshold = self._ready.seats, self._layout.setup.plan.threshold
        return SetupRecord(
            setup=self._layout.setup,
            roster=self._roster,
            advertisements=tuple(taken[SetupPhase.ADVERTISE][seat] for seat in seats),
            deals=tuple(taken[SetupPhase.DEAL][seat] for seat in seats),
            confirms=tuple(taken[SetupPhase.CONFIRM][seat] for seat in seats),
            ready=self._ready,
            endorses=tuple(taken[SetupPhase.ENDORSE][member] for member in self._members[:threshold]),
            faults=tuple(self.faults),
            others=tuple(taken[SetupPhase.ADVERTISE][seat] for seat in self._roster.seats if seat not in set(seats)),
        )

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._layout.setup.domain, record)


@final
class Stripped(dict[int, bytes]):
    """Deals by seat, each kept without its parcels, which lie elsewhere."""

    def __setitem__(self, seat: int, deal: bytes) -> None:
        super().__setitem__(seat, without_parcels(deal))


def _is_same(phase: int, kept: bytes, data: bytes) -> bool:
    """Whether a site only says again what is kept.

    Also if it starts again: then an advertisement is signed differently, and a deal's parcels are sealed anew, while
    what it commits to is the same.
    """
    try:
        if phase == SetupPhase.ADVERTISE:
            return canon.unpack(Signed, kept).body == canon.unpack(Signed, data).body
        if phase == SetupPhase.DEAL:
            one, other = canon.unpack(Deal, kept), canon.unpack(Deal, data)
            tables = ((one.commitments, other.commitments), (one.digests, other.digests))
            return all(np.array_equal(*pair) for pair in tables)
    except Refused:
        return False
    return kept == data


def _largest(layout: Layout) -> tuple[int, ...]:
    """Bytes that no honest site's message exceeds, by phase."""
    rounds, committee, sites = layout.setup.rounds, len(layout.committee), len(layout.seats)
    degree = sites - 1 if layout.graph.starts is None else int(np.diff(layout.graph.starts).max(initial=0))
    receivers = min(sites, committee + degree)
    deal = receivers * (parcel_bytes(rounds, to_member=True) + 64) + committee * rounds * 64 + rounds * 64
    confirm = degree * rounds * 64 + sites * 9
    return (_ROOM, _ROOM + deal, _ROOM + confirm, _ROOM + sites * 41)
