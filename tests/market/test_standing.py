"""Standing: what is good and bad adds up, fades at its own pace, and is never taken for more than it is."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO, Address, Digest
from caduceus.market.standing import (
    BAD_HALF_LIFE,
    BAD_KEPT,
    FORFEITED,
    GOOD_HALF_LIFE,
    GOOD_KEPT,
    NOTHING,
    UNKNOWN,
    Observation,
    Standing,
    after,
    day_of,
    entity_of_lei,
    expected,
    faded,
    lower_bound,
    observation,
    revoked,
    token_of,
    token_of_entity,
)

amounts = st.integers(0, 50 * MICRO)
days = st.integers(0, 5000)
parts = st.integers(0, MICRO)
known = st.builds(Standing, amounts, amounts, st.just(20_000))


# ---------------------------------------------------------------- what a job shows


def test_an_equal_share_is_one_good_observation_and_more_is_no_more():
    shown = [observation(score=score, rounds=9, poisoned=0, sites=10).good for score in (0, 50_000, 100_000, 700_000)]
    assert shown == [0, 500_000, MICRO, MICRO]


def test_scoring_low_dropping_out_and_being_different_are_not_bad():
    for rounds in (0, 1, 20):
        assert observation(score=0, rounds=rounds, poisoned=0, sites=10).bad == 0


def test_bad_is_the_part_of_the_updates_that_did_harm():
    assert observation(score=0, rounds=7, poisoned=3, sites=10) == Observation(0, 300_000)
    assert observation(score=0, rounds=0, poisoned=3, sites=10) == FORFEITED


def test_two_sites_show_nothing_of_one_another():
    assert observation(score=MICRO, rounds=1, poisoned=4, sites=2) == NOTHING
    assert observation(score=MICRO, rounds=1, poisoned=4, sites=3) != NOTHING


@given(parts, st.integers(0, 99), st.integers(0, 99), st.integers(0, 500))
def test_a_job_shows_at_most_one_good_and_one_bad(score, rounds, poisoned, sites):
    shown = observation(score=score, rounds=rounds, poisoned=poisoned, sites=sites)
    assert 0 <= shown.good <= MICRO
    assert 0 <= shown.bad <= MICRO


def test_splitting_into_sybils_earns_no_account_more_standing_than_one_had():
    """A tenth of ten sites' pot, sent through one account or through three."""
    whole = observation(score=100_000, rounds=5, poisoned=0, sites=10).good
    split = observation(score=33_333, rounds=5, poisoned=0, sites=12).good
    assert split < whole


def test_less_than_nothing_is_a_bug_of_the_caller():
    with pytest.raises(Misuse):
        observation(score=-1, rounds=1, poisoned=0, sites=5)


# ---------------------------------------------------------------- fading


def test_half_is_left_after_a_half_life():
    old = Standing(8 * MICRO, 8 * MICRO, 0)
    assert faded(old, GOOD_HALF_LIFE).good == pytest.approx(4 * MICRO, abs=2)
    assert faded(old, BAD_HALF_LIFE).bad == pytest.approx(4 * MICRO, abs=2)


def test_what_is_kept_a_day_is_the_stated_root_of_a_half():
    for kept, half_life in ((GOOD_KEPT, GOOD_HALF_LIFE), (BAD_KEPT, BAD_HALF_LIFE)):
        # kept / 2**64 <= 2**(-1 / half-life) < (kept + 1) / 2**64, in whole numbers
        assert kept**half_life * 2 <= 1 << 64 * half_life < (kept + 1) ** half_life * 2


@given(known, days, days)
def test_how_often_a_standing_is_written_makes_no_difference(before, first, second):
    once = faded(before, before.day + first + second)
    twice = faded(faded(before, before.day + first), before.day + first + second)
    assert abs(once.good - twice.good) <= 2
    assert abs(once.bad - twice.bad) <= 2


@given(known, days)
def test_evidence_only_fades_and_bad_more_slowly(before, passed):
    now = faded(before, before.day + passed)
    assert now.good <= before.good
    assert now.bad <= before.bad
    same = Standing(before.good, before.good, before.day)
    assert faded(same, before.day + passed).bad >= faded(same, before.day + passed).good


