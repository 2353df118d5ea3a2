"""Attacks on the shipped code path: what they prove never exceeds the claim, and does where the mechanism is broken.

The attacks are those of bench/privacy_audit.py. Keys are fixed, so each test has one outcome; the chance that sound
code fails one of them for its choice of keys is below 1e-6 for all of them together.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caduceus.crypto.entropy import KeyedEntropy
from caduceus.data.patients import Patients
from caduceus.learn.private import logistic as private_logistic
from caduceus.learn.state import Phase
from caduceus.privacy import accountant, attack
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import privacy_audit as audit

DOUBT = 1e-8
CLAIM, RUNS = 3.0, 20_000
ROOT = KeyedEntropy(bytes(range(32)))
TABLES = audit.ordinary(audit.COLUMNS, 300)
SHORT = replace(audit.LOGISTIC, max_rounds=2)
DESCENT = replace(audit.DESCENT, rounds=2)
HALF, QUARTER, HARDLY_ANY = 8, 32, 1 << 15
"""Two sites add noise, each as if so many did: a quarter, a 16th or a 16384th of the variance."""


class Release:
    """One release with a record in question, and what the accountant says of it alone."""

    def __init__(self, what, *, rows=1):
        self.state = None
        if what == "analysis":
            self.task = audit.asked(audit.COLUMNS, CLAIM)
            self.state = self.task.opening()
        elif what == "moments":
            self.task = audit.first_only(audit.COLUMNS, CLAIM)
            self.state = self.task.opening()
        else:
            model = DESCENT if what == "descent" else SHORT
            phase = Phase.EVALUATION if what == "evaluation" else Phase.TRAINING
            self.task = audit.trained(audit.COLUMNS, model, 8.0, audit.JUDGED)
            self.state = audit.reached(self.task, phase)
        cases = (audit.case(self.task, audit.outlier(rows=rows, name=f"z{i}"), TABLES) for i in range(64))
        self.case = next(one for one in cases if what == "analysis" or self.is_in(one.alone, what))
        event = self.task.spending.event(self.state.round)
        self.claim = audit.claimed(Part((replace(event, count=1),)))

    @staticmethod
    def is_in(site, what):
        return site.judging[0, 0] == 0 if what == "evaluation" else site.learning[0, 0]

    def bound(self, **fault):
        """As for a Gaussian, from all runs at the threshold of the stated noise."""
        scores = audit.release_scores(self.case, self.state, ROOT, runs=RUNS, **fault)
        return attack.gaussian(scores.errors(0.0), audit.DELTA, DOUBT)


EVERY = ["moments", "logistic", "descent", "evaluation", "analysis"]


@pytest.mark.parametrize("what", EVERY)
def test_a_release_leaks_what_it_claims_and_not_more(what):
    release = Release(what)
    assert 0.7 * release.claim < release.bound() <= release.claim


@pytest.mark.parametrize("what", EVERY)
def test_half_the_noise_is_found_out(what):
    release = Release(what)
    assert release.bound(noisy=HALF) > release.claim


@pytest.mark.parametrize("what", ["moments", "logistic"])
def test_noise_that_is_drawn_again_for_the_same_state_is_found_out(what):
    release = Release(what)
    assert release.bound(draws=2) > release.claim


def test_noise_that_follows_from_the_state_gives_a_second_asker_nothing():
    release = Release("moments")
    vectors = [release.task.contribute(release.state, site) for site in release.case.others]
    keys = [audit.key(ROOT, "noise", site) for site in range(2)]
    one, other = (audit.opened(release.task, release.state, vectors, keys) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("what", ["logistic", "descent"])
def test_a_large_record_that_is_not_clipped_is_found_out(what, monkeypatch):
    release = Release(what)

    def unclipped(state, site, secret=bytes(32)):
        with monkeypatch.context() as patch:
            patch.setattr(private_logistic, "clip_norm", lambda width: 1e6)
            return loose.contribute(state, site, secret)

    loose = release.task
    if what == "descent":
        loose = replace(loose, spec=replace(loose.spec, descent=replace(loose.spec.descent, clip=1000.0)))
    own = unclipped(release.state, release.case.alone)
    assert np.linalg.norm(own) > 1.5 * release.task.release(release.state).sensitivity
    assert release.bound(contribute=unclipped) > release.claim


@pytest.mark.parametrize("what", ["moments", "logistic", "descent", "evaluation"])
def test_a_patient_of_five_rows_leaks_no_more_than_claimed_and_at_full_weight_is_found_out(what):
    release = Release(what, rows=5)

    def every_row_counts(state, site, secret=bytes(32)):
        known = site.patients
        full = Patients(known.count, known.index, np.ones(len(known.index)))
        return release.task.contribute(state, replace(site, patients=full), secret)

    assert 0.7 * release.claim < release.bound() <= release.claim
    assert release.bound(contribute=every_row_counts) > release.claim


def test_error_rates_alone_find_a_quarter_of_the_noise():
    release = Release("analysis")
    for noisy, holds in ((0, True), (32, False)):
        scores = audit.release_scores(release.case, release.state, ROOT, runs=RUNS, noisy=noisy)
        bound = attack.best(scores, attack.many_runs, delta=audit.DELTA, doubt=DOUBT)
        assert (0 < bound <= release.claim) is holds
        assert (bound > release.claim) is not holds


# ---------------------------------------------------------------- whole jobs


@pytest.mark.slow
@pytest.mark.parametrize("model", [SHORT, DESCENT], ids=["logistic", "descent"])
def test_a_whole_job_leaks_no_more_than_claimed_and_with_a_quarter_of_the_noise_is_found_out(model):
    task = audit.trained(audit.COLUMNS, model, 8.0)
    (part,) = task.spending.parts
    about = audit.case(task, audit.outlier(), TABLES)
    for noisy, holds in ((0, True), (QUARTER, False)):
        white, black = audit.job_scores(about, ROOT, jobs=130, noisy=noisy)
        bound = attack.gaussian(white.errors(0.0), audit.DELTA, DOUBT)
        blind = attack.best(black, attack.gaussian, delta=audit.DELTA, doubt=DOUBT)
        assert (0.0 < bound <= audit.claimed(part)) is holds
        assert (bound > audit.claimed(part)) is not holds
        assert blind <= bound


@pytest.mark.slow
def test_patients_who_are_always_drawn_though_priced_as_sampled_are_found_out():
    task = audit.trained(audit.COLUMNS, replace(DESCENT, rounds=4, sampling=0.02), CLAIM)
    (part,) = task.spending.parts
    sure = Spending((Part(tuple(replace(event, rate=1.0) for event in part.events)),))
    suspected = replace(audit.certain(task), spending=sure)  # the adversary's guess at what is wrong
    sound, _ = audit.job_scores(audit.case(task, audit.outlier(), TABLES), ROOT, jobs=50)
    broken, _ = audit.job_scores(audit.case(suspected, audit.outlier(), TABLES), ROOT, jobs=100)
    assert attack.of_shape(sound.errors(0.0), part, audit.DELTA, DOUBT) <= audit.claimed(part)
    assert attack.gaussian(broken.errors(0.0), audit.DELTA, DOUBT) > audit.claimed(part)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["analysis", "logistic"])
def test_many_records_in_one_job_leak_no_more_than_claimed_and_with_hardly_any_noise_are_found_out(kind):
    if kind == "analysis":
        count, task = 2048, audit.asked(1, 1.0, bins=2048)
        places = ((np.arange(count) + 0.5) / count * 2 - 1)[:, None]
        canaries = audit.records(places, np.zeros(count), [f"z{i:06}" for i in range(count)])
    else:
        count, task = 128, audit.trained(128, SHORT, 0.3)
        canaries = audit.crowd(count)
    (part,) = task.spending.parts
    present, delta = audit.coins(count, 3), 1e-11  # a larger one would leave more doubt: see `one_run`
    for noisy, holds in ((0, True), (HARDLY_ANY, False)):
        scores = audit.crowd_scores(task, canaries, present, ROOT, noisy=noisy)
        bound = attack.one_run(attack.guess(scores, present, count // 2), delta=delta, doubt=DOUBT)
        assert (bound <= audit.claimed(part, delta)) is holds


# ---------------------------------------------------------------- training at a site


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [1.0, 0.25])
def test_private_training_leaks_no_more_than_claimed_and_with_half_the_noise_is_found_out(sampling):
    course = audit.local_course(CLAIM, sampling, 2048, 4)
    part = Part((Event(DISCRETE_GAUSSIAN, course.multiplier, sampling, 4),))
    for factor, holds in ((1.0, True), (0.5, False)):
        noisy = replace(course, multiplier=course.multiplier * factor)
        scores, present, done = audit.trainings(noisy, 8)
        errors = attack.Scores(scores[~present], scores[present]).errors(0.0)
        if sampling < 1:
            bound = attack.of_shape(errors, part, audit.DELTA, DOUBT)
        else:
            bound = attack.gaussian(errors, audit.DELTA, DOUBT)
        assert done.multiplier >= noisy.multiplier
        assert (0.3 * CLAIM < bound <= audit.claimed(part)) is holds
        assert (bound > audit.claimed(part)) is not holds


def test_the_audit_reads_the_accountants_own_claims():
    task = audit.trained(audit.COLUMNS, SHORT, CLAIM)
    assert audit.claimed(task.spending.parts[0]) == pytest.approx(CLAIM, rel=1e-6)
    assert accountant.epsilon(task.spending, audit.DELTA) <= CLAIM
