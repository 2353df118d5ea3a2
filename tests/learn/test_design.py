import numpy as np
import pytest
from small_hospitals import SCHEMA, table

from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.learn.design import plan


def made(*features: str, missing: tuple[str, ...] = ()):
    return plan(SCHEMA, features, missing, "event")


def test_numbers_are_scaled_by_the_public_range_and_gaps_stay_gaps():
    rows = table(50, 1)
    scaled = made("pressure").features(rows)[:, 0]
    expected = (rows.column("pressure") - 170) / 130
    assert np.isnan(expected).any()
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-15)


def test_a_category_becomes_one_indicator_per_level_but_the_first():
    rows = table(50, 1)
    design = made("stage")
    assert design.names == ("stage=moderate", "stage=severe")
    stage = rows.column("stage")
    scaled = design.features(rows)
    np.testing.assert_array_equal(scaled[stage == 0], 0.0)
    np.testing.assert_array_equal(scaled[stage == 2], np.tile([0.0, 1.0], ((stage == 2).sum(), 1)))
    assert np.isnan(scaled[np.isnan(stage)]).all()
    assert not np.isnan(scaled[~np.isnan(stage)]).any()


def test_indicators_of_absence_come_last_and_are_named():
    design = made("pressure", "stage", "age", missing=("stage", "pressure"))
    assert design.names == (
        *("pressure", "stage=moderate", "stage=severe", "age"),
        *("stage missing", "pressure missing"),
    )
    assert design.indicators == (1, 0)
    assert (design.measured, design.width) == (4, 6)


@pytest.mark.parametrize(
    ("features", "missing", "target", "message"),
    [
        (("agee",), (), "event", "did you mean 'age'"),
        (("event",), (), "event", "column event has role target"),
        (("age", "age"), (), "event", "column age is named twice"),
        ((), (), "event", "at least one column"),
        (("age",), ("pressure",), "event", "pressure is not among the features"),
        (("unbounded",), (), "event", "column unbounded: the schema gives no plausible range"),
        (("age",), (), "smoker", "column smoker is a boolean of role feature"),
        (("age",), (), "evnt", "did you mean 'event'"),
    ],
)
def test_a_plan_that_does_not_fit_the_schema_is_refused_by_column(features, missing, target, message):
    with pytest.raises(Refused, match=message):
        plan(SCHEMA, features, missing, target)


def test_a_value_outside_the_range_is_refused_without_telling_it():
    values = table(5, 1).values.copy()
    values[0, 3] = 12345.0
    with pytest.raises(Refused, match="column age") as refusal:
        made("age").features(Table(SCHEMA, values))
    assert "12345" not in str(refusal.value)


def test_a_missing_target_is_refused():
    values = table(5, 1).values.copy()
    values[-1, 3] = np.nan
    with pytest.raises(Refused, match="column event"):
        made("age").labels(Table(SCHEMA, values))
