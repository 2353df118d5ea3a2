"""A site's half of a round of secure aggregation: one upload, and for a member of the committee two short answers.

Sans I/O: bytes in, bytes out. What the site may do next is `EXPECTS`; what it decides it first hands to `remember`,
which refuses a second, different decision for the same round. So a site that starts again after a crash repeats
itself, and a coordinator that starts the round again with another state, or other survivors, gets no second answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from hashlib import sha256
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto import keystream, merkle, shamir, sign
from caduceus.crypto.sign import Signer
from caduceus.errors import Error, Misuse, PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import open_envelope, read_signed, sign_record
from caduceus.protocol.secagg_apart import are_apart
from caduceus.protocol.secagg_ground import Ground
from caduceus.protocol.secagg_messages import (
    Consent,
    Consents,
    Opening,
    Receipt,
    Survivors,
    Upload,
    consent_digest,
    survivors_digest,
    upload_leaf_data,
)
from caduceus.protocol.secagg_reading import COORDINATOR
from caduceus.protocol.secagg_round_reading import RoundReader
from caduceus.protocol.secagg_seeds import is_tag, stream_key, tag
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import ascending
from caduceus.protocol.secagg_setup_site import Remember


class Step(Enum):
    """Where the site stands: what it has done last."""

    NEW = "nothing yet"
    UPLOADED = "uploaded"
    CONSENTED = "consented"
    OPENED = "opened"
    STOPPED = "given up"


@canon.record("secagg/revealed/1")
class Revealed:
    """The survivors, by group, of the groups whose sums a site agreed to open; kept in its own memory."""

    groups: tuple[tuple[int, ...], ...]


Due = Receipt | Survivors | Consents
"""What a coordinator may send."""

EXPECTS: Mapping[Step, tuple[type[Due], ...]] = {
    Step.UPLOADED: (Receipt, Survivors),
    Step.CONSENTED: (Receipt, Consents),
    Step.OPENED: (Receipt,),
}
"""The coordinator's messages that are welcome at each step; any other is refused."""


