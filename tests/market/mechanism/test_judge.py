"""Poison out, an honest outlier in, and pay that follows; each decision beside its opposite."""

from dataclasses import replace

import numpy as np
import pytest
from hidden_updates import OUTLIER, SITES, WIDE, Rounds, permuted
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.canon import pack, unpack
from caduceus.errors import Misuse
from caduceus.market.mechanism.judge import judge
from caduceus.market.mechanism.rules import Memory, Rules, start
from caduceus.market.mechanism.verdict import Lane

BAD = [9, 10, 11]
both = pytest.mark.parametrize("anchor", [True, False])


def flipped(updates):
    updates[BAD] *= -1.0
    return updates


def together(play):
    """Three sites that pull somewhere of their own, and still a little where all others do."""
    goal = play.noise(1, 1.0)[0]

    def attack(updates):
        updates[BAD] = 0.3 * play.common + goal + play.noise(len(BAD), 0.4)
        return updates

    return attack


def vouching(updates):
    """Evaluators of the attackers who claim that the attackers' mean update is what helps."""
    return {seat: updates[BAD].mean(axis=0) for seat in BAD}


@both
def test_the_outlier_comes_back_because_it_helps_its_stratum(anchor):
    verdict = Rounds(anchor=anchor).play(6)
    assert verdict.lane[OUTLIER] == Lane.READMITTED
    assert verdict.weights[OUTLIER] / verdict.shrink[OUTLIER] > 2.0 / SITES
    assert verdict.pay[OUTLIER] > 2.0 / SITES
    assert set(verdict.lane[1:]) == {Lane.CONSENSUS}


def test_an_outlier_that_helps_nobody_is_dropped_and_not_paid():
    play = Rounds()

    def elsewhere(updates):
        own = 2.0 * play.habits[OUTLIER] + play.noise(1, 0.3)[0]
        updates[OUTLIER] = own - (own @ play.common) * play.common - (own @ play.rare) * play.rare
        return updates

    verdict = play.play(6, elsewhere)
    assert verdict.lane[OUTLIER] == Lane.DROPPED
    assert verdict.weights[OUTLIER] == verdict.pay[OUTLIER] == 0.0


@both
def test_flipped_updates_get_neither_weight_nor_pay_though_their_senders_vouch_for_them(anchor):
    verdict = Rounds(anchor=anchor).play(6, flipped, vouching)
    assert all(verdict.lane[seat] in (Lane.VETOED, Lane.DROPPED) for seat in BAD)
    assert not verdict.weights[BAD].any()
    assert not verdict.pay[BAD].any()
    assert verdict.lane[OUTLIER] == Lane.READMITTED


@both
def test_a_circle_that_pulls_elsewhere_is_dropped_and_one_such_site_alone_is_not(anchor):
    play = Rounds(anchor=anchor)
    verdict = play.play(6, together(play), vouching)
    assert not verdict.weights[BAD].any()
    assert set(verdict.lane[1:9]) == {Lane.CONSENSUS}


def test_liars_alone_do_not_decide_who_is_readmitted():
    play = Rounds(anchor=False)
    outlier = play.play(6, lies=lambda updates: dict.fromkeys(BAD, -play.rare))
    assert outlier.lane[OUTLIER] == Lane.READMITTED


@pytest.mark.parametrize("copied", [OUTLIER, 4])
def test_who_copies_an_earlier_update_neither_counts_nor_earns(copied):
    def copies(updates):
        updates[BAD] = updates[copied]
        return updates

    alone, crowd = Rounds().play(6), Rounds().play(6, copies)
    assert all(crowd.lane[seat] == Lane.COPIED for seat in BAD)
    assert not crowd.weights[BAD].any()
    assert not crowd.pay[BAD].any()
    assert crowd.lane[copied] == alone.lane[copied]
    assert crowd.pay[copied] > 0.9 * alone.pay[copied]


def test_who_sends_the_last_move_again_or_nothing_earns_nothing():
    play = Rounds()

    def idle(updates):
        updates[10] = play.last + play.noise(1, 0.001)[0]
        updates[11] = play.noise(1, 0.001)[0]
        return updates

    verdict = play.play(4, idle)
    assert verdict.lane[10] == verdict.lane[11] == Lane.STALE
    assert verdict.pay[10] == verdict.pay[11] == 0.0
    assert verdict.weights[10] == verdict.weights[11] == 0.0


def test_a_longer_update_moves_the_model_no_further():
    def longer(updates):
        updates[5] *= 50.0
        return updates

    plain, long = Rounds().play(4), Rounds().play(4, longer)
    assert long.weights[5] * 50.0 <= 1.2 * plain.weights[5]
    assert long.pay[5] <= 1.1 * plain.pay[5]


