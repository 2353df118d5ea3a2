"""Terms, and the verdict on a job: for every rule what passes and what does not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus import canon
from caduceus.data.policy import Ask, Terms, judge
from caduceus.data.terms.file import read_terms_file
from caduceus.errors import Refused
from caduceus.kinds import Address, Tokens, Visibility

BUYER = Address(bytes([7]) * 20)
TERMS = Terms(
    buyers=(BUYER,),
    purposes=("research", "quality"),
    most_open=Visibility.SUM,
    aggregators=None,
    min_other_sites=2,
    price_floor=100,
    budget_micro=2_000_000,
    delta_pico=20_000_000,
    missing_percent=20,
    exact_sums=False,
    withheld=("postcode",),
)
ASK = Ask(
    buyer=BUYER,
    purpose="quality",
    visibility=Visibility.SUM,
    aggregators=(),
    columns=("age", "dead"),
    min_sites=3,
    max_sites=10,
    price=Tokens(1_100),
    fee=Tokens(100),
    epsilon_micro=1_500_000,
    delta_pico=10_000_000,
    missing_percent=20,
)


def reasons(terms: Terms = TERMS, ask: Ask = ASK, *, spent: int = 0, spent_delta: int = 0) -> str:
    return "; ".join(judge(terms, ask, spent_micro=spent, spent_delta_pico=spent_delta).reasons)


def terms(**changed: object) -> Terms:
    return Terms(**{field.name: getattr(TERMS, field.name) for field in dataclasses.fields(TERMS)} | changed)


def test_a_job_that_meets_the_terms_is_allowed():
    verdict = judge(TERMS, ASK)
    assert verdict.allowed
    verdict.enforce()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"buyer": Address(bytes(20))}, "not among those admitted"),
        ({"purpose": "marketing"}, "purpose is 'marketing', allowed are research, quality"),
        ({"visibility": Visibility.OPEN}, "visibility OPEN shows more than SUM"),
        ({"visibility": Visibility.COHORT}, "visibility COHORT shows more than SUM"),
        ({"columns": ("age", "postcode")}, "withheld columns: postcode"),
        ({"min_sites": 2}, "1 other sites, at least 2"),
        ({"max_sites": 11}, "pays 90 per seat, the floor is 100"),
        ({"fee": Tokens(101)}, "pays 99 per seat"),
        ({"fee": Tokens(5_000)}, "pays 0 per seat"),
        ({"epsilon_micro": 0}, "a data set with a privacy budget takes part in private jobs only"),
        ({"epsilon_micro": 2_000_001}, "spends epsilon 2.000001, and 2 is left"),
        ({"missing_percent": 19}, "its noise bears 19 % of the sites adding none, 20 % are asked for"),
        ({"delta_pico": 30_000_000}, "spends delta 3e-05, and 2e-05 is left"),
    ],
)
def test_a_job_that_breaks_a_rule_is_refused_for_exactly_that(change: dict[str, object], why: str):
    verdict = judge(TERMS, dataclasses.replace(ASK, **change))
    assert len(verdict.reasons) == 1
    assert why in verdict.reasons[0]
    with pytest.raises(Refused, match="terms do not allow this job"):
        verdict.enforce()


@pytest.mark.parametrize("allowed", Visibility)
@pytest.mark.parametrize("asked", Visibility)
def test_a_job_may_show_what_the_terms_allow_or_less(allowed: Visibility, asked: Visibility):
    said = reasons(terms(most_open=allowed), dataclasses.replace(ASK, visibility=asked))
    # Sums over groups and inner products show different things: who allows the one does not allow the other.
    shows = {
        Visibility.OPEN: ["plain", "groups", "products", "sum"],
        Visibility.COHORT: ["groups", "sum"],
        Visibility.GRAM: ["products", "sum"],
        Visibility.SUM: ["sum"],
    }
    assert (said == "") == (set(shows[asked]) <= set(shows[allowed]))


def test_a_steward_says_who_may_hold_shares_of_updates():
    three = tuple(Address(bytes([n]) * 20) for n in (7, 8, 9))
    judged = dataclasses.replace(ASK, visibility=Visibility.GRAM, aggregators=three)
    assert reasons(terms(most_open=Visibility.GRAM), judged) == ""
    assert reasons(terms(most_open=Visibility.GRAM, aggregators=three), judged) == ""
    missing = terms(most_open=Visibility.GRAM, aggregators=three[:2])
    assert f"aggregator 0x{'09' * 20} is not among those admitted" in reasons(missing, judged)


def test_terms_for_groups_count_the_other_sites_of_a_group():
    """`min_sites` of an ask is the least size of a group where sums are over groups."""
    grouped = dataclasses.replace(ASK, visibility=Visibility.COHORT, min_sites=3)
    assert reasons(terms(most_open=Visibility.COHORT), grouped) == ""
    assert "2 other sites, at least 5" in reasons(terms(most_open=Visibility.COHORT, min_other_sites=5), grouped)


def test_all_broken_rules_are_named_at_once():
    asked = dataclasses.replace(ASK, purpose="marketing", min_sites=2, epsilon_micro=0)
    assert len(judge(TERMS, asked).reasons) == 3


def test_earlier_jobs_use_up_the_budget():
    assert not reasons(spent=500_000)
    assert "0.499999 is left" in reasons(spent=1_500_001)
    assert "0 is left" in reasons(spent=9_000_000)
    assert not reasons(spent_delta=10_000_000)
    assert "spends delta 1e-05, and 1e-05 is left" in reasons(spent_delta=10_000_001)


def test_without_a_budget_there_is_nothing_to_spend():
    """The contract would refuse it: a budget of nothing is not a budget without end."""
    assert "no privacy budget is set" in reasons(terms(budget_micro=0, delta_pico=0, exact_sums=True))


def test_exact_sums_need_leave_and_a_data_set_without_a_budget():
    exact = dataclasses.replace(ASK, epsilon_micro=0, delta_pico=0)
    assert not reasons(terms(budget_micro=0, delta_pico=0, exact_sums=True), exact)
    assert "only sums with differential privacy" in reasons(terms(budget_micro=0, delta_pico=0), exact)
    assert "private jobs only" in reasons(terms(exact_sums=True), exact)


def test_what_is_not_restricted_is_allowed():
    anyone = terms(buyers=None, purposes=None, budget_micro=0, exact_sums=True)
    asked = dataclasses.replace(ASK, buyer=Address(bytes(20)), purpose="anything", epsilon_micro=0, delta_pico=0)
    assert not reasons(anyone, asked)


def test_an_empty_list_admits_nobody_and_nothing():
    assert "not among those admitted" in reasons(terms(buyers=()))
    assert "allowed are none" in reasons(terms(purposes=()))


@given(st.integers(0, 5), st.integers(0, 2000), st.integers(1, 12), st.integers(2, 3_000_000))
def test_a_better_offer_is_never_judged_worse(extra_sites: int, extra_price: int, seats: int, epsilon: int):
    asked = dataclasses.replace(ASK, max_sites=seats, epsilon_micro=epsilon)
    better = dataclasses.replace(
        asked,
        min_sites=asked.min_sites + extra_sites,
        price=Tokens(asked.price + extra_price),
        epsilon_micro=epsilon // 2,
    )
    assert len(judge(TERMS, better).reasons) <= len(judge(TERMS, asked).reasons)


def test_terms_survive_their_canonical_bytes():
    for one in (TERMS, terms(buyers=None, purposes=None)):
        assert canon.unpack(Terms, canon.pack(one)) == one


def test_a_terms_file_is_careful_where_it_is_silent():
    said = read_terms_file("", where="terms.toml")
    assert said.most_open == Visibility.SUM
    assert not said.exact_sums
    assert said.purposes == ("research",)
    assert said.min_other_sites == 2


@pytest.mark.parametrize("named", Visibility)
def test_a_terms_file_names_the_most_that_may_be_seen(named: Visibility):
    assert read_terms_file(f'visibility = "{named.name.lower()}"', where="terms.toml").most_open is named


def test_a_terms_file_says_it_all():
    text = f"""
    buyers = ["0x{BUYER.hex()}"]
    purposes = ["research", "quality"]
    visibility = "sum"
    min_other_sites = 2
    price_floor = 100
    epsilon = 2.0000009
    delta = 2.00000005e-5
    withheld = ["postcode"]
    """
    assert read_terms_file(text, where="terms.toml") == TERMS
    anyone = read_terms_file('buyers = "any"\npurposes = "any"\n', where="terms.toml")
    assert anyone.buyers is None
    assert anyone.purposes is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('buyers = ["0x12"]', "terms.toml: buyers"),
        ('buyers = "some"', "terms.toml: buyers"),
        ('visibility = "sums"', "terms.toml: visibility"),
        ("epsilon = 0", "terms.toml: epsilon"),
        ("exact_sum = true", "unknown key 'exact_sum'; did you mean 'exact_sums'"),
    ],
)
def test_a_malformed_terms_file_is_refused(text: str, why: str):
    with pytest.raises(Refused, match=why):
        read_terms_file(text, where="terms.toml")
