"""Money is whole, conserved, and computed the same by everyone."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto import merkle
from caduceus.errors import Misuse
from caduceus.kinds import Address, JobId, Tokens
from caduceus.market.settlement import Participation, claim_leaf_data, settle, split

JOB = JobId(b"j" * 32)
COORDINATOR = Address(b"c" * 20)
scores = st.lists(st.integers(0, 10**6), min_size=1, max_size=40)
pots = st.integers(0, 10**27)


def part(seat: int, rows: int, rounds: int) -> Participation:
    return Participation(Address(bytes([seat]) * 20), rows, rounds)


@given(pots, scores)
def test_a_split_conserves_the_pot(pot, scores):
    assert sum(split(pot, scores)) == (pot if any(scores) else 0)


@given(pots, scores)
def test_nobody_is_more_than_one_unit_from_the_exact_share(pot, scores):
    total = sum(scores) or 1
    for amount, score in zip(split(pot, scores), scores, strict=True):
        assert abs(amount * total - pot * score) < total


@given(pots, scores)
def test_a_higher_score_is_never_paid_less(pot, scores):
    amounts = split(pot, scores)
    paid = sorted(zip(scores, amounts, strict=True))
    for (low, less), (high, more) in itertools.pairwise(paid):
        assert low == high or less <= more


def test_a_negative_score_is_a_bug_of_the_caller():
    with pytest.raises(Misuse):
        split(Tokens(10), [1, -1])


@given(st.integers(0, 10**20), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 30)), min_size=1, max_size=20))
def test_a_settlement_never_pays_more_than_the_price(price, work):
    parts = [part(seat, rows, rounds) for seat, (rows, rounds) in enumerate(work)]
    settled = settle(JOB, parts, price=price, fee=price // 10, coordinator=COORDINATOR)
    earned = any(rows * rounds for rows, rounds in work)
    assert settled.payout == (price if earned and any(settled.amounts[:-1]) else settled.payout)
    assert settled.payout <= price
    assert len(settled.amounts) == len(parts) + 1


def test_effort_is_rows_times_rounds_and_the_fee_comes_first():
    settled = settle(
        JOB, [part(0, 100, 2), part(1, 100, 1), part(2, 300, 0)], price=1000, fee=100, coordinator=COORDINATOR
    )
    assert settled.amounts == (600, 300, 0, 100)
    assert settled.accounts[-1] == COORDINATOR


def test_without_any_effort_the_buyer_keeps_everything():
    settled = settle(JOB, [part(0, 100, 0)], price=1000, fee=100, coordinator=COORDINATOR)
    assert settled.payout == 0


def test_a_fee_above_the_price_is_a_bug_of_the_caller():
    with pytest.raises(Misuse, match="fee"):
        settle(JOB, [part(0, 1, 1)], price=10, fee=11, coordinator=COORDINATOR)


def test_every_claim_is_proven_under_the_root_and_no_other_amount_is():
    settled = settle(JOB, [part(i, 50, 3) for i in range(5)], price=999, fee=9, coordinator=COORDINATOR)
    tree = settled.tree()
    for index, (account, amount) in enumerate(zip(settled.accounts, settled.amounts, strict=True)):
        siblings = tree.proof(index)
        right = merkle.leaf(claim_leaf_data(JOB, account, amount))
        wrong = merkle.leaf(claim_leaf_data(JOB, account, Tokens(amount + 1)))
        assert merkle.verify(settled.root, right, position=index, siblings=siblings)
        assert not merkle.verify(settled.root, wrong, position=index, siblings=siblings)
