"""Columns that give the outcome away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from caduceus.data.readiness.coded import Coded
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.leakage import RULES, area, stem_of, telling
from readiness_sheets import context, look, table

RNG = np.random.default_rng(5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_the_area_is_that_of_a_second_library(rows: list[tuple[int, bool]]):
    scores, positive = np.array([one for one, _ in rows], float), np.array([one for _, one in rows])
    if positive.all() or not positive.any():
        assert np.isnan(area(scores, positive))
    else:
        assert area(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_a_column_of_many_levels_does_not_learn_its_records_by_heart():
    outcome = RNG.random(2_000) < 0.3
    assert telling(Coded("id", np.arange(2_000), 2_000), outcome) == pytest.approx(0.5, abs=0.03)
    assert telling(Coded("copy", outcome.astype(np.int64), 2), outcome) == 1.0


def test_the_outcome_under_another_name_is_found_and_a_good_predictor_is_not():
    outcome = RNG.random(1_000) < 0.4
    columns = {
        "sick": outcome.astype(int),
        "code": np.where(outcome, "Y", "N"),
        "days": pa.array(np.where(outcome, RNG.integers(1, 30, 1_000), -1)),
        "seen": pa.array([1.0 if one else None for one in outcome]),
        "age": outcome * 8 + RNG.normal(60, 8, 1_000),
    }
    found, _ = look(RULES, "leakage.score", context(table(columns), roles={"t.sick": "target"}))
    assert [one.where for one in found] == ["t.code", "t.days", "t.seen"]
    assert {one.severity for one in found} == {Severity.WARN}


def test_columns_that_do_not_train_are_left_aside_and_a_file_without_target_says_so():
    outcome = [0, 1] * 50
    columns = {"sick": outcome, "copy": outcome}
    schema = 'title = "t"\n[[column]]\nname = "x"\nkind = "boolean"\n'
    roles = {"t.sick": "target", "t.copy": "ignore"}
    assert look(RULES, "leakage.score", context(table(columns), roles=roles, schema=schema))[0] == []
    assert "target" in look(RULES, "leakage.score", context(table(columns)))[1][0].reason


def test_names_that_speak_of_afterwards_are_told():
    columns = {"discharge_date": [1], "age": [2], "length_of_stay": [3], "deathCause": [4], "follow_up": [5]}
    found, _ = look(RULES, "leakage.name", context(table(columns)))
    assert [one.where for one in found] == ["t.discharge_date", "t.length_of_stay", "t.deathCause", "t.follow_up"]


def test_names_of_one_form_have_a_stem():
    assert [stem_of(one) for one in ("DDEADD", "discharge_date", "fu1", "dischargeDate")] == [
        "D",
        "discharge",
        "fu1",
        "discharge",
    ]


@pytest.mark.data
def test_the_later_forms_of_the_stroke_trial_give_death_away(clinical_data: Path):
    ist = pyarrow.parquet.read_table(clinical_data / "ist_stroke" / "ist.parquet")
    columns = {name: ist[name].combine_chunks() for name in ist.column_names}
    given_context = context(table(columns, name="ist"), roles={"ist.ID14": "target"})
    found, _ = look(RULES, "leakage.score", given_context)
    alone = {one.where for one in found if one.severity == Severity.WARN}
    assert alone == {"ist.DDEADD", "ist.FDEADD", "ist.TD"}
    told = alone | {f"ist.{one}" for note in found for one in note.where.removeprefix("ist.").strip("{}").split(", ")}
    told |= {one.where for one in look(RULES, "leakage.name", given_context)[0]}
    later = {f"ist.{name}" for name in ist.column_names if name.startswith(("D", "F", "EXPD"))}
    assert later <= told
    baseline = {f"ist.{name}" for name in ist.column_names if name.startswith("R")} | {
        "ist.AGE",
        "ist.SEX",
        "ist.STYPE",
    }
    assert not baseline & told


@pytest.mark.data
def test_no_column_of_the_heart_files_gives_disease_away(clinical_data: Path):
    text = (clinical_data / "uci_heart_disease" / "processed.cleveland.data").read_text().split()
    rows = [[None if one == "?" else float(one) for one in line.split(",")] for line in text]
    columns = {f"c{i}": pa.array(list(one), pa.float64()) for i, one in enumerate(zip(*rows, strict=True))}
    assert look(RULES, "leakage.score", context(table(columns), roles={"t.c13": "target"}))[0] == []
