"""Preflight: made-up sites with a unit, a coding or a missing value that is another's, seen through noisy sums."""

from __future__ import annotations

import numpy as np
import pytest

from caduceus.data.readiness.finding import Severity
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO
from caduceus.learn.inquiry.answers import Answers
from caduceus.learn.inquiry.program import OPENING, build_inquiry, plan_spending
from caduceus.market.preflight import Sums, compare, own, questions, sums_of
from caduceus.market.preflight_units import other_unit
from caduceus.privacy.mechanisms import Crowd

GLUCOSE = Column("glucose", "number", "feature", "mg/dL", "", 1.0, 1000.0, (), False, None, ("LOINC:2345-7",))
TEMP = Column("temp", "number", "feature", "Cel", "", 20.0, 120.0, (), False, None)
SMOKER = Column("smoker", "category", "feature", "", "", None, None, ("never", "former", "now", "pipe"), False, None)
FEMALE = Column("female", "boolean", "feature", "", "", 0.0, 1.0, (), False, None)
SCHEMA = Schema("ward", (GLUCOSE, TEMP, SMOKER, FEMALE))
ASKED = questions(SCHEMA)


def site(seed: int, rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array(
        [
            rng.normal(105, 12, rows),
            rng.normal(37, 0.5, rows),
            rng.choice(3, rows, p=[0.5, 0.3, 0.2]),
            rng.random(rows) < 0.3,
        ],
        dtype=np.float64,
    )


def publish(sites: list[np.ndarray], epsilon: float = 2.0) -> tuple[Sums, ...]:
    """The sums as a job with that epsilon publishes them, noise of the right size from numpy."""
    spending = plan_spending(epsilon_micro=int(epsilon * MICRO), delta_pico=10**7)
    inquiry = build_inquiry(ASKED, SCHEMA, spending, Crowd(0, 0))
    total = sum(inquiry.contribute(OPENING, inquiry.ready(Table(SCHEMA, one), "x")) for one in sites)
    noise = np.random.default_rng(9).normal(0, inquiry.release(OPENING).deviation, inquiry.plan.length)
    answers = inquiry.combine(OPENING, total + noise, len(sites)).answers
    assert answers is not None
    return sums_of(ASKED, answers, SCHEMA)


def said(findings: tuple) -> set[tuple[str, str]]:
    return {(one.rule.removeprefix("preflight."), one.where) for one in findings}


def test_sites_that_agree_have_nothing_odd_but_a_level_that_nobody_uses():
    sites = [site(i) for i in range(4)]
    sums = publish(sites)
    assert said(compare(sums)) == {("level", "smoker")}
    assert "hardly anybody has one of now, pipe" in compare(sums)[0].says  # the second is withheld with the first
    for one in sites:
        assert own(Table(SCHEMA, one), sums) == ()


def test_a_site_with_glucose_in_moles_is_seen_by_all_and_sees_itself():
    sites = [site(i) for i in range(4)]
    sites[2][0] /= 18.0156
    sums = publish(sites)
    assert ("unit", "glucose") in said(compare(sums))
    (found,) = own(Table(SCHEMA, sites[2]), sums)
    assert (found.rule, found.where, found.severity) == ("preflight.unit", "glucose", Severity.BLOCK)
    assert "mmol/L" in found.says
    assert found.remedy == "convert from mmol/L to mg/dL before the table is read"
    assert own(Table(SCHEMA, sites[0]), sums) == ()


def test_a_site_with_fahrenheit_is_found_through_an_offset():
    sites = [site(i) for i in range(4)]
    sites[1][1] = sites[1][1] * 1.8 + 32
    sums = publish(sites)
    assert ("unit", "temp") in said(compare(sums))
    assert said(own(Table(SCHEMA, sites[1]), sums)) == {("unit", "temp")}


def test_a_boolean_the_other_way_round_is_seen_at_its_site_only():
    sites = [site(i) for i in range(4)]
    sites[3][3] = 1 - sites[3][3]
    sums = publish(sites)
    assert ("coding", "female") in said(own(Table(SCHEMA, sites[3]), sums))
    assert said(own(Table(SCHEMA, sites[0]), sums)) == set()
    assert ("coding", "female") not in said(compare(sums))


def test_levels_in_another_order_and_levels_that_a_site_never_has_are_told_apart():
    sites = [site(i) for i in range(4)]
    sites[0][2] = (sites[0][2] + 1) % 3
    sites[1][2] = np.where(sites[1][2] == 1, 0, sites[1][2])
    sums = publish(sites)
    assert ("coding", "smoker") in said(own(Table(SCHEMA, sites[0]), sums))
    (never,) = own(Table(SCHEMA, sites[1]), sums)
    assert never.says == "never former here, and often elsewhere"


def test_missing_values_that_one_site_has_are_seen_there_and_many_by_all():
    sites = [site(i) for i in range(4)]
    sites[0][0, :200] = np.nan
    for one in sites:
        one[3, :300] = np.nan
    sums = publish(sites)
    (found,) = own(Table(SCHEMA, sites[0]), sums)
    assert found.says == "about 50 % without a value here, about 0 % elsewhere"
    assert ("missing", "female") in said(compare(sums))
    assert ("missing", "glucose") not in said(compare(sums))


def test_noise_alone_raises_no_alarm():
    sites = [site(i, 60) for i in range(3)]
    sums = publish(sites, 0.5)
    for one in sites:
        assert not [f for f in own(Table(SCHEMA, one), sums) if f.severity == Severity.BLOCK]


def test_one_patient_with_many_rows_counts_once():
    values = site(1, 500)
    values[3, :460] = 1.0
    labels = {"patient": np.array(["one"] * 460 + [f"p{i}" for i in range(40)])}
    sums = publish([site(i) for i in range(4)])
    assert said(own(Table(SCHEMA, values, labels, "patient"), sums)) == set()


def test_only_the_columns_of_a_job_are_asked_about():
    asked = questions(SCHEMA, ("glucose", "female"))
    assert [one.name for one in asked.queries] == ["preflight", "preflight: glucose", "preflight: female"]
    with pytest.raises(Refused, match="did you mean 'glucose'"):
        questions(SCHEMA, ("glucos",))
    wide = Schema(
        "wide", tuple(Column(f"b{i}", "boolean", "feature", "", "", 0.0, 1.0, (), False, None) for i in range(65))
    )
    with pytest.raises(Refused, match="65 columns; from 1 to 63"):
        questions(wide)


def test_answers_to_other_questions_are_refused():
    with pytest.raises(Misuse, match="answers to other questions"):
        sums_of(ASKED, Answers((), 11, 1.0), SCHEMA)


@pytest.mark.parametrize(
    ("column", "of", "among", "unit"),
    [
        (GLUCOSE, 5.8, 105.0, "mmol/L"),
        (GLUCOSE, 105.0, 104.0, ""),
        (GLUCOSE, 40.0, 105.0, ""),
        (TEMP, 98.6, 37.0, "[degF]"),
        (Column("w", "number", "feature", "kg", "", 1.0, 500.0, (), False, None), 165.0, 75.0, "[lb_av]"),
        (Column("h", "number", "feature", "cm", "", 0.5, 250.0, (), False, None), 1.7, 170.0, "m"),
        (Column("n", "number", "feature", "", "", 0.5, 250.0, (), False, None), 1.7, 170.0, "%"),
    ],
)
def test_a_unit_is_named_only_if_it_explains_the_difference(column: Column, of: float, among: float, unit: str):
    assert other_unit(column, of=of, among=among) in ({unit} if unit != "%" else {"", "%"})
