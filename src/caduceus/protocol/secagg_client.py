"""A site's half of a round of secure aggregation.

Sans I/O: bytes in, bytes out. What the site may do next is `EXPECTS`; what it decides it first hands to
`remember`, which refuses a second, different decision for the same round. So a site that starts again
after a crash repeats itself, and a coordinator that starts the round again with another roster, or other
survivors, gets no second answer from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto import agree, keystream, merkle, shamir, sign
from caduceus.crypto.entropy import Entropy, tagged
from caduceus.crypto.seal import seal, unseal
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import SCHEME, Signed, kind_of, read_signed, sign_record
from caduceus.protocol.secagg_messages import (
    Advertise,
    Consent,
    Consents,
    Header,
    Inbox,
    Opening,
    Parcel,
    Receipt,
    Roster,
    Shares,
    Survivors,
    Upload,
    seed_commitment,
    share_digest,
    share_tree,
    upload_leaf_data,
)
from caduceus.protocol.secagg_reading import peek_seat, read_consent, read_header, read_roster
from caduceus.protocol.secagg_session import SUITE, Session
from caduceus.protocol.secagg_unmask import apply_pair, mask_key

COORDINATOR = "the coordinator"

Remember = Callable[[str, bytes], None]
"""`remember(what, digest)` keeps a decision durably; raises Refused if it was decided differently before."""


class Step(Enum):
    """Where the site stands: what it has done last."""

    NEW = "nothing yet"
    ADVERTISED = "advertised"
    SHARED = "shared"
    UPLOADED = "uploaded"
    CONSENTED = "consented"
    OPENED = "opened"


Due = Roster | Inbox | Receipt | Survivors | Consents
"""What a coordinator may send."""

EXPECTS: Mapping[Step, tuple[type[Due], ...]] = {
    Step.ADVERTISED: (Roster,),
    Step.SHARED: (Inbox,),
    Step.UPLOADED: (Receipt, Survivors),
    Step.CONSENTED: (Consents,),
}
"""The coordinator's messages that are welcome at each step; any other is refused."""


