from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hospitals import AVERAGING, CROSSED, SCHEMA, learning, ring_run, sites, table

from caduceus import canon
from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.program import Program, build_task
from caduceus.learn.rows import ROWS_LIMIT, check_size
from caduceus.learn.state import Phase, State, difference

NEWTON_TASK = build_task(learning(evaluation=CROSSED), SCHEMA)
AVERAGING_TASK = build_task(learning(averaging=AVERAGING, evaluation=CROSSED), SCHEMA)
TASKS = pytest.mark.parametrize("task", [NEWTON_TASK, AVERAGING_TASK], ids=["newton", "averaging"])


def states(task: Program) -> list[State]:
    """Every state of a run, the opening first."""
    hospitals = sites(task, [40, 30, 50])
    run = [task.opening()]
    while not task.finished(run[-1]):
        run.append(task.combine(run[-1], sum(task.contribute(run[-1], one) for one in hospitals), 3))
    return run


@TASKS
def test_a_run_goes_through_its_phases_once_each_and_ends_in_time(task):
    run = states(task)
    phases = [int(state.phase) for state in run]
    assert phases == sorted(phases)
    assert set(phases) == {Phase.MOMENTS, Phase.TRAINING, Phase.EVALUATION, Phase.DONE}
    assert [state.round for state in run] == list(range(len(run)))
    assert len(run) - 1 <= task.max_rounds
    assert run[-1].quality is not None


@TASKS
def test_without_evaluation_the_model_is_the_end(task):
    bare = build_task(replace(task.spec, evaluation=replace(CROSSED, method="none", repeats=0, folds=0)), SCHEMA)
    state = unsafe_open_run(bare, sites(bare, [40, 30]))
    assert state.phase is Phase.DONE
    assert state.quality is None
    assert state.round <= bare.max_rounds


@TASKS
def test_every_state_comes_back_from_its_bytes_and_goes_on_to_the_same_digest(task):
    hospitals = sites(task, [40, 30, 50])
    for state in states(task):
        again = canon.unpack(State, canon.pack(state))
        assert canon.digest(again) == canon.digest(state)
        task.check(again)
        if not task.finished(state):
            total = sum(task.contribute(again, one) for one in hospitals)
            expected = task.combine(state, sum(task.contribute(state, one) for one in hospitals), 3)
            assert canon.digest(task.combine(again, total, 3)) == canon.digest(expected)


@TASKS
@settings(max_examples=6, deadline=None)
@given(st.permutations(range(3)))
def test_the_order_of_sites_does_not_change_the_outcome(task, order):
    hospitals = sites(task, [40, 30, 50])
    assert ring_run(task, hospitals) == ring_run(task, [hospitals[i] for i in order])


@TASKS
def test_vectors_have_the_promised_length_and_bound(task):
    hospitals = sites(task, [40, 30, 50])
    for state in states(task)[:-1]:
        for site in hospitals:
            vector = task.contribute(state, site)
            assert vector.shape == (task.length(state),)
            assert vector.dtype == np.float64
            assert np.abs(vector).max() <= task.bound(state)


def test_the_ring_is_64_bits_but_for_averaging():
    assert [NEWTON_TASK.bits(state) for state in states(NEWTON_TASK)[:3]] == [64, 64, 64]
    assert [AVERAGING_TASK.bits(state) for state in states(AVERAGING_TASK)[:2]] == [64, 32]


@TASKS
def test_a_finished_task_has_no_coming_round(task):
    end = states(task)[-1]
    site = sites(task, [40])[0]
    for ask in (task.length, task.bound, task.scale, lambda state: task.contribute(state, site)):
        with pytest.raises(Misuse, match="finished"):
            ask(end)
    with pytest.raises(Misuse, match="finished"):
        task.combine(end, np.zeros(1), 1)


@TASKS
def test_a_sum_of_the_wrong_shape_or_not_finite_or_of_nobody_is_a_misuse(task):
    opening = task.opening()
    length = task.length(opening)
    with pytest.raises(Misuse, match=f"expected {length} finite entries"):
        task.combine(opening, np.zeros(length + 1), 3)
    with pytest.raises(Misuse, match=f"expected {length} finite entries"):
        task.combine(opening, np.full(length, np.nan), 3)
    with pytest.raises(Misuse, match="0 sites"):
        task.combine(opening, np.zeros(length), 0)


