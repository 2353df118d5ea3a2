"""No withheld cell follows from what is published, by a rank test that knows nothing of boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.learn.inquiry.small_cells import enough, with_margins, withheld


def determined(hidden):
    """Which withheld cells have one value only, given the rest: a plain null space of all lines' equations."""
    places = {place: i for i, place in enumerate(zip(*np.nonzero(hidden), strict=True))}
    rows = []
    for axis in range(hidden.ndim):
        others = [n for i, n in enumerate(hidden.shape) if i != axis]
        for line in np.ndindex(*others):
            row = np.zeros(len(places))
            for k in range(hidden.shape[axis]):
                place = (*line[:axis], k, *line[axis:])
                if place in places:
                    row[places[place]] = -1.0 if k == hidden.shape[axis] - 1 else 1.0
            rows.append(row)
    _, sizes, directions = np.linalg.svd(np.array(rows))
    rank = int((sizes > 1e-9).sum())
    free = directions[rank:]
    return {place for place, i in places.items() if np.abs(free[:, i]).max(initial=0.0) < 1e-7}


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@settings(max_examples=150, deadline=None)
@given(SHAPES, st.integers(0, 2**32 - 1), st.floats(0, 60), st.floats(0, 6), st.integers(5, 12))
def test_no_withheld_cell_follows_from_the_published_ones(shape, seed, scale, noise, minimum):
    draw = np.random.default_rng(seed)
    counts = with_margins(draw.poisson(scale * draw.random(shape)) + noise * draw.normal(size=shape))
    hidden = withheld(counts, minimum)
    assert hidden[~enough(counts, minimum)].all()
    assert not determined(hidden)


def test_the_rank_test_finds_a_cell_that_follows():
    counts = with_margins(np.array([[50.0, 3.0], [40.0, 60.0]]))
    assert determined(counts < 10) == {(0, 1)}


def test_one_small_cell_takes_the_cheapest_others_with_it():
    hidden = withheld(with_margins(np.array([[50.0, 3.0, 90.0], [20.0, 60.0, 80.0]])), 10)
    assert np.argwhere(hidden).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    alone = withheld(with_margins(np.array([400.0, 3.0, 30.0])), 10)
    assert np.flatnonzero(alone).tolist() == [1, 2]


def test_nothing_is_withheld_where_every_cell_is_large_enough():
    assert not withheld(with_margins(np.full((2, 3, 2), 10.0)), 10).any()
    assert not withheld(with_margins(np.full((3,), 10.0 - 1e-6)), 10).any()


def test_a_table_of_nobody_is_withheld_with_all_its_margins():
    assert withheld(with_margins(np.zeros((3, 2, 2))), 5).all()


@pytest.mark.parametrize("shape", [(1,), (1, 3), (3, 1, 2)])
def test_an_axis_of_one_level_hides_its_margin_with_it(shape):
    counts = np.full(shape, 50.0)
    counts.flat[0] = 2.0
    hidden = withheld(with_margins(counts), 10)
    along = shape.index(1)
    assert (np.take(hidden, 0, axis=along) == np.take(hidden, 1, axis=along)).all()
    assert not determined(hidden)
