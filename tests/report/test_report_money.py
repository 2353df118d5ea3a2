"""What went in came out, or the report says what did not."""

import dataclasses
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_facts import FEE, PRICE, job
from test_report_page import part, words

from caduceus.report.facts import Flow
from caduceus.report.money import money_section
from caduceus.report.page import page
from caduceus.report.reading import balance, party, spent
from caduceus.report.sankey import Band, sankey

names = st.sampled_from(["buyer", "coordinator", "Cleveland", "Budapest", "Basel", "someone"])
amounts = st.integers(0, 10**27)


def through(hub: str, moves: list[tuple[str, int, bool]]) -> tuple[Flow, ...]:
    return tuple(
        Flow(name, hub, amount, "in") if inward else Flow(hub, name, amount, "out") for name, amount, inward in moves
    )


@given(st.lists(st.tuples(names, amounts, st.booleans()), min_size=2, max_size=30))
def test_accounts_and_what_is_still_held_add_up_to_nothing(moves):
    flows = through("escrow", moves)
    books = balance(flows)
    assert sum(a.got - a.put for a in books.accounts) + (books.put - books.got) == 0
    assert sum(f.amount for f in flows) == books.put + books.got + sum(f.amount for f in books.aside)


@given(st.lists(st.tuples(names, amounts, st.booleans()), min_size=2, max_size=30, unique_by=lambda move: move[0]))
def test_the_party_that_all_flows_pass_is_the_one_that_held_the_money(moves):
    assert balance(through("the vault", moves)).hub == "the vault"


@given(st.lists(st.tuples(names, st.integers(0, 10**6), st.booleans()), min_size=1, max_size=12))
def test_any_flows_can_be_drawn(moves):
    facts = dataclasses.replace(job(), flows=through("escrow", moves))
    ElementTree.fromstring(money_section(facts, "m"))


def test_a_whole_job_adds_up_on_the_page():
    said = words(part(page([job()]), "job-1-money"))
    assert "104 000 went in, 104 000 came out. It adds up." in said
    assert "are what flowed to sites" in said
    assert "still held" not in said


def test_money_that_nobody_claimed_yet_is_shown_as_held():
    facts = job()
    unclaimed = facts.flows[:-1]
    said = words(part(page([dataclasses.replace(facts, flows=unclaimed)]), "job-1-money"))
    assert f"{facts.flows[-1].amount} DEMO are still held" in said
    assert "It adds up" not in said


def test_money_from_nowhere_is_called_so():
    facts = job()
    extra = Flow("escrow", "coordinator", 777, "a gift")
    said = words(part(page([dataclasses.replace(facts, flows=(*facts.flows, extra))]), "job-1-money"))
    assert "It does not add up" in said
    assert "unexplained" in said
    assert "came from nowhere" in said


def test_pay_on_the_cards_that_did_not_flow_is_called_so():
    facts = job()
    boasting = dataclasses.replace(facts.sites[0], paid=facts.sites[0].paid + 1)
    said = words(part(page([dataclasses.replace(facts, sites=(boasting, *facts.sites[1:]))]), "job-1-money"))
    assert "but" in said
    assert "are what flowed to sites" not in said


def test_what_the_buyer_paid_is_the_price_less_what_came_back():
    facts = job()
    cost = spent(facts, balance(facts.flows))
    pay = sum(site.paid for site in facts.sites)
    assert cost.sites == pay
    assert cost.coordinator == FEE
    assert cost.buyer == pay + FEE
    assert PRICE - cost.buyer == facts.flows[-1].amount


def test_flows_that_pass_nobody_are_listed_apart():
    facts = job()
    tip = Flow("buyer", "Cleveland", 5, "a tip")
    said = words(part(page([dataclasses.replace(facts, flows=(*facts.flows, tip))]), "job-1-money"))
    assert "Flows that did not pass escrow" in said
    assert "a tip" in said


def test_equal_stakes_are_one_band_and_unequal_pay_is_not():
    said = words(part(page([job()]), "job-1-money"))
    assert "stake, 500 each" in said
    assert "42 other sites" not in said
    facts = job(49)
    uneven = tuple(dataclasses.replace(flow, amount=flow.amount + i) for i, flow in enumerate(facts.flows))
    many = words(part(page([dataclasses.replace(facts, flows=uneven)]), "job-1-money"))
    assert "44 other sites" in many


def test_a_band_is_as_thick_as_its_amount():
    left = [Band("buyer", "price", 300, "buyer")]
    right = [Band("a", "pay", 200, "site"), Band("b", "pay", 100, "site")]
    root = ElementTree.fromstring(sankey(left, right, hub="escrow", title="t", token="T"))
    rows = [g for g in root.iter("g") if g.get("class") == "row"]
    whole, most, least = (float(row.findall("rect")[0].get("height")) for row in rows)
    assert whole == pytest.approx(most + least, abs=0.2)
    assert most == pytest.approx(2 * least, abs=0.2)


def test_a_site_is_a_site_whatever_it_is_called():
    assert party("The Buyer Memorial Hospital", {"The Buyer Memorial Hospital"}) == "site"
    assert party("the buyer", set()) == "buyer"
    assert party("Coordinator 2", set()) == "fee"
    assert party("someone", set()) == "other"
