"""A model card: one HTML file that loads nothing, and the same as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence

from caduceus.report.markup import NONE, Column, Html, code, dash, join, listing, pairs, section, table, text
from caduceus.report.model_card_parts import UNKNOWN, CardPart, CardTable, Cell
from caduceus.report.style import STYLE
from caduceus.report.summary import brand
from caduceus.report.words import whole

FORMAT = "caduceus-model-card-1"


def model_card_json(parts: Sequence[CardPart]) -> str:
    """The card for programs: a key per part, `null` where the record does not say."""
    told: dict[str, object] = {"format": FORMAT}
    for part in parts:
        told[part.key] = {
            "facts": dict(part.facts),
            "sentences": list(part.sentences),
            "tables": [
                {
                    "caption": one.caption,
                    "rows": [dict(zip(one.columns, row, strict=True)) for row in one.rows],
                }
                for one in part.tables
            ],
        }
    return json.dumps(told, indent=2, ensure_ascii=False)


def model_card_html(parts: Sequence[CardPart]) -> str:
    """The card for people.

    returns  a whole HTML document with its style inside; it refers to nothing outside itself, and its content security
             policy lets a browser show only what is in this very text, and run nothing
    """
    title = next((str(value) for name, value in parts[0].facts if name == "title"), "a model")
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
    links = join(Html(f'<li><a href="#card-{part.key}">{text(part.title)}</a></li>') for part in parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="referrer" content="no-referrer"/>\n<meta name="color-scheme" content="light dark"/>\n'
        f"<title>{text(title)} · model card</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the card</a>\n<div class="page">\n'
        f'<header class="mast">{brand()}<h1>Caduceus: model card</h1>'
        "<p>From the chain and the transcript alone</p></header>\n"
        f'<nav aria-label="Contents"><h2>Contents</h2><ol>{links}</ol></nav>\n'
        f'<main id="main"><article aria-labelledby="card-h"><h2 id="card-h">{text(title)}</h2>'
        f"{join(map(_part, parts))}</article></main>\n"
        "<footer><p>This page is one file and loads nothing. A dash stands where the record does not say.</p></footer>"
        "\n</div>\n</body>\n</html>\n"
    )


def _part(part: CardPart) -> Html:
    facts = pairs(((text(name), _cell(value)) for name, value in part.facts), "facts") if part.facts else NONE
    said = listing(map(text, part.sentences), "says") if part.sentences else NONE
    return section(f"card-{part.key}", text(part.title), join((facts, said, *map(_table, part.tables))))


def _table(one: CardTable) -> Html:
    numbers = [all(isinstance(row[place], int | float) for row in one.rows) for place in range(len(one.columns))]
    columns = [
        Column(text(name), "num" if number and one.rows else "", name)
        for name, number in zip(one.columns, numbers, strict=True)
    ]
    return table(text(one.caption), columns, [tuple(map(_in_table, row)) for row in one.rows], kind="stack")


def _in_table(value: Cell) -> Html:
    """As `_cell`; of a long identifier the beginning, and all of it for the pointer."""
    is_long = isinstance(value, str) and re.fullmatch("(0x)?[0-9a-f]{40,}", value) is not None
    return code(str(value), 14) if is_long else _cell(value)


def _cell(value: Cell) -> Html:
    if value is None or value == "":
        return dash(UNKNOWN)
    return whole(value) if isinstance(value, int) else text(f"{value:g}" if isinstance(value, float) else value)
