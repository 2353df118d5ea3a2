"""What evaluators say about updates: each stratum's effect, put together so that liars cannot decide it.

Two panels have the same say where both exist. Among hold-outs at sites the median by voice decides: nobody judges
itself or who is like it, and a circle has one voice. Independent evaluators have their own median.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caduceus.kinds import Floats
from caduceus.market.mechanism.company import Circles
from caduceus.market.mechanism.middle import middle
from caduceus.market.mechanism.seen import INDEPENDENT

QUORUM = 3.0
"""Voices that hold-outs at sites must have together to say anything."""


def combined(helps: Floats, owner: npt.NDArray[np.int64], circles: Circles) -> Floats:
    """One number for each site and stratum.

    helps    float64[n, e, s]; NaN where an evaluator says nothing
    owner    int64[e]
    returns  float64[n, s]; in the unit of `helps`; NaN where neither panel says anything
    """
    seats = np.maximum(owner, 0)
    peer = owner != INDEPENDENT
    say = np.where(peer[None, :] & ~circles.alike[:, seats], circles.voice[seats][None, :], 0.0)  # [n, e]
    by_stratum = np.moveaxis(helps, 2, 1)  # [n, s, e]
    voices = np.where(np.isnan(by_stratum), 0.0, say[:, None, :]).sum(axis=-1)
    peers = np.where(voices >= QUORUM, middle(by_stratum, say[:, None, :]), np.nan)
    independent = middle(by_stratum, np.where(peer, 0.0, 1.0))
    both = np.stack([peers, independent])
    heard = ~np.isnan(both)
    total = np.where(heard, both, 0.0).sum(axis=0)
    return np.asarray(np.where(heard.any(axis=0), total / np.maximum(heard.sum(axis=0), 1), np.nan))
