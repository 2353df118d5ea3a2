"""Charts about the model: how well it serves each site, whether its risks come true, and what it weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus.report.facts import CalibrationPoint
from caduceus.report.markup import Html, join, shortened, text
from caduceus.report.svg import Scale, at, box, decimals, diamond, disc, drawing, group, label, line, ticks
from caduceus.report.words import count, known, plain, whole

LABELLED_ROWS = 64
"""Up to here every row of a dot plot has its name; more are drawn close together, names under the pointer."""

_NAME_WIDTH = 124
_NAME_LETTERS = 18
_DOTS_WIDTH = 390


@dataclass(frozen=True, slots=True)
class Arms:
    """One figure at one site for the three ways to learn; finite, or None where there is none."""

    name: str
    local: float | None
    federated: float | None
    pooled: float | None

    @property
    def present(self) -> tuple[float, ...]:
        """The figures that there are."""
        return tuple(v for v in (self.local, self.federated, self.pooled) if v is not None)


def dot_plot(rows: Sequence[Arms], *, title: str, better: str, mark: float | None = None) -> Html:
    """A row per site with a disc (federated), a ring (local) and a diamond (pooled) on one axis.

    rows    drawn from top to bottom as given; a row without figures keeps its place
    better  "higher" or "lower": which side is good
    mark    a figure to draw a line at if the axis reaches it, such as .5 for chance
    """
    figures = [value for row in rows for value in row.present]
    if not figures:
        return drawing(_DOTS_WIDTH, 40, title=title, desc="no figures", parts=[label(0, 24, Html("No figures."), "s")])
    places = ticks(min(figures), max(figures), 5)
    named = len(rows) <= LABELLED_ROWS
    left, top = (_NAME_WIDTH if named else 8), 26
    pitch = _pitch(len(rows))
    bottom = top + pitch * len(rows)
    scale = Scale(places[0], places[-1], left + 8, _DOTS_WIDTH - 12)
    parts = [_axis(scale, places, top, bottom)]
    if mark is not None and places[0] < mark < places[-1]:
        parts.append(line((scale(mark), top), (scale(mark), bottom), "l-soft"))
    ys = [top + pitch * (index + 0.5) for index in range(len(rows))]
    parts += (
        [_arms(row, scale, y, pitch) for row, y in zip(rows, ys, strict=True)] if named else _close(rows, scale, ys)
    )
    side = "right" if better == "higher" else "left"
    parts.append(label(left + 8, bottom + 18, Html("← better"), "s") if side == "left" else Html(""))
    parts.append(label(_DOTS_WIDTH - 12, bottom + 18, Html("better →"), "s e") if side == "right" else Html(""))
    low, high = plain(min(figures)), plain(max(figures))
    desc = f"{count(len(rows), 'site')}, figures from {low} to {high}; {better} is better. The table has every figure."
    return drawing(_DOTS_WIDTH, bottom + 24, title=title, desc=desc, parts=parts)


def _pitch(rows: int) -> float:
    if rows <= 12:
        return 30
    if rows <= 30:
        return 21
    return 17 if rows <= LABELLED_ROWS else max(2.4, 1100 / rows)


def _axis(scale: Scale, places: Sequence[float], top: float, bottom: float) -> Html:
    lines = (line((scale(v), top - 4), (scale(v), bottom), "l-grid") for v in places)
    labels = (label(scale(v), top - 10, Html(plain(v, decimals(places, 1))), "s m") for v in places)
    return join((*lines, *labels))


def _arms(row: Arms, scale: Scale, y: float, pitch: float) -> Html:
    big = 5.5 if pitch >= 25 else 4.2
    parts = [
        box(0, y - pitch / 2, _DOTS_WIDTH, pitch, "hit"),
        label(_NAME_WIDTH - 6, y + 4, shortened(row.name, _NAME_LETTERS), "e"),
    ]
    if len(row.present) > 1:
        parts.append(line((scale(min(row.present)), y), (scale(max(row.present)), y), "l-arm"))
    if row.pooled is not None:
        parts.append(diamond(scale(row.pooled), y, big * 1.25, "o-pooled"))
    if row.local is not None:
        parts.append(disc(scale(row.local), y, big * 0.9, "o-local"))
    if row.federated is not None:
        parts.append(disc(scale(row.federated), y, big * 0.86, "o-federated"))
    if not row.present:
        parts.append(label(scale.start, y + 4, Html("– no figure"), "s"))
    return group(parts, Html(f"{text(row.name)}: {_spoken(row)}"))


def _close(rows: Sequence[Arms], scale: Scale, ys: Sequence[float]) -> list[Html]:
    """Many sites: thin lines below, then all marks of one arm after the other, none hiding a whole row."""
    placed = list(zip(rows, ys, strict=True))
    spans = [(row.present, y) for row, y in placed if len(row.present) > 1]
    return [
        *(line((scale(min(some)), y), (scale(max(some)), y), "l-thin") for some, y in spans),
        *(diamond(scale(row.pooled), y, 2.2, "f-pooled") for row, y in placed if row.pooled is not None),
        *(disc(scale(row.local), y, 1.7, "o-ring") for row, y in placed if row.local is not None),
        *(disc(scale(row.federated), y, 1.5, "f-federated") for row, y in placed if row.federated is not None),
    ]


def _spoken(row: Arms) -> str:
    named = (("federated", row.federated), ("local only", row.local), ("pooled", row.pooled))
    return ", ".join(f"{name} {plain(value)}" for name, value in named if value is not None) or "–"


def legend_mark(arm: str) -> Html:
    """The sign of an arm ("federated", "local", "pooled") beside its name."""
    shape = diamond(8, 8, 6.5, "o-pooled") if arm == "pooled" else disc(8, 8, 5.2, f"o-{arm}")
    return Html(f'<svg viewBox="0 0 16 16" aria-hidden="true">{shape}</svg>')


def swatch(kind: str) -> Html:
    """A colour beside its name."""
    return Html(f'<svg viewBox="0 0 16 16" aria-hidden="true">{box(1, 5, 14, 6, kind, 2)}</svg>')


def calibration_plot(points: Sequence[CalibrationPoint], *, title: str) -> Html:
    """Share that came true over predicted risk; a disc's area is the number of rows; the diagonal is perfection.

    Both axes have the same length and reach from 0 to just beyond the largest figure.
    """
    sound = [p for p in points if known(p.predicted) and known(p.observed)]
    size, left, bottom = 400.0, 46.0, 350.0
    places = ticks(0.0, max([0.05, *(max(p.predicted, p.observed) for p in sound)]), 5)
    across = Scale(places[0], places[-1], left, size - 14)
    upward = Scale(places[0], places[-1], bottom, 14)
    digits = decimals(places, 1)
    parts = [line((across(v), 14), (across(v), bottom), "l-grid") for v in places]
    parts += [line((left, upward(v)), (size - 14, upward(v)), "l-grid") for v in places]
    parts += [label(across(v), bottom + 17, Html(plain(v, digits)), "s m") for v in places]
    parts += [label(left - 8, upward(v) + 4, Html(plain(v, digits)), "s e") for v in places]
    parts.append(line((across(0), upward(0)), (across(places[-1]), upward(places[-1])), "l-soft"))
    parts.append(label(size - 14, bottom + 38, Html("predicted risk →"), "s e"))
    parts.append(label(left - 8, 5, Html("↑ came true"), "s"))
    most = max((p.rows for p in sound), default=1) or 1
    for point in sorted(sound, key=lambda p: -p.rows):
        radius = 2.5 + 15 * (max(point.rows, 0) / most) ** 0.5
        hint = Html(
            f"{count(point.rows, 'row')}: predicted {plain(point.predicted)}, came true {plain(point.observed)}"
        )
        parts.append(group([disc(across(point.predicted), upward(point.observed), radius, "f-dot")], hint))
    desc = f"{count(len(sound), 'group')} of predictions; the diagonal is where risks come true exactly as predicted."
    return drawing(size, bottom + 44, title=title, desc=desc, parts=parts)


def diverging_bar(value: float, limit: float) -> Html:
    """One bar of a diverging chart: to the right of the middle if positive, to the left if negative.

    limit  the figure at either end, > 0
    """
    half = 100.0
    length = min(abs(value) / limit, 1.0) * (half - 2)
    side = "right" if value > 0 else "left" if value < 0 else "nowhere"
    start, kind = (half, "f-up") if value > 0 else (half - length, "f-down")
    return Html(
        f'<svg viewBox="0 0 {at(2 * half)} 22" preserveAspectRatio="none" role="img" aria-label="bar to the {side}">'
        f"<title>{plain(value)}</title><desc>Bar to the {side} of zero</desc>"
        f"{line((half, 0), (half, 22), 'l-axis')}{box(start, 6, length, 10, kind)}</svg>"
    )


def range_bar(least: float, mean: float, most: float, limit: float) -> Html:
    """One bar of a chart of means from zero, with a thin line from the least to the most.

    limit  the figure at the right end, > 0
    """
    scale = Scale(0, limit, 0, 200)
    desc = f"mean {whole(round(mean))}, from {whole(round(least))} to {whole(round(most))}"
    spread = box(scale(least), 10.2, max(scale(most) - scale(least), 0.8), 1.6, "f-soft") if most > least else ""
    return Html(
        f'<svg viewBox="0 0 200 22" preserveAspectRatio="none" role="img" aria-label="{desc}"><title>{desc}</title>'
        f"<desc>Bar from zero</desc>{box(0, 9.5, 200, 3, 'f-grid')}"
        f"{box(0, 5, max(scale(mean), 0.8), 12, 'f-federated')}{spread}</svg>"
    )


def stacked_bar(shares: Sequence[tuple[int, str, str]], *, title: str) -> Html:
    """One bar cut in proportion; each share is a number >= 0, a colour class and a name."""
    total = sum(number for number, _, _ in shares) or 1
    parts, x = [], 0.0
    for number, kind, name in shares:
        width = 200 * number / total
        if number:
            parts.append(group([box(x, 0, max(width - 0.6, 0.6), 8, kind)], Html(f"{whole(number)} {text(name)}")))
        x += width
    desc = ", ".join(f"{whole(number)} {name}" for number, _, name in shares)
    head = f'<svg class="strip" viewBox="0 0 200 8" preserveAspectRatio="none" role="img" aria-label="{text(title)}">'
    return Html(f"{head}<title>{text(title)}</title><desc>{text(desc)}</desc>{join(parts)}</svg>")
