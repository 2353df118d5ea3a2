"""The server's half that a stranger can repeat: from masked vectors and opened shares to the sum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from caduceus.crypto import keystream, shamir
from caduceus.crypto.agree import Agreement
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Residues
from caduceus.protocol.secagg_keys import mask_key, remove_pair
from caduceus.protocol.secagg_messages import Opening, seed_commitment, share_digest
from caduceus.protocol.secagg_reading import Dealt, Reader
from caduceus.protocol.secagg_session import neighbours


def check_opening(opening: Opening, dealt: Mapping[int, Dealt], position: int, survivors: frozenset[int]) -> None:
    """Make sure that every opened share is the one that its owner committed to, and of the kind that is due.

    dealt      what every sender shared, by seat
    position   the opener's in the roster
    survivors  seats whose uploads are in the sum

    Raises PeerFault, naming the opener: what it was given it checked against the same commitments itself, and
    signed their digest in its upload.
    """
    who, owners = f"seat {opening.seat}", opening.owners
    if opening.shares.shape != (len(owners), shamir.LIMBS) or opening.shares.dtype.str != "<u4":
        raise PeerFault(who, f"opened shares of shape {opening.shares.shape} for {len(owners)} owners")
    if list(owners) != sorted(set(owners)) or not dealt.keys() >= set(owners):
        raise PeerFault(who, "opened shares of sites that shared nothing, or one twice")
    opened, size = opening.shares.tobytes(), shamir.SHARE_BYTES
    for place, owner in enumerate(owners):
        row, kind = (0, "self") if owner in survivors else (1, "key")
        given = share_digest(owner, opening.seat, kind, opened[place * size : (place + 1) * size])
        if given != dealt[owner].shares.digests[position, row].tobytes():
            raise PeerFault(who, f"opened a share of seat {owner} that is not the one it was given")


def unmask(
    reader: Reader,
    mask_keys: Mapping[int, bytes],
    dealt: Mapping[int, Dealt],
    masked: Residues,
    survivors: frozenset[int],
    openings: Mapping[int, Opening],
) -> Residues:
    """The sum of the survivors' vectors.

    mask_keys  advertised keys by seat, ascending: the roster
    dealt      what every sender shared, by seat: the masks that are on the vectors
    masked     sum of the survivors' masked vectors, uint32[length] or uint64[length]; not changed
    openings   checked openings by seat

    Raises Refused if fewer than the threshold opened some owner's shares; PeerFault naming an owner whose
    reconstructed key or seed is not the one that it committed to.
    """
    secrets = _reconstruct(reader.session.threshold, list(mask_keys), sorted(dealt), openings)
    total = masked.copy()
    for owner, secret in secrets.items():
        if owner in survivors:
            if secret is None or seed_commitment(secret) != dealt[owner].header.seed_commitment:
                raise PeerFault(f"seat {owner}", "shared another self-mask seed than it committed to")
            keystream.subtract(total, secret)
            continue
        private = Agreement(secret) if secret is not None else None
        if private is None or private.public != mask_keys[owner]:
            raise PeerFault(f"seat {owner}", "shared another mask key than it advertised")
        for other in neighbours(reader.session, owner):
            if other in survivors:
                remove_pair(total, mask_key(private, mask_keys[other], reader.id, other, owner), other, owner)
    return total


def _reconstruct(
    threshold: int, roster: list[int], owners: list[int], openings: Mapping[int, Opening]
) -> dict[int, bytes | None]:
    """Every owner's opened secret; owners whose shares the same holders opened are computed together."""
    holders: dict[int, list[int]] = {owner: [] for owner in owners}
    for holder in sorted(openings):
        for owner in openings[holder].owners:
            holders[owner].append(holder)
    groups: dict[tuple[int, ...], list[int]] = {}
    for owner, those in holders.items():
        if len(those) < threshold:
            raise Refused(f"only {len(those)} sites opened their shares of seat {owner}, {threshold} are needed")
        groups.setdefault(tuple(those[:threshold]), []).append(owner)
    position = {seat: place for place, seat in enumerate(roster)}
    secrets: dict[int, bytes | None] = {}
    for chosen, group in groups.items():
        rows = [opening.shares[np.searchsorted(opening.owners, group)] for opening in map(openings.__getitem__, chosen)]
        found = shamir.reconstruct([position[holder] for holder in chosen], np.stack(rows, axis=1))
        secrets.update(zip(group, found, strict=True))
    return secrets
