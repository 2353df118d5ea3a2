"""From the sum to answers: exact without noise, honest with it, and blank where few patients are."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import EVERYTHING, SCHEMA, ask, axis, registry

from caduceus import canon
from caduceus.errors import Misuse, Refused
from caduceus.learn.inquiry.answering import check_answers, combine
from caduceus.learn.inquiry.answers import Answers, answers_json, answers_text
from caduceus.learn.inquiry.cells import Condition
from caduceus.learn.inquiry.noisy_quantiles import rising
from caduceus.learn.inquiry.plan import plan, tally
from caduceus.learn.inquiry.queries import Analysis, Contingency, Histogram, Mean, Quantiles

PLAN = plan(EVERYTHING, SCHEMA)
SITES = [registry(rows, seed) for seed, rows in enumerate((400, 700, 550))]
POOLED = np.concatenate([site.values for site in SITES], axis=1)
COLUMN = dict(zip(SCHEMA.names, POOLED, strict=True))
TOTAL = sum(tally(PLAN, site) for site in SITES)
EXACT = combine(PLAN, TOTAL, 0.0)


def numbers(answers, name, what):
    answer = next(one for one in answers.answers if one.name == name)
    return next(one for one in answer.numbers if one.heading.what.split(", in bins")[0] == what)


def test_without_noise_counts_and_means_are_those_of_the_pooled_records():
    assert numbers(EXACT, "patients", "patients").values == pytest.approx([1650.0])
    old = (COLUMN["age"] >= 65) & (COLUMN["sex"] == 0)
    assert numbers(EXACT, "old women", "patients").values == pytest.approx([old.sum()])
    pressure = COLUMN["pressure"][~np.isnan(COLUMN["pressure"])]
    assert numbers(EXACT, "pressure", "patients").values == pytest.approx([len(pressure)])
    assert numbers(EXACT, "pressure", "mean").values == pytest.approx([pressure.mean()])
    assert numbers(EXACT, "pressure", "standard deviation").values == pytest.approx([pressure.std()])
    smokers = COLUMN["smoker"][~np.isnan(COLUMN["smoker"])]
    assert numbers(EXACT, "smokers", "mean").values == pytest.approx([smokers.mean()])


def test_without_noise_intervals_are_those_of_sampling_or_a_point():
    mean = numbers(EXACT, "pressure", "mean")
    pressure = COLUMN["pressure"][~np.isnan(COLUMN["pressure"])]
    half = 1.959964 * pressure.std() / np.sqrt(len(pressure))
    assert mean.heading.covers == "noise and sampling"
    assert [*mean.low, *mean.high] == pytest.approx([pressure.mean() - half, pressure.mean() + half], rel=1e-6)
    counted = numbers(EXACT, "patients", "patients")
    assert counted.heading.covers == "noise"
    assert [*counted.low, *counted.high] == pytest.approx([1650.0, 1650.0])


def test_without_noise_a_histogram_is_numpys_and_its_margin_is_the_sum():
    cells = numbers(EXACT, "age bands", "patients")
    assert cells.heading.labels == ("0 to <40", "40 to <65", "65 to <80", "80 to 120")
    np.testing.assert_allclose(cells.values, np.histogram(COLUMN["age"], [0, 40, 65, 80, 120])[0])
    assert numbers(EXACT, "age bands", "margins").values == pytest.approx([1650.0])


def test_without_noise_quantiles_are_those_of_the_records_to_a_bin():
    found = numbers(EXACT, "age quartiles", "quantiles")
    expected = np.quantile(COLUMN["age"], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(found.values, expected, atol=1.0)
    assert ((found.low <= expected) & (expected <= found.high)).all()
    pressure = COLUMN["pressure"][~np.isnan(COLUMN["pressure"])]
    deciles = numbers(EXACT, "pressure deciles", "quantiles").values
    np.testing.assert_allclose(deciles, np.quantile(pressure, [0.1, 0.9]), atol=2.0)
    told = numbers(EXACT, "pressure deciles", "patients")
    assert told.values == pytest.approx([len(pressure), 1650 - len(pressure)])


def test_without_noise_a_table_and_its_margins_are_counts_by_hand():
    cells, margins = numbers(EXACT, "cross", "patients"), numbers(EXACT, "cross", "margins")
    stages = {"mild": 0.0, "moderate": 1.0, "severe": 2.0}
    spans = {"0 to <4": (0, 4), "4 to <8": (4, 8), "8 to 40": (8, 41)}
    assert len(cells.heading.labels) + len(margins.heading.labels) == 3 * 5 * 5
    shown = 0
    for part in (cells, margins):
        for label, value in zip(part.heading.labels, part.values, strict=True):
            sex, stage, visits = label.split(", ")
            kept = np.ones(1650, dtype=bool)
            if sex != "all":
                kept &= COLUMN["sex"] == ("female", "male").index(sex)
            if stage != "all":
                kept &= np.isnan(COLUMN["stage"]) if stage == "missing" else COLUMN["stage"] == stages[stage]
            if visits != "all":
                low, high = spans.get(visits, (0, 0))
                number = COLUMN["visits"]
                kept &= np.isnan(number) if visits == "missing" else (number >= low) & (number < high)
            if not np.isnan(value):
                assert value == pytest.approx(kept.sum()), label
                shown += 1
            elif part is margins and label == "all, all, all":
                raise AssertionError("the total of so many patients is withheld")
    assert shown > 40


def test_withheld_entries_are_blank_in_every_form():
    few = Condition("age", (), None, None, 20.3)
    layout = plan(Analysis((ask("few", where=(few,), mean=Mean("age", True)), ask("many")), 10), SCHEMA)
    answers = combine(layout, tally(layout, SITES[0]), 0.0)
    assert (COLUMN["age"][:400] <= 20.3).sum() in range(1, 10)
    for what in ("patients", "mean", "standard deviation"):
        part = numbers(answers, "few", what)
        assert part.withheld.tolist() == [1]
        assert np.isnan([part.values, part.errors, part.low, part.high]).all()
    read = json.loads(answers_json(answers))
    assert read["queries"][0]["numbers"][1]["entries"][0]["value"] is None
    assert read["queries"][1]["numbers"][0]["entries"][0]["value"] == pytest.approx(400.0)
    text = answers_text(answers)
    assert text.count("  withheld") == 3
    assert "400" in text


def test_a_quantile_with_few_patients_beyond_it_is_withheld():
    query = ask("q", quantiles=Quantiles(axis("age", 60), (0.02, 0.03, 0.5, 0.98)))
    layout = plan(Analysis((query,), 10), SCHEMA)
    answers = combine(layout, tally(layout, SITES[0]), 0.0)
    assert numbers(answers, "q", "quantiles").withheld.tolist() == [1, 0, 0, 1]


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), FINITE, st.floats(0, 1e308), st.sampled_from([0.0, 1e-3, 1.0, 1e3]))
def test_no_finite_total_makes_it_fail_and_what_is_published_is_finite(seed, size, deviation, spread):
    total = size * np.random.default_rng(seed).uniform(-1, 1, PLAN.length) + spread * TOTAL
    answers = combine(PLAN, np.clip(total, -1e308, 1e308), deviation)
    check_answers(PLAN, answers)
    assert canon.unpack(Answers, canon.pack(answers)) == answers
    json.loads(answers_json(answers))
    answers_text(answers)
    for part in (part for answer in answers.answers for part in answer.numbers):
        shown = part.withheld == 0
        assert np.isfinite(part.values[shown]).all()
        assert np.isnan(part.values[~shown]).all()
        assert not (part.low > part.values + 1e-6).any()
        assert not (part.high < part.values - 1e-6).any()
        counts = part.heading.what in ("patients", "margins") or part.heading.what.startswith("at risk")
        assert not counts or (part.values[shown] > 9.99).all()


def test_a_total_that_is_not_the_plans_is_misuse():
    with pytest.raises(Misuse):
        combine(PLAN, TOTAL[:-1], 1.0)
    with pytest.raises(Misuse):
        combine(PLAN, TOTAL * np.nan, 1.0)
    with pytest.raises(Misuse, match="deviation"):
        combine(PLAN, TOTAL, -1.0)


def test_answers_to_other_questions_are_refused():
    other = replace(EVERYTHING, queries=EVERYTHING.queries[:-1])
    with pytest.raises(Refused, match="not those to the questions"):
        check_answers(plan(other, SCHEMA), EXACT)
    first = EXACT.answers[0].numbers[0]
    short = replace(EXACT.answers[0], numbers=(replace(first, values=np.zeros(2)),))
    with pytest.raises(Refused, match="expected 1 numbers"):
        check_answers(PLAN, replace(EXACT, answers=(short, *EXACT.answers[1:])))
    check_answers(PLAN, EXACT)


SMALL = Analysis(
    (
        ask("all"),
        ask("pressure", mean=Mean("pressure", True), weight=2.0),
        ask("smokers", mean=Mean("smoker", False)),
        ask("visits", mean=Mean("visits", False)),
        ask("stages", histogram=Histogram(axis("stage"), True)),
        ask("cross", table=Contingency((axis("sex"), axis("stage")), True)),
        ask("median", quantiles=Quantiles(axis("age", 60), (0.5,)), weight=2.0),
    ),
    10,
)


def test_stated_errors_are_those_of_the_noise_and_intervals_cover_the_exact_answers():
    layout = plan(SMALL, SCHEMA)
    total = sum(tally(layout, site) for site in SITES)
    exact = combine(layout, total, 0.0)
    draw = np.random.default_rng(8)
    deviation = 4.0
    noisy = [combine(layout, total + draw.normal(0, deviation, layout.length), deviation) for _ in range(400)]
    for a, answer in enumerate(exact.answers):
        for n, truth in enumerate(answer.numbers):
            parts = [one.answers[a].numbers[n] for one in noisy]
            values = np.array([part.values for part in parts])
            assert not np.isnan(values).any(), truth.heading
            stated = np.mean([part.errors for part in parts], axis=0)
            inside = np.mean([(p.low <= truth.values) & (truth.values <= p.high) for p in parts], axis=0)
            assert (inside > 0.92).all(), truth.heading
            if truth.heading.what.startswith(
                "quantiles, in bins of 2 "
            ):  # its error is that of a conservative interval, in whole bins
                assert (values.std(axis=0) < 1.1 * stated).all()
                continue
            np.testing.assert_allclose(values.std(axis=0), stated, rtol=0.12)
            if truth.heading.covers == "noise":
                assert (inside < 0.98).all(), truth.heading
            tolerance = 4 * stated.max() / np.sqrt(400)
            np.testing.assert_allclose(values.mean(axis=0), truth.values, atol=1.5 * tolerance)


def test_a_mean_of_few_patients_under_much_noise_says_that_it_knows_nothing():
    layout = plan(Analysis((ask("q", mean=Mean("age", False)),), 10), SCHEMA)
    answer = combine(layout, np.array([15.0, 3.0]), 100.0)
    mean = numbers(answer, "q", "mean")
    assert (mean.low[0], mean.high[0]) == (0.0, 120.0)


def test_of_two_questions_the_one_with_four_times_the_weight_has_half_the_error():
    layout = plan(Analysis((ask("a", weight=4.0), ask("b")), 10), SCHEMA)
    answers = combine(layout, np.full(2, 1000.0), 3.0)
    one, other = (answers.answers[i].numbers[0].errors[0] for i in (0, 1))
    assert other / one == pytest.approx(2.0)
    alone = plan(Analysis((ask("a"),), 10), SCHEMA)
    assert combine(alone, np.array([1000.0]), 3.0).answers[0].numbers[0].errors[0] == pytest.approx(3.0)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_the_nearest_rising_sequence_rises_and_is_the_sequence_itself_if_that_rises(values):
    found = rising(np.array(values))
    assert (np.diff(found) >= 0).all()
    np.testing.assert_array_equal(rising(np.sort(values)), np.sort(values))


def test_intervals_for_noise_and_sampling_cover_the_population():
    queries = (
        ask("mean", mean=Mean("age", True)),
        ask("smokers", mean=Mean("smoker", False)),
        ask("median", quantiles=Quantiles(axis("age", 120), (0.5,))),
    )
    layout = plan(Analysis(queries, 10), SCHEMA)
    draw = np.random.default_rng(9)
    inside = np.zeros(3)
    for seed in range(300):
        total = tally(layout, registry(300, 10_000 + seed, gaps=0.0)) + draw.normal(0, 3.0, layout.length)
        answers = combine(layout, total, 3.0)
        for q, (name, what, truth) in enumerate(
            (("mean", "mean", 60.0), ("smokers", "mean", 0.3), ("median", "quantiles", 60.0))
        ):
            part = numbers(answers, name, what)
            assert part.heading.covers == "noise and sampling"
            inside[q] += part.low[0] <= truth <= part.high[0]
    inside /= 300
    assert (inside > 0.92).all()
    assert (inside[:2] < 0.98).all()
