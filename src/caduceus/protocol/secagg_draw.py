"""The draw of committee, mask graph and groups from a public beacon.

Nothing but whole numbers is drawn or compared, so everybody draws the same on every machine; what is drawn decides who
could side with whom, so the beacon must have been unknown while sites enrolled.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, pairwise

import numpy as np
import numpy.typing as npt

from caduceus.crypto import keystream
from caduceus.crypto.entropy import tagged
from caduceus.errors import Misuse, Refused
from caduceus.protocol.secagg_plan import Family, Plan, check_plan

BEACON_BYTES = 32

_Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Who masks with whom: symmetric, nobody with itself.

    seats   all sites, ascending
    starts  int64[sites + 1]: the neighbours of the i-th seat are others[starts[i] : starts[i + 1]]; None: everybody
    others  positions in `seats`, ascending for each seat
    """

    seats: tuple[int, ...]
    starts: _Positions | None
    others: npt.NDArray[np.uint32]

    def neighbours(self, seat: int) -> tuple[int, ...]:
        """The seats that a seat shares masks with, ascending.

        Raises Misuse if nobody sits there.
        """
        at = bisect_left(self.seats, seat)
        if at == len(self.seats) or self.seats[at] != seat:
            raise Misuse(f"graph: nobody is in seat {seat}")
        if self.starts is None:
            return self.seats[:at] + self.seats[at + 1 :]
        return tuple(self.seats[other] for other in self.others[self.starts[at] : self.starts[at + 1]])


def draw_committee(beacon: bytes, seats: Sequence[int], size: int) -> tuple[int, ...]:
    """A committee, every set of this size alike likely; ascending.

    beacon  32 public bytes that were unknown while sites enrolled
    seats   all sites, ascending
    size    1 to all

    Raises Misuse if the beacon, the seats or the size is none.
    """
    _check_draw(beacon, seats)
    if not 1 <= size <= len(seats):
        raise Misuse(f"committee: {size} members of {len(seats)} sites")
    chosen = _shuffled(len(seats), "secagg/committee/1", beacon)[:size]
    return tuple(seats[at] for at in np.sort(chosen))


def draw_graph(beacon: bytes, seats: Sequence[int], plan: Plan) -> Graph:
    """The mask graph of a plan; the same on every machine, since nothing but whole numbers is drawn or compared.

    beacon  as for `draw_committee`
    seats   all sites, ascending; as many as were planned for

    Raises Misuse if the beacon or the seats are none, or do not fit the plan; Refused if the plan is none.
    """
    _check_draw(beacon, seats)
    sites = len(seats)
    if plan.sites != sites:
        raise Misuse(f"graph: {sites} sites and a plan for {plan.sites}")
    check_plan(plan)
    if plan.family is Family.FULL or plan.degree == sites - 1:
        return Graph(tuple(seats), None, np.empty(0, np.uint32))
    if plan.family is Family.RING:
        return Graph(tuple(seats), *_ring(_shuffled(sites, "secagg/ring/1", beacon), plan.degree // 2))
    return Graph(tuple(seats), *_mirrored(tuple(_later_neighbours(beacon, sites, plan.degree))))


def draw_groups(beacon: bytes, round: int, seats: Sequence[int], size: int) -> tuple[tuple[int, ...], ...]:
    """A partition of the sites for one round, every one with these sizes alike likely; each group ascending.

    beacon  as for `draw_committee`
    round   0 to 2**32 - 1; another round, an independent partition
    seats   all sites, ascending
    size    the least that a group may have; there are as many groups as fit, and sizes differ by at most one

    Raises Refused if the sites do not fill one group, Misuse if an argument is none.
    """
    _check_draw(beacon, seats)
    if size < 1 or not 0 <= round < 1 << 32:
        raise Misuse(f"groups: of {size} sites, in round {round}")
    if len(seats) < size:
        raise Refused(f"groups: {len(seats)} sites do not fill a group of {size}; enrol more or ask for smaller groups")
    order = _shuffled(len(seats), "secagg/groups/1", beacon, round.to_bytes(4))
    return tuple(tuple(seats[at] for at in np.sort(part)) for part in np.array_split(order, len(seats) // size))


def _check_draw(beacon: bytes, seats: Sequence[int]) -> None:
    if len(beacon) != BEACON_BYTES:
        raise Misuse(f"draw: a beacon is {BEACON_BYTES} bytes, got {len(beacon)}")
    if not seats or any(one >= other for one, other in pairwise(seats)):
        raise Misuse("draw: seats are not ascending")


def _words(size: int, tag: str, *context: bytes) -> npt.NDArray[np.uint64]:
    """Uniform 64-bit words that belong to a purpose."""
    words = np.zeros(size, np.uint64)
    keystream.add(words, sha256(tagged(tag, *context)).digest())
    return words


def _shuffled(size: int, tag: str, *context: bytes) -> _Positions:
    """0 .. size - 1, every order alike likely: distinct words prefer no order, and equal ones are drawn again."""
    for attempt in count():
        words = _words(size, tag, *context, attempt.to_bytes(4))
        order = np.argsort(words, kind="stable")
        ranked = words[order]
        if not (ranked[1:] == ranked[:-1]).any():
            break
    return order


def _ring(order: _Positions, reach: int) -> tuple[_Positions, npt.NDArray[np.uint32]]:
    """Everybody with the next `reach` on both sides of a ring."""
    sites = len(order)
    steps = np.concatenate([np.arange(-reach, 0), np.arange(1, reach + 1)])
    table = np.empty((sites, 2 * reach), np.uint32)
    table[order] = order[(np.arange(sites)[:, None] + steps) % sites]
    table.sort(axis=1)
    return np.arange(sites + 1) * (2 * reach), table.ravel()


def _later_neighbours(beacon: bytes, sites: int, degree: int) -> Iterator[_Positions]:
    """For each site its neighbours behind it; each pair has a word of its own and the chance degree / (sites - 1)."""
    limit = np.uint64(-(-(degree << 64) // (sites - 1)))
    for at in range(sites):
        words = _words(sites - 1 - at, "secagg/pairs/1", beacon, at.to_bytes(4))
        yield np.flatnonzero(words < limit) + (at + 1)


def _mirrored(later: Sequence[_Positions]) -> tuple[_Positions, npt.NDArray[np.uint32]]:
    """Both directions of every pair. Filled row by row, so each begins with its earlier neighbours, ascending."""
    sizes = np.array([len(row) for row in later], np.int64)
    for row in later:
        sizes[row] += 1
    starts = np.concatenate([[0], np.cumsum(sizes)])
    others = np.empty(starts[-1], np.uint32)
    ends = starts[:-1].copy()
    for at, row in enumerate(later):
        others[ends[row]] = at
        ends[row] += 1
        others[ends[at] : ends[at] + len(row)] = row
    return starts, others
