"""Small values with units, shared by every layer."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NewType

import numpy as np
import numpy.typing as npt

Digest = NewType("Digest", bytes)
"""SHA-256 output, 32 bytes; names a blob, a Merkle root, a model."""

Address = NewType("Address", bytes)
"""An account or contract on the chain, 20 bytes; shown to people with `show_address`."""

JobId = NewType("JobId", bytes)
"""A job's identifier on the chain, 32 bytes."""

Seat = NewType("Seat", int)
"""A site's place in one job: 0, 1, ... in the order in which sites enrolled."""

Tokens = NewType("Tokens", int)
"""Money in whole (smallest) units of the job's token; never a float."""

MICRO = 1_000_000
"""Millionths of epsilon per unit: how specifications, terms and contracts count it."""

PICO = 10**12
"""Parts of delta per unit, likewise."""

Floats = npt.NDArray[np.float64]
"""Model-unit numbers, float64."""

Singles = npt.NDArray[np.float32]
"""The same in float32, as torch has them."""

Residues = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
"""Integers modulo 2**32 or 2**64: the dtype is the modulus, and numpy's wrap-around is the ring."""


class Role(IntFlag):
    """What a member may do; one account may hold several. Values equal the contract's."""

    STEWARD = 1
    BUYER = 2
    COORDINATOR = 4
    ATTESTER = 8
    AGGREGATOR = 16
    EVALUATOR = 32


class Stage(IntEnum):
    """Where a job stands. Values equal the contract's; legal moves are in `market.job`."""

    NONE = 0
    OPEN = 1
    FUNDED = 2
    ENROLLING = 3
    TRAINING = 4
    SETTLING = 5
    COMPLETED = 6
    REJECTED = 7
    EXPIRED = 8


class Visibility(IntEnum):
    """What a job lets anyone see of single updates, the most first. A rule names the least that it needs."""

    OPEN = 0
    """Plain updates; for control arms only."""
    COHORT = 1
    """One coordinator, sums over groups of sites that are drawn anew for every sum."""
    GRAM = 2
    """Three aggregators hold shares: the inner products of all updates, and one weighted sum of them."""
    SUM = 3
    """One coordinator, one sum over all sites that took part."""


class Readiness(IntEnum):
    """A steward's signed verdict on whether a data set is fit to be lent; a job can demand a least one."""

    UNSTATED = 0
    """No report was published."""
    BLOCKED = 1
    """Something was found with which the data must not be lent."""
    CONDITIONAL = 2
    """Nothing blocks; somebody must look at something, or something could not be looked at."""
    READY = 3
    """Every rule that applies was run, and nothing needs attention."""


class Evidence(IntEnum):
    """How strong a claim in a report is; the product never uses a stronger word than this."""

    NOT_CHECKED = 0
    SIGNED = 1
    ATTESTED = 2
    RE_EXECUTED = 3
    PROVEN = 4

    @property
    def word(self) -> str:
        """The word as people read it."""
        return self.name.lower().replace("_", " ").replace("re executed", "re-executed")
