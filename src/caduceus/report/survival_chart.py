"""Survival curves by group, with their 95 % bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus.report.answer_charts import shown, spoken
from caduceus.report.facts import FigureFacts
from caduceus.report.markup import Html, listing, text
from caduceus.report.svg import Point, Scale, at, disc, drawing, group, label, line, path
from caduceus.report.words import count, known, measured, significant

COLOURS = 5
"""Groups beyond take the colours again, from the first."""

_LEFT, _TOP, _BOTTOM = 42.0, 14.0, 262.0
_LONG = 2.0
"""A last step more than so many times as long as all before it is drawn shortened: it ends at the schema's largest
time, which says nothing of how long anyone was followed."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A group's curve.

    group    its name; "" of the only one
    figures  one per time of the grid, `at` its time
    """

    group: str
    figures: tuple[FigureFacts, ...]


@dataclass(frozen=True, slots=True)
class _Times:
    """Where times stand; the last may be drawn nearer than it is."""

    scale: Scale
    last: float
    right: float
    cut: bool

    def __call__(self, time: float) -> float:
        return self.right if self.cut and time >= self.last else self.scale(time)


def survival_chart(curves: Sequence[Curve], unit: str, *, title: str, width: float) -> Html:
    """Steps down from 1, one line per group; a dot is a time at which a number was published.

    curves  at least one, all over the same times
    unit    of the times
    """
    times = [one.at for one in curves[0].figures if one.at is not None]
    x, y = _across(times, width), Scale(0.0, 1.0, _BOTTOM, _TOP)
    parts = [line((_LEFT, y(v)), (x.right, y(v)), "l-grid") for v in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts += [label(_LEFT - 7, y(v) + 4, measured(v, 2), "s e") for v in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts += _time_labels(times, x)
    parts.append(label(x.right, _BOTTOM + 34, Html(f"time{', ' if unit else ''}{text(unit)} →"), "s e"))
    drawn = [(_band(curve, x, y), f"c-band c-{i % COLOURS}") for i, curve in enumerate(curves)]
    bands = [path(steps, kind) for steps, kind in drawn if steps]
    lines = [_line(curve, x, y, i % COLOURS) for i, curve in enumerate(curves)]
    told = sum(shown(one) for curve in curves for one in curve.figures)
    every = sum(len(curve.figures) for curve in curves)
    desc = f"{count(len(curves), 'curve')}, {told} of {every} points published. The tables have every figure."
    return drawing(width, _BOTTOM + 40, title=title, desc=desc, parts=[*parts, *bands, *lines])


def curve_legend(curves: Sequence[Curve]) -> Html:
    """The groups' names with their lines."""
    return listing(
        (
            Html(
                f'<svg viewBox="0 0 16 16" aria-hidden="true">{path("M0,8H16", f"c-curve c-{i % COLOURS}")}</svg>'
                f"{text(curve.group)}"
            )
            for i, curve in enumerate(curves)
        ),
        "legend curves",
    )


def _across(times: Sequence[float], width: float) -> _Times:
    first, last, right = times[0], times[-1], width - 26
    before = times[-2] if len(times) > 2 else last
    cut = len(times) > 2 and last - before > _LONG * (before - first)
    end = before if cut else last
    return _Times(Scale(first, end if end > first else first + 1.0, _LEFT, right - 44 * cut), last, right, cut)


def _time_labels(times: Sequence[float], x: _Times) -> list[Html]:
    parts, free = [], _LEFT - 20
    for time in times:
        place = x(time)
        if place - free >= 20:
            parts.append(label(place, _BOTTOM + 17, significant(time), "s m"))
            free = place + 8 * max(len(f"{time:g}") - 2, 0)
    if x.cut:
        middle = x.right - 22
        parts += [line((middle + d, _BOTTOM + 5), (middle + d + 4, _BOTTOM - 5), "l-err") for d in (-4, 1)]
    return parts


def _line(curve: Curve, x: _Times, y: Scale, colour: int) -> Html:
    points = [
        (x(one.at), y(one.value), one)
        for one in curve.figures
        if shown(one) and one.at is not None and one.value is not None
    ]
    steps = path(_steps([(px, py) for px, py, _ in points]), f"c-curve c-{colour}")
    marks = [group([disc(px, py, 2.8, f"c-dot c-{colour}")], _hint(curve, one)) for px, py, one in points]
    if not points:
        return group([], text(curve.group or "survival"), kind="curve")
    px, _, last = points[-1]
    ends = [y(v) for v in (last.low, last.high) if v is not None and known(v)]
    end = [line((px, ends[0]), (px, ends[-1]), f"c-curve c-end c-{colour}")] if ends else []
    return group([steps, *end, *marks], text(curve.group or "survival"), kind="curve")


def _hint(curve: Curve, one: FigureFacts) -> Html:
    return Html(f"{text(curve.group)}, {spoken(one)}" if curve.group else spoken(one))


def _band(curve: Curve, x: _Times, y: Scale) -> str:
    """The band's outline: along the upper ends and back along the lower ones."""
    ends = [
        (x(one.at), y(min(max(one.low, 0.0), 1.0)), y(min(max(one.high, 0.0), 1.0)))
        for one in curve.figures
        if shown(one) and one.at is not None and one.low is not None and one.high is not None
        if known(one.low) and known(one.high)
    ]
    if len(ends) < 2:
        return ""
    upper, lower = [(px, high) for px, _, high in ends], [(px, low) for px, low, _ in ends]
    back = [f"L{at(lower[-1][0])},{at(lower[-1][1])}"]
    for (nx, ny), (px, _) in zip(lower[-2::-1], lower[:0:-1], strict=True):
        back.append(f"L{at(px)},{at(ny)}L{at(nx)},{at(ny)}")
    return f"{_steps(upper)}{''.join(back)}Z"


def _steps(points: Sequence[Point]) -> str:
    """Level up to the next point, then down to it."""
    if not points:
        return ""
    start = f"M{at(points[0][0])},{at(points[0][1])}"
    return start + "".join(f"H{at(px)}V{at(py)}" for px, py in points[1:])
