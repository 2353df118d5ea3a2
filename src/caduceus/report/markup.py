"""Markup from text: everything that comes from outside passes `text` once, and only `Html` is put into the page.

The markup is well-formed XML as well as HTML, so that a test can parse the whole page with a strict parser.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NewType

Html = NewType("Html", str)
"""Markup that is safe to put into the page: escaped text, or built from such."""

NONE = Html("")

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, direction overrides (a name could turn its line around), halves of pairs: none may stand here."""

LONG_TABLE = 24
"""Tables with more rows than this scroll in a box of their own; on paper they are whole."""


def text(value: str) -> Html:
    """Escape text for an element or a quoted attribute.

    value    anything, from anyone; unprintable and direction-changing characters become U+FFFD
    returns  markup that shows exactly these characters
    """
    return Html(html.escape(_UNPRINTABLE.sub("\ufffd", value), quote=True))


def shortened(value: str, limit: int) -> Html:
    """Escaped text of at most `limit` characters, the last one an ellipsis where something was cut."""
    return text(value if len(value) <= limit else value[: limit - 1].rstrip() + "…")


def join(parts: Iterable[Html], separator: str = "") -> Html:
    """Markup one after the other."""
    return Html(separator.join(parts))


def dash(reason: str) -> Html:
    """A dash where a figure is missing, with the reason for the pointer and for a screen reader; for tables."""
    why = text(reason)
    return Html(f'<span class="dash" title="{why}">–<span class="unseen"> ({why})</span></span>')


def missing(reason: str) -> Html:
    """A dash where a figure is missing, with the reason in plain sight; for places with room."""
    return Html(f'<span class="dash">– <small>{text(reason)}</small></span>')


def code(value: str, limit: int = 12) -> Html:
    """A digest or an address: its beginning, and all of it for the pointer."""
    return Html(f'<code title="{text(value)}">{shortened(value, limit)}</code>')


def listing(items: Iterable[Html], kind: str) -> Html:
    """An unordered list of class `kind`."""
    return Html(f'<ul class="{kind}">{join(Html(f"<li>{item}</li>") for item in items)}</ul>')


def pairs(items: Iterable[tuple[Html, Html]], kind: str) -> Html:
    """Names and values, as a description list of class `kind`."""
    body = join(Html(f"<div><dt>{name}</dt><dd>{value}</dd></div>") for name, value in items)
    return Html(f'<dl class="{kind}">{body}</dl>')


def figure(chart: Html, caption: Html, kind: str = "") -> Html:
    """A chart and what to see in it."""
    return Html(f'<figure class="{kind}">{chart}<figcaption>{caption}</figcaption></figure>')


def section(anchor: str, title: Html, body: Html, lead: Html = NONE) -> Html:
    """A part of a job's report under a heading; `lead` is a sentence on how to read it."""
    told = f'<p class="lead">{lead}</p>' if lead else ""
    return Html(
        f'<section id="{anchor}" aria-labelledby="{anchor}-h"><h3 id="{anchor}-h">{title}</h3>{told}{body}</section>'
    )


def folded(summary: Html, body: Html) -> Html:
    """Something for those who look closer."""
    return Html(f"<details><summary>{summary}</summary>{body}</details>")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, and its class: "num" for numbers, "bar" for a small chart, "" for words.

    label  what stands before the cell's content where the table is stacked on a small screen
    """

    head: Html
    kind: str = ""
    label: str = ""


def table(
    caption: Html,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Html]],
    *,
    kind: str = "",
    foot: Sequence[Html] = (),
) -> Html:
    """A table; the first cell of a row is its heading.

    caption  says what the table holds; shown above it
    kind     class of the table: "sort" lets the reader sort it where scripts run, "stack" turns rows into
             blocks on a small screen
    foot     one more row, for totals
    """
    heads = join(Html(f'<th scope="col" class="{column.kind}">{column.head}</th>') for column in columns)
    body = join(_row(columns, row) for row in rows)
    total = f"<tfoot>{_row(columns, foot)}</tfoot>" if foot else ""
    room = "scroll tall" if len(rows) > LONG_TABLE and kind != "stack" else "scroll"
    return Html(
        f'<div class="{room}" tabindex="0" role="region" aria-label="Table"><table class="{kind}">'
        f"<caption><span>{caption}</span></caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody>{total}</table></div>"
    )


def _row(columns: Sequence[Column], row: Sequence[Html]) -> Html:
    first = Html(f'<th scope="row" class="{columns[0].kind}">{row[0]}</th>')
    rest = (
        Html(f'<td class="{column.kind}"{_label(column)}>{cell}</td>')
        for column, cell in zip(columns[1:], row[1:], strict=True)
    )
    return Html(f"<tr>{first}{join(rest)}</tr>")


def _label(column: Column) -> str:
    return f' data-label="{text(column.label)}"' if column.label else ""
