"""The curve of a privacy plan: figures where they belong, words for whoever can't see it, and nothing to load."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from caduceus.errors import Misuse
from caduceus.report.privacy_curve import Curve, Point, curve

SVG = "{http://www.w3.org/2000/svg}"
POINTS = (
    Point(0.1, 30.0, 0.62, 0.58, 0.66),
    Point(1.0, 3.7, 0.74, 0.72, 0.76, asked=True),
    Point(8.0, 0.6, 0.78, 0.77, 0.79),
)
SHOWN = Curve(POINTS, 0.8, "logistic, 1 000 <patients> & more")


def drawn(shown: Curve) -> ElementTree.Element:
    return ElementTree.fromstring(curve(shown))


def discs(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(e.get("cx")), float(e.get("cy"))) for e in root.iter(f"{SVG}circle")]


def test_better_epsilons_lie_further_right_and_better_models_higher():
    places = discs(drawn(SHOWN))
    assert len(places) == 6
    quality, noise = places[:3], places[3:]
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(quality))  # y grows downwards
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(noise))
    assert [x for x, _ in quality] == [x for x, _ in noise]


def test_equal_ratios_of_epsilon_are_equal_distances():
    points = [replace(POINTS[0], epsilon=epsilon) for epsilon in (0.1, 1.0, 10.0)]
    (a, _), (b, _), (c, _) = discs(drawn(replace(SHOWN, points=tuple(points))))[:3]
    assert b - a == pytest.approx(c - b, abs=0.11)


def test_it_says_in_words_what_it_shows_and_escapes_what_it_was_told():
    root = drawn(SHOWN)
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    for said in ("<patients> & more", "AUROC .740", "epsilon 8", "noise 30", "Without noise: AUROC .800"):
        assert said in desc.text
    hints = [e.find(f"{SVG}title").text for e in root.iter(f"{SVG}g")]
    assert "epsilon 1: AUROC .740, from .720 to .760, .060 lost" in hints


def test_the_asked_one_is_marked_and_the_line_without_noise_is_above_all():
    root = drawn(SHOWN)
    kinds = [e.get("class") for e in root.iter(f"{SVG}circle")]
    assert kinds.count("o-asked") == 2
    assert kinds[1] == kinds[4] == "o-asked"
    (exact,) = [e for e in root.iter(f"{SVG}line") if e.get("class") == "l-exact"]
    assert float(exact.get("y1")) < min(y for _, y in discs(root)[:3])


def test_everything_is_inside_the_picture_and_nothing_is_loaded():
    text = curve(SHOWN)
    assert re.findall(r"https?://[^\"\s]+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in text
    root = ElementTree.fromstring(text)
    _, _, width, height = map(float, root.get("viewBox").split())
    for x, y in discs(root):
        assert 0 < x < width
        assert 0 < y < height


def test_neighbours_figures_do_not_touch_and_the_asked_one_is_always_there():
    crowded = (Point(0.97, 3.8, 0.7, 0.7, 0.7), Point(1.0, 3.7, 0.7, 0.7, 0.7, asked=True), POINTS[2])
    texts = [e.text for e in drawn(replace(SHOWN, points=crowded)).iter(f"{SVG}text")]
    assert texts.count("1") >= 2
    assert "0.97" not in texts


def test_a_point_is_the_mean_and_all_but_the_extreme_tenths():
    point = Point.of(1.0, 3.7, [0.1 * one for one in range(11)])
    assert (point.mean, point.low, point.high) == pytest.approx((0.5, 0.1, 0.9))
    alone = Point.of(1.0, 3.7, [0.6])
    assert (alone.mean, alone.low, alone.high) == (0.6, 0.6, 0.6)


@pytest.mark.parametrize("points", [POINTS[:1], POINTS[::-1], (POINTS[0], POINTS[0])])
def test_fewer_than_two_rising_epsilons_are_refused(points):
    with pytest.raises(Misuse):
        curve(replace(SHOWN, points=points))
