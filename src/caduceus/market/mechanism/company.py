"""Who goes with whom: copies, circles of sites that pull somewhere together, and how near each is to the others.

Honest hospitals differ. Once what they share is taken out, sites that are far more alike than pairs usually are either
are one, or want the same: such a circle has one voice, and its members do not judge each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.kinds import Floats
from caduceus.market.mechanism.middle import NORMAL, middle
from caduceus.market.mechanism.rules import Rules
from caduceus.market.mechanism.seen import Seen

Flags = npt.NDArray[np.bool_]

SHORT = 0.1
"""In typical lengths: what is shorter says nothing."""

REPLAYED = 0.98
"""Cosine with the last move from which an update is that move again."""

CROWD = 3
"""Two may be alike by chance, or because they treat the same patients."""

_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """How the sites of one round stand to each other.

    length    float64[n]; of the updates, model units
    typical   median length of the updates that say something
    cosines   float64[n, n] of this round
    speaking  bool[n]; present, not stale and no copy: who can enter the move
    copied    bool[n]; the same as an update that was committed to earlier
    stale     bool[n]; present, with nothing in it or the last move again
    """

    length: Floats
    typical: float
    cosines: Floats
    speaking: Flags
    copied: Flags
    stale: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Circles:
    """Who is alike over the rounds.

    alike    bool[n, n]; symmetric, true on the diagonal, copies included
    voice    float64[n]; one over how many are alike with the site, itself included and copies left out; 0 for a copy
    crowded  bool[n]; in a circle of CROWD or more, copies left out
    support  float64[n]; median cosine with those outside the site's circle, by voice
    """

    alike: Flags
    voice: Floats
    crowded: Flags
    support: Floats


def meet(seen: Seen, rules: Rules) -> Company:
    """Read one round's Gram matrix."""
    length = np.sqrt(np.maximum(np.diag(seen.products), 0.0))
    scale = np.maximum(length, _TINY)
    cosines = np.clip(seen.products / np.outer(scale, scale), -1.0, 1.0)
    typical = float(np.median(length[seen.present])) if seen.present.any() else 0.0
    along = seen.moved / (scale * max(seen.moved_norm2**0.5, _TINY))
    stale = seen.present & ((length <= SHORT * typical) | (along >= REPLAYED))
    fresh = seen.present & ~stale
    earlier = seen.order[None, :] < seen.order[:, None]
    copied = fresh & ((cosines >= rules.twin) & earlier & fresh[None, :]).any(axis=1)
    speaking = fresh & ~copied
    if speaking.any():
        typical = float(np.median(length[speaking]))
    return Company(length, typical, cosines, speaking, copied, stale)


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """What is left of updates once the direction they share is projected out.

    With m the mean of the unit updates u_i, what is left is v_i = u_i - m <u_i, m> / |m|^2, so that
    <v_i, v_j> = <u_i, u_j> - <u_i, m><u_j, m> / |m|^2, and the same for any other vector in place of u_j.

    pull  float64[n, n]; cosines between what is left: near 0 for honest sites with different patients, near 1 for
          those that want the same
    news  float64[n, e, s]; cosines of what is left with minus the evaluators' gradients: what a site brings for a
          stratum beyond what everybody brings; NaN as in `Seen.helps`
    """

    pull: Floats
    news: Floats


def apart(company: Company, helps: Floats) -> Apart:
    """Project out the shared direction.

    helps  float64[n, e, s] as in `Seen`

    Sums are numpy's own, in one order everywhere: a linear algebra library's differ in the last bit between machines.
    """
    mean = company.speaking / max(int(company.speaking.sum()), 1)
    along = (mean[:, None] * company.cosines).sum(axis=0)
    square = max(float((mean * along).sum()), _TINY)
    left = company.cosines - np.outer(along, along) / square
    length = np.sqrt(np.maximum(np.diag(left), _TINY))
    unit = helps / np.maximum(company.length, _TINY)[:, None, None]
    shared = (mean[company.speaking, None, None] * unit[company.speaking]).sum(axis=0)
    news = unit - along[:, None, None] / square * shared
    pull = np.clip(left / np.outer(length, length), -1.0, 1.0)
    return Apart(pull, np.clip(news / length[:, None, None], -1.0, 1.0))


def circles(company: Company, likeness: Floats, pull: Floats, rules: Rules) -> Circles:
    """Who pulls somewhere together, and who is near the others.

    likeness  float64[n, n]; cosines over the rounds so far, this one included
    pull      float64[n, n]; `Apart.pull` over the rounds so far

    The bar lies `apart` spreads above the median over all pairs: as long as most sites are honest, most pairs are, and
    their pull scatters around nothing, the less the more rounds it is averaged over.
    """
    n = len(likeness)
    others = ~np.eye(n, dtype=bool)
    fresh = company.speaking | company.copied
    among = pull[np.ix_(company.speaking, company.speaking)]
    bar = rules.alike
    if len(among) > 1:
        pairs = among[np.triu_indices(len(among), 1)]
        centre = float(np.median(pairs))
        bar = max(bar, centre + rules.apart * NORMAL * float(np.median(np.abs(pairs - centre))))
    twins = (company.cosines >= rules.twin) & np.outer(fresh, fresh)
    alike = (pull >= bar) | twins | ~others
    members = (alike & (company.speaking[None, :] | ~others)).sum(axis=1)
    voice = np.where(company.copied, 0.0, 1.0 / members)
    crowded = (alike & company.speaking[None, :]).sum(axis=1) >= CROWD
    say = np.where(~alike & company.speaking[None, :], voice[None, :], 0.0)
    support = np.nan_to_num(middle(likeness, say))
    return Circles(alike, voice, crowded, support)
