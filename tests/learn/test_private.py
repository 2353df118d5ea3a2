"""Learning with noise: every release has its noise, its bound on one patient, and its place in the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hospitals import AVERAGING, NO_EVALUATION, SCHEMA, learning, table

from caduceus import canon
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.learn import metrics
from caduceus.learn.private.program import PrivateProgram, build_private, plan_spending
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import CROSS, HOLDOUT, Descent, Evaluation, Learning
from caduceus.learn.state import Phase, State
from caduceus.privacy.accountant import epsilon_micro
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending
from caduceus.privacy.mechanisms import SLACK, Crowd, blur
from caduceus.protocol.encoding import decode, encode

EPSILON, DELTA = 2_000_000, 10_000_000
HELD = Evaluation(HOLDOUT, 1, 0, 0.25)
DESCENT = Descent((4,), "tanh", 5, 0.5, 1.0, 0.5, 1.0, 1.0)
CROWD = Crowd(cohort=0, missing_percent=20)


def spec(kind: str, *, evaluation: Evaluation = HELD) -> Learning:
    plain = learning(evaluation=evaluation)
    assert plain.logistic is not None
    if kind == "logistic":
        return dataclasses.replace(plain, logistic=dataclasses.replace(plain.logistic, max_rounds=4))
    return dataclasses.replace(plain, logistic=None, descent=DESCENT)


def program(kind: str, *, epsilon: int = EPSILON, evaluation: Evaluation = HELD) -> PrivateProgram:
    asked = spec(kind, evaluation=evaluation)
    return build_private(asked, SCHEMA, plan_spending(asked, epsilon_micro=epsilon, delta_pico=DELTA), CROWD)


def secret(state: State, site: int) -> bytes:
    return bytes([site]) + canon.digest(state)[1:]


def total_of(task: PrivateProgram, state: State, hospitals: Sequence[SiteData], noisy: int) -> np.ndarray:
    """The sum as a job opens it: encoded, blurred, added in the ring."""
    release, total = task.release(state), np.zeros(task.length(state), np.uint64)
    for number, site in enumerate(hospitals):
        exact = task.contribute(state, site, secret(state, number))
        assert np.abs(exact).max() <= task.bound(state)
        vector = encode(exact, scale=task.scale(state), parties=len(hospitals), bits=task.bits(state))
        blur(vector, bytes([number]) + secret(state, number)[1:], release, noisy)
        total += vector
    return decode(total, scale=task.scale(state))


def run(task: PrivateProgram, hospitals: Sequence[SiteData]) -> list[State]:
    states = [task.opening()]
    while not task.finished(states[-1]):
        total = total_of(task, states[-1], hospitals, noisy=4)
        states.append(task.combine(states[-1], total, len(hospitals)))
        task.check(states[-1])
    return states


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return [table(rows, 50 + rows) for rows in (600, 500, 400, 300, 200)]


@pytest.mark.parametrize("kind", ["logistic", "descent"])
def test_a_private_run_learns_and_is_judged_on_patients_that_it_never_saw(kind: str, tables: list[Table]):
    task = program(kind, epsilon=8_000_000)
    hospitals = [task.ready(one, f"hospital {i}") for i, one in enumerate(tables)]
    last = run(task, hospitals)[-1]
    held = [site.judging[0] == 0 for site in hospitals]
    scores = np.concatenate([task.judged(last, site)[0, kept] for site, kept in zip(hospitals, held, strict=True)])
    truth = np.concatenate([site.target[kept] for site, kept in zip(hospitals, held, strict=True)])
    true_area = metrics.auroc(truth, scores)
    assert true_area is not None
    assert true_area > 0.7
    assert last.quality is not None
    assert abs(float(last.quality.auroc[0]) - true_area) <= float(last.quality.auroc_error[0])
    assert float(last.quality.rows[0]) == pytest.approx(len(truth), abs=60)
    assert not any((site.learning[0] & (site.judging[0] == 0)).any() for site in hospitals)


@pytest.mark.parametrize("kind", ["logistic", "descent"])
def test_every_run_has_the_same_rounds_whatever_the_data_say(kind: str, tables: list[Table]):
    task = program(kind)
    states = run(task, [task.ready(one, f"hospital {i}") for i, one in enumerate(tables)])
    training = [Phase.TRAINING] * task.steps
    assert [state.phase for state in states] == [Phase.MOMENTS, *training, Phase.EVALUATION, Phase.DONE]
    assert len(states) == task.max_rounds + 1
    assert [state.round for state in states] == list(range(task.max_rounds + 1))


def test_a_site_contributes_the_same_for_the_same_state_and_secret(tables: list[Table]):
    task = program("descent")
    site = task.ready(tables[0], "hospital 0")
    state = task.combine(task.opening(), task.contribute(task.opening(), site), 1)
    once = task.contribute(state, site, secret(state, 1))
    assert once.tobytes() == task.contribute(state, site, secret(state, 1)).tobytes()
    assert once.tobytes() != task.contribute(state, site, secret(state, 2)).tobytes()
    with pytest.raises(Misuse, match="secret"):
        task.contribute(state, site)


# ---------------------------------------------------------------- one patient


def patients_of(rows: int, seed: int, most: int) -> Table:
    """A hospital whose patients have up to `most` rows each."""
    draw = np.random.default_rng(seed)
    made = table(rows, seed)
    label = np.array([f"p{one}" for one in draw.integers(0, max(rows // most, 1), rows)])
    return Table(SCHEMA, made.values, {"who": label}, "who")


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["logistic", "descent"]), st.integers(0, 10**6), st.integers(1, 6))
def test_leaving_out_a_patient_changes_no_release_by_more_than_is_stated(kind: str, seed: int, most: int):
    """All rows of the patient together; also whoever else is held back or drawn stays so."""
    task, whole = program(kind), patients_of(40, seed, most)
    labels = whole.patients
    assert labels is not None
    without = whole.select(labels != labels[seed % 40])
    other = table(30, seed + 1)
    states = run(task, [task.ready(other, "other"), task.ready(whole, "whole")])
    for state in states[:-1]:
        one, less = (
            task.contribute(state, task.ready(rows, "hospital"), secret(state, 3)) for rows in (whole, without)
        )
        if task.spec.descent is not None and state.phase is Phase.TRAINING and task.spec.descent.sampling < 1:
            continue  # the draw is by position; `test_every_patient_is_drawn_alone` has it
        assert float(np.linalg.norm(one - less)) <= task.release(state).sensitivity * (1 + SLACK)


def test_every_patient_is_drawn_alone_with_all_rows():
    """A step's sum over the drawn patients is that of their rows; each is bounded by the clip."""
    task, whole = program("descent"), patients_of(200, 5, 4)
    site = task.ready(whole, "hospital")
    state = task.combine(task.opening(), task.contribute(task.opening(), site), 1)
    assert site.patients is not None
    drawn = set()
    for number in range(60):
        vector = task.contribute(state, site, secret(state, number))
        assert float(np.linalg.norm(vector)) <= site.patients.count * DESCENT.clip
        drawn.add(vector.tobytes())
    assert len(drawn) == 60


