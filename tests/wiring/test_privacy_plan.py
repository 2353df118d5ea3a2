"""A privacy plan has the noise and the price of the job that it plans, and plays that job."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO
from caduceus.learn import simulated
from caduceus.learn.private.logistic import ROUNDS
from caduceus.learn.private.program import plan_spending
from caduceus.learn.state import Phase
from caduceus.privacy import accountant
from caduceus.privacy.mechanisms import LEAST_MULTIPLIER
from caduceus.wiring.privacy_plan import (
    DP_SGD,
    LOGISTIC,
    Shape,
    epsilon_of,
    epsilon_with_all,
    opened,
    plan,
    play,
    rehearse,
    with_missing,
)

SMALL = Shape(LOGISTIC, delta=1e-5, rows=600, sites=10, missing=20, features=6, rate=0.3)


class Listening:
    """A task that notes every total that it is given; everything else is the task's own."""

    def __init__(self, task):
        self._task = task
        self.totals = []

    def __getattr__(self, name):
        return getattr(self._task, name)

    def combine(self, state, total, sites):
        self.totals.append((state, total))
        return self._task.combine(state, total, sites)


def ready(one, seed=0):
    shape = one.shape
    made = simulated.make(simulated.Population(shape.features, shape.rate, seed), shape.sizes, 1)
    return [one.task.ready(table, str(i)) for i, table in enumerate(made.hospitals)]


def test_a_plan_has_the_noise_and_the_price_of_a_job_file():
    one = plan(SMALL, 0.7)
    spending = plan_spending(one.task.spec, epsilon_micro=700_000, delta_pico=10_000_000)
    assert one.privacy.spending == spending
    assert one.multiplier == pytest.approx(accountant.multiplier(0.7, 1e-5))
    costs = one.costs()
    assert (costs.whole.epsilon_micro, costs.whole.delta_pico) == (700_000, 10_000_000)
    assert [each.phase for each in opened(one)] == [Phase.MOMENTS, *[Phase.TRAINING] * ROUNDS]
    assert costs.sums == len(opened(one))


def test_noise_and_epsilon_follow_from_each_other():
    for multiplier in (0.7, 4.0, 30.0):
        epsilon = epsilon_of(multiplier, 1e-5)
        assert plan(SMALL, epsilon).multiplier == pytest.approx(multiplier, rel=1e-4)
    with pytest.raises(Refused):
        epsilon_of(0.01, 1e-5)


def test_rounds_and_sampling_are_those_that_were_asked_for_and_are_played_to_their_end():
    one = plan(replace(SMALL, model=DP_SGD, rounds=3, sampling=0.5), 2.0)
    (part,) = one.privacy.spending.parts
    assert [(event.count, event.rate) for event in part.events] == [(1, 1.0), (3, 0.5)]
    assert 1.95 < one.spent <= 2.0
    state = rehearse(one, ready(one), seed=1)
    assert one.task.finished(state)
    one.task.check(state)
    assert len(opened(plan(replace(SMALL, rounds=7), 1.0))) == 8


def test_an_epsilon_that_asks_for_hardly_any_noise_is_not_spent_whole():
    one = plan(SMALL, 60.0)
    assert min(event.multiplier for part in one.privacy.spending.parts for event in part.events) == LEAST_MULTIPLIER
    assert one.spent < 40
    assert one.costs().whole.epsilon_micro == 60_000_000
    assert plan(SMALL, 3.0).spent == pytest.approx(3.0, rel=1e-6)


def test_with_none_missing_a_job_has_the_same_stated_noise_and_no_more():
    one = plan(SMALL, 1.0)
    bare = with_missing(one, 0)
    assert bare.privacy.spending == one.privacy.spending
    assert (one.shape.noisy, bare.shape.noisy) == (8, 10)
    assert bare.task.release(bare.task.opening()) == one.task.release(one.task.opening())


def test_noise_that_every_site_adds_is_worth_less_epsilon():
    assert epsilon_with_all(plan(replace(SMALL, missing=0), 1.0)) == pytest.approx(1.0, abs=1e-5)
    with_spare = epsilon_with_all(plan(SMALL, 1.0))
    again = epsilon_of(plan(SMALL, 1.0).multiplier * (10 / 8) ** 0.5, 1e-5)
    assert with_spare == pytest.approx(again, abs=1e-5)
    assert with_spare < 0.95


@pytest.mark.parametrize("missing", [0, 50])
def test_a_rehearsal_adds_the_stated_noise_to_the_true_sums(missing):
    one = plan(replace(SMALL, missing=missing, features=60), 1.0)
    sites = ready(one)
    task = Listening(one.task)
    rehearse(replace(one, task=task), sites, seed=5)
    assert len(task.totals) == one.task.max_rounds
    ratios = []
    for state, total in task.totals:
        release = one.task.release(state)
        exact = np.sum([one.task.contribute(state, site) for site in sites], axis=0)
        ratios.append((total - exact) / release.deviation)
    noise = np.concatenate(ratios)
    assert abs(noise.mean()) < 5 * noise.std() / len(noise) ** 0.5
    # Twice as much variance as stated where half of the sites would do; 5 standard errors of a deviation.
    stated = (10 / one.shape.noisy) ** 0.5
    assert abs(noise.std() / stated - 1) < 5 / (2 * len(noise)) ** 0.5


def test_more_privacy_costs_more_and_the_same_seed_gives_the_same_figures():
    shape = replace(SMALL, rows=1500)
    plans = [plan(shape, epsilon) for epsilon in (0.02, 1.0, 8.0)]
    models = []
    once = play(plans, 7, 2, lambda: models.append(1))
    assert len(models) == 2 * (3 + 1)
    strict, usual, loose = once.noisy.mean(axis=1)
    assert strict + 0.05 < usual < loose + 0.02
    assert loose < once.exact.mean() + 0.01 < once.best.mean() + 0.03
    again, other = (play(plans, seed, 2, lambda: None) for seed in (7, 8))
    assert np.array_equal(once.noisy, again.noisy)
    assert not np.array_equal(once.noisy, other.noisy)
    assert once.noisy[0, 0] != once.noisy[0, 1]  # runs differ


def test_rows_are_dealt_evenly_and_none_is_lost():
    assert replace(SMALL, rows=23, sites=5).sizes == (5, 5, 5, 4, 4)


def test_what_no_job_can_do_is_refused_by_the_job_files_own_rules():
    with pytest.raises(Refused, match="rounds"):
        plan(replace(SMALL, rounds=0), 1.0)


@pytest.mark.parametrize(("runs", "seed"), [(0, 0), (1, -1), (1, 1 << 40)])
def test_a_play_without_runs_or_seed_is_refused(runs, seed):
    with pytest.raises(Misuse):
        play([plan(SMALL, 1.0)], seed, runs, lambda: None)


def test_the_price_of_a_run_is_never_above_what_was_asked_for():
    for epsilon in (0.05, 1.0, 8.0):
        assert plan(SMALL, epsilon).costs().whole.epsilon_micro <= epsilon * MICRO
