"""A site's published card: made once, and paid for once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from caduceus import canon
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.data.card import Card, card_json, lendable
from caduceus.data.card_reading import read_card
from caduceus.data.policy import Terms
from caduceus.data.terms.file import TermsFile
from caduceus.edges.card_file import load_or_describe
from caduceus.edges.federation import Federation, SiteTable, example, open_federation, read_site
from caduceus.errors import Refused
from caduceus.kinds import MICRO, Digest

ENTROPY = KeyedEntropy(bytes(32))
ROOT = Digest(bytes([7]) * 32)
TERMS = TermsFile(epsilon=3.0).terms()


@pytest.fixture(scope="module")
def ash() -> SiteTable:
    return read_site(open_federation(example("breast")), "Ash")


def asks(epsilon: float, **about: object) -> Federation:
    of = open_federation(example("breast"))
    changed = of.file.federation.model_copy(update={"card_epsilon": epsilon, **about})
    return dataclasses.replace(of, file=of.file.model_copy(update={"federation": changed}))


def made(folder: Path, epsilon: float, records: SiteTable, terms: Terms = TERMS, **about: object) -> Card:
    return load_or_describe(folder, asks(epsilon, **about), records, ROOT, terms, ENTROPY)


def test_a_card_is_counted_once_and_its_title_may_change(tmp_path: Path, ash: SiteTable):
    first = made(tmp_path, 0.5, ash)
    assert first.noise is not None
    assert first.noise.epsilon_micro == MICRO // 2
    again = made(tmp_path, 0.5, ash, title="Better said")
    assert again.title == "Better said: Ash"
    assert again.columns == first.columns
    (kept,) = tmp_path.iterdir()
    assert canon.unpack(Card, kept.read_bytes()) == first
    assert kept.stat().st_mode & 0o077 == 0


def test_counting_the_same_records_again_with_another_epsilon_is_refused(tmp_path: Path, ash: SiteTable):
    made(tmp_path, 0.5, ash)
    for epsilon in (0.4, 0.6, 0.0):
        with pytest.raises(Refused, match=r"counted for a card with epsilon 0.5.*counting again would spend again"):
            made(tmp_path, epsilon, ash)


def test_counting_the_same_records_again_by_other_columns_is_refused(tmp_path: Path, ash: SiteTable):
    made(tmp_path, 0.5, ash)
    with pytest.raises(Refused, match="counted for a card with other columns"):
        made(tmp_path, 0.5, ash, card_columns=ash.table.schema.names[:3])
    with pytest.raises(Refused, match="counted for a card with other columns"):
        made(tmp_path, 0.5, ash, dataclasses.replace(TERMS, withheld=ash.table.schema.names[:1]))


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_a_later_version_is_not_counted_again_and_says_what_was_spent(tmp_path: Path, ash: SiteTable, epsilon: float):
    first = made(tmp_path, 0.5, ash)
    fewer = SiteTable("Ash", ash.table.select(np.arange(ash.table.rows - 1)))
    later = load_or_describe(tmp_path, asks(epsilon), fewer, Digest(bytes(32)), TERMS, ENTROPY)
    assert [one.counts for one in later.columns] == [None] * len(later.columns)
    assert later.noise is not None
    assert first.noise is not None
    assert later.noise == dataclasses.replace(first.noise, columns=0)
    assert lendable(later, 3 * MICRO, 10**8) == lendable(first, 3 * MICRO, 10**8)
    assert read_card(canon.pack(later)) == later
    assert json.loads(card_json(later))["noise"] == {"spent_before": {"epsilon": 0.5, "delta": 1e-6}}
    assert len(list(tmp_path.iterdir())) == 1


def test_without_an_epsilon_nothing_is_counted_and_nothing_kept(tmp_path: Path, ash: SiteTable):
    assert made(tmp_path, 0.0, ash).noise is None
    assert not list(tmp_path.iterdir())


def test_a_budget_that_does_not_bear_the_counts_is_refused_before_anything_is_kept(tmp_path: Path, ash: SiteTable):
    for terms in (TermsFile().terms(), TermsFile(epsilon=0.5).terms()):
        with pytest.raises(Refused, match="set a larger one, or publish a card without counts"):
            made(tmp_path, 0.5, ash, terms)
    assert not list(tmp_path.iterdir())


def test_withheld_columns_are_not_counted(tmp_path: Path, ash: SiteTable):
    name = ash.table.schema.names[0]
    card = made(tmp_path, 0.5, ash, dataclasses.replace(TERMS, withheld=(name,)))
    assert card.columns[0].counts is None
    assert card.columns[1].counts is not None
