"""Charts about judged updates: where every update went, whom it helped, and what was paid beside an equal share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from caduceus.market.mechanism.verdict import Lane
from caduceus.report.facts import JudgedRoundFacts, JudgingFacts, LaneFacts
from caduceus.report.markup import NONE, Html, join, shortened, text
from caduceus.report.reading import lanes_of, mostly
from caduceus.report.svg import Scale, at, box, decimals, diamond, disc, drawing, group, label, line, path, ticks, tip
from caduceus.report.words import count, known, measured, plain, whole

LANE_WORDS = {
    Lane.CONSENSUS: "consensus",
    Lane.READMITTED: "re-admitted",
    Lane.DROPPED: "left out",
    Lane.VETOED: "vetoed",
    Lane.COPIED: "a copy",
    Lane.STALE: "stale",
    Lane.ABSENT: "absent",
    Lane.VOID: "not judged",
}
"""Lanes in a word or two, in the order in which they are told."""

ALL_SITES = 24
"""Up to here every site has a line in the map of lanes; beyond, only those that were not always in the consensus."""

MOST_LINES = 40

NAMED_ROWS = 64
"""Up to here every site has its name beside its effects; more are drawn close together, names under the pointer."""

_SYMBOLS_FROM = 9.0  # px of a column: below, only the colour of a cell is drawn
_ZONES = {Lane.READMITTED: "z-readmitted", Lane.VETOED: "z-harm", Lane.CONSENSUS: "z-kept"}
_FILLS = {
    Lane.CONSENSUS: "j-consensus",
    Lane.READMITTED: "j-readmitted",
    Lane.DROPPED: "f-moments",
    Lane.VETOED: "j-out",
    Lane.COPIED: "f-fee",
    Lane.STALE: "f-soft",
    Lane.ABSENT: "f-grid",
    Lane.VOID: "f-line",
}


def lane_mark(lane: Lane, x: float, y: float, size: float, *, fault: bool = False) -> Html:
    """A lane's sign: each has a shape of its own besides its colour.

    size   half of its width
    fault  rows came, and were put out for breaking a bound
    """
    if fault:
        return box(x - size, y - size, 2 * size, 2 * size, "j-out")
    match lane:
        case Lane.CONSENSUS:
            return disc(x, y, size, "j-consensus")
        case Lane.READMITTED:
            return diamond(x, y, size * 1.3, "j-readmitted")
        case Lane.DROPPED:
            return disc(x, y, size * 0.9, "j-dropped")
        case Lane.VETOED:
            low, high, left, right = at(y + size), at(y - size), at(x - size), at(x + size)
            return path(f"M{left},{high}L{right},{low}M{right},{high}L{left},{low}", "j-vetoed")
        case Lane.COPIED:
            left, right, up, down = at(x - size), at(x + size), at(y - size * 0.55), at(y + size * 0.55)
            return path(f"M{left},{up}H{right}M{left},{down}H{right}", "j-copied")
        case Lane.STALE:
            return box(x - size * 0.85, y - size * 0.85, size * 1.7, size * 1.7, "j-stale")
        case Lane.VOID:
            return path(f"M{at(x - size * 0.7)},{at(y)}H{at(x + size * 0.7)}", "j-void")
        case Lane.ABSENT:
            return disc(x, y, max(size * 0.3, 0.6), "j-absent")


def lane_sign(lane: Lane, *, fault: bool = False) -> Html:
    """A lane's sign beside its name, for legends and tables."""
    return Html(f'<svg viewBox="0 0 16 16" aria-hidden="true">{lane_mark(lane, 8, 8, 4.6, fault=fault)}</svg>')


# ---------------------------------------------------------------- where every update went


@dataclass(frozen=True, slots=True)
class _Grid:
    """A column per round, a line per site."""

    left: float
    top: float
    step: float
    pitch: float

    def x(self, column: int) -> float:
        return self.left + self.step * (column + 0.5)

    def y(self, line_number: int) -> float:
        return self.top + self.pitch * (line_number + 0.5)


def lines_for(judging: JudgingFacts) -> tuple[int, ...]:
    """Seats that get a line: all if they are few, else those that were out of the consensus most often, by seat."""
    seats = range(len(judging.sites))
    if len(seats) <= ALL_SITES:
        return tuple(seats)
    out = Counter({seat: sum(lane is not Lane.CONSENSUS for lane in lanes_of(judging, seat)) for seat in seats})
    return tuple(sorted(seat for seat, times in out.most_common(MOST_LINES) if times))


