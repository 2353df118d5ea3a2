"""A chart of a table: one tile per row and column, the deeper the colour the higher the figure, with its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from caduceus.report.markup import Html, join, text
from caduceus.report.palette import LIGHT
from caduceus.report.svg import box, label

_NAMES, _TILE, _ROW, _TOP, _BOTTOM = 190.0, 52.0, 24.0, 118.0, 16.0

_STYLE = f"""
text{{font:11px system-ui,sans-serif;fill:{LIGHT["ink"]}}}
.s{{fill:{LIGHT["soft"]}}}.h{{font-size:14px;font-weight:600}}.e{{text-anchor:end}}.m{{text-anchor:middle}}
.paper{{fill:{LIGHT["card"]}}}.tile{{fill:{LIGHT["federated"]}}}
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The figures at which a tile is palest and deepest; the second may be the smaller."""

    pale: float
    deep: float

    def __call__(self, figure: float) -> float:
        """0 to 1."""
        return min(max((figure - self.pale) / (self.deep - self.pale), 0.0), 1.0)


def tiles(
    title: str, rows: Sequence[str], columns: Sequence[str], figures: Sequence[Sequence[float]], span: Span
) -> str:
    """The chart as an SVG document; NaN leaves a tile empty.

    figures  one sequence per row, one figure per column
    """
    width, height = _NAMES + _TILE * len(columns) + 60.0, _TOP + _ROW * len(rows) + _BOTTOM
    parts: list[Html] = [box(0, 0, width, height, "paper"), label(8, 22, text(title), "h")]
    for k, name in enumerate(columns):
        x = _NAMES + _TILE * (k + 0.4)
        parts.append(Html(f'<g transform="rotate(-40 {x:.1f} {_TOP - 8:.1f})">{label(x, _TOP - 8, text(name))}</g>'))
    for i, name in enumerate(rows):
        y = _TOP + _ROW * i
        parts.append(label(_NAMES - 10, y + 16, text(name), "e"))
        for k, figure in enumerate(figures[i]):
            if isnan(figure):
                continue
            left = _NAMES + _TILE * k
            shade = Html(f'<g opacity="{0.08 + 0.62 * span(figure):.3f}">')
            parts += [shade, box(left + 1, y + 1, _TILE - 2, _ROW - 2, "tile"), Html("</g>")]
            parts.append(label(left + _TILE / 2, y + 16, Html(f"{figure:.2f}"), "m"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
        f"<title>{text(title)}</title><style>{_STYLE}</style>{join(parts)}</svg>\n"
    )
