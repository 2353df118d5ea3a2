"""What a list of events is worth in epsilon: tight inside a job, rounded up, never down.

Releases without sampling are Gaussian mechanisms, and any number of them is worth exactly one (Dong, Roth and Su 2022,
"Gaussian differential privacy", corollary 3.3): epsilon follows from Balle and Wang 2018, theorem 8, without any
numerical composition. Releases with Poisson sampling are composed as privacy loss distributions by dp-accounting, in
its pessimistic discretisation (Doroshenko et al. 2022).

The noise is not a continuous Gaussian but a sum of discrete ones, in whole ring steps. `mechanisms` proves by how
little that differs, and it is added to every epsilon here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO, PICO
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending, check

GAP = 1e-7
"""What the difference between discrete and continuous noise adds to epsilon at most; the proof is in `mechanisms`."""

MOST_EPSILON = 1000.0
"""Beyond this a number protects nobody and is not told apart."""

_ROUNDING = 1e-15
"""The difference of two numbers of at most 1 is off by less, and what lies outside of 12 deviations is less."""

FINE, _COARSE = 1e-4, 1e-3
"""Discretisation of privacy losses: finer than the first changes the third digit of no epsilon above 0.05."""

_MOST_NOISE = 1e5

_STOPS = 16
"""Releases with sampling are priced after so many of them at most, and in between as the next stop."""


def epsilon(spending: Spending, delta: float, *, grid: float = FINE) -> float:
    """The least epsilon for which the releases together are (epsilon, delta)-differentially private, rounded up.

    delta    in (0, 1)
    grid     discretisation of releases with sampling; a coarser one is faster and rounds further up
    returns  0 for nothing; infinite above `MOST_EPSILON`

    Raises Refused for events that the accountant does not know, Misuse for another delta.
    """
    if not 0 < delta < 1:
        raise Misuse(f"epsilon: a delta of {delta}")
    if not spending.parts:
        return 0.0
    check(spending)
    return max(_of_part(part, delta, grid) for part in spending.parts) + GAP


def epsilon_micro(spending: Spending, delta_pico: int, *, grid: float = FINE) -> int:
    """The same in millionths, rounded up, for a delta in millionths of a millionth.

    Raises as `epsilon`, and Refused if no finite epsilon holds.
    """
    found = epsilon(spending, delta_pico / PICO, grid=grid)
    if not found <= MOST_EPSILON:
        raise Refused(f"privacy: so little noise gives an epsilon above {MOST_EPSILON:g}, which protects nobody")
    return math.ceil(found * MICRO)


def table(spending: Spending, delta_pico: int) -> tuple[int, ...]:
    """What has been spent after 0, 1, 2, ... releases, in millionths of epsilon: never falls, never below the truth.

    Releases with sampling are priced at every sixteenth of a run, and in between as the next stop, on a coarse grid:
    what a run that ends early is charged may be some per cent above the truth, what a whole one is charged is not.
    """
    whole, prices = epsilon_micro(spending, delta_pico), [0]
    done = 0
    for part in spending.parts:
        for event in part.events:
            step = 1 if event.rate == 1 else -(-event.count // _STOPS)
            for start in range(0, event.count, step):
                count = min(step, event.count - start)
                price = epsilon_micro(spending.first(done + start + count), delta_pico, grid=_COARSE)
                prices += [min(max(price, prices[-1]), whole)] * count
            done += event.count
    return (*prices[:-1], whole)


def aim(epsilon_micro: int, delta_pico: int) -> tuple[float, float]:
    """Epsilon and delta to aim noise at, so that its price, rounded up to millionths, is not above `epsilon_micro`."""
    return (epsilon_micro - 0.01) / MICRO, delta_pico / PICO


def multiplier(target: float, delta: float) -> float:
    """The noise multiplier of one release without sampling that spends `target`, rounded up.

    target  epsilon, > 0

    Raises Misuse if the target leaves no room for `GAP`.
    """
    if not GAP < target <= MOST_EPSILON:
        raise Misuse(f"multiplier: an epsilon of {target}; above {GAP}, at most {MOST_EPSILON}")
    # Halved until the interval is two neighbours among floats or almost so; the upper end always holds.
    low, high = 1e-4, 1.0
    while _gaussian_delta(high, target - GAP) > delta:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if _gaussian_delta(middle, target - GAP) > delta else (low, middle)
    return high * (1 + 1e-12)


def sampled_multiplier(target: float, delta: float, *, rate: float, count: int, also: Sequence[Event] = ()) -> float:
    """The noise multiplier of `count` releases with sampling that together with `also` spend at most `target`.

    Bisection over dp-accounting's composition on a coarse grid, to a hundredth, checked on the fine one.

    Raises Refused if `also` alone spends more.
    """

    def spent(noise: float, grid: float) -> float:
        part = Part((*also, Event(DISCRETE_GAUSSIAN, noise, rate, count)))
        return _composed(part, delta, grid) + GAP

    if also and epsilon(Spending((Part(tuple(also)),)), delta) >= target:
        raise Refused(f"privacy: what comes before the sampled rounds spends all of epsilon {target:g}")
    low, high = 0.0, 0.5
    while spent(high, _COARSE) > target:
        low, high = high, high * 2
        if high > _MOST_NOISE:
            raise Refused(f"privacy: no noise makes {count} releases spend only epsilon {target:g}")
    while high - low > 1e-2 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle, _COARSE) > target else (low, middle)
    while spent(high, FINE) > target:
        high *= 1.005
    return high


# ---------------------------------------------------------------- one part


def _of_part(part: Part, delta: float, grid: float) -> float:
    if all(event.rate == 1 for event in part.events):
        return _gaussian_epsilon(_together(part.events), delta)
    return _composed(part, delta, grid)


def _together(events: Sequence[Event]) -> float:
    """The multiplier of the one Gaussian release that these are worth: 1 / z**2 = sum of count / z_i**2."""
    return 1 / math.sqrt(math.fsum(event.count / event.multiplier**2 for event in events))


def _gaussian_delta(noise: float, epsilon: float) -> float:
    """Balle and Wang 2018, theorem 8, for noise multiplier `noise`; from above, whatever float64 rounds away."""
    a, b = 1 / (2 * noise), epsilon * noise
    first = 0.5 * math.erfc((b - a) / math.sqrt(2))
    log_second = epsilon + _log_tail(a + b)  # exp(epsilon) may be huge where the tail is tiny
    return first - (math.exp(log_second) if log_second > -745 else 0.0) + _ROUNDING


def _log_tail(x: float) -> float:
    """log P(Z > x) for x >= 0, to full relative precision."""
    if x < 30:
        return math.log(0.5 * math.erfc(x / math.sqrt(2)))
    square = 1 / (x * x)
    return -x * x / 2 - math.log(x * math.sqrt(2 * math.pi)) + math.log1p(-square * (1 - 3 * square * (1 - 5 * square)))


def _gaussian_epsilon(noise: float, delta: float) -> float:
    if _gaussian_delta(noise, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while _gaussian_delta(noise, high) > delta:
        low, high = high, high * 2
        if high > 4 * MOST_EPSILON:
            return math.inf
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if _gaussian_delta(noise, middle) > delta else (low, middle)
    return high * (1 + 1e-12)


@lru_cache(maxsize=256)
def _composed(part: Part, delta: float, grid: float) -> float:
    # Imported here because it takes longer to load than most jobs take, and jobs without sampling need none of it.
    from dp_accounting import dp_event
    from dp_accounting.pld import PLDAccountant

    accountant: Any = PLDAccountant(value_discretization_interval=grid)
    for event in part.events:
        one: Any = dp_event.GaussianDpEvent(event.multiplier)
        if event.rate < 1:
            one = dp_event.PoissonSampledDpEvent(event.rate, one)
        accountant.compose(one, event.count)
    return float(accountant.get_epsilon(delta - _ROUNDING))
