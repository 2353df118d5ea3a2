"""How many neighbours, how large a committee, which threshold: the sizes that keep secrets, and how well.

Sites mask pairwise along a graph, and a committee holds shares of everybody's secrets of a round, after Bell et al.
(CCS 2020) and Ma et al. (Flamingo, IEEE S&P 2023). Both are drawn (`secagg_draw`) from a beacon that nobody could
foresee while sites enrolled, so whoever sides with the coordinator did not choose its place. What is promised is a
probability over that draw: the committee and the graph fail with at most 2**-security_bits each, once for all rounds
that use them. Only a ring's chance is for one round, since the silent sites of each are another test of it. It counts
on no more silent sites than assumed: whoever consents to a list must refuse one that leaves out more.

Few sites need no savings: up to `FEW` everybody masks with everybody and sits in the committee, and nothing of
privacy is left to chance.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.errors import Refused
from caduceus.kinds import Floats

FEWEST_SITES = 3
"""With two sites each learns the other's vector from the sum; with one, everybody does."""

FEW = 128
"""Up to here everybody does everything: a site makes keys with 127 others in a fifth of a second per job, and 127 masks
of 8,000 words in 4 ms per round (one core). A sparser graph would save half of that, and not bear a third of liars."""

A_THIRD = 333
"""Permille cannot say a third; this many mean floor(sites / 3), the most that any threshold bears."""

_MOST_BITS = 256
_ROUNDING = 2.0**-20
"""Bits that a bound is kept away from its limit: more than all rounding of the logarithms together."""

_Positions = npt.NDArray[np.int64]


class Family(IntEnum):
    """What the mask graph is drawn from."""

    FULL = 0
    """Everybody with everybody."""
    RING = 1
    """A random ring; everybody with the next degree / 2 on both sides (a Harary graph over a random order)."""
    RANDOM = 2
    """Every pair with the same chance, independently (Erdos-Renyi); the degree is the expected one."""


