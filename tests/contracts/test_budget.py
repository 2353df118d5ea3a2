"""The lifetime privacy budget: enrolling reserves it, a job that is over gives back what it did not spend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caduceus.crypto import merkle
from caduceus.edges.gateway import Reverted, suite
from caduceus.kinds import Digest, Seat, Stage
from caduceus.market.costs import Cost, Costs
from caduceus.ports import BudgetMove, Sent
from suite_world import Party, Play, World, call, digest, refused

EPSILON = 1_000_000
DELTA = 1_000_000
COSTS = Costs(((0, 0), (400_000, 100_000), (500_000, 200_000), (600_000, 300_000), (EPSILON, DELTA)))
"""What four sums cost; the whole is the budget that `private` gives each site."""

EMPTY = merkle.EMPTY


def private(world: World, sites: int = 2, *, budget: tuple[int, int] = (EPSILON, DELTA), **changes: object) -> Play:
    """A job that spends privacy, at sites that have a budget for one run of it."""
    play = Play(world, sites=sites, terms=world.private_terms(COSTS, **changes))
    play.datasets = {seat: world.limited(f"site-{seat}", *budget) for seat in range(sites)}
    return play


def over(play: Play, rounds: int) -> Play:
    """The job with so many rounds, ended by its deadline."""
    play.training(rounds)
    play.world.pass_time(3601)
    play.buyer.wallet.expire(play.id)
    return play


def release(play: Play, seat: int, sums: int, by: Party | None = None) -> Sent:
    assert play.terms is not None
    wallet = (by or play.site(seat)).wallet
    return wallet.release_budget(play.id, Seat(seat), play.terms, COSTS.at(sums), COSTS.proof(sums))


def spent(world: World, dataset: Digest) -> tuple[int, int]:
    entry = world.chain.dataset(dataset)
    assert entry is not None
    left = call(world, suite.DATASETS["left"], dataset)
    assert left == (entry.budget_micro - entry.epsilon_spent_micro, entry.delta_pico - entry.delta_spent_pico)
    return entry.epsilon_spent_micro, entry.delta_spent_pico


# ---------------------------------------------------------------- opening


def test_a_job_says_what_it_spends_and_everybody_reads_it(world: World) -> None:
    play = private(world).funded()
    entry = world.chain.job(play.id)
    assert entry is not None
    assert play.terms is not None
    for name in ("epsilon_micro", "delta_pico", "sums", "costs", "spec"):
        assert getattr(entry, name) == getattr(play.terms, name)
    assert (entry.epsilon_micro, entry.delta_pico, entry.sums, entry.costs) == (EPSILON, DELTA, 4, COSTS.root)


def test_a_job_that_opens_exact_sums_says_nothing_of_privacy(world: World) -> None:
    entry = world.chain.job(Play(world).funded().id)
    assert entry is not None
    assert (entry.epsilon_micro, entry.delta_pico, entry.sums, entry.costs) == (0, 0, 0, EMPTY)


@pytest.mark.parametrize("missing", ["epsilon_micro", "delta_pico", "sums", "costs"])
def test_half_a_promise_of_privacy_is_refused(world: World, missing: str) -> None:
    nothing = {"epsilon_micro": 0, "delta_pico": 0, "sums": 0, "costs": EMPTY}
    whole = world.private_terms(COSTS)
    for terms in (
        replace(whole, **{missing: nothing[missing]}),
        world.terms(**{missing: getattr(whole, missing)}),
    ):
        with refused("PrivacyIncomplete"):
            world.party("buyer").wallet.open_job(terms)


@pytest.mark.parametrize("name", ["epsilon_micro", "delta_pico", "sums", "costs"])
def test_the_jobs_id_commits_to_its_privacy(world: World, name: str) -> None:
    terms = world.private_terms(COSTS)
    other = {"epsilon_micro": 7, "delta_pico": 7, "sums": 7, "costs": digest("other costs")}[name]
    wallet = world.party("buyer").wallet
    assert wallet.job_id(terms) != wallet.job_id(replace(terms, **{name: other}))


# ---------------------------------------------------------------- reserving


def test_enrolling_reserves_a_whole_run(world: World) -> None:
    play = private(world).enrolling()
    for seat in range(2):
        dataset = play.datasets[seat]
        assert spent(world, dataset) == (EPSILON, DELTA)
        assert world.chain.budget_moves(dataset) == [BudgetMove(play.id, EPSILON, DELTA, False)]
        ((*_, reserved),) = call(world, suite.JOBS["seat"], play.id, seat)
        assert reserved == dataset


def test_exact_sums_reserve_nothing(world: World) -> None:
    play = Play(world, sites=1).enrolling()
    dataset = world.dataset("site-0")
    assert world.chain.budget_moves(dataset) == []
    ((*_, reserved),) = call(world, suite.JOBS["seat"], play.id, 0)
    assert reserved == EMPTY


def test_exact_sums_of_a_data_set_with_a_budget_are_refused(world: World) -> None:
    play = Play(world, sites=0).enrolling()
    dataset = world.limited("site-0", EPSILON, DELTA)
    with refused("ExactSumsRefused", dataset):
        play.site(0).wallet.enrol(play.id, dataset)
    with pytest.raises(Reverted, match=f"opens exact sums, and data set 0x{dataset.hex()} has a privacy budget"):
        play.site(0).wallet.enrol(play.id, dataset)


def test_a_data_set_without_a_budget_has_nothing_to_spend(world: World) -> None:
    play = private(world, sites=0).enrolling()
    dataset = world.dataset("site-0")
    with refused("BudgetExceeded", dataset, EPSILON, 0, DELTA, 0):
        play.site(0).wallet.enrol(play.id, dataset)


@pytest.mark.parametrize("budget", [(EPSILON - 1, DELTA), (EPSILON, DELTA - 1)])
def test_a_budget_that_is_short_of_one_unit_is_too_small(world: World, budget: tuple[int, int]) -> None:
    play = private(world, sites=1, budget=budget).funded()
    play.coordinator.wallet.accept(play.id)
    with refused("BudgetExceeded", play.datasets[0], EPSILON, budget[0], DELTA, budget[1]):
        play.enrol(0)
    assert spent(world, play.datasets[0]) == (0, 0)


def test_what_jobs_reserve_adds_up_until_nothing_is_left(world: World) -> None:
    first = private(world, sites=1, budget=(2 * EPSILON + 400_000, 5 * DELTA)).enrolling()
    second = Play(world, sites=1, terms=world.private_terms(COSTS), datasets=first.datasets).enrolling()
    dataset = first.datasets[0]
    assert spent(world, dataset) == (2 * EPSILON, 2 * DELTA)
    third = Play(world, sites=1, terms=world.private_terms(COSTS), datasets=first.datasets).funded()
    third.coordinator.wallet.accept(third.id)
    with pytest.raises(Reverted, match=r"over budget: asks for epsilon 1 with delta 1e-06, and epsilon 0\.4 with"):
        third.enrol(0)
    assert [move.job for move in world.chain.budget_moves(dataset)] == [first.id, second.id]


def test_an_enrolment_that_fails_for_another_reason_reserves_nothing(world: World) -> None:
    play = private(world, sites=1, max_sites=1).enrolling()
    spare = world.limited("site-1", EPSILON, DELTA)
    with refused("SeatsTaken", 1):
        play.site(1).wallet.enrol(play.id, spare)
    assert spent(world, spare) == (0, 0)


def test_only_the_steward_spends_a_budget_and_not_after_withdrawal(world: World) -> None:
    play = private(world, sites=0).enrolling()
    dataset = world.limited("site-0", EPSILON, DELTA)
    with refused("NotSteward", dataset, play.site(1).address):
        play.site(1).wallet.enrol(play.id, dataset)
    play.site(0).wallet.withdraw_dataset(dataset)
    with refused("DatasetInactive", dataset):
        play.site(0).wallet.enrol(play.id, dataset)


# ---------------------------------------------------------------- giving back


def test_a_job_that_ended_early_gives_back_what_was_not_opened(world: World) -> None:
    play = over(private(world, sites=1), rounds=2)
    dataset = play.datasets[0]
    release(play, 0, 2)
    assert spent(world, dataset) == (500_000, 200_000)
    back = BudgetMove(play.id, EPSILON - 500_000, DELTA - 200_000, True)
    assert world.chain.budget_moves(dataset) == [BudgetMove(play.id, EPSILON, DELTA, False), back]
    charged = suite.JOB_EVENTS["BudgetCharged"]
    logs = world.node.logs(world.deployment.jobs, [charged], play.id, since=0)
    assert [charged.read(log) for log in logs] == [(play.id, 0, dataset, 2, 500_000, 200_000)]


def test_a_job_that_never_started_gives_back_everything(world: World) -> None:
    play = private(world, sites=1, min_sites=2).enrolling()
    world.pass_time(601)
    play.buyer.wallet.expire(play.id)
    release(play, 0, 0)
    assert spent(world, play.datasets[0]) == (0, 0)


@pytest.mark.parametrize("sums", [0, 2, 4])
def test_a_completed_job_is_charged_whole(world: World, sums: int) -> None:
    play = private(world, sites=1).settling(rounds=4)
    world.pass_time(301)
    play.coordinator.wallet.complete(play.id)
    with refused("WrongStage", play.id, Stage.COMPLETED):
        release(play, 0, sums)
    assert spent(world, play.datasets[0]) == (EPSILON, DELTA)


def test_a_rejected_job_gives_back_too(world: World) -> None:
    play = private(world, sites=1).training()
    play.anchor({0: b"nothing that the site signed"})
    play.settle()
    play.buyer.wallet.dispute_leaf(play.id, 0, Seat(0), play.leaves[0][0], b"", play.tree(0).proof(0))
    release(play, 0, 1)
    assert spent(world, play.datasets[0]) == (400_000, 100_000)


def test_a_site_states_what_it_knows_whatever_was_anchored(world: World) -> None:
    """Rounds are anchored late or never; and rounds that never were may be, to use up a budget."""
    play = over(private(world, sites=3), rounds=2)
    for seat, sums in ((0, 3), (1, 2), (2, 0)):
        release(play, seat, sums)
        assert spent(world, play.datasets[seat]) == COSTS.steps[sums]


def test_a_whole_run_gives_nothing_back(world: World) -> None:
    play = over(private(world, sites=1), rounds=6)
    with refused("SumsOutOfRange", 4, 3):
        release(play, 0, 4)
    assert spent(world, play.datasets[0]) == (EPSILON, DELTA)


def test_a_buyers_table_that_calls_a_whole_run_free_frees_nothing_of_a_whole_run(world: World) -> None:
    tree = merkle.Tree([merkle.leaf(b"".join(one.to_bytes(32) for one in row)) for row in ((0, 0, 0), (1, 0, 0))])
    terms = replace(world.private_terms(COSTS), sums=1, costs=tree.root)
    play = Play(world, sites=1, terms=terms, datasets={0: world.limited("site-0", EPSILON, DELTA)})
    over(play, rounds=1)
    with refused("SumsOutOfRange", 1, 0):
        play.site(0).wallet.release_budget(play.id, Seat(0), terms, Cost(1, 0, 0), tree.proof(1))
    assert spent(world, play.datasets[0]) == (EPSILON, DELTA)


def test_what_is_given_back_can_be_spent_again(world: World) -> None:
    play = private(world, sites=1, min_sites=2).enrolling()
    world.pass_time(601)
    play.buyer.wallet.expire(play.id)
    again = Play(world, sites=1, terms=world.private_terms(COSTS), datasets=play.datasets).funded()
    again.coordinator.wallet.accept(again.id)
    with refused("BudgetExceeded"):
        again.enrol(0)
    release(play, 0, 0)
    again.enrol(0)
    assert spent(world, play.datasets[0]) == (EPSILON, DELTA)


def test_nothing_is_given_back_twice_or_where_nothing_was_reserved(world: World) -> None:
    play = over(private(world, sites=1), rounds=1)
    release(play, 0, 1)
    with refused("NothingReserved", 0):
        release(play, 0, 1)
    assert spent(world, play.datasets[0]) == (400_000, 100_000)
    exact = over(Play(world, sites=1), rounds=1)
    with refused("NothingReserved", 0):
        release(exact, 0, 1)


@pytest.mark.parametrize("reach", ["funded", "enrolling", "training", "settling"])
def test_a_job_that_is_not_over_gives_nothing_back(world: World, reach: str) -> None:
    play = private(world, sites=1)
    getattr(play, reach)()
    with refused("WrongStage", play.id, Stage[reach.upper()]):
        release(play, 0, 1)


def test_only_the_seats_own_site_gives_back(world: World, stranger: Party) -> None:
    play = over(private(world), rounds=1)
    for party in (play.site(1), play.coordinator, play.buyer, stranger):
        with refused("NotSite", party.address, play.site(0).address):
            release(play, 0, 1, by=party)
    with refused("SeatUnknown", 2, 2):
        release(play, 2, 1, by=play.site(0))


def test_other_terms_than_the_jobs_are_refused(world: World) -> None:
    play = over(private(world, sites=1), rounds=1)
    assert play.terms is not None
    for changes in ({"epsilon_micro": 2 * EPSILON}, {"sums": 9}, {"costs": digest("kinder costs")}, {"max_rounds": 9}):
        other = replace(play.terms, **changes)
        with refused("TermsDiffer", play.id, play.buyer.wallet.job_id(other)):
            play.site(0).wallet.release_budget(play.id, Seat(0), other, COSTS.at(1), COSTS.proof(1))


def test_a_cost_that_is_not_in_the_table_is_refused(world: World) -> None:
    play = over(private(world, sites=1), rounds=2)
    assert play.terms is not None
    for cost, siblings in (
        (Cost(2, 499_999, 200_000), COSTS.proof(2)),
        (Cost(2, 500_000, 199_999), COSTS.proof(2)),
        (Cost(2, 400_000, 100_000), COSTS.proof(1)),
        (Cost(3, 500_000, 200_000), COSTS.proof(2)),
        (COSTS.at(2), COSTS.proof(3)),
        (COSTS.at(2), (*COSTS.proof(2), digest("more"))),
    ):
        with refused("CostUnknown"):
            play.site(0).wallet.release_budget(play.id, Seat(0), play.terms, cost, siblings)
    with refused("PositionOutsideTree", 3, 1):
        play.site(0).wallet.release_budget(play.id, Seat(0), play.terms, COSTS.at(3), COSTS.proof(3)[:1])
    assert spent(world, play.datasets[0]) == (EPSILON, DELTA)


@pytest.mark.parametrize(
    "cost", [(EPSILON + 1, 1), (1, DELTA + 1), (2**64 + 1, 1), (1, 2**64 + 1)], ids=["epsilon", "delta", "e64", "d64"]
)
def test_a_table_that_says_more_than_was_reserved_frees_nothing(world: World, cost: tuple[int, int]) -> None:
    words = [(0, 0, 0), (1, *cost), (2, *cost)]
    tree = merkle.Tree([merkle.leaf(b"".join(one.to_bytes(32) for one in row)) for row in words])
    terms = replace(world.private_terms(COSTS), sums=2, costs=tree.root)
    play = Play(world, sites=1, terms=terms, datasets={0: world.limited("site-0", EPSILON, DELTA)})
    over(play, rounds=1)
    with refused("CostAboveReservation", *cost):
        play.site(0).wallet.release_budget(play.id, Seat(0), terms, Cost(1, *cost), tree.proof(1))
    assert spent(world, play.datasets[0]) == (EPSILON, DELTA)


def test_a_withdrawn_data_set_still_gets_back_what_was_not_spent(world: World) -> None:
    play = over(private(world, sites=1), rounds=1)
    play.site(0).wallet.withdraw_dataset(play.datasets[0])
    release(play, 0, 1)
    assert spent(world, play.datasets[0]) == (400_000, 100_000)


def test_a_data_set_in_two_jobs_at_once_is_charged_for_each(world: World) -> None:
    first = private(world, sites=1, budget=(2 * EPSILON, 2 * DELTA)).training(1)
    second = Play(world, sites=1, terms=world.private_terms(COSTS), datasets=first.datasets).training(3)
    world.pass_time(3601)
    for play in (second, first):
        play.buyer.wallet.expire(play.id)
    release(first, 0, 1)
    assert spent(world, first.datasets[0]) == (400_000 + EPSILON, 100_000 + DELTA)
    release(second, 0, 3)
    assert spent(world, first.datasets[0]) == (1_000_000, 400_000)


# ---------------------------------------------------------------- one budget for the same records


def test_other_terms_for_the_same_records_share_their_budget(world: World) -> None:
    play = private(world, sites=1).enrolling()
    wallet, entry = play.site(0).wallet, world.chain.dataset(play.datasets[0])
    assert entry is not None
    wallet.register_dataset(entry.commitment, entry.card, digest("other terms"), EPSILON, DELTA)
    second = wallet.dataset_id(entry.commitment, entry.card, digest("other terms"), EPSILON, DELTA)
    assert spent(world, second) == (EPSILON, DELTA)
    assert world.chain.budget_moves(second) == world.chain.budget_moves(entry.id)
    again = Play(world, sites=1, terms=world.private_terms(COSTS), datasets={0: second}).funded()
    again.coordinator.wallet.accept(again.id)
    with refused("BudgetExceeded", second, EPSILON, 0, DELTA, 0):
        again.enrol(0)


@pytest.mark.parametrize("budget", [(EPSILON + 1, DELTA), (EPSILON, DELTA + 1), (0, 0)])
def test_the_same_records_have_no_other_budget_and_never_none(world: World, budget: tuple[int, int]) -> None:
    dataset = world.chain.dataset(world.limited("site-0", EPSILON, DELTA))
    assert dataset is not None
    wallet = world.party("site-0").wallet
    with refused("BudgetDiffers", EPSILON, DELTA):
        wallet.register_dataset(dataset.commitment, dataset.card, digest("other terms"), *budget)
    with pytest.raises(Reverted, match="have a privacy budget of epsilon 1 with delta 1e-06 for life"):
        wallet.register_dataset(dataset.commitment, dataset.card, digest("other terms"), *budget)


def test_another_stewards_records_have_a_budget_of_their_own(world: World) -> None:
    """A commitment is salted: the same one under another steward is a copy of a number, not of records."""
    dataset = world.chain.dataset(world.limited("site-0", EPSILON, DELTA))
    assert dataset is not None
    wallet = world.party("site-1").wallet
    wallet.register_dataset(dataset.commitment, dataset.card, dataset.terms, 2 * EPSILON, DELTA)
    second = wallet.dataset_id(dataset.commitment, dataset.card, dataset.terms, 2 * EPSILON, DELTA)
    assert call(world, suite.DATASETS["left"], second) == (2 * EPSILON, DELTA)
