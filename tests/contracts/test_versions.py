"""Versions of a data set: the next one has the same privacy budget, takes the place of the one before, and says so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from caduceus.edges.gateway import Reverted, suite
from caduceus.kinds import Digest, Readiness, Role, Seat
from caduceus.market.costs import Costs
from caduceus.ports import BudgetMove, DatasetEntry
from suite_world import Party, Play, World, call, digest, refused

EPSILON, DELTA = 1_000_000, 1_000_000
COSTS = Costs(((0, 0), (400_000, 100_000), (EPSILON, DELTA)))
BUDGET = 2 * EPSILON + 400_000, 3 * DELTA
"""For two runs, and a part of a third."""


@dataclass(frozen=True)
class Version:
    """What a version is registered with."""

    commitment: Digest
    card: Digest
    terms: Digest

    @property
    def digests(self) -> tuple[Digest, Digest, Digest]:
        return self.commitment, self.card, self.terms


def fresh(world: World) -> Version:
    """Records that nobody committed to before."""
    number = next(world.nonce)
    return Version(digest("records", number), digest("card", number), digest("terms", number))


def entry_of(world: World, dataset: Digest) -> DatasetEntry:
    entry = world.chain.dataset(dataset)
    assert entry is not None
    return entry


def supersede(world: World, previous: Digest, version: Version, steward: str = "site-0") -> Digest:
    """Its id; the event says the same budget as the previous version's."""
    wallet, before = world.party(steward).wallet, entry_of(world, previous)
    wallet.supersede_dataset(previous, *version.digests)
    return wallet.superseding_id(previous, *version.digests, before.budget_micro, before.delta_pico)


def spend(world: World, dataset: Digest, steward: int = 0) -> Play:
    """A private job that the data set takes a seat in."""
    play = Play(world, sites=0, terms=world.private_terms(COSTS)).enrolling()
    play.site(steward).wallet.enrol(play.id, dataset)
    return play


def spent(world: World, dataset: Digest) -> tuple[int, int]:
    entry = entry_of(world, dataset)
    left = call(world, suite.DATASETS["left"], dataset)
    assert left == (entry.budget_micro - entry.epsilon_spent_micro, entry.delta_pico - entry.delta_spent_pico)
    return entry.epsilon_spent_micro, entry.delta_spent_pico


# ---------------------------------------------------------------- what a version is


def test_a_newer_version_takes_the_place_of_the_one_before(world: World) -> None:
    first, version = world.limited("site-0", *BUDGET), fresh(world)
    second = supersede(world, first, version)
    old, new = entry_of(world, first), entry_of(world, second)
    assert (old.active, old.previous) == (False, None)
    assert (new.active, new.previous, new.steward) == (True, first, world.party("site-0").address)
    assert (new.commitment, new.card, new.terms) == version.digests
    assert (new.budget_micro, new.delta_pico) == BUDGET
    assert [one.id for one in world.chain.datasets()][-2:] == [first, second]
    told = world.node.logs(world.deployment.datasets, [suite.DATASET_EVENTS["DatasetSuperseded"]], second, since=0)
    assert [suite.DATASET_EVENTS["DatasetSuperseded"].read(one)[2] for one in told] == [first]


def test_the_id_commits_to_the_version_before(world: World) -> None:
    wallet, version = world.party("site-0").wallet, fresh(world)
    ids = [wallet.superseding_id(digest(one), *version.digests, *BUDGET) for one in ("one", "other")]
    assert len({*ids, wallet.dataset_id(*version.digests, *BUDGET)}) == 3
    given = (wallet.account, *version.digests, *BUDGET, digest("one"))
    assert call(world, suite.DATASETS["idOf"], *given) == (ids[0],)


def test_versions_form_a_chain_and_each_has_one_successor(world: World) -> None:
    first = world.limited("site-0", *BUDGET)
    second = supersede(world, first, fresh(world))
    third = supersede(world, second, fresh(world))
    for old in (first, second):
        with refused("AlreadySuperseded", old):
            supersede(world, old, fresh(world))
    chain = [entry_of(world, one).previous for one in (first, second, third)]
    assert chain == [None, first, second]
    assert [entry_of(world, one).active for one in (first, second, third)] == [False, False, True]


