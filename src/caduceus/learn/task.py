"""What a round protocol needs to know of learning: vectors to sum, and what their sum means.

A job is a sequence of rounds. In each, every site computes one vector from its own rows and the public
state; the sum of these vectors, and nothing else, becomes known; `combine` makes the next public state
of it, in the open, so that anyone who holds the sum can do it again.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np

from caduceus.data.table import Table
from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.rows import Ready
from caduceus.learn.state import State
from caduceus.privacy.mechanisms import Release

SITES_LIMIT = 1024
"""No sum has more parties than this; the proof that no sum wraps needs a limit."""


D = TypeVar("D", bound=Ready)


class Task(Protocol[D]):
    """Learning as sums. Everything but `ready` and `contribute` is public and can be re-executed.

    D  what a site computes its vectors from
    """

    @property
    def trains_long(self) -> bool:
        """Whether a site computes for longer than its messages take: then sites gain from running side by side."""

    @property
    def max_rounds(self) -> int:
        """No run of this task has more rounds than this."""

    def opening(self) -> State:
        """The public state before round 0."""

    def check(self, state: State) -> None:
        """Refuse a state, perhaps a peer's, that no run of this task reaches.

        Raises Refused, naming the field.
        """

    def finished(self, state: State) -> bool:
        """Whether no round is left."""

    def length(self, state: State) -> int:
        """Entries of every site's vector in the coming round."""

    def bound(self, state: State) -> float:
        """Every entry of a vector lies in [-bound, bound]."""

    def scale(self, state: State) -> int:
        """Fixed-point steps per unit for the coming round, a power of two.

        `SITES_LIMIT` vectors within `bound` cannot wrap in a ring of `bits` bits (see `steps`).
        """

    def bits(self, state: State) -> int:
        """32 or 64: the ring of the coming round's sum."""

    def release(self, state: State) -> Release | None:
        """The noise that the coming round's sum carries, which every site adds a share of; None if the sum is exact.

        Where there is noise its `length`, `bound` and `scale` are those of the round, and `bits` is 64.
        """

    def ready(self, table: Table, label: str) -> D:
        """A site's rows as this task uses them; done once, before the first round.

        table  the site's records, under the schema that the task was built for
        label  the site's public name, the same in every run that should make the same splits

        Raises Refused, naming the column, if the table does not fit.
        """

    def contribute(self, state: State, site: D, secret: bytes = b"") -> Floats:
        """The site's half of the coming round, without noise: float64[length], each entry within the bound.

        secret  32 bytes that this site alone knows and uses for this state alone: draws which patients take part,
                where a task samples them; other tasks do not look at it

        The same arguments give the same bytes on one machine.
        """

    def combine(self, state: State, total: Floats, sites: int) -> State:
        """The public half: the next state.

        total    float64[length], the sum of the vectors of all sites that took part
        sites    how many took part, >= 1
        returns  the same bytes for the same arguments on one machine, and numbers within 1e-9 elsewhere
                 (`state.difference` compares)

        Raises Refused if nothing can be learned from such a sum, such as a target that never varies.
        """


def steps(bound: float, bits: int) -> int:
    """The finest fixed-point scale, a power of two, at which a sum of `SITES_LIMIT` vectors cannot wrap.

    bound  largest absolute entry of one vector, > 0
    bits   32 or 64

    Proof: bound * scale <= 2^(bits - 12), so one rounded entry is at most 2^(bits - 12) in size (a whole
    number, so rounding does not pass it) and 2^10 of them at most 2^(bits - 2), half of what a signed
    residue holds. With 64 bits an entry is at most 2^52 steps, so float64 holds each step exactly.

    Raises Misuse if not even one step per unit fits.
    """
    room = bits - 12
    scale = 2.0 ** (room - np.ceil(np.log2(bound)))
    if scale < 1:
        raise Misuse(f"steps: entries up to {bound} leave no room in a ring of {bits} bits")
    return int(scale)


def checked(total: Floats, length: int) -> Floats:
    """A round's total as float64[length].

    Raises Misuse if it has another shape or is not finite.
    """
    if total.shape != (length,) or not np.isfinite(total).all():
        raise Misuse(f"combine: expected {length} finite entries, got shape {total.shape}")
    return np.asarray(total, dtype=np.float64)
