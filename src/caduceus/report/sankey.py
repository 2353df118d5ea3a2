"""Money as bands: who put it in, what held it, who took it out. What does not add up is drawn, not hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus.report.markup import Html, shortened, text
from caduceus.report.svg import at, box, drawing, group, label, path
from caduceus.report.words import brief, whole

_HEIGHT, _SLOT, _GAP, _NODE = 190.0, 33.0, 9.0, 12.0
_THINNEST = 1.5
_NARROW = 24
"""Fewer letters than this beside a band: its label takes three lines."""


@dataclass(frozen=True, slots=True)
class Band:
    """One side's part of a flow.

    name    whose it is; any text
    why     what for; any text
    amount  whole units, >= 0
    tone    "buyer", "site", "fee", "other" or "bad": the colour
    """

    name: str
    why: str
    amount: int
    tone: str


def sankey(
    left: Sequence[Band], right: Sequence[Band], *, hub: str, title: str, token: str, width: float = 840
) -> Html:
    """Bands from the left into the hub, and from the hub to the right; thickness is the amount.

    left, right  what went in and what came out; a difference is the caller's to show as a band of its own
    hub          the name of what held the money
    width        of the drawing; labels get three tenths of it on either side
    """
    total = max(sum(b.amount for b in left), sum(b.amount for b in right), 1)
    unit = _HEIGHT / total
    letters = int(width * 0.3 / 6.9)
    slot = _SLOT if letters >= _NARROW else _SLOT + 14
    sides = [_stack(side, unit, slot) for side in (left, right)]
    height = max(end for _, end in sides) + 34
    middle, edge = width / 2, width * 0.3
    thick = max(sum(thickness for _, thickness in places) for places, _ in sides)
    top = (height - 34 - thick) / 2 + 26
    parts = []
    for bands, (places, end), outward in ((left, sides[0], -1), (right, sides[1], 1)):
        offset = (height - 34 - end) / 2 + 26
        inner = top + (thick - sum(thickness for _, thickness in places)) / 2
        for band, (y, thickness) in zip(bands, places, strict=True):
            outer = middle + outward * (middle - edge)
            shape = _ribbon((outer, offset + y), (middle + outward * _NODE / 2, inner), thickness)
            parts.append(_band(band, shape, (outer, offset + y, thickness), outward, letters))
            inner += thickness
    parts.append(box(middle - _NODE / 2, top, _NODE, max(thick, 2), "f-soft", 2))
    parts.append(label(middle, top - 10, shortened(hub, max(letters, 12)), "b m"))
    put, took = (sum(b.amount for b in side) for side in (left, right))
    desc = f"{whole(put)} {token} went in and {whole(took)} came out. The table has every amount."
    return drawing(width, height, title=title, desc=desc, parts=parts)


def _stack(bands: Sequence[Band], unit: float, least: float) -> tuple[list[tuple[float, float]], float]:
    places, y = [], 0.0
    for band in bands:
        thickness = max(band.amount * unit, _THINNEST)
        slot = max(thickness, least)
        places.append((y + (slot - thickness) / 2, thickness))
        y += slot + _GAP
    return places, max(y - _GAP, 0.0)


def _ribbon(outer: tuple[float, float], inner: tuple[float, float], thickness: float) -> str:
    (x0, y0), (x1, y1) = outer, inner
    bend = (x0 + x1) / 2
    return (
        f"M{at(x0)},{at(y0)}C{at(bend)},{at(y0)} {at(bend)},{at(y1)} {at(x1)},{at(y1)}"
        f"L{at(x1)},{at(y1 + thickness)}"
        f"C{at(bend)},{at(y1 + thickness)} {at(bend)},{at(y0 + thickness)} {at(x0)},{at(y0 + thickness)}Z"
    )


def _band(band: Band, shape: str, place: tuple[float, float, float], outward: int, letters: int) -> Html:
    x, y, thickness = place
    return group(
        (
            path(shape, f"ribbon f-{band.tone}"),
            box(x - (4 if outward < 0 else 0), y, 4, thickness, f"f-{band.tone}", 1),
            *_lines(band, x + outward * 12, y + thickness / 2, "e" if outward < 0 else "", letters),
        ),
        Html(f"{text(band.name)}: {text(band.why)}, {whole(band.amount)}"),
    )


def _lines(band: Band, x: float, y: float, side: str, letters: int) -> list[Html]:
    """Amount and name over the purpose; one below the other where room is short."""
    amount = brief(band.amount)
    if letters < _NARROW:
        return [
            label(x, y - 9, amount, f"b {side}"),
            label(x, y + 4, shortened(band.name, letters), side),
            label(x, y + 17, shortened(band.why, letters), f"s {side}"),
        ]
    name = shortened(band.name, max(letters - len(amount) - 1, 8))
    named = Html(f'{amount}<tspan class="w" dx="5">{name}</tspan>')
    return [label(x, y - 3, named, f"b {side}"), label(x, y + 11, shortened(band.why, letters), f"s {side}")]
