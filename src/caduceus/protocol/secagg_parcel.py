"""Inside a seal, from site to site: the recipient's share of the sender's self-mask seed and of its mask key.

A parcel is both shares and a Merkle proof that their digests stand under the sender's signed header at the
recipient's position, one after the other; every length follows from the roster. So a recipient knows that what it
got is what the sender answers for, or that it has nothing of this sender to open.

Reveals: to the recipient one share of each, which say nothing while fewer than the threshold come together.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.crypto import merkle, shamir
from caduceus.errors import Refused
from caduceus.protocol.secagg_messages import share_digest


@dataclass(frozen=True, slots=True)
class Parcel:
    """A sender's two shares for one holder."""

    self_share: bytes
    key_share: bytes

    def __repr__(self) -> str:
        return "Parcel()"

    def digests(self, sender: int, holder: int) -> bytes:
        """The digests that the sender publishes, 64 bytes."""
        return share_digest(sender, holder, "self", self.self_share) + share_digest(
            sender, holder, "key", self.key_share
        )


def write(parcel: Parcel, siblings: tuple[bytes, ...]) -> bytes:
    """The bytes to seal."""
    return b"".join((parcel.self_share, parcel.key_share, *siblings))


def read(data: bytes, *, sender: int, holder: int, root: bytes, position: int, size: int) -> Parcel:
    """A parcel from what was unsealed.

    root      of the sender's signed header
    position  the holder's in the roster of `size` sites

    Raises Refused if it is not what the sender committed to.
    """
    start, step = 2 * shamir.SHARE_BYTES, 32
    if len(data) != start + step * merkle.depth(size):
        raise Refused(f"a parcel of seat {sender} has another length than the roster calls for")
    parcel = Parcel(data[: shamir.SHARE_BYTES], data[shamir.SHARE_BYTES : start])
    if not shamir.are_shares(data[:start]):
        raise Refused(f"a parcel of seat {sender} holds something else than shares")
    siblings = [data[at : at + step] for at in range(start, len(data), step)]
    leaf = merkle.leaf(parcel.digests(sender, holder))
    if not merkle.verify(root, leaf, position=position, siblings=siblings, size=size):
        raise Refused(f"a parcel of seat {sender} is not what its header commits to")
    return parcel
