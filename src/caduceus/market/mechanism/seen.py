"""What a round opens about updates that nobody sees: the evidence that every judgement rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse
from caduceus.kinds import Floats

INDEPENDENT = -1
"""The owner of an evaluator who is no site: the buyer, a regulator, an enclave."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Inner products and losses of one round, for n sites, e evaluators and s strata; float64, model units.

    products      [n, n]; of the sites' updates, which the sites clip; rows and columns of absent sites are 0
    helps         [n, e, s]; minus the inner product of update i with the unit-norm gradient of evaluator e's loss on
                  stratum s: positive where the update lowers that loss; NaN where the evaluator has too few records
                  of the stratum or did not answer
    moved         [n]; of update i with the last move of the global model
    moved_helps   [e, s]; `helps` of the last move itself; 0 before the first
    moved_norm2   square norm of the last move; 0 before the first
    losses        [e, s]; mean loss of the current model on the evaluator's records of the stratum; NaN if unknown
    owner         int64[e]; the seat whose hold-out the evaluator speaks for, INDEPENDENT for an anchor
    present       bool[n]; who sent an update that passed its bounds
    order         int64[n]; when the commitments to the updates were recorded: 0, 1, ... ; equal numbers mean at once.
                  Who copies must have seen what it copies, so of two like updates the earlier is the original

    Reveals nothing more: the judge's every decision can be recomputed from it.
    """

    products: Floats
    helps: Floats
    moved: Floats
    moved_helps: Floats
    moved_norm2: float
    losses: Floats
    owner: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]
    order: npt.NDArray[np.int64]

    @property
    def sites(self) -> int:
        """How many sites enrolled, absent ones included."""
        return len(self.products)

    @property
    def strata(self) -> int:
        """How many strata the job declares."""
        return int(self.helps.shape[2])


def check(seen: Seen) -> None:
    """Make sure that the evidence fits together.

    Raises Misuse, naming the field, if shapes differ, a number that must be finite is not, or a seat does not exist.
    """
    n, (_, e, s) = len(seen.products), seen.helps.shape
    shapes = (
        ("products", seen.products, (n, n)),
        ("helps", seen.helps, (n, e, s)),
        ("moved", seen.moved, (n,)),
        ("moved_helps", seen.moved_helps, (e, s)),
        ("losses", seen.losses, (e, s)),
        ("owner", seen.owner, (e,)),
        ("present", seen.present, (n,)),
        ("order", seen.order, (n,)),
    )
    for name, array, shape in shapes:
        if array.shape != shape:
            raise Misuse(f"seen.{name}: shape {array.shape}; {shape} fits {n} sites, {e} evaluators, {s} strata")
    for name, array in (("products", seen.products), ("moved", seen.moved)):
        if not np.isfinite(array).all():
            raise Misuse(f"seen.{name}: not finite")
    if not np.isfinite(seen.moved_norm2) or seen.moved_norm2 < 0.0:
        raise Misuse("seen.moved_norm2: must be finite and >= 0")
    if np.isinf(seen.helps).any() or np.isinf(seen.moved_helps).any() or np.isinf(seen.losses).any():
        raise Misuse("seen: helps, moved_helps and losses may be NaN, not infinite")
    if ((seen.owner < INDEPENDENT) | (seen.owner >= n)).any():
        raise Misuse("seen.owner: a seat that does not exist")