def test_a_withdrawn_data_set_may_have_a_newer_version(world: World) -> None:
    """A steward takes a data set off the market at once, and has its successor ready later."""
    first = world.limited("site-0", *BUDGET)
    spend(world, first)
    world.party("site-0").wallet.withdraw_dataset(first)
    second = supersede(world, first, fresh(world))
    assert entry_of(world, second).active
    assert spent(world, second) == (EPSILON, DELTA)
    withdrawn = suite.DATASET_EVENTS["DatasetWithdrawn"]
    assert len(world.node.logs(world.deployment.datasets, [withdrawn], first, since=0)) == 1


def test_nothing_is_stated_of_the_readiness_of_a_newer_version(world: World) -> None:
    first, wallet = world.limited("site-0", *BUDGET), world.party("site-0").wallet
    wallet.state_readiness(first, digest("report"), Readiness.READY)
    second = entry_of(world, supersede(world, first, fresh(world)))
    assert (second.readiness, second.report) == (Readiness.UNSTATED, None)
    with refused("DatasetInactive", first):
        wallet.state_readiness(first, digest("report"), Readiness.READY)


def test_a_version_without_a_budget_stays_without(world: World) -> None:
    version = fresh(world)
    wallet = world.party("site-0").wallet
    wallet.register_dataset(*version.digests, 0, 0)
    second = supersede(world, wallet.dataset_id(*version.digests, 0, 0), fresh(world))
    assert (entry_of(world, second).budget_micro, entry_of(world, second).delta_pico) == (0, 0)
    exact = Play(world, sites=0).enrolling()
    exact.site(0).wallet.enrol(exact.id, second)
    with refused("BudgetExceeded", second, EPSILON, 0, DELTA, 0):
        spend(world, second)


# ---------------------------------------------------------------- one budget


def test_what_was_spent_of_a_version_is_spent_of_the_next(world: World) -> None:
    first = world.limited("site-0", *BUDGET)
    one = spend(world, first)
    second = supersede(world, first, fresh(world))
    assert spent(world, second) == (EPSILON, DELTA)
    other = spend(world, second)
    third = supersede(world, second, fresh(world))
    for version in (first, second, third):
        assert spent(world, version) == (2 * EPSILON, 2 * DELTA)
        assert world.chain.budget_moves(version) == [
            BudgetMove(one.id, EPSILON, DELTA, False),
            BudgetMove(other.id, EPSILON, DELTA, False),
        ]
    with refused("BudgetExceeded", third, EPSILON, 400_000, DELTA, DELTA):
        spend(world, third)


def test_a_job_goes_on_with_the_version_that_it_began_with_and_gives_back_to_the_one_budget(world: World) -> None:
    first = world.limited("site-0", *BUDGET)
    play = spend(world, first)
    second = supersede(world, first, fresh(world))
    play.coordinator.wallet.start(play.id)
    world.pass_time(3601)
    play.buyer.wallet.expire(play.id)
    assert play.terms is not None
    play.site(0).wallet.release_budget(play.id, Seat(0), play.terms, COSTS.at(1), COSTS.proof(1))
    assert spent(world, second) == (400_000, 100_000)
    assert world.chain.budget_moves(second)[-1] == BudgetMove(play.id, EPSILON - 400_000, DELTA - 100_000, True)


def test_an_older_version_takes_no_further_seats(world: World) -> None:
    first = world.limited("site-0", *BUDGET)
    supersede(world, first, fresh(world))
    with refused("DatasetInactive", first):
        spend(world, first)


def test_the_records_of_a_version_registered_afresh_have_the_inherited_budget(world: World) -> None:
    first, version = world.limited("site-0", *BUDGET), fresh(world)
    spend(world, first)
    supersede(world, first, version)
    wallet = world.party("site-0").wallet
    wallet.register_dataset(version.commitment, version.card, digest("other terms"), *BUDGET)
    again = wallet.dataset_id(version.commitment, version.card, digest("other terms"), *BUDGET)
    assert spent(world, again) == (EPSILON, DELTA)
    spend(world, again)
    assert spent(world, first) == (2 * EPSILON, 2 * DELTA)
    assert len(world.chain.budget_moves(again)) == 2
    for budget in ((BUDGET[0] + 1, BUDGET[1]), (0, 0)):
        with refused("BudgetDiffers", *BUDGET):
            wallet.register_dataset(version.commitment, digest("another card"), version.terms, *budget)


