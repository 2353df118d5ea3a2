"""Sums over groups: each of its own sites, none over few, and no two that differ by few."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import (
    COORDINATOR,
    Memory,
    Play,
    a_client,
    a_setup,
    a_vector,
    prepared,
    reads,
    signer_of,
    sum_of,
    told_by_coordinator,
)
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.secagg_apart import are_apart
from caduceus.protocol.secagg_client import Client, Step
from caduceus.protocol.secagg_messages import Consent, Opening, Survivors, survivors_digest
from caduceus.protocol.secagg_replay import replay
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_setup import Layout

COHORT = 3
TWELVE = prepared(12, cohort=COHORT, rounds=6)
AGAIN = prepared(12, cohort=COHORT, rounds=6, first=1, draw=0)
"""The same sites after a round that came to no sum."""
EIGHTEEN = prepared(18, cohort=COHORT, rounds=2)


def groups_of(session, stage):
    return stage.foundation.layout.groups_in(session.round)


def remembering(revealed):
    """Sites that know of sums that were opened before."""

    def make(session, ground, memory):
        signer = signer_of(ground.seat)
        return Client(session, ground, signer=signer, remember=memory.remember, revealed=revealed)

    return make


def opened_owners(play):
    """Of whom a share was opened, by any member."""
    return {owner for at, _, body in play.heard if at is Phase.OPEN for owner in reads(Opening, body).owners}


# ---------------------------------------------------------------- the sums


@settings(deadline=None, max_examples=12)
@given(st.sets(st.integers(0, 11), max_size=3), st.integers(0, 5), st.sampled_from([32, 64]), st.integers(1, 6))
def test_every_group_has_the_sum_of_its_own_survivors(gone, number, bits, length):
    session = TWELVE.session(round=number, bits=bits, length=length)
    play = Play(stage=TWELVE, session=session, silent={Phase.UPLOAD: frozenset(gone)})
    total = play.run()
    groups = groups_of(session, TWELVE)
    assert sorted(seat for group in groups for seat in group) == list(range(12))
    assert [len(group) for group in groups] == [6, 6]
    assert {at: one.tolist() for at, one in play.server.totals.items()} == {
        at: play.plain_sum(seat for seat in group if seat not in gone) for at, group in enumerate(groups)
    }
    assert total.tolist() == play.plain_sum(seat for seat in range(12) if seat not in gone)
    assert {at: one.tolist() for at, one in play.replayed().items()} == {
        at: one.tolist() for at, one in play.server.totals.items()
    }
    assert not play.problems
    assert not play.server.faults


def test_masks_reach_no_further_than_the_group():
    """So a group's sum opens without a word about the others."""
    play = Play(stage=TWELVE)
    play.run()
    first, second = groups_of(play.session, TWELVE)
    kept = {other for seat in first for other in TWELVE.grounds[seat].pair_seeds}
    assert kept == set(range(12))  # for other rounds
    alone = Play(stage=TWELVE, silent={Phase.UPLOAD: frozenset(second[:3])})
    alone.run()
    assert alone.server.totals[0].tolist() == play.server.totals[0].tolist() == play.plain_sum(first)
    assert alone.server.uploads()[first[0]] == play.server.uploads()[first[0]]


def test_a_group_with_too_few_survivors_stays_closed_and_nothing_of_its_members_is_opened():
    session = EIGHTEEN.session()
    groups = groups_of(session, EIGHTEEN)
    gone = frozenset((*groups[1][:4], groups[2][0]))
    play = Play(stage=EIGHTEEN, silent={Phase.UPLOAD: gone})
    play.run()
    assert play.server.groups == (0, 2)
    assert play.server.totals[0].tolist() == play.plain_sum(groups[0])
    assert play.server.totals[2].tolist() == play.plain_sum(groups[2][1:])
    assert play.server.summed == tuple(sorted((*groups[0], *groups[2][1:])))
    assert play.server.survivors == tuple(sorted(set(range(18)) - gone))
    assert opened_owners(play) == {*groups[0], *groups[2]}
    assert not play.server.faults
    fetched = []
    exchange, uploads = play.server.exchange(), play.server.uploads()
    again = replay(exchange, EIGHTEEN.foundation, lambda seat: fetched.append(seat) or uploads[seat])
    assert {at: one.tolist() for at, one in again.items()} == {
        at: one.tolist() for at, one in play.server.totals.items()
    }
    assert not set(fetched) & set(groups[1])


