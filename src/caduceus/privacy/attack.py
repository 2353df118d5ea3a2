"""What attacks prove: from how well somebody guessed who was in, a lower bound on epsilon.

An accountant says what a mechanism may reveal at most; whether the code has that mechanism in it, no accountant can
say. So somebody plays against it: puts records of their own choice in or leaves them out by coin, looks at what is
opened, and guesses. Who guesses better than (epsilon, delta)-differential privacy allows has shown that it does not
hold. A bound above the claim is a defect; a bound below it proves nothing good, it only says how hard was tried.

Every bound here is too high with a chance of at most `doubt`, whatever the attack. Four kinds, by what they suppose:

    one run    many records at once, one run (Steinke, Nasr and Jagielski 2023); supposes nothing of the mechanism
    many runs  one record, many independent runs (Jagielski, Ullman and Oprea 2020); supposes nothing
    gaussian   the same runs (Nasr et al. 2023). Its mu is a bound whatever the mechanism is: none that is mu'-GDP for
               a smaller mu' has such errors. That it is worth `epsilon(mu, delta)` supposes that errors trade against
               each other as for one Gaussian, which holds for sums with Gaussian noise and not where patients are
               sampled. In return it reads a small delta off errors that are not rare, and is tight
    of shape   the same runs. Supposes that the mechanism is the stated one but for the size of its noise, which is what
               the third supposes, and may have sampling

The first two compare an error rate with delta itself, so they stay far below the truth unless there are about as many
runs or records as 1 / delta.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.privacy import accountant
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending

Booleans = npt.NDArray[np.bool_]

MOST_GUESSES = 1 << 17
"""Of one run: all binomial tails are held at once."""

_THRESHOLDS = 512  # that are tried; between two of them lies hardly any score
_SAFE = 1e-7  # relative: more than lgamma and the sums below can be off by for up to 10**7 runs
_MOST = 64.0  # an epsilon above is not looked for: no number of guesses that fits shows it


# ---------------------------------------------------------------- one run


@dataclass(frozen=True, slots=True)
class Guesses:
    """How an attack on one run went.

    canaries  records that were in or out, each by its own fair coin
    made      how many of them were guessed, a number that was fixed beforehand
    right     guesses that were true
    """

    canaries: int
    made: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.made <= self.canaries or not 1 <= self.made <= MOST_GUESSES:
            raise Misuse(f"guesses: {self.right} right of {self.made} made about {self.canaries} canaries")


def guess(scores: Floats, present: Booleans, made: int) -> Guesses:
    """Guess that the highest scores were in and the lowest out, half of the guesses each; about the rest say nothing.

    scores   float64[canaries], higher where an attack believes that the record was in
    present  bool[canaries], the truth
    made     even, at most as many as there are
    """
    if scores.shape != present.shape or made % 2 or not 0 < made <= len(scores):
        raise Misuse(f"guess: {made} guesses about scores {scores.shape}, truth {present.shape}")
    order = np.argsort(scores, kind="stable")
    right = int(present[order[-made // 2 :]].sum()) + int((~present[order[: made // 2]]).sum())
    return Guesses(len(scores), made, right)


def chance(guesses: Guesses, epsilon: float, delta: float) -> float:
    """At most so likely does any attack on an (epsilon, delta)-DP mechanism guess so many or more right.

    With f(v) the chance that of `made` coins, each true with e**epsilon / (1 + e**epsilon), v or more are:

        f(right) + 2 canaries delta max over i >= 1 of (f(right - i) - f(right)) / i                              (1)

    Source: Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training Run" (2023), theorem 5.2. Neighbours
    differ by one record that is there or not, as ours do.
    """
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise Misuse(f"chance: epsilon {epsilon}, delta {delta}")
    return _chance(guesses, _log_choose(guesses.made), epsilon, delta)


def one_run(guesses: Guesses, *, delta: float, doubt: float) -> float:
    """The largest epsilon that the guesses rule out: for it and all below, (1) is at most `doubt`.

    Even guesses that are all right leave about 4 * canaries * delta / made in (1): with a smaller doubt they prove
    nothing. Who wants less doubt asks for a smaller delta, where the claim is a larger epsilon.

    Raises Misuse if 2 * canaries * delta > 1, where (1) says nothing.
    """
    _check(delta, doubt)
    if 2 * guesses.canaries * delta > 1:
        raise Misuse(f"one_run: {guesses.canaries} canaries are too many for a delta of {delta}")
    logs = _log_choose(guesses.made)

    def ruled_out(epsilon: float) -> bool:
        # (1) grows with epsilon: it is (1 - w) f(right) + w f(right - i) at its best i, with w <= 1
        return _chance(guesses, logs, epsilon, delta) <= doubt * (1 - _SAFE)

    return _bisect(ruled_out)


def _chance(guesses: Guesses, logs: Floats, epsilon: float, delta: float) -> float:
    right, made = guesses.right, guesses.made
    log_true, log_false = -math.log1p(math.exp(-epsilon)), -epsilon - math.log1p(math.exp(-epsilon))
    number = np.arange(made + 1)
    # From the small end: f(v) for v = made, ..., 0
    tails = np.minimum(np.cumsum(np.exp(logs + number * log_true + (made - number) * log_false)[::-1]), 1.0)[::-1]
    found = float(tails[right])
    if not right:
        return 1.0
    rises = (tails[:right][::-1] - found) / np.arange(1, right + 1)
    return min(found + 2 * guesses.canaries * delta * float(rises.max()), 1.0)


def _log_choose(n: int) -> Floats:
    """float64[n + 1], log of n over 0, ..., n."""
    factorials = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    logs: Floats = factorials[n] - factorials - factorials[::-1]
    return logs


# ---------------------------------------------------------------- many runs


@dataclass(frozen=True, slots=True)
class Errors:
    """How often an attack was wrong about one record, over independent runs.

    without       runs that did not have the record
    false_alarms  those of which it was said that they had it
    present       runs that had it
    misses        those of which it was said that they had not
    """

    without: int
    false_alarms: int
    present: int
    misses: int

    def __post_init__(self) -> None:
        if not (0 <= self.false_alarms <= self.without > 0 and 0 <= self.misses <= self.present > 0):
            raise Misuse(f"errors: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What an attack saw: higher where it believes that the record was there. Runs are independent.

    without  float64[runs], of runs without the record
    present  float64[runs], of runs with it
    """

    without: Floats
    present: Floats

    def errors(self, threshold: float) -> Errors:
        """Say of scores from `threshold` on that the record was there."""
        alarms, misses = int((self.without >= threshold).sum()), int((self.present < threshold).sum())
        return Errors(len(self.without), alarms, len(self.present), misses)

    def halves(self) -> tuple[Scores, Scores]:
        """The first half of the runs, to choose a threshold by, and the second, to count errors on."""
        a, b = len(self.without) // 2, len(self.present) // 2
        return Scores(self.without[:a], self.present[:b]), Scores(self.without[a:], self.present[b:])


