"""What events are worth: as dp-accounting says, rounded up, and never less for more."""

from __future__ import annotations

import math

import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus import canon
from caduceus.errors import Misuse, Refused
from caduceus.privacy.accountant import GAP, epsilon, epsilon_micro, multiplier, sampled_multiplier, table
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending, check

NOISES = (0.6, 0.9, 1.5, 3.7, 11.0, 40.0)
DELTAS = (1e-3, 1e-5, 1e-8)


def gaussian(noise: float, count: int = 1, rate: float = 1.0) -> Event:
    return Event(DISCRETE_GAUSSIAN, noise, rate, count)


def spending(*parts: tuple[Event, ...]) -> Spending:
    return Spending(tuple(Part(part) for part in parts))


def theirs(*events: Event) -> PLDAccountant:
    """The same with dp-accounting alone."""
    accountant = PLDAccountant(value_discretization_interval=1e-3)
    for one in events:
        event = dp_event.GaussianDpEvent(one.multiplier)
        if one.rate < 1:
            event = dp_event.PoissonSampledDpEvent(one.rate, event)
        accountant.compose(event, one.count)
    return accountant


@pytest.mark.parametrize("count", [1, 6, 50])
@pytest.mark.parametrize("noise", NOISES)
def test_epsilon_of_plain_releases_is_that_of_dp_accounting_within_one_per_cent(noise: float, count: int):
    expected = theirs(gaussian(noise, count))
    for delta in DELTAS:
        found = epsilon(spending((gaussian(noise, count),)), delta)
        assert found == pytest.approx(float(expected.get_epsilon(delta)), rel=0.01)


@pytest.mark.parametrize(("rate", "count", "noise"), [(0.01, 100, 0.9), (0.1, 30, 1.5), (0.3, 10, 3.0)])
def test_epsilon_of_sampled_releases_is_that_of_dp_accounting_within_one_per_cent(
    rate: float, count: int, noise: float
):
    events = (gaussian(12.0), gaussian(noise, count, rate))
    found, expected = epsilon(spending(events), 1e-5), float(theirs(*events).get_epsilon(1e-5))
    assert found == pytest.approx(expected, rel=0.01)


def test_renyi_accounting_which_is_looser_never_finds_less():
    """An accountant of another kind, from the same library: it may only be above."""
    events = (gaussian(2.0, 30, 0.05),)
    other = RdpAccountant()
    other.compose(dp_event.PoissonSampledDpEvent(0.05, dp_event.GaussianDpEvent(2.0)), 30)
    assert epsilon(spending(events), 1e-5) <= other.get_epsilon(1e-5)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("target", [0.01, 0.3, 1.0, 3.0, 8.0, 30.0])
def test_noise_for_an_epsilon_spends_it_and_no_more(target: float, delta: float):
    noise = multiplier(target, delta)
    assert 0.999 * target <= epsilon(spending((gaussian(noise),)), delta) <= target
    assert epsilon(spending((gaussian(noise * 0.999),)), delta) > target


def test_sampled_noise_for_an_epsilon_spends_it_and_no_more():
    noise = sampled_multiplier(1.0, 1e-5, rate=0.1, count=10, also=(gaussian(12.0),))
    events = (gaussian(12.0), gaussian(noise, 10, 0.1))
    assert 0.97 < epsilon(spending(events), 1e-5) <= 1.0
    with pytest.raises(Refused, match="spends all of epsilon"):
        sampled_multiplier(0.2, 1e-5, rate=0.1, count=10, also=(gaussian(12.0),))


def test_parts_over_different_patients_do_not_add_up():
    one, other = (gaussian(2.0, 3),), (gaussian(5.0),)
    assert epsilon(spending(one, other), 1e-5) == epsilon(spending(one), 1e-5)
    assert epsilon(spending(one, one), 1e-5) == epsilon(spending(one), 1e-5)
    assert epsilon(spending((*one, *other)), 1e-5) > epsilon(spending(one), 1e-5)


def test_millionths_are_rounded_up():
    found = epsilon(spending((gaussian(3.73),)), 1e-5)
    assert epsilon_micro(spending((gaussian(3.73),)), 10**7) == math.ceil(found * 1e6)
    with pytest.raises(Refused, match="protects nobody"):
        epsilon_micro(spending((gaussian(0.01),)), 10**7)


