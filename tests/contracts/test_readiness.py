"""Readiness: a steward states a verdict on its data set, and a job can demand one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caduceus.edges.gateway import Reverted, suite
from caduceus.errors import Misuse
from caduceus.kinds import Digest, Readiness
from suite_world import Party, Play, World, call, digest, refused

VERDICTS = [Readiness.BLOCKED, Readiness.CONDITIONAL, Readiness.READY]


def new(world: World) -> Digest:
    """A data set of site-0 of which nothing is stated."""
    wallet = world.party("site-0").wallet
    values = (digest("unstated", next(world.nonce)), digest("card"), digest("terms"), 0, 0)
    wallet.register_dataset(*values)
    return wallet.dataset_id(*values)


def asking(world: World, least: Readiness) -> Play:
    """A job that sites can enrol in, as long as their data sets are ready enough."""
    return Play(world, sites=0, terms=world.terms(readiness=least)).enrolling()


# ---------------------------------------------------------------- stating


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_steward_states_a_verdict_and_everybody_reads_it(world: World, verdict: Readiness) -> None:
    dataset, report = new(world), digest("report", verdict)
    world.party("site-0").wallet.state_readiness(dataset, report, verdict)
    entry = world.chain.dataset(dataset)
    assert entry is not None
    assert (entry.readiness, entry.report, entry.active) == (verdict, report, True)
    ((_, _, active, superseded, kept, *_),) = call(world, suite.DATASETS["dataset"], dataset)
    assert (active, superseded, kept) == (True, False, int(verdict))


def test_the_newest_verdict_counts_better_or_worse(world: World) -> None:
    dataset, wallet = new(world), world.party("site-0").wallet
    for number, verdict in enumerate([Readiness.READY, Readiness.BLOCKED, Readiness.CONDITIONAL]):
        wallet.state_readiness(dataset, digest("report", number), verdict)
        entry = world.chain.dataset(dataset)
        assert entry is not None
        assert (entry.readiness, entry.report) == (verdict, digest("report", number))


def test_only_the_steward_of_an_active_data_set_states_its_readiness(world: World, stranger: Party) -> None:
    dataset = new(world)
    for party in (stranger, world.party("site-1")):
        with refused("NotSteward", dataset, party.address):
            party.wallet.state_readiness(dataset, digest("report"), Readiness.READY)
    steward = world.party("site-0")
    with refused("DatasetInactive", digest("unheard of")):
        steward.wallet.state_readiness(digest("unheard of"), digest("report"), Readiness.READY)
    steward.wallet.withdraw_dataset(dataset)
    with refused("DatasetInactive", dataset):
        steward.wallet.state_readiness(dataset, digest("report"), Readiness.READY)


def test_a_verdict_is_one_of_three_and_stands_on_a_report(world: World) -> None:
    dataset, steward = new(world), world.party("site-0")
    at, state = world.deployment.datasets, suite.DATASETS["stateReadiness"]
    for verdict in (0, 4, 255):
        with refused("VerdictUnknown", verdict):
            steward.account.invoke(at, state, dataset, digest("report"), verdict)
    with refused("ReportMissing"):
        steward.account.invoke(at, state, dataset, bytes(32), 3)
    with pytest.raises(Misuse, match="stateReadiness"):
        steward.wallet.state_readiness(dataset, digest("report"), 256)  # type: ignore[arg-type]
    with pytest.raises(Reverted, match="4 is no verdict on readiness; there are blocked, conditional, ready"):
        world.party("site-0").account.invoke(at, state, dataset, digest("report"), 4)


def test_a_spent_budget_outlives_a_verdict(world: World) -> None:
    """They are kept side by side."""
    dataset, wallet = world.limited("site-0", 5, 7), world.party("site-0").wallet
    wallet.state_readiness(dataset, digest("report"), Readiness.READY)
    assert call(world, suite.DATASETS["left"], dataset) == (5, 7)
    assert call(world, suite.DATASETS["stewardOf"], dataset) == (f"0x{wallet.account.hex()}",)


# ---------------------------------------------------------------- demanding


@pytest.mark.parametrize("least", Readiness)
def test_a_job_says_what_it_demands_and_everybody_reads_it(world: World, least: Readiness) -> None:
    entry = world.chain.job(Play(world, terms=world.terms(readiness=least)).funded().id)
    assert entry is not None
    assert entry.readiness is least


def test_a_job_that_demands_more_than_ready_is_refused(world: World) -> None:
    for verdict in (4, 255):
        terms = suite.terms_tuple(world.terms(readiness=verdict))
        for function in ("open", "openAndFund"):
            with refused("ReadinessUnknown", verdict):
                world.party("buyer").do(function, terms)


def test_the_jobs_id_commits_to_the_demand(world: World) -> None:
    wallet, terms = world.party("buyer").wallet, world.terms()
    ids = {wallet.job_id(replace(terms, readiness=least)) for least in Readiness}
    assert len(ids) == 4


@pytest.mark.parametrize("least", Readiness)
def test_a_data_set_enrols_exactly_where_it_is_ready_enough(world: World, least: Readiness) -> None:
    wallet, dataset = world.party("site-0").wallet, new(world)
    for stated in Readiness:
        if stated:
            wallet.state_readiness(dataset, digest("report"), stated)
        play = asking(world, least)
        if stated < least:
            with refused("ReadinessBelow", dataset, int(stated), int(least)):
                play.site(0).wallet.enrol(play.id, dataset)
            assert world.chain.enrolments(play.id) == []
            continue
        play.site(0).wallet.enrol(play.id, dataset)
        (seat,) = world.chain.enrolments(play.id)
        assert seat.readiness is stated


def test_who_is_not_ready_is_told_what_it_has_and_what_is_asked(world: World) -> None:
    dataset, play = new(world), asking(world, Readiness.READY)
    said = rf"data set 0x{dataset.hex()} is unstated, and the job asks for ready at least"
    with pytest.raises(Reverted, match=said):
        play.site(0).wallet.enrol(play.id, dataset)


def test_a_verdict_counts_at_the_enrolment_and_not_afterwards(world: World) -> None:
    dataset, play = new(world), asking(world, Readiness.CONDITIONAL)
    site = play.site(0).wallet
    site.state_readiness(dataset, digest("report"), Readiness.READY)
    site.enrol(play.id, dataset)
    site.state_readiness(dataset, digest("another report"), Readiness.BLOCKED)
    play.coordinator.wallet.start(play.id)
    assert [seat.readiness for seat in world.chain.enrolments(play.id)] == [Readiness.READY]
    later = asking(world, Readiness.CONDITIONAL)
    with refused("ReadinessBelow", dataset, int(Readiness.BLOCKED), int(Readiness.CONDITIONAL)):
        site.enrol(later.id, dataset)


def test_another_steward_is_not_told_how_ready_a_data_set_is(world: World) -> None:
    dataset, play = new(world), asking(world, Readiness.READY)
    with refused("NotSteward", dataset, play.site(1).address):
        play.site(1).wallet.enrol(play.id, dataset)


def test_readiness_is_asked_before_privacy_is_reserved(world: World) -> None:
    dataset, play = world.limited("site-0", 5, 7), asking(world, Readiness.READY)
    with refused("ReadinessBelow", dataset, 0, 3):
        play.site(0).wallet.enrol(play.id, dataset)
    play.site(0).wallet.state_readiness(dataset, digest("report"), Readiness.READY)
    with refused("ExactSumsRefused", dataset):
        play.site(0).wallet.enrol(play.id, dataset)
