"""The server's half that a stranger can repeat: from uploads and opened shares to the sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.crypto import agree, keystream, shamir
from caduceus.crypto.entropy import tagged
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.secagg_messages import Header, Opening, Shares, seed_commitment, share_digest
from caduceus.protocol.secagg_session import Session


@dataclass(frozen=True, slots=True)
class Dealt:
    """What one site shared, as checked.

    header   public part
    digests  of every share, by position in the roster
    """

    header: Header
    shares: Shares


def mask_key(private: bytes, peer: bytes, session: Digest, one: int, other: int) -> bytes:
    """The key of the mask between two seats; both ends, and whoever has one private key, derive it.

    Raises Refused if `peer` is no public key.
    """
    low, high = sorted((one, other))
    context = tagged("mask", session, low.to_bytes(4), high.to_bytes(4))
    return agree.agreed_key(private, peer, purpose="secagg/mask/1", context=context)


def apply_pair(vector: Residues, key: bytes, seat: int, other: int) -> None:
    """Put the mask between two seats on the vector of `seat`: added by the lower, taken by the higher."""
    (keystream.add if seat < other else keystream.subtract)(vector, key)


def remove_pair(vector: Residues, key: bytes, seat: int, other: int) -> None:
    """Undo `apply_pair`."""
    (keystream.subtract if seat < other else keystream.add)(vector, key)


def check_opening(
    opening: Opening, dealt: Mapping[int, Dealt], holders: Mapping[int, int], survivors: frozenset[int]
) -> None:
    """Make sure that every opened share is the one that its owner committed to.

    dealt      what every sender shared, by seat
    holders    positions in the roster, by seat
    survivors  seats whose uploads are in the sum

    Raises PeerFault, naming the opener: what the owner sent it was checked against the same commitment before.
    """
    who = f"seat {opening.seat}"
    owners = opening.owners
    if opening.shares.shape != (len(owners), shamir.LIMBS) or opening.shares.dtype.str != "<u4":
        raise PeerFault(who, f"opened shares of shape {opening.shares.shape} for {len(owners)} owners")
    if list(owners) != sorted(set(owners)) or not set(owners) <= dealt.keys():
        raise PeerFault(who, "opened shares of sites that shared nothing, or one twice")
    position = holders[opening.seat]
    for owner, share in zip(owners, opening.shares, strict=True):
        kind = owner not in survivors
        expected = dealt[owner].shares.digests[position, int(kind)].tobytes()
        given = share_digest(owner, opening.seat, "key" if kind else "self", share.tobytes())
        if given != expected:
            raise PeerFault(who, f"opened a share of seat {owner} that is not the one it was given")


def unmask(
    session: Session,
    session_id: Digest,
    mask_keys: Mapping[int, bytes],
    dealt: Mapping[int, Dealt],
    vectors: Iterable[tuple[int, Residues]],
    survivors: frozenset[int],
    openings: Mapping[int, Opening],
) -> Residues:
    """The sum of the survivors' vectors; vectors are read one at a time and never kept.

    mask_keys  advertised keys by seat, ascending: the roster
    dealt      what every sender shared, by seat: the masks that are on the vectors
    vectors    the survivors' masked vectors
    openings   checked openings by seat
    returns    uint32[length] or uint64[length]

    Raises Refused if fewer than the threshold opened some owner's shares; PeerFault naming an owner whose
    reconstructed key or seed is not the one that it committed to.
    """
    total: Residues = np.zeros(session.length, DTYPES[session.bits])
    for _, vector in vectors:
        np.add(total, vector, out=total)
    secrets = _reconstruct(session, list(mask_keys), dealt, openings)
    for owner in sorted(dealt):
        secret = secrets[owner]
        if owner in survivors:
            if seed_commitment(secret) != dealt[owner].header.seed_commitment:
                raise PeerFault(f"seat {owner}", "shared another self-mask seed than it committed to")
            keystream.subtract(total, secret)
            continue
        if agree.public_key(secret) != mask_keys[owner]:
            raise PeerFault(f"seat {owner}", "shared another mask key than it advertised")
        for survivor in survivors:
            remove_pair(total, mask_key(secret, mask_keys[survivor], session_id, survivor, owner), survivor, owner)
    return total


def _reconstruct(
    session: Session, roster: list[int], dealt: Mapping[int, Dealt], openings: Mapping[int, Opening]
) -> dict[int, bytes]:
    """Every sender's opened secret; owners whose shares the same holders opened are computed together."""
    opened: dict[int, dict[int, npt.NDArray[np.uint32]]] = {owner: {} for owner in dealt}
    for holder, opening in sorted(openings.items()):
        for owner, share in zip(opening.owners, opening.shares, strict=True):
            opened[owner][holder] = share
    groups: dict[tuple[int, ...], list[int]] = {}
    for owner, shares in opened.items():
        if len(shares) < session.threshold:
            raise Refused(
                f"only {len(shares)} sites opened their shares of seat {owner}, {session.threshold} are needed"
            )
        groups.setdefault(tuple(sorted(shares)[: session.threshold]), []).append(owner)
    position = {seat: place for place, seat in enumerate(roster)}
    secrets: dict[int, bytes] = {}
    for holders, owners in groups.items():
        stacked = np.stack([np.stack([opened[owner][holder] for holder in holders]) for owner in owners])
        try:
            found = shamir.reconstruct([position[holder] for holder in holders], stacked)
        except Refused:
            raise PeerFault(f"one of the seats {owners}", "shared something that is no key") from None
        secrets.update(zip(owners, found, strict=True))
    return secrets