def test_who_is_absent_is_neither_weighed_nor_forgotten():
    play = Rounds()
    play.play(4)
    before = play.memory
    updates = play.honest()
    updates[3] = 0.0
    seen = play.seen(updates)
    seen.present[3] = False
    verdict = play.judge(seen)
    assert verdict.lane[3] == Lane.ABSENT
    assert verdict.weights[3] == verdict.pay[3] == 0.0
    assert np.array_equal(verdict.memory.effects.mean[3], before.effects.mean[3])
    assert not np.array_equal(verdict.memory.effects.mean[4], before.effects.mean[4])


def test_a_round_without_anybody_moves_nothing():
    play = Rounds()
    seen = replace(play.seen(np.zeros((SITES, WIDE))), present=np.zeros(SITES, bool))
    verdict = play.judge(seen)
    assert set(verdict.lane) == {Lane.ABSENT}
    assert not verdict.weights.any()
    assert not verdict.pay.any()


def test_without_any_evaluator_the_consensus_still_stands_and_nobody_is_readmitted():
    play = Rounds()
    seen = play.seen(play.honest())
    verdict = play.judge(replace(seen, helps=np.full_like(seen.helps, np.nan)))
    assert Lane.READMITTED not in verdict.lane
    assert verdict.weights.sum() > 0.5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), hostile=st.integers(0, SITES), scale=st.floats(0.01, 100.0), anchor=st.booleans())
def test_whatever_is_sent_weights_and_pay_stay_within_their_bounds(seed, hostile, scale, anchor):
    play = Rounds(seed, anchor=anchor)

    def anything(updates):
        updates[SITES - hostile :] = play.noise(hostile, scale)
        return updates

    for _ in range(3):
        verdict = play.play(1, anything)
        assert (verdict.weights >= 0.0).all()
        assert verdict.weights.sum() <= 1.0 + 1e-9
        assert (verdict.weights / verdict.shrink).max() <= play.rules.cap + 1e-9
        assert (verdict.pay >= 0.0).all()
        assert verdict.pay.sum() <= 1.0 + 1e-9
    assert np.allclose(verdict.memory.earned.sum(), verdict.memory.earned.clip(0).sum())


def test_a_job_without_declared_strata_has_a_consensus_and_no_second_lane():
    play = Rounds()
    seen = play.seen(flipped(play.honest()))
    rules = Rules(budgets=(1.0,), voices=(1.0,))
    one = replace(seen, helps=seen.helps[..., :1], moved_helps=seen.moved_helps[:, :1], losses=seen.losses[:, :1])
    verdict = judge(rules, start(rules, SITES, len(seen.owner)), one)
    assert set(verdict.lane[1:9]) == {Lane.CONSENSUS}
    assert not verdict.weights[BAD].any()
    assert not verdict.pay[BAD].any()


@settings(max_examples=15, deadline=None)
@given(seats=st.permutations(range(SITES)))
def test_the_order_of_seats_decides_nothing(seats):
    seats = np.array(seats)
    play = Rounds(3)
    seen = play.seen(flipped(play.honest()))
    memory = start(play.rules, SITES, len(seen.owner))
    one, other = judge(play.rules, memory, seen), judge(play.rules, memory, permuted(seen, seats))
    assert np.allclose(one.weights[seats], other.weights)
    assert np.allclose(one.pay[seats], other.pay)
    assert [one.lane[seat] for seat in seats] == list(other.lane)


def test_a_memory_survives_its_bytes_and_the_next_verdict_is_the_same():
    play = Rounds()
    play.play(3)
    memory, seen = play.memory, play.seen(play.honest())
    again = unpack(Memory, pack(memory))
    assert again == memory
    one, other = judge(play.rules, memory, seen), judge(unpack(Rules, pack(play.rules)), again, seen)
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.pay, other.pay)
    assert one.memory == other.memory


def test_evidence_that_does_not_fit_is_refused():
    play = Rounds()
    seen = play.seen(play.honest())
    memory = start(play.rules, SITES, len(seen.owner))
    for wrong in (
        replace(seen, moved=np.zeros(3)),
        replace(seen, products=np.full((SITES, SITES), np.nan)),
        replace(seen, helps=np.full_like(seen.helps, np.inf)),
        replace(seen, owner=np.full(len(seen.owner), SITES)),
        replace(seen, moved_norm2=-1.0),
    ):
        with pytest.raises(Misuse):
            judge(play.rules, memory, wrong)
    with pytest.raises(Misuse):
        judge(play.rules, start(play.rules, SITES + 1, len(seen.owner)), seen)
    with pytest.raises(Misuse):
        judge(play.rules, start(play.rules, SITES, len(seen.owner) - 1), seen)
    with pytest.raises(Misuse):
        judge(Rules(budgets=(1.0,), voices=(1.0,)), memory, seen)
    with pytest.raises(Misuse):
        start(Rules(budgets=(0.8, 0.3)), SITES, 3)
