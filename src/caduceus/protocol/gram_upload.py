"""What is too long for a record: a dealer's upload, and what aggregators need of all uploads to begin.

An upload is laid out as those of secure aggregation are (see `secagg_upload`), so that contracts, receipts and
omissions treat both alike: a signed record in the first bytes, then the correction as it lies in memory, then the
packed `Dealing`. Nothing long is copied: a dealer covers its rows in the very buffer that it sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle, sign
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.learn.judged.opened import UNKNOWN
from caduceus.protocol.envelope import SCHEME, Signed, open_envelope, read_body
from caduceus.protocol.gram_messages import BOX_BYTES, Begin, Dealing, GramUpload
from caduceus.protocol.gram_session import MOST_TOLD, GramPlan, Ring
from caduceus.protocol.secagg_messages import upload_leaf_data
from caduceus.protocol.secagg_reading import COORDINATOR
from caduceus.protocol.secagg_upload import HEAD_BYTES, envelope

DEALING_BYTES = 1 << 13
"""Room for a packed `Dealing`."""

_LENGTH_BYTES = 4
_ALIGNED = 64


@dataclass(frozen=True, slots=True)
class Told:
    """What a dealer uploaded, without its correction.

    upload   the signed record
    signed   its envelope
    head     the envelope's bytes
    dealing  what goes with it
    tail     the dealing's bytes
    """

    upload: GramUpload
    signed: Signed
    head: bytes
    dealing: Dealing
    tail: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that its dealer signed.

    told        all but the correction
    correction  uint64[rows, length + projections.COUNT], read-only: a view of the message
    """

    told: Told
    correction: Ring


def blank(plan: GramPlan, dealer: int, tail: bytes) -> tuple[bytearray, Ring]:
    """A message in the making, and the place in it for the rows to be covered.

    tail  the packed `Dealing`
    """
    size = correction_bytes(plan, dealer)
    message = bytearray(HEAD_BYTES + size + len(tail))
    message[HEAD_BYTES + size :] = tail
    return message, _correction(message, plan, dealer)


def finish(message: bytearray, upload: GramUpload, plan: GramPlan, signer: Signer) -> Signed:
    """Sign the record and write it before the correction; returns the envelope."""
    body = canon.pack(upload)
    struct = sign.Upload(plan.ground.job, plan.session.round, upload.seat, canon.digest_bytes(body))
    signed = Signed(body, SCHEME, signer.sign(sign.digest(plan.ground.domain, struct)))
    head = canon.pack(signed)
    assert len(head) <= HEAD_BYTES - _LENGTH_BYTES  # a record of three digests and a number is far shorter
    message[: _LENGTH_BYTES + len(head)] = len(head).to_bytes(_LENGTH_BYTES) + head
    return signed


def correction_bytes(plan: GramPlan, dealer: int) -> int:
    """How long a dealer's correction is."""
    rows, entries = plan.shape(dealer)
    return 8 * rows * entries


def correction_of(message: bytes | bytearray, plan: GramPlan, dealer: int) -> memoryview:
    """The bytes of the correction in a message."""
    return memoryview(message)[HEAD_BYTES : HEAD_BYTES + correction_bytes(plan, dealer)]


def _correction(message: bytes | bytearray, plan: GramPlan, dealer: int) -> Ring:
    return np.frombuffer(correction_of(message, plan, dealer), "<u8").reshape(plan.shape(dealer))


def read(message: bytes, plan: GramPlan, dealer: int) -> Received:
    """An upload, as its dealer signed it.

    Raises PeerFault naming the dealer if it is malformed, not its own, of another round or shape, or if correction or
    dealing are not those that were signed. The evidence is the head: the signed record tells the rest.
    """
    who, head = plan.ground.name_of(dealer), bytes(message[:HEAD_BYTES])
    signed = envelope(message, who=who)
    size = correction_bytes(plan, dealer)
    if len(message) < HEAD_BYTES + size:
        raise PeerFault(who, f"sent an upload of {len(message)} bytes, with a correction of {size}", evidence=head)
    told = read_told(canon.pack(signed), bytes(message[HEAD_BYTES + size :]), plan, dealer)
    check_correction(correction_of(message, plan, dealer), told, plan)
    return Received(told, _correction(message, plan, dealer))


