"""The last line: whether the committee finds that the last move did harm, so that it is taken back."""

from __future__ import annotations

import numpy as np

from caduceus.kinds import Floats
from caduceus.market.mechanism.company import Circles
from caduceus.market.mechanism.evidence import QUORUM
from caduceus.market.mechanism.middle import middle, spread
from caduceus.market.mechanism.rules import Memory, Rules
from caduceus.market.mechanism.seen import INDEPENDENT, Seen


def harmed(rules: Rules, memory: Memory, seen: Seen, circles: Circles) -> bool:
    """Whether on some stratum the median loss over evaluators rose by much, and surely.

    Each evaluator is compared with itself before the move, on the same records. The median is by voice: liars move it
    only if they are half, and a circle has one voice. Without a quorum, and without independent evaluators, nobody
    says that it did harm.
    """
    peer = seen.owner != INDEPENDENT
    say = np.where(peer, circles.voice[np.maximum(seen.owner, 0)], 1.0)
    return any(
        _worse(rules, memory.losses[:, stratum], seen.losses[:, stratum], say, bool((~peer).any()))
        for stratum in range(seen.strata)
    )


def _worse(rules: Rules, before: Floats, after: Floats, say: Floats, independent: bool) -> bool:
    known = ~np.isnan(before) & ~np.isnan(after)
    voices = float(say[known].sum())
    if not known.any() or (voices < QUORUM and not independent):
        return False
    rise = (after - before)[known]
    typical = float(middle(rise, say[known]))
    error = spread(rise, say[known], 0.0) / voices**0.5
    return typical > rules.worse * float(middle(before[known], say[known])) and typical > rules.sure * error
