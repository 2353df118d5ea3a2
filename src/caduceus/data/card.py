"""What a data set says of itself to people who may not see it."""

from __future__ import annotations

import json

import numpy as np

from caduceus import canon
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.kinds import Digest

ROWS_STEP = 10
"""Numbers of rows are rounded down to a multiple of this."""

ROWS_SHOWN = 20
"""Below this many rows a card says only that there are fewer."""

MISSING_STEP = 5
"""Shares of missing values are rounded to a multiple of this many per cent."""

MISSING_SHOWN = 100
"""Below this many rows a card says nothing of missing values: one patient is one per cent or less."""


@canon.record("data/card-column/1")
class CardColumn:
    """A column on a card.

    column           what it means
    missing_percent  share of missing values, coarse; None if there are too few rows to say
    """

    column: Column
    missing_percent: int | None


@canon.record("data/card/1")
class Card:
    """A data set's card.

    title         what the data are
    description   who the patients are and how they came in, in the steward's words
    licence       under which the data are held
    citation      whom to name
    schema        digest of the schema
    columns       features and targets, in the order of the schema
    rows_at_least the number of rows rounded down to tens; 0 if there are fewer than twenty
    commitment    root over the salted records (see `data.commitment`)

    Reveals: the columns and their meaning, which are the schema's; the number of rows to within ten,
    and only that there are fewer where there are fewer than twenty; from a hundred rows on, which
    twentieth of each column is missing. No value, mean, extreme, level count or outcome rate. The
    commitment reveals nothing while its salts are secret. Coarse is not differentially private:
    someone who knows all patients but one may learn from a step between two published cards whether
    that one is among them, so a card is published once, and again only when many records changed.
    """

    title: str
    description: str
    licence: str
    citation: str
    schema: bytes
    columns: tuple[CardColumn, ...]
    rows_at_least: int
    commitment: bytes

    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes, as it stands on the chain."""
        return canon.digest(self)

    @property
    def rows_text(self) -> str:
        """The number of rows as people read it."""
        return f"at least {self.rows_at_least}" if self.rows_at_least else f"fewer than {ROWS_SHOWN}"


def describe(table: Table, *, title: str, description: str, licence: str, citation: str, commitment: Digest) -> Card:
    """The card of a table; what it reveals is said at `Card`.

    commitment  root over the table's salted records
    """
    shares = np.isnan(table.values).mean(axis=1) if table.rows >= MISSING_SHOWN else None
    return Card(
        title=title,
        description=description,
        licence=licence,
        citation=citation,
        schema=table.schema.digest(),
        columns=tuple(
            CardColumn(column, None if shares is None else MISSING_STEP * round(100 * float(shares[i]) / MISSING_STEP))
            for i, column in enumerate(table.schema.columns)
        ),
        rows_at_least=table.rows // ROWS_STEP * ROWS_STEP if table.rows >= ROWS_SHOWN else 0,
        commitment=commitment,
    )


def matches(card: Card, schema: Schema) -> bool:
    """Whether the data set that a card describes means what a schema says."""
    return card.schema == schema.digest() and tuple(one.column for one in card.columns) == schema.columns


def card_json(card: Card) -> str:
    """The card as JSON for people and other programs; digests in hexadecimal."""
    return json.dumps(
        {
            "title": card.title,
            "description": card.description,
            "licence": card.licence,
            "citation": card.citation,
            "rows": card.rows_text,
            "schema": card.schema.hex(),
            "commitment": card.commitment.hex(),
            "columns": [_column_json(one) for one in card.columns],
        },
        indent=2,
        ensure_ascii=False,
    )


def _column_json(entry: CardColumn) -> dict[str, object]:
    column = entry.column
    said: dict[str, object] = {"name": column.name, "role": column.role, "kind": column.kind}
    said |= {"unit": column.unit} if column.unit else {}
    said |= {"description": column.description} if column.description else {}
    said |= {"levels": list(column.levels)} if column.levels else {}
    said |= {"range": list(column.range)} if column.range is not None else {}
    if column.derived is not None:
        square = column.derived
        said["derived"] = f"({square.of} - {square.center:g})^2 / {square.scale:g}"
    if entry.missing_percent is not None:
        said["missing_percent"] = entry.missing_percent
    return said
