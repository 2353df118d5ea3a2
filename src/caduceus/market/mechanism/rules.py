"""Every number that the mechanism's decisions depend on, and what it remembers from round to round."""

from __future__ import annotations

import numpy as np

from caduceus.canon import record
from caduceus.errors import Misuse
from caduceus.kinds import Floats


@record("market/rules/1")
class Rules:
    """Parameters, fixed before training starts and part of the job's specification.

    A spread is 1.4826 times the median absolute deviation over sites.

    budgets    what share of pay each stratum can bring, the common stratum first; one number per stratum, sum <= 1
    voices     what share of a move each stratum decides, likewise; the common stratum's is the consensus lane's
    kappa      spreads above the median that a site's effect on a stratum must lie to re-admit it; `kappa_crowd` if
               it has a circle
    clear      spreads beyond that at which a stratum's voice is whole
    far        spreads below the median support at which a site leaves the consensus; `far_crowd` if it has a circle
    harmful    spreads below the median effect on one stratum at which a site leaves the consensus
    veto       spreads by which a site's effects on all strata together may lie below zero
    smoothing  how much earlier rounds still count, per round, in [0, 1)
    cap        most that one site weighs in a move, 0 to 1
    twin       cosine from which two updates are one and the same
    alike      least cosine over the rounds, of what sets sites apart, from which they form a circle, and the spreads
    apart      above the median of all pairs: both
    worse      by which part of itself the committee's median loss on a stratum must rise to take a move back, and
               `sure` standard errors: both
    """

    budgets: tuple[float, ...] = (0.75, 0.25)
    voices: tuple[float, ...] = (0.7, 0.3)
    kappa: float = 1.0
    kappa_crowd: float = 3.0
    clear: float = 1.0
    far: float = 3.0
    far_crowd: float = 0.5
    harmful: float = 4.0
    veto: float = 1.5
    smoothing: float = 0.95
    cap: float = 0.35
    twin: float = 0.95
    alike: float = 0.2
    apart: float = 4.0
    worse: float = 0.25
    sure: float = 3.0


@record("market/mean/1")
class Mean:
    """Weighted means over rounds, older rounds counting less: sums and the weights that they were made with."""

    sums: Floats
    weights: Floats

    @property
    def mean(self) -> Floats:
        """0 where nothing was heard."""
        return np.asarray(self.sums / np.maximum(self.weights, 1e-12), dtype=np.float64)


@record("market/memory/1")
class Memory:
    """What is carried from round to round; everybody who judges carries the same.

    rounds    how many were judged
    effects   [n, s]; each site's effect on each stratum (cosines)
    news      [n, s]; the same of what sets the site apart from all others
    likeness  [n, n]; cosines between sites
    pull      [n, n]; the same of what sets them apart
    earned    float64[n]; pay so far, in rounds' pots (a round pays 1 at most)
    latest    float64[n]; what of it the last round brought
    losses    float64[e, s]; the committee's losses before the last move; NaN before the first
    caution   what moves are multiplied by, (0, 1]: halved when one is taken back, doubled when one is kept
    """

    rounds: int
    effects: Mean
    news: Mean
    likeness: Mean
    pull: Mean
    earned: Floats
    latest: Floats
    losses: Floats
    caution: float


def start(rules: Rules, sites: int, evaluators: int) -> Memory:
    """Nothing remembered.

    Raises Misuse, naming the rule, if the rules make no sense.
    """
    _check(rules)
    strata = len(rules.budgets)
    unheard = Mean(np.zeros((sites, strata)), np.zeros((sites, strata)))
    unmet = Mean(np.zeros((sites, sites)), np.zeros((sites, sites)))
    losses = np.full((evaluators, strata), np.nan)
    return Memory(0, unheard, unheard, unmet, unmet, np.zeros(sites), np.zeros(sites), losses, 1.0)


def _check(rules: Rules) -> None:
    for name, shares in (("budgets", rules.budgets), ("voices", rules.voices)):
        if not shares or min(shares) < 0.0 or sum(shares) > 1.0 + 1e-9 or len(shares) != len(rules.budgets):
            raise Misuse(f"rules.{name}: one share per stratum, from 0 to 1, together at most 1")
    for name, value in (("smoothing", rules.smoothing), ("cap", rules.cap), ("twin", rules.twin)):
        if not 0.0 < value <= 1.0:
            raise Misuse(f"rules.{name}: {value}; above 0, at most 1")
