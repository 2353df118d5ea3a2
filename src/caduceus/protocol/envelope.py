"""Signed messages: who says it, what, and a signature that a stranger can check.

Two schemes. EIP-712 over secp256k1 is what contracts check. ML-DSA-65 is for what has to hold against a quantum
computer as well: the keys that secrets are sealed to. Each message is due in one of them, and its kind says in which.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from caduceus import canon
from caduceus.crypto import mldsa, sign
from caduceus.crypto.sign import Signer, Statement
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Address

T = TypeVar("T")

SCHEME = "eip712-secp256k1"
"""The scheme of most messages; a scheme's name travels with every signature."""

_ML_DSA_CONTEXT = b"caduceus/statement/1"


@canon.record("signed/1")
class Signed:
    """A record and its sender's signature.

    body       canonical bytes of the record, whose tag says what it is
    scheme     names the signature's algorithm
    signature  EIP-712 `Statement` over the SHA-256 of `body`; for uploads `Upload`, which contracts can check; or
               ML-DSA-65 over `body` (FIPS 204, pure, with a context string of ours)
    """

    body: bytes
    scheme: str
    signature: bytes


def sign_record(signer: Signer, domain: bytes, record: object) -> bytes:
    """A record, signed as a statement, as bytes to send."""
    body = canon.pack(record)
    struct = Statement(canon.digest_bytes(body))
    return canon.pack(Signed(body, SCHEME, signer.sign(sign.digest(domain, struct))))


def vouch(identity: mldsa.Identity, record: object) -> bytes:
    """A record, signed with ML-DSA-65, as bytes to send. Its signature is another one every time."""
    body = canon.pack(record)
    return canon.pack(Signed(body, mldsa.SCHEME, identity.sign(body, context=_ML_DSA_CONTEXT)))


def read_vouched(kind: type[T], data: bytes, *, verifier: Callable[[T], bytes], who: str) -> T:
    """A record that `who` signed with ML-DSA-65.

    verifier  gives the public key that must have signed, once the record is read

    Raises PeerFault if the bytes are malformed, another record, or not signed by that key.
    """
    signed = open_envelope(data, who=who, scheme=mldsa.SCHEME)
    said = read_body(kind, signed, data, who=who)
    if not mldsa.verify(verifier(said), signed.body, signed.signature, context=_ML_DSA_CONTEXT):
        raise PeerFault(who, "sent a message that is not signed by its registered key", evidence=data)
    return said


def read_signed(kind: type[T], data: bytes, *, signer: Address, domain: bytes, who: str) -> T:
    """A record that `who` signed as a statement.

    signer  address of the key that must have signed
    who     the sender's name, for the fault

    Raises PeerFault if the bytes are malformed, another record, or not signed by that key.
    """
    signed = open_envelope(data, who=who)
    struct = Statement(canon.digest_bytes(signed.body))
    if not sign.verify(signer, sign.digest(domain, struct), signed.signature):
        raise PeerFault(who, "sent a message that is not signed by its registered signer", evidence=data)
    return read_body(kind, signed, data, who=who)


def open_envelope(data: bytes, *, who: str, scheme: str = SCHEME) -> Signed:
    """The envelope, its signature not yet checked.

    Raises PeerFault if it is malformed or of another scheme than is due.
    """
    try:
        signed = _envelope(data)
    except Refused as problem:
        raise PeerFault(who, f"sent something unreadable: {problem}", evidence=data) from None
    if signed.scheme != scheme:
        raise PeerFault(who, f"signed by {signed.scheme[:40]!r} where {scheme!r} is due", evidence=data)
    return signed


def read_body(kind: type[T], signed: Signed, data: bytes, *, who: str) -> T:
    """The record in an envelope.

    Raises PeerFault if it is malformed or another kind of record.
    """
    try:
        return canon.unpack(kind, signed.body)
    except Refused as problem:
        raise PeerFault(who, f"sent something else than was due: {problem}", evidence=data) from None


def kind_of(data: bytes) -> str | None:
    """The tag of the record in an envelope, unchecked; None if there is none. For routing, never for trust."""
    try:
        return canon.peek_tag(_envelope(data).body)
    except Refused:
        return None


@lru_cache(maxsize=4)  # one message is routed, checked and read, one after the other
def _envelope(data: bytes) -> Signed:
    return canon.unpack(Signed, data)
