"""The picture of one job: buyer, chain, sites, sum, coordinator, settlement, auditor, with this job's figures in it."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.report.journey import Journey
from caduceus.report.markup import Html, join
from caduceus.report.svg import at, box, disc, drawing, label, line, path, tip

_COLUMNS = tuple(75.0 + 146.0 * index for index in range(6))
_BUYER, _SITES, _SUM, _COORDINATOR, _STORE, _AUDITOR = _COLUMNS
_CHAIN_TOP, _CHAIN_BOTTOM = 92.0, 168.0
_BOX_TOP, _BOX_BOTTOM = 250.0, 352.0
_HALF = 60.0
_DOTS = 40


def flow_picture(journey: Journey, *, title: str, desc: str) -> Html:
    """The picture for wide screens and paper."""
    top = 0.0 if journey.back else 34.0 if journey.paid else 84.0
    parts = (
        box(0, _CHAIN_TOP, 880, _CHAIN_BOTTOM - _CHAIN_TOP, "f-chain", 10),
        label(_SUM, _CHAIN_TOP + 33, Html("The chain"), "h m"),
        label(_SUM, _CHAIN_TOP + 50, journey.chain, "s m"),
        *_stations(journey),
        *_payments(journey),
        *_parties(journey),
        *_messages(),
    )
    return drawing(880, _BOX_BOTTOM + 8, title=title, desc=desc, parts=parts, kind="chart wide", top=top)


def flow_steps(journey: Journey) -> Html:
    """The same as an ordered list, for small screens and screen readers."""
    stops = (
        (journey.buyer, journey.funded),
        (journey.sites, journey.enrolled),
        (journey.sum,),
        (journey.coordinator, journey.anchored),
        (journey.settled,),
        (journey.store,),
        (journey.auditor,),
    )
    items = (
        Html(f"<li><b>{run[0].name}</b><span>{join((stop.sentence for stop in run), ' ')}</span></li>") for run in stops
    )
    return Html(f'<ol class="path narrow">{join(items)}</ol>')


def _stations(journey: Journey) -> list[Html]:
    placed = (
        (_BUYER, journey.funded),
        (_SITES, journey.enrolled),
        (_COORDINATOR, journey.anchored),
        (_STORE, journey.settled),
        (_AUDITOR, journey.read),
    )
    parts = []
    for x, stop in placed:
        parts.append(label(x, _CHAIN_TOP + 20, stop.name, "s m"))
        parts.append(label(x, _CHAIN_TOP + 42, stop.figure, "h m"))
        parts.append(label(x, _CHAIN_TOP + 60, stop.details[0], "s m"))
    return parts


def _parties(journey: Journey) -> list[Html]:
    verdict = {True: "t-good", False: "t-bad", None: "t-open"}[journey.passes]
    placed = (
        (_BUYER, journey.buyer, ""),
        (_SITES, journey.sites, ""),
        (_SUM, journey.sum, ""),
        (_COORDINATOR, journey.coordinator, ""),
        (_STORE, journey.store, ""),
        (_AUDITOR, journey.auditor, verdict),
    )
    parts = []
    for x, stop, tone in placed:
        parts.append(box(x - _HALF, _BOX_TOP, 2 * _HALF, _BOX_BOTTOM - _BOX_TOP, "f-box", 10))
        parts.append(label(x, _BOX_TOP + 22, stop.name, "h m"))
        if stop is not journey.sites:
            parts.append(label(x, _BOX_TOP + 51, stop.figure, f"h m {tone}"))
            parts += [label(x, _BOX_TOP + 70 + 14 * i, said, "s m") for i, said in enumerate(stop.details)]
    parts.append(_seats(journey.attendance))
    parts.append(label(_SITES, _BOX_BOTTOM - 11, journey.sites.details[0], "s m"))
    return parts


def _seats(attendance: Sequence[bool]) -> Html:
    shown = attendance if len(attendance) <= _DOTS else _sampled(attendance)
    across = 10 if len(shown) > 20 else 5 if len(shown) > 8 else 4
    pitch = 10.0 if across == 10 else 13.0
    dots = []
    for index, always in enumerate(shown):
        row, column = divmod(index, across)
        width = min(across, len(shown) - row * across)
        x = _SITES + (column - (width - 1) / 2) * pitch
        dots.append(disc(x, _BOX_TOP + 38 + row * pitch, pitch * 0.32, "f-federated" if always else "o-out"))
    return join(dots)


def _sampled(attendance: Sequence[bool]) -> list[bool]:
    silent = -(-_DOTS * attendance.count(False) // len(attendance))  # rounded up: one silent site is never lost
    return [True] * (_DOTS - silent) + [False] * silent


def _messages() -> list[Html]:
    low, high = _BOX_TOP - 4, _CHAIN_BOTTOM + 4
    middle, half = (_BOX_TOP + _BOX_BOTTOM) / 2, (low + high) / 2 + 4
    parts = []
    for x, word, up in (
        (_BUYER, "asks, locks", True),
        (_SITES, "invites", False),
        (_COORDINATOR, "anchors", True),
        (_AUDITOR, "is read", False),
    ):
        start, end, towards = (low, high, "up") if up else (high, low, "down")
        parts += [line((x, start), (x, end + (6 if up else -6)), "l-flow"), tip(x, end, towards, "f-soft")]
        parts.append(label(x + 8, half, Html(word), "s"))
    for start, end in ((_SITES, _SUM), (_SUM, _COORDINATOR), (_COORDINATOR, _STORE), (_STORE, _AUDITOR)):
        parts.append(line((start + _HALF + 2, middle), (end - _HALF - 8, middle), "l-flow"))
        parts.append(tip(end - _HALF - 2, middle, "right", "f-soft"))
    side = at(_COORDINATOR + 34)
    bend = f"C{side},{at(half)} {at(_STORE)},{at(half)} {at(_STORE)},{at(high + 6)}"
    parts += [path(f"M{side},{at(low)}{bend}", "l-flow"), tip(_STORE, high, "up", "f-soft")]
    parts.append(label(_STORE + 8, half, Html("settles"), "s"))
    return parts


def _payments(journey: Journey) -> list[Html]:
    parts = []
    for word, end, height, tone, kind in (
        (journey.paid, _SITES, 30.0, "site", "l-pay"),
        (journey.back, _BUYER, 64.0, "buyer", "l-back"),
    ):
        if not word:
            continue
        start = _STORE + (0 if tone == "site" else 14)
        top, low = _CHAIN_TOP - height, _CHAIN_TOP - 3
        bend = 16.0
        steps = (
            f"M{at(start)},{at(low)}V{at(top + bend)}Q{at(start)},{at(top)} {at(start - bend)},{at(top)}"
            f"H{at(end + bend)}Q{at(end)},{at(top)} {at(end)},{at(top + bend)}V{at(low - 6)}"
        )
        parts += [path(steps, kind), tip(end, low, "down", f"f-{tone}")]
        parts.append(label((start + end) / 2, top - 7, word, "m"))
    return parts
