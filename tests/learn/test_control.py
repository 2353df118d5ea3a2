from dataclasses import replace

import numpy as np
import pytest
from small_hospitals import CROSSED, NEWTON, SCHEMA, learning, sites, table

from caduceus.data.table import Table
from caduceus.errors import Misuse
from caduceus.learn import control
from caduceus.learn.evaluate import own_quality, sigmoid
from caduceus.learn.program import build_task

TASK = build_task(learning(evaluation=CROSSED), SCHEMA)


def test_a_site_alone_is_a_run_with_one_site_under_its_own_splits():
    site = sites(TASK, [80])[0]
    alone = control.local(TASK, site)
    np.testing.assert_array_equal(alone, TASK.judged(control.unsafe_open_run(TASK, [site]), site))
    assert own_quality(site, alone).auroc > 0.55


def test_another_strength_gives_the_model_of_that_strength():
    site = sites(TASK, [80])[0]
    weaker = build_task(learning(logistic=replace(NEWTON, C=0.1), evaluation=CROSSED), SCHEMA)
    expected = weaker.judged(control.unsafe_open_run(weaker, [site]), site)
    np.testing.assert_array_equal(control.local(TASK, site, strength=0.1), expected)


def test_a_site_that_knows_one_class_only_predicts_its_rate():
    values = table(60, 2).values.copy()
    values[-1] = 0.0
    site = TASK.ready(Table(SCHEMA, values), "all well")
    alone = control.local(TASK, site)
    np.testing.assert_allclose(sigmoid(alone), 0.5 / 41)
    assert own_quality(site, alone).auroc is None


def test_a_fold_that_takes_the_only_case_predicts_the_rate_there_and_trains_elsewhere():
    values = table(60, 2).values.copy()
    values[-1] = 0.0
    values[-1, 5] = 1.0
    site = TASK.ready(Table(SCHEMA, values), "one case")
    alone = control.local(TASK, site)
    without = int(site.judging[0, 5])
    np.testing.assert_allclose(sigmoid(alone[0, site.judging[0] == without]), 0.5 / 41)
    others = alone[0, site.judging[0] != without]
    assert len(np.unique(others)) > 10


def test_all_rows_in_one_place_give_the_federated_predictions():
    hospitals = sites(TASK, [60, 45, 80])
    many, one = control.unsafe_open_run(TASK, hospitals), control.unsafe_pooled(TASK, hospitals)
    for site in hospitals:
        np.testing.assert_allclose(TASK.judged(many, site), TASK.judged(one, site), atol=1e-9)


def test_a_run_of_nobody_is_a_misuse():
    with pytest.raises(Misuse, match="no sites"):
        control.unsafe_open_run(TASK, [])
