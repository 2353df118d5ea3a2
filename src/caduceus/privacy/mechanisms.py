"""Noise in the ring: every site adds its share, and the sum that is opened has as much as was stated.

After Kairouz, Liu and Steinke 2021 ("The distributed discrete Gaussian mechanism for federated learning with secure
aggregation"): each site adds samples of a discrete Gaussian in whole ring steps, exact ones (Canonne, Kamath and
Steinke 2020), so that no artefact of floating point gives a record away (Mironov 2012). If the noise of `noisy` sites
is in a sum, it has the stated variance; that of more sites makes it larger, and protects more.

**What a patient can change.** `Release.sensitivity` bounds it in model units. In steps it is

    sensitivity * scale * (1 + SLACK) + sqrt(length)                                                             (1)

An entry of an encoding is the nearest whole number of steps, so two encodings differ in it by at most one step more
than the exact sums do. SLACK covers that a site adds its rows up in float64: a sum of m vectors of norm at most s is
off by at most m * u * m * s in norm, whatever the order of the additions (Higham 2002, section 4.2; u = 2**-53), twice
for two neighbours, and 2 * m * m * u <= 2**-12 for m <= 2**20 rows. Casacuberta et al. 2022 show what happens where
this is left out. The rest of it is for computing and clipping one row's vector.

**What discreteness costs.** The variance of every site's noise is at least 2**48 steps squared, that of the sum s * s
at least 2**58. The sum of n <= 2**10 discrete Gaussians is a discrete Gaussian but for a factor within
exp(+-10 * n * exp(-pi**2 * 2**48)) in every probability (Kairouz et al., section 4), which is none. A discrete
Gaussian of deviation s is a continuous one rounded to whole numbers, but for a factor within
exp(+-(k * k / (s * s) + 1) / (20 * s * s)) at k: expand the density around k over half a step. Where every |k| is at
most 12 s this is at most exp(+-7.25 / s**2) per entry; twice for two neighbours, and for `MOST_ENTRIES` = 2**30
entries of all releases together it is below exp(+-5.5e-8): GAP in `accountant`. Outside of 12 s lies less than 2**-77
of all of them together, which `accountant` takes off delta. Rounding the continuous sum is rounding its noise, because
the encoding is whole, so the continuous mechanism's epsilon holds for it.

**A row is computed alone.** All this counts on one patient changing the patient's own vectors only, to the last bit:
`learn.private.alone` sees to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Residues
from caduceus.privacy.discrete_gaussian import draw
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event

SLACK = 2.0**-11
"""Relative; see above."""

MOST_ENTRIES = 1 << 30
"""Entries of all releases of a job together."""

LEAST_MULTIPLIER = 0.5
"""Less noise in one release than this is worth an epsilon above 9: nothing to state."""

_DEVIATION_BITS = 30
_ENTRY_BITS = 51
"""No entry of one site's encoding has more steps, so float64 holds each of them and 2**10 sites do not wrap."""


def event(multiplier: float, rate: float = 1.0, count: int = 1) -> Event:
    """Releases with at least the least noise that is worth stating; a large epsilon is then not spent whole."""
    return Event(DISCRETE_GAUSSIAN, max(float(multiplier), LEAST_MULTIPLIER), rate, count)


@dataclass(frozen=True, slots=True)
class Release:
    """A vector whose sum is opened with noise.

    length       entries
    bound        no entry of one site's vector is larger, model units
    sensitivity  Euclidean norm of what one patient of one site can change in the vector, model units, > 0
    multiplier   standard deviation of the sum's noise, divided by the sensitivity in steps
    """

    length: int
    bound: float
    sensitivity: float
    multiplier: float

    @property
    def scale(self) -> int:
        """Steps per model unit, a power of two: the noise of the sum has a deviation of 2**29 to 2**31 steps.

        Raises Refused if there is too little noise for such a bound.
        """
        if not (self.multiplier >= LEAST_MULTIPLIER and 0 < self.sensitivity < math.inf):
            raise Refused(f"a noise multiplier of {self.multiplier:g} is below {LEAST_MULTIPLIER}; spend less epsilon")
        exponent = _DEVIATION_BITS - math.ceil(math.log2(self.sensitivity * self.multiplier))
        if exponent < 0 or self.bound * 2.0**exponent > 2.0**_ENTRY_BITS:
            raise Refused(f"entries up to {self.bound:g} with noise of {self.deviation:g} do not fit into the ring")
        return 1 << exponent

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise in each entry of the sum, model units, where just `noisy` sites add it."""
        return self.sensitivity * self.multiplier

    def variance(self, noisy: int) -> int:
        """Of the noise that one site adds to each entry, in steps squared, rounded up.

        noisy  how many sites' noise makes the stated variance, >= 1
        """
        if noisy < 1:
            raise Misuse(f"variance: noise of {noisy} sites")
        steps = self.sensitivity * self.scale * (1 + SLACK) + math.sqrt(self.length)  # (1)
        return math.ceil((self.multiplier * steps) ** 2 * (1 + 2.0**-40) / noisy)


def noisy_sites(sites: int, missing_percent: int) -> int:
    """How many sites' noise must be in a sum of `sites`, where that of a share may be missing.

    sites            >= 1
    missing_percent  of the sites, 0 to 99: they fell silent, or added none

    Raises Misuse outside these ranges.
    """
    if sites < 1 or not 0 <= missing_percent <= 99:
        raise Misuse(f"noisy_sites: {missing_percent} per cent of {sites} sites")
    return sites - sites * missing_percent // 100


@dataclass(frozen=True, slots=True)
class Crowd:
    """Over how many sites sums are opened, as far as the specification says, to tell how much noise is in one.

    cohort           least sites of a group; 0 where there is one sum over all
    missing_percent  see `noisy_sites`
    """

    cohort: int
    missing_percent: int

    def excess(self, sites: int) -> float:
        """At most so many times the stated variance is in a total over `sites`, if all of them added their noise."""
        return sites / noisy_sites(self.cohort or sites, self.missing_percent)


def blur(encoded: Residues, key: bytes, release: Release, noisy: int) -> None:
    """Add one site's share of the noise to its encoding, in place.

    encoded  uint64[length]
    key      32 uniform secret bytes, for this release alone: the same key gives the same noise

    Raises Misuse if the encoding is another release's.
    """
    if encoded.dtype != np.uint64 or encoded.shape != (release.length,):
        raise Misuse(f"blur: {encoded.dtype}{encoded.shape} for a release of {release.length} entries")
    encoded += draw(key, release.length, variance=release.variance(noisy)).view(np.uint64)
