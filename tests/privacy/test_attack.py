import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.errors import Misuse
from caduceus.privacy import accountant, attack
from caduceus.privacy.attack import Errors, Guesses, Scores
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending

DELTA = 1e-6


def tail(n, p, least):
    """P[Binomial(n, p) >= least] for a fraction p."""
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(max(least, 0), n + 1))


def released(multiplier, rate=1.0, count=1):
    return Part((Event(DISCRETE_GAUSSIAN, multiplier, rate, count),))


def gaussian_scores(shift, runs, seed=0):
    draw = np.random.default_rng(seed)
    return Scores(draw.normal(size=runs) - shift / 2, draw.normal(size=runs) + shift / 2)


# ---------------------------------------------------------------- one run


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_chance_is_what_the_theorem_says_in_exact_fractions(data):
    made = data.draw(st.integers(1, 30))
    right = data.draw(st.integers(0, made))
    canaries = data.draw(st.integers(made, 60))
    epsilon, delta = data.draw(st.sampled_from([0.0, 0.3, 1.0, 4.0])), data.draw(st.sampled_from([0.0, 1e-6, 1e-3]))
    true = Fraction(math.exp(epsilon) / (1 + math.exp(epsilon)))
    f = [tail(made, true, v) for v in range(right - canaries, right + 1)]  # the last is f(right)
    rise = max((f[-1 - i] - f[-1]) / i for i in range(1, canaries + 1))
    wanted = min(float(f[-1] + 2 * canaries * Fraction(delta) * rise), 1.0)
    assert attack.chance(Guesses(canaries, made, right), epsilon, delta) == pytest.approx(wanted, rel=1e-9, abs=1e-300)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(1e-9, 0.5))
@settings(max_examples=60, deadline=None)
def test_the_bound_of_one_run_is_the_last_epsilon_that_is_too_unlikely(made, share, doubt):
    guesses = Guesses(500, made, round(share * made))
    bound = attack.one_run(guesses, delta=DELTA, doubt=doubt)
    assert attack.chance(guesses, bound * (1 + 1e-6) + 1e-9, DELTA) >= doubt * (1 - 1e-6)
    assert bound == 0 or attack.chance(guesses, bound, DELTA) <= doubt


def test_guesses_that_are_all_right_prove_what_the_binomial_says():
    """Without delta: made * log(true) = log(doubt)."""
    true = 0.05 ** (1 / 1000)
    bound = attack.one_run(Guesses(1000, 1000, 1000), delta=0.0, doubt=0.05)
    assert bound == pytest.approx(math.log(true / (1 - true)), rel=1e-6)
    assert attack.one_run(Guesses(1000, 1000, 500), delta=0.0, doubt=0.05) == 0.0


def test_less_doubt_than_delta_leaves_proves_nothing_at_that_delta_and_something_at_a_smaller_one():
    guesses = Guesses(2000, 100, 100)
    assert attack.chance(guesses, 0.0, DELTA) == pytest.approx(4 * 2000 * DELTA / 100, rel=0.5)
    assert attack.one_run(guesses, delta=DELTA, doubt=1e-8) == 0.0
    assert attack.one_run(guesses, delta=DELTA, doubt=1e-3) > 1.0
    assert attack.one_run(guesses, delta=1e-12, doubt=1e-8) > 1.0


def test_randomised_response_is_bounded_by_its_epsilon_and_from_near_below():
    """The mechanism for which the theorem is tight; of 200 audits with a doubt of 0.05 about 10 may be too high."""
    draw = np.random.default_rng(1)
    epsilon, count = 1.0, 1000
    true = math.exp(epsilon) / (1 + math.exp(epsilon))
    bounds = []
    for _ in range(200):
        present = draw.random(count) < 0.5
        answers = np.where(draw.random(count) < true, present, ~present).astype(float)
        said = int((answers == present).sum())
        bounds.append(attack.one_run(Guesses(count, count, said), delta=0.0, doubt=0.05))
    above = sum(bound > epsilon for bound in bounds)
    assert 1 <= above <= 28
    assert np.median(bounds) > 0.8 * epsilon


