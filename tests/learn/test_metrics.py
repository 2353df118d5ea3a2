import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.errors import Misuse
from caduceus.learn import metrics

judged = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.integers(0, 20).map(lambda step: step / 20)), min_size=2, max_size=80
).map(lambda pairs: (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])))


@settings(deadline=None)
@given(judged)
def test_auroc_with_ties_and_brier_are_those_of_scikit_learn(sample):
    peer = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn (pip install caduceus[demo])")
    target, probability = sample
    assert metrics.brier(target, probability) == pytest.approx(peer.brier_score_loss(target, probability, pos_label=1))
    if 0 < target.sum() < len(target):
        assert metrics.auroc(target, probability) == pytest.approx(peer.roc_auc_score(target, probability))
    else:
        assert metrics.auroc(target, probability) is None


@settings(deadline=None)
@given(judged, st.integers(1, 12))
def test_calibration_counts_every_row_once_in_the_part_that_holds_its_prediction(sample, groups):
    target, probability = sample
    table = metrics.calibration(target, probability, groups)
    assert table[:, 0].sum() == len(target)
    assert table[:, 2].sum() == target.sum()
    filled = table[:, 0] > 0
    middle = table[filled, 1] / table[filled, 0]
    part = np.arange(groups)[filled]
    assert (middle >= part / groups - 1e-12).all()
    assert (middle <= (part + 1) / groups + 1e-12).all()


def test_an_order_reversed_turns_auroc_around():
    target = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    score = np.array([-3.0, 1.0, 0.5, 2.0, 2.0])
    assert metrics.auroc(target, score) == pytest.approx(5 / 6)
    assert metrics.auroc(target, -score) == pytest.approx(1 / 6)


def test_what_cannot_be_judged_is_a_misuse():
    with pytest.raises(Misuse, match="no rows"):
        metrics.brier(np.zeros(0), np.zeros(0))
    with pytest.raises(Misuse, match="targets of 0 and 1"):
        metrics.auroc(np.array([0.0, 2.0]), np.zeros(2))
    with pytest.raises(Misuse, match="targets of 0 and 1"):
        metrics.auroc(np.array([0.0, 1.0]), np.array([0.0, np.nan]))
