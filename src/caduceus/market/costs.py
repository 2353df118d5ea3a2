"""What a job spends of a site's privacy budget, sum by sum.

The buyer commits to the whole table when it opens the job, and every site computes the same table from the
specification before it enrols. Enrolling reserves the last line; a job that ends early is charged the line of the sums
that were opened.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.crypto.merkle import Tree, leaf
from caduceus.errors import Misuse
from caduceus.kinds import Digest

_LARGEST = 2**64 - 1
"""The contract counts budgets in 64 bits."""

_MOST_SUMS = 2**16 - 1
"""The contract counts sums in 16 bits."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What has been spent once `sums` sums were opened: epsilon in millionths, delta in millionths of a millionth."""

    sums: int
    epsilon_micro: int
    delta_pico: int


@dataclass(frozen=True, slots=True)
class Costs:
    """The table of a job that spends privacy.

    steps  (epsilon in millionths, delta in millionths of a millionth) after 0, 1, 2, ... sums: everything spent so far.
           The first is (0, 0), none is less than the one before, and the last, a whole run, is above zero in both

    Raises Misuse if the table is anything else, or does not fit the contract's numbers.
    """

    steps: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.steps) <= _MOST_SUMS + 1 or self.steps[0] != (0, 0):
            raise Misuse(f"costs: begin with (0, 0) and go on for 1 to {_MOST_SUMS} sums, got {len(self.steps)} steps")
        for sums, (before, after) in enumerate(zip(self.steps, self.steps[1:], strict=False), start=1):
            if after[0] < before[0] or after[1] < before[1]:
                raise Misuse(
                    f"costs: {after} after {sums} sums is less than {before} before; what is spent stays spent"
                )
        if not all(0 < amount <= _LARGEST for amount in self.steps[-1]):
            raise Misuse(f"costs: a whole run spends {self.steps[-1]}; both must be above 0 and fit in 64 bits")

    @property
    def sums(self) -> int:
        """How many sums a whole run opens."""
        return len(self.steps) - 1

    @property
    def whole(self) -> Cost:
        """What a whole run spends: what enrolling reserves."""
        return self.at(self.sums)

    def at(self, sums: int) -> Cost:
        """What has been spent once `sums` sums were opened.

        Raises Misuse if the job opens no such number of sums.
        """
        if not 0 <= sums <= self.sums:
            raise Misuse(f"costs: {sums} sums of a job that opens up to {self.sums}")
        return Cost(sums, *self.steps[sums])

    def tree(self) -> Tree:
        """The Merkle tree whose root is in the job's terms on the chain."""
        return Tree([leaf(self.leaf_data(sums)) for sums in range(len(self.steps))])

    @property
    def root(self) -> Digest:
        return self.tree().root

    def proof(self, sums: int) -> tuple[Digest, ...]:
        """The siblings of a line of the table, from the bottom up.

        Raises Misuse if the table has no such line.
        """
        return self.tree().proof(sums)

    def leaf_data(self, sums: int) -> bytes:
        """Leaf data of a line: abi.encode(uint256 sums, uint256 epsilonMicro, uint256 deltaPico).

        Raises Misuse if the table has no such line.
        """
        cost = self.at(sums)
        return b"".join(word.to_bytes(32, "big") for word in (cost.sums, cost.epsilon_micro, cost.delta_pico))
