"""Sealing a message from one site to another with a key that seals nothing else.

ChaCha20-Poly1305 (RFC 8439). The nonce is fixed: sound because every message has a key of its own, from an
encapsulation that is made for it with fresh randomness. The same key never meets two messages.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from caduceus.errors import Refused

TAG_BYTES = 16
_NONCE = bytes(12)


def seal(key: bytes, message: bytes, *, bound_to: bytes) -> bytes:
    """Encrypt and authenticate.

    key       32 bytes that seal this one message
    bound_to  public bytes that the recipient must also know
    """
    return ChaCha20Poly1305(key).encrypt(_NONCE, message, bound_to)


def unseal(key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
    """Decrypt what `seal` made.

    Raises Refused if it was altered, cut short, or sealed for something else.
    """
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, sealed, bound_to)
    except (InvalidTag, ValueError):
        raise Refused("a sealed message was altered, or was meant for somebody else") from None
