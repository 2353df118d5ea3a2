"""Drawing primitives: numbers to SVG markup. Colours are classes, so that they follow light and dark mode."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caduceus.report.markup import Html, join, text

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight map from figures to positions.

    low, high    the figures at the ends, low < high
    start, stop  their positions
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def drawing(
    width: float, height: float, *, title: str, desc: str, parts: Iterable[Html], kind: str = "chart", top: float = 0
) -> Html:
    """A chart for a page, with its name and a sentence that stands for it.

    width, height  its own units; on the page it is as wide as the room it is given
    title, desc    plain text; read out in place of the picture
    top            where the drawing starts, if not at 0
    """
    name = text(title)
    return Html(
        f'<svg class="{kind}" viewBox="0 {at(top)} {at(width)} {at(height - top)}" role="img" '
        f'aria-label="{name}: {text(desc)}">'
        f"<title>{name}</title><desc>{text(desc)}</desc>{join(parts)}</svg>"
    )


def at(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    shown = f"{value:.1f}"
    return shown[:-2] if shown.endswith(".0") else shown


def label(x: float, y: float, content: Html, kind: str = "") -> Html:
    """A line of text; kinds: s small, b bold, h heading, e ends at x, m centred on x."""
    return Html(f'<text x="{at(x)}" y="{at(y)}" class="{kind}">{content}</text>')


def line(start: Point, end: Point, kind: str) -> Html:
    """A straight line."""
    return Html(f'<line x1="{at(start[0])}" y1="{at(start[1])}" x2="{at(end[0])}" y2="{at(end[1])}" class="{kind}"/>')


def box(x: float, y: float, width: float, height: float, kind: str, corner: float = 0) -> Html:
    """A rectangle."""
    rounded = f' rx="{at(corner)}"' if corner else ""
    return Html(f'<rect x="{at(x)}" y="{at(y)}" width="{at(width)}" height="{at(height)}"{rounded} class="{kind}"/>')


def disc(x: float, y: float, radius: float, kind: str) -> Html:
    """A circle."""
    return Html(f'<circle cx="{at(x)}" cy="{at(y)}" r="{at(radius)}" class="{kind}"/>')


def diamond(x: float, y: float, radius: float, kind: str) -> Html:
    """A square on its corner."""
    corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
    return polygon(corners, kind)


def polygon(corners: Iterable[Point], kind: str) -> Html:
    """A filled shape with straight sides."""
    points = " ".join(f"{at(x)},{at(y)}" for x, y in corners)
    return Html(f'<polygon points="{points}" class="{kind}"/>')


def path(steps: str, kind: str) -> Html:
    """A path; `steps` in SVG's own language, made of numbers by our caller."""
    return Html(f'<path d="{steps}" class="{kind}"/>')


def tip(x: float, y: float, direction: str, kind: str, size: float = 5) -> Html:
    """An arrow's head with its point at (x, y), pointing "up", "down", "left" or "right"."""
    dx, dy = {"up": (0, 1), "down": (0, -1), "left": (1, 0), "right": (-1, 0)}[direction]
    back = (x + dx * size * 1.5, y + dy * size * 1.5)
    side = (dy * size * 0.8, dx * size * 0.8)
    return polygon(((x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])), kind)


def group(parts: Iterable[Html], hint: Html, kind: str = "row") -> Html:
    """Shapes that belong together; `hint` shows under the pointer."""
    return Html(f'<g class="{kind}"><title>{hint}</title>{join(parts)}</g>')


def ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Round figures that cover [low, high], evenly spaced; the first is <= low and the last >= high.

    low, high  finite, low <= high
    most       about how many steps there may be, >= 1
    """
    span, size = high - low, max(abs(low), abs(high))
    if span <= 1e-9 * max(size, 1.0):  # the same figure, as far as anyone can see
        span = size if size > 1e-9 else 1.0
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last <= first:
        last = first + 1
    return tuple(round(step * index, 12) for index in range(first, last + 1))


def decimals(places: Sequence[float], least: int = 0) -> int:
    """How many decimals tell evenly spaced figures apart; at most 6.

    places  at least two
    least   not fewer than this
    """
    step = places[1] - places[0]
    return next((d for d in range(least, 6) if abs(step * 10**d - round(step * 10**d)) < 1e-6), 6)