def test_with_as_many_survivors_as_a_cohort_the_group_is_open():
    groups = groups_of(EIGHTEEN.session(), EIGHTEEN)
    play = Play(stage=EIGHTEEN, silent={Phase.UPLOAD: frozenset(groups[1][:3])})
    play.run()
    assert play.server.groups == (0, 1, 2)
    assert play.server.totals[1].tolist() == play.plain_sum(groups[1][3:])


# ---------------------------------------------------------------- which groups


def test_groups_change_with_every_sum_and_stay_where_a_round_came_to_none():
    draws = [groups_of(TWELVE.session(round=number), TWELVE) for number in range(5)]
    assert len(set(draws)) == 5
    assert [groups_of(AGAIN.session(round=number + 1), AGAIN) for number in range(5)] == draws
    assert Layout(a_setup(12, cohort=COHORT, rounds=6)).groups(4) == draws[4]  # everybody computes the same


@pytest.mark.parametrize(("sites", "cohort"), [(6, 3), (7, 3), (9, 4), (12, 3), (13, 3), (18, 3), (20, 5), (30, 4)])
def test_no_two_groups_of_any_draws_differ_by_few_sites(sites, cohort):
    layout = Layout(a_setup(sites, cohort=cohort))
    draws = [layout.groups(draw) for draw in range(12)]
    assert all(sorted(seat for group in groups for seat in group) == list(range(sites)) for groups in draws)
    every = [frozenset(group) for groups in draws for group in groups]
    assert all(len(group) >= 2 * cohort for group in every)
    assert all(one == other or len(one ^ other) >= cohort for one, other in combinations(every, 2))
    assert sites < 12 or len(set(draws)) > 1


@given(
    st.lists(st.frozensets(st.integers(0, 9)), max_size=5),
    st.frozensets(st.integers(0, 9)),
    st.integers(0, 5),
)
def test_sums_are_apart_if_each_is_over_the_same_sites_or_differs_by_enough(revealed, proposed, least):
    every = all(proposed == one or len((proposed - one) | (one - proposed)) >= least for one in revealed)
    assert are_apart(revealed, proposed, least) == every
    assert are_apart([*revealed, proposed], proposed, least) == every
    assert are_apart(reversed(revealed), proposed, least) == every


# ---------------------------------------------------------------- what was revealed before


@pytest.mark.parametrize("differ", range(5))
def test_a_group_that_differs_by_few_from_an_earlier_one_stays_closed(differ):
    session = TWELVE.session(round=1)
    groups = groups_of(session, TWELVE)
    revealed = (frozenset((*groups[1][:differ], *groups[0])),)
    play = Play(stage=TWELVE, session=session, revealed=revealed, make=remembering(revealed))
    play.run()
    assert play.server.groups == ((1,) if 0 < differ < COHORT else (0, 1))
    assert opened_owners(play) == {seat for at in play.server.groups for seat in groups[at]}
    assert not play.problems


def test_where_every_group_differs_by_few_there_is_no_sum():
    session = TWELVE.session(round=1)
    revealed = tuple(frozenset(group[1:]) for group in groups_of(session, TWELVE))
    play = Play(stage=TWELVE, session=session, revealed=revealed)
    with pytest.raises(Refused, match="no group of at least 3 sites has a sum that differs by so many"):
        play.run()
    assert not play.server.totals
    assert play.server.groups == play.server.survivors == ()


@pytest.mark.parametrize("differ", [1, 2, 3, 4])
def test_a_site_refuses_a_sum_that_differs_by_few_from_one_that_it_agreed_to(differ):
    """The coordinator forgets what was opened, or says that it came to nothing; its sites do not."""
    session = TWELVE.session(round=1)
    groups = groups_of(session, TWELVE)
    seat = groups[0][-1]
    revealed = (frozenset(groups[0][differ:]), frozenset(groups[1]))
    client = remembering(revealed)(session, TWELVE.grounds[seat], Memory())
    client.upload(a_vector(session, seat))
    told = told_by_coordinator(Survivors(session.digest, tuple(range(12)), (0, 1)))
    if differ < COHORT:
        with pytest.raises(Refused, match="differ from an earlier one by fewer than 3 sites"):
            client.react(told)
        assert client.step is Step.STOPPED
        assert not client.opened
    else:
        client.react(told)
        assert client.opened == groups
    only_the_other = told_by_coordinator(Survivors(session.digest, tuple(range(12)), (1,)))
    fresh = remembering(revealed)(session, TWELVE.grounds[seat], Memory())
    fresh.upload(a_vector(session, seat))
    fresh.react(only_the_other)
    assert fresh.opened == groups[1:]