def lane_map(judging: JudgingFacts, *, title: str, width: float) -> Html:
    """A line per site and a column per round: the sign of the lane that the site's update went to.

    judging  with at least one round
    width    of the drawing; columns share it
    """
    letters, right = (19, 64.0) if width > 500 else (11, 0.0)
    left = _room(judging, letters)
    step = min((width - left - right) / len(judging.rounds), 60.0)
    seats = lines_for(judging)
    grid = _Grid(left, 30.0, step, 28.0 if step >= _SYMBOLS_FROM else 16.0)
    richest = max((site.pay for one in judging.rounds for site in one.sites), default=0.0)
    parts = [*_heads(judging.rounds, grid), *_void(judging.rounds, grid, len(seats))]
    for place, seat in enumerate(seats):
        parts.append(_line(judging, seat, grid, grid.y(place), richest))
        name = _named(judging.sites[seat].name, letters, bool(judging.sites[seat].dishonest))
        parts.append(label(grid.left - 10, grid.y(place) + 4, name, "e"))
        if right:
            weights = [one.sites[seat].weight for one in judging.rounds if one.sites]
            said = percent(sum(weights) / len(weights), 1) if weights else Html("–")
            parts.append(label(grid.left + step * len(judging.rounds) + right - 4, grid.y(place) + 4, said, "s e"))
    if right and seats:
        parts.append(label(grid.left + step * len(judging.rounds) + right - 4, 14, Html("of a move"), "s e"))
    lanes = Counter(lane for seat in range(len(judging.sites)) for lane in lanes_of(judging, seat))
    told = ", ".join(f"{whole(lanes[lane])} times {word}" for lane, word in LANE_WORDS.items() if lanes[lane])
    desc = f"{count(len(judging.sites), 'site')}, {count(len(judging.rounds), 'round')}: {told or 'nothing judged'}."
    return drawing(width, grid.y(max(len(seats), 1) - 1) + grid.pitch, title=title, desc=desc, parts=parts)


def _heads(rounds: Sequence[JudgedRoundFacts], grid: _Grid) -> Iterator[Html]:
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 10**6) if n * grid.step >= 20)
    yield label(grid.left - 10, 14, Html("round"), "s e")
    for column, one in enumerate(rounds):
        if column % every == 0:
            yield label(grid.x(column), 14, whole(one.number), "s m")
        if one.rolls_back:
            hint = Html(f"Round {whole(one.number)}: the move before had done harm, and was taken back")
            yield group([tip(grid.x(column), 26, "left", "j-out", 4)], hint)


def _void(rounds: Sequence[JudgedRoundFacts], grid: _Grid, lines: int) -> Iterator[Html]:
    """Rounds in which nothing was judged are shaded from top to bottom."""
    for column, one in enumerate(rounds):
        if not one.sites:
            shade = box(grid.x(column) - grid.step / 2, 20, grid.step, grid.pitch * lines + 10, "z-harm")
            yield group([shade], Html(f"Round {whole(one.number)}: {text(one.failure)}"))


def _line(judging: JudgingFacts, seat: int, grid: _Grid, y: float, richest: float) -> Html:
    """One site's cells: the sign of its lane, and below it a bar for what it earned in the round."""
    site, size = judging.sites[seat], min(grid.step * 0.28, 5.2)
    marks = []
    for column, one in enumerate(judging.rounds):
        if not one.sites:
            continue
        told, x = one.sites[seat], grid.x(column)
        wide, high = grid.step - min(2.0, grid.step * 0.2), grid.pitch - 2
        if grid.step < _SYMBOLS_FROM:
            fill = "j-out" if told.fault else _FILLS[told.lane]
            marks.append(box(x - wide / 2, y - high / 2, wide, high, fill))
            continue
        zone = "z-harm" if told.fault else _ZONES.get(told.lane, "z-left")
        cell = box(x - wide / 2, y - high / 2, wide, high, zone, 3)
        parts = [cell, lane_mark(told.lane, x, y - 3, size, fault=bool(told.fault))]
        if told.pay > 0 and richest > 0:
            earned = max((wide - 4) * told.pay / richest, 1.0)
            parts.append(box(x - earned / 2, y + 6.5, earned, 3, "f-site", 1.5))
        marks.append(group(parts, _hint(site.name, one, told), "cell"))
    below = y + grid.pitch / 2
    rule = line((grid.left, below), (grid.left + grid.step * len(judging.rounds), below), "l-grid")
    return Html(f"<g>{rule}{join(marks)}</g>")


