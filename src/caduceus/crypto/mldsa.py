"""Signatures that outlast a quantum computer: ML-DSA-65 (FIPS 204), where no contract has to check them.

A signature is bound to a context, so that what was signed for one purpose means nothing for another. Signing is
hedged: fresh randomness goes into each signature (FIPS 204, section 3.4), so the same message is signed
differently each time, and a weak generator or a fault in the processor alone does not betray the key.
"""

from __future__ import annotations

from typing import final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from caduceus.errors import Misuse

SCHEME = "ml-dsa-65"
"""The name that travels with a signature."""

SEED_BYTES = 32
PUBLIC_BYTES = 1952
SIGNATURE_BYTES = 3309

MOST_CONTEXT_BYTES = 255
"""What FIPS 204 leaves room for (section 5.2)."""


@final
class Identity:
    """Holds one signing key and signs with it; never shows the key.

    seed  32 uniform secret bytes

    Raises Misuse if `seed` has another length.
    """

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Misuse(f"ml-dsa: a seed is {SEED_BYTES} bytes, got {len(seed)}")
        self._private = MLDSA65PrivateKey.from_seed_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"Identity({self.public.hex()[:8]})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise Misuse("ml-dsa: a signing key is not to be pickled or copied")

    def sign(self, message: bytes, *, context: bytes) -> bytes:
        """Sign a message of any length; 3,309 bytes, different every time.

        context  what the signature is for, at most 255 bytes

        Raises Misuse if `context` is longer.
        """
        return self._private.sign(message, _fitting(context))


def verify(public: bytes, message: bytes, signature: bytes, *, context: bytes) -> bool:
    """Whether the key behind `public` signed `message` for `context`; what is malformed is simply not a signature.

    public     1,952 bytes
    signature  3,309 bytes
    context    what the signature must be for, at most 255 bytes

    Raises Misuse if `context` is longer.
    """
    _fitting(context)
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, message, context)
    except InvalidSignature:
        return False
    return True


def _fitting(context: bytes) -> bytes:
    if len(context) > MOST_CONTEXT_BYTES:
        raise Misuse(f"ml-dsa: a context is at most {MOST_CONTEXT_BYTES} bytes, got {len(context)}")
    return context