@canon.record("secagg/assumptions/1")
class Assumptions:
    """What a plan may rely on.

    corrupt_permille   sites that side with a coordinator that lies, of a thousand; `A_THIRD` means floor(sites / 3)
    dropout_permille   sites that fall silent in a round, of a thousand
    security_bits      a draw of the committee, or of the graph, gives single vectors away with at most 2**-this
    correctness_bits   so many of the committee are silent that a round fails with at most 2**-this
    adaptive           whoever lies chooses who "falls silent" after it has seen the graph
    """

    corrupt_permille: int
    dropout_permille: int
    security_bits: int
    correctness_bits: int
    adaptive: bool

    def corrupt(self, sites: int) -> int:
        """How many of `sites` are corrupt; at least one, since every member is curious on its own."""
        if self.corrupt_permille == A_THIRD:
            return max(1, sites // 3)
        return max(1, self.corrupt_permille * sites // 1000)

    def silent(self, sites: int) -> int:
        """How many of `sites` fall silent."""
        return self.dropout_permille * sites // 1000


@canon.record("secagg/plan/1")
class Plan:
    """Sizes of a job's secure aggregation.

    sites      all that enrolled
    degree     neighbours of a site in the mask graph; expected ones if the family is RANDOM
    committee  members, each with a share of everybody's secrets
    threshold  consents to a survivor list, and shares that open a secret
    family     what the graph is drawn from

    Reveals: nothing that the chain does not say.
    """

    sites: int
    degree: int
    committee: int
    threshold: int
    family: Family


@dataclass(frozen=True, slots=True)
class Reached:
    """Base-2 logarithms of what may go wrong with a plan, from above; minus infinity: it cannot.

    committee  more than a third of the committee is corrupt
    graph      some honest survivors are cut off from the others, and their sum comes out by itself
    opening    fewer members than the threshold are there to open
    """

    committee: float
    graph: float
    opening: float


def default_assumptions(sites: int) -> Assumptions:
    """What to assume if nobody said otherwise: few sites bear the most that any threshold does.

    sites  1 or more; up to 512 a third may lie and all that the threshold can spare may fall silent
    """
    if sites <= 512:
        spare = sites - threshold_for(sites)
        # Rounded up, which for fewer than 1,000 sites means exactly `spare` of them again.
        return Assumptions(A_THIRD, -(-1000 * spare // sites), 40, 20, True)
    return Assumptions(100, 100, 40, 20, True)


def threshold_for(committee: int) -> int:
    """Two thirds of the committee and one more.

    With c <= committee / 3 corrupt members, two different survivor lists never both find this many consents: honest
    members sign one list each, so there are at most committee + c, and 2 * threshold >= 4 * committee / 3 + 2 / 3
    is more (the argument of Bonawitz et al. 2017, section 6.2).
    """
    return 2 * committee // 3 + 1


def plan(sites: int, assumptions: Assumptions, *, few: int = FEW) -> Plan:
    """The smallest committee, and with it the sparsest graph, that keep what is assumed to be bearable.

    sites  all that enrolled
    few    up to so many sites everybody masks with everybody and sits in the committee

    Raises Refused, saying what to change, if no plan keeps the bounds.
    """
    _check(sites, assumptions)
    corrupt, silent = assumptions.corrupt(sites), assumptions.silent(sites)
    if corrupt > sites // 3:
        raise Refused(f"plan: {corrupt} of {sites} sites corrupt; no threshold bears more than a third: assume fewer")
    committee = sites if sites <= few else _smallest_committee(sites, assumptions)
    threshold = threshold_for(committee)
    if committee == sites and silent > sites - threshold:
        raise Refused(
            f"plan: {silent} of {sites} sites silent, but {threshold} are needed to open; at most {sites - threshold} "
            "can be spared: assume a smaller dropout"
        )
    family, degree = (Family.FULL, sites - 1) if sites <= few else _sparsest(sites, assumptions)
    return Plan(sites, degree, committee, threshold, family)


def reached(plan: Plan, assumptions: Assumptions) -> Reached:
    """How likely each thing that a plan must prevent is.

    plan  any, also a stranger's

    Raises Refused if the plan is none: a size is out of range, or the degree is not one of the family.
    """
    _check(plan.sites, assumptions)
    check_plan(plan)
    sites, members, threshold = plan.sites, plan.committee, plan.threshold
    corrupt, silent = assumptions.corrupt(sites), assumptions.silent(sites)
    match plan.family:
        case Family.FULL:
            graph = -math.inf
        case Family.RING if not assumptions.adaptive or corrupt + silent < plan.degree:
            graph = _ring_cut(sites, min(sites, corrupt + silent), plan.degree)
        case Family.RING:
            graph = 0.0  # whoever sees the ring silences the neighbours of one site
        case Family.RANDOM:
            graph = _random_cut(sites - corrupt, silent, plan.degree / (sites - 1))
    return Reached(
        # Two lists find a threshold of consents each only if 2 * threshold <= members + corrupt ones.
        committee=hypergeometric_tail(sites, corrupt, members, min(members // 3, 2 * threshold - members - 1)),
        graph=graph,
        opening=hypergeometric_tail(sites, silent, members, members - threshold),
    )


def hypergeometric_tail(population: int, marked: int, drawn: int, most: int) -> float:
    """log2 P[more than `most` of `drawn` are marked], drawn without replacement; exact but for rounding."""
    lowest, highest = max(most + 1, drawn + marked - population, 0), min(marked, drawn)
    if most < drawn + marked - population:
        return 0.0
    if lowest > highest:
        return -math.inf
    k = np.arange(lowest, highest + 1)
    logs = _choose(population, marked, k) + _choose(population, population - marked, drawn - k)
    whole = _choose(population, population, np.array([drawn]))[0]
    return min(0.0, _log2_sum(logs - whole))


def binomial_tail(trials: _Positions, log_miss: Floats, most: int) -> Floats:
    """Natural log of a bound from above on P[Bin(trials, chance) <= most], entry by entry.

    log_miss  log(1 - chance), below 0

    Below the mean the terms shrink, going down from the one at `most`, at least by r = most * (1 - chance) /
    ((trials - most + 1) * chance) each, so their sum is at most that term / (1 - r). Exact if `most` is 0; 1 if
    `most` is not below the mean.
    """
    chance = -np.expm1(log_miss)
    below = trials * chance > most
    n, q, miss = trials[below], chance[below], log_miss[below]
    table = _log_factorials(int(trials.max(initial=0)))
    term = table[n] - table[most] - table[n - most] + most * np.log(q) + (n - most) * miss
    bound = np.zeros(len(trials))
    bound[below] = np.minimum(0.0, term + np.log((n - most + 1) * q / ((n + 1) * q - most)))
    return bound


def _smallest_committee(sites: int, assumptions: Assumptions) -> int:
    """The smallest that keeps both bounds; they are not monotone, because thirds are rounded, so all are tried."""
    corrupt, silent = assumptions.corrupt(sites), assumptions.silent(sites)
    for size in range(1, sites + 1):
        spare = size - threshold_for(size)
        if _holds(hypergeometric_tail(sites, corrupt, size, size // 3), assumptions.security_bits) and _holds(
            hypergeometric_tail(sites, silent, size, spare), assumptions.correctness_bits
        ):
            return size
    raise Refused(
        f"plan: {corrupt} of {sites} sites corrupt and {silent} silent leave no committee that both keeps secrets and "
        "opens them: assume a smaller dropout, or ask for fewer bits of correctness"
    )


def _sparsest(sites: int, assumptions: Assumptions) -> tuple[Family, int]:
    """The family that the assumptions ask for and its smallest degree; the full graph if nothing sparser holds."""
    corrupt, silent, bits = assumptions.corrupt(sites), assumptions.silent(sites), assumptions.security_bits
    if assumptions.adaptive:
        steps = range(sites - 1)
        first = bisect_left(
            steps, True, key=lambda k: _holds(_random_cut(sites - corrupt, silent, k / (sites - 1)), bits)
        )
        family, degree = Family.RANDOM, first
    else:
        steps = range(2, sites - 1, 2)
        first = bisect_left(steps, True, key=lambda k: _holds(_ring_cut(sites, corrupt + silent, k), bits))
        family, degree = Family.RING, 2 + 2 * first
    return (family, degree) if degree < sites - 1 else (Family.FULL, sites - 1)


def _ring_cut(sites: int, lost: int, degree: int) -> float:
    """log2 of a bound on the chance that the honest survivors on a random ring are not connected.

    lost  corrupt and silent sites together, chosen without looking at the ring

    Two survivors with no survivor between them on the ring are neighbours unless degree / 2 lost sites in a row
    separate them. It takes two such stretches to cut the ring, so fewer than `degree` lost sites never do. A given
    stretch of j = degree / 2 is all lost with C(lost, j) / C(sites, j) <= (lost / sites)**j, and the union bound over
    where it begins gives at most sites * (lost / sites)**j: event E2 of Bell et al. 2020, for a server that is curious
    but does not lie, with the share that is corrupt or silent.
    """
    half = degree // 2
    if lost < degree:
        return -math.inf
    at = np.array([half])
    stretch = _choose(sites, lost, at) - _choose(sites, sites, at)
    return min(0.0, math.log2(sites) + float(stretch[0]) / math.log(2))


def _random_cut(honest: int, silent: int, chance: float) -> float:
    """log2 of a bound on the chance that *some* `silent` sites cut the honest survivors of a random graph in two.

    chance  of every pair to be neighbours, independent of who is corrupt: they enrolled before the draw

    Say silent sites D are chosen, seeing the graph, and the honest survivors R fall apart. The smaller part S has
    s <= |R| / 2 <= honest / 2 sites, and no neighbour in R outside S. So all its honest neighbours outside S are in D:
    at most `silent`. For a given S each of the other honest - s sites is a neighbour of S with 1 - (1 - chance)**s,
    independently. The union over all S, which no longer speaks of D, is sum over s of C(honest, s) *
    P[Bin(honest - s, 1 - (1 - chance)**s) <= silent]. (If exactly `silent` honest sites are silent, s ends at
    (honest - silent) / 2; ending at honest / 2 covers fewer of them as well, and the terms between are negligible.)
    """
    if honest < 2:
        return -math.inf
    if not 0.0 < chance < 1.0:
        return 0.0 if chance <= 0.0 else -math.inf
    s = np.arange(1, honest // 2 + 1)
    tails = binomial_tail(honest - s, np.float64(math.log1p(-chance)) * s, silent)
    return min(0.0, _log2_sum(_choose(honest, honest, s) + tails))


def _holds(log2_chance: float, bits: int) -> bool:
    return log2_chance <= -bits - _ROUNDING


def _check(sites: int, assumptions: Assumptions) -> None:
    if sites < FEWEST_SITES:
        raise Refused(f"plan: {sites} sites; a sum over fewer than {FEWEST_SITES} gives single updates away")
    shares = (assumptions.corrupt_permille, assumptions.dropout_permille)
    bits = (assumptions.security_bits, assumptions.correctness_bits)
    if not all(0 <= share <= 1000 for share in shares) or not all(1 <= one <= _MOST_BITS for one in bits):
        raise Refused(f"plan: shares are 0 to 1000 permille and bits 1 to {_MOST_BITS}; got {shares} and {bits}")


def check_plan(plan: Plan) -> None:
    """Raise Refused if a plan is none: a size is out of range, or the degree is not one of the family."""
    sizes = 1 <= plan.threshold <= plan.committee <= plan.sites and 1 <= plan.degree < plan.sites
    if not sizes or (plan.family is Family.FULL and plan.degree != plan.sites - 1):
        raise Refused(
            f"plan: {plan.degree} neighbours, {plan.committee} members and a threshold of {plan.threshold} are no plan "
            f"for {plan.sites} sites"
        )
    if plan.family is Family.RING and plan.degree % 2:
        raise Refused(f"plan: {plan.degree} neighbours on a ring; half of them sit on either side: an even number")


@lru_cache(maxsize=4)  # a function of a public size
def _log_factorials(most: int) -> Floats:
    """log 0!, log 1!, ... log most!; read-only."""
    table = np.array([math.lgamma(n + 1) for n in range(most + 1)])
    table.setflags(write=False)
    return table


def _choose(most: int, n: int, k: _Positions) -> Floats:
    """log C(n, k), entry by entry, n <= most."""
    table = _log_factorials(most)
    return np.asarray(table[n] - table[k] - table[n - k])


def _log2_sum(logs: Floats) -> float:
    """log2 of the sum of numbers given by their natural logarithms."""
    peak = float(logs.max())
    return (peak + math.log(float(np.exp(logs - peak).sum()))) / math.log(2)