def test_the_table_begins_at_nothing_and_ends_at_the_whole():
    whole = spending((gaussian(9.0), gaussian(4.0, 5)), (gaussian(3.0),))
    prices = table(whole, 10**7)
    assert len(prices) == whole.releases + 1
    assert prices[0] == 0
    assert prices[-1] == epsilon_micro(whole, 10**7)
    for releases, price in enumerate(prices):
        assert price >= math.ceil(1e6 * epsilon(whole.first(releases), 1e-5))
    assert list(prices) == sorted(prices)


def test_the_table_of_sampled_releases_is_never_below_the_truth():
    whole = spending((gaussian(9.0), gaussian(2.0, 20, 0.1)))
    prices = table(whole, 10**7)
    assert prices[-1] == epsilon_micro(whole, 10**7)
    assert list(prices) == sorted(prices)
    for releases in (1, 2, 20):
        assert prices[releases] >= epsilon_micro(whole.first(releases), 10**7)


events_ = st.builds(gaussian, st.floats(0.5, 100.0), st.integers(1, 50))


@settings(deadline=None)
@given(st.lists(events_, min_size=1, max_size=5), events_, st.sampled_from(DELTAS))
def test_one_more_release_never_costs_less(events: list[Event], more: Event, delta: float):
    before = epsilon(spending(tuple(events)), delta)
    assert epsilon(spending((*events, more)), delta) >= before
    louder = tuple(Event(one.mechanism, one.multiplier * 2, one.rate, one.count) for one in events)
    assert epsilon(spending(louder), delta) <= before


@given(st.lists(events_, min_size=1, max_size=5))
def test_the_order_of_releases_does_not_matter(events: list[Event]):
    back = epsilon(spending(tuple(reversed(events))), 1e-5)
    assert epsilon(spending(tuple(events)), 1e-5) == pytest.approx(back, rel=1e-9)


def test_nothing_costs_nothing():
    assert epsilon(Spending(()), 1e-5) == 0.0
    assert epsilon(spending((gaussian(1e12),)), 1e-5) == GAP


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Event("laplace", 1.0, 1.0, 1), "is a 'laplace'; the accountant knows discrete-gaussian"),
        (gaussian(0.0), "noise multiplier of 0"),
        (gaussian(math.nan), "noise multiplier of nan"),
        (gaussian(math.inf), "noise multiplier of inf"),
        (gaussian(1.0, 0), "counts 0 releases"),
        (gaussian(1.0, rate=0.0), "sampling rate of 0"),
        (gaussian(1.0, rate=1.5), "sampling rate of 1.5"),
    ],
)
def test_an_event_that_is_not_known_is_refused_by_name(event: Event, why: str):
    with pytest.raises(Refused, match=why):
        check(spending((event,)))
    with pytest.raises(Refused, match=why):
        epsilon(spending((gaussian(1.0),), (event,)), 1e-5)


def test_empty_lists_of_events_are_refused():
    for one in (Spending(()), spending(()), spending((gaussian(1.0),), ())):
        with pytest.raises(Refused, match="events"):
            check(one)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0])
def test_a_delta_that_is_none_is_a_misuse(delta: float):
    with pytest.raises(Misuse):
        epsilon(spending((gaussian(1.0),)), delta)


def test_releases_find_their_events():
    whole = spending((gaussian(9.0), gaussian(4.0, 5)), (gaussian(3.0),))
    assert [whole.event(number).multiplier for number in range(7)] == [9.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0]
    for beyond in (-1, 7):
        with pytest.raises(Refused, match="noise for 7 releases"):
            whole.event(beyond)
    assert whole.first(3) == spending((gaussian(9.0), gaussian(4.0, 2)))
    assert whole.first(0) == Spending(())
    assert whole.first(7) == whole


def test_spending_survives_its_canonical_bytes():
    whole = spending((gaussian(9.0), gaussian(4.0, 5, 0.25)), (gaussian(3.0),))
    assert canon.unpack(Spending, canon.pack(whole)) == whole
