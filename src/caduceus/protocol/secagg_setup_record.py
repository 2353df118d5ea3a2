"""The public record of a set-up, and what rounds stand on it."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.canon import record
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol.secagg_intake import Fault
from caduceus.protocol.secagg_messages import Deal, Endorse, Ready, Roster, signed_digest
from caduceus.protocol.secagg_reading import COORDINATOR, passed_on, peek_seat
from caduceus.protocol.secagg_setup import Layout, Present, Setup, most_missing
from caduceus.protocol.secagg_setup_reading import Dealt, SetupReader, in_common


@record("secagg/setup-record/1")
class SetupRecord:
    """The signed messages of a set-up, sealed parcels aside; all but the roster of ready sites, ascending by seat.

    roster    everybody who advertised
    deals     `Deal` without parcels
    endorses  of the committee, of a threshold at least
    faults    who broke the protocol, and how
    others    signed advertisements of the sites in the roster that are not ready: so that what they signed can be told

    Reveals: who took part. Nothing else: see `Header` and `Confirm`.
    """

    setup: Setup
    roster: Roster
    advertisements: tuple[bytes, ...]
    deals: tuple[bytes, ...]
    confirms: tuple[bytes, ...]
    ready: Ready
    endorses: tuple[bytes, ...]
    faults: tuple[Fault, ...]
    others: tuple[bytes, ...]


def without_parcels(deal: bytes) -> bytes:
    """A deal as it is kept for the record."""
    found = canon.unpack(Deal, deal)
    return canon.pack(Deal(found.header, found.commitments, found.digests, found.sealed, ()))


@final
class Foundation:
    """What rounds stand on: who is ready, and what everybody is bound to; read from the record and checked.

    Public throughout. Sites that come by it in their own way are spared the check, see `secagg_ground`.

    Raises PeerFault naming the coordinator if the record is one that an honest one could not have written, Refused if
    its set-up is unsound or too few are ready.
    """

    def __init__(self, layout: Layout, record: SetupRecord) -> None:
        self.layout, self.record = layout, record
        self._reader = SetupReader(layout)
        if canon.digest(record.setup) != layout.id or record.roster.setup != layout.id:
            raise PeerFault(COORDINATOR, "recorded another set-up")
        self.roster_present = self._reader.roster(record.roster)
        self.roster_id = canon.digest(record.roster)
        self.ready = record.ready
        self.ready_id: Digest = canon.digest(record.ready)
        self.present: Present = self._reader.ready(record.ready, roster=self.roster_id, present=self.roster_present)
        self.verifiers: dict[int, bytes] = {}
        """The ML-DSA-65 keys of everybody in the roster, by seat."""
        self.dealt = self._read_deals()
        self._check_confirms()
        self._check_endorsements()

    @cached_property
    def blob(self) -> bytes:
        """The record's canonical bytes."""
        return canon.pack(self.record)

    def holder_place(self, seat: int) -> int:
        """A member's position in `Dealt.digests`."""
        return self.roster_present.member_place[seat]

    def table(self, seat: int) -> tuple[tuple[int, ...], npt.NDArray[np.uint8]]:
        """A site's neighbours in the roster, and its `Confirm.tables` for them."""
        return self.roster_present.neighbours(seat), self._tables[seat]

    def _read_deals(self) -> dict[int, Dealt]:
        record, seats = self.record, self.ready.seats
        if not len(seats) == len(record.advertisements) == len(record.deals) == len(record.confirms):
            raise PeerFault(COORDINATOR, "recorded a set-up that is not one message per ready site")
        said = self._reader.advertised(record.roster, seats, record.advertisements)
        others = [seat for seat in record.roster.seats if seat not in self.present]
        everybody = said | self._reader.advertised(record.roster, others, record.others)
        self.verifiers = {seat: one.verifier for seat, one in everybody.items()}
        dealt: dict[int, Dealt] = {}
        for seat, data in zip(seats, record.deals, strict=True):
            with passed_on():
                dealt[seat], _ = self._reader.deal(
                    data, seat, roster=self.roster_id, present=self.roster_present, verifier=said[seat].verifier
                )
        if signed_digest(dealt[seat].signed for seat in seats) != self.ready.headers:
            raise PeerFault(COORDINATOR, "recorded other deals than its outcome names")
        return dealt

    def _check_confirms(self) -> None:
        seats, record = self.ready.seats, self.record
        if signed_digest(record.confirms) != self.ready.confirms:
            raise PeerFault(COORDINATOR, "recorded other confirmations than its outcome names")
        self._tables: dict[int, npt.NDArray[np.uint8]] = {}
        self.missing: dict[int, tuple[int, ...]] = {}
        missing: Counter[int] = Counter()
        for seat, data in zip(seats, record.confirms, strict=True):
            with passed_on():
                said = self._reader.confirmation(data, seat, roster=self.roster_id, present=self.roster_present)
            self._tables[seat] = said.tables
            self.missing[seat] = said.missing
            missing.update(said.missing if seat in self.present.member_place else ())
        most = most_missing(self.layout.setup.plan, len(self.present.members))
        for seat in seats:
            if missing[seat] > most:
                raise PeerFault(COORDINATOR, f"let seat {seat} be ready, whose shares {missing[seat]} members lack")
            neighbours = self.roster_present.neighbours(seat)
            for at, other in enumerate(neighbours):
                if seat < other and other in self.present and not self._agree(seat, at, other):
                    raise PeerFault(COORDINATOR, f"let seats {seat} and {other} be ready, which do not agree")

    def _agree(self, seat: int, at: int, other: int) -> bool:
        back = np.searchsorted(self.roster_present.neighbours(other), seat)
        return in_common(self._tables[seat][at, :, 0], self._tables[other][back, :, 0])

    def _check_endorsements(self) -> None:
        agreed = set()
        for data in self.record.endorses:
            seat = peek_seat(Endorse, data)
            if seat not in self.present.member_place or seat in agreed:
                raise PeerFault(COORDINATOR, "recorded the endorsement of a site that is no member, or one twice")
            with passed_on():
                self._reader.endorsement(data, seat, ready=self.ready)
            agreed.add(seat)
        needed = self.layout.setup.plan.threshold
        if len(agreed) < needed:
            raise Refused(f"only {len(agreed)} members endorsed the set-up's outcome, {needed} are needed")
