"""l-diversity and t-closeness, against the papers' own table and against counting."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.data.readiness.coded import Coded
from caduceus.data.readiness.diversity import diversity


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=60))
def test_every_measure_is_that_of_its_definition(rows: list[tuple[int, int]]):
    used = {old: new for new, old in enumerate(sorted({one for one, _ in rows}))}
    codes = np.array([used[one] for one, _ in rows])
    values = np.array([value for _, value in rows])
    found = diversity(codes, len(used), Coded("s", values, 5))
    overall = Counter(values.tolist())
    for number in range(len(used)):
        inside = Counter(values[codes == number].tolist())
        size = sum(inside.values())
        shares = np.array([one / size for one in inside.values()])
        assert found.sizes[number] == size
        assert found.distinct[number] == len(inside)
        assert found.entropy[number] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
        apart = sum(abs(inside[value] / size - count / len(rows)) for value, count in overall.items()) / 2
        assert found.distance[number] == pytest.approx(apart, abs=1e-9)


def test_the_four_anonymous_table_of_the_paper_gives_cancer_away():
    # Machanavajjhala et al. 2007, figure 2: three classes of four, the last of them all with cancer
    diseases = ["heart", "heart", "viral", "viral", "cancer", "heart", "viral", "viral", *["cancer"] * 4]
    values = np.array([["heart", "viral", "cancer"].index(one) for one in diseases])
    found = diversity(np.repeat(np.arange(3), 4), 3, Coded("condition", values, 3))
    assert found.distinct.tolist() == [2, 3, 1]
    assert found.alike(4) == 4
    assert found.least_entropy(4) == 1
    assert found.farthest(4) == pytest.approx(7 / 12)


def test_the_three_diverse_table_of_the_paper_does_not():
    # ibid., figure 3
    classes = [[0, 1, 1, 2], [2, 0, 1, 1], [0, 1, 2, 2]]
    found = diversity(np.repeat(np.arange(3), 4), 3, Coded("condition", np.array(classes).ravel(), 3))
    assert found.distinct.min() == 3
    assert found.alike(2) == 0
    assert found.least_entropy(4) == pytest.approx(2**1.5)


def test_groups_below_k_and_common_values_are_no_news():
    codes = np.array([0, 0, 0, 1, 1])
    found = diversity(codes, 2, Coded("s", np.array([0, 0, 0, 0, 1]), 2))
    assert found.alike(3) == 3
    assert found.alike(4) == 0
    assert found.alike(3, beyond=0.3) == 0
    assert np.isnan(found.least_entropy(9))
    assert np.isnan(found.farthest(9))
