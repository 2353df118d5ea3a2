"""A site's half of a round of secure aggregation.

Sans I/O: bytes in, bytes out. What the site may do next is `EXPECTS`; what it decides it first hands to
`remember`, which refuses a second, different decision for the same round. So a site that starts again
after a crash repeats itself, and a coordinator that starts the round again with another roster, or other
survivors, gets no second answer from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from hashlib import sha256
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto import keystream, merkle, shamir, sign
from caduceus.crypto.agree import Agreement
from caduceus.crypto.entropy import Entropy, tagged
from caduceus.crypto.sign import Signer
from caduceus.errors import Error, Misuse, PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol import secagg_parcel as parcels
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import SCHEME, Signed, open_envelope, read_signed, sign_record
from caduceus.protocol.secagg_keys import apply_pair, mask_key, pair_key, parcel_key
from caduceus.protocol.secagg_messages import (
    PARCEL_BYTES,
    Advertise,
    Consent,
    Consents,
    Header,
    Inbox,
    Opening,
    Receipt,
    Roster,
    Shares,
    Survivors,
    Upload,
    dealing_digest,
    seed_commitment,
    share_tree,
    survivors_digest,
    upload_leaf_data,
)
from caduceus.protocol.secagg_parcel import Parcel
from caduceus.protocol.secagg_reading import COORDINATOR, Reader, passed_on
from caduceus.protocol.secagg_session import Session, neighbours

Remember = Callable[[str, bytes], None]
"""`remember(what, digest)` keeps a decision of this job and round durably; raises Refused if it was decided
differently before. What is decided: "session", "roster", "upload", "survivors", in this order. The digest of the
survivors is of the list alone, so that a caller can also hold a site to one list per public state."""


class Step(Enum):
    """Where the site stands: what it has done last."""

    NEW = "nothing yet"
    ADVERTISED = "advertised"
    SHARED = "shared"
    UPLOADED = "uploaded"
    CONSENTED = "consented"
    OPENED = "opened"
    STOPPED = "given up"


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
    agreement  private half of the agreement key that it enrolled with: an `Agreement` that the site keeps for
               the job saves an exchange per peer and round; its 32 bytes do as well
    entropy    gives the round's secrets

    Raises Misuse if the parts do not fit together, Refused if the session is not a sound one.
    """

    def __init__(
        self,
        session: Session,
        seat: int,
        vector: Residues,
        *,
        signer: Signer,
        agreement: bytes | Agreement,
        entropy: Entropy,
        remember: Remember,
    ) -> None:
        self._reader = Reader(session)
        own = session.party(seat)
        enrolled = agreement if isinstance(agreement, Agreement) else Agreement(agreement)
        if own.signer != signer.address or own.agreement_key != enrolled.public:
            raise Misuse(f"secagg: seat {seat} enrolled with other keys")
        if vector.shape != (session.length,) or vector.dtype != DTYPES[session.bits]:
            raise Misuse(f"secagg: the vector is {vector.dtype}{vector.shape}, the session asks for {session.length}")
        self.step = Step.NEW
        self.receipt: Receipt | None = None
        self._session, self._id, self._seat = session, self._reader.id, seat
        self._vector, self._signer, self._enrolled = vector, signer, enrolled
        self._entropy, self._remember = entropy, remember
        self._context = tagged("secagg", session.job, session.round.to_bytes(4), self._id)
        self._mask_private = entropy.derive("secagg/mask-key", self._context, size=32)
        self._mask = Agreement(self._mask_private)
        self._mask_keys: dict[int, bytes] = {}
        self._roster = Digest(b"")
        self._dealing = Digest(b"")
        self._seed = b""
        self._own_parcel: Parcel | None = None
        self._answers: dict[bytes, list[bytes]] = {}
        self._pairs: dict[int, bytes] = {}
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
        return self._say(Advertise(self._id, self._seat, self._mask.public))

    def react(self, data: bytes) -> list[bytes]:
        """Answer a message of the coordinator; the same message gets the same answer again.

        returns  what to send back, possibly nothing

        Raises PeerFault if the coordinator broke the protocol; Refused if it asks for a second decision, or
        too few sites are left. If the message was the coordinator's, signed for this round and due, the site
        says nothing more in this round after either; anything else changes nothing.
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
        signer, domain = self._session.coordinator, self._session.domain
        message: Due = read_signed(kind, data, signer=signer, domain=domain, who=COORDINATOR)
        if message.session != self._id:
            raise PeerFault(COORDINATOR, "sent a message of another round or job", evidence=data)
        return message

    def _move(self, message: Due) -> list[bytes]:
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

    # ------------------------------------------------------------ the moves

    def _share(self, roster: Roster) -> bytes:
        self._mask_keys = self._read_roster(roster)
        self._roster = canon.digest(roster)
        self._remember("roster", self._roster)
        seats = list(self._mask_keys)
        context = tagged("secagg", self._context, self._roster)
        self._seed = self._entropy.derive("secagg/self-mask", context, size=32)
        self_shares, key_shares = shamir.share(
            (self._seed, self._mask_private),
            threshold=self._session.threshold,
            holders=len(seats),
            entropy=self._entropy,
            context=context,
        )
        dealt = [Parcel(one.tobytes(), other.tobytes()) for one, other in zip(self_shares, key_shares, strict=True)]
        sealed = [self._seal(parcel, holder) for holder, parcel in zip(seats, dealt, strict=True)]
        self._own_parcel = dealt[seats.index(self._seat)]
        flat = [
            parcel.digests(self._seat, holder) + parcels.digest(data)
            for holder, parcel, data in zip(seats, dealt, sealed, strict=True)
        ]
        digests = np.frombuffer(b"".join(flat), np.uint8).reshape(len(seats), 3, 32)
        tree = share_tree(digests)
        header = Header(self._id, self._roster, self._seat, seed_commitment(self._seed), tree.root)
        table = np.frombuffer(b"".join(sealed), np.uint8).reshape(len(seats), PARCEL_BYTES)
        self.step = Step.SHARED
        return canon.pack(Shares(self._say(header), digests, table))

    def _seal(self, parcel: Parcel, holder: int) -> bytes:
        if holder == self._seat:
            return parcels.NONE
        return parcels.write(parcel, self._parcel_key(sender=self._seat, recipient=holder), self._roster)

    def _upload(self, inbox: Inbox) -> bytes:
        self._check_inbox(inbox)
        senders, position = inbox.senders, list(self._mask_keys).index(self._seat)
        self._parcels = {
            sender: self._receive_parcel(inbox, row, sender, position) for row, sender in enumerate(senders)
        }
        self._dealing = dealing_digest(inbox.headers)
        body = canon.pack(Upload(self._id, self._roster, self._dealing, self._seat, self._masked(frozenset(senders))))
        digest = canon.digest_bytes(body)
        self._remember("upload", digest)
        struct = sign.Upload(self._session.job, self._session.round, self._seat, digest)
        signature = self._signer.sign(sign.digest(self._session.domain, struct))
        leaf = upload_leaf_data(self._session.job, self._session.round, self._seat, digest, signature)
        self._upload_leaf = merkle.leaf(leaf)
        self.step = Step.UPLOADED
        return canon.pack(Signed(body, SCHEME, signature))

    def _masked(self, senders: frozenset[int]) -> Residues:
        masked = self._vector.copy()
        keystream.add(masked, self._seed)
        for other in neighbours(self._session, self._seat):
            if other in senders:
                key = mask_key(self._mask, self._mask_keys[other], self._roster, self._seat, other)
                apply_pair(masked, key, self._seat, other)
        return masked

    def _keep(self, receipt: Receipt) -> None:
        struct = sign.Receipt(self._session.job, self._session.round, self._seat, self._upload_leaf)
        digest = sign.digest(self._session.domain, struct)
        if receipt.leaf != self._upload_leaf or not sign.verify(self._session.coordinator, digest, receipt.signature):
            raise PeerFault(COORDINATOR, "sent a receipt for something else than this site's upload")
        self.receipt = receipt

    def _consent(self, survivors: Survivors) -> bytes:
        seats = survivors.seats
        if list(seats) != sorted(set(seats)) or not self._parcels.keys() >= set(seats):
            raise PeerFault(COORDINATOR, "sent a survivor list with a site that never shared, or one twice")
        if self._seat not in seats:
            raise PeerFault(COORDINATOR, "left this site's upload out of the survivor list")
        if len(seats) < self._session.threshold:
            raise Refused(f"only {len(seats)} uploads are in, {self._session.threshold} are needed")
        self._remember("survivors", survivors_digest(seats))
        self._survivors = seats
        self.step = Step.CONSENTED
        return self._say(Consent(self._id, self._roster, self._dealing, self._seat, seats))

    def _open(self, consents: Consents) -> bytes:
        self._check_consents(consents)
        survivors = frozenset(self._survivors)
        owners, shares = [], []
        for owner, parcel in sorted(self._parcels.items()):
            if parcel is not None:
                owners.append(owner)
                shares.append(parcel.self_share if owner in survivors else parcel.key_share)
        opened = np.frombuffer(b"".join(shares), "<u4").reshape(len(owners), shamir.LIMBS)
        self.step = Step.OPENED
        return self._say(Opening(self._id, self._seat, tuple(owners), opened))

    # ------------------------------------------------------------ checks

    def _read_roster(self, roster: Roster) -> dict[int, bytes]:
        keys = self._reader.roster(roster)
        if keys.get(self._seat) != self._mask.public:
            raise PeerFault(COORDINATOR, "sent a roster without this site's own advertisement")
        if len(keys) < self._session.threshold:
            raise Refused(f"only {len(keys)} sites are here, {self._session.threshold} are needed")
        return keys

    def _check_inbox(self, inbox: Inbox) -> None:
        senders, depth = inbox.senders, merkle.depth(len(self._mask_keys))
        tables = (
            (inbox.digests, (len(senders), 2, 32)),
            (inbox.parcels, (len(senders), PARCEL_BYTES)),
            (inbox.siblings, (len(senders), depth, 32)),
        )
        fits = all(table.shape == shape and table.dtype.str == "|u1" for table, shape in tables)
        if not fits or len(inbox.headers) != len(senders) or list(senders) != sorted(set(senders)):
            raise PeerFault(COORDINATOR, "sent an inbox that is not one parcel per sender")
        if self._seat not in senders or not self._mask_keys.keys() >= set(senders):
            raise PeerFault(COORDINATOR, "sent an inbox that leaves the recipient out or names a stranger")
        if len(senders) < self._session.threshold:
            raise Refused(f"only {len(senders)} sites shared, {self._session.threshold} are needed")

    def _receive_parcel(self, inbox: Inbox, row: int, sender: int, position: int) -> Parcel | None:
        """A sender's parcel, or None if it did not seal what it committed to: then there is nothing to open.

        Raises PeerFault naming the coordinator if the parcel is not the one that the sender committed to.
        """
        with passed_on():
            root = self._reader.header(inbox.headers[row], sender, self._roster).share_root
        pair, sealed = inbox.digests[row].tobytes(), inbox.parcels[row].tobytes()
        flat, leaf = inbox.siblings[row].tobytes(), merkle.leaf(pair + parcels.digest(sealed))
        siblings, size = [flat[at : at + 32] for at in range(0, len(flat), 32)], len(self._mask_keys)
        if not merkle.verify(root, leaf, position=position, siblings=siblings, size=size):
            raise PeerFault(COORDINATOR, f"sent a parcel that seat {sender} did not seal", evidence=inbox.headers[row])
        if sender == self._seat:
            return self._own_parcel
        key = self._parcel_key(sender=sender, recipient=self._seat)
        return parcels.read(sealed, key, self._roster, digests=pair, sender=sender, holder=self._seat)

    def _check_consents(self, consents: Consents) -> None:
        seats, needed = consents.seats, self._session.threshold
        if len(seats) != len(consents.consents) or list(seats) != sorted(set(seats)):
            raise PeerFault(COORDINATOR, "sent consents that are not one per seat, ascending")
        if not set(seats) <= set(self._survivors):
            raise PeerFault(COORDINATOR, "passed on the consent of a site that is no survivor")
        with passed_on():
            for seat, data in zip(seats, consents.consents, strict=True):
                self._reader.consent(data, seat, self._roster, self._dealing, self._survivors)
        if len(seats) < needed:
            raise Refused(f"only {len(seats)} sites have seen this survivor list, {needed} are needed")

    def _parcel_key(self, *, sender: int, recipient: int) -> bytes:
        """The key that seals the one parcel from a sender to a recipient under this roster."""
        peer = recipient if sender == self._seat else sender
        pair = self._pairs.get(peer)
        if pair is None:
            context, purpose = self._id + self._roster, "secagg/parcel/1"
            enrolled = self._enrolled.key(self._reader.agreement_key(peer), purpose=purpose, context=context)
            made = self._mask.key(self._mask_keys[peer], purpose=purpose, context=context)
            pair = self._pairs[peer] = pair_key(enrolled, made)
        return parcel_key(pair, sender=sender, recipient=recipient)

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._session.domain, record)