def test_the_highest_scores_are_guessed_in_and_the_lowest_out():
    scores = np.array([5.0, -5.0, 4.0, -4.0, 0.1, 0.0])
    present = np.array([True, False, False, False, True, True])
    assert attack.guess(scores, present, 2) == Guesses(6, 2, 2)
    assert attack.guess(scores, present, 4) == Guesses(6, 4, 3)
    assert attack.guess(-scores, present, 4) == Guesses(6, 4, 1)


# ---------------------------------------------------------------- many runs


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1), st.floats(1e-9, 0.5))
def test_no_more_than_the_doubt_is_left_above_a_rate_and_hardly_less(runs, share, doubt):
    seen = round(share * runs)
    rate = attack.at_most(seen, runs, doubt)
    assert 1 - tail(runs, Fraction(rate), seen + 1) <= Fraction(doubt) or seen == runs
    below = Fraction(max(rate * (1 - 1e-5) - 1e-9, 0.0))
    assert 1 - tail(runs, below, seen + 1) > Fraction(doubt) * Fraction(0.999) or rate == 1


@pytest.mark.parametrize(
    ("seen", "runs"), [(0, 10**6), (3, 10**6), (452_000, 10**6), (999_999, 10**6), (10**6, 10**6), (4000, 10**7)]
)
def test_rates_of_many_runs_are_those_of_the_beta_quantile(seen, runs):
    stats = pytest.importorskip("scipy.stats")
    for doubt in (0.3, 1e-4, 1e-12):
        wanted = stats.beta.ppf(1 - doubt, seen + 1, runs - seen) if seen < runs else 1.0
        assert attack.at_most(seen, runs, doubt) == pytest.approx(wanted, rel=1e-6)


def test_errors_that_are_rare_on_either_side_prove_the_same():
    one, other = Errors(10_000, 5, 10_000, 5000), Errors(10_000, 5000, 10_000, 5)
    rates = attack.at_most(5, 10_000, 0.005), attack.at_most(5000, 10_000, 0.005)
    wanted = math.log((1 - DELTA - rates[1]) / rates[0])
    assert attack.many_runs(one, DELTA, 0.01) == pytest.approx(wanted)
    assert attack.many_runs(other, DELTA, 0.01) == pytest.approx(wanted)


def test_nothing_is_proved_by_guessing_blindly_or_the_wrong_way_round():
    for errors in (Errors(1000, 500, 1000, 500), Errors(1000, 0, 1000, 1000), Errors(1000, 990, 1000, 990)):
        assert attack.many_runs(errors, DELTA, 0.01) == 0.0
        assert attack.gaussian(errors, DELTA, 0.01) == 0.0
        assert attack.mu(errors, 0.01) == 0.0
        assert attack.of_shape(errors, released(2.0), DELTA, 0.01) == 0.0


def test_a_threshold_is_chosen_by_one_half_and_judged_by_the_other():
    """Records that stand out by luck in the first half prove nothing in the second."""
    quiet = np.random.default_rng(2).normal(size=2000)
    loud = np.concatenate([quiet[:1000] + 20, quiet[1000:]])
    assert attack.best(Scores(quiet, loud), attack.many_runs, delta=DELTA, doubt=0.01) == 0.0
    assert attack.best(Scores(quiet, quiet + 20), attack.many_runs, delta=DELTA, doubt=0.01) > 4