def test_a_table_of_another_schema_is_refused():
    other = Schema("others", SCHEMA.columns)
    with pytest.raises(Refused, match="site A: its table has schema 'others'"):
        NEWTON_TASK.ready(Table(other, table(20, 1).values), "A")


def test_an_empty_site_and_one_beyond_the_limit_are_refused():
    with pytest.raises(Refused, match="site A: no rows"):
        NEWTON_TASK.ready(table(0, 1), "A")
    with pytest.raises(Refused, match="site A: more than"):
        check_size(ROWS_LIMIT + 1, "A")
    check_size(ROWS_LIMIT, "A")


def test_predictions_are_probabilities_of_a_sites_own_rows():
    state = states(NEWTON_TASK)[-1]
    site = sites(NEWTON_TASK, [40])[0]
    probability = NEWTON_TASK.predict(state, site)
    assert probability.shape == (40,)
    assert ((probability > 0) & (probability < 1)).all()
    assert (NEWTON_TASK.predict(state, site, fit=1) != probability).any()
    with pytest.raises(Misuse, match="no moments"):
        NEWTON_TASK.predict(NEWTON_TASK.opening(), site)


@TASKS
def test_a_difference_beyond_the_tolerance_is_named_by_its_field(task):
    end = states(task)[-1]
    assert difference(end, end) is None
    assert end.moments is not None
    nudged = replace(end, moments=replace(end.moments, mean=end.moments.mean + 1e-12))
    assert difference(end, nudged) is None
    moved = replace(end, moments=replace(end.moments, mean=end.moments.mean + 1e-6))
    assert difference(end, moved) == "moments.mean"
    assert difference(end, replace(end, round=end.round + 1)) == "round"
    assert difference(end, replace(end, quality=None)) == "quality"


def middle(task: Program) -> State:
    return states(task)[2]


def spoiled(state: State, part: str, **fields: object) -> State:
    return replace(state, **{part: replace(getattr(state, part), **fields)})


@pytest.mark.parametrize(
    ("task", "field", "spoil"),
    [
        (NEWTON_TASK, "round", lambda s: replace(s, round=1000)),
        (NEWTON_TASK, "moments", lambda s: replace(s, moments=None)),
        (NEWTON_TASK, "newton", lambda s: replace(s, newton=None)),
        (NEWTON_TASK, "newton", lambda s: replace(s, phase=Phase.MOMENTS, moments=None)),
        (NEWTON_TASK, "quality", lambda s: replace(s, phase=Phase.DONE)),
        (NEWTON_TASK, "averaged", lambda s: replace(s, averaged=middle(AVERAGING_TASK).averaged)),
        (NEWTON_TASK, "moments.mean", lambda s: spoiled(s, "moments", mean=s.moments.mean[:, 1:])),
        (NEWTON_TASK, "moments.mean", lambda s: spoiled(s, "moments", mean=s.moments.mean * np.nan)),
        (NEWTON_TASK, "moments.rows", lambda s: spoiled(s, "moments", rows=0 * s.moments.rows)),
        (NEWTON_TASK, "moments.deviation", lambda s: spoiled(s, "moments", deviation=0 * s.moments.deviation)),
        (NEWTON_TASK, "newton.trial", lambda s: spoiled(s, "newton", trial=s.newton.trial[1:])),
        (NEWTON_TASK, "newton.trial", lambda s: spoiled(s, "newton", trial=s.newton.trial.astype("<f4"))),
        (NEWTON_TASK, "newton.active", lambda s: spoiled(s, "newton", active=s.newton.active + np.uint8(1))),
        (NEWTON_TASK, "newton.objective", lambda s: spoiled(s, "newton", objective=s.newton.objective[1:])),
        (AVERAGING_TASK, "averaged", lambda s: replace(s, averaged=None)),
        (AVERAGING_TASK, "averaged.weights", lambda s: spoiled(s, "averaged", weights=s.averaged.weights[:, 1:])),
        (AVERAGING_TASK, "averaged.share", lambda s: spoiled(s, "averaged", share=s.averaged.share * np.inf)),
    ],
)
def test_a_state_that_no_run_of_the_task_reaches_is_refused_by_field(task, field, spoil):
    task.check(middle(task))
    with pytest.raises(Refused, match=f"state: {field} is not"):
        task.check(spoil(middle(task)))
