"""Learning from updates that nobody sees, with the rows in the open so that every part can be looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from judged_in_the_open import AVERAGING, HELD_OUT, SMOKERS, hospitals, opened, program, records, run, step
from small_hospitals import SCHEMA, learning

from caduceus import canon
from caduceus.errors import Misuse, Refused
from caduceus.learn.inquiry.cells import Condition
from caduceus.learn.judged.dishonest import Deed, Dishonest
from caduceus.learn.judged.opened import STEPS, UNKNOWN, WHOLE, Given, Lots, Opened, mixed, mixes, whole
from caduceus.learn.judged.program import build_judged
from caduceus.learn.judged.rows import Stratum, hold_back, place
from caduceus.learn.spec import Evaluation
from caduceus.learn.state import Phase, State
from caduceus.market.mechanism.rules import Rules
from caduceus.market.mechanism.verdict import Lane


@pytest.fixture(scope="module")
def task():
    return program()


@pytest.fixture(scope="module")
def sites(task):
    return hospitals(task)


@pytest.fixture(scope="module")
def training(task, sites):
    return step(task, task.opening(), sites)


def test_a_whole_job_ends_with_a_model_that_is_better_than_chance_in_every_stratum(task, sites):
    state = run(task, sites)
    task.check(state)
    assert task.finished(state)
    assert state.round == task.max_rounds
    assert state.quality.auroc[0] > 0.6
    assert state.judged.by_stratum.rows.sum() == pytest.approx(state.quality.rows[0], abs=2)
    assert canon.unpack(State, canon.pack(state)).judged.rounds == AVERAGING.rounds


def test_the_figures_are_those_of_the_held_out_rows_and_the_last_model(task, sites):
    state = run(task, sites)
    kept = [site for site, weight in zip(sites, state.judged.weighed, strict=True) if weight > 0]
    scores = np.concatenate([task.log_odds(state, site.features)[site.held] for site in kept])
    target = np.concatenate([site.target[site.held] for site in kept])
    error = np.mean((1 / (1 + np.exp(-scores)) - target) ** 2)
    assert state.quality.brier[0] == pytest.approx(error, abs=2e-3)
    assert state.quality.rows[0] == pytest.approx(len(target), rel=0.2)  # sites tell their rows coarsely


def test_moments_are_those_of_the_learning_rows_up_to_the_weights_of_the_sites(task, sites, training):
    means = np.stack([np.nanmean(site.features[~site.held], axis=0) for site in sites])
    found = training.moments.mean[0, : task.design.measured]
    assert (found >= means.min(axis=0) - 1e-9).all()
    assert (found <= means.max(axis=0) + 1e-9).all()


def test_one_site_with_mad_moments_moves_them_little(task, sites, training):
    given = [task.contribute(task.opening(), site) for site in sites]
    given[0] = Given(np.sign(given[0].rows) * task.norm(task.opening()) / np.sqrt(given[0].rows.size), given[0].report)
    found, first = opened(task, task.opening(), given)
    weights = task.weigh(task.opening(), found)
    after = task.combine(task.opening(), found, weights @ first / WHOLE)
    assert np.abs(after.moments.mean - training.moments.mean).max() < 0.2


def test_every_row_is_within_the_norm_of_its_round_and_fits_the_fixed_point(task, sites):
    state = task.opening()
    while not task.finished(state):
        for site in sites[:2]:
            rows = task.contribute(state, site).rows
            assert rows.shape == (task.lots(state).site, task.length(state))
            assert (np.linalg.norm(rows, axis=1) <= task.norm(state) + 1e-9).all()
        assert task.norm(state) * task.scale(state) <= STEPS
        state = step(task, state, sites)


def test_the_second_and_later_rows_point_the_way_in_which_the_losses_fall(task, sites, training):
    site = sites[0]
    given = task.contribute(training, site)
    moved = replace(training, judged=replace(training.judged, weights=training.judged.weights - 0.05 * given.rows[1]))
    assert task.contribute(moved, site).report[0] < given.report[0]


def test_a_stratum_of_few_held_out_rows_is_not_spoken_of(task, training):
    few = task.ready(records(12, 99), "few")
    given = task.contribute(training, few)
    assert given.report == (UNKNOWN, UNKNOWN)
    assert not given.rows[1:].any()


def test_an_absent_site_weighs_nothing_and_the_others_go_on(task, sites, training):
    given = [task.contribute(training, site) for site in sites]
    found, first = opened(task, training, [None, *given[1:]])
    weights = task.weigh(training, found)
    assert weights[0] == 0
    after = task.combine(training, found, weights @ first / WHOLE)
    assert after.judged.lanes[0] == Lane.ABSENT


def test_nobody_present_is_refused(task, sites, training):
    found, _ = opened(task, training, [None] * len(sites))
    with pytest.raises(Refused, match="nobody is present"):
        task.weigh(training, found)


def test_the_last_move_is_multiplied_with_the_updates_also_where_it_is_longer_than_a_row(task, sites, training):
    long = replace(training, judged=replace(training.judged, moved=np.full_like(training.judged.moved, 1.0)))
    assert np.linalg.norm(task.public(long)) == pytest.approx(task.norm(long))
    given = [task.contribute(long, site) for site in sites]
    found, first = opened(task, long, given)
    seen = task.seen(long, found)
    assert seen.moved == pytest.approx(first @ long.judged.moved)
    assert seen.moved_norm2 == pytest.approx(len(long.judged.moved))


def test_evaluators_beside_the_sites_are_seen_as_independent(sites):
    task = program(evaluators=1)
    anchor = task.examiner(records(200, 77), "anchor")
    assert anchor.held.all()
    state = step(task, task.opening(), sites)
    found, _ = opened(task, state, [task.contribute(state, one) for one in sites], [task.examine(state, anchor)])
    seen = task.seen(state, found)
    assert seen.owner.tolist() == [0, 1, 2, 3, 4, 5, -1]
    assert seen.helps.shape == (6, 7, 2)
    assert np.isfinite(seen.helps[:, 6]).all()
    with pytest.raises(Misuse, match="while a model is trained"):
        task.examine(task.opening(), anchor)


def test_a_site_that_flips_labels_earns_less_than_an_equal_share(sites):
    task = program(evaluators=1)
    anchor = task.examiner(records(300, 77), "anchor")
    bad = Dishonest(task, Deed.FLIPS_LABELS)
    state = step(task, task.opening(), sites, [anchor])
    while state.phase is Phase.TRAINING:
        given = [task.contribute(state, site) for site in sites[:-1]] + [bad.contribute(state, sites[-1])]
        found, first = opened(task, state, given, [task.examine(state, anchor)])
        state = task.combine(state, found, task.weigh(state, found) @ first / WHOLE)
    earned = state.judged.memory.earned
    assert earned[-1] < earned.sum() / len(sites) / 2


def test_a_dishonest_site_has_a_deed_that_exists():
    assert Deed.named("replays") is Deed.REPLAYS
    with pytest.raises(Refused, match="flips-labels, turns-back, replays"):
        Deed.named("sleeps")


@pytest.mark.parametrize("deed", [Deed.TURNS_BACK, Deed.REPLAYS])
def test_dishonest_rows_keep_within_the_norm(task, sites, training, deed):
    rows = Dishonest(task, deed).contribute(training, sites[0]).rows
    assert (np.linalg.norm(rows, axis=1) <= task.norm(training) + 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"averaging": None, "logistic": learning().logistic}, "federated averaging only"),
        ({"evaluation": Evaluation("none", 0, 0, 0.0)}, "every site holds rows out"),
        ({"evaluation": replace(HELD_OUT, repeats=2)}, "every site holds rows out"),
    ],
)
def test_learning_that_cannot_be_judged_is_refused(changes, complaint):
    with pytest.raises(Refused, match=complaint):
        program(**changes)


@pytest.mark.parametrize(
    ("strata", "complaint"),
    [
        ((SMOKERS, SMOKERS), "stands twice"),
        ((Stratum("everyone else", SMOKERS.where),), "stands twice"),
        ((Stratum("nobody", ()),), "needs a 'where'"),
        ((Stratum("unknown", (Condition("smokes", (), True, None, None),)),), "smoke"),
        (tuple(Stratum(str(i), SMOKERS.where) for i in range(9)), "at most 8"),
    ],
)
def test_strata_that_cannot_be_told_apart_are_refused(strata, complaint):
    with pytest.raises(Refused, match=complaint):
        program(strata=strata)


def test_rules_for_another_number_of_strata_are_refused():
    spec = learning(averaging=AVERAGING, evaluation=HELD_OUT)
    with pytest.raises(Refused, match="shares for 2 strata, and there are 1"):
        build_judged(spec, SCHEMA, (), Rules(), 0)


def test_a_row_is_in_the_first_stratum_whose_conditions_it_meets():
    old = Stratum("old", (Condition("age", (), None, 80.0, None),))
    rows = records(300, 5)
    found = place((old, SMOKERS), rows)
    age, smoker = rows.column("age"), rows.column("smoker")
    assert (found == np.where(age >= 80, 1, np.where(smoker == 1, 2, 0))).all()


def test_a_share_of_every_class_of_every_stratum_is_held_back():
    target = np.array([0.0] * 40 + [1.0] * 20 + [0.0] * 10 + [1.0])
    stratum = np.array([0] * 60 + [1] * 11)
    held = hold_back(target, stratum, "site", 3, 0.3)
    counts = [held[(stratum == s) & (target == t)].sum() for s, t in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert counts == [12, 6, 3, 0]  # of a single row none, or nobody would learn from it
    assert (held == hold_back(target, stratum, "site", 3, 0.3)).all()


def test_a_state_of_another_task_is_refused(task, training):
    for wrong, field in (
        (replace(training, judged=None), "judged"),
        (replace(training, judged=replace(training.judged, weights=training.judged.weights[:-1])), "judged.weights"),
        (replace(training, judged=replace(training.judged, lanes=training.judged.lanes[:-1])), "judged.lanes"),
        (replace(training, judged=replace(training.judged, rounds=9)), "judged.rounds"),
        (
            replace(
                training,
                judged=replace(training.judged, memory=replace(training.judged.memory, earned=np.full(6, np.inf))),
            ),
            "judged.memory.earned",
        ),
        (replace(training, round=99), "round"),
    ):
        with pytest.raises(Refused, match=field):
            task.check(wrong)


def test_weights_are_whole_parts_that_never_add_up_to_more_than_asked_for():
    weights = np.array([1 / 3, 1 / 3, 1 / 3])
    assert whole(weights).sum() <= WHOLE
    assert whole(np.array([1.0, 0.0])).tolist() == [WHOLE, 0]
    for wrong in (np.array([-0.1, 0.5]), np.array([0.7, 0.7]), np.array([np.nan, 0.1])):
        with pytest.raises(Misuse):
            whole(wrong)


def test_rows_are_found_where_parties_put_them():
    lots = Lots(3, 2)
    found = Opened(lots, 2, np.zeros((9, 9)), np.ones(3, bool), np.zeros((3, 2), np.int64))
    assert found.of_sites(0).tolist() == [0, 3]
    assert found.of_sites(2).tolist() == [2, 5]
    assert found.of_evaluators(1).tolist() == [7]
    assert found.public == 8
    with pytest.raises(Misuse):
        found.of_sites(3)
    with pytest.raises(Misuse):
        found.of_evaluators(2)


def test_a_table_of_another_schema_is_refused(task):
    rows = records(30, 1)
    other = replace(rows, schema=replace(SCHEMA, title="other hospitals"))
    with pytest.raises(Refused, match="schema"):
        task.ready(other, "site")


def test_a_sum_that_would_show_few_sites_is_not_opened(task, sites, training, monkeypatch):
    from caduceus.learn.judged import program as module

    honest = module.judge

    def partial(rules, memory, seen):
        verdict = honest(rules, memory, seen)
        return replace(verdict, weights=np.array([0.35, 0.01, 0.0, 0.0, 0.0, 0.0]))

    monkeypatch.setattr(module, "judge", partial)
    found, first = opened(task, training, [task.contribute(training, site) for site in sites])
    weights = task.weigh(training, found)
    assert not weights.any()
    after = task.combine(training, found, weights @ first / WHOLE)
    assert (after.judged.weights == training.judged.weights).all()
    assert after.judged.rounds == training.judged.rounds + 1


@pytest.mark.parametrize("weighed", [[1000, 900, 0, 0, 0, 0], [0] * 6])
def test_a_model_is_judged_also_where_the_last_round_came_to_nothing(task, sites, training, weighed):
    last = replace(
        training,
        phase=Phase.EVALUATION,
        judged=replace(training.judged, weighed=np.array(weighed), rounds=AVERAGING.rounds),
    )
    found, first = opened(task, last, [task.contribute(last, site) for site in sites])
    weights = task.weigh(last, found)
    assert (weights > 0).sum() >= 3
    assert task.finished(task.combine(last, found, weights @ first / WHOLE))


def test_effective_numbers_below_three_do_not_mix():
    from caduceus.learn.judged.opened import mixes

    assert mixes(np.array([5, 5, 5]))
    assert mixes(np.zeros(4, np.int64))
    assert not mixes(np.array([5, 5, 0]))
    assert not mixes(np.array([100, 1, 1, 1]))


def test_a_state_is_of_one_step_only_and_remembers_what_there_can_be(task, training):
    judged, memory = training.judged, training.judged.memory
    bent = replace(memory.effects, sums=memory.effects.sums[:, :1])
    unheard = replace(memory.likeness, weights=np.full_like(memory.likeness.weights, np.nan))
    for wrong, field in (
        (replace(training, round=2), "round"),
        (replace(training, phase=Phase.EVALUATION, round=1), "judged.rounds"),
        (replace(task.opening(), round=1), "round"),
        (replace(training, judged=replace(judged, moved=np.full_like(judged.moved, 1e200))), "judged.moved"),
        (replace(training, judged=replace(judged, lanes=judged.lanes + np.uint8(99))), "judged.lanes"),
        (replace(training, judged=replace(judged, vetoed=judged.vetoed + 5)), "judged.vetoed"),
        (replace(training, judged=replace(judged, weighed=judged.weighed - 1)), "judged.weighed"),
        (replace(training, judged=replace(judged, memory=replace(memory, effects=bent))), "memory.effects.sums"),
        (replace(training, judged=replace(judged, memory=replace(memory, likeness=unheard))), "memory.likeness"),
        (replace(training, judged=replace(judged, memory=replace(memory, caution=np.nan))), "memory.caution"),
        (replace(training, judged=replace(judged, memory=replace(memory, rounds=1))), "memory.rounds"),
    ):
        with pytest.raises(Refused, match=field):
            task.check(wrong)


@pytest.mark.parametrize(
    "changes", [{"budgets": (2.0, 0.0)}, {"voices": (np.nan, 0.3)}, {"kappa": np.inf}, {"cap": 0.0}]
)
def test_rules_that_make_no_sense_are_refused_since_a_stranger_may_have_written_them(changes):
    spec = learning(averaging=AVERAGING, evaluation=HELD_OUT)
    with pytest.raises(Refused, match="judging"):
        build_judged(spec, SCHEMA, (SMOKERS,), replace(Rules(), **changes), 0)


@pytest.mark.parametrize(
    ("given", "most"), [((60000, 2000, 2000, 0), 2000), ((40000, 9000, 9000, 7000), 24838), ((10, 10, 10), 10)]
)
def test_no_sum_shows_a_site_and_none_is_cut_more_than_it_takes(given, most):
    weights = mixed(np.array(given))
    assert mixes(weights)
    assert weights.tolist() == [min(one, int(weights.max())) for one in given]
    assert weights.max() == pytest.approx(most, rel=0.15)
    assert weights.max() == max(given) or not mixes(np.minimum(given, weights.max() + 1))


def test_two_sites_are_not_summed():
    assert not mixed(np.array([30000, 30000, 0])).any()
    assert not mixed(np.array([30000, 30000])).any()


@pytest.mark.parametrize("rows", [(80, 80, 80), (400, 60, 60), (300, 60, 60, 60)])
def test_a_job_of_few_and_unequal_sites_comes_to_its_end_and_every_sum_hides_them(task, rows):
    sites = [task.ready(records(count, seed), f"site {seed}") for seed, count in enumerate(rows)]
    state = task.opening()
    while not task.finished(state):
        found, first = opened(task, state, [task.contribute(state, site) for site in sites])
        weights = task.weigh(state, found)
        assert mixes(weights)
        state = task.combine(state, found, weights @ first / WHOLE)
        task.check(state)


def test_a_model_that_predicts_nothing_finite_is_not_judged(task, sites):
    state = run(task, sites)
    huge = replace(
        state, phase=Phase.EVALUATION, judged=replace(state.judged, weights=state.judged.weights * 0 + 1e308)
    )
    with np.errstate(all="ignore"), pytest.raises(Refused, match="finite"):
        task.contribute(huge, sites[0])


def test_records_and_rows_are_not_printed(task, sites):
    given = task.contribute(task.opening(), sites[0])
    assert str(float(sites[0].features[0, 0]))[:8] not in repr(sites[0])
    assert "array" not in repr(given) + repr(sites[0])
