"""The server's half that a stranger can repeat: from masked sums and opened shares to the sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caduceus.crypto import keystream, shamir
from caduceus.kinds import Residues
from caduceus.protocol.secagg_messages import KINDS, Opening, commitment, pair_check
from caduceus.protocol.secagg_seeds import pads, stream_key
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup_record import Foundation


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the openings of a round give.

    found     self-mask seeds of survivors and recovery keys of the others, by owner: each what its owner committed to
    wrong     what an owner shared that is not what it committed to, by owner
    withheld  how many members opened a share, by owner, where too few did
    """

    found: dict[int, bytes]
    wrong: dict[int, str]
    withheld: dict[int, int]


def open_secrets(
    foundation: Foundation,
    round: int,
    due: Sequence[int],
    survivors: frozenset[int],
    openings: Mapping[int, Opening],
) -> Secrets:
    """Reconstruct one secret of every owner, and hold it to what the owner signed.

    round     its place in the set-up
    due       whose secrets are opened, ascending
    openings  checked openings by member
    """
    setup = foundation.layout.setup
    rebuilt, withheld = _reconstruct(setup.plan.threshold, foundation.layout.committee, due, openings)
    found, wrong = {}, {}
    for owner, secret in rebuilt.items():
        kind = 0 if owner in survivors else 1
        expected = foundation.dealt[owner].commitments[round, kind].tobytes()
        if secret is not None and commitment(KINDS[kind], secret) == expected:
            found[owner] = secret
        else:
            wrong[owner] = f"shared another {'self-mask seed' if kind == 0 else 'recovery key'} than it committed to"
    return Secrets(found, wrong, withheld)


@dataclass(frozen=True, slots=True)
class Masks:
    """The keys of the masks on the sum of a group.

    added  whose streams are in the sum
    taken  whose streams were taken from it
    wrong  owners whose opened tables do not hold the seeds that they published checks of
    """

    added: tuple[bytes, ...]
    taken: tuple[bytes, ...]
    wrong: tuple[int, ...]


def masks_on(
    foundation: Foundation,
    session: Session,
    group: Sequence[int],
    survivors: frozenset[int],
    found: Mapping[int, bytes],
) -> Masks:
    """What has to come off the sum of the survivors of a group.

    group  its ready sites, ascending
    found  a secret of each of them, see `Secrets`
    """
    round, name = session.round - foundation.layout.setup.first, session.digest
    added = [stream_key(found[seat], name) for seat in group if seat in survivors]
    taken: list[bytes] = []
    wrong = []
    members = frozenset(group)
    for gone in group:
        if gone in survivors:
            continue
        neighbours, tables = foundation.table(gone)
        seeds = np.bitwise_xor(tables[:, round, 1], pads(found[gone], tables[:, round, 0]))
        for at, other in enumerate(neighbours):
            if other not in survivors or other not in members:
                continue
            seed, low, high = seeds[at].tobytes(), min(gone, other), max(gone, other)
            if pair_check(low, high, seed) != tables[at, round, 0].tobytes():
                wrong.append(gone)
                break
            (added if other < gone else taken).append(stream_key(seed, name))
    return Masks(tuple(added), tuple(taken), tuple(wrong))


Device = Callable[[Residues, Sequence[bytes], Sequence[bytes]], None]
"""Adds the AES-256-CTR masks of some keys to a vector and takes those of others, in place: what `keystream.apply` does,
on other hardware."""


def unmask(masked: Residues, masks: Masks, *, cipher: str, threads: int = 1, device: Device | None = None) -> Residues:
    """The sum of the survivors' vectors of a group.

    masked   sum of their masked vectors, uint32[length] or uint64[length]; not changed
    threads  how many may work on it
    device   hardware to do it on instead, if it knows the cipher
    """
    total = masked.copy()
    if device is not None and cipher == keystream.CIPHER:
        device(total, masks.taken, masks.added)
    else:
        keystream.apply(total, masks.taken, masks.added, threads=threads, cipher=cipher)
    return total


def add_groups(totals: Mapping[int, Residues]) -> Residues:
    """The sum over all groups that have one, at least one; it does not wrap, since all sites together do not."""
    first, *others = (totals[at] for at in sorted(totals))
    total = first.copy()
    for other in others:
        np.add(total, other, out=total)
    return total


def confirmation_of(foundation: Foundation, owner: int) -> bytes:
    """What a site signed for its tables: the evidence that they were false, once its recovery key is opened."""
    return foundation.record.confirms[foundation.present.place[owner]]


def _reconstruct(
    threshold: int, committee: Sequence[int], owners: Sequence[int], openings: Mapping[int, Opening]
) -> tuple[dict[int, bytes | None], dict[int, int]]:
    """Every owner's opened secret, and of how many members too few opened it.

    Owners whose shares the same members opened are computed together. A member's point is its place in the whole
    committee, also where others are missing.
    """
    holders: dict[int, list[int]] = {owner: [] for owner in owners}
    for holder in sorted(openings):
        for owner in openings[holder].owners:
            holders[owner].append(holder)
    groups: dict[tuple[int, ...], list[int]] = {}
    withheld = {owner: len(those) for owner, those in holders.items() if len(those) < threshold}
    for owner, those in holders.items():
        if owner not in withheld:
            groups.setdefault(tuple(those[:threshold]), []).append(owner)
    position = {seat: place for place, seat in enumerate(committee)}
    secrets: dict[int, bytes | None] = {}
    for chosen, group in groups.items():
        rows = [opening.shares[np.searchsorted(opening.owners, group)] for opening in map(openings.__getitem__, chosen)]
        found = shamir.reconstruct([position[holder] for holder in chosen], np.stack(rows, axis=1))
        secrets.update(zip(group, found, strict=True))
    return secrets, withheld
