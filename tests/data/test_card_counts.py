"""Noisy counts on cards: what they tell, what they spend, and what nobody gets to see."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from hypothesis import given
from hypothesis import strategies as st

from caduceus import canon
from caduceus.data import card_counts
from caduceus.data.card import Card, card_json, describe, lendable
from caduceus.data.card_counts import Counts, Noise, Wanted, count, edges
from caduceus.data.card_reading import read_card
from caduceus.data.schema import Column, Schema, Square
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO, Digest

AGE = Column("age", "number", "feature", "a", "", 0.0, 120.0, (), False, None)
VESSELS = Column("vessels", "integer", "feature", "", "", 0.0, 3.0, (), False, None)
PAIN = Column("pain", "category", "feature", "", "", None, None, ("none", "some", "much"), False, None)
DEAD = Column("dead", "boolean", "target", "", "", 0.0, 1.0, (), False, None)
AGE2 = Column("age2", "number", "feature", "", "", 0.0, 49.0, (), False, Square("age", 70.0, 100.0))
SCHEMA = Schema("small", (AGE, VESSELS, PAIN, DEAD, AGE2))
SECRET = bytes(range(32))
WANTED = Wanted(MICRO, SECRET)


def table(rows: int, patients: list[str] | None = None, schema: Schema = SCHEMA) -> Table:
    rng = np.random.default_rng(5)
    age = rng.uniform(0, 120, rows)
    age[rng.random(rows) < 0.3] = np.nan
    values = np.array(
        [age, rng.integers(0, 4, rows), rng.choice(3, rows, p=[0.7, 0.299, 0.001]), rng.integers(0, 2, rows), age / 3]
    )
    labels = {} if patients is None else {"patient": np.array(patients)}
    return Table(schema, values, labels, "patient" if patients is not None else "")


def card(of: Table, wanted: Wanted | None = WANTED) -> Card:
    root = Digest(bytes(32))
    return describe(of, title="T", description="D", licence="L", citation="C", commitment=root, wanted=wanted)


def told(of: Card, name: str) -> Counts:
    found = next(one.counts for one in of.columns if one.column.name == name)
    assert found is not None
    return found


def changed(of: Card, name: str, counts: Counts | None) -> bytes:
    columns = tuple(dataclasses.replace(one, counts=counts) if one.column.name == name else one for one in of.columns)
    return canon.pack(dataclasses.replace(of, columns=columns))


# ---------------------------------------------------------------- what is told


def test_counts_are_near_what_numpy_counts():
    of = table(4000)
    made = card(of)
    assert made.noise is not None
    far = 6 * made.noise.deviation
    age, vessels, dead = told(made, "age"), told(made, "vessels"), told(made, "dead")
    known = of.column("age")[~np.isnan(of.column("age"))]
    assert age.cells == pytest.approx(np.histogram(known, np.linspace(0, 120, 9))[0], abs=far)
    assert age.missing == pytest.approx(4000 - known.size, abs=far)
    assert vessels.cells == pytest.approx(np.bincount(of.column("vessels").astype(int)), abs=far)
    assert dead.cells == pytest.approx(np.bincount(of.column("dead").astype(int)), abs=far)


def test_a_level_that_few_patients_have_is_told_as_fewer_than_11():
    made = card(table(400), Wanted(8 * MICRO, SECRET))
    assert told(made, "pain").cells[2] is None
    assert told(made, "pain").cells[0] is not None
    said = json.loads(card_json(made))
    assert said["columns"][2]["patients"]["cells"][2] == "fewer than 11"
    assert said["noise"]["epsilon"] == 8.0


def test_the_noise_has_the_deviation_that_the_card_states():
    of = table(3000)
    found = [count(of, Wanted(MICRO, bytes([i]) * 32), step=0.05) for i in range(120)]
    cells = np.array([[one.counts[3].cells[0], one.counts[1].cells[2]] for one in found])  # type: ignore[union-attr]
    assert cells.std(axis=0) == pytest.approx([found[0].noise.deviation] * 2, rel=0.25)
    assert abs(np.corrcoef(cells.T)[0, 1]) < 0.35  # each cell has its own


def test_shares_of_missing_values_come_from_the_noisy_counts():
    made = card(table(4000))
    assert made.columns[0].missing_percent in (25, 30, 35)
    assert made.columns[3].missing_percent == 0
    assert [one.missing_percent for one in card(table(40)).columns] == [None] * 5
    assert card(table(120)).columns[0].missing_percent is None  # noise of 8 patients is more than a twentieth of them


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 3.0, (0, 1, 2, 3, 4)),
        (1.0, 20.0, (1, 3, 6, 8, 11, 13, 16, 18, 21)),
        (0.5, 2.5, (1, 2, 3)),
    ],
)
def test_cells_of_a_count_hold_whole_numbers(low: float, high: float, wanted: tuple[int, ...]):
    assert edges(dataclasses.replace(VESSELS, low=low, high=high)) == wanted


def test_derived_and_withheld_columns_are_not_counted():
    made = card(table(500), dataclasses.replace(WANTED, withheld=("dead",)))
    assert [one.counts is not None for one in made.columns] == [True, True, True, False, False]
    assert made.noise is not None
    assert made.noise.columns == 3
    assert made.columns[3].missing_percent is None


def test_fewer_columns_have_less_noise():
    few, many = card(table(500), dataclasses.replace(WANTED, columns=("dead",))), card(table(500))
    assert [one.counts is not None for one in few.columns] == [False, False, False, True, False]
    assert few.noise is not None
    assert many.noise is not None
    assert few.noise.deviation == pytest.approx(many.noise.deviation / 2)
    with pytest.raises(Refused, match="did you mean 'dead'"):
        card(table(30), dataclasses.replace(WANTED, columns=("deed",)))


def test_a_card_without_anything_to_count_is_refused():
    names = tuple(one.name for one in SCHEMA.columns)
    with pytest.raises(Refused, match="leave the card's epsilon at 0"):
        card(table(50), dataclasses.replace(WANTED, withheld=names))


# ---------------------------------------------------------------- what is spent


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 4.0])
def test_another_accountant_finds_no_more_spent_than_the_card_states(epsilon: float):
    noise = count(table(60), Wanted(int(epsilon * MICRO), SECRET), step=0.05).noise
    peer = PLDAccountant(value_discretization_interval=1e-4)
    peer.compose(dp_event.GaussianDpEvent(noise.multiplier))
    found = float(peer.get_epsilon(noise.delta_pico / 10**12))
    assert found == pytest.approx(epsilon, rel=2e-3)  # neither less private nor noisier than it must be


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=60), st.integers(1, 1 << 30))
def test_all_rows_of_a_patient_weigh_one_patient_together(labels: list[str], scale: int):
    of = table(len(labels), labels)
    steps = card_counts._steps(of, scale)
    for one in set(labels):
        rows = np.array(labels) == one
        assert 0 <= steps[rows].sum() <= scale
        assert scale - steps[rows].sum() < rows.sum()


def test_a_patient_with_a_thousand_rows_is_not_seen_among_others():
    others = [f"p{i}" for i in range(1500)]
    of = table(2500, others + ["one"] * 1000)
    values = of.values.copy()
    values[3] = np.r_[np.zeros(1500), np.ones(1000)]
    made = card(Table(SCHEMA, values, of.labels, "patient"), Wanted(8 * MICRO, SECRET))
    assert told(made, "dead").cells[1] is None
    assert told(made, "dead").cells[0] == pytest.approx(1500, abs=20)


def test_the_same_records_have_the_same_noise_and_others_do_not():
    one = canon.pack(card(table(300)))
    assert canon.pack(card(table(300))) == one
    assert canon.pack(card(table(300), Wanted(MICRO, bytes(32)))) != one
    fewer = table(300).select(np.arange(299))
    before, after = told(card(table(300)), "vessels"), told(card(fewer), "vessels")
    assert max(abs(a - b) for a, b in zip(before.cells, after.cells, strict=True) if a and b) > 1


def test_what_a_card_spends_is_taken_off_the_budget():
    made = card(table(300))
    assert lendable(made, 3 * MICRO, 10**8) == (2 * MICRO, 10**8 - 10**6)
    assert lendable(card(table(300), None), 0, 0) == (0, 0)
    for epsilon, delta in ((0, 0), (MICRO, 10**8), (3 * MICRO, 10**6)):
        with pytest.raises(Refused, match="set a larger one, or publish a card without counts"):
            lendable(made, epsilon, delta)


def test_a_card_that_spends_nothing_has_no_noise_to_state():
    with pytest.raises(Misuse, match="an epsilon of 0"):
        card(table(30), Wanted(0, SECRET))


def test_the_secret_is_not_shown():
    assert SECRET.hex() not in repr(WANTED)
    assert repr(SECRET) not in repr(WANTED)


# ---------------------------------------------------------------- cards from anybody


def test_a_card_with_counts_is_read_again():
    made = card(table(300))
    assert read_card(canon.pack(made)) == made


def test_a_card_that_states_less_than_its_noise_is_worth_is_refused():
    made = card(table(300))
    assert made.noise is not None
    cheap = dataclasses.replace(made.noise, epsilon_micro=made.noise.epsilon_micro // 2)
    with pytest.raises(Refused, match="so little noise is worth more epsilon"):
        read_card(canon.pack(dataclasses.replace(made, noise=cheap)))
    with pytest.raises(Refused, match="no noise is stated"):
        read_card(canon.pack(dataclasses.replace(made, noise=None)))


@pytest.mark.parametrize(
    ("name", "counts", "says"),
    [
        ("dead", Counts((), (10, 100), 20), "tells a number below 11"),
        ("dead", Counts((), (100, 100), -5), "tells a number below 11"),
        ("dead", Counts((), (100, 100, 100), 20), "in other cells"),
        ("vessels", Counts((0.0, 2.0, 4.0), (100, 100), 20), "in other cells"),
        ("dead", None, "the noise is for 4 columns, and 3 are counted"),
    ],
)
def test_a_card_with_other_counts_than_cards_have_is_refused(name: str, counts: Counts | None, says: str):
    with pytest.raises(Refused, match=says):
        read_card(changed(card(table(300)), name, counts))


@pytest.mark.parametrize("high", [float("inf"), float("nan"), 0.0])
def test_a_card_with_a_range_that_is_none_is_refused(high: float):
    schema = Schema("odd", (dataclasses.replace(VESSELS, high=high),))
    made = card(Table(schema, np.zeros((1, 30))), None)
    with pytest.raises(Refused, match="has a range that is none"):
        read_card(canon.pack(made))


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202edne", "\x9b1m"])
def test_a_card_that_could_write_over_a_screen_is_refused(text: str):
    made = card(table(30), None)
    with pytest.raises(Refused, match="title has control characters"):
        read_card(canon.pack(dataclasses.replace(made, title=text)))
    odd = dataclasses.replace(made.columns[0], column=dataclasses.replace(AGE, description=text))
    with pytest.raises(Refused, match="column 1 has control characters"):
        read_card(canon.pack(dataclasses.replace(made, columns=(odd, *made.columns[1:]))))
    assert read_card(canon.pack(dataclasses.replace(made, description="one\n\ttwo"))).description == "one\n\ttwo"


def test_a_card_that_is_long_or_odd_is_refused():
    made = card(table(30), None)
    with pytest.raises(Refused, match="at most 1048576 are read"):
        read_card(bytes((1 << 20) + 1))
    with pytest.raises(Refused, match="description has 20001 characters"):
        read_card(canon.pack(dataclasses.replace(made, description="x" * 20_001)))
    with pytest.raises(Refused, match="expected a record data/card/2"):
        read_card(canon.pack(Noise(1, 1, 1.0, 1)))