def _room(judging: JudgingFacts, letters: int) -> float:
    """How wide a column of names is."""
    longest = max((len(site.name) + 2 * bool(site.dishonest) for site in judging.sites), default=0)
    return 24 + 6.6 * max(min(longest, letters + 2), 7)


def _named(name: str, letters: int, dishonest: bool) -> Html:
    return Html(f"{shortened(name, letters)}{' *' if dishonest else ''}")


def _hint(name: str, one: JudgedRoundFacts, told: LaneFacts) -> Html:
    why = f", because it {told.fault}" if told.fault else ""
    return Html(
        f"{text(name)}, round {whole(one.number)}: {LANE_WORDS[told.lane]}{text(why)}; {percent(told.weight, 1)} "
        f"of the move, {percent(told.pay, 1)} of the round’s pot"
    )


def percent(share: float, digits: int) -> Html:
    """A part of one: 8.3 %, 0 %."""
    return Html(f"{measured(100 * share, digits) if round(100 * share, digits) else 0} %")


# ---------------------------------------------------------------- whom every update helped


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of every site, on one axis.

    name    what it is about
    values  by site; None where there is none
    median  where half of the sites lie on either side; None draws none
    floor   what lies to the left of it is shaded; None for none
    bar     what lies to the right of it is shaded; None for none
    digits  decimals of the figures
    """

    name: str
    values: tuple[float | None, ...]
    median: float | None
    floor: float | None
    bar: float | None
    digits: int = 2

    @property
    def sound(self) -> tuple[float, ...]:
        """The figures that there are."""
        return tuple(v for v in self.values if v is not None and known(v))


def panels_of(judging: JudgingFacts) -> tuple[Panel, ...]:
    """Every stratum, all of them together, and likeness with the others."""
    strata = (
        Panel(
            f"helps: {one.name}",
            tuple(site.effects[number] for site in judging.sites),
            one.median,
            one.floor,
            one.bar,
        )
        for number, one in enumerate(judging.strata)
    )
    net, support = (tuple(getattr(site, name) for site in judging.sites) for name in ("net", "support"))
    return (
        *strata,
        Panel("all patients together", net, None, judging.least_net, None, 1),
        Panel("like the others", support, 0.0, judging.least_support, None, 1),
    )


def effect_chart(judging: JudgingFacts, *, title: str, width: float) -> Html:
    """A line per site and a panel per figure: all sites on one axis, with the median and what decides.

    Figures far beyond what decides are drawn at the edge, with an arrow and their value.
    """
    panels, sites = panels_of(judging), judging.sites
    named = len(sites) <= NAMED_ROWS
    letters = 16 if width > 500 else 11
    left = _room(judging, letters) if named else 10.0
    across = max(int((width - left) // 165), 1)
    room = (width - left) / min(across, len(panels))
    pitch = 22.0 if named else max(2.4, 1100 / len(sites))
    band = 46 + pitch * len(sites) + 22
    bands = -(-len(panels) // across)
    lanes = [mostly(lanes_of(judging, seat)) for seat in range(len(sites))]
    strata = [v for panel in panels[: len(judging.strata)] for v in panel.sound]
    parts: list[Html] = []
    for number, panel in enumerate(panels):
        row, column = divmod(number, across)
        common = strata if number < len(judging.strata) else ()
        frame = _Frame(left + room * column + 12, left + room * (column + 1) - 22, band * row + 46, pitch, len(sites))
        parts += _panel(panel, lanes, frame, common)
    for row in range(bands) if named else ():
        for seat, site in enumerate(sites):
            y = band * row + 46 + pitch * (seat + 0.5)
            parts.append(label(left - 10, y + 4, _named(site.name, letters, bool(site.dishonest)), "e"))
    beyond = sum(any(v < panel.floor for v in panel.sound) for panel in panels if panel.floor is not None)
    desc = (
        f"{count(len(sites), 'site')} in {count(len(panels), 'panel')}; in {whole(beyond)} of them some lie beyond "
        "what is tolerated. The table below says what came of it."
    )
    return drawing(width, band * bands - 6, title=title, desc=desc, parts=parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a panel stands."""

    start: float
    stop: float
    top: float
    pitch: float
    rows: int

    @property
    def bottom(self) -> float:
        return self.top + self.pitch * self.rows


