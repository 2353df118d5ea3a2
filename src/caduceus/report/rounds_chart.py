"""A chart of the rounds: who was in, who was silent, in which phase, and what anchoring took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from caduceus.report.charts import swatch
from caduceus.report.facts import RoundFacts
from caduceus.report.markup import Html, join, listing, shortened, text
from caduceus.report.svg import Scale, box, diamond, disc, drawing, group, label, line
from caduceus.report.words import count, whole

PHASES = {"moments": "f-moments", "training": "f-training", "evaluation": "f-evaluation", "questions": "f-training"}
"""Colour of each phase; any other text says why a round failed."""

ALL_SITES = 12
"""Up to here every site has a line of its own; beyond, only sites that were silent at least once."""

MOST_LINES = 24

_BAR, _LINE, _HEAD = 46.0, 19.0, 24.0
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class _Columns:
    """A column per round: where the first begins, how wide each is, how many letters a line's name may have."""

    rounds: Sequence[RoundFacts]
    left: float
    step: float
    letters: int

    def middles(self) -> Iterable[tuple[float, RoundFacts]]:
        return ((self.left + self.step * (index + 0.5), one) for index, one in enumerate(self.rounds))

    @property
    def right(self) -> float:
        return self.left + self.step * len(self.rounds)

    @property
    def bar(self) -> float:
        return max(min(self.step * 0.62, 22.0), 1.0)


def rounds_chart(rounds: Sequence[RoundFacts], sites: Sequence[str], *, title: str, width: float) -> Html:
    """A column per round: phase, share of the invited that are in the sum, gas, and a line per (silent) site.

    rounds  at least one
    sites   names by seat
    width   of the drawing; columns share it
    """
    left, letters = (138.0, 20) if width > 500 else (104.0, 14)
    columns = _Columns(rounds, left, min((width - left) / len(rounds), 90.0), letters)
    names = lines_for(rounds, sites)
    first = _HEAD + 24 + 2 * _BAR + 48
    parts = (
        *_phases(columns),
        *_numbers(columns, _HEAD + 14),
        *_survivors(columns, _HEAD + 24),
        *_gas(columns, _HEAD + 24 + _BAR + 18),
        *_presence(columns, names, first),
    )
    silent = sum(len(one.silent) for one in rounds)
    desc = f"{count(len(rounds), 'round')}; {count(silent, 'time')} a site was silent. The table has every round."
    return drawing(width, first + _LINE * max(len(names), 1) - 8, title=title, desc=desc, parts=parts)


def lines_for(rounds: Sequence[RoundFacts], sites: Sequence[str]) -> tuple[str, ...]:
    """Names that get a line: all sites if they are few, else those silent most often."""
    if len(sites) <= ALL_SITES:
        absent = (name for one in rounds for name in one.silent)
        return tuple(dict.fromkeys((*sites, *absent)))[:MOST_LINES]
    often = Counter(name for one in rounds for name in one.silent)
    return tuple(name for name, _ in often.most_common(MOST_LINES))


def failed(one: RoundFacts) -> bool:
    """Whether a round came to no sum: its phase is the reason."""
    return one.phase not in PHASES


def power(bits: int) -> Html:
    """The size of a ring: 2⁶⁴."""
    return Html("2" + str(bits).translate(_SUPERSCRIPT))


def phase_legend(rounds: Sequence[RoundFacts]) -> Html:
    """The colours of the phases that occur, with their names."""
    seen = dict.fromkeys("failed" if failed(one) else one.phase for one in rounds)
    return listing((Html(f"{swatch(PHASES.get(phase, 'f-bad'))}{text(phase)}") for phase in seen), "legend")


def _phases(columns: _Columns) -> Iterable[Html]:
    start = columns.left
    for phase, run in groupby(columns.rounds, key=lambda one: "failed" if failed(one) else one.phase):
        width = columns.step * len(list(run))
        yield box(start + 1, 18, max(width - 2, 1), 4, PHASES.get(phase, "f-bad"), 2)
        if len(phase) * 7.2 <= width:  # a name that does not fit is in the legend
            yield label(start + 1, 11, text(phase), "s")
        start += width


def _numbers(columns: _Columns, y: float) -> Iterable[Html]:
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 10**6) if n * columns.step >= 20)
    yield label(columns.left - 8, y, Html("round"), "s e")
    for index, (x, one) in enumerate(columns.middles()):
        if index % every == 0:
            yield label(x, y, whole(one.number), "s m")


def _survivors(columns: _Columns, top: float) -> Iterable[Html]:
    most = max(1, *(max(one.invited, one.survivors) for one in columns.rounds))
    scale = Scale(0, most, top + _BAR, top)
    yield from _named(columns, top, Html("in the sum"), Html(f"of {whole(most)}"))
    start, width = -columns.bar / 2, columns.bar
    for x, one in columns.middles():
        invited, inside = scale(max(one.invited, one.survivors)), scale(one.survivors)
        bars = (
            box(x + start, invited, width, inside - invited, "f-bad"),
            box(x + start, inside, width, top + _BAR - inside, PHASES.get(one.phase, "f-bad")),
        )
        yield group(bars, _hint(one))


def _gas(columns: _Columns, top: float) -> Iterable[Html]:
    most = max(1, *(one.gas for one in columns.rounds))
    scale = Scale(0, most, top + _BAR, top)
    yield from _named(columns, top, Html("gas to anchor"), Html(f"up to {whole(most)}"))
    for x, one in columns.middles():
        bar = box(x - columns.bar / 2, scale(one.gas), columns.bar, top + _BAR - scale(one.gas), "f-soft")
        yield group([bar], _hint(one))


def _named(columns: _Columns, top: float, name: Html, most: Html) -> Iterable[Html]:
    yield label(columns.left - 8, top + 16, name, "s e")
    yield label(columns.left - 8, top + 30, most, "s e")
    yield line((columns.left, top + _BAR), (columns.right, top + _BAR), "l-axis")


def _presence(columns: _Columns, names: Sequence[str], top: float) -> Iterable[Html]:
    silent = [frozenset(one.silent) for one in columns.rounds]
    radius = max(min(columns.step * 0.3, 4.2), 0.8)
    for index, name in enumerate(names):
        y = top + _LINE * index
        marks = (
            diamond(x, y, radius * 1.15, "o-out")
            if name in absent
            else disc(x, y, radius, PHASES.get(one.phase, "f-line"))
            for (x, one), absent in zip(columns.middles(), silent, strict=True)
        )
        missed = sum(name in absent for absent in silent)
        hint = Html(f"{text(name)}: silent in {whole(missed)} of {count(len(columns.rounds), 'round')}")
        yield group((label(columns.left - 8, y + 4, shortened(name, columns.letters), "e"), join(marks)), hint)


def _hint(one: RoundFacts) -> Html:
    absent = f"; silent: {', '.join(one.silent)}" if one.silent else ""
    return Html(
        f"Round {whole(one.number)}, {text(one.phase)}: {whole(one.survivors)} of {whole(one.invited)} in the sum, "
        f"{whole(one.gas)} gas{text(absent)}"
    )
