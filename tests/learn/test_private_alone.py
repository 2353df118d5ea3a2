"""What is computed of one row is the same whoever else is there, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from small_hospitals import SCHEMA, learning, table

from caduceus.learn.perceptron import Perceptron
from caduceus.learn.private.alone import BLOCK, blocks, each, filled
from caduceus.learn.private.program import PrivateProgram, build_private, plan_spending
from caduceus.learn.spec import HOLDOUT, Evaluation
from caduceus.learn.state import State
from caduceus.privacy.mechanisms import Crowd

NETWORKS = [(), (1,), (1, 1, 1), (3,), (16,), (64, 64)]


def row(columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=columns)


@pytest.mark.parametrize("hidden", NETWORKS, ids=str)
@pytest.mark.parametrize("columns", [1, 7, 20, 37, 53])
def test_a_row_is_scored_alike_at_every_place_and_in_every_company(columns: int, hidden: tuple[int, ...]):
    network = Perceptron(hidden, "relu")
    weights = network.opening(columns, 3) + 0.1
    one = row(columns, columns)
    for rows in (1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 351, 600):
        scores = each(lambda matrix: network.log_odds(weights, matrix), np.tile(one, (rows, 1)))
        alone = each(lambda matrix: network.log_odds(weights, matrix), one[None])
        assert (scores == alone[0]).all()


@pytest.mark.parametrize("hidden", NETWORKS[1:], ids=str)
@pytest.mark.parametrize("rows", [1, 35, 255, 256, 351, 512])
def test_one_more_row_moves_the_sum_by_its_own_gradient_even_where_weights_amplify_every_bit(
    hidden: tuple[int, ...], rows: int
):
    """Weights that turn a unit in the last place into another answer: what a coordinator would choose."""
    columns, clip = 20, 1.0
    network = Perceptron(hidden, "relu")
    for seed in range(12):
        draw = np.random.default_rng(seed)
        one = (draw.random(columns) < 0.5).astype(float)
        weights = network.opening(columns, seed) * 1.0
        for slopes, intercepts in network.layers(weights, columns)[1:]:
            slopes *= 1e6 / max(float(np.abs(slopes).max()), 1e-9)
            intercepts[:] = 0.0
        slopes, intercepts = network.layers(weights, columns)[0]
        intercepts[:] = -(slopes @ one)  # the first layer's output is nothing but rounding
        sums = [
            network.clipped(weights, np.tile(one, (count, 1)), np.zeros(count), np.ones(count), clip)
            for count in (rows, rows + 1)
        ]
        assert float(np.linalg.norm(sums[1] - sums[0])) <= clip * (1 + 1e-9)


def program() -> PrivateProgram:
    spec = learning(evaluation=Evaluation(HOLDOUT, 1, 0, 0.5))
    return build_private(spec, SCHEMA, plan_spending(spec, epsilon_micro=10**6, delta_pico=10**7), Crowd(0, 20))


@pytest.mark.parametrize("rows", [30, 257, 300, 335])
def test_who_is_judged_is_judged_alike_whoever_trains(rows: int):
    """A patient who trains is in another part: if it moved the histogram, the parts would add up."""
    task = program()
    whole = table(rows, 5)
    site = task.ready(whole, "here")
    state: State = task.opening()
    while state.quality is None and state.phase.name != "EVALUATION":
        state = task.combine(state, task.contribute(state, site), 1)
    score = task.judged(state, site)[0]
    for left_out in np.flatnonzero(site.learning[0])[:20]:
        kept = np.arange(rows) != left_out
        less = task.judged(state, task.ready(whole.select(kept), "here"))[0]
        assert np.array_equal(less, score[kept], equal_nan=True)
        one, other = (task.contribute(state, task.ready(part, "here")) for part in (whole, whole.select(kept)))
        assert (one == other).all()


def test_blocks_cover_every_row_once_and_have_one_shape():
    for rows in (0, 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1):
        places = list(blocks(rows))
        assert [place for part in places for place in range(part.start, part.stop)] == list(range(rows))
        assert all(filled(np.ones((part.stop - part.start, 3))).shape == (BLOCK, 3) for part in places)