def _panel(panel: Panel, lanes: Sequence[Lane], frame: _Frame, common: Sequence[float]) -> Iterator[Html]:
    limits = _limits(panel, common)
    places = ticks(*limits, 3)
    scale = Scale(places[0], places[-1], frame.start, frame.stop)
    letters = max(int((frame.stop - frame.start) / 7), 8)
    yield label(frame.start, frame.top - 30, shortened(panel.name, letters), "b")
    yield from _shades(panel, scale, frame)
    digits = decimals(places)
    for place in places:
        yield line((scale(place), frame.top - 4), (scale(place), frame.bottom), "l-grid")
        yield label(scale(place), frame.top - 10, Html(plain(place, digits)), "s m")
    for value, kind in ((panel.floor, "l-floor"), (panel.median, "l-median"), (panel.bar, "l-bar")):
        if value is not None and scale.low <= value <= scale.high:
            yield line((scale(value), frame.top - 4), (scale(value), frame.bottom), kind)
    size = min(4.6, max(frame.pitch * 0.22, 1.2))
    for seat, value in enumerate(panel.values):
        y = frame.top + frame.pitch * (seat + 0.5)
        if value is None or not known(value):
            if frame.pitch >= 12:
                yield label((frame.start + frame.stop) / 2, y + 4, Html("–"), "s m")
            continue
        yield _dot(value, lanes[seat], scale, y, size, panel.digits)


def _limits(panel: Panel, common: Sequence[float]) -> tuple[float, float]:
    """What the axis reaches: the figures, and what decides; spreads only a few times as far as is tolerated."""
    marks = [v for v in (panel.floor, panel.median, panel.bar, 0.0) if v is not None]
    figures = [*(common or panel.sound), *marks]
    low, high = min(figures), max(figures)
    if not common and panel.floor is not None:
        low, high = max(low, 4 * panel.floor), min(high, -8 * panel.floor)
    return low, high


def _shades(panel: Panel, scale: Scale, frame: _Frame) -> Iterator[Html]:
    height = frame.bottom - frame.top
    if panel.floor is not None and panel.floor > scale.low:
        reach = scale(min(panel.floor, scale.high)) - frame.start
        yield box(frame.start, frame.top, reach, height, "z-harm")
    if panel.bar is not None and panel.bar < scale.high:
        begin = scale(max(panel.bar, scale.low))
        yield box(begin, frame.top, frame.stop - begin, height, "z-readmitted")


def _dot(value: float, lane: Lane, scale: Scale, y: float, size: float, digits: int) -> Html:
    if scale.low <= value <= scale.high:
        return lane_mark(lane, scale(value), y, size)
    side, x = ("left", scale.start) if value < scale.low else ("right", scale.stop)
    inward = 12 if side == "left" else -12
    said = NONE if size < 3 else label(x + inward, y + 4, Html(plain(value, digits)), "s" if side == "left" else "s e")
    return join((tip(x, y, side, "j-out" if side == "left" else "j-consensus", 4), said))


# ---------------------------------------------------------------- what was paid


def pay_bar(paid: int, equal: float, limit: float) -> Html:
    """One bar from zero, with a line where an equal share of the pot would end.

    limit  the amount at the right end, > 0
    """
    scale = Scale(0, limit, 0, 200)
    desc = f"paid {whole(paid)}; an equal share would be {whole(round(equal))}"
    bar = box(0, 5, max(scale(paid), 0.8), 12, "f-site") if paid else ""
    return Html(
        f'<svg viewBox="0 0 200 22" preserveAspectRatio="none" role="img" aria-label="{desc}"><title>{desc}</title>'
        f"<desc>Bar from zero; the upright line is an equal share</desc>{box(0, 9.5, 200, 3, 'f-grid')}{bar}"
        f"{line((scale(equal), 1), (scale(equal), 21), 'l-equal')}</svg>"
    )


def lanes_seen(judging: JudgingFacts) -> Iterable[tuple[Lane, bool]]:
    """The lanes that occur, in the order in which they are told, and whether anybody was put out for a fault."""
    told = [site for one in judging.rounds for site in one.sites]
    seen = {(site.lane, bool(site.fault)) for site in told}
    return [(lane, fault) for lane in LANE_WORDS for fault in (False, True) if (lane, fault) in seen]
