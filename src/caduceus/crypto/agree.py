"""Two parties, one key: X25519 (RFC 7748) and HKDF-SHA256 (RFC 5869), bound to what the key is for."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caduceus.crypto.entropy import tagged
from caduceus.errors import Misuse, Refused

SUITE = "x25519-hkdf-sha256"
"""The name that travels with a session."""

PUBLIC_BYTES = 32


def public_key(private: bytes) -> bytes:
    """The public half of a private key: any 32 bytes are one.

    Raises Misuse if `private` has another length.
    """
    return _private(private).public_key().public_bytes_raw()


def agreed_key(private: bytes, peer: bytes, *, purpose: str, context: bytes) -> bytes:
    """The 32-byte key that both ends derive; different for every purpose and context.

    private  ours
    peer     the other's public key, 32 bytes
    context  public bytes that both know: job, round, the two seats

    Raises Refused if `peer` is no public key, or one that gives everybody the same secret (RFC 7748, section 6.1).
    """
    if len(peer) != PUBLIC_BYTES:
        raise Refused(f"a public agreement key is {PUBLIC_BYTES} bytes, got {len(peer)}")
    ours = _private(private)
    try:
        secret = ours.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise Refused("a public agreement key of small order: it gives everybody the same secret") from None
    low, high = sorted((ours.public_key().public_bytes_raw(), peer))
    info = tagged("caduceus/agree/1", SUITE.encode(), purpose.encode(), low, high, context)
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret)


def _private(private: bytes) -> X25519PrivateKey:
    if len(private) != 32:
        raise Misuse(f"a private agreement key is 32 bytes, got {len(private)}")
    return X25519PrivateKey.from_private_bytes(private)
