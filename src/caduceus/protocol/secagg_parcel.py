"""Sealed from site to site: the recipient's share of the sender's self-mask seed and of its mask key.

A sender answers for three digests per recipient: of either share, and of the sealed parcel. Their proof under its
signed header travels outside the seal. So a recipient tells a parcel that was altered on the way, which is the
coordinator's doing, from one that the sender made so, of which there is nothing to open.

Reveals: to the recipient one share of each, which say nothing while fewer than the threshold come together.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from caduceus.crypto import shamir
from caduceus.crypto.seal import seal, unseal
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.protocol.secagg_messages import PARCEL_BYTES, share_digest


@dataclass(frozen=True, slots=True)
class Parcel:
    """A sender's two shares for one holder."""

    self_share: bytes
    key_share: bytes

    def __repr__(self) -> str:
        return "Parcel()"

    def digests(self, sender: int, holder: int) -> bytes:
        """The digests of both shares, 64 bytes."""
        one = share_digest(sender, holder, "self", self.self_share)
        return one + share_digest(sender, holder, "key", self.key_share)


NONE = bytes(PARCEL_BYTES)
"""What stands at a sender's own position: nothing is sealed to oneself."""


def write(parcel: Parcel, key: bytes, roster: Digest) -> bytes:
    """The sealed parcel, PARCEL_BYTES long."""
    return seal(key, parcel.self_share + parcel.key_share, bound_to=roster)


def read(sealed: bytes, key: bytes, roster: Digest, *, digests: bytes, sender: int, holder: int) -> Parcel | None:
    """A parcel that arrived as its sender sent it.

    digests  of both shares, 64 bytes, as the sender committed to them
    returns  None if the sender sealed something else than shares with these digests
    """
    try:
        data = unseal(key, sealed, bound_to=roster)
    except Refused:
        return None
    parcel = Parcel(data[: shamir.SHARE_BYTES], data[shamir.SHARE_BYTES :])
    fits = shamir.are_shares(data) and parcel.digests(sender, holder) == digests
    return parcel if fits else None


def digest(sealed: bytes) -> bytes:
    """The digest of a sealed parcel, 32 bytes."""
    return sha256(sealed).digest()