def test_who_is_held_back_depends_on_that_patient_alone(tables: list[Table]):
    task = program("logistic")
    whole = tables[0]
    order = np.random.default_rng(1).permutation(whole.rows)
    for rows in (order, order[:100]):
        part = task.ready(whole.select(rows), "hospital")
        assert (part.judging[0] == task.ready(whole, "hospital").judging[0][rows]).all()
    kept = float(task.ready(whole, "hospital").learning.mean())
    assert 0.65 < kept < 0.85


def test_all_rows_of_a_patient_are_held_back_together():
    task, whole = program("logistic"), patients_of(300, 2, 5)
    held = task.ready(whole, "hospital").judging[0] == 0
    assert whole.patients is not None
    for label in np.unique(whole.patients):
        mine = held[whole.patients == label]
        assert mine.all() or not mine.any()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["logistic", "descent"]), st.data())
def test_a_site_answers_every_state_that_it_accepts_whatever_its_records_hold(kind: str, data: st.DataObject):
    """A coordinator that makes up a state, to see who falls silent over it, would ask the records without a price."""
    task = program(kind)
    site = task.ready(patients_of(30, 3, 2), "hospital")
    state = run(task, [task.ready(table(60, 4), "other"), task.ready(table(50, 5), "third")])[1]
    assert state.moments is not None
    wild = [1e300, -1e300, 5e-324, 2.0, -0.0]
    mild = {"mean": [0.0, -1.0, 1.0, 0.37], "deviation": [0.01, 1.0, 0.37], "weights": [-1e6, 1e6, 0.0, 1e-300]}

    def like(array: np.ndarray, name: str) -> np.ndarray:
        values = mild[name] if data.draw(st.integers(0, 9)) else mild[name] + wild
        return np.array(data.draw(st.lists(st.sampled_from(values), min_size=array.size, max_size=array.size))).reshape(
            array.shape
        )

    moments = dataclasses.replace(
        state.moments, mean=like(state.moments.mean, "mean"), deviation=like(state.moments.deviation, "deviation")
    )
    changed = dataclasses.replace(state, moments=moments)
    if state.noisy is not None:
        changed = dataclasses.replace(
            changed, noisy=dataclasses.replace(state.noisy, weights=like(state.noisy.weights, "weights"))
        )
    if state.descended is not None:
        weights = like(state.descended.weights, "weights")
        changed = dataclasses.replace(changed, descended=dataclasses.replace(state.descended, weights=weights))
    for one in (
        changed,
        dataclasses.replace(changed, moments=state.moments),
        dataclasses.replace(state, moments=moments),
    ):
        try:
            task.check(one)
        except Refused:
            continue
        vector = task.contribute(one, site, secret(one, 1))
        assert np.isfinite(vector).all()
        assert np.abs(vector).max() <= task.bound(one)
        encode(vector, scale=task.scale(one), parties=1024, bits=64)


