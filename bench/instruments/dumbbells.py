"""A chart of small panels, as a file of its own: per row a ring (before) and a disc (after) on a scale from 0 to 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from caduceus.report.markup import Html, join, text
from caduceus.report.palette import LIGHT
from caduceus.report.svg import Scale, box, disc, group, label, line

_NAMES, _PANEL, _GAP, _ROW, _HEAD, _TOP = 118.0, 186.0, 26.0, 17.0, 44.0, 64.0

_STYLE = f"""
text{{font:11px system-ui,sans-serif;fill:{LIGHT["ink"]}}}
.s{{font-size:9.5px;fill:{LIGHT["soft"]}}}.b{{font-weight:600}}.h{{font-size:14px;font-weight:600}}
.e{{text-anchor:end}}.m{{text-anchor:middle}}
.paper{{fill:{LIGHT["card"]}}}.grid{{stroke:{LIGHT["grid"]}}}
.bar{{stroke:{LIGHT["line"]};stroke-width:2}}.spread{{stroke:{LIGHT["soft"]};stroke-width:1}}
.before{{fill:{LIGHT["card"]};stroke:{LIGHT["local"]};stroke-width:1.8}}.after{{fill:{LIGHT["federated"]}}}
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mean with its standard deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One scale.

    title, note  what is shown: the setting, the figure
    rows         before and after, in the order of the chart's names
    """

    title: str
    note: str
    rows: Sequence[tuple[Mark, Mark]]


def dumbbells(title: str, words: tuple[str, str], names: Sequence[str], panels: Sequence[Panel], columns: int) -> str:
    """The chart as an SVG document.

    words  what a ring and what a disc is
    names  of the rows
    """
    tall = _HEAD + _ROW * len(names) + 24.0
    lines = -(-len(panels) // columns)
    width, height = _NAMES + columns * (_PANEL + _GAP), _TOP + lines * tall
    parts = [box(0, 0, width, height, "paper"), label(8, 22, text(title), "h"), *_legend(words)]
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        top = _TOP + row * tall
        if column == 0:
            parts += [
                label(_NAMES - 10, top + _HEAD + _ROW * (k + 0.5) + 4, text(name), "e") for k, name in enumerate(names)
            ]
        parts += _panel(panel, _NAMES + column * (_PANEL + _GAP), top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
        f"<title>{text(title)}</title><style>{_STYLE}</style>{join(parts)}</svg>\n"
    )


def draw(path: Path, chart: str) -> None:
    """Write the chart beside the records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(chart)
    print(f"drawn: bench/results/{path.name}")


def _legend(words: tuple[str, str]) -> Iterable[Html]:
    yield disc(14, 42, 4, "before")
    yield label(24, 46, text(words[0]))
    start = 44 + 6.5 * len(words[0])
    yield disc(start, 42, 4, "after")
    yield label(start + 10, 46, text(f"{words[1]}; thin lines: one standard deviation over seeds"))


def _panel(panel: Panel, left: float, top: float) -> Iterable[Html]:
    scale = Scale(0.0, 1.0, left, left + _PANEL)
    bottom = top + _HEAD + _ROW * len(panel.rows)
    yield label(left, top + 14, text(panel.title), "b")
    yield label(left, top + 28, text(panel.note), "s")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield line((scale(tick), top + _HEAD - 6), (scale(tick), bottom), "grid")
    for tick in (0.0, 0.5, 1.0):
        yield label(scale(tick), bottom + 12, Html(f"{tick:g}"), "s m")
    for index, (before, after) in enumerate(panel.rows):
        y = top + _HEAD + _ROW * (index + 0.5)
        hint = Html(f"{before.mean:.3f} +- {before.deviation:.3f}; {after.mean:.3f} +- {after.deviation:.3f}")
        shapes = [line((scale(before.mean), y), (scale(after.mean), y), "bar")]
        for mark, shift in ((before, -3.0), (after, 3.0)):
            low, high = max(mark.mean - mark.deviation, 0.0), min(mark.mean + mark.deviation, 1.0)
            shapes.append(line((scale(low), y + shift), (scale(high), y + shift), "spread"))
        shapes += [disc(scale(before.mean), y, 4, "before"), disc(scale(after.mean), y, 4, "after")]
        yield group(shapes, hint)
