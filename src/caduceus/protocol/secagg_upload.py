"""An upload as bytes: a signed record, and behind it the masked vector as it lies in memory.

The record names the vector by its SHA-256. Nothing is copied on the way in or out: the site masks in the very buffer
that it sends, and whoever reads looks at the vector where it arrived. The bytes are the length of the signed record
(4, big-endian), the record, zeros up to a multiple of 64, and the vector's little-endian words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caduceus import canon
from caduceus.crypto import sign
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault
from caduceus.kinds import Address, Digest, JobId, Residues
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import SCHEME, Signed, open_envelope, read_body
from caduceus.protocol.secagg_messages import Upload

HEAD_BYTES = 512
"""Room for the signed record; the vector begins there, so that it lies well in memory."""

_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Received:
    """An upload, its signature not yet checked.

    upload  the signed record
    signed  its envelope
    vector  uint32[length] or uint64[length], read-only: a view of the message
    """

    upload: Upload
    signed: Signed
    vector: Residues


def blank(length: int, bits: int) -> tuple[bytearray, Residues]:
    """A message in the making, and the place in it for the vector to be masked.

    length  entries
    bits    32 or 64
    """
    message = bytearray(HEAD_BYTES + length * bits // 8)
    return message, np.frombuffer(message, DTYPES[bits], offset=HEAD_BYTES)


def lies_in(vector: Residues, message: bytearray) -> bool:
    """Whether a vector is the whole of what a message made by `blank` has room for, and no copy of it."""
    place = np.frombuffer(message, np.uint8)[HEAD_BYTES:]
    starts = [array.__array_interface__["data"][0] for array in (vector, place)]
    return vector.flags.c_contiguous and vector.nbytes == place.nbytes and starts[0] == starts[1]


def finish(message: bytearray, upload: Upload, *, job: JobId, round: int, domain: bytes, signer: Signer) -> Signed:
    """Sign the record and write it before the vector; returns the envelope."""
    body = canon.pack(upload)
    struct = sign.Upload(job, round, upload.seat, canon.digest_bytes(body))
    signed = Signed(body, SCHEME, signer.sign(sign.digest(domain, struct)))
    head = canon.pack(signed)
    assert len(head) <= HEAD_BYTES - _LENGTH_BYTES  # a record of two digests and a seat is far shorter
    message[: _LENGTH_BYTES + len(head)] = len(head).to_bytes(_LENGTH_BYTES) + head
    return signed


def vector_digest(message: bytes | bytearray) -> Digest:
    """SHA-256 of the vector in a message."""
    return canon.digest_bytes(memoryview(message)[HEAD_BYTES:])


def envelope(message: bytes, *, who: str) -> Signed:
    """The signed record at the head of a message, unchecked.

    Raises PeerFault if there is none.
    """
    size = int.from_bytes(message[:_LENGTH_BYTES])
    head = message[_LENGTH_BYTES : _LENGTH_BYTES + size]
    if len(message) < HEAD_BYTES or not 0 < size <= HEAD_BYTES - _LENGTH_BYTES:
        raise PeerFault(who, "sent an upload without a signed record", evidence=message[:HEAD_BYTES])
    if any(message[_LENGTH_BYTES + size : HEAD_BYTES]):
        raise PeerFault(who, "sent an upload with something between record and vector", evidence=message[:HEAD_BYTES])
    return open_envelope(head, who=who)


def is_framed(message: bytes) -> bool:
    """Whether a message begins as uploads do, with a short length; no record does."""
    return message[:2] == b"\0\0"


def kind_of(message: bytes) -> str | None:
    """The tag of the record at the head of a message, unchecked; None if there is none. For routing only."""
    try:
        return canon.peek_tag(envelope(message[:HEAD_BYTES], who="").body)
    except PeerFault:
        return None


def read(
    message: bytes, *, signer: Address, domain: bytes, job: JobId, round: int, seat: int, length: int, bits: int
) -> Received:
    """An upload that a seat signed.

    Raises PeerFault naming the seat if it is malformed, not its own, of another shape, or if the vector is not the
    one that was signed. The evidence is the head: the signed record tells the rest.
    """
    who, head = f"seat {seat}", bytes(message[:HEAD_BYTES])
    signed = envelope(message, who=who)
    struct = sign.Upload(job, round, seat, canon.digest_bytes(signed.body))
    if not sign.verify(signer, sign.digest(domain, struct), signed.signature):
        raise PeerFault(who, "sent an upload that is not signed by its registered signer", evidence=head)
    upload = read_body(Upload, signed, head, who=who)
    if len(message) != HEAD_BYTES + length * bits // 8:
        given = len(message) - HEAD_BYTES
        raise PeerFault(who, f"sent {given} bytes of vector, {length} of {bits} bits were due", evidence=head)
    if vector_digest(message) != upload.vector:
        raise PeerFault(who, "sent another vector than it signed", evidence=head)
    return Received(upload, signed, np.frombuffer(message, DTYPES[bits], offset=HEAD_BYTES))