def test_a_round_that_is_said_to_have_failed_is_not_repeated_with_one_site_less():
    """The coordinator opened the first and hides it; from the second it would learn one site's update."""
    first = Play(stage=TWELVE)
    first.run()
    groups = groups_of(first.session, TWELVE)
    second = Play(
        stage=AGAIN,
        session=AGAIN.session(round=1, state=bytes(range(32))),
        silent={Phase.UPLOAD: frozenset({groups[0][0]})},
        make=remembering(tuple(map(frozenset, first.clients[0].opened))),
    )
    with pytest.raises(Refused, match="only 0 sites answered with consent"):
        second.run()
    assert len(second.problems) == 11
    assert not second.server.totals
    honest = Play(
        stage=AGAIN,
        session=second.session,
        silent=second.silent,
        make=second.make,
        revealed=tuple(map(frozenset, groups)),
    )
    honest.run()  # who remembers opens the other group, which is the same as before
    assert honest.server.groups == (1,)
    assert honest.server.totals[1].tolist() == honest.plain_sum(groups[1])


# ---------------------------------------------------------------- a coordinator that lies


def consent_of(seat, seats, which, stage=EIGHTEEN, memory=None):
    session = stage.session()
    client = a_client(session, stage.grounds[seat], memory)
    client.upload(a_vector(session, seat))
    told = told_by_coordinator(Survivors(session.digest, tuple(sorted(seats)), which))
    return reads(Consent, client.react(told)[0])


def test_a_site_consents_to_no_group_with_fewer_survivors_than_a_cohort():
    groups = groups_of(EIGHTEEN.session(), EIGHTEEN)
    few = set(range(18)) - set(groups[1][:4])
    for which in ((1,), (0, 1), (1, 2), (0, 1, 2)):
        with pytest.raises(PeerFault, match="the coordinator: would open a sum over fewer than 3 sites"):
            consent_of(groups[0][0], few, which)
    said = consent_of(groups[0][0], few, (0, 2))
    assert said.survivors == survivors_digest(sorted(few), [groups[0], groups[2]])


def test_a_site_consents_to_no_groups_that_there_are_not():
    groups = groups_of(EIGHTEEN.session(), EIGHTEEN)
    for which in ((), (3,), (-1,), (1, 0), (1, 1), (0, 1, 2, 3)):
        with pytest.raises(PeerFault, match="groups that there are not"):
            consent_of(groups[0][0], range(18), which)
    with pytest.raises(PeerFault, match="a survivor list of 12, 13 are needed"):
        consent_of(groups[0][0], (*groups[0], *groups[1]), (0,))


def test_a_site_that_consented_to_some_groups_consents_to_no_others():
    groups, memory = groups_of(EIGHTEEN.session(), EIGHTEEN), Memory()
    seat = groups[0][0]
    assert consent_of(seat, range(18), (0, 1), memory=memory) == consent_of(seat, range(18), (0, 1), memory=memory)
    for which in ((2,), (0, 2), (0,), (0, 1, 2)):
        with pytest.raises(Refused, match="survivors was decided differently"):
            consent_of(seat, range(18), which, memory=memory)


def test_who_sits_in_a_closed_group_helps_to_open_the_others():
    groups = groups_of(EIGHTEEN.session(), EIGHTEEN)
    play = Play(stage=EIGHTEEN, silent={Phase.UPLOAD: frozenset(groups[1][:4])})
    play.run()
    opened = {seat: reads(Opening, body) for at, seat, body in play.heard if at is Phase.OPEN}
    for seat in groups[1][4:]:
        assert opened[seat].owners == tuple(sorted((*groups[0], *groups[2])))


def test_a_server_that_forgot_which_groups_were_opened_finds_the_same_ones_again():
    """Where a sum is the same as before, nothing new is revealed."""
    first = Play(stage=TWELVE)
    first.run()
    revealed = tuple(map(frozenset, groups_of(first.session, TWELVE)))
    server = Server(AGAIN.session(round=1), AGAIN.foundation, COORDINATOR, revealed=revealed)
    play = Play(stage=AGAIN, session=AGAIN.session(round=1), make=remembering(revealed))
    play.server = server
    play.run()
    assert sum_of(server.totals).tolist() == play.plain_sum(range(12))
