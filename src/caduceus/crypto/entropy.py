"""Secrets from one root, by label and context: HKDF-SHA256 as a keyed cipher.

A role that starts again after a crash derives the same secrets and so repeats itself exactly; what makes
that safe is its journal, which keeps it from answering a different question with them.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caduceus.errors import Misuse

ROOT_BYTES = 32

MOST_BYTES = 255 * 32
"""What one derivation can give (RFC 5869, section 2.3)."""


class Entropy(Protocol):
    """Secret bytes from a keyed cipher."""

    def derive(self, label: str, *context: bytes, size: int) -> bytes:
        """`size` secret bytes for this purpose; the same arguments give the same bytes.

        label    what the bytes are for; another label gives independent bytes
        context  values that the bytes are bound to (job, round, roster)
        """


class KeyedEntropy:
    """HKDF-SHA256 (RFC 5869) over a root from the operating system's generator.

    root  32 uniform secret bytes

    Raises Misuse if the root has another length.
    """

    __slots__ = ("_root",)

    def __init__(self, root: bytes) -> None:
        if len(root) != ROOT_BYTES:
            raise Misuse(f"entropy: a root is {ROOT_BYTES} bytes, got {len(root)}")
        self._root = root

    def __repr__(self) -> str:
        return "KeyedEntropy()"

    def derive(self, label: str, *context: bytes, size: int) -> bytes:
        """See `Entropy.derive`.

        The label and every context are written with their lengths, so that no two purposes share an input.

        Raises Misuse if `size` is not between 1 and 8,160.
        """
        if not 0 < size <= MOST_BYTES:
            raise Misuse(f"entropy: gives 1 to {MOST_BYTES} bytes at a time, asked for {size}")
        info = tagged("caduceus/entropy/1", label.encode(), *context)
        return HKDF(SHA256(), length=size, salt=None, info=info).derive(self._root)


def expand(key: bytes, purpose: str, context: bytes = b"") -> bytes:
    """Another 32-byte key from a uniform one: HKDF-Expand to one block (RFC 5869, section 2.3).

    key      32 uniform secret bytes
    purpose  what the new key is for; another purpose or context gives an independent key
    """
    return hmac.digest(key, tagged("caduceus/expand/1", purpose.encode(), context) + b"\x01", "sha256")


def tagged(tag: str, *parts: bytes) -> bytes:
    """Parts joined so that different parts never give the same bytes: each is preceded by its length."""
    return b"".join([len(part).to_bytes(4) + part for part in (tag.encode(), *parts)])
