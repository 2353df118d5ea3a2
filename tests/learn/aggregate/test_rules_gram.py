"""Inner products of visible rows, and weighted sums of them."""

from __future__ import annotations

import numpy as np
import pytest

from caduceus.learn.aggregate import gram as module
from caduceus.learn.aggregate.gram import apply, distances, gram, mixed_rows


@pytest.fixture(autouse=True, params=["compiled", "interpreted"])
def way(request, monkeypatch):
    """Products by compiled code and by the linear algebra library."""
    monkeypatch.setattr(module, "_WORTH_COMPILING", 0)
    if request.param == "interpreted":
        monkeypatch.setattr(module, "_products", lambda: None)
    else:
        pytest.importorskip("numba")


def exact(rows):
    wide = rows.astype(np.float64)
    return ((wide[:, None] - wide[None]) ** 2).sum(axis=2)


def off_by(found, wanted):
    apart = ~np.eye(len(wanted), dtype=bool)
    return np.abs(found - wanted)[apart].max() / wanted[apart].min()


@pytest.mark.parametrize("seat", [0, 1, 7])
def test_float32_distances_survive_a_common_part_and_a_huge_row_at_any_seat(seat):
    draw = np.random.default_rng(seat)
    rows = (draw.normal(size=(8, 40_000)) * 1e-3 + 5 * draw.normal(size=40_000)).astype(np.float32)
    honest = np.delete(np.arange(8), seat)
    rows[seat] *= -1e6
    found = distances(gram(rows))[np.ix_(honest, honest)]
    assert off_by(found, exact(rows[honest])) < 1e-5
    naive = (rows[honest] @ rows[honest].T).astype(float)
    assert off_by(distances(naive), exact(rows[honest])) > 0.1  # what is prevented


def test_a_row_that_is_short_in_one_block_and_huge_in_the_next_does_no_harm(monkeypatch):
    monkeypatch.setattr(module, "width", lambda rows: 1000)
    draw = np.random.default_rng(9)
    rows = (draw.normal(size=(7, 5000)) * 1e-3 + draw.normal(size=5000)).astype(np.float32)
    for block in range(5):  # each row in turn is a bad choice
        rows[block, 1000 * block : 1000 * block + 1000] *= 1e7
    found = distances(gram(rows))
    assert abs(found[5, 6] / exact(rows)[5, 6] - 1) < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_those_of_float64(dtype):
    rows = np.random.default_rng(1).normal(size=(11, 50_001)).astype(dtype)
    wide = rows.astype(np.float64)
    np.testing.assert_allclose(gram(rows), wide @ wide.T, atol=0.1 if dtype == np.float32 else 1e-9)
    np.testing.assert_allclose(gram(rows[:, ::2]), wide[:, ::2] @ wide[:, ::2].T, atol=0.1)
    assert gram(rows[:, :0]).tolist() == np.zeros((11, 11)).tolist()


def test_a_row_that_is_not_finite_or_too_long_hurts_only_itself():
    rows = np.random.default_rng(2).normal(size=(6, 3000)).astype(np.float32)
    clean = gram(rows)
    for row, value in ((0, np.nan), (3, np.inf), (5, 1e30)):
        rows[row, 1234] = value
    found = gram(rows)
    fine = [1, 2, 4]
    np.testing.assert_allclose(found[np.ix_(fine, fine)], clean[np.ix_(fine, fine)], atol=0.01)
    assert not np.isfinite(np.diagonal(found)[[0, 3, 5]]).any()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 13])
def test_few_rows_are_multiplied_in_full(count):
    rows = np.random.default_rng(count).normal(size=(count, 3001))
    np.testing.assert_allclose(gram(rows), rows @ rows.T, atol=1e-9)
    np.testing.assert_array_equal(gram(rows), gram(rows).T)


def test_weighted_sums_skip_rows_of_weight_zero():
    rows = np.random.default_rng(3).normal(size=(5, 70_000)).astype(np.float32)
    rows[2] = np.nan
    weights = np.array([0.5, 0.25, 0.0, 0.25, 0.0])
    wanted = weights[[0, 1, 3]] @ rows[[0, 1, 3]].astype(float)
    np.testing.assert_allclose(apply(weights, rows), wanted, atol=1e-6)
    several = mixed_rows(np.vstack([weights, weights[::-1] * 0, weights * 2]), rows)
    np.testing.assert_allclose(several, [wanted, wanted * 0, wanted * 2], atol=1e-6)
    assert several.dtype == np.float32
