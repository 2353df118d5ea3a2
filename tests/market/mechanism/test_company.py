"""Who goes with whom, read from one Gram matrix: copies, replays, circles, and what sets sites apart."""

from dataclasses import replace

import numpy as np
import pytest
from hidden_updates import SITES, Rounds
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.market.mechanism.company import apart, circles, meet
from caduceus.market.mechanism.evidence import combined
from caduceus.market.mechanism.middle import middle, spread, standing_out
from caduceus.market.mechanism.rules import Rules
from caduceus.market.mechanism.seen import INDEPENDENT

RULES = Rules()


def ringed(seen):
    company = meet(seen, RULES)
    alone = apart(company, seen.helps)
    return company, alone, circles(company, company.cosines, alone.pull, RULES)


def test_of_two_like_updates_the_one_that_was_committed_to_later_is_the_copy():
    play = Rounds()
    updates = play.honest()
    updates[3] = updates[7]
    seen = play.seen(updates)
    assert np.flatnonzero(meet(seen, RULES).copied).tolist() == [7]
    later = seen.order.copy()
    later[3] = SITES
    assert np.flatnonzero(meet(replace(seen, order=later), RULES).copied).tolist() == [3]
    at_once = meet(replace(seen, order=np.zeros(SITES, np.int64)), RULES)
    assert not at_once.copied.any()


def test_updates_that_commit_at_once_and_are_alike_share_one_voice():
    play = Rounds()
    updates = play.honest()
    updates[3] = updates[7]
    _, _, ring = ringed(replace(play.seen(updates), order=np.zeros(SITES, np.int64)))
    assert ring.voice[3] == ring.voice[7] == 0.5
    assert ring.voice[5] == 1.0


def test_three_that_pull_together_are_a_circle_and_two_are_too_few():
    play = Rounds()
    for many, crowded in ((3, True), (2, False)):
        updates = play.honest()
        updates[-many:] += 2.0 * play.noise(1, 1.0)
        _, _, ring = ringed(play.seen(updates))
        assert ring.crowded[-many:].all() == crowded
        assert np.allclose(ring.voice[-many:], 1.0 / many)
        assert not ring.crowded[:-many].any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_sets_sites_apart_is_what_projection_on_plain_vectors_finds(seed):
    play = Rounds(seed)
    updates = play.honest()
    seen = play.seen(updates)
    company, alone, _ = ringed(seen)
    unit = updates / np.linalg.norm(updates, axis=1, keepdims=True)
    mean = unit[company.speaking].mean(axis=0)
    left = unit - np.outer(unit @ mean, mean) / (mean @ mean)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    assert np.allclose(alone.pull, left @ left.T)
    slopes = np.linalg.lstsq(updates, seen.helps.reshape(SITES, -1), rcond=None)[0]
    assert np.allclose(alone.news.reshape(SITES, -1), left @ slopes)


def test_nobody_judges_itself_or_who_is_like_it():
    play = Rounds(anchor=False)
    updates = play.honest()
    updates[-3:] += 2.0 * play.noise(1, 1.0)
    seen = play.seen(updates)
    _, _, ring = ringed(seen)
    plain = combined(seen.helps, seen.owner, ring)
    boasting = seen.helps.copy()
    for seat in range(SITES - 3, SITES):
        boasting[seat, SITES - 3 :] = 1e9
    boasting[4, 4] = 1e9
    assert np.array_equal(plain, combined(boasting, seen.owner, ring))
    boasting[4, 5:9] = 1e9
    assert not np.array_equal(plain, combined(boasting, seen.owner, ring))


def test_too_few_voices_say_nothing_and_an_independent_evaluator_always_speaks():
    play = Rounds()
    seen = play.seen(play.honest())
    _, _, ring = ringed(seen)
    few = seen.helps.copy()
    few[:, 3:SITES] = np.nan
    found = combined(few, seen.owner, ring)
    assert np.array_equal(found[:2], few[:2, seen.owner == INDEPENDENT][:, 0])
    none = few.copy()
    none[:, seen.owner == INDEPENDENT] = np.nan
    assert np.isnan(combined(none, seen.owner, ring)[:2]).all()


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), seed=st.integers(0, 2**32))
def test_whole_voices_count_as_so_many_equal_ones(values, seed):
    say = np.random.default_rng(seed).integers(0, 4, len(values)).astype(float)
    repeated = np.sort(np.repeat(values, say.astype(int)))
    found = middle(np.array(values), say)
    if len(repeated):
        assert found == repeated[(len(repeated) - 1) // 2]
    else:
        assert np.isnan(found)


def test_a_spread_is_never_less_than_the_least_and_no_voice_stands_out_from_nobody():
    assert spread(np.ones(5), np.ones(5), 0.2) == 0.2
    assert spread(np.array([-1.0, 0.0, 1.0]), np.ones(3), 0.2) == pytest.approx(1.4826)
    assert not standing_out(np.arange(4.0), np.zeros(4), 0.1).any()
