"""Charts put figures where they belong, and colours can be told apart."""

import dataclasses
import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_facts import job

from caduceus.report.charts import Arms, calibration_plot, diverging_bar, dot_plot, range_bar, stacked_bar
from caduceus.report.facts import CalibrationPoint
from caduceus.report.palette import DARK, LIGHT
from caduceus.report.reading import in_the_large, mean
from caduceus.report.rounds_chart import rounds_chart
from caduceus.report.style import STYLE
from caduceus.report.svg import Scale, ticks

SITE = re.compile(r"^Hospital \d+")


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def places(root: ElementTree.Element, kind: str) -> list[float]:
    return [float(e.get("cx")) for e in root.iter("circle") if e.get("class") == kind]


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(finite, finite, st.integers(1, 12))
def test_ticks_cover_the_figures_in_even_steps(a, b, most):
    low, high = min(a, b), max(a, b)
    marks = ticks(low, high, most)
    step = marks[1] - marks[0]
    slack = 1e-6 * max(abs(low), abs(high), step)
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
    assert all(y - x == pytest.approx(step, rel=1e-6, abs=slack) for x, y in itertools.pairwise(marks))
    assert len(marks) <= most + 3


def test_a_scale_maps_ends_to_ends():
    scale = Scale(0.5, 1.0, 100, 300)
    assert (scale(0.5), scale(0.75), scale(1.0)) == (100, 200, 300)


def test_a_better_site_lies_further_right_and_every_arm_has_its_own_sign():
    rows = [Arms("a", 0.7, 0.9, 0.91), Arms("b", 0.6, 0.8, None), Arms("c", None, None, None)]
    root = drawn(dot_plot(rows, title="AUROC", better="higher"))
    best, second = places(root, "o-federated")
    assert best > second
    assert len(places(root, "o-local")) == 2
    assert len([e for e in root.iter("polygon") if e.get("class") == "o-pooled"]) == 1
    assert "no figure" in "".join(root.itertext())


def test_every_site_has_its_row_at_49_and_its_dot_at_466():
    for sites in (49, 466):
        rows = [Arms(f"Hospital {i}", 0.6 + i / 2000, 0.7 + i / 2000, 0.7) for i in range(sites)]
        root = drawn(dot_plot(rows, title="AUROC", better="higher"))
        kind = "o-federated" if sites == 49 else "f-federated"
        assert len(places(root, kind)) == sites
        labels = [t for t in root.iter("text") if SITE.match(t.text or "")]
        assert len(labels) == (49 if sites == 49 else 0)
    heights = [float(t.get("y")) for t in root.iter("text")]
    assert max(heights) < 1400


def test_rows_with_names_do_not_touch():
    rows = [Arms(f"Hospital {i}", None, 0.7, None) for i in range(49)]
    root = drawn(dot_plot(rows, title="AUROC", better="higher"))
    ys = [float(t.get("y")) for t in root.iter("text") if SITE.match(t.text or "")]
    assert min(b - a for a, b in itertools.pairwise(ys)) >= 14


def test_equal_figures_still_have_an_axis():
    drawn(dot_plot([Arms("a", 0.8, 0.8, 0.8)], title="AUROC", better="higher"))
    drawn(dot_plot([], title="AUROC", better="higher"))


def test_calibration_discs_have_areas_in_proportion_and_lie_on_the_diagonal_when_right():
    points = [CalibrationPoint(400, 0.2, 0.2), CalibrationPoint(100, 0.6, 0.6), CalibrationPoint(9, 0.9, 0.3)]
    root = drawn(calibration_plot(points, title="Calibration"))
    discs = [e for e in root.iter("circle") if e.get("class") == "f-dot"]
    xs, ys, radii = ([float(e.get(k)) for e in discs] for k in ("cx", "cy", "r"))
    (diagonal,) = [e for e in root.iter("line") if e.get("class") == "l-soft"]
    x0, y0, x1, y1 = (float(diagonal.get(k)) for k in ("x1", "y1", "x2", "y2"))
    on = [abs((y - y0) - (x - x0) * (y1 - y0) / (x1 - x0)) < 0.5 for x, y in zip(xs, ys, strict=True)]
    assert on == [True, True, False]
    assert (radii[0] - 2.5) / (radii[1] - 2.5) == pytest.approx(2, rel=0.02)


def test_calibration_in_the_large_counts_rows():
    over = in_the_large([CalibrationPoint(30, 0.1, 0.2), CalibrationPoint(10, 0.5, 0.5), CalibrationPoint(0, 0.9, 0.1)])
    assert over is not None
    assert over.rows == 40
    assert over.predicted == pytest.approx(0.2)
    assert over.observed == pytest.approx(0.275)
    assert over.distance == pytest.approx(0.075)
    assert in_the_large([]) is None


def test_a_mean_is_over_the_sites_that_have_the_figure():
    assert mean([0.5, None, float("nan"), 0.7]).value == pytest.approx(0.6)
    assert mean([0.5, None, float("nan"), 0.7]).sites == 2
    assert mean([None]).value is None


