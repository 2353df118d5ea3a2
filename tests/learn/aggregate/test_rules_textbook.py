"""Selections, weights and aggregates beside the textbook's, on random federations: a thousand in a thorough run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import textbook

from caduceus.learn.aggregate import centres, coordinates, mixing, selection, trust
from caduceus.learn.aggregate.gram import apply, gram, mixed_rows
from thorough import tries

CASES, GROUP = tries(1000, 300), 100


@dataclass(frozen=True)
class Case:
    x: np.ndarray
    f: int
    voices: np.ndarray
    reference: np.ndarray


def case(number: int) -> Case:
    """Updates of many shapes and scales, some with copies, some whole numbers (exact ties), some with attackers."""
    draw = np.random.default_rng([5, number])
    n, d = int(draw.integers(5, 17)), int(draw.integers(1, 40))
    f = int(draw.integers(0, (n - 3) // 2 + 1))
    if number % 4 == 0:
        x = draw.integers(-2, 3, (n, d)).astype(float)
    else:
        x = draw.normal(size=(n, d)) + draw.normal(size=d) * draw.choice([0.0, 1.0, 30.0])
    if number % 3 == 0:
        copies = draw.integers(0, n, (2, n // 2))
        x[copies[0]] = x[copies[1]]
    if number % 5 == 0 and f:
        x[draw.permutation(n)[:f]] *= draw.choice([-1.0, 5.0, 1e3])
    x *= 2.0 ** draw.integers(-14, 15)  # exact, so that ties of whole numbers stay ties
    voices = np.ones(n) if number % 2 else draw.integers(1, 50, n).astype(float)
    return Case(x, f, voices, x.mean(axis=0) + draw.normal(size=d) * x.std())


def near(ours, theirs, x, tolerance=1e-9):
    __tracebackhide__ = True
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(np.abs(x).max(), 1e-300))


def groups():
    return [range(start, start + GROUP) for start in range(0, CASES, GROUP)]


@pytest.mark.parametrize("numbers", groups(), ids=str)
def test_selections_are_the_textbooks(numbers):
    for number in numbers:
        c = case(number)
        g = gram(c.x)
        n = len(c.x)
        np.testing.assert_allclose(
            selection.krum_scores(g, c.f), textbook.krum_scores(c.x, c.f), rtol=1e-7, atol=1e-11 * (c.x**2).sum()
        )
        for keep in (1, n - c.f, 1 + number % n):
            chosen = textbook.multi_krum(c.x, c.f, keep)
            weights = selection.multi_krum(g, c.f, keep=keep, voices=c.voices)
            assert np.flatnonzero(weights).tolist() == chosen, (number, keep)
            near(apply(weights, c.x), textbook.average(c.x, chosen, c.voices), c.x)
        assert np.flatnonzero(selection.krum(g, c.f)).tolist() == textbook.multi_krum(c.x, c.f, 1), number
        few = min(c.f, 3)
        if n <= 11 or few <= 2:
            chosen = textbook.smallest_diameter(c.x, few)
            assert np.flatnonzero(selection.smallest_diameter(g, few)).tolist() == chosen, number
        quarter = min(c.f, (n - 3) // 4)
        assert selection.bulyan_selection(g, quarter).tolist() == textbook.bulyan_chosen(c.x, quarter), number


@pytest.mark.parametrize("numbers", groups(), ids=str)
def test_centres_and_mixtures_are_the_textbooks(numbers):
    for number in numbers:
        c = case(number)
        g, wide = gram(c.x), gram(np.vstack([c.x, c.reference]))
        voices = c.voices / c.voices.sum()
        z, theirs = apply(centres.geometric_median(g, c.voices), c.x), textbook.geometric_median(c.x, voices)
        ours, best = textbook.spread_from(z, c.x, voices), textbook.spread_from(theirs, c.x, voices)
        assert ours <= best + 1e-9 * max(best, 1e-9 * np.abs(c.x).max()), number
        radius = float(np.linalg.norm(c.x - c.reference, axis=1).mean()) + 1e-9
        coefficients = centres.centred_clipping(wide, len(c.x), radius=radius, voices=np.append(c.voices, 0))
        clipped = textbook.centred_clipping(c.x, c.reference, radius, 5, c.voices)
        near(coefficients @ np.vstack([c.x, c.reference]), clipped, c.x, 1e-7)
        few = min(c.f, (len(c.x) - 1) // 2)
        matrix = mixing.neighbours(g, few, c.voices)
        near(mixed_rows(matrix, c.x), textbook.mixed(c.x, few, c.voices), c.x)
        near(mixing.mix(matrix, g), gram(textbook.mixed(c.x, few, c.voices)), c.x**2 * c.x.shape[1])


@pytest.mark.parametrize("numbers", groups(), ids=str)
def test_directions_are_the_textbooks(numbers):
    hdbscan = pytest.importorskip("sklearn.cluster").HDBSCAN
    for number in numbers:
        c = case(number)
        g, wide = gram(c.x), gram(np.vstack([c.x, c.reference]))
        n = len(c.x)
        weights = trust.fltrust(wide, n, np.append(c.voices, 0))
        near(apply(weights[:n], c.x), textbook.fltrust(c.x, c.reference, c.voices), c.x, 1e-7)
        logits = textbook.foolsgold(c.x) * c.voices
        if max(1 - (trust.cosines(g) - 2 * np.eye(n)).max(axis=1)) > 1e-6 and logits.sum() > 1e-3:
            np.testing.assert_allclose(trust.foolsgold(g, c.voices), logits / logits.sum(), atol=1e-5)
        apart = np.array([[1 - textbook.cosine(a, b) if a is not b else 0.0 for b in c.x] for a in c.x])
        apart = np.round(np.clip(apart, 0, 2), 10)  # so that both meet the same ties
        labels = hdbscan(
            min_cluster_size=n // 2 + 1, min_samples=1, allow_single_cluster=True, metric="precomputed", copy=True
        ).fit_predict(apart)
        assert trust.largest_cluster(apart, n // 2 + 1).tolist() == np.flatnonzero(labels == 0).tolist(), number


@pytest.mark.parametrize("numbers", groups(), ids=str)
def test_coordinates_are_the_textbooks(numbers):
    for number in numbers:
        c = case(number)
        few, quarter = min(c.f, (len(c.x) - 1) // 2), min(c.f, (len(c.x) - 3) // 4)
        near(coordinates.median(c.x), np.median(c.x, axis=0), c.x)
        near(coordinates.trimmed_mean(c.x, few), textbook.trimmed_mean(c.x, few), c.x)
        around = textbook.mean_around_median(c.x, len(c.x) - few)
        near(coordinates.mean_around_median(c.x, few), around, c.x)
        chosen = textbook.bulyan_chosen(c.x, quarter)
        wanted = textbook.mean_around_median(c.x[chosen], len(chosen) - 2 * quarter)
        near(coordinates.bulyan(c.x, quarter), wanted, c.x)


@pytest.mark.parametrize("numbers", groups(), ids=str)
def test_float32_rows_are_judged_alike_but_for_what_float32_cannot_tell_apart(numbers):
    for number in numbers:
        c = case(number)
        x = c.x.astype(np.float32)
        scores = np.array(textbook.krum_scores(x.astype(float), c.f))
        ours = np.flatnonzero(selection.multi_krum(gram(x), c.f)).tolist()
        theirs = textbook.multi_krum(x.astype(float), c.f, len(x) - c.f)
        for one, other in zip(sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours)), strict=True):
            assert abs(scores[one] - scores[other]) <= 1e-5 * scores[other] + 1e-6 * np.median(scores), number
