"""Two parties, one key: X25519 (RFC 7748) and HKDF-SHA256 (RFC 5869), bound to what the key is for.

Everything that knows the construction is in this file, so that a hybrid with a post-quantum key encapsulation
can take its place under another suite name.
"""

from __future__ import annotations

import hmac
from typing import final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from caduceus.crypto.entropy import tagged
from caduceus.errors import Misuse, Refused

SUITE = "x25519-hkdf-sha256"
"""The name that travels with a session."""

PUBLIC_BYTES = 32

_P = 2**255 - 19
_SMALL_ORDER = frozenset(
    (
        0,
        1,
        _P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)
"""The u-coordinates below p of points of order 1, 2, 4 and 8, on the curve and on its twist."""


@final
class Agreement:
    """One party's private key, and what it has already agreed on with whom; never shows either.

    private  32 bytes, any

    An exchange costs more than anything else in a round, so its outcome is kept as long as this object lives: a
    site that keeps it for a job agrees with each peer once and not once per round.

    Raises Misuse if `private` has another length.
    """

    __slots__ = ("_private", "_roots", "public")

    def __init__(self, private: bytes) -> None:
        if len(private) != 32:
            raise Misuse(f"a private agreement key is 32 bytes, got {len(private)}")
        self._private = X25519PrivateKey.from_private_bytes(private)
        self._roots: dict[bytes, bytes] = {}
        self.public = self._private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"Agreement({self.public.hex()[:8]})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise Misuse("agreement: a private key is not to be pickled or copied")

    def key(self, peer: bytes, *, purpose: str, context: bytes) -> bytes:
        """The 32-byte key that both ends derive; different for every purpose and context.

        peer     the other's public key, 32 bytes
        context  public bytes that both know: session, roster, the two seats

        Raises Refused if `peer` is no public key, or one that gives everybody the same secret (RFC 7748, section 6.1).
        """
        root = self._roots.get(peer)
        if root is None:
            root = self._roots[peer] = self._agree(peer)
        # HKDF-Expand to one block (RFC 5869, section 2.3)
        return hmac.digest(root, tagged("caduceus/agree/1", purpose.encode(), context) + b"\x01", "sha256")

    def _agree(self, peer: bytes) -> bytes:
        """HKDF-Extract (RFC 5869, section 2.2) of the shared secret, salted with the suite and both public keys."""
        if len(peer) != PUBLIC_BYTES:
            raise Refused(f"a public agreement key is {PUBLIC_BYTES} bytes, got {len(peer)}")
        try:
            secret = self._private.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise Refused("a public agreement key of small order: it gives everybody the same secret") from None
        low, high = sorted((self.public, peer))
        return hmac.digest(tagged("caduceus/agree/1", SUITE.encode(), low, high), secret, "sha256")


def public_key(private: bytes) -> bytes:
    """The public half of a private key: any 32 bytes are one.

    Raises Misuse if `private` has another length.
    """
    return Agreement(private).public


def is_sound(public: bytes) -> bool:
    """Whether everybody can agree with a public key: 32 bytes, below the field's prime, not of small order.

    It depends on the key alone, so that everybody judges alike whom to leave out. A key that is not the least
    of its residue class is somebody's other writing of a key, and no generator makes it.
    """
    number = int.from_bytes(public, "little")
    return len(public) == PUBLIC_BYTES and number < _P and number not in _SMALL_ORDER
