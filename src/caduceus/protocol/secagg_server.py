"""The coordinator's half of a round of secure aggregation.

Sans I/O: messages in, messages out. The coordinator holds no secret but its signing key; it sees sealed
parcels, masked vectors, and the shares that a threshold of sites agree to open.

A site that breaks the protocol is named, its message is kept as evidence, and it counts as silent; the
round goes on while enough are left.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import final

from caduceus import canon
from caduceus.crypto import merkle, sign
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.envelope import kind_of, sign_record
from caduceus.protocol.secagg_exchange import Exchange, Fault
from caduceus.protocol.secagg_messages import (
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
    upload_leaf_data,
)
from caduceus.protocol.secagg_reading import (
    read_advertisement,
    read_consent,
    read_opening,
    read_shares,
    read_upload,
)
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_unmask import Dealt, check_opening, unmask


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


@final
class Server:
    """One round.

    session  what everybody agrees on
    signer   the coordinator's
    """

    def __init__(self, session: Session, signer: Signer) -> None:
        if signer.address != session.coordinator:
            raise Misuse("secagg: the session names another coordinator")
        self.phase = Phase.ADVERTISE
        self.faults: list[Fault] = []
        self.total: Residues | None = None
        self.survivors: tuple[int, ...] = ()
        self._session, self._id, self._signer = session, session.digest, signer
        self._expected = set(session.seats)
        self._raw: dict[Phase, dict[int, bytes]] = {phase: {} for phase in EXPECTS}
        self._mask_keys: dict[int, bytes] = {}
        self._roster = Digest(b"")
        self._dealt: dict[int, Dealt] = {}
        self._parcels: dict[int, tuple[bytes, ...]] = {}
        self._vectors: dict[int, Residues] = {}
        self._leaves: dict[int, Digest] = {}
        self._openings: dict[int, Opening] = {}

    @property
    def session(self) -> Session:
        """What everybody agrees on."""
        return self._session

    # ------------------------------------------------------------ in

    def receive(self, seat: int, data: bytes) -> list[bytes]:
        """Take in a message that the channel says came from a seat.

        returns  what to send back to that seat at once: a receipt for an upload

        A message that breaks the protocol is written down in `faults` and its sender counts as silent;
        one that came late is passed over. Nothing is raised: a hostile message changes nothing else.
        """
        if self.phase is Phase.DONE or seat not in self._session.seats:
            return []
        kind = _kind(data)
        if kind in _ORDER and _ORDER[kind] < self.phase:
            return []
        earlier = self._raw[self.phase].get(seat)
        if earlier is not None:
            if earlier != data and kind == EXPECTS[self.phase]:
                # The first one stands: it was answered, an upload even with a receipt that binds the coordinator.
                self.faults.append(Fault(seat, int(self.phase), "sent two different messages where one was due", data))
            return []
        if seat not in self._expected:
            return []
        try:
            replies = self._take(seat, data)
        except PeerFault as problem:
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
                self._mask_keys[seat] = read_advertisement(self._session, self._id, data, seat).mask_key
            case Phase.SHARE:
                holders = len(self._mask_keys)
                header, shares = read_shares(self._session, self._id, self._roster, holders, data, seat)
                if len(shares.parcels) != holders:
                    raise PeerFault(f"seat {seat}", "sent parcels that are not one per site of the roster")
                self._parcels[seat] = shares.parcels
                self._dealt[seat] = Dealt(header, Shares(shares.header, shares.digests, ()))
            case Phase.UPLOAD:
                return [self._take_upload(seat, data)]
            case Phase.CONSENT:
                consent = read_consent(self._session, self._id, data, seat)
                if (consent.roster, consent.survivors) != (self._roster, self.survivors):
                    raise PeerFault(f"seat {seat}", "consented to another roster or survivor list")
            case Phase.OPEN:
                opening = read_opening(self._session, self._id, data, seat)
                positions = {holder: place for place, holder in enumerate(self._mask_keys)}
                check_opening(opening, self._dealt, positions, frozenset(self.survivors))
                self._openings[seat] = opening
        return []

    def _take_upload(self, seat: int, data: bytes) -> bytes:
        senders = tuple(self._dealt)
        upload, signed = read_upload(self._session, self._id, self._roster, senders, data, seat)
        body = canon.digest_bytes(signed.body)
        leaf = merkle.leaf(upload_leaf_data(self._session.job, self._session.round, seat, body, signed.signature))
        struct = sign.Receipt(self._session.job, self._session.round, seat, leaf)
        signature = self._signer.sign(sign.digest(self._session.domain, struct))
        self._vectors[seat], self._leaves[seat] = upload.vector, leaf
        return self._say(Receipt(self._id, seat, leaf, signature))

    def _fault(self, seat: int, why: str, data: bytes) -> None:
        self.faults.append(Fault(seat, int(self.phase), why, data))
        self._expected.discard(seat)

    # ------------------------------------------------------------ out

    def advance(self) -> dict[int, bytes]:
        """Close the phase with whoever has answered.

        returns  what to send to whom; nothing once the sum is known

        Raises Refused if fewer than the threshold are left: the round has failed, and no sum exists.
        """
        heard = sorted(seat for seat in self._raw[self.phase] if seat in self._expected)
        if len(heard) < self._session.threshold:
            raise Refused(
                f"only {len(heard)} of {len(self._session.seats)} sites answered with {self.phase.name.lower()}, "
                f"{self._session.threshold} are needed"
            )
        self._expected = set(heard)
        sent = self._close(heard)
        self.phase = Phase(self.phase + 1)
        return sent

    def _close(self, heard: list[int]) -> dict[int, bytes]:
        raw = self._raw[self.phase]
        match self.phase:
            case Phase.ADVERTISE:
                self._mask_keys = {seat: self._mask_keys[seat] for seat in heard}
                roster = Roster(self._id, tuple(raw[seat] for seat in heard))
                self._roster = canon.digest(roster)
                return dict.fromkeys(heard, self._say(roster))
            case Phase.SHARE:
                self._dealt = {seat: self._dealt[seat] for seat in heard}
                return {seat: self._inbox(seat, heard) for seat in heard}
            case Phase.UPLOAD:
                self.survivors = tuple(heard)
                return dict.fromkeys(heard, self._say(Survivors(self._id, self.survivors)))
            case Phase.CONSENT:
                enough = tuple(raw[seat] for seat in heard[: self._session.threshold])
                return dict.fromkeys(heard, self._say(Consents(self._id, enough)))
            case _:
                self.total = self._unmask()
                return {}

    def _inbox(self, recipient: int, senders: list[int]) -> bytes:
        position = list(self._mask_keys).index(recipient)
        headers = tuple(self._dealt[sender].shares.header for sender in senders)
        parcels = tuple(self._parcels[sender][position] for sender in senders)
        return self._say(Inbox(self._id, tuple(senders), headers, parcels))

    def _unmask(self) -> Residues:
        vectors = ((seat, self._vectors[seat]) for seat in self.survivors)
        survivors = frozenset(self.survivors)
        try:
            return unmask(self._session, self._id, self._mask_keys, self._dealt, vectors, survivors, self._openings)
        except PeerFault as problem:
            raise Refused(f"no sum can be computed: {problem}") from problem

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
        raw = self._raw
        return Exchange(
            session=self._session,
            advertisements=tuple(raw[Phase.ADVERTISE][seat] for seat in sorted(raw[Phase.ADVERTISE])),
            shares=tuple(canon.pack(self._dealt[seat].shares) for seat in self._dealt),
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