def test_a_diverging_bar_goes_to_the_side_of_its_sign():
    def bar(value):
        (rect,) = drawn(diverging_bar(value, 1.0)).iter("rect")
        return float(rect.get("x")), float(rect.get("width"))

    middle = 100.0
    assert bar(0.5)[0] == middle
    left, width = bar(-0.5)
    assert left + width == pytest.approx(middle)
    assert bar(0.5)[1] == pytest.approx(width)
    assert bar(7.0)[1] <= middle


def test_a_range_bar_spans_least_to_most():
    rects = {e.get("class"): e for e in drawn(range_bar(50, 100, 200, 400)).iter("rect")}
    assert float(rects["f-federated"].get("width")) == pytest.approx(50)
    assert float(rects["f-soft"].get("x")) == pytest.approx(25)
    assert float(rects["f-soft"].get("width")) == pytest.approx(75)
    assert len(list(drawn(range_bar(5, 5, 5, 5)).iter("rect"))) == 2


def test_a_stacked_bar_shares_its_width():
    bars = list(
        drawn(stacked_bar(((3, "f-good", "hold"), (0, "f-bad", "not"), (1, "f-open", "open")), title="t")).iter("rect")
    )
    assert len(bars) == 2
    assert float(bars[0].get("width")) == pytest.approx(3 * float(bars[1].get("width")), rel=0.02)


def test_the_rounds_chart_marks_who_was_silent_and_only_then():
    facts = job()
    names = [site.name for site in facts.sites]
    root = drawn(rounds_chart(facts.rounds, names, title="Rounds", width=840))
    silent = [e for e in root.iter("polygon") if e.get("class") == "o-out"]
    assert len(silent) == sum(len(one.silent) for one in facts.rounds) == 1
    shown = "".join(root.itertext())
    assert all(name in shown for name in names)


def test_with_many_sites_only_the_silent_ones_have_a_line():
    facts = job(466, 20)
    names = [site.name for site in facts.sites]
    root = drawn(rounds_chart(facts.rounds, names, title="Rounds", width=840))
    lines = [t.text for t in root.iter("text") if SITE.match(t.text or "")]
    assert lines == [facts.rounds[3].silent[0]]


def test_a_hundred_rounds_fit_into_the_width():
    one = job(4, 1).rounds[0]
    rounds = [dataclasses.replace(one, number=n) for n in range(1, 301)]
    for width in (840, 360):
        root = drawn(rounds_chart(rounds, ["a"], title="Rounds", width=width))
        assert max(float(e.get("x")) + float(e.get("width")) for e in root.iter("rect")) <= width + 1


# ---------------------------------------------------------------- colours


def linear(colour: str) -> tuple[float, float, float]:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    lights = sorted(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


DEFICIENCIES = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB."""


TOGETHER = (
    ("federated", "local", "pooled"),
    ("good", "bad"),
    ("buyer", "site", "fee", "bad"),
    ("up", "down"),
    ("moments", "training", "evaluation", "bad"),
    ("federated", "up", "buyer", "moments", "ink"),
    ("federated", "buyer", "moments", "bad", "fee", "ink"),
)
"""Roles that one picture tells apart; distances are in CIE L*a*b*."""


def lab(rgb: tuple[float, ...]) -> tuple[float, float, float]:
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(w * max(c, 0) for w, c in zip(row, rgb, strict=True)) for row in rows]
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (xyz[0] / 0.9505, xyz[1], xyz[2] / 1.089)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def seen(colour: str, matrix: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    rgb = linear(colour)
    return lab(tuple(sum(w * c for w, c in zip(row, rgb, strict=True)) for row in matrix))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_colour_can_be_read_on_every_ground(palette):
    for role in ("ink", "soft", "federated", "good", "bad", "open", "signed", "link"):
        for ground in ("paper", "card"):
            assert contrast(palette[role], palette[ground]) >= 4.5, (role, ground)
    for tone in ("good", "bad", "open"):
        assert contrast(palette[tone], palette[f"{tone}-wash"]) >= 4.5
        assert contrast(palette["link"], palette[f"{tone}-wash"]) >= 4.5
    assert contrast(palette["soft"], palette["chain"]) >= 4.5
    for mark in ("local", "pooled", "site", "buyer", "fee", "up", "down", "moments", "training", "evaluation"):
        assert contrast(palette[mark], palette["card"]) >= 3, mark


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_of_one_picture_stay_apart_for_the_colour_blind(palette, deficiency):
    matrix = DEFICIENCIES[deficiency]
    for roles in TOGETHER:
        for some in itertools.combinations(roles, 2):
            a, b = (seen(palette[role], matrix) for role in some)
            assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > 12, some


def test_both_palettes_name_the_same_roles_and_the_style_uses_no_other():
    assert LIGHT.keys() == DARK.keys()
    used = set(re.findall(r"var\(--([a-z-]+)\)", STYLE))
    assert used - {"sans", "serif", "mono"} <= LIGHT.keys()
