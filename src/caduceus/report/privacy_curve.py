"""The curve of a privacy plan: what epsilon buys, and the noise that it takes; a drawing in a file of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from caduceus.errors import Misuse
from caduceus.report.markup import Html, join, text
from caduceus.report.palette import DARK, LIGHT
from caduceus.report.svg import Point as Place
from caduceus.report.svg import Scale, at, box, disc, group, label, line, path, polygon, ticks
from caduceus.report.words import plain

_WIDTH, _HEIGHT = 640.0, 560.0
_LEFT, _RIGHT = 64.0, 612.0
_UPPER, _LOWER = (84.0, 316.0), (372.0, 500.0)  # top and bottom of the two panels
_USED = ("paper", "line", "grid", "ink", "soft", "federated", "local")


@dataclass(frozen=True, slots=True)
class Point:
    """What one epsilon gives.

    noise      total noise multiplier, > 0
    mean       AUROC over the runs
    low, high  all runs but the lowest and the highest tenth
    asked      whether it is the one that was asked for
    """

    epsilon: float
    noise: float
    mean: float
    low: float
    high: float
    asked: bool = False

    @classmethod
    def of(cls, epsilon: float, noise: float, areas: Sequence[float], *, asked: bool = False) -> Self:
        """From the AUROC of every run, at least one."""
        ordered = sorted(areas)
        return cls(epsilon, noise, math.fsum(areas) / len(areas), _tenths(ordered, 1), _tenths(ordered, 9), asked)


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn.

    points  at least two, epsilon rising
    exact   AUROC without noise
    about   what was planned, in a line
    """

    points: tuple[Point, ...]
    exact: float
    about: str


def curve(shown: Curve) -> str:
    """Draw it: AUROC over epsilon with a band over runs, and under it the noise; both epsilon axes are logarithmic.

    returns  a whole SVG file that loads nothing, in light and dark colours, with a title and a sentence that stands
             for the picture

    Raises Misuse for fewer than two points, or epsilons that do not rise.
    """
    points = shown.points
    if len(points) < 2 or any(a.epsilon >= b.epsilon for a, b in pairwise(points)):
        raise Misuse("curve: wanted at least two points whose epsilons rise")
    across = _Log(points[0].epsilon, points[-1].epsilon, _LEFT + 10, _RIGHT - 10)
    title = "What differential privacy costs: AUROC and noise over epsilon"
    told = "; ".join(f"epsilon {p.epsilon:.3g}: AUROC {plain(p.mean)}, noise {p.noise:.3g}" for p in points)
    desc = f"{shown.about}. Without noise: AUROC {plain(shown.exact)}. {told}."
    parts = (
        box(0, 0, _WIDTH, _HEIGHT, "f-paper"),
        label(_LEFT, 28, Html("What differential privacy costs"), "h"),
        label(_LEFT, 47, text(shown.about), "s"),
        *_quality(shown, across),
        *_noise(points, across),
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {at(_WIDTH)} {at(_HEIGHT)}" role="img" '
        f'aria-labelledby="title desc">\n<title id="title">{text(title)}</title>\n<desc id="desc">{text(desc)}</desc>\n'
        f"<style>{_STYLE}</style>\n{join(parts)}\n</svg>\n"
    )