@final
class Client:
    """One site in one round.

    session   as the site itself put it together from the chain and the public state
    ground    what it has from the set-up
    revealed  groups over which sums of this job were opened before, as far as this site consented to them
    remember  keeps decisions: "session", "upload", "survivors", in this order. The last is a packed `Revealed`, the
              same whatever the round, so that a caller can also hold a site to one list per public state

    Raises Misuse if the parts do not fit together, Refused if the session is not a sound one.
    """

    def __init__(
        self,
        session: Session,
        ground: Ground,
        *,
        signer: Signer,
        remember: Remember,
        revealed: Iterable[frozenset[int]] = (),
    ) -> None:
        if session.ready != ground.ready or ground.present.layout.party(ground.seat).signer != signer.address:
            raise Misuse(f"secagg: seat {ground.seat} has other keys than this round asks for")
        self.step = Step.NEW
        self.receipt: Receipt | None = None
        self.opened: tuple[tuple[int, ...], ...] = ()
        """The survivors by group that this site consented to."""
        self._session, self._ground, self._seat = session, ground, ground.seat
        self._reader = RoundReader(session, ground.present)
        self._id, self._setup = self._reader.id, self._reader.setup
        self._signer, self._remember = signer, remember
        self._revealed = tuple(revealed)
        self._answers: dict[bytes, list[bytes]] = {}
        self._survivors: tuple[int, ...] = ()
        self._groups: tuple[int, ...] = ()
        self._agreed = Digest(b"")
        self._upload_leaf = Digest(b"")

    # ------------------------------------------------------------ what it says

    @property
    def round(self) -> int:
        """The round's number."""
        return self._session.round

    def blank(self) -> tuple[bytearray, Residues]:
        """The message of this round in the making, and the place in it for the encoded vector; see `upload`."""
        return uploads.blank(self._session.length, self._session.bits)

    def upload(self, vector: Residues, *, message: bytearray | None = None, threads: int = 1) -> bytes:
        """1: the signed, masked vector.

        vector   uint32[length] or uint64[length], encoded; changed if it lies in `message`, else copied
        message  as `blank` gave it, with the vector in its place; saves the copy
        threads  how many may work on the masks

        Raises Misuse if the vector is of another shape than the session's or is not the one in `message`, Refused if
        the site was in this round before under another session, or with another vector.
        """
        if self.step is not Step.NEW:
            raise Misuse("secagg: uploads once")
        if vector.shape != (self._session.length,) or vector.dtype != DTYPES[self._session.bits]:
            raise Misuse(f"secagg: the vector is {vector.dtype}{vector.shape}, the session asks for {self._session}")
        if message is None:
            message, place = self.blank()
            place[:] = vector
            vector = place
        elif not uploads.lies_in(vector, message):
            raise Misuse("secagg: the vector is not the one in the message, which would go out without a mask")
        self._remember("session", self._id)
        self._mask(vector, threads)
        record = Upload(self._id, self._seat, uploads.vector_digest(message))
        digest = canon.digest(record)
        self._remember("upload", digest)
        setup, round_ = self._setup, self._session.round
        signed = uploads.finish(message, record, job=setup.job, round=round_, domain=setup.domain, signer=self._signer)
        self._upload_leaf = merkle.leaf(upload_leaf_data(setup.job, round_, self._seat, digest, signed.signature))
        self.step = Step.UPLOADED
        return bytes(message)

    def _mask(self, vector: Residues, threads: int) -> None:
        at, ground = self._reader.round, self._ground
        plus, minus = [stream_key(ground.self_seeds[at].tobytes(), self._id)], list[bytes]()
        for group in self._reader.groups:
            if self._seat not in group:
                continue
            for other in group:
                if other in ground.pair_seeds:
                    key = stream_key(ground.pair_seeds[other][at].tobytes(), self._id)
                    (plus if self._seat < other else minus).append(key)
        keystream.apply(vector, plus, minus, threads=threads, cipher=self._setup.cipher)

    def react(self, data: bytes) -> list[bytes]:
        """Answer a message of the coordinator; the same message gets the same answer again.

        returns  what to send back, possibly nothing

        Raises PeerFault if the coordinator broke the protocol; Refused if it asks for a second decision, or too few
        sites are left. If the message was the coordinator's, signed for this round and due, the site says nothing
        more in this round after either; anything else changes nothing.
        """
        name = sha256(data).digest()
        if name not in self._answers:
            message = self._read(data)
            try:
                self._answers[name] = self._move(message)
            except Error:
                self.step = Step.STOPPED
                raise
        return self._answers[name]

    def _read(self, data: bytes) -> Due:
        expected = {canon.tag_of(kind): kind for kind in EXPECTS.get(self.step, ())}
        kind = expected.get(canon.peek_tag(open_envelope(data, who=COORDINATOR).body) or "")
        if kind is None:
            raise PeerFault(COORDINATOR, f"sent something else to a site that has {self.step.value}", evidence=data)
        signer, domain = self._setup.coordinator, self._setup.domain
        message: Due = read_signed(kind, data, signer=signer, domain=domain, who=COORDINATOR)
        if message.session != self._id:
            raise PeerFault(COORDINATOR, "sent a message of another round or job", evidence=data)
        return message

    def _move(self, message: Due) -> list[bytes]:
        match message:
            case Receipt():
                self._keep(message)
                return []
            case Survivors():
                return [self._consent(message)]
            case Consents():
                return [self._open(message)]

    # ------------------------------------------------------------ the moves

    def _keep(self, receipt: Receipt) -> None:
        struct = sign.Receipt(self._setup.job, self._session.round, self._seat, self._upload_leaf)
        digest = sign.digest(self._setup.domain, struct)
        if receipt.leaf != self._upload_leaf or not sign.verify(self._setup.coordinator, digest, receipt.signature):
            raise PeerFault(COORDINATOR, "sent a receipt for something else than this site's upload")
        self.receipt = receipt

    def _consent(self, survivors: Survivors) -> bytes:
        members = self._ground.present.members
        if self._seat not in members:
            raise PeerFault(COORDINATOR, "asked a site that is no member of the committee to consent")
        opened = self._reader.survivors(survivors.seats, survivors.groups)
        if self._seat not in survivors.seats:
            raise PeerFault(COORDINATOR, "left this site's upload out of the survivor list")
        if self._setup.cohort and not all(
            are_apart(self._revealed, frozenset(group), self._setup.cohort) for group in opened
        ):
            raise Refused(f"a sum would differ from an earlier one by fewer than {self._setup.cohort} sites")
        self._agreed = survivors_digest(survivors.seats, opened)
        self._remember("survivors", canon.pack(Revealed(opened)))
        self._survivors, self._groups, self.opened = survivors.seats, survivors.groups, opened
        about = consent_digest(self._id, self._agreed)
        tags = [self._tag(about, other) for other in members]
        table = np.frombuffer(b"".join(tags), np.uint8).reshape(len(tags), 32)
        self.step = Step.CONSENTED
        return self._say(Consent(self._id, self._seat, self._agreed, table))

    def _tag(self, about: Digest, other: int) -> bytes:
        key = self._ground.tag_keys.get(other)
        return bytes(32) if key is None else tag(key, about=about, sender=self._seat, recipient=other)

    def _open(self, consents: Consents) -> bytes:
        self._check_consents(consents)
        alive, size, owners, opened = frozenset(self._survivors), shamir.SHARE_BYTES, [], []
        for owner in self._reader.due(self._groups):
            shares = self._ground.shares.get(owner)
            if shares is not None:
                at = (2 * self._reader.round + (owner not in alive)) * size
                owners.append(owner)
                opened.append(shares[at : at + size])
        table = np.frombuffer(b"".join(opened), "<u4").reshape(len(owners), shamir.LIMBS)
        self.step = Step.OPENED
        return self._say(Opening(self._id, self._seat, tuple(owners), table))

    def _check_consents(self, consents: Consents) -> None:
        seats, needed = consents.seats, self._setup.plan.threshold
        members = self._ground.present.member_place
        if consents.tags.shape != (len(seats), 32) or consents.tags.dtype.str != "|u1" or not ascending(seats):
            raise PeerFault(COORDINATOR, "sent consents that are not one tag per seat, ascending")
        if not set(seats) <= members.keys():
            raise PeerFault(COORDINATOR, "passed on the consent of a site that is no member")
        about, keys, count = consent_digest(self._id, self._agreed), self._ground.tag_keys, 0
        for at, seat in enumerate(seats):
            given, key = consents.tags[at].tobytes(), keys.get(seat)
            if seat == self._seat:
                count += 1  # its own word needs no tag
            elif key is not None:
                count += is_tag(given, key, about=about, sender=seat, recipient=self._seat)
        if count < needed:
            raise Refused(f"only {count} members have seen this survivor list, {needed} are needed")

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._setup.domain, record)
