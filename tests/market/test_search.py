"""Search over cards: what is found, in which order, and why; and what could be used."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus import canon
from caduceus.data.card import Card, CardColumn
from caduceus.data.policy import Ask, Terms
from caduceus.data.schema import Column, Schema
from caduceus.errors import Refused
from caduceus.kinds import MICRO, Address, Digest, Readiness, Tokens, Visibility
from caduceus.market.ledger import DatasetEntry
from caduceus.market.search import Index, Match, explain
from caduceus.market.search_concepts import CONCEPTS, thesaurus
from caduceus.market.search_fit import Job, Listing, Wish, misfits, read_listing
from caduceus.market.search_words import stem, terms, words


def column(name: str, text: str = "", *codes: str, unit: str = "", levels: tuple[str, ...] = ()) -> Column:
    kind = "category" if levels else "number"
    low, high = (None, None) if levels else (0.0, 1.0)
    return Column(name, kind, "feature", unit, text, low, high, levels, False, None, codes)


def card(title: str, *columns: Column, text: str = "", rows: int = 100) -> Card:
    entries = tuple(CardColumn(one, None) for one in columns)
    return Card(title, text, "", "", Schema(title, columns).digest(), entries, rows, bytes(32))


DIABETES = card(
    "Diabetes outpatients",
    column("hba1c", "glycated haemoglobin", "LOINC:4548-4", unit="%"),
    column("sysBP", "", unit="mm[Hg]"),
    column("bmi"),
)
LAB_CODES = card("Laboratory 2019", column("v1", "", "LOINC:4548-4"), column("v2", "", "LOINC:2160-0"))
STROKE = card(
    "Stroke unit",
    column("nihss", "severity on admission"),
    column("tpa", "thrombolysis given"),
    column("prior_mi", "heart attack before"),
    column("death_90", "died within 90 days"),
)
HEART = card(
    "Heart disease, Cleveland",
    column("trestbps", "resting blood pressure", unit="mm[Hg]"),
    column("thalach", "maximum heart rate"),
    column("cp", "chest pain", levels=("typical", "atypical", "none")),
)
CODED_MI = card("Admissions", column("dx_main", "", "ICD10:I21.4"), column("age"))
EMPTY = card("Weather", column("wind"), text="Nothing clinical.")
CARDS = (DIABETES, LAB_CODES, STROKE, HEART, CODED_MI, EMPTY)
INDEX = Index(CARDS)


def found(query: str, *codes: str) -> list[str]:
    return [CARDS[hit.card].title for hit in INDEX.search(query, codes)]


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize("query", ["HbA1c", "glycated hemoglobin", "A1c", "glycohemoglobins", "LOINC:4548-4"])
def test_glycated_haemoglobin_is_found_however_it_is_called(query: str):
    assert sorted(found(query)[:2]) == [DIABETES.title, LAB_CODES.title]


def test_who_says_the_same_word_comes_before_who_means_the_same():
    assert found("hba1c")[0] == DIABETES.title
    assert found("myocardial infarction")[0] in {STROKE.title, CODED_MI.title}


@pytest.mark.parametrize("query", ["heart attack", "MI", "myocardial infarction", "ICD10:I21", "STEMI"])
def test_a_heart_attack_is_found_in_words_and_under_a_finer_code(query: str):
    assert {STROKE.title, CODED_MI.title} <= set(found(query)[:3])


def test_a_heart_attack_is_not_the_heart_disease_or_the_heart_rate():
    assert found("heart attack")[0] != HEART.title


@pytest.mark.parametrize("query", ["systolic blood pressure", "SBP", "sys bp"])
def test_a_compound_name_is_found_by_its_meaning(query: str):
    assert found(query)[0] == DIABETES.title


def test_more_of_what_is_asked_for_comes_first():
    assert found("thrombolysis death")[0] == STROKE.title
    assert found("blood pressure heart rate chest pain")[0] == HEART.title


def test_units_and_levels_are_searched_too():
    assert set(found("mm[Hg]")) == {DIABETES.title, HEART.title}
    assert found("atypical") == [HEART.title]


def test_a_beginning_stands_for_words_that_go_on():
    assert found("thrombol") == [STROKE.title]
    assert found("xyz") == []


def test_nothing_is_found_among_no_cards():
    assert Index(()).search("anything") == []


def test_a_hit_is_explained_by_field():
    assert Match("glycated haemoglobin", "hba1c", "name") in explain(DIABETES, "A1c")
    assert explain(LAB_CODES, "A1c") == (Match("glycated haemoglobin", "v1", "code"),)
    assert explain(LAB_CODES, "", ("LOINC:2160-0",))[0].where == "v2"
    assert explain(EMPTY, "A1c") == ()


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=3))
def test_no_query_breaks_the_search_and_every_hit_has_a_reason(query: str, codes: list[str]):
    for hit in INDEX.search(query, codes):
        assert hit.score > 0
        assert explain(CARDS[hit.card], query, codes)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sysBP_mean", ["sysbp", "sys", "bp", "mean"]),
        ("NT-proBNP", ["ntprobnp", "nt", "pro", "bnp"]),
        ("Anaemias", ["anemia"]),
        ("the age of patients", ["age", "patient"]),
        ("Größe", ["grosse"]),
        ("", []),
    ],
)
def test_texts_become_terms(text: str, wanted: list[str]):
    assert terms(text) == wanted


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("studies", "study"), ("glucose", "glucose"), ("sinus", "sinus"), ("sepsis", "sepsis"), ("boxes", "box")],
)
def test_words_lose_no_more_than_their_plural(word: str, wanted: str):
    assert stem(word) == wanted


@given(st.text(alphabet="abcdefghis -_'.23äß", max_size=60))
def test_words_in_capitals_are_the_same_words(text: str):
    assert words(text.upper()) == words(text)


def test_every_concept_is_found_by_each_of_its_names_and_codes():
    table = thesaurus()
    for number, concept in enumerate(CONCEPTS):
        for name in concept.names:
            assert number in table.in_words(words(name)), name
        for code in concept.codes:
            assert number in table.of_code(code), code


def test_the_longest_name_at_a_place_counts():
    table = thesaurus()
    assert [CONCEPTS[one].name for one in table.in_words(words("type 2 diabetes"))] == ["type 2 diabetes mellitus"]


# ---------------------------------------------------------------- what could be used

TERMS = Terms(
    buyers=None,
    purposes=("research",),
    most_open=Visibility.SUM,
    aggregators=None,
    min_other_sites=2,
    price_floor=100,
    budget_micro=2 * MICRO,
    delta_pico=10**8,
    missing_percent=20,
    exact_sums=False,
    withheld=("bmi",),
)
ENTRY = DatasetEntry(
    id=Digest(bytes([1]) * 32),
    steward=Address(bytes(20)),
    commitment=Digest(bytes(32)),
    card=canon.digest(DIABETES),
    terms=canon.digest(TERMS),
    budget_micro=2 * MICRO,
    delta_pico=10**8,
    active=True,
    epsilon_spent_micro=1_500_000,
    delta_spent_pico=0,
)
ASK = Ask(
    buyer=Address(bytes([7]) * 20),
    purpose="research",
    visibility=Visibility.SUM,
    aggregators=(),
    columns=("hba1c",),
    min_sites=3,
    max_sites=10,
    price=Tokens(1_100),
    fee=Tokens(100),
    epsilon_micro=400_000,
    delta_pico=10**6,
    missing_percent=20,
)
LISTING = Listing(DIABETES, TERMS, ENTRY)
SCHEMA = Schema(DIABETES.title, tuple(one.column for one in DIABETES.columns))


def test_what_is_wished_for_and_there_fits():
    wish = Wish(("LOINC:4548-4",), "research", 100, 500_000)
    assert misfits(LISTING, wish) == ()
    assert misfits(LISTING, dataclasses.replace(wish, purpose=None, job=Job(ASK, SCHEMA))) == ()


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (Wish(codes=("LOINC:1-1",)), "no column has the code LOINC:1-1"),
        (Wish(min_rows=101), "at least 100 rows, 101 are wanted"),
        (Wish(epsilon_micro=500_001), "epsilon 0.5 is left, 0.500001 is wanted"),
        (Wish(readiness=Readiness.READY), "its readiness is unstated, ready is wanted"),
        (Wish(purpose="marketing"), "allowed purposes are research"),
        (Wish(job=Job(dataclasses.replace(ASK, columns=("bmi",)), SCHEMA)), "the job uses withheld columns: bmi"),
        (
            Wish(job=Job(dataclasses.replace(ASK, epsilon_micro=600_000), SCHEMA)),
            "it spends epsilon 0.6, and 0.5 is left",
        ),
        (Wish(job=Job(ASK, Schema("other", ()))), "it means something else than the job's 'other'"),
    ],
)
def test_what_does_not_fit_says_why(wish: Wish, reason: str):
    assert misfits(LISTING, wish) == (reason,)


def test_a_withdrawn_data_set_says_so():
    gone = dataclasses.replace(LISTING, entry=dataclasses.replace(ENTRY, active=False))
    assert misfits(gone, Wish()) == ("withdrawn",)


def test_a_finer_code_is_a_kind_of_a_coarser_one_where_codes_are_a_tree():
    coded = Listing(CODED_MI, TERMS, ENTRY)
    assert misfits(coded, Wish(codes=("icd10:i21",))) == ()
    assert misfits(coded, Wish(codes=("ICD10:I21.40",))) == ("no column has the code ICD10:I21.40",)
    assert misfits(LISTING, Wish(codes=("LOINC:4548",))) == ("no column has the code LOINC:4548",)


def test_named_buyers_are_judged_only_if_it_is_said_who_asks():
    few = dataclasses.replace(LISTING, terms=dataclasses.replace(TERMS, buyers=(bytes([9]) * 20,)))
    assert misfits(few, Wish(job=Job(ASK, SCHEMA, names_buyer=False))) == ()
    assert misfits(few, Wish(job=Job(ASK, SCHEMA))) == ("this buyer is not among those admitted",)


def test_without_terms_a_job_is_not_said_to_fit():
    assert misfits(Listing(DIABETES, None, None), Wish(purpose="research")) == ("its terms are not known here",)


# ---------------------------------------------------------------- cards from anybody

BLOBS = {canon.digest(DIABETES): canon.pack(DIABETES), canon.digest(TERMS): canon.pack(TERMS)}


def test_a_listing_is_read_and_checked():
    assert read_listing(ENTRY, BLOBS.__getitem__) == LISTING


def test_a_card_of_other_records_than_the_chain_says_is_refused():
    other = dataclasses.replace(ENTRY, commitment=Digest(bytes([5]) * 32))
    with pytest.raises(Refused, match="name different commitments"):
        read_listing(other, BLOBS.__getitem__)


def test_hostile_blobs_are_refused():
    for blob in (b"", b"\xff" * 100, bytes((1 << 20) + 1), canon.pack(TERMS)):
        with pytest.raises(Refused):
            read_listing(ENTRY, lambda digest, blob=blob: blob if digest == ENTRY.card else BLOBS[digest])
        with pytest.raises(Refused):
            read_listing(
                ENTRY,
                lambda digest, blob=blob: (blob[:20] if blob else b"x") if digest == ENTRY.terms else BLOBS[digest],
            )
