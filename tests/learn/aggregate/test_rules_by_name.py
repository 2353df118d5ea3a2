"""Rules as data: what they need, what they stand, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Visibility
from caduceus.learn.aggregate import selection
from caduceus.learn.aggregate.bucketing import buckets, shuffled
from caduceus.learn.aggregate.gram import apply, gram, mixed_rows
from caduceus.learn.aggregate.rules import Setting, aggregate, check, names, rule_named

ROBUST = [name for name in names(Visibility.OPEN) if name != "mean"]


def federation(bad=4, n=20, d=200, seed=0):
    """Honest rows around a direction; the reference is near it; the bad ones pull far to the other side."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=d)
    rows = truth + 0.3 * draw.normal(size=(n + 1, d))
    rows[draw.permutation(n)[:bad]] = -50 * truth + 0.1 * draw.normal(size=(bad, d))
    return truth, rows


def setting(**changes):
    return Setting(**({"faults": 4, "reference": 20} | changes))


@pytest.mark.parametrize("name", [*ROBUST, *(f"mixing+{name}" for name in ROBUST if name != "foolsgold")])
def test_a_fifth_of_attackers_move_no_robust_rule_far_and_the_mean_very_far(name):
    truth, rows = federation()
    merged = rule_named(name).merge(rows, setting())
    assert np.linalg.norm(merged - truth) < 0.4 * np.linalg.norm(truth), name
    assert np.linalg.norm(rule_named("mean").merge(rows, setting()) - truth) > 5 * np.linalg.norm(truth)


@pytest.mark.parametrize("name", ["krum", "multi-krum", "smallest-diameter", "geometric-median", "median"])
def test_more_attackers_than_half_break_a_rule(name):
    truth, rows = federation(bad=12)
    assert np.linalg.norm(rule_named(name).merge(rows, setting()) - truth) > 5 * np.linalg.norm(truth)


@pytest.mark.parametrize("name", ["krum", "multi-krum", "geometric-median", "centred-clipping", "flame", "fltrust"])
def test_weights_by_inner_products_alone_merge_as_the_rows_do(name):
    for before in ("", "mixing+", "bucketing+"):
        rule = rule_named(before + name)
        _, rows = federation(seed=3)
        told = setting(faults=1 if before == "bucketing+" else 4, seed=b"public")
        assert rule.weigh is not None
        np.testing.assert_allclose(apply(rule.weigh(gram(rows), told), rows), rule.merge(rows, told), atol=1e-12)


def test_a_plan_that_needs_more_than_it_reveals_is_refused():
    for name in ROBUST:
        rule = rule_named(name)
        check(rule, rule.needs)
        check(rule, Visibility.OPEN)
        with pytest.raises(Refused, match=f"rule {name} needs {rule.needs.name}, this plan reveals SUM only"):
            check(rule, Visibility.SUM)
    with pytest.raises(Refused, match="needs OPEN, this plan reveals GRAM only; take one of: mean, krum"):
        aggregate(rule_named("median"), federation()[1], setting(), Visibility.GRAM)
    check(rule_named("mean"), Visibility.SUM)


def test_needs_are_those_of_the_rules():
    needs = {name: rule_named(name).needs for name in names(Visibility.OPEN)}
    opened = {"median", "trimmed-mean", "mean-around-median", "bulyan"}
    assert {name for name, needed in needs.items() if needed == Visibility.OPEN} == opened
    assert [name for name, needed in needs.items() if needed == Visibility.SUM] == ["mean"]
    assert rule_named("bucketing+median").needs == Visibility.COHORT
    assert rule_named("bucketing+krum").needs == Visibility.GRAM
    assert rule_named("mixing+median").needs == Visibility.OPEN
    assert rule_named("mixing+mean").needs == Visibility.GRAM
    assert rule_named("bucketing+mixing+krum").name == "bucketing+mixing+krum"
    for name in names(Visibility.OPEN):
        assert rule_named(name).source
        assert rule_named(name).breakdown


@pytest.mark.parametrize("name", ["", "best", "mixing+", "krum+krum"])
def test_an_unknown_name_is_refused_with_those_that_are_known(name):
    with pytest.raises(Refused, match=r"no rule is called .*geometric-median.* before a"):
        rule_named(name)


def test_mixing_then_mean_averages_everybodys_neighbourhoods():
    _, rows = federation(bad=0)
    rows = rows[:20]
    weights = rule_named("mixing+mean").weigh(gram(rows), Setting(faults=0))
    np.testing.assert_allclose(weights, np.full(20, 0.05))


def test_groups_are_random_equal_and_anybody_can_draw_them_again():
    matrix = buckets(b"seed", np.ones(11), 3)
    assert matrix.shape == (4, 11)
    assert sorted((matrix > 0).sum(axis=1).tolist()) == [2, 3, 3, 3]
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert ((matrix > 0).sum(axis=0) == 1).all()
    np.testing.assert_array_equal(matrix, buckets(b"seed", np.ones(11), 3))
    assert (matrix != buckets(b"other", np.ones(11), 3)).any()
    assert shuffled(b"seed", np.arange(5)).tolist() == [2, 0, 1, 3, 4]
    together = np.mean([np.flatnonzero(row)[:2].tolist() == [0, 1] for s in range(400) for row in
                        buckets(str(s).encode(), np.ones(4), 2)]) * 2  # fmt: skip
    assert 0.25 < together < 0.42  # 0 and 1 share a group of two once in three


def test_groups_leave_the_absent_out_and_count_voices():
    matrix = buckets(b"seed", np.array([1.0, 0, 3, 1, 0]), 3)
    assert matrix.tolist() == [[0.2, 0, 0.6, 0.2, 0]]
    for size, voices in ((0, np.ones(3)), (2, np.zeros(3))):
        with pytest.raises(Misuse, match="bucketing"):
            buckets(b"", voices, size)


def test_a_rule_after_bucketing_sees_the_groups():
    _, rows = federation(bad=0)
    rows = rows[:20]
    matrix = buckets(b"s", np.ones(20), 2)
    wanted = apply(selection.krum(gram(mixed_rows(matrix, rows)), 1), mixed_rows(matrix, rows))
    np.testing.assert_allclose(rule_named("bucketing+krum").merge(rows, Setting(1, seed=b"s")), wanted, atol=1e-9)


def test_fltrust_lets_nobody_in_who_points_the_other_way():
    rows = np.vstack([-np.eye(3), np.ones((1, 3))])
    assert not rule_named("fltrust").weigh(gram(rows), Setting(reference=3)).any()


def test_foolsgold_silences_copies_and_keeps_those_that_differ():
    draw = np.random.default_rng(0)
    history = draw.normal(size=(8, 400))
    history[5:] = history[5] + 1e-3 * draw.normal(size=(3, 400))
    weights = rule_named("foolsgold").weigh(gram(history), Setting())
    assert weights[5:].max() < 0.01 < 0.15 < weights[:5].min()
    alike = rule_named("foolsgold").weigh(gram(np.ones((4, 3))), Setting())
    np.testing.assert_allclose(alike, np.full(4, 0.25))
