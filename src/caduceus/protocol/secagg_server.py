"""The coordinator's half of a round of secure aggregation.

Sans I/O: messages in, messages out. The coordinator holds no secret but its signing key; it sees masked vectors, adds
each to its group's sum as it comes in, and takes the masks off the sums with what a threshold of the committee opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from functools import partial
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle, sign
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.secagg_apart import are_apart
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_intake import Fault, Intake, Outgoing, Shelf
from caduceus.protocol.secagg_messages import (
    Consent,
    Consents,
    Opening,
    Receipt,
    Survivors,
    Upload,
    survivors_digest,
)
from caduceus.protocol.secagg_round_reading import RoundReader
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup_record import Foundation
from caduceus.protocol.secagg_stray import is_stray
from caduceus.protocol.secagg_unmask import Device, Masks, Secrets, confirmation_of, masks_on, open_secrets, unmask
from caduceus.protocol.secagg_upload import HEAD_BYTES


class Phase(IntEnum):
    """What the coordinator is waiting for."""

    UPLOAD = 0
    CONSENT = 1
    OPEN = 2
    DONE = 3


EXPECTS: Mapping[Phase, str] = {
    Phase.UPLOAD: canon.tag_of(Upload),
    Phase.CONSENT: canon.tag_of(Consent),
    Phase.OPEN: canon.tag_of(Opening),
}
"""The kind of message that is welcome in each phase. One of an earlier phase came late and is passed over."""

_ROOM = 1 << 16
"""Bytes of a message beside its tables."""


@final
class Server:
    """One round.

    session     what everybody agrees on
    foundation  the set-up that it stands on
    signer      the coordinator's
    revealed    groups over which sums of this job were opened before
    threads     how many may work on the masks
    device      hardware to take the masks off on instead of the processor
    uploads     where they are kept, if not in memory: the server itself looks at each once

    Raises Misuse if the signer is not the set-up's, Refused if the session is not a sound one.
    """

    def __init__(
        self,
        session: Session,
        foundation: Foundation,
        signer: Signer,
        *,
        revealed: Iterable[frozenset[int]] = (),
        threads: int = 1,
        uploads: Shelf | None = None,
        device: Device | None = None,
    ) -> None:
        if signer.address != foundation.layout.setup.coordinator or session.ready != foundation.ready_id:
            raise Misuse("secagg: the session names another coordinator or set-up")
        self.totals: dict[int, Residues] = {}
        """The sums, by place of their group, once they are opened."""
        self.survivors: tuple[int, ...] = ()
        self.groups: tuple[int, ...] = ()
        self._session, self._foundation, self._signer = session, foundation, signer
        self._reader = RoundReader(session, foundation.present)
        self._setup, self._threads, self._device = foundation.layout.setup, threads, device
        self._revealed = tuple(revealed)
        sites, members = len(foundation.present.seats), len(foundation.present.members)
        vector = session.length * session.bits // 8
        largest = (HEAD_BYTES + vector, _ROOM + members * 32, _ROOM + sites * 48)
        shelves = {} if uploads is None else {int(Phase.UPLOAD): uploads}
        self._intake = Intake(
            tuple(EXPECTS.values()),
            foundation.present.seats,
            largest,
            partial(is_stray, own=self._reader.id),
            shelves,
        )
        self._group_of = {seat: at for at, group in enumerate(self._reader.groups) for seat in group}
        self._masked: dict[int, Residues] = {}
        self._leaves: dict[int, Digest] = {}
        self._receipts: dict[int, bytes] = {}
        self._told = b""
        self._agreed = Digest(b"")
        self._consents: dict[int, Consent] = {}
        self._chosen: tuple[int, ...] = ()
        self._openings: dict[int, Opening] = {}

    @property
    def session(self) -> Session:
        """What everybody agrees on."""
        return self._session

    @property
    def foundation(self) -> Foundation:
        """The set-up that the round stands on."""
        return self._foundation

    @property
    def phase(self) -> Phase:
        """What the coordinator is waiting for."""
        return Phase(self._intake.phase)

    @property
    def ready(self) -> bool:
        """Whether everyone who is still expected has answered in this phase."""
        return self._intake.is_ready

    @property
    def is_over(self) -> bool:
        """Whether the round is done."""
        return self._intake.is_over

    @property
    def by_group(self) -> tuple[tuple[int, ...], ...]:
        """The ready sites by group."""
        return self._reader.groups

    @property
    def faults(self) -> list[Fault]:
        """Who broke the protocol, and how."""
        return self._intake.faults

    @property
    def summed(self) -> tuple[int, ...]:
        """The sites whose vectors are in a sum that was opened, ascending; none before."""
        return tuple(sorted(seat for seat in self.survivors if self._group_of[seat] in self.totals))

    # ------------------------------------------------------------ in

    def receive(self, seat: int, data: bytes) -> list[bytes]:
        """Take in a message that the channel says came from a seat; see `Intake.receive`."""
        if seat not in self._foundation.present:
            return []
        return self._intake.receive(seat, data, self._take, self._again)

    def _take(self, seat: int, data: bytes) -> list[bytes]:
        reader = self._reader
        match self.phase:
            case Phase.UPLOAD:
                return [self._take_upload(seat, data)]
            case Phase.CONSENT:
                self._consents[seat] = reader.consent(data, seat, self._agreed)
            case _:
                alive, due = frozenset(self.survivors), reader.due(self.groups)
                self._openings[seat] = reader.opening(data, seat, self._foundation, due, alive)
        return []

    def _take_upload(self, seat: int, data: bytes) -> bytes:
        received = self._reader.upload(data, seat)
        group = self._group_of[seat]
        if group in self._masked:
            np.add(self._masked[group], received.vector, out=self._masked[group])
        else:
            self._masked[group] = received.vector.copy()
        setup, round_ = self._setup, self._session.round
        leaf = self._leaves[seat] = self._reader.leaf(received)
        struct = sign.Receipt(setup.job, round_, seat, leaf)
        receipt = Receipt(self._reader.id, seat, leaf, self._signer.sign(sign.digest(setup.domain, struct)))
        self._receipts[seat] = self._say(receipt)
        return self._receipts[seat]

    def _again(self, phase: int, seat: int) -> list[bytes]:
        """What followed a message that was taken before, so that a site that starts again catches up."""
        at_once = [self._receipts[seat]] if phase == Phase.UPLOAD else []
        is_told = phase < min(self._intake.phase, Phase.OPEN) and seat in self._foundation.present.member_place
        return [*at_once, self._after(Phase(phase), seat)] if is_told else at_once

    # ------------------------------------------------------------ out

    def advance(self) -> Outgoing:
        """Close the phase with whoever has answered.

        returns  what to send to whom; nothing once the sums are known

        Raises Refused if fewer than are needed are left: the round has failed, and no sum exists.
        """
        phase, threshold = self.phase, self._setup.plan.threshold
        match phase:
            case Phase.DONE:
                raise Misuse("secagg: the round is over")
            case Phase.UPLOAD:
                groups = self._choose_groups(sorted(self._intake.taken[phase]))
                told = self._intake.close(self._members_of, self._setup.quorum)
                self.survivors, self.groups = tuple(told), groups
                told = self._members_of(told)
                self._told = self._say(Survivors(self._reader.id, self.survivors, self.groups))
                self._agreed = survivors_digest(self.survivors, self._reader.alive_in(self.survivors, self.groups))
            case Phase.CONSENT:
                told = self._intake.close(lambda heard: heard, threshold)
                self._chosen = tuple(told)
            case _:
                told = list[int]()
                if len(self._openings) >= threshold:
                    self._unmask()
                self._intake.close(lambda _: (), threshold)
        return Outgoing(told, lambda seat: self._after(phase, seat))

    def _members_of(self, seats: Iterable[int]) -> list[int]:
        members = self._foundation.present.member_place
        return [seat for seat in seats if seat in members]

    def _after(self, phase: Phase, member: int) -> bytes:
        """What a member that took part in a phase is told when it closes."""
        if phase is Phase.UPLOAD:
            return self._told
        place = self._foundation.present.member_place[member]
        tags = np.stack([self._consents[other].tags[place] for other in self._chosen])
        return self._say(Consents(self._reader.id, self._chosen, tags))

    def _choose_groups(self, heard: list[int]) -> tuple[int, ...]:
        """The groups that have enough survivors, and whose sums differ by enough sites from those opened before.

        Raises Refused if there is none, though enough sites are left.
        """
        alive, least = frozenset(heard), self._setup.cohort
        found = [frozenset(group) & alive for group in self._reader.groups]
        groups = tuple(
            at
            for at, group in enumerate(found)
            if len(group) >= max(least, 1) and (not least or are_apart(self._revealed, group, least))
        )
        if not groups and len(heard) >= self._setup.quorum:
            raise Refused(f"no group of at least {least} sites has a sum that differs by so many from earlier ones")
        return groups

    def _unmask(self) -> None:
        reader, foundation, alive = self._reader, self._foundation, frozenset(self.survivors)
        secrets = open_secrets(foundation, reader.round, reader.due(self.groups), alive, self._openings)
        reasons = [*self._blame(secrets)]
        totals = {}
        for at in self.groups if not reasons else ():
            masks = masks_on(foundation, reader.session, reader.groups[at], alive, secrets.found)
            for owner in masks.wrong:
                why = "published other pair seeds under its recovery key than it confirmed"
                self._intake.name(owner, why, confirmation_of(foundation, owner))
                reasons.append(f"seat {owner} {why}")
            totals[at] = self._unmasked(at, masks)
        if reasons:
            raise Refused(f"no sum can be computed: {'; '.join(reasons)}")
        self.totals = totals

    def _unmasked(self, group: int, masks: Masks) -> Residues:
        cipher = self._setup.cipher
        return unmask(self._masked[group], masks, cipher=cipher, threads=self._threads, device=self._device)

    def _blame(self, secrets: Secrets) -> Iterator[str]:
        """Why no sum comes out; whose doing it is goes into `faults`, where that can be told."""
        for owner, why in secrets.wrong.items():
            self._intake.name(owner, why, self._foundation.dealt[owner].signed)
            yield f"seat {owner} {why}"
        for owner, count in secrets.withheld.items():
            yield f"only {count} members opened their shares of seat {owner}, {self._setup.plan.threshold} are needed"

    # ------------------------------------------------------------ for the record

    def uploads(self) -> Mapping[int, bytes]:
        """The signed uploads by seat, as received: each a public blob of its own."""
        return self._intake.taken[Phase.UPLOAD]

    def leaves(self) -> list[Digest]:
        """The leaves of the round's Merkle tree by seat; empty where there is no upload."""
        size = max(self._foundation.layout.seats) + 1
        return [self._leaves.get(seat, merkle.EMPTY) for seat in range(size)]

    def exchange(self) -> Exchange:
        """Everything else that an outsider needs to repeat the round, or to see why it failed."""
        taken = self._intake.taken
        return Exchange(
            session=self._session,
            survivors=self.survivors,
            groups=self.groups,
            consents=tuple(taken[Phase.CONSENT][seat] for seat in sorted(taken[Phase.CONSENT])),
            openings=tuple(taken[Phase.OPEN][seat] for seat in sorted(taken[Phase.OPEN])),
            faults=tuple(self.faults),
        )

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._setup.domain, record)
