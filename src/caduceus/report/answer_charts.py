"""Charts of answers: counts as bars, means and quantiles as dots, tables as cells, each with its 95 % interval.

What is withheld has a mark of its own and no length: a bar of nothing would say that nobody is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.report.facts import AxisFacts, FigureFacts
from caduceus.report.markup import Html, join, shortened, text
from caduceus.report.svg import Scale, at, box, decimals, disc, drawing, group, label, line, ticks
from caduceus.report.words import count, decimals_for, known, measured, significant

WITHHELD = "withheld"

_WIDTH, _NAMES, _LETTERS = 400.0, 118.0, 17
_HEIGHT = 1100.0
"""Rows share it once they are many."""

_NARROW = 44.0
"""A cell that is less wide has no room for its number."""


def shown(figure: FigureFacts) -> bool:
    """Whether there is a number that may be told."""
    return not figure.withheld and known(figure.value)


def value_of(figure: FigureFacts) -> Html:
    """A figure's number, with as many decimals as its noise leaves a meaning; a word where it is withheld."""
    value = figure.value
    if figure.withheld or value is None or not known(value):
        return Html(WITHHELD if figure.withheld else "–")
    digits = decimals_for(figure.error)
    return significant(value) if digits is None else measured(value, digits)


def interval_of(figure: FigureFacts) -> Html | None:
    """A figure's interval, with the figure's decimals: 1 385 to 1 433; None where there is none to tell."""
    low, high = figure.low, figure.high
    if not shown(figure) or low is None or high is None or not (known(low) and known(high)):
        return None
    digits = decimals_for(figure.error)
    ends = (significant(end) if digits is None else measured(end, digits) for end in (low, high))
    return join(ends, " to ")


def spoken(figure: FigureFacts) -> Html:
    """A figure in a line: all: 1 409, from 1 385 to 1 433."""
    ends = interval_of(figure)
    return Html(f"{text(figure.label)}: {value_of(figure)}{'' if ends is None else f', from {ends}'}")


def bars(figures: Sequence[FigureFacts], *, title: str) -> Html:
    """A bar from zero per figure, with its interval."""
    return _rows(figures, title=title, from_zero=True)


def dots(figures: Sequence[FigureFacts], *, title: str) -> Html:
    """A dot per figure, with its interval; the axis need not begin at zero."""
    return _rows(figures, title=title, from_zero=False)


def _rows(figures: Sequence[FigureFacts], *, title: str, from_zero: bool) -> Html:
    ends = [v for one in figures if shown(one) for v in (one.value, one.low, one.high) if v is not None and known(v)]
    if from_zero:
        ends.append(0.0)
    places = ticks(min(ends, default=0.0), max(ends, default=1.0), 4)
    pitch = 24.0 if len(figures) <= 16 else max(min(17.0, _HEIGHT / len(figures)), 0.5)
    scale, top = Scale(places[0], places[-1], _NAMES, _WIDTH - 24), 24.0
    bottom, digits = top + pitch * len(figures), decimals(places)
    parts = [line((scale(v), top - 4), (scale(v), bottom), "l-grid") for v in places]
    parts += [label(scale(v), top - 9, measured(v, digits), "s m") for v in places]
    named = max(round(13.0 / pitch + 0.5), 1) if pitch < 13 else 1
    for index, one in enumerate(figures):
        y = top + pitch * (index + 0.5)
        marks = [box(0, y - pitch / 2, _WIDTH, pitch, "hit")]
        if index % named == 0:
            marks.append(label(_NAMES - 8, y + 4, shortened(one.label, _LETTERS), "e"))
        marks.append(_mark(one, scale, y, pitch, from_zero))
        parts.append(group(marks, spoken(one)))
    hidden = sum(one.withheld for one in figures)
    desc = f"{count(len(figures), 'number')} with 95 % intervals, {hidden} withheld. The table has every figure."
    return drawing(_WIDTH, bottom + 10, title=title, desc=desc, parts=parts)


def _mark(one: FigureFacts, scale: Scale, y: float, pitch: float, from_zero: bool) -> Html:
    if not shown(one):
        word = [label(scale.start + 14, y + 4, Html(WITHHELD if one.withheld else "–"), "s")] if pitch >= 13 else []
        return join([disc(scale.start + 5, y, min(3.6, pitch / 2), "o-withheld"), *word])
    assert one.value is not None
    half, parts = min(pitch * 0.31, 7.0), []
    if from_zero:
        length = max(scale(one.value) - scale(0.0), 0.0)
        parts.append(box(scale(0.0), y - half, length, 2 * half, "f-bar"))
    if one.low is not None and one.high is not None and known(one.low) and known(one.high):
        parts.append(_interval(scale(one.low), scale(one.high), y, half * 0.7))
    if not from_zero:
        parts.append(disc(scale(one.value), y, min(4.6, half), "o-federated"))
    return join(parts)


def _interval(start: float, end: float, y: float, half: float) -> Html:
    caps = (line((x, y - half), (x, y + half), "l-err") for x in (start, end))
    return join((line((start, y), (end, y), "l-err"), *caps))


def cells(figures: Sequence[FigureFacts], across: AxisFacts, down: AxisFacts, *, title: str, width: float) -> Html:
    """A table of counts as cells, darker the more patients are in them.

    figures  one per cell, row by row
    across   the columns
    down     the rows
    """
    most = max((one.value for one in figures if shown(one) and one.value is not None), default=0.0)
    step, pitch, top = (width - _NAMES - 2) / max(len(across.labels), 1), 30.0, 34.0
    letters = max(int(step / 6.4), 2)
    parts = [
        label(_NAMES - 8, 10, shortened(f"{down.column} ↓", _LETTERS), "s e"),
        label(_NAMES, 10, shortened(f"{across.column} →", 60), "s"),
    ]
    parts += [
        label(_NAMES + step * (j + 0.5), top - 8, shortened(name, letters), "s m")
        for j, name in enumerate(across.labels)
    ]
    for i, row in enumerate(down.labels):
        y = top + pitch * i
        parts.append(label(_NAMES - 8, y + pitch / 2 + 4, shortened(row, _LETTERS), "e"))
        for j in range(len(across.labels)):
            one = figures[i * len(across.labels) + j]
            parts.append(_cell(one, (_NAMES + step * j, y), (step, pitch), most))
    hidden = sum(one.withheld for one in figures)
    desc = f"{count(len(figures), 'cell')}, {hidden} withheld; darker is more. The table has every figure."
    return drawing(width, top + pitch * len(down.labels) + 4, title=title, desc=desc, parts=parts)


def _cell(one: FigureFacts, corner: tuple[float, float], size: tuple[float, float], most: float) -> Html:
    x, y, width, height = corner[0] + 1, corner[1] + 1, max(size[0] - 2, 0.5), size[1] - 2
    middle = label(x + width / 2, y + height / 2 + 4, value_of(one), "m" if shown(one) else "s m")
    if not shown(one):
        word = [middle] if width >= 1.2 * _NARROW else []
        return group([box(x, y, width, height, "f-withheld", 3), *word], spoken(one))
    assert one.value is not None
    share = min(max(one.value / most, 0.0), 1.0) if most > 0 else 0.0
    fill = Html(
        f'<rect x="{at(x)}" y="{at(y)}" width="{at(width)}" height="{at(height)}" rx="3" class="f-cell" '
        f'fill-opacity="{0.05 + 0.4 * share:.2f}"/>'
    )
    return group([fill, *([middle] if width >= _NARROW else [])], spoken(one))