Bound = Callable[[Errors, float, float], float]
"""From errors, delta and doubt to an epsilon."""


def many_runs(errors: Errors, delta: float, doubt: float) -> float:
    """An epsilon that (epsilon, delta)-DP does not go below, given these errors.

    Both errors' rates are bounded from above (Clopper and Pearson 1934), each with half of the doubt. Of false alarms
    with rate a and misses with rate b, 1 - b <= e**epsilon a + delta and 1 - a <= e**epsilon b + delta.

    Source: Kairouz, Oh, Viswanath 2015, theorem 2.1; Jagielski, Ullman, Oprea 2020, section 4.
    """
    _check(delta, doubt)
    a, b = _rates(errors, doubt)
    best = max((1 - delta - b) / a, (1 - delta - a) / b)
    return math.log(best) if best > 1 else 0.0


def mu(errors: Errors, doubt: float) -> float:
    """A mu such that no mechanism of Gaussian differential privacy below it has these errors; 0 if none is ruled out.

    Source: Dong, Roth, Su 2022, definition 2.6: for mu-GDP the miss rate b is at least Phi(Phi^-1(1 - a) - mu).
    """
    _check(0.5, doubt)
    a, b = _rates(errors, doubt)
    if a >= 1 or b >= 1:
        return 0.0
    normal = NormalDist()
    return max(-normal.inv_cdf(a) - normal.inv_cdf(b), 0.0)


def gaussian(errors: Errors, delta: float, doubt: float) -> float:
    """What `mu` is worth at this delta, if errors trade as for a Gaussian: see the module's text.

    Source: Nasr et al., "Tight Auditing of Differentially Private Machine Learning" (2023), section 4; Balle and Wang
    2018, theorem 8.
    """
    _check(delta, doubt)
    least = mu(errors, doubt)
    if least <= 1e-6:
        return 0.0
    release = Spending((Part((Event(DISCRETE_GAUSSIAN, 1 / least, 1.0, 1),)),))
    # The accountant rounds up and adds what discrete noise may cost; a lower bound takes that off again.
    return max(accountant.epsilon(release, delta) - accountant.GAP - 1e-9, 0.0)


def of_shape(errors: Errors, part: Part, delta: float, doubt: float) -> float:
    """The epsilon of the stated events with as much noise as these errors leave possible: see the module's text.

    All multipliers are taken times one factor, the largest (to a hundredth) that the errors do not rule out. The
    epsilon is the accountant's for that, so a factor of 1 gives the claim itself, and one above gives less.
    """
    _check(delta, doubt)
    a, b = _rates(errors, doubt)
    if a + b >= 1:  # as good as guessing blindly
        return 0.0

    def ruled_out(factor: float) -> bool:
        return _least_misses(_louder(part, factor), a) > b

    high = 1.0
    while not ruled_out(high):
        high *= 2
        if high > _MOST:
            return 0.0
    low = high / 2
    while ruled_out(low) and low > 1 / _MOST:
        low, high = low / 2, low
    while high - low > 1e-2 * low:
        middle = (low + high) / 2
        low, high = (low, middle) if ruled_out(middle) else (middle, high)
    return accountant.epsilon(Spending((_louder(part, high),)), delta)