def test_a_version_of_the_same_records_changes_their_card_and_terms(world: World) -> None:
    first = world.limited("site-0", *BUDGET)
    spend(world, first)
    version = Version(entry_of(world, first).commitment, digest("newer card"), digest("newer terms"))
    second = supersede(world, first, version)
    assert spent(world, second) == (EPSILON, DELTA)
    assert entry_of(world, second).commitment == entry_of(world, first).commitment


def test_records_with_a_budget_of_their_own_are_no_version_of_others(world: World) -> None:
    """Two budgets cannot become one: what was spent of each would have to be added up."""
    first, second = (world.limited("site-0", *BUDGET) for _ in range(2))
    version = Version(entry_of(world, second).commitment, digest("card"), digest("terms"))
    with refused("BudgetApart", version.commitment):
        supersede(world, first, version)
    with pytest.raises(Reverted, match="have a privacy budget of their own already"):
        supersede(world, first, version)
    assert entry_of(world, first).active


def test_records_offered_before_without_a_budget_can_become_a_version(world: World) -> None:
    """From then on they have the budget of the version before, and so has everything that is made of them."""
    wallet, first, version = world.party("site-0").wallet, world.limited("site-0", *BUDGET), fresh(world)
    wallet.register_dataset(*version.digests, 0, 0)
    loose = wallet.dataset_id(*version.digests, 0, 0)
    spend(world, first)
    supersede(world, first, Version(version.commitment, digest("card"), digest("terms")))
    with refused("BudgetDiffers", *BUDGET):
        supersede(world, loose, fresh(world))
    assert world.chain.budget_moves(loose) == []
    wallet.register_dataset(version.commitment, version.card, digest("other terms"), *BUDGET)
    assert spent(world, wallet.dataset_id(version.commitment, version.card, digest("other terms"), *BUDGET)) == (
        EPSILON,
        DELTA,
    )


def test_lines_of_versions_without_a_budget_that_meet_get_one_budget_together(world: World) -> None:
    """A steward can't gain a second budget by offering without one first, in whatever order it makes versions."""
    wallet = world.party("site-0").wallet
    versions = [fresh(world) for _ in range(4)]
    loose = []
    for version in versions[:2]:
        wallet.register_dataset(*version.digests, 0, 0)
        loose.append(wallet.dataset_id(*version.digests, 0, 0))
    supersede(world, loose[1], versions[2])
    supersede(world, loose[0], Version(versions[2].commitment, digest("card"), digest("terms")))
    limited = []
    for version in versions[:3]:
        wallet.register_dataset(version.commitment, version.card, digest("with a budget"), *BUDGET)
        limited.append(wallet.dataset_id(version.commitment, version.card, digest("with a budget"), *BUDGET))
    spend(world, limited[1])
    assert [spent(world, one) for one in limited] == [(EPSILON, DELTA)] * 3
    assert [len(world.chain.budget_moves(one)) for one in limited] == [1, 1, 1]


# ---------------------------------------------------------------- who may


def test_only_the_steward_of_a_version_supersedes_it(world: World, stranger: Party) -> None:
    first, version = world.limited("site-0", *BUDGET), fresh(world)
    with refused("NotMember", stranger.address):
        stranger.wallet.supersede_dataset(first, *version.digests)
    other = world.party("site-1")
    for previous in (first, digest("unheard of")):
        with refused("NotSteward", previous, other.address):
            other.wallet.supersede_dataset(previous, *version.digests)
    assert entry_of(world, first).active


def test_who_is_no_steward_any_more_supersedes_nothing(world: World) -> None:
    steward, first = world.party("site-0"), world.limited("site-0", *BUDGET)
    roles = suite.MEMBERS["setRoles"]
    steward.account.invoke(world.deployment.members, roles, int(Role.BUYER))
    with refused("RoleMissing", steward.address, int(Role.STEWARD)):
        supersede(world, first, fresh(world))
    steward.account.invoke(world.deployment.members, roles, int(Role.BUYER | Role.STEWARD | Role.COORDINATOR))


def test_a_version_commits_to_something(world: World) -> None:
    first = world.limited("site-0", *BUDGET)
    with refused("CommitmentMissing"):
        world.party("site-0").wallet.supersede_dataset(first, Digest(bytes(32)), digest("card"), digest("terms"))
