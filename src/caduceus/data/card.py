"""What a data set says of itself to people who may not see it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from caduceus import canon
from caduceus.data.card_counts import Counts, Noise, Wanted, count
from caduceus.data.readiness.finding import FEW
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.kinds import MICRO, PICO, Digest

ROWS_STEP = 10
"""Numbers of rows are rounded down to a multiple of this."""

ROWS_SHOWN = 20
"""Below this many rows a card says only that there are fewer."""

MISSING_STEP = 5
"""Shares of missing values are rounded to a multiple of this many per cent."""

MISSING_SHOWN = 100
"""Below this many rows a card says nothing of missing values: one patient is one per cent or less."""


@canon.record("data/card-column/2")
class CardColumn:
    """A column on a card.

    column           what it means
    missing_percent  share of missing values, coarse; None if there are too few rows to say
    counts           noisy numbers of patients; None if the steward spends nothing on them
    """

    column: Column
    missing_percent: int | None
    counts: Counts | None = None


@canon.record("data/card/2")
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
    noise         of the columns' counts, or of those that an earlier version had; None if there never were any

    Reveals: the columns and their meaning, which are the schema's; the number of rows to within ten,
    and only that there are fewer where there are fewer than twenty; from a hundred rows on, which
    twentieth of each column is missing. No value, mean, extreme, level count or outcome rate, unless
    there are counts: then those, with differential privacy for a patient with all rows, and shares of
    missing values are made of them. The commitment reveals nothing while its salts are secret. Coarse
    is not differentially private: someone who knows all patients but one may learn from a step
    between two published cards whether that one is among them, so a card is published once, and
    again only when many records changed. The epsilon of the counts does not cover the number of rows.
    """

    title: str
    description: str
    licence: str
    citation: str
    schema: bytes
    columns: tuple[CardColumn, ...]
    rows_at_least: int
    commitment: bytes
    noise: Noise | None = None

    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes, as it stands on the chain."""
        return canon.digest(self)

    @property
    def rows_text(self) -> str:
        """The number of rows as people read it."""
        return f"at least {self.rows_at_least}" if self.rows_at_least else f"fewer than {ROWS_SHOWN}"


def describe(
    table: Table,
    *,
    title: str,
    description: str,
    licence: str,
    citation: str,
    commitment: Digest,
    wanted: Wanted | None = None,
) -> Card:
    """The card of a table; what it reveals is said at `Card`.

    commitment  root over the table's salted records
    wanted      counts that the steward spends epsilon on; None is none

    Raises Refused as `card_counts.count`.
    """
    columns, noise = _columns(table, wanted)
    return Card(
        title=title,
        description=description,
        licence=licence,
        citation=citation,
        schema=table.schema.digest(),
        columns=columns,
        rows_at_least=table.rows // ROWS_STEP * ROWS_STEP if table.rows >= ROWS_SHOWN else 0,
        commitment=commitment,
        noise=noise,
    )


def _columns(table: Table, wanted: Wanted | None) -> tuple[tuple[CardColumn, ...], Noise | None]:
    of = table.schema.columns
    if wanted is None:
        shares = np.isnan(table.values).mean(axis=1) if table.rows >= MISSING_SHOWN else [None] * len(of)
        return tuple(CardColumn(one, _coarse(share)) for one, share in zip(of, shares, strict=True)), None
    counted = count(table, wanted, step=MISSING_STEP / 100)
    entries = zip(of, counted.shares, counted.counts, strict=True)
    return tuple(CardColumn(one, _coarse(share), counts) for one, share, counts in entries), counted.noise


def _coarse(share: float | None) -> int | None:
    return None if share is None else MISSING_STEP * round(100 * float(share) / MISSING_STEP)


def lendable(card: Card, epsilon_micro: int, delta_pico: int) -> tuple[int, int]:
    """What is registered as a data set's lifetime budget: the steward's, less what the card has spent.

    epsilon_micro, delta_pico  the budget in the terms; both 0 if none is set
    returns                    epsilon and delta, millionths and millionths of a millionth

    Raises Refused if the card has spent and there is no budget, or too little.
    """
    if card.noise is None:
        return epsilon_micro, delta_pico
    left = epsilon_micro - card.noise.epsilon_micro, delta_pico - card.noise.delta_pico
    if min(left) <= 0:
        raise Refused(
            f"the card spends epsilon {card.noise.epsilon_micro / MICRO:g} and delta {card.noise.delta_pico / PICO:g}, "
            f"and the terms have a budget of {epsilon_micro / MICRO:g} and {delta_pico / PICO:g}; set a larger one, or "
            "publish a card without counts"
        )
    return left


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
            **({} if card.noise is None else {"noise": _noise_json(card.noise)}),
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
    if entry.counts is not None:
        said["patients"] = {
            **({"edges": list(entry.counts.edges)} if entry.counts.edges else {}),
            "cells": [say_count(one) for one in entry.counts.cells],
            "missing": say_count(entry.counts.missing),
        }
    return said


def say_count(number: int | None) -> int | str:
    """A number of a card's counts as people read it."""
    return f"fewer than {FEW}" if number is None else number


def without_counts(card: Card, spent: Noise) -> Card:
    """The card of a later version, whose budget is that of the version before: it is counted no more.

    spent  of the earlier version's card
    """
    columns = tuple(CardColumn(one.column, one.missing_percent) for one in card.columns)
    return replace(card, columns=columns, noise=replace(spent, columns=0))


def _noise_json(noise: Noise) -> dict[str, object]:
    if not noise.columns:
        return {"spent_before": {"epsilon": noise.epsilon_micro / MICRO, "delta": noise.delta_pico / PICO}}
    return {
        "mechanism": "discrete Gaussian",
        "epsilon": noise.epsilon_micro / MICRO,
        "delta": noise.delta_pico / PICO,
        "standard_deviation": round(noise.deviation, 2),
        "unit_of_privacy": "a patient with all rows",
    }