def _louder(part: Part, factor: float) -> Part:
    return Part(tuple(Event(one.mechanism, one.multiplier * factor, one.rate, one.count) for one in part.events))


def _least_misses(part: Part, alarms: float) -> float:
    """No attack on these events with this rate of false alarms has a lower rate of misses.

    Source: Dong, Roth, Su 2022, proposition 2.12: the curve is the upper hull of the lines of all (epsilon, delta).
    """
    # Imported here because it takes longer to load than most jobs take, and nothing that a job runs needs it.
    from dp_accounting import dp_event
    from dp_accounting.pld import PLDAccountant

    composed: Any = PLDAccountant(value_discretization_interval=2e-3)  # rounds towards fewer misses
    for event in part.events:
        one: Any = dp_event.GaussianDpEvent(event.multiplier)
        if event.rate < 1:
            one = dp_event.PoissonSampledDpEvent(event.rate, one)
        composed.compose(one, event.count)
    epsilons = np.linspace(0.0, 10.0, 401)
    kept = 1 - np.asarray(composed.get_delta(epsilons))
    growth = np.exp(epsilons)
    return float(max((kept - growth * alarms).max(), ((kept - alarms) / growth).max(), 0.0))


def best(scores: Scores, bound: Bound, *, delta: float, doubt: float) -> float:
    """A bound at a threshold that the first half of the runs chooses and the second half is judged by."""
    choosing, judging = scores.halves()
    return bound(judging.errors(_threshold(choosing, bound, delta, doubt)), delta, doubt)


def _threshold(scores: Scores, bound: Bound, delta: float, doubt: float) -> float:
    """Where the bound is highest, among thresholds evenly in log-odds of their rank: rare errors say the most."""
    without, present = np.sort(scores.without), np.sort(scores.present)
    every = np.concatenate([without, present])
    levels = 1 / (1 + np.exp(-np.linspace(-1, 1, _THRESHOLDS) * math.log(2.0 * len(every))))
    found = []
    for one in np.unique(np.quantile(every, levels)):
        alarms = len(without) - int(np.searchsorted(without, one))
        misses = int(np.searchsorted(present, one))
        found.append((bound(Errors(len(without), alarms, len(present), misses), delta, doubt), float(one)))
    return max(found)[1]


def _rates(errors: Errors, doubt: float) -> tuple[float, float]:
    """Rates of false alarms and misses, from above, wrong together with at most `doubt`."""
    return (
        at_most(errors.false_alarms, errors.without, doubt / 2),
        at_most(errors.misses, errors.present, doubt / 2),
    )


def at_most(seen: int, runs: int, doubt: float) -> float:
    """The largest rate at which `seen` events or fewer in `runs` are not too unlikely.

    returns  with a chance of at most `doubt` below the true rate

    Source: Clopper and Pearson 1934.
    """
    if not (0 <= seen <= runs and runs > 0 and 0 < doubt < 1):
        raise Misuse(f"at_most: {seen} of {runs}, doubt {doubt}")
    low, high = seen / runs, 1.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _or_fewer(seen, runs, middle) < doubt * (1 - _SAFE) else (middle, high)
    return high


def _or_fewer(k: int, n: int, p: float) -> float:
    """P[Binomial(n, p) <= k]: the regularised incomplete beta function at 1 - p, with n - k and k + 1."""
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    a, b = n - k, k + 1
    logs = math.lgamma(n + 1) - math.lgamma(a) - math.lgamma(b) + a * math.log1p(-p) + b * math.log(p)
    # The fraction converges quickly only on one side; the other is its complement.
    if 1 - p < a / (a + b):
        return math.exp(logs) * _fraction(a, b, 1 - p) / a
    return 1 - math.exp(logs) * _fraction(b, a, p) / b


def _fraction(a: int, b: int, x: float) -> float:
    """The continued fraction of the incomplete beta function, forwards (Lentz's rule, amended by Thompson, Barnett).

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 and 3.10(iii).
    """
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 1_000_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 + term * d, 1 + term / c
            d, c = 1 / (d if abs(d) > tiny else tiny), c if abs(c) > tiny else tiny
            value *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return value


def _bisect(ruled_out: Callable[[float], bool]) -> float:
    """The largest epsilon that is ruled out, from below; 0 if none is."""
    if not ruled_out(0.0):
        return 0.0
    low, high = 0.0, _MOST
    if ruled_out(high):
        return high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low


def _check(delta: float, doubt: float) -> None:
    if not (0 <= delta < 1 and 0 < doubt < 1):
        raise Misuse(f"audit: delta {delta}, doubt {doubt}")
