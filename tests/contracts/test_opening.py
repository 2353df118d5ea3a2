"""A buyer asks, pays, and takes back what nobody accepted."""

from __future__ import annotations

import pytest

from caduceus.edges.gateway import suite
from caduceus.errors import Misuse
from caduceus.kinds import Address, JobId, Role, Stage, Tokens
from suite_world import Party, Play, World, call, refused


def stage(world: World, job: JobId) -> Stage:
    entry = world.chain.job(job)
    return Stage.NONE if entry is None else entry.stage


def test_a_buyer_opens_and_pays_in_one_transaction(world: World) -> None:
    buyer = world.party("buyer")
    terms = world.terms()
    before = world.held()
    buyer.wallet.open_job(terms)
    entry = world.chain.job(buyer.wallet.job_id(terms))
    assert entry is not None
    assert entry.stage is Stage.FUNDED
    assert world.held() == before + terms.price
    assert entry.deadline == world.now() + terms.enrol_for
    assert entry.buyer == buyer.address
    for name in ("token", "price", "coordinator", "stake", "bond", "min_sites", "max_sites", "max_rounds", "spec"):
        assert getattr(entry, name) == getattr(terms, name)


def test_a_buyer_opens_first_and_pays_later(world: World) -> None:
    buyer = world.party("buyer")
    terms = world.terms()
    before = world.held()
    buyer.do("open", suite.terms_tuple(terms))
    job = buyer.wallet.job_id(terms)
    assert stage(world, job) is Stage.OPEN
    assert world.held() == before
    buyer.do("fund", job)
    assert stage(world, job) is Stage.FUNDED
    assert world.held() == before + terms.price


def test_the_id_commits_to_buyer_and_terms(world: World) -> None:
    buyer, other = world.party("buyer"), world.party("site-0")
    terms = world.terms()
    assert call(world, suite.JOBS["idOf"], buyer.address, suite.terms_tuple(terms)) == (buyer.wallet.job_id(terms),)
    assert buyer.wallet.job_id(terms) != other.wallet.job_id(terms)


def test_the_same_job_is_not_opened_twice(world: World) -> None:
    play = Play(world).funded()
    assert play.terms is not None
    with refused("JobKnown", play.id):
        play.buyer.wallet.open_job(play.terms)


@pytest.mark.parametrize(
    ("changes", "error", "values"),
    [
        ({"coordinator": Address(bytes(20))}, "CoordinatorMissing", ()),
        ({"min_sites": 0}, "SitesOutOfRange", (0, 8)),
        ({"min_sites": 5, "max_sites": 4}, "SitesOutOfRange", (5, 4)),
        ({"max_rounds": 0}, "RoundsMissing", ()),
        ({"enrol_for": 0}, "DurationMissing", ()),
        ({"train_for": 0}, "DurationMissing", ()),
        ({"challenge_for": 0}, "DurationMissing", ()),
    ],
)
def test_terms_that_cannot_work_are_refused(
    world: World, changes: dict[str, object], error: str, values: tuple[object, ...]
) -> None:
    terms = world.terms(**changes)
    for function in ("open", "openAndFund"):
        with refused(error, *values):
            world.party("buyer").do(function, suite.terms_tuple(terms))


def test_a_token_that_is_not_there_is_refused(world: World) -> None:
    nowhere = Address(b"\x01" * 20)
    with refused("TokenMissing", nowhere):
        world.party("buyer").wallet.open_job(world.terms(token=nowhere))


def test_a_price_that_the_contract_cannot_hold_is_our_own_mistake(world: World) -> None:
    with pytest.raises(Misuse, match="openAndFund"):
        world.party("buyer").wallet.open_job(world.terms(price=Tokens(2**96)))


def test_only_a_buyer_opens(world: World, stranger: Party) -> None:
    with refused("NotMember", stranger.address):
        stranger.wallet.open_job(world.terms())
    seller = world.party("specialist", Role.STEWARD)
    with refused("RoleMissing", seller.address, int(Role.BUYER)):
        seller.wallet.open_job(world.terms())


def test_a_price_that_was_not_allowed_is_not_taken(world: World) -> None:
    buyer = world.party("buyer")
    terms = world.terms(price=Tokens(10**12))
    with refused("ERC20InsufficientAllowance"):
        buyer.wallet.open_job(terms)
    assert stage(world, buyer.wallet.job_id(terms)) is Stage.NONE


def test_only_the_buyer_funds_and_only_in_time_and_once(world: World) -> None:
    buyer, other = world.party("buyer"), world.party("site-0")
    terms = world.terms()
    job = buyer.wallet.job_id(terms)
    with refused("WrongStage", job, Stage.NONE):
        buyer.do("fund", job)
    buyer.do("open", suite.terms_tuple(terms))
    with refused("NotBuyer", other.address, buyer.address):
        other.do("fund", job)
    buyer.do("fund", job)
    with refused("WrongStage", job, Stage.FUNDED):
        buyer.do("fund", job)
    late = world.terms()
    buyer.do("open", suite.terms_tuple(late))
    world.pass_time(601)
    with refused("DeadlinePassed"):
        buyer.do("fund", buyer.wallet.job_id(late))


def test_a_buyer_takes_back_what_nobody_accepted(world: World) -> None:
    play = Play(world).funded()
    before = world.chain.credit(world.deployment.token, play.buyer.address)
    play.buyer.wallet.cancel(play.id)
    assert stage(world, play.id) is Stage.EXPIRED
    assert world.chain.credit(world.deployment.token, play.buyer.address) == before + 1000
    with refused("WrongStage", play.id, Stage.EXPIRED):
        play.buyer.wallet.cancel(play.id)


def test_cancelling_what_was_not_paid_credits_nothing(world: World) -> None:
    buyer = world.party("buyer")
    terms = world.terms()
    buyer.do("open", suite.terms_tuple(terms))
    before = world.chain.credit(world.deployment.token, buyer.address)
    buyer.wallet.cancel(buyer.wallet.job_id(terms))
    assert world.chain.credit(world.deployment.token, buyer.address) == before


def test_nobody_else_cancels(world: World) -> None:
    play = Play(world).funded()
    with refused("NotBuyer", play.coordinator.address, play.buyer.address):
        play.coordinator.wallet.cancel(play.id)


@pytest.mark.parametrize("reach", ["enrolling", "training", "settling", "completed"])
def test_a_buyer_cannot_take_back_locked_money(world: World, reach: str) -> None:
    play = Play(world, sites=1)
    getattr(play, reach)()
    with refused("WrongStage", play.id, Stage[reach.upper()]):
        play.buyer.wallet.cancel(play.id)


def test_a_free_job_moves_no_money(world: World) -> None:
    before = world.held()
    play = Play(world, sites=1, terms=world.terms(price=Tokens(0), stake=Tokens(0), bond=Tokens(0)))
    play.completed([0])
    assert world.held() == before
    with refused("NothingToClaim", play.id, play.site(0).address):
        play.site(0).wallet.claim(play.id, Tokens(0), 0, [])
