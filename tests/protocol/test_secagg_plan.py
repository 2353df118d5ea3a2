"""Sizes of committee and graph against scipy, networkx and chance; and the draw of both."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from caduceus import canon
from caduceus.errors import Misuse, Refused
from caduceus.protocol.secagg_draw import Graph, draw_committee, draw_graph, draw_groups
from caduceus.protocol.secagg_plan import (
    A_THIRD,
    FEW,
    Assumptions,
    Family,
    Plan,
    binomial_tail,
    default_assumptions,
    hypergeometric_tail,
    plan,
    reached,
    threshold_for,
)

TENTH = Assumptions(100, 50, 40, 20, adaptive=True)
CURIOUS = replace(TENTH, adaptive=False)


def beacon(number: int) -> bytes:
    return sha256(number.to_bytes(8)).digest()


def bits(chance: float) -> float:
    return math.log2(chance) if chance > 0 else -math.inf


def network(graph: Graph) -> nx.Graph:
    """The same graph as networkx holds it."""
    net = nx.Graph()
    net.add_nodes_from(graph.seats)
    net.add_edges_from((seat, other) for seat in graph.seats for other in graph.neighbours(seat))
    return net


def within(failures: int, trials: int, log2_bound: float) -> bool:
    """That so many failures are no surprise (one in a million) if each has at most the chance 2**log2_bound."""
    return bool(stats.binom.sf(failures - 1, trials, 2.0**log2_bound) > 1e-6)


# ---------------------------------------------------------------- tails


@given(st.integers(1, 400), st.data())
def test_the_tail_of_a_committee_is_scipys(population, data):
    marked, drawn = data.draw(st.integers(0, population)), data.draw(st.integers(0, population))
    most = data.draw(st.integers(-1, population))
    expected = stats.hypergeom.sf(most, population, marked, drawn)
    assert 2 ** hypergeometric_tail(population, marked, drawn, most) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_the_tail_of_a_committee_is_exact_where_it_is_tiny():
    ways = sum(math.comb(1000, k) * math.comb(9000, 117 - k) for k in range(40, 118))
    expected = Fraction(ways, math.comb(10_000, 117))
    exact = math.log2(expected.numerator) - math.log2(expected.denominator)
    assert hypergeometric_tail(10_000, 1000, 117, 39) == pytest.approx(exact, abs=1e-7)


@given(st.integers(1, 2000), st.floats(0.001, 0.999), st.data())
def test_the_bound_on_a_binomial_tail_is_above_it_and_within_its_factor(trials, chance, data):
    most = data.draw(st.integers(0, trials))
    bound = float(binomial_tail(np.array([trials]), np.array([math.log1p(-chance)]), most)[0])
    expected = float(stats.binom.logcdf(most, trials, chance))
    assert bound >= expected - 1e-7 * max(1.0, -expected)
    if trials * chance > most + 1 and expected > -600:  # further out scipy gives minus infinity
        # The terms are no more than geometric, so the largest alone is at least 1 - ratio of the bound.
        ratio = most * (1 - chance) / ((trials - most + 1) * chance)
        assert bound <= expected - math.log1p(-ratio) + 1e-7 * max(1.0, -expected)


def test_the_bound_on_a_binomial_tail_is_exact_where_nobody_is_silent():
    bound = binomial_tail(np.array([50]), np.array([math.log1p(-0.3)]), 0)
    assert float(bound[0]) == pytest.approx(50 * math.log(0.7))


def test_the_bound_on_a_cut_is_the_union_over_all_parts():
    sites, corrupt, silent, degree = 60, 6, 3, 33
    chance, honest = degree / (sites - 1), sites - corrupt
    union = sum(
        math.comb(honest, s) * stats.binom.cdf(silent, honest - s, 1 - (1 - chance) ** s)
        for s in range(1, honest // 2 + 1)
    )
    found = reached(Plan(sites, degree, sites, threshold_for(sites), Family.RANDOM), TENTH).graph
    assert bits(union) <= found <= bits(union) + 1  # at most a bit is given away by the bound on the tails


# ---------------------------------------------------------------- plans


@given(st.integers(3, FEW), st.booleans())
def test_few_sites_need_no_chance_and_bear_a_third_of_liars(sites, adaptive):
    assumptions = replace(default_assumptions(sites), adaptive=adaptive)
    chosen = plan(sites, assumptions)
    assert chosen == Plan(sites, sites - 1, sites, threshold_for(sites), Family.FULL)
    assert assumptions.corrupt(sites) == max(1, sites // 3)
    assert assumptions.silent(sites) == sites - chosen.threshold
    chances = reached(chosen, assumptions)
    assert (chances.committee, chances.graph, chances.opening) == (-math.inf,) * 3


@pytest.mark.parametrize("sites", [129, 300, 512, 513, 2000, 10_000])
def test_there_is_a_usual_plan_for_every_number_of_sites(sites):
    assumptions = default_assumptions(sites)
    chances = reached(plan(sites, assumptions), assumptions)
    assert max(chances.committee, chances.graph) <= -40
    assert chances.opening <= -20


@given(st.integers(1, 3000))
def test_two_lists_never_both_find_a_threshold_of_consents_and_liars_open_nothing(committee):
    threshold, liars = threshold_for(committee), committee // 3
    assert 2 * threshold > committee + liars
    assert liars < threshold <= committee


@pytest.mark.parametrize("sites", [60, 200, 466, 1000])
@pytest.mark.parametrize("corrupt", [50, 100, 200])
def test_the_committee_is_the_smallest_that_scipy_allows(sites, corrupt):
    assumptions = Assumptions(corrupt, 100, 40, 20, adaptive=False)
    liars, silent = assumptions.corrupt(sites), assumptions.silent(sites)

    def allowed(size: int) -> bool:
        leak = stats.hypergeom.sf(size // 3, sites, liars, size)
        fail = stats.hypergeom.sf(size - threshold_for(size), sites, silent, size)
        return bool(leak <= 2.0**-40 and fail <= 2.0**-20)

    chosen = plan(sites, assumptions, few=0)
    assert chosen.committee == next(size for size in range(1, sites + 1) if allowed(size))
    assert chosen.threshold == threshold_for(chosen.committee)


@pytest.mark.parametrize("assumptions", [TENTH, CURIOUS], ids=["adaptive", "curious"])
@pytest.mark.parametrize("sites", [60, 466, 1000, 10_000])
def test_the_graph_is_the_sparsest_that_holds(sites, assumptions):
    chosen = plan(sites, assumptions, few=0)
    step = 2 if chosen.family is Family.RING else 1
    assert reached(chosen, assumptions).graph <= -40
    assert reached(replace(chosen, degree=chosen.degree - step), assumptions).graph > -40


def test_neighbours_grow_with_the_logarithm_of_the_sites_where_nobody_chooses_who_is_silent():
    sizes = [10**power for power in range(3, 7)]
    degrees = [plan(sites, CURIOUS).degree for sites in sizes]
    # Ten times the sites cost 2 * log(10) / log(1 / 0.15) = 2.4 neighbours, rounded to 2 or 4.
    assert all(one <= other <= one + 4 for one, other in pairwise(degrees))
    assert degrees[-1] <= 2 * math.ceil(math.log(10**6 * 2.0**40) / math.log(1 / 0.15))


def test_whoever_chooses_who_is_silent_costs_more_neighbours_than_there_are_silent_sites():
    chosen = plan(10_000, TENTH)
    assert chosen.family is Family.RANDOM
    assert 500 < chosen.degree < 1000


def test_one_site_alone_is_always_curious():
    assert plan(1000, Assumptions(0, 0, 40, 20, adaptive=False)).committee == 3


def test_a_ring_is_worth_nothing_against_whoever_sees_it():
    chosen = plan(1000, CURIOUS)
    assert chosen.family is Family.RING
    assert reached(chosen, TENTH).graph == 0.0


def test_a_threshold_that_two_lists_can_reach_is_seen():
    chosen = plan(1000, TENTH)
    low = replace(chosen, threshold=chosen.committee // 2)
    assert reached(low, TENTH).committee == 0.0


@pytest.mark.parametrize(
    ("why", "sites", "fields"),
    [
        ("fewer than 3", 2, {}),
        ("more than a third: assume fewer", 10, {"corrupt_permille": 400}),
        ("more than a third: assume fewer", 1000, {"corrupt_permille": 334}),
        ("at most 3 can be spared: assume a smaller dropout", 10, {"dropout_permille": 400}),
        ("assume a smaller dropout, or ask for fewer bits", 1000, {"dropout_permille": 400}),
        ("permille", 1000, {"dropout_permille": -1}),
        ("permille", 1000, {"corrupt_permille": 1001}),
        ("bits", 1000, {"security_bits": 0}),
        ("bits", 1000, {"correctness_bits": 257}),
    ],
)
def test_where_there_is_no_plan_it_is_said_what_to_change(why, sites, fields):
    with pytest.raises(Refused, match=why):
        plan(sites, replace(TENTH, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"threshold": 0},
        {"threshold": 500},
        {"committee": 1001},
        {"degree": 0},
        {"degree": 1000},
        {"degree": 998, "family": Family.FULL},
        {"degree": 35, "family": Family.RING},
    ],
)
def test_a_plan_that_is_none_is_refused(fields):
    broken = replace(plan(1000, TENTH), **fields)
    with pytest.raises(Refused, match="neighbours"):
        reached(broken, TENTH)
    if "degree" in fields:
        with pytest.raises(Refused, match="neighbours"):
            draw_graph(beacon(0), range(1000), broken)


@given(st.integers(3, 5000), st.booleans())
def test_plans_and_assumptions_are_records(sites, adaptive):
    assumptions = replace(default_assumptions(sites), adaptive=adaptive)
    assert canon.unpack(Assumptions, canon.pack(assumptions)) == assumptions
    chosen = Plan(sites, sites - 1, sites, threshold_for(sites), Family.FULL)
    assert canon.unpack(Plan, canon.pack(chosen)) == chosen


# ---------------------------------------------------------------- chance


def test_drawn_committees_are_corrupt_no_more_often_than_promised():
    assumptions = Assumptions(200, 100, 4, 3, adaptive=False)
    chosen = plan(60, assumptions, few=0)
    chances = reached(chosen, assumptions)
    liars, silent, trials = set(range(12)), set(range(20, 26)), 4000
    drawn = [set(draw_committee(beacon(i), range(60), chosen.committee)) for i in range(trials)]
    leaks = sum(len(one & liars) > chosen.committee // 3 for one in drawn)
    fails = sum(len(one - silent) < chosen.threshold for one in drawn)
    # These tails are exact, so the frequencies are compared from both sides.
    for found, log2_chance in ((leaks, chances.committee), (fails, chances.opening)):
        chance = 2.0**log2_chance
        assert abs(found - trials * chance) <= 5 * math.sqrt(trials * chance) + 1


def test_drawn_rings_fall_apart_no_more_often_than_promised():
    assumptions = Assumptions(200, 200, 4, 3, adaptive=False)
    chosen = plan(60, assumptions, few=0)
    assert chosen.family is Family.RING
    trials, cut = 600, 0
    for i in range(trials):
        net = network(draw_graph(beacon(i), range(60), chosen))
        net.remove_nodes_from(range(24))
        cut += not nx.is_connected(net)
    assert within(cut, trials, reached(chosen, assumptions).graph)


def test_a_ring_too_sparse_for_what_is_lost_does_fall_apart():
    net = network(draw_graph(beacon(1), range(60), Plan(60, 2, 60, 41, Family.RING)))
    net.remove_nodes_from(range(24))
    assert not nx.is_connected(net)


@pytest.mark.parametrize("security", [3, 6])
def test_no_choice_of_silent_sites_cuts_drawn_graphs_more_often_than_promised(security):
    assumptions = Assumptions(100, 50, security, 3, adaptive=True)
    chosen = plan(60, assumptions, few=0)
    assert chosen.family is Family.RANDOM
    trials, cut, silent = 30, 0, assumptions.silent(60)
    for i in range(trials):
        net = network(draw_graph(beacon(i), range(60), chosen))
        net.remove_nodes_from(range(assumptions.corrupt(60)))
        cut += nx.node_connectivity(net) <= silent  # so many well-chosen silent sites are enough
    assert within(cut, trials, reached(chosen, assumptions).graph)


def test_a_random_graph_too_sparse_for_what_is_silent_is_cut():
    cut = 0
    for i in range(10):
        net = network(draw_graph(beacon(i), range(60), Plan(60, 6, 60, 41, Family.RANDOM)))
        cut += nx.node_connectivity(net) <= 3
    assert cut >= 5


# ---------------------------------------------------------------- the draw


def seats_of(sites: int) -> tuple[int, ...]:
    """Not 0, 1, 2, ...: what is drawn are seats, not positions."""
    return tuple(3 * i + 7 for i in range(sites))


GRAPHS = {
    "full": Plan(50, 49, 50, 34, Family.FULL),
    "ring": Plan(50, 12, 50, 34, Family.RING),
    "random": Plan(50, 20, 50, 34, Family.RANDOM),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_symmetric_ascending_and_nobody_neighbours_itself(name):
    seats = seats_of(50)
    graph = draw_graph(beacon(1), seats, GRAPHS[name])
    for seat in seats:
        row = graph.neighbours(seat)
        assert list(row) == sorted(set(row))
        assert set(row) <= set(seats) - {seat}
        assert all(seat in graph.neighbours(other) for other in row)
    for nobody in (0, 8, 999):
        with pytest.raises(Misuse, match="nobody"):
            graph.neighbours(nobody)


def rows(graph: Graph) -> list[tuple[int, ...]]:
    return [graph.neighbours(seat) for seat in graph.seats]


@pytest.mark.parametrize("name", ["ring", "random"])
def test_a_graph_is_its_beacons_and_no_others(name):
    first, again, other = (draw_graph(beacon(i), seats_of(50), GRAPHS[name]) for i in (1, 1, 2))
    assert rows(first) == rows(again)
    assert rows(first) != rows(other)


def test_what_is_drawn_is_the_same_on_every_machine():
    seats = seats_of(12)
    assert draw_committee(beacon(0), seats, 4) == (16, 25, 37, 40)
    ring, random = (draw_graph(beacon(0), seats, Plan(12, 4, 12, 9, family)) for family in (Family.RING, Family.RANDOM))
    assert rows(ring)[:2] == [(10, 22, 34, 37), (7, 31, 34, 40)]
    assert rows(random)[:2] == [(19, 28, 37, 40), (16, 19, 25, 28, 31, 34)]
    assert draw_groups(beacon(0), 1, seats, 4) == ((22, 28, 37, 40), (7, 16, 19, 25), (10, 13, 31, 34))


def plain_words(count: int, tag: str, *parts: bytes) -> list[int]:
    """Numbers of 64 bits, with neither numpy nor our own ciphers."""
    said = b"".join(len(part).to_bytes(4) + part for part in (tag.encode(), *parts))
    encryptor = Cipher(AES256(sha256(said).digest()), CTR(bytes(16))).encryptor()
    stream = encryptor.update(bytes(8 * count))
    return [int.from_bytes(stream[at : at + 8], "little") for at in range(0, len(stream), 8)]


def plain_order(count: int, tag: str, *parts: bytes) -> list[int]:
    words = plain_words(count, tag, *parts, bytes(4))
    return sorted(range(count), key=words.__getitem__)


def test_a_draw_can_be_written_again_in_plain_python():
    seats, seed = seats_of(50), beacon(9)
    committee = plain_order(50, "secagg/committee/1", seed)[:9]
    assert draw_committee(seed, seats, 9) == tuple(sorted(seats[at] for at in committee))

    ring = plain_order(50, "secagg/ring/1", seed)
    graph = draw_graph(seed, seats, GRAPHS["ring"])
    for place, at in enumerate(ring):
        around = [ring[(place + step) % 50] for step in range(-6, 7) if step]
        assert graph.neighbours(seats[at]) == tuple(sorted(seats[other] for other in around))

    pairs = set()
    for at in range(50):
        for behind, word in enumerate(plain_words(49 - at, "secagg/pairs/1", seed, at.to_bytes(4))):
            if Fraction(word, 1 << 64) < Fraction(20, 49):
                pairs.add((seats[at], seats[at + 1 + behind]))
    assert set(network(draw_graph(seed, seats, GRAPHS["random"])).edges) == pairs

    order = plain_order(50, "secagg/groups/1", seed, (7).to_bytes(4))
    expected = [order[start : start + size] for start, size in ((0, 13), (13, 13), (26, 12), (38, 12))]
    groups = tuple(tuple(sorted(seats[at] for at in group)) for group in expected)
    assert draw_groups(seed, 7, seats, 12) == groups


@pytest.mark.parametrize("degree", [2, 4, 18, 48])
def test_everybody_on_a_ring_has_exactly_the_degree_and_so_many_must_go_to_cut_it(degree):
    graph = draw_graph(beacon(3), seats_of(50), Plan(50, degree, 50, 34, Family.RING))
    assert {len(row) for row in rows(graph)} == {degree}
    assert nx.node_connectivity(network(graph)) == degree  # Harary 1962: no graph of that degree does better


def test_a_random_graph_has_the_degree_on_average_and_every_pair_the_same_chance():
    sites, trials = 20, 400
    chosen = Plan(sites, 7, sites, threshold_for(sites), Family.RANDOM)
    met = np.zeros((sites, sites))
    for i in range(trials):
        for seat, row in enumerate(rows(draw_graph(beacon(i), range(sites), chosen))):
            met[seat, list(row)] += 1
    pairs = met[np.triu_indices(sites, 1)]
    chance = 7 / (sites - 1)
    spread = ((pairs - trials * chance) ** 2).sum() / (trials * chance * (1 - chance))
    assert 1e-4 < stats.chi2.sf(spread, len(pairs)) < 1 - 1e-4


@pytest.mark.slow
def test_ten_thousand_sites_are_drawn_whole():
    chosen = plan(10_000, default_assumptions(10_000))
    graph = draw_graph(beacon(5), range(10_000), chosen)
    assert graph.starts is not None
    sizes = np.diff(graph.starts)
    assert abs(sizes.mean() - chosen.degree) < 3
    assert graph.others.nbytes < 64 << 20
    for seat in (0, 4_999, 9_999):
        assert all(seat in graph.neighbours(other) for other in graph.neighbours(seat))


@given(st.integers(1, 60), st.data())
def test_a_committee_is_so_many_of_the_seats(sites, data):
    size = data.draw(st.integers(1, sites))
    drawn = draw_committee(beacon(4), seats_of(sites), size)
    assert list(drawn) == sorted(set(drawn))
    assert set(drawn) <= set(seats_of(sites))
    assert len(drawn) == size


def test_everybody_is_in_a_committee_alike_often():
    trials = 2000
    seen = np.zeros(15)
    for i in range(trials):
        seen[list(draw_committee(beacon(i), range(15), 5))] += 1
    spread = ((seen - trials / 3) ** 2).sum() / (trials / 3 * (2 / 3)) * (14 / 15)
    assert 1e-4 < stats.chi2.sf(spread, 14) < 1 - 1e-4


@given(st.integers(1, 80), st.integers(0, 2**32 - 1), st.data())
def test_groups_are_a_partition_into_as_many_as_fit(sites, number, data):
    size = data.draw(st.integers(1, sites))
    groups = draw_groups(beacon(6), number, seats_of(sites), size)
    assert sorted(seat for group in groups for seat in group) == list(seats_of(sites))
    assert all(list(group) == sorted(group) for group in groups)
    lengths = {len(group) for group in groups}
    assert min(lengths) >= size
    assert max(lengths) - min(lengths) <= 1
    assert len(groups) == sites // size


def test_groups_of_another_round_are_others():
    seats = seats_of(30)
    assert draw_groups(beacon(1), 0, seats, 5) == draw_groups(beacon(1), 0, seats, 5)
    assert draw_groups(beacon(1), 0, seats, 5) != draw_groups(beacon(1), 1, seats, 5)
    assert draw_groups(beacon(1), 0, seats, 5) != draw_groups(beacon(2), 0, seats, 5)


def test_every_partition_into_groups_is_alike_likely():
    # Six sites fall into two groups of three in ten ways.
    trials = 3000
    ways = {frozenset((half, frozenset(range(6)) - half)): 0 for half in map(frozenset, combinations(range(6), 3))}
    for i in range(trials):
        ways[frozenset(map(frozenset, draw_groups(beacon(i // 10), i % 10, range(6), 3)))] += 1
    assert len(ways) == 10
    assert 1e-4 < stats.chisquare(list(ways.values())).pvalue < 1 - 1e-4


def test_every_pair_meets_alike_often_in_a_group():
    trials, sites, size = 1200, 12, 3
    met = np.zeros((sites, sites))
    for i in range(trials):
        for group in draw_groups(beacon(7), i, range(sites), size):
            met[np.ix_(group, group)] += 1
    chance = (size - 1) / (sites - 1)
    # Counts of pairs are not independent, so every one is compared for itself: 66 of them, 5 standard deviations.
    pairs = met[np.triu_indices(sites, 1)]
    assert np.abs(pairs - trials * chance).max() < 5 * math.sqrt(trials * chance * (1 - chance))


def test_a_draw_from_nonsense_is_our_own_mistake():
    seats = seats_of(50)
    for draw in (
        lambda seed, who: draw_committee(seed, who, 3),
        lambda seed, who: draw_graph(seed, who, GRAPHS["ring"]),
        lambda seed, who: draw_groups(seed, 0, who, 3),
    ):
        with pytest.raises(Misuse, match="32 bytes"):
            draw(bytes(31), seats)
        with pytest.raises(Misuse, match="ascending"):
            draw(bytes(32), seats[::-1])
        with pytest.raises(Misuse, match="ascending"):
            draw(bytes(32), (*seats[:-1], seats[0]))
        with pytest.raises(Misuse, match="ascending"):
            draw(bytes(32), ())
    for size in (0, 51):
        with pytest.raises(Misuse, match="members"):
            draw_committee(bytes(32), seats, size)
    with pytest.raises(Misuse, match="a plan for 50"):
        draw_graph(bytes(32), seats[1:], GRAPHS["ring"])
    for number, size in ((-1, 3), (1 << 32, 3), (0, 0)):
        with pytest.raises(Misuse, match="in round"):
            draw_groups(bytes(32), number, seats, size)


def test_too_few_sites_for_one_group_are_refused():
    with pytest.raises(Refused, match="do not fill a group of 51"):
        draw_groups(bytes(32), 0, seats_of(50), 51)


def test_a_third_is_a_third_of_every_number_of_sites():
    third = replace(TENTH, corrupt_permille=A_THIRD)
    assert [third.corrupt(sites) for sites in (3, 10, 300, 10_000)] == [1, 3, 100, 3333]