@final
class Client:
    """One site in one round.

    session    as the site itself put it together from the chain and the public state
    seat       its own
    vector     uint32[length] or uint64[length], encoded; stays in this object until it is masked
    agreement  private half of the agreement key that it enrolled with
    entropy    gives the round's secrets

    Raises Misuse if the parts do not fit together, Refused if the session is of another suite.
    """

    def __init__(
        self,
        session: Session,
        seat: int,
        vector: Residues,
        *,
        signer: Signer,
        agreement: bytes,
        entropy: Entropy,
        remember: Remember,
    ) -> None:
        if session.suite != SUITE:
            raise Refused(f"the session asks for the suite {session.suite[:60]!r}; this version has {SUITE!r}")
        own = session.party(seat)
        if own.signer != signer.address or own.agreement_key != agree.public_key(agreement):
            raise Misuse(f"secagg: seat {seat} enrolled with other keys")
        if vector.shape != (session.length,) or vector.dtype != DTYPES[session.bits]:
            raise Misuse(f"secagg: the vector is {vector.dtype}{vector.shape}, the session asks for {session.length}")
        self.step = Step.NEW
        self.receipt: Receipt | None = None
        self._session, self._id, self._seat = session, session.digest, seat
        self._vector, self._signer, self._agreement = vector, signer, agreement
        self._entropy, self._remember = entropy, remember
        self._context = tagged("secagg", session.job, session.round.to_bytes(4))
        self._mask_private = entropy.derive("secagg/mask-key", self._context, size=32)
        self._mask_keys: dict[int, bytes] = {}
        self._roster = Digest(b"")
        self._seed = b""
        self._own_digests: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None = None
        self._parcels: dict[int, Parcel | None] = {}
        self._survivors: tuple[int, ...] = ()
        self._upload_leaf = Digest(b"")

    # ------------------------------------------------------------ what it says

    @property
    def round(self) -> int:
        """The round's number."""
        return self._session.round

    def advertise(self) -> bytes:
        """1: the signed advertisement that opens the round for this site.

        Raises Refused if the site was in this round before under another session.
        """
        if self.step is not Step.NEW:
            raise Misuse("secagg: advertises once")
        self._remember("session", self._id)
        self.step = Step.ADVERTISED
        return self._say(Advertise(self._id, self._seat, agree.public_key(self._mask_private)))

    def react(self, data: bytes) -> list[bytes]:
        """Answer a message of the coordinator.

        returns  what to send back, possibly nothing

        Raises PeerFault if the coordinator broke the protocol; Refused if it asks for a second decision, or
        too few sites are left. The site says nothing more in this round after either.
        """
        message = self._read(data)
        match message:
            case Roster():
                return [self._share(message)]
            case Inbox():
                return [self._upload(message)]
            case Receipt():
                self._keep(message)
                return []
            case Survivors():
                return [self._consent(message)]
            case Consents():
                return [self._open(message)]

    def _read(self, data: bytes) -> Due:
        expected = {canon.tag_of(kind): kind for kind in EXPECTS.get(self.step, ())}
        kind = expected.get(kind_of(data) or "")
        if kind is None:
            raise PeerFault(COORDINATOR, f"sent something else to a site that has {self.step.value}", evidence=data)
        signer, domain = self._session.coordinator, self._session.domain
        message: Due = read_signed(kind, data, signer=signer, domain=domain, who=COORDINATOR)
        if message.session != self._id:
            raise PeerFault(COORDINATOR, "sent a message of another round or job", evidence=data)
        return message

    # ------------------------------------------------------------ the moves

    def _share(self, roster: Roster) -> bytes:
        self._mask_keys = self._read_roster(roster)
        self._roster = canon.digest(roster)
        self._remember("roster", self._roster)
        seats = list(self._mask_keys)
        context = tagged("secagg", self._context, self._roster)
        self._seed = self._entropy.derive("secagg/self-mask", context, size=32)
        dealt = [
            shamir.share(
                secret,
                threshold=self._session.threshold,
                holders=len(seats),
                entropy=self._entropy,
                context=tagged(kind, context),
            )
            for kind, secret in (("self", self._seed), ("key", self._mask_private))
        ]
        packed = [(self_share.tobytes(), key_share.tobytes()) for self_share, key_share in zip(*dealt, strict=True)]
        digests = np.frombuffer(
            b"".join(
                share_digest(self._seat, holder, "self", one) + share_digest(self._seat, holder, "key", other)
                for holder, (one, other) in zip(seats, packed, strict=True)
            ),
            np.uint8,
        ).reshape(len(seats), 2, 32)
        tree = share_tree(digests)
        parcels = []
        for position, (holder, (one, other)) in enumerate(zip(seats, packed, strict=True)):
            parcel = Parcel(one, other, tree.proof(position))
            if holder == self._seat:
                self._parcels[holder] = parcel
                parcels.append(b"")
            else:
                key = self._channel_key(sender=self._seat, recipient=holder)
                parcels.append(seal(key, canon.pack(parcel), bound_to=self._roster))
        header = Header(self._id, self._roster, self._seat, seed_commitment(self._seed), tree.root)
        self.step = Step.SHARED
        return canon.pack(Shares(self._say(header), digests, tuple(parcels)))

    def _upload(self, inbox: Inbox) -> bytes:
        senders = inbox.senders
        if not (len(senders) == len(inbox.headers) == len(inbox.parcels)) or list(senders) != sorted(set(senders)):
            raise PeerFault(COORDINATOR, "sent an inbox that is not one parcel per sender")
        if self._seat not in senders or not set(senders) <= self._mask_keys.keys():
            raise PeerFault(COORDINATOR, "sent an inbox that leaves the recipient out or names a stranger")
        if len(senders) < self._session.threshold:
            raise Refused(f"only {len(senders)} sites shared, {self._session.threshold} are needed")
        for sender, header, parcel in zip(senders, inbox.headers, inbox.parcels, strict=True):
            if sender != self._seat:
                self._parcels[sender] = self._receive_parcel(sender, header, parcel)
        masked = self._vector.copy()
        keystream.add(masked, self._seed)
        for other in senders:
            if other != self._seat:
                key = mask_key(self._mask_private, self._mask_keys[other], self._id, self._seat, other)
                apply_pair(masked, key, self._seat, other)
        body = canon.pack(Upload(self._id, self._roster, self._seat, senders, masked))
        digest = canon.digest_bytes(body)
        self._remember("upload", digest)
        struct = sign.Upload(self._session.job, self._session.round, self._seat, digest)
        signature = self._signer.sign(sign.digest(self._session.domain, struct))
        leaf = upload_leaf_data(self._session.job, self._session.round, self._seat, digest, signature)
        self._upload_leaf = merkle.leaf(leaf)
        self.step = Step.UPLOADED
        return canon.pack(Signed(body, SCHEME, signature))

    def _keep(self, receipt: Receipt) -> None:
        struct = sign.Receipt(self._session.job, self._session.round, self._seat, self._upload_leaf)
        digest = sign.digest(self._session.domain, struct)
        if receipt.leaf != self._upload_leaf or not sign.verify(self._session.coordinator, digest, receipt.signature):
            raise PeerFault(COORDINATOR, "sent a receipt for something else than this site's upload")
        self.receipt = receipt

    def _consent(self, survivors: Survivors) -> bytes:
        seats = survivors.seats
        senders = self._parcels.keys()
        if list(seats) != sorted(set(seats)) or not set(seats) <= senders:
            raise PeerFault(COORDINATOR, "sent a survivor list with a site that never shared, or one twice")
        if self._seat not in seats:
            raise PeerFault(COORDINATOR, "left this site's upload out of the survivor list")
        if len(seats) < self._session.threshold:
            raise Refused(f"only {len(seats)} uploads are in, {self._session.threshold} are needed")
        self._remember("survivors", canon.digest(survivors))
        self._survivors = seats
        self.step = Step.CONSENTED
        return self._say(Consent(self._id, self._roster, self._seat, seats))

    def _open(self, consents: Consents) -> bytes:
        agreed = {self._read_consent(data) for data in consents.consents}
        if len(agreed) < self._session.threshold:
            raise Refused(
                f"only {len(agreed)} sites have seen this survivor list, {self._session.threshold} are needed"
            )
        owners, shares = [], []
        for owner, parcel in sorted(self._parcels.items()):
            if parcel is not None:
                owners.append(owner)
                shares.append(parcel.self_share if owner in self._survivors else parcel.key_share)
        opened = np.frombuffer(b"".join(shares), "<u4").reshape(len(owners), shamir.LIMBS)
        self.step = Step.OPENED
        return self._say(Opening(self._id, self._seat, tuple(owners), opened))

    # ------------------------------------------------------------ checks

    def _read_roster(self, roster: Roster) -> dict[int, bytes]:
        keys = read_roster(self._session, self._id, roster)
        if keys.get(self._seat) != agree.public_key(self._mask_private):
            raise PeerFault(COORDINATOR, "sent a roster without this site's own advertisement")
        if len(keys) < self._session.threshold:
            raise Refused(f"only {len(keys)} sites are here, {self._session.threshold} are needed")
        return keys

    def _receive_parcel(self, sender: int, header_data: bytes, sealed: bytes) -> Parcel | None:
        """A sender's parcel, or None if it is not what the sender committed to: then there is nothing to open."""
        header = read_header(self._session, self._id, header_data, sender)
        if header.roster != self._roster:
            raise PeerFault(COORDINATOR, f"gave seat {sender} another roster than this site", evidence=header_data)
        try:
            key = self._channel_key(sender=sender, recipient=self._seat)
            parcel = canon.unpack(Parcel, unseal(key, sealed, bound_to=self._roster))
            shamir.unpack_share(parcel.self_share)
            shamir.unpack_share(parcel.key_share)
        except Refused:
            return None
        pair = share_digest(sender, self._seat, "self", parcel.self_share) + share_digest(
            sender, self._seat, "key", parcel.key_share
        )
        position = list(self._mask_keys).index(self._seat)
        leaf = merkle.leaf(pair)
        siblings, size = parcel.siblings, len(self._mask_keys)
        return (
            parcel if merkle.verify(header.share_root, leaf, position=position, siblings=siblings, size=size) else None
        )

    def _read_consent(self, data: bytes) -> int:
        seat = peek_seat(Consent, data)
        if seat not in self._survivors:
            raise PeerFault(COORDINATOR, "passed on the consent of a site that is no survivor", evidence=data)
        consent = read_consent(self._session, self._id, data, seat)
        if (consent.roster, consent.survivors) != (self._roster, self._survivors):
            raise PeerFault(
                COORDINATOR, f"has shown seat {seat} another roster or survivor list than this site", evidence=data
            )
        return seat

    def _channel_key(self, *, sender: int, recipient: int) -> bytes:
        """The key that seals the one parcel from a sender to a recipient under this roster."""
        peer = recipient if sender == self._seat else sender
        context = tagged("parcel", self._id, self._roster, sender.to_bytes(4), recipient.to_bytes(4))
        peer_key = self._session.party(peer).agreement_key
        return agree.agreed_key(self._agreement, peer_key, purpose="secagg/parcel/1", context=context)

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._session.domain, record)
