"""What a site keeps of a set-up for its rounds: secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caduceus.kinds import Digest
from caduceus.protocol.secagg_messages import Bytes
from caduceus.protocol.secagg_setup import Present


@dataclass(frozen=True, slots=True)
class Ground:
    """A site's secrets under an endorsed outcome.

    seat        its own
    ready       digest of the outcome
    present     the ready sites
    self_seeds  uint8[rounds, 32]
    pair_seeds  by ready neighbour, uint8[rounds, 32]
    tag_keys    by fellow member, where there is a common secret; empty if it is no member
    shares      by owner, the shares that it holds as a member: SHARE_BYTES each, two per round (see `Contents.shares`)
    """

    seat: int
    ready: Digest
    present: Present
    self_seeds: Bytes
    pair_seeds: Mapping[int, Bytes]
    tag_keys: Mapping[int, bytes]
    shares: Mapping[int, bytes]

    def __repr__(self) -> str:
        return f"Ground(seat={self.seat})"
