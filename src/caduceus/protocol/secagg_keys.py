"""The keys between two sites of a round: one masks, one seals each way."""

from __future__ import annotations

import hmac

from caduceus.crypto import keystream
from caduceus.crypto.agree import Agreement
from caduceus.crypto.entropy import tagged
from caduceus.kinds import Digest, Residues


def mask_key(ours: Agreement, peer: bytes, roster: Digest, one: int, other: int) -> bytes:
    """The key of the mask between two seats; both ends, and whoever has one private mask key, derive it.

    ours    one end's mask key, made for this round
    peer    the other's public one
    roster  digest of the roster, which binds the session

    Raises Refused if `peer` is no public key.
    """
    low, high = sorted((one, other))
    context = roster + low.to_bytes(4) + high.to_bytes(4)
    return ours.key(peer, purpose="secagg/mask/1", context=context)


def pair_key(enrolled: bytes, made: bytes) -> bytes:
    """What two sites under one roster have in common, for the parcels between them.

    enrolled  their agreed key from the keys that they enrolled with: shows who they are
    made      their agreed key from the mask keys made for this round: a parcel stays sealed when an enrolled
              key is stolen later, except to and from sites whose mask keys were opened

    Secret as long as one of the two is: HMAC is a pseudorandom function of either.
    """
    return hmac.digest(enrolled, made, "sha256")


def parcel_key(pair: bytes, *, sender: int, recipient: int) -> bytes:
    """The key that seals the one parcel from a sender to a recipient."""
    return hmac.digest(pair, _PARCEL + sender.to_bytes(4) + recipient.to_bytes(4), "sha256")


_PARCEL = tagged("secagg/parcel/1")


def apply_pair(vector: Residues, key: bytes, seat: int, other: int) -> None:
    """Put the mask between two seats on the vector of `seat`: added by the lower, taken by the higher."""
    (keystream.add if seat < other else keystream.subtract)(vector, key)


def remove_pair(vector: Residues, key: bytes, seat: int, other: int) -> None:
    """Undo `apply_pair`."""
    (keystream.subtract if seat < other else keystream.add)(vector, key)
