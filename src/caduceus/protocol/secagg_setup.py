"""What everybody in a job's secure aggregation agrees on before keys are made, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import final

from caduceus import canon
from caduceus.crypto import keystream, mldsa, xwing
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, JobId
from caduceus.protocol.secagg_apart import are_apart
from caduceus.protocol.secagg_draw import BEACON_BYTES, Graph, draw_committee, draw_graph, draw_groups
from caduceus.protocol.secagg_plan import FEWEST_SITES, Family, Plan, threshold_for

SUITE = f"flamingo23-shared/{xwing.SUITE}/{mldsa.SCHEME}/shamir-gf31"
"""The constructions of this version; the name is in every set-up, so another version never mixes with it."""

MOST_ROUNDS = 1024
"""That one set-up prepares."""

_WORD = 1 << 32
_PRESENTS = 8
_DRAWS = 64
"""Tries at a partition that stays apart from all before it."""


@canon.record("secagg/party/2")
class Party:
    """A site as it enrolled: its seat, the key that signs, SHA-256 of the ML-DSA-65 key that vouches for its keys."""

    seat: int
    signer: Address
    voucher: Digest


@canon.record("secagg/setup/1")
class Setup:
    """One set-up: keys and shares for a run of rounds.

    domain       EIP-712 domain separator: the chain and the contract
    coordinator  address of the coordinator's signer
    parties      every enrolled site, ascending by seat
    plan         neighbours, committee, threshold
    quorum       of how many sites at least a round opens the sum
    cohort       0: one sum over all survivors; else sums over groups, each of at least so many survivors
    beacon       from the chain, 32 bytes, unknown while sites enrolled: draws committee, graph and groups
    cipher       what masks are drawn with, see `keystream.CIPHERS`
    first        first round that this set-up is for
    rounds       how many rounds from there on
    draw         how many rounds of the job came to a sum before the first: decides the groups, see `Layout.groups`.
                 After a round that comes to none the job goes on with another set-up

    Reveals: nothing that the chain does not say.
    """

    suite: str
    domain: bytes
    job: JobId
    coordinator: Address
    parties: tuple[Party, ...]
    plan: Plan
    quorum: int
    cohort: int
    beacon: Digest
    cipher: str
    first: int
    rounds: int
    draw: int


def check(setup: Setup) -> None:
    """Make sure that a set-up is one that this version runs and that keeps what it promises.

    Raises Refused, saying what is wrong.
    """
    plan, seats = setup.plan, [party.seat for party in setup.parties]
    sites = len(seats)
    if setup.suite != SUITE:
        raise Refused(f"set-up: it asks for the suite {setup.suite[:80]!r}; this version has {SUITE!r}")
    if setup.cipher not in keystream.available():
        raise Refused(f"set-up: it asks for the cipher {setup.cipher[:80]!r}; this version has {keystream.available()}")
    if sites < FEWEST_SITES:
        raise Refused(f"set-up: {sites} sites; a sum over fewer than {FEWEST_SITES} gives single updates away")
    if seats != sorted(set(seats)) or not 0 <= seats[0] <= seats[-1] < _WORD:
        raise Refused("set-up: seats are not ascending numbers of 32 bits")
    if plan.sites != sites or not threshold_for(plan.committee) <= plan.threshold <= plan.committee <= sites:
        raise Refused(f"set-up: threshold {plan.threshold} in a committee of {plan.committee} of {sites} sites")
    if not threshold_for(sites) <= setup.quorum <= sites:
        raise Refused(f"set-up: a quorum of {setup.quorum} of {sites} sites; at least {threshold_for(sites)}")
    if setup.cohort and (setup.cohort < FEWEST_SITES or plan.family is not Family.FULL or 2 * setup.cohort > sites):
        raise Refused(
            f"set-up: groups of {setup.cohort} of {sites} sites; at least {FEWEST_SITES} and at most half of them, "
            "and groups need the full graph"
        )
    words = [setup.domain, setup.job, setup.beacon, *(party.voucher for party in setup.parties)]
    addresses = [setup.coordinator, *(party.signer for party in setup.parties)]
    if any(len(word) != BEACON_BYTES for word in words) or any(len(address) != 20 for address in addresses):
        raise Refused("set-up: a domain, job, beacon or voucher is not 32 bytes, or an address not 20")
    if not 0 <= setup.first <= setup.first + setup.rounds <= _WORD or not 0 < setup.rounds <= MOST_ROUNDS:
        raise Refused(f"set-up: {setup.rounds} rounds from {setup.first}; 1 to {MOST_ROUNDS} at a time")
    if not 0 <= setup.draw <= setup.first:
        raise Refused(f"set-up: {setup.draw} sums before round {setup.first}")


@final
class Layout:
    """Who has to do with whom under a set-up; everybody computes the same.

    Raises Refused if the set-up is not a sound one (see `check`).
    """

    def __init__(self, setup: Setup) -> None:
        check(setup)
        self.setup = setup
        self.id: Digest = canon.digest(setup)
        """In every message of the set-up, so that none can be replayed elsewhere."""
        self.parties = {party.seat: party for party in setup.parties}
        self.seats = tuple(self.parties)
        self.committee = draw_committee(setup.beacon, self.seats, setup.plan.committee)
        self.graph: Graph = draw_graph(setup.beacon, self.seats, setup.plan)
        self._members = frozenset(self.committee)
        self._neighbours: dict[int, tuple[int, ...]] = {}
        self._presents: dict[tuple[int, ...], Present] = {}
        self._partitions: list[tuple[tuple[int, ...], ...]] = []

    @cached_property
    def is_full(self) -> bool:
        """Whether everybody masks with everybody and sits in the committee."""
        return self.graph.starts is None and len(self.committee) == len(self.seats)

    def party(self, seat: int) -> Party:
        """The site in a seat.

        Raises Misuse if nobody there is enrolled.
        """
        if seat not in self.parties:
            raise Misuse(f"set-up: seat {seat} is not enrolled")
        return self.parties[seat]

    def is_member(self, seat: int) -> bool:
        """Whether a seat is in the committee."""
        return seat in self._members

    def neighbours(self, seat: int) -> tuple[int, ...]:
        """With whom a seat shares masks, ascending."""
        if seat not in self._neighbours:
            self._neighbours[seat] = self.graph.neighbours(seat)
        return self._neighbours[seat]

    def peers(self, seat: int) -> tuple[int, ...]:
        """Whose keys a seat needs: neighbours, the committee, and for a member everybody; ascending."""
        if self.is_member(seat) or self.is_full:
            return tuple(other for other in self.seats if other != seat)
        return tuple(sorted((self._members | set(self.neighbours(seat))) - {seat}))

    def receivers(self, seat: int) -> tuple[int, ...]:
        """To whom a seat deals: the committee, itself if it is a member, and neighbours in higher seats; ascending.

        A pair of neighbours gets its secret from the lower seat.
        """
        if self.is_full:
            return self.seats
        return tuple(sorted(self._members | {other for other in self.neighbours(seat) if other > seat}))

    def dealer(self, one: int, other: int) -> int | None:
        """Which of two sites deals their common secret: the lower if it deals to the other; None if neither does."""
        low, high = min(one, other), max(one, other)
        if self.is_member(high):
            return low
        if self.graph.starts is None or high in self.neighbours(low):
            return low
        return high if self.is_member(low) else None

    def present(self, seats: Sequence[int]) -> Present:
        """The layout narrowed to some sites, ascending; the same object while it is among the last few asked for."""
        key = tuple(seats)
        if key not in self._presents:
            while len(self._presents) >= _PRESENTS:
                self._presents.pop(next(iter(self._presents)), None)
            self._presents[key] = Present(self, key)
        return self._presents[key]

    def groups_in(self, round: int) -> tuple[tuple[int, ...], ...]:
        """The groups of a round of this set-up, by its number in the job; see `groups`.

        They are fixed with the set-up: sites that were told different ones share no secrets.
        """
        return self.groups(self.draw_of(round))

    def draw_of(self, round: int) -> int:
        """How many rounds of the job came to a sum before a round of this set-up."""
        return self.setup.draw + round - self.setup.first

    def groups(self, draw: int) -> tuple[tuple[int, ...], ...]:
        """The sites whose vectors are summed together, after so many sums have been opened; each ascending.

        draw  how many rounds of the job came to a sum before: a round that failed is drawn again as it was

        Groups are about twice the cohort, so that a group bears silent sites. A partition in which a group differs
        from an earlier one by fewer than `cohort` sites, and is not the same, is drawn again; where chance finds none,
        the earlier partitions come round again.
        """
        if not self.setup.cohort:
            return (self.seats,)
        while len(self._partitions) <= draw:
            self._partitions.append(self._next_partition(len(self._partitions)))
        return self._partitions[draw]

    def _next_partition(self, draw: int) -> tuple[tuple[int, ...], ...]:
        before = self._partitions
        earlier = {frozenset(group) for groups in before for group in groups}
        for attempt in range(_DRAWS):
            found = draw_groups(self.setup.beacon, draw * _DRAWS + attempt, self.seats, 2 * self.setup.cohort)
            if all(are_apart(earlier, frozenset(group), self.setup.cohort) for group in found):
                return found
        return before[draw % len({*before})]


@final
class Present:
    """A layout narrowed to the sites that are here.

    seats  ascending, all enrolled
    """

    def __init__(self, layout: Layout, seats: Sequence[int]) -> None:
        self.layout, self.seats = layout, tuple(seats)
        self._here = frozenset(seats)
        self._all = len(self._here) == len(layout.seats)
        self.members = self._only(layout.committee)
        """The committee, ascending."""
        self.place = {seat: at for at, seat in enumerate(self.seats)}
        """Positions among those present, by seat."""
        self.member_place = {seat: at for at, seat in enumerate(self.members)}
        """Positions in the committee, by seat."""

    def __contains__(self, seat: int) -> bool:
        return seat in self._here

    def peers(self, seat: int) -> tuple[int, ...]:
        """See `Layout.peers`."""
        return self._only(self.layout.peers(seat))

    def receivers(self, seat: int) -> tuple[int, ...]:
        """See `Layout.receivers`."""
        return self._only(self.layout.receivers(seat))

    def neighbours(self, seat: int) -> tuple[int, ...]:
        """See `Layout.neighbours`."""
        return self._only(self.layout.neighbours(seat))

    def dealers(self, seat: int) -> tuple[int, ...]:
        """Who deals to a seat, itself left out; ascending."""
        if self.layout.is_member(seat):
            return tuple(other for other in self.seats if other != seat)
        lower = {other for other in self.layout.neighbours(seat) if other < seat}
        # Members deal to the committee, to themselves, and to their own higher neighbours: to nobody else.
        return self._only(sorted(lower))

    def _only(self, seats: Sequence[int]) -> tuple[int, ...]:
        return tuple(seats) if self._all else tuple([seat for seat in seats if seat in self._here])


def quorum_for(plan: Plan, silent: int) -> int:
    """Of how many sites a sum must at least be.

    In the full graph two thirds and one more, whoever is missing; in a sparse one as many as keep the graph together.
    """
    least = threshold_for(plan.sites)
    return least if plan.family is Family.FULL else max(least, plan.sites - silent)


def most_missing(plan: Plan, members: int) -> int:
    """How many members may lack a dealer's shares: a threshold must have them, and no more can be lying about it.

    members  of the committee that are ready
    """
    return min(max(members - plan.threshold, 0), plan.committee // 3)


def ascending(seats: Sequence[int]) -> bool:
    """Whether seats are ascending, none twice."""
    return all(one < other for one, other in pairwise(seats))
