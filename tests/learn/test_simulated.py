"""Made-up patients: the same for everybody who asks alike, and with the outcome that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from caduceus.data.table import check_values
from caduceus.errors import Misuse
from caduceus.learn.metrics import auroc
from caduceus.learn.simulated import MISSING, OUTCOME, SPREAD, Population, make, schema

USUAL = Population(features=12, rate=0.2, seed=3)


def test_the_same_population_gives_the_same_patients_and_another_seed_others():
    once, again = make(USUAL, (30, 20), 40), make(USUAL, (30, 20), 40)
    other = make(Population(12, 0.2, 4), (30, 20), 40)
    for a, b, c in zip(once.hospitals, again.hospitals, other.hospitals, strict=True):
        assert np.array_equal(a.values, b.values, equal_nan=True)
        assert not np.array_equal(a.values, c.values, equal_nan=True)
    assert np.array_equal(once.truth, again.truth)


def test_how_patients_are_dealt_to_hospitals_changes_no_patient():
    apart, together = make(USUAL, (30, 1, 19), 5), make(USUAL, (50,), 5)
    assert [one.rows for one in apart.hospitals] == [30, 1, 19]
    joined = np.hstack([one.values for one in apart.hospitals])
    assert np.array_equal(joined, together.hospitals[0].values, equal_nan=True)


def test_no_patient_that_judges_is_at_a_hospital():
    made = make(USUAL, (400,), 400)
    learning = {row.tobytes() for row in made.hospitals[0].record_bytes()}
    assert not learning & {row.tobytes() for row in made.judging.record_bytes()}


@pytest.mark.parametrize("features", [1, 3, 40])
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_as_many_have_the_outcome_as_was_asked_for(features, rate):
    made = make(Population(features, rate, 1), (20_000,), 1)
    found = made.hospitals[0].column(OUTCOME).mean()
    assert abs(found - rate) < 0.015  # 2.5 standard errors of the draw at .5, and those of the pilot


def test_tables_keep_to_their_schema_and_a_twentieth_is_missing():
    table = make(USUAL, (5000,), 1).hospitals[0]
    assert table.schema.digest() == schema(12).digest()
    check_values(table, "made up")
    gaps = np.isnan(table.values)
    assert not gaps[-1].any()  # the outcome is known
    assert abs(gaps[:-1].mean() - MISSING) < 0.005
    assert np.nanmin(table.values) >= 0


def test_numbers_are_standard_normal_but_for_their_unit_and_share_a_cause():
    values = make(USUAL, (20_000,), 1).hospitals[0].values
    first, second = values[0], values[1]
    known = ~np.isnan(first) & ~np.isnan(second)
    assert abs(first[known].mean() - 50) < 0.5
    assert abs(first[known].std() - 12.5) < 0.3
    assert abs(np.corrcoef(first[known], second[known])[0, 1] - 0.4**2) < 0.03


def test_the_true_risk_predicts_and_no_single_column_does_as_well():
    made = make(USUAL, (1,), 20_000)
    target = made.judging.column(OUTCOME)
    best = auroc(target, made.truth)
    assert abs(made.truth.std() - SPREAD) < 0.05
    assert 0.78 < best < 0.83
    for values in made.judging.values[:-1]:
        one = auroc(target, np.nan_to_num(values, nan=float(np.nanmean(values))))
        assert max(one, 1 - one) < best - 0.01


@pytest.mark.parametrize(
    ("population", "sizes", "judging"),
    [
        (Population(0, 0.1, 0), (5,), 5),
        (Population(3, 0.0, 0), (5,), 5),
        (Population(3, 1.0, 0), (5,), 5),
        (Population(3, 0.1, 0), (5, 0), 5),
        (Population(3, 0.1, 0), (5,), 0),
    ],
)
def test_what_makes_no_population_is_refused(population, sizes, judging):
    with pytest.raises(Misuse):
        make(population, sizes, judging)


def test_a_schema_without_columns_is_refused():
    with pytest.raises(Misuse, match="0 columns"):
        schema(0)
