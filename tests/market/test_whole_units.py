"""Money is whole, conserved, and computed the same by everyone."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto import merkle
from caduceus.errors import Misuse
from caduceus.kinds import MICRO, Address, JobId, Tokens
from caduceus.market.settlement import (
    Participation,
    by_contribution,
    claim_leaf_data,
    observation_leaf_data,
    settle,
    split,
)
from caduceus.market.standing import FORFEITED, NOTHING, Observation

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


# ---------------------------------------------------------------- by what was contributed


def scored(*scores, poisoned=()):
    return [
        Participation(Address(bytes([seat]) * 20), 100, 5, score, 2 if seat in poisoned else 0)
        for seat, score in enumerate(scores)
    ]


def shares(parts, price=1_000_000, fee=0, **how):
    return settle(JOB, parts, price=price, fee=fee, coordinator=COORDINATOR, value=by_contribution, **how)


def test_what_nobody_earned_stays_with_the_buyer():
    settled = shares(scored(250_000, 0, 500_000), price=1_000_100, fee=100)
    assert settled.amounts == (250_000, 0, 500_000, 100)
    assert settled.payout == 750_100


def test_when_nobody_contributed_nobody_is_paid_and_the_coordinator_is_not_either():
    assert shares(scored(0, 0, 0), price=1000, fee=100).payout == 0


def test_more_than_the_pot_is_a_bug_of_the_caller():
    with pytest.raises(Misuse, match="more than the pot"):
        shares(scored(600_000, 400_001))


@given(st.integers(0, 10**20), st.lists(st.integers(0, MICRO // 20), min_size=1, max_size=20))
def test_nobody_is_paid_more_than_a_unit_off_its_measured_part(price, scores):
    for amount, score in zip(shares(scored(*scores), price=price).amounts, scores, strict=False):
        assert abs(amount * MICRO - price * score) < MICRO


def test_what_a_slashed_seat_would_have_earned_goes_to_none_of_those_who_sign():
    parts = scored(300_000, 300_000, 400_000)
    whole, without = shares(parts), shares(parts, slashed=(1,))
    assert without.amounts == (whole.amounts[0], 0, whole.amounts[2], 0)
    assert without.slashed == (1,)
    by_effort = [settle(JOB, parts, price=900, fee=9, coordinator=COORDINATOR, slashed=one) for one in ((), (2,))]
    assert by_effort[1].amounts == (*by_effort[0].amounts[:2], 0, 9)


@pytest.mark.parametrize("slashed", [(3,), (1, 1), (2, 0), (-1,)])
def test_slashed_seats_are_rising_ones_of_the_job(slashed):
    with pytest.raises(Misuse, match="rising"):
        shares(scored(1, 2, 3), slashed=slashed)


# ---------------------------------------------------------------- what a job shows


def test_a_job_that_measures_nothing_shows_nothing_and_has_the_claims_alone_under_its_root():
    parts = [part(seat, 100, 2) for seat in range(3)]
    settled = settle(JOB, parts, price=100, fee=10, coordinator=COORDINATOR)
    claims = zip(settled.accounts, settled.amounts, strict=True)
    assert settled.observations == ()
    assert settled.root == merkle.Tree([merkle.leaf(claim_leaf_data(JOB, *claim)) for claim in claims]).root
    with pytest.raises(Misuse, match="no observation"):
        settled.showing(0)


def test_every_observation_is_proven_under_the_root_of_the_claims():
    settled = shares(scored(400_000, 100_000, 0, poisoned=(2,)), slashed=(1,))
    assert settled.observations == (Observation(MICRO, 0), FORFEITED, Observation(0, MICRO * 2 // 7))
    for seat in range(3):
        shown = settled.showing(seat)
        for seen, holds in ((shown.observation, True), (NOTHING, False)):
            found = merkle.leaf(observation_leaf_data(JOB, settled.accounts[seat], seen))
            proof = {"position": shown.index, "siblings": shown.siblings}
            assert merkle.verify(settled.root, found, **proof) is holds


def test_claims_keep_their_places_beside_observations():
    settled = shares(scored(400_000, 100_000, 0))
    for index, (account, amount) in enumerate(zip(settled.accounts, settled.amounts, strict=True)):
        right = merkle.leaf(claim_leaf_data(JOB, account, amount))
        assert merkle.verify(settled.root, right, position=index, siblings=settled.tree().proof(index))


def test_a_slash_alone_is_shown_where_nothing_is_measured():
    parts = [part(seat, 100, 2) for seat in range(3)]
    settled = settle(JOB, parts, price=100, fee=10, coordinator=COORDINATOR, slashed=(0,))
    assert settled.observations == (FORFEITED, NOTHING, NOTHING)