# ---------------------------------------------------------------- what is stated


@pytest.mark.parametrize("epsilon", [300_000, 1_000_000, 8_000_000])
@pytest.mark.parametrize("kind", ["logistic", "descent"])
@pytest.mark.parametrize("evaluation", [HELD, NO_EVALUATION])
def test_a_plan_spends_what_it_was_asked_to_and_no_more(kind: str, epsilon: int, evaluation: Evaluation):
    asked = spec(kind, evaluation=evaluation)
    spending = plan_spending(asked, epsilon_micro=epsilon, delta_pico=DELTA)
    assert 0.97 * epsilon < epsilon_micro(spending, DELTA) <= epsilon
    assert spending.releases == build_private(asked, SCHEMA, spending, CROWD).max_rounds


def test_judging_costs_nothing_more_because_it_is_about_other_patients():
    one, other = (
        plan_spending(spec("logistic", evaluation=judged), epsilon_micro=EPSILON, delta_pico=DELTA)
        for judged in (HELD, NO_EVALUATION)
    )
    assert one.parts[0] == other.parts[0]
    assert epsilon_micro(one, DELTA) == epsilon_micro(other, DELTA)


def gaussian(multiplier: float, rate: float = 1.0, count: int = 1) -> Event:
    return Event(DISCRETE_GAUSSIAN, multiplier, rate, count)


GOOD = (gaussian(9.0), gaussian(6.0, count=4))


@pytest.mark.parametrize(
    ("kind", "parts", "why"),
    [
        ("logistic", (GOOD,), "noise for other releases than the 6"),
        ("logistic", ((*GOOD, gaussian(4.0)),), "noise for other releases than the 6"),
        ("logistic", ((gaussian(9.0), gaussian(6.0, 0.5, 4)), (gaussian(4.0),)), "priced for a sampling rate of 0.5"),
        ("descent", ((gaussian(9.0), gaussian(6.0, 0.1, 5)), (gaussian(4.0),)), "priced for a sampling rate of 0.1"),
        ("logistic", ((gaussian(9.0), gaussian(0.1, count=4)), (gaussian(4.0),)), "noise multiplier of 0.1 is below"),
        ("logistic", (GOOD, (Event("laplace", 4.0, 1.0, 1),)), "is a 'laplace'"),
    ],
)
def test_noise_for_something_else_is_refused(kind: str, parts: tuple[tuple[Event, ...], ...], why: str):
    with pytest.raises(Refused, match=why):
        build_private(spec(kind), SCHEMA, Spending(tuple(Part(part) for part in parts)), CROWD)


def test_what_cannot_be_private_is_refused_and_says_what_to_do():
    asked = learning(averaging=AVERAGING)
    with pytest.raises(Refused, match="use 'dp-sgd' or 'logistic'"):
        plan_spending(asked, epsilon_micro=EPSILON, delta_pico=DELTA)
    crossed = spec("logistic", evaluation=Evaluation(CROSS, 1, 3, 0.0))
    with pytest.raises(Refused, match="method = 'holdout' and repeats = 1"):
        build_private(crossed, SCHEMA, Spending((Part(GOOD),)), CROWD)


# ---------------------------------------------------------------- states from peers


@pytest.mark.parametrize("kind", ["logistic", "descent"])
def test_a_state_of_another_run_is_refused(kind: str, tables: list[Table]):
    task, exact = program(kind), program("descent" if kind == "logistic" else "logistic")
    states = run(task, [task.ready(one, f"hospital {i}") for i, one in enumerate(tables)])
    for state in states:
        assert canon.unpack(State, canon.pack(state)) == state
    for state in states[1:]:
        with pytest.raises(Refused, match="state:"):
            exact.check(state)
    middle = states[2]
    assert middle.moments is not None
    for change in (
        {"round": 1, "phase": Phase.MOMENTS},
        {"round": 99},
        {"phase": Phase.EVALUATION},
        {"phase": Phase.QUESTIONS},
        {"moments": None},
        {"noisy": None, "descended": None},
        {"quality": states[-1].quality},
        {"moments": dataclasses.replace(middle.moments, deviation=-middle.moments.deviation)},
    ):
        with pytest.raises(Refused, match="state:"):
            task.check(dataclasses.replace(middle, **change))


def test_a_release_has_one_number_so_no_state_asks_for_one_twice(tables: list[Table]):
    """A state of round 2 that says it is of round 1 asks for another release under the same number: never for two."""
    task = program("logistic")
    states = run(task, [task.ready(one, f"hospital {i}") for i, one in enumerate(tables)])
    for state in states[:-1]:
        again = dataclasses.replace(state, round=state.round + 1)
        if task.phase_of(state.round + 1) is not state.phase:
            with pytest.raises(Refused):
                task.check(again)
