"""The server's half that a stranger can repeat: from masked vectors and opened shares to the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from caduceus.crypto import keystream, shamir
from caduceus.crypto.agree import Agreement, public_key
from caduceus.errors import PeerFault
from caduceus.kinds import Digest, Residues
from caduceus.protocol.secagg_keys import mask_key, remove_pair
from caduceus.protocol.secagg_messages import Opening, seed_commitment, share_digest
from caduceus.protocol.secagg_reading import Dealt
from caduceus.protocol.secagg_session import Session, neighbours


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
        if given != dealt[owner].digests[position, row].tobytes():
            raise PeerFault(who, f"opened a share of seat {owner} that is not the one it was given")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the openings give.

    found     seeds of survivors and mask keys of the others, by owner: each what its owner committed to
    wrong     what an owner shared that is not what it committed to, by owner
    withheld  how many sites opened a share, by owner, where too few did
    """

    found: dict[int, bytes]
    wrong: dict[int, str]
    withheld: dict[int, int]


def open_secrets(
    threshold: int,
    mask_keys: Mapping[int, bytes],
    dealt: Mapping[int, Dealt],
    survivors: frozenset[int],
    openings: Mapping[int, Opening],
) -> Secrets:
    """Reconstruct one secret of every owner, and hold it to what the owner signed.

    mask_keys  advertised keys by seat, ascending: the roster
    dealt      what every sender shared, by seat
    openings   checked openings by seat
    """
    rebuilt, withheld = _reconstruct(threshold, list(mask_keys), sorted(dealt), openings)
    found, wrong = {}, {}
    for owner, secret in rebuilt.items():
        if owner in survivors:
            fits = secret is not None and seed_commitment(secret) == dealt[owner].header.seed_commitment
            why = "shared another self-mask seed than it committed to"
        else:
            fits = secret is not None and public_key(secret) == mask_keys[owner]
            why = "shared another mask key than it advertised"
        if secret is not None and fits:
            found[owner] = secret
        else:
            wrong[owner] = why
    return Secrets(found, wrong, withheld)


def unmask(
    session: Session,
    roster: Digest,
    mask_keys: Mapping[int, bytes],
    masked: Residues,
    survivors: frozenset[int],
    found: Mapping[int, bytes],
) -> Residues:
    """The sum of the survivors' vectors.

    masked  sum of the survivors' masked vectors, uint32[length] or uint64[length]; not changed
    found   a secret of every sender, see `Secrets`
    """
    total = masked.copy()
    for owner, secret in found.items():
        if owner in survivors:
            keystream.subtract(total, secret)
            continue
        private = Agreement(secret)
        for other in neighbours(session, owner):
            if other in survivors:
                remove_pair(total, mask_key(private, mask_keys[other], roster, other, owner), other, owner)
    return total


def _reconstruct(
    threshold: int, roster: list[int], owners: list[int], openings: Mapping[int, Opening]
) -> tuple[dict[int, bytes | None], dict[int, int]]:
    """Every owner's opened secret, and of how many sites too few opened it.

    Owners whose shares the same holders opened are computed together.
    """
    holders: dict[int, list[int]] = {owner: [] for owner in owners}
    for holder in sorted(openings):
        for owner in openings[holder].owners:
            holders[owner].append(holder)
    groups: dict[tuple[int, ...], list[int]] = {}
    withheld = {owner: len(those) for owner, those in holders.items() if len(those) < threshold}
    for owner, those in holders.items():
        if owner in withheld:
            continue
        groups.setdefault(tuple(those[:threshold]), []).append(owner)
    position = {seat: place for place, seat in enumerate(roster)}
    secrets: dict[int, bytes | None] = {}
    for chosen, group in groups.items():
        rows = [opening.shares[np.searchsorted(opening.owners, group)] for opening in map(openings.__getitem__, chosen)]
        found = shamir.reconstruct([position[holder] for holder in chosen], np.stack(rows, axis=1))
        secrets.update(zip(group, found, strict=True))
    return secrets, withheld