def read_head(head: bytes, plan: GramPlan, dealer: int) -> tuple[GramUpload, Signed]:
    """The record that a dealer signed, and its envelope; raises PeerFault as `read` does."""
    who, ground = plan.ground.name_of(dealer), plan.ground
    signed = open_envelope(head, who=who)
    struct = sign.Upload(ground.job, plan.session.round, dealer, canon.digest_bytes(signed.body))
    if not sign.verify(ground.signer_of(dealer), sign.digest(ground.domain, struct), signed.signature):
        raise PeerFault(who, "sent an upload that is not signed by its registered signer", evidence=head)
    upload = read_body(GramUpload, signed, head, who=who)
    if (upload.session, upload.seat) != (plan.id, dealer):
        raise PeerFault(who, "sent an upload of another round or from another party", evidence=head)
    return upload, signed


def read_told(head: bytes, tail: bytes, plan: GramPlan, dealer: int) -> Told:
    """What a dealer uploaded, without its correction; raises PeerFault as `read` does."""
    who, (upload, signed) = plan.ground.name_of(dealer), read_head(head, plan, dealer)
    if canon.digest_bytes(tail) != upload.dealing:
        raise PeerFault(who, "sent another dealing than it signed", evidence=head)
    try:
        dealing = canon.unpack(Dealing, tail)
    except Refused as problem:
        raise PeerFault(who, f"sent something else than a dealing: {problem}", evidence=head) from None
    _check_dealing(dealing, plan, who, head)
    return Told(upload, signed, head, dealing, tail)


def _check_dealing(dealing: Dealing, plan: GramPlan, who: str, evidence: bytes) -> None:
    if {len(one) for one in dealing.commitments} != {32} or {len(one) for one in dealing.boxes} != {BOX_BYTES}:
        raise PeerFault(who, "dealt commitments or boxes of the wrong length", evidence=evidence)
    told = dealing.report
    if len(told) != plan.session.report or not all(UNKNOWN <= number < MOST_TOLD for number in told):
        raise PeerFault(who, f"reported something else than {plan.session.report} numbers", evidence=evidence)


def check_correction(correction: memoryview, told: Told, plan: GramPlan) -> None:
    """Raise PeerFault naming the dealer if a correction is not the one that it signed."""
    if sha256(correction).digest() != told.upload.correction:
        who = plan.ground.name_of(told.upload.seat)
        raise PeerFault(who, "sent another correction than it signed", evidence=told.head)


def leaf(signed: Signed, plan: GramPlan, dealer: int) -> Digest:
    """The leaf of an upload in the round's tree."""
    body = canon.digest_bytes(signed.body)
    return merkle.leaf(upload_leaf_data(plan.ground.job, plan.session.round, dealer, body, signed.signature))


# ---------------------------------------------------------------- to begin


def begin(record: Begin, corrections: Sequence[bytes | memoryview]) -> bytes:
    """The message that a `Begin` travels in: the length of the record (4 bytes, big-endian), the record, zeros up to a
    multiple of 64, and the corrections, of dealers ascending."""
    packed = canon.pack(record)
    start = _LENGTH_BYTES + len(packed)
    return b"".join([len(packed).to_bytes(_LENGTH_BYTES), packed, bytes(-start % _ALIGNED), *corrections])


def is_begin(message: bytes) -> bool:
    """Whether a message is laid out as `begin` does; no record begins so."""
    return message[:1] == b"\0"


def read_begin(message: bytes) -> tuple[Begin, memoryview]:
    """The record and what follows it.

    Raises PeerFault naming the coordinator if there is no such record.
    """
    size = int.from_bytes(message[:_LENGTH_BYTES])
    end = _LENGTH_BYTES + size
    start = end + -end % _ALIGNED
    if len(message) < start or any(message[end:start]):
        raise PeerFault(COORDINATOR, "sent a beginning that is cut short", evidence=message[:HEAD_BYTES])
    try:
        return canon.unpack(Begin, message[_LENGTH_BYTES:end]), memoryview(message)[start:]
    except Refused as problem:
        raise PeerFault(COORDINATOR, f"sent something unreadable: {problem}", evidence=message[:HEAD_BYTES]) from None


def split(corrections: memoryview, plan: GramPlan, inside: Sequence[int]) -> Mapping[int, memoryview]:
    """The bytes of every dealer's correction.

    inside  whose they are, ascending

    Raises PeerFault naming the coordinator if there are more or fewer bytes.
    """
    sizes = [correction_bytes(plan, dealer) for dealer in inside]
    if len(corrections) != sum(sizes):
        raise PeerFault(COORDINATOR, f"sent {len(corrections)} bytes of corrections, {sum(sizes)} are due")
    found, start = dict[int, memoryview](), 0
    for dealer, size in zip(inside, sizes, strict=True):
        found[dealer] = corrections[start : start + size]
        start += size
    return found
