"""Budgets as a stranger adds them up: what does not add up names the seat."""

from __future__ import annotations

import pytest

from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, JobId
from caduceus.market.costs import Costs
from caduceus.market.ledger import BudgetMove, DatasetEntry
from caduceus.protocol.audit_budget import charge, check_within

JOB, OTHER = JobId(bytes([1]) * 32), JobId(bytes([2]) * 32)
COSTS = Costs(((0, 0), (400, 7), (900, 7), (1_000, 7)))
DATASET = DatasetEntry(
    id=Digest(bytes(32)),
    steward=Address(bytes(20)),
    commitment=Digest(bytes(32)),
    card=Digest(bytes(32)),
    terms=Digest(bytes(32)),
    budget_micro=2_000,
    delta_pico=20,
    epsilon_spent_micro=1_400,
    delta_spent_pico=14,
    active=True,
)


def took(job: JobId = JOB, epsilon: int = 1_000, delta: int = 7) -> BudgetMove:
    return BudgetMove(job, epsilon, delta, released=False)


def gave(epsilon: int, delta: int, job: JobId = JOB) -> BudgetMove:
    return BudgetMove(job, epsilon, delta, released=True)


def test_moves_that_come_to_what_the_chain_says_are_fine():
    check_within("seat 0", DATASET, (took(), gave(600, 0), took(OTHER)))


@pytest.mark.parametrize(
    ("moves", "why"),
    [
        ((took(), took(OTHER, 1_001)), "overspent"),
        ((took(), took(OTHER, 1_000, 14)), "overspent"),
        ((took(), gave(1_001, 0)), "more given back than taken"),
        ((took(),), "what the chain says is spent"),
        ((), "what the chain says is spent"),
    ],
)
def test_moves_that_do_not_are_named(moves: tuple[BudgetMove, ...], why: str):
    with pytest.raises(Refused, match=rf"seat 3: .*{why}"):
        check_within("seat 3", DATASET, moves)


@pytest.mark.parametrize(
    ("own", "opened", "charged"),
    [
        ((took(),), 3, 1_000),
        ((took(),), 0, 1_000),
        ((took(), gave(600, 0)), 1, 400),
        ((took(), gave(600, 0)), 0, 400),
        ((took(), gave(1_000, 7)), 0, 0),
        ((took(), gave(100, 0)), 2, 900),
    ],
)
def test_a_charge_is_a_line_of_the_costs_for_at_least_what_was_opened(
    own: tuple[BudgetMove, ...], opened: int, charged: int
):
    assert charge("seat 0", own, COSTS, opened) == charged


@pytest.mark.parametrize(
    ("own", "opened", "why"),
    [
        ((took(), gave(600, 0)), 2, "charged for fewer sums than the 2 that it is in"),
        ((took(), gave(1_000, 7)), 1, "charged for fewer sums"),
        ((took(), gave(500, 0)), 0, "charged for fewer sums"),
        ((), 0, "did not reserve, once"),
        ((took(), took()), 0, "did not reserve, once"),
        ((took(epsilon=999),), 0, "did not reserve, once"),
        ((took(), gave(1, 0), gave(1, 0)), 0, "did not reserve, once"),
    ],
)
def test_a_charge_that_is_not_names_the_seat(own: tuple[BudgetMove, ...], opened: int, why: str):
    with pytest.raises(Refused, match=rf"seat 5: .*{why}"):
        charge("seat 5", own, COSTS, opened)


def test_exact_sums_move_no_budget():
    assert charge("seat 0", (), None, 3) == 0
    with pytest.raises(Refused, match="a job of exact sums moved"):
        charge("seat 0", (took(),), None, 3)