@pytest.mark.parametrize(("claim", "least"), [(0.3, 0.6), (1.0, 0.8), (8.0, 0.9)])
def test_a_gaussian_is_bounded_by_its_epsilon_and_by_its_shape_from_near_below(claim, least):
    noise = accountant.multiplier(claim, DELTA)
    scores = gaussian_scores(1 / noise, 200_000)
    errors = scores.errors(0.0)
    plain = attack.best(scores, attack.many_runs, delta=DELTA, doubt=1e-6)
    shaped = attack.gaussian(errors, DELTA, 1e-6)
    assert 0.1 * claim < plain < shaped < claim
    assert shaped > least * claim
    assert least / noise < attack.mu(errors, 1e-6) < 1 / noise


def test_the_shape_of_one_release_without_sampling_is_a_gaussian():
    errors, noise = Errors(10_000, 3600, 10_000, 3700), accountant.multiplier(3.0, DELTA)
    shaped = attack.of_shape(errors, released(noise), DELTA, 1e-6)
    assert shaped == pytest.approx(attack.gaussian(errors, DELTA, 1e-6), rel=0.03)


@pytest.mark.parametrize("runs", [50, 2000])
def test_a_mu_is_above_the_truth_no_more_often_than_the_doubt(runs):
    """Counts are drawn as scores at a threshold would give them; 200 audits with a doubt of 0.1."""
    draw = np.random.default_rng(3)
    rate = 0.5 * math.erfc(0.5 / math.sqrt(2))  # of a shift of 1, threshold in the middle
    wrong = draw.binomial(runs, rate, (200, 2)).tolist()
    found = [attack.mu(Errors(runs, alarms, runs, misses), 0.1) for alarms, misses in wrong]
    assert sum(one > 1 for one in found) <= 35
    assert max(found) > 0.9


@pytest.mark.parametrize(("louder", "holds"), [(1.0, True), (0.5, False)])
def test_noise_of_another_size_is_told_where_patients_are_sampled(louder, holds):
    noise, rate, count, runs = 1.6, 0.25, 8, 10_000
    draw = np.random.default_rng(4)

    def ratios(there):
        seen = noise * louder * draw.normal(size=(runs, count)) + there * (draw.random((runs, count)) < rate)
        return np.log1p(rate * np.expm1((seen - 0.5) / noise**2)).sum(axis=1)

    part = released(noise, rate, count)
    claim = accountant.epsilon(Spending((part,)), DELTA)
    bound = attack.of_shape(Scores(ratios(0), ratios(1)).errors(0.0), part, DELTA, 1e-9)
    assert (bound <= claim) is holds
    if louder == 1.0:
        assert bound > 0.5 * claim
    if louder == 0.5:
        assert bound < accountant.epsilon(Spending((released(noise / 2, rate, count),)), DELTA)


# ---------------------------------------------------------------- what makes no sense


@pytest.mark.parametrize(("canaries", "made", "right"), [(5, 6, 1), (5, 0, 0), (5, 3, 4), (5, 3, -1)])
def test_impossible_guesses_are_refused(canaries, made, right):
    with pytest.raises(Misuse, match="guesses"):
        Guesses(canaries, made, right)


def test_impossible_arguments_are_refused():
    with pytest.raises(Misuse, match="too many"):
        attack.one_run(Guesses(600_000, 10, 10), delta=DELTA, doubt=0.05)
    with pytest.raises(Misuse, match="audit"):
        attack.one_run(Guesses(10, 10, 10), delta=DELTA, doubt=0.0)
    with pytest.raises(Misuse, match="audit"):
        attack.many_runs(Errors(10, 1, 10, 1), 1.0, 0.1)
    with pytest.raises(Misuse, match="errors"):
        Errors(10, 11, 10, 1)
    with pytest.raises(Misuse, match="errors"):
        Errors(0, 0, 10, 1)
    with pytest.raises(Misuse, match="at_most"):
        attack.at_most(3, 2, 0.1)
    with pytest.raises(Misuse, match="guess"):
        attack.guess(np.zeros(4), np.zeros(4, bool), 3)
    with pytest.raises(Misuse, match="chance"):
        attack.chance(Guesses(4, 4, 2), -1.0, 0.0)
