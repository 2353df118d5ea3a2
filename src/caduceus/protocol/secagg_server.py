"""The coordinator's half of a round of secure aggregation.

Sans I/O: messages in, messages out. The coordinator holds no secret but its signing key; it sees sealed
parcels, masked vectors, and the shares that a threshold of sites agree to open.

A site that breaks the protocol is named, its message is kept as evidence, and it counts as silent; the
round goes on while enough are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import merkle, sign
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import kind_of, sign_record
from caduceus.protocol.secagg_exchange import Exchange, Fault
from caduceus.protocol.secagg_messages import (
    PARCEL_BYTES,
    Advertise,
    Consent,
    Consents,
    Inbox,
    Opening,
    Receipt,
    Roster,
    Shares,
    Survivors,
    Upload,
    dealing_digest,
    upload_leaf_data,
)
from caduceus.protocol.secagg_reading import Dealt, Reader
from caduceus.protocol.secagg_session import Session, most_dishonest
from caduceus.protocol.secagg_unmask import Secrets, check_opening, open_secrets, unmask


class Phase(IntEnum):
    """What the coordinator is waiting for."""

    ADVERTISE = 0
    SHARE = 1
    UPLOAD = 2
    CONSENT = 3
    OPEN = 4
    DONE = 5


EXPECTS: Mapping[Phase, str] = {
    Phase.ADVERTISE: canon.tag_of(Advertise),
    Phase.SHARE: canon.tag_of(Shares),
    Phase.UPLOAD: canon.tag_of(Upload),
    Phase.CONSENT: canon.tag_of(Consent),
    Phase.OPEN: canon.tag_of(Opening),
}
"""The kind of message that is welcome in each phase. One of an earlier phase came late and is passed over."""

_ORDER = {tag: phase for phase, tag in EXPECTS.items()}

_BYTES_PER_MESSAGE = 1 << 16
_BYTES_PER_SITE = 1 << 10


@final
class Server:
    """One round.

    session  what everybody agrees on
    signer   the coordinator's

    Raises Misuse if the signer is not the session's, Refused if the session is not a sound one.
    """

    def __init__(self, session: Session, signer: Signer) -> None:
        if signer.address != session.coordinator:
            raise Misuse("secagg: the session names another coordinator")
        self.phase = Phase.ADVERTISE
        self.faults: list[Fault] = []
        self.total: Residues | None = None
        self.survivors: tuple[int, ...] = ()
        self._session, self._signer = session, signer
        self._reader = Reader(session)
        self._largest = _BYTES_PER_MESSAGE + _BYTES_PER_SITE * len(session.parties) + session.length * session.bits // 8
        self._expected = set(session.seats)
        self._equivocated: set[tuple[int, Phase]] = set()
        self._raw: dict[Phase, dict[int, bytes]] = {phase: {} for phase in EXPECTS}
        self._replies: dict[int, bytes] = {}
        self._closing: dict[Phase, bytes] = {}
        self._mask_keys: dict[int, bytes] = {}
        self._positions: dict[int, int] = {}
        self._roster = Digest(b"")
        self._dealing = Digest(b"")
        self._dealt: dict[int, Dealt] = {}
        self._parcels: dict[int, npt.NDArray[np.uint8]] = {}
        self._masked: Residues | None = None
        self._leaves: dict[int, Digest] = {}
        self._openings: dict[int, Opening] = {}

    @property
    def session(self) -> Session:
        """What everybody agrees on."""
        return self._session

    # ------------------------------------------------------------ in

    def receive(self, seat: int, data: bytes) -> list[bytes]:
        """Take in a message that the channel says came from a seat.

        returns  what to send back to that seat at once: a receipt for an upload; for a message that was taken
                 before, what followed it, so that a site that starts again catches up

        A message that breaks the protocol is written down in `faults` and its sender counts as silent. Of two
        different messages the first stands, since it may have been answered already; the second is written down.
        A message that came late is passed over. Nothing is raised: a hostile message changes nothing else.
        """
        if self.phase is Phase.DONE or not self._reader.has(seat):
            return []
        for phase, taken in self._raw.items():
            if taken.get(seat) == data:
                return self._again(phase, seat)
        if seat in self._raw[self.phase]:
            self._note_second(seat, data)
            return []
        if seat not in self._expected:
            return []
        if len(data) > self._largest:
            self._fault(seat, f"sent {len(data)} bytes, no message of this round has more than {self._largest}", b"")
            return []
        try:
            replies = self._take(seat, data)
        except PeerFault as problem:
            if not self._is_late(data):
                self._fault(seat, problem.why, data)
            return []
        self._raw[self.phase][seat] = data
        return replies

    @property
    def ready(self) -> bool:
        """Whether everyone who is still expected has answered in this phase."""
        return self.phase is not Phase.DONE and self._raw[self.phase].keys() >= self._expected

    @property
    def waiting_for(self) -> tuple[int, ...]:
        """Seats that have not answered in this phase, ascending."""
        if self.phase is Phase.DONE:
            return ()
        return tuple(sorted(self._expected - self._raw[self.phase].keys()))

    def _take(self, seat: int, data: bytes) -> list[bytes]:
        match self.phase:
            case Phase.ADVERTISE:
                self._mask_keys[seat] = self._reader.advertisement(data, seat).mask_key
            case Phase.SHARE:
                self._take_shares(seat, data)
            case Phase.UPLOAD:
                self._replies[seat] = self._take_upload(seat, data)
                return [self._replies[seat]]
            case Phase.CONSENT:
                self._reader.consent(data, seat, self._roster, self._dealing, self.survivors)
            case _:
                opening = self._reader.opening(data, seat)
                check_opening(opening, self._dealt, self._positions[seat], frozenset(self.survivors))
                self._openings[seat] = opening
        return []

    def _take_shares(self, seat: int, data: bytes) -> None:
        holders = len(self._mask_keys)
        dealt, shares = self._reader.shares(data, seat, self._roster, holders)
        if len(shares.parcels) != holders:
            raise PeerFault(f"seat {seat}", "sent no parcels", evidence=data)
        self._dealt[seat], self._parcels[seat] = dealt, shares.parcels

    def _take_upload(self, seat: int, data: bytes) -> bytes:
        upload, signed = self._reader.upload(data, seat, self._roster, self._dealing)
        body = canon.digest_bytes(signed.body)
        leaf = merkle.leaf(upload_leaf_data(self._session.job, self._session.round, seat, body, signed.signature))
        struct = sign.Receipt(self._session.job, self._session.round, seat, leaf)
        signature = self._signer.sign(sign.digest(self._session.domain, struct))
        self._leaves[seat] = leaf
        if self._masked is None:
            self._masked = np.zeros(self._session.length, DTYPES[self._session.bits])
        np.add(self._masked, upload.vector, out=self._masked)  # what is taken in this phase is in the sum
        return self._say(Receipt(self._reader.id, seat, leaf, signature))

    def _fault(self, seat: int, why: str, data: bytes) -> None:
        self.faults.append(Fault(seat, int(self.phase), why, data))
        self._expected.discard(seat)

    def _note_second(self, seat: int, data: bytes) -> None:
        """The first of two messages is in the record, or in an upload's leaf; together they show the second."""
        known = (seat, self.phase) in self._equivocated
        if not known and len(data) <= self._largest and _kind(data) == EXPECTS[self.phase]:
            self._equivocated.add((seat, self.phase))
            self.faults.append(Fault(seat, int(self.phase), "sent two different messages where one was due", data))

    def _is_late(self, data: bytes) -> bool:
        due = _ORDER.get(_kind(data) or "")
        return due is not None and due < self.phase

    # ------------------------------------------------------------ out

    def advance(self) -> dict[int, bytes]:
        """Close the phase with whoever has answered.

        returns  what to send to whom; nothing once the sum is known

        Raises Refused if fewer than the threshold are left: the round has failed, and no sum exists.
        """
        if self.phase is Phase.DONE:
            raise Misuse("secagg: the round is over")
        heard = sorted(self._raw[self.phase])
        if len(heard) < self._session.threshold:
            raise Refused(
                f"only {len(heard)} of {len(self._session.parties)} sites answered with {self.phase.name.lower()}, "
                f"{self._session.threshold} are needed"
            )
        self._close(heard)
        self._expected = set(heard)
        closed, self.phase = self.phase, Phase(self.phase + 1)
        return {seat: self._after(closed, seat) for seat in heard} if self.phase is not Phase.DONE else {}

    def _close(self, heard: list[int]) -> None:
        raw, session_id = self._raw[self.phase], self._reader.id
        match self.phase:
            case Phase.ADVERTISE:
                self._mask_keys = {seat: self._mask_keys[seat] for seat in heard}
                self._positions = {seat: place for place, seat in enumerate(heard)}
                roster = Roster(session_id, tuple(heard), tuple(raw[seat] for seat in heard))
                self._roster = canon.digest(roster)
                self._closing[self.phase] = self._say(roster)
            case Phase.SHARE:
                self._dealt = {seat: self._dealt[seat] for seat in heard}
                self._dealing = dealing_digest(dealt.signed for dealt in self._dealt.values())
            case Phase.UPLOAD:
                self.survivors = tuple(heard)
                self._closing[self.phase] = self._say(Survivors(session_id, self.survivors))
            case Phase.CONSENT:
                enough = tuple(heard[: self._session.threshold])
                self._closing[self.phase] = self._say(Consents(session_id, enough, tuple(raw[s] for s in enough)))
            case _:
                self.total = self._unmask()

    def _after(self, phase: Phase, seat: int) -> bytes:
        """What a seat is told when a phase that it took part in closes."""
        return self._inbox(seat) if phase is Phase.SHARE else self._closing[phase]

    def _again(self, phase: Phase, seat: int) -> list[bytes]:
        """What followed a message that was taken before."""
        at_once = [self._replies[seat]] if phase is Phase.UPLOAD else []
        return at_once if phase is self.phase else [*at_once, self._after(phase, seat)]

    def _inbox(self, recipient: int) -> bytes:
        position, dealt = self._positions[recipient], self._dealt
        siblings = b"".join([sibling for one in dealt.values() for sibling in one.tree.proof(position)])
        inbox = Inbox(
            session=self._reader.id,
            senders=tuple(dealt),
            headers=tuple(one.signed for one in dealt.values()),
            digests=np.stack([one.digests[position, :2] for one in dealt.values()]),
            parcels=np.stack([self._parcels[sender][position] for sender in dealt]),
            siblings=np.frombuffer(siblings, np.uint8).reshape(len(dealt), -1, 32),
        )
        return self._say(inbox)

    def _unmask(self) -> Residues:
        assert self._masked is not None  # a threshold of uploads was taken
        survivors, threshold = frozenset(self.survivors), self._session.threshold
        secrets = open_secrets(threshold, self._mask_keys, self._dealt, survivors, self._openings)
        reasons = [*self._blame(secrets)]
        if reasons:
            raise Refused(f"no sum can be computed: {'; '.join(reasons)}")
        return unmask(self._session, self._roster, self._mask_keys, self._masked, survivors, secrets.found)

    def _blame(self, secrets: Secrets) -> Iterator[str]:
        """Why no sum comes out; whose doing it is goes into `faults`, where that can be told.

        Parcels reach their recipients as they were committed to. So where more sites than may be dishonest
        could not use a sender's parcel it was the sender; where fewer say so, nobody is named.
        """
        for owner, why in secrets.wrong.items():
            self._name_owner(owner, why)
            yield f"seat {owner} {why}"
        for owner, count in secrets.withheld.items():
            without = len(self._openings) - count
            if without > most_dishonest(len(self._session.parties)):
                self._name_owner(owner, f"sealed parcels in which {without} sites found no share")
            yield f"only {count} sites opened their shares of seat {owner}, {self._session.threshold} are needed"

    def _name_owner(self, owner: int, why: str) -> None:
        if all((fault.seat, fault.why) != (owner, why) for fault in self.faults):  # advance may be tried again
            self.faults.append(Fault(owner, int(self.phase), why, self._dealt[owner].signed))

    # ------------------------------------------------------------ for the record

    def uploads(self) -> dict[int, bytes]:
        """The signed uploads by seat, as received: each a public blob of its own."""
        return dict(self._raw[Phase.UPLOAD])

    def leaves(self) -> list[Digest]:
        """The leaves of the round's Merkle tree by seat; empty where there is no upload."""
        size = max(self._session.seats) + 1
        return [self._leaves.get(seat, merkle.EMPTY) for seat in range(size)]

    def exchange(self) -> Exchange:
        """Everything else that an outsider needs to repeat the round, or to see why it failed."""
        raw, none = self._raw, np.zeros((0, PARCEL_BYTES), np.uint8)
        return Exchange(
            session=self._session,
            advertisements=tuple(raw[Phase.ADVERTISE][seat] for seat in sorted(raw[Phase.ADVERTISE])),
            shares=tuple(canon.pack(Shares(one.signed, one.digests, none)) for _, one in sorted(self._dealt.items())),
            survivors=self.survivors,
            consents=tuple(raw[Phase.CONSENT][seat] for seat in sorted(raw[Phase.CONSENT])),
            openings=tuple(raw[Phase.OPEN][seat] for seat in sorted(raw[Phase.OPEN])),
            faults=tuple(self.faults),
        )

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._session.domain, record)


def _kind(data: bytes) -> str | None:
    """What a message says it is: shares travel bare, everything else in an envelope."""
    bare = canon.peek_tag(data)
    return bare if bare == EXPECTS[Phase.SHARE] else kind_of(data)
