"""What is decided about a round, and why, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from caduceus.kinds import Floats
from caduceus.market.mechanism.rules import Memory


class Lane(IntEnum):
    """Where a site's update went in one round."""

    ABSENT = 0
    """None came."""
    CONSENSUS = 1
    """Near enough to most others."""
    READMITTED = 2
    """Far from most others, and it clearly helps a declared stratum."""
    DROPPED = 3
    """Far from most others, and it helps no stratum more than the others do."""
    VETOED = 4
    """Its net benefit over the strata is negative."""
    COPIED = 5
    """The same as an update that was committed to earlier: it neither counts nor earns."""
    STALE = 6
    """Nothing in it that the last move did not have, or nothing at all."""
    VOID = 7
    """The last move is taken back; what was sent for the model that it made is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A judged round.

    weights     float64[n]; >= 0, sum <= 1, clipping included: the next move is the sum of weights[i] * update i.
                All 0 if `rolls_back`
    lane        one `Lane` per site
    scores      float64[n, s]; effect of each site on each stratum over the rounds (cosines)
    standing    float64[n, s]; the same of what sets the site apart from all others, in spreads from the median
    support     float64[n]; likeness with the others, in spreads from the median
    net         float64[n]; effects on all strata together, in spreads from zero
    shrink      float64[n]; factor in (0, 1] by which an update was clipped
    novelty     float64[n]; what of an update the last move does not explain, 0 to 1
    pay         float64[n]; of this round's pot; >= 0, sum <= 1
    memory      for the next round
    rolls_back  the last move did harm: the model before it is the model again, and what it brought is not paid
    """

    weights: Floats
    lane: tuple[Lane, ...]
    scores: Floats
    standing: Floats
    support: Floats
    net: Floats
    shrink: Floats
    novelty: Floats
    pay: Floats
    memory: Memory
    rolls_back: bool
