"""Reading a card that comes from anybody: it is bounded, well formed, and says nothing that no card says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from caduceus import canon
from caduceus.data.card import Card, CardColumn
from caduceus.data.card_counts import check
from caduceus.data.schema import BOOLEAN, CATEGORY, INTEGER, NUMBER
from caduceus.errors import Refused

CARD_MOST = 1 << 20
"""Bytes of a card that anybody reads."""

_KINDS = (NUMBER, INTEGER, CATEGORY, BOOLEAN)
_TEXT_MOST = 20_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Besides line breaks and tabs; and what turns the direction of writing."""

_COLUMNS_MOST = 4_096
_NAME_MOST = 200


def read_card(blob: bytes) -> Card:
    """A card, from anybody.

    Raises Refused if it is too long, none, or says what no card says.
    """
    if len(blob) > CARD_MOST:
        raise Refused(f"a card of {len(blob)} bytes; at most {CARD_MOST} are read")
    card = canon.unpack(Card, blob)
    if not 0 < len(card.columns) <= _COLUMNS_MOST or card.rows_at_least < 0:
        raise Refused(f"a card of {len(card.columns)} columns and {card.rows_at_least} rows")
    for name, text in _texts(card):
        if len(text) > _TEXT_MOST:
            raise Refused(f"a card whose {name} has {len(text)} characters; at most {_TEXT_MOST} are read")
        if _CONTROL.search(text):
            raise Refused(f"a card whose {name} has control characters, which could make a screen show something else")
    for entry in card.columns:
        _check_column(entry)
    check(card.noise, tuple((one.column, one.counts) for one in card.columns))
    return card


def _texts(card: Card) -> Iterator[tuple[str, str]]:
    """Every text of a card, and what it is."""
    yield from (("title", card.title), ("description", card.description))
    yield from (("licence", card.licence), ("citation", card.citation))
    for place, entry in enumerate(card.columns, 1):
        one = entry.column
        for text in (one.name, one.unit, one.description, *one.levels, *one.codes):
            yield f"column {place}", text


def _check_column(entry: CardColumn) -> None:
    column, share = entry.column, entry.missing_percent
    if column.kind not in _KINDS or not 1 <= len(column.name) <= _NAME_MOST:
        raise Refused(f"a card with a column of kind '{column.kind[:40]}' or a name of {len(column.name)} characters")
    if column.range is not None and not -math.inf < column.range[0] < column.range[1] < math.inf:
        raise Refused(f"a card whose column '{column.name}' has a range that is none")
    if share is not None and not 0 <= share <= 100:
        raise Refused(f"a card whose column '{column.name}' has a share of missing values that is none")
