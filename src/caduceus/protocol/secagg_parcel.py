"""From site to site: the pair's secret and the receiver's shares, sealed under an X-Wing encapsulation.

A dealer answers under its signed header for the digest of every parcel and of every share in it. So a receiver tells
a parcel that was altered on the way, which is the coordinator's doing, from one that the dealer made so.

Reveals: to the receiver the secret that it has in common with the dealer, and one share of each of the dealer's
secrets, which say nothing while fewer than the threshold come together.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from caduceus.crypto import shamir, xwing
from caduceus.crypto.entropy import expand
from caduceus.crypto.seal import seal, unseal
from caduceus.errors import Refused
from caduceus.protocol.secagg_messages import SECRET_BYTES, share_digests

_SHARE = shamir.SHARE_BYTES


@dataclass(frozen=True, slots=True)
class Contents:
    """What a dealer gives to one receiver.

    secret  of the pair
    shares  by round, the self-mask share and the recovery share, SHARE_BYTES each; b"" for one that is no member
    """

    secret: bytes
    shares: bytes

    def __repr__(self) -> str:
        return "Contents()"


def write(contents: Contents, kem_key: bytes, *, context: bytes, dealer: int, receiver: int) -> bytes:
    """A parcel: encapsulation and sealed contents.

    kem_key  the receiver's X-Wing public key
    context  of the set-up, see `secagg_seeds.context_of`
    """
    encapsulation, shared = xwing.encapsulate(kem_key)
    bound = context + dealer.to_bytes(4) + receiver.to_bytes(4)
    key = expand(shared, "secagg/parcel/2", bound)
    return encapsulation + seal(key, contents.secret + contents.shares, bound_to=bound)


def read(
    parcel: bytes, opener: xwing.Decapsulator, *, context: bytes, dealer: int, receiver: int, digests: bytes
) -> Contents | None:
    """A parcel that arrived as its dealer made it.

    digests  of the shares in it, 32 bytes each, as the dealer committed to them; b"" if none are due
    returns  None if the dealer sealed something else than a secret and shares with these digests
    """
    bound = context + dealer.to_bytes(4) + receiver.to_bytes(4)
    try:
        shared = opener.decapsulate(parcel[: xwing.CIPHERTEXT_BYTES])
        opened = unseal(expand(shared, "secagg/parcel/2", bound), parcel[xwing.CIPHERTEXT_BYTES :], bound_to=bound)
    except Refused:
        return None
    contents = Contents(opened[:SECRET_BYTES], opened[SECRET_BYTES:])
    if len(contents.shares) * SECRET_BYTES != len(digests) * _SHARE or not shamir.are_shares(contents.shares):
        return None
    return contents if share_digests(dealer, receiver, contents.shares) == digests else None


def digest(parcel: bytes) -> bytes:
    """The digest of a parcel, 32 bytes."""
    return sha256(parcel).digest()