@dataclass(frozen=True, slots=True)
class _Log:
    """A logarithmic map from figures above 0 to positions."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return Scale(math.log(self.low), math.log(self.high), self.start, self.stop)(math.log(value))


def _quality(shown: Curve, across: _Log) -> Iterable[Html]:
    points, (top, bottom) = shown.points, _UPPER
    figures = [shown.exact, *(p.low for p in points), *(p.high for p in points)]
    places = ticks(min(figures), max(figures), 5)
    upward = Scale(places[0], places[-1], bottom, top)
    digits = 2 if all(abs(100 * v - round(100 * v)) < 1e-6 for v in places) else 3
    yield label(_LEFT, top - 12, Html("AUROC on fresh patients: mean, and all runs but the extreme tenths"), "b")
    for value in places:
        yield line((_LEFT, upward(value)), (_RIGHT, upward(value)), "l-grid")
        yield label(_LEFT - 8, upward(value) + 4, Html(plain(value, digits)), "s e")
    yield from _epsilons(points, across, top, bottom)
    edge = [(across(p.epsilon), upward(p.high)) for p in points]
    back = [(across(p.epsilon), upward(p.low)) for p in reversed(points)]
    yield polygon((*edge, *back), "f-band")
    yield line((_LEFT, upward(shown.exact)), (_RIGHT, upward(shown.exact)), "l-exact")
    yield label(_LEFT + 4, upward(shown.exact) - 6, Html(f"without noise {plain(shown.exact)}"), "s")
    yield path(_through([(across(p.epsilon), upward(p.mean)) for p in points]), "l-curve")
    for p in points:
        hint = Html(
            f"epsilon {p.epsilon:.3g}: AUROC {plain(p.mean)}, from {plain(p.low)} to {plain(p.high)}, "
            f"{plain(shown.exact - p.mean)} lost"
        )
        yield group([_mark(across(p.epsilon), upward(p.mean), p)], hint)


def _noise(points: Sequence[Point], across: _Log) -> Iterable[Html]:
    top, bottom = _LOWER
    most, least = max(p.noise for p in points), min(p.noise for p in points)
    low, high = 10.0 ** math.floor(math.log10(least)), 10.0 ** math.ceil(math.log10(most) + 1e-9)
    upward = _Log(low, high, bottom, top)
    yield label(_LEFT, top - 12, Html("Noise of all sums together, as a multiple of what one patient can change"), "b")
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = upward(10.0**power)
        yield line((_LEFT, y), (_RIGHT, y), "l-grid")
        yield label(_LEFT - 8, y + 4, Html(f"{10.0**power:g}"), "s e")
    yield from _epsilons(points, across, top, bottom)
    yield path(_through([(across(p.epsilon), upward(p.noise)) for p in points]), "l-noise")
    for p in points:
        yield group(
            [_mark(across(p.epsilon), upward(p.noise), p)], Html(f"epsilon {p.epsilon:.3g}: noise {p.noise:.3g}")
        )
    yield label(_RIGHT, bottom + 38, Html("epsilon: less privacy →"), "s e")


def _epsilons(points: Sequence[Point], across: _Log, top: float, bottom: float) -> Iterable[Html]:
    """Grid lines and figures under a panel; figures that would touch their neighbour's are left to the pointer."""
    yield line((_LEFT, bottom), (_RIGHT, bottom), "l-axis")
    room = {p.epsilon for p in points if p.asked}
    for p in points:
        x = across(p.epsilon)
        yield line((x, top), (x, bottom), "l-grid")
        if p.asked or all(abs(x - across(other)) > 34 for other in room):
            room.add(p.epsilon)
            yield label(x, bottom + 18, Html(f"{p.epsilon:.3g}"), "s b m" if p.asked else "s m")


def _mark(x: float, y: float, point: Point) -> Html:
    return disc(x, y, 6.0 if point.asked else 3.6, "o-asked" if point.asked else "o-point")


def _through(places: Sequence[Place]) -> str:
    return "M" + " L".join(f"{at(x)},{at(y)}" for x, y in places)


def _tenths(ordered: Sequence[float], tenths: int) -> float:
    """The figure below which so many tenths of the others lie, between neighbours in proportion."""
    place = (len(ordered) - 1) * tenths / 10
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _tokens(palette: Iterable[tuple[str, str]]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette if name in _USED)


_STYLE = (
    f":root{{{_tokens(LIGHT.items())}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_tokens(DARK.items())}}}}}"
    'text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink)}'
    ".s{fill:var(--soft);font-size:11px}.b{font-weight:600}.h{font-weight:600;font-size:16px}"
    ".e{text-anchor:end}.m{text-anchor:middle}"
    ".f-paper{fill:var(--paper)}.f-band{fill:var(--federated);fill-opacity:.16}"
    ".l-grid{stroke:var(--grid);stroke-width:1}.l-axis{stroke:var(--line);stroke-width:1}"
    ".l-exact{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:5 4}"
    ".l-curve{stroke:var(--federated);stroke-width:2;fill:none;stroke-linejoin:round}"
    ".l-noise{stroke:var(--local);stroke-width:2;fill:none;stroke-linejoin:round}"
    ".o-point{fill:var(--paper);stroke:var(--ink);stroke-width:1.5}"
    ".o-asked{fill:var(--ink);stroke:var(--paper);stroke-width:2}"
)
