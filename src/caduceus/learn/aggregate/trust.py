"""Rules that judge directions: against a trusted reference (FLTrust), against each other over time (FoolsGold), and
by the densest cone of directions (FLAME).
"""

from __future__ import annotations

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.aggregate.voices import Indices, present


def cosines(gram: Floats) -> Floats:
    """Cosines between all rows: float64[k, k]; 0 with a row of length 0, except for itself."""
    lengths = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    both = np.outer(lengths, lengths)
    found: Floats = np.clip(np.divide(gram, both, out=np.zeros_like(gram), where=both > 0), -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def fltrust(gram: Floats, reference: int, voices: Floats | None = None) -> Floats:
    """Updates scaled to the reference's length, weighted by the positive part of their cosine with it.

    gram       float64[n, n], with the reference (an update trained on trusted data) as one of the rows
    reference  which row; it has no voice and gets no weight
    returns    float64[n], >= 0: what the updates themselves are multiplied by. trust_i |r| / |x_i|, where the trusts
               sum to 1; all 0, so that the model stays, if no update points the reference's way

    Needs GRAM. Breakdown: any number, as long as the reference can be trusted.
    Raises Misuse if the reference is no finite row.
    Source: Cao et al., FLTrust, NDSS 2021, section IV.
    """
    if not 0 <= reference < len(gram) or not np.isfinite(gram[reference, reference]):
        raise Misuse(f"FLTrust: row {reference} cannot be the reference")
    says = np.ones(len(gram)) if voices is None else voices.copy()
    says[reference] = 0.0
    here = present(gram, says)
    along = gram[here.rows, reference]
    lengths = np.sqrt(np.maximum(np.diagonal(gram)[here.rows], 0.0))
    own = float(np.sqrt(gram[reference, reference]))
    scale = lengths * own
    trust = here.voices * np.maximum(np.divide(along, scale, out=np.zeros_like(along), where=scale > 0), 0.0)
    if not trust.any():
        return np.zeros(here.total)
    trust /= trust.sum()
    return here.spread(trust * np.divide(own, lengths, out=np.zeros_like(lengths), where=lengths > 0))


def foolsgold(history: Floats, voices: Floats | None = None) -> Floats:
    """Less weight to those whose summed updates are alike: float64[n], sum 1.

    history  float64[n, n], inner products of each site's updates summed over all rounds so far

    Needs GRAM (shares add up, so aggregators can keep the sums unseen). Breakdown: any number of Sybils that send
    alike; none against attackers that differ, and honest sites with the same data lose.
    Where everybody is alike nobody can be told apart, and voices decide.
    Source: Fung et al., The Limitations of Federated Learning in Sybil Settings, RAID 2020, algorithm 1, kappa 1,
    without feature importance.
    """
    here = present(history, voices)
    if here.count == 1:
        return here.spread(here.voices)
    alike = cosines(here.of(history))
    np.fill_diagonal(alike, -1.0)
    # Pardoning: who is less alike than the other is not blamed for the likeness. A closest cosine below 0 counts as 0,
    # where the paper's quotient would turn opposed directions into likeness.
    closest = np.maximum(alike.max(axis=1), 0.0)
    less = closest[:, None] < closest[None, :]
    pardoned = alike * np.divide(closest[:, None], closest[None, :], out=np.ones_like(alike), where=less)
    np.fill_diagonal(pardoned, -np.inf)
    rate = np.clip(1.0 - pardoned.max(axis=1), 0.0, 1.0)
    if rate.max() <= 1e-12:
        return here.spread(here.voices)
    rate = np.clip(rate / rate.max(), 1e-15, 0.99)  # the logit of 1 is infinite; .99 already gives full weight
    weights = here.voices * np.clip(np.log(rate / (1.0 - rate)) + 0.5, 0.0, 1.0)
    return here.spread(weights / weights.sum())


def flame(gram: Floats, voices: Floats | None = None) -> Floats:
    """The majority's cluster by cosine, each update clipped to the median length: float64[n].

    returns  voice_i min(1, S / |x_i|) over the kept, whose voices sum to 1; S is the median length of all present.
             The sum is at most 1, and below 1 where somebody is clipped.

    The rule's noise is not added here: privacy noise is a matter of the protocol.
    Needs GRAM. Breakdown: fewer than half.
    Source: Nguyen et al., FLAME, USENIX Security 2022, algorithm 1, lines 5 to 12.
    """
    here = present(gram, voices)
    inner = here.of(gram)
    lengths = np.sqrt(np.maximum(np.diagonal(inner), 0.0))
    kept = largest_cluster(1.0 - cosines(inner), here.count // 2 + 1)
    bound = float(np.median(lengths))
    clipped = np.divide(bound, lengths, out=np.ones_like(lengths), where=lengths > bound)
    return here.average(kept) * here.spread(clipped)


def largest_cluster(apart: Floats, least: int) -> Indices:
    """The rows that HDBSCAN keeps with min_cluster_size = least > n / 2, min_samples 1 and a single cluster allowed.

    apart    float64[n, n], symmetric distances
    returns  intp[m], ascending, m >= least

    No split can leave two clusters of more than half, so the condensed tree is one chain, and the points that stay
    to its end are the first connected component of `least` rows as the distance grows, with all that are tied.

    Raises Misuse unless n / 2 < least <= n.
    Source: Campello et al., Density-Based Clustering Based on Hierarchical Density Estimates, PAKDD 2013.
    """
    count = len(apart)
    if not count < 2 * least <= 2 * count:
        raise Misuse(f"largest cluster: wanted more than half of {count} and no more than all, got {least}")
    labels = np.arange(count)
    for height, one, other in _spanning_tree(apart):
        labels[labels == labels[other]] = labels[one]
        together = labels == labels[one]
        if np.count_nonzero(together) >= least:
            return _within(apart, one, height)
    return np.arange(count)


def _spanning_tree(apart: Floats) -> list[tuple[float, int, int]]:
    """Edges of a minimum spanning tree, shortest first (Prim)."""
    outside = np.ones(len(apart), dtype=bool)
    nearest, via = np.full(len(apart), np.inf), np.zeros(len(apart), dtype=np.intp)
    edges, at = [], 0
    for _ in range(len(apart) - 1):
        outside[at] = False
        closer = apart[at] < nearest
        nearest[closer], via[closer] = apart[at][closer], at
        at = int(np.argmin(np.where(outside, nearest, np.inf)))
        edges.append((float(nearest[at]), int(via[at]), at))
    return sorted(edges)


def _within(apart: Floats, start: int, height: float) -> Indices:
    """The connected component of a row under links up to a height."""
    linked = apart <= height
    reached = linked[start]
    while True:
        wider = linked[reached].any(axis=0) | reached
        if np.array_equal(wider, reached):
            return np.flatnonzero(reached)
        reached = wider