def test_in_the_end_nothing_is_known_any_more():
    assert faded(Standing(50 * MICRO, 50 * MICRO, 0), 100 * BAD_HALF_LIFE) == Standing(0, 0, 100 * BAD_HALF_LIFE)


def test_time_does_not_run_backwards():
    with pytest.raises(Misuse, match="before"):
        faded(Standing(1, 1, 100), 99)


@given(known, parts, parts, days)
def test_a_job_adds_what_it_showed_to_what_is_left(before, good, bad, passed):
    day = before.day + passed
    now, left = after(before, Observation(good, bad), day), faded(before, day)
    assert now == Standing(left.good + good, left.bad + bad, day)


def test_no_job_shows_more_than_one_of_each():
    for seen in (Observation(MICRO + 1, 0), Observation(0, MICRO + 1), Observation(-1, 0)):
        with pytest.raises(Misuse, match="at most one"):
            after(UNKNOWN, seen, 1)


@given(known, days)
def test_a_revoked_standing_keeps_what_was_bad(before, passed):
    day = before.day + passed
    assert revoked(before, day) == Standing(0, faded(before, day).bad, day)


# ---------------------------------------------------------------- reading


@given(known)
def test_mean_and_spread_are_those_of_a_beta_distribution(before):
    a, b = before.good / MICRO + 1, before.bad / MICRO + 1
    mean, deviation = beta.mean(a, b), sqrt(beta.var(a, b))
    assert expected(before) == pytest.approx(mean * MICRO, abs=1)
    assert lower_bound(before) == pytest.approx(max(mean - 2 * deviation, 0) * MICRO, abs=3)
    assert lower_bound(before) <= max(mean - 2 * deviation, 0) * MICRO


def test_a_newcomer_is_expected_to_be_anything_and_is_matched_last():
    assert (expected(UNKNOWN), lower_bound(UNKNOWN)) == (500_000, 0)


@given(known, st.integers(1, 50 * MICRO))
def test_more_good_raises_the_mean_and_more_bad_lowers_it(before, more):
    better = Standing(before.good + more, before.bad, before.day)
    worse = Standing(before.good, before.bad + more, before.day)
    assert expected(worse) <= expected(before) <= expected(better)


def test_the_same_mean_from_more_jobs_is_trusted_more():
    few, many = Standing(3 * MICRO, MICRO, 0), Standing(30 * MICRO, 10 * MICRO, 0)
    assert lower_bound(few) < lower_bound(many)


def test_one_forfeited_stake_weighs_on_a_good_name_for_years():
    good = Standing(10 * MICRO, 0, 0)
    caught = after(good, FORFEITED, 0)
    assert lower_bound(caught) < lower_bound(good)
    later = 3 * GOOD_HALF_LIFE
    assert lower_bound(faded(caught, later)) < lower_bound(faded(good, later)) - 50_000


def test_a_day_is_a_day_of_the_calendar():
    assert [day_of(seconds) for seconds in (0, 86_399, 86_400, 1_800_000_000)] == [0, 0, 1, 20_833]


# ---------------------------------------------------------------- whose it is


def test_accounts_and_entities_have_tokens_of_their_own():
    account, attester, other = (Address(bytes([n]) * 20) for n in (1, 2, 3))
    entity = Digest(bytes([9]) * 32)
    tokens = {token_of(account), token_of(attester), token_of_entity(attester, entity), token_of_entity(other, entity)}
    assert len(tokens) == 4
    assert token_of(account) < 1 << 160 <= token_of_entity(attester, entity)


def test_an_lei_names_the_same_entity_however_it_is_written():
    # From GLEIF's public register: Deutsche Bank AG, and the foundation itself.
    assert entity_of_lei("7LTWFZYICNSX8D621K86") == entity_of_lei(" 7ltwfzyicnsx8d621k86 ")
    assert entity_of_lei("506700GE1G29325QX363") != entity_of_lei("7LTWFZYICNSX8D621K86")


@pytest.mark.parametrize(
    "text", ["7LTWFZYICNSX8D621K87", "7LTWFZYICNSX8D621K8", "", "7LTWFZYICNSX8D621KXX", "7LTWF-YICNSX8D621K86"]
)
def test_what_is_no_lei_names_nobody(text):
    with pytest.raises(Refused, match="no LEI"):
        entity_of_lei(text)
