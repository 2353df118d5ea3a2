"""A token that cheats spoils the jobs that are paid in it, and no others."""

from __future__ import annotations

import pytest
from hostile import deploy, function

from caduceus.edges.gateway import suite
from caduceus.kinds import Address, Stage, Tokens
from suite_world import PURSE, Play, World, refused

REFUSE = function("refuse(bool)")
AIM = function("aim(address,bytes)")
NOWHERE = Address(bytes(20))


def hand_out(world: World, token: Address) -> None:
    """Give everybody a purse of this token and let the Jobs contract take from it."""
    for name in ("buyer", "coordinator", "site-0", "site-1"):
        party = world.party(name)
        world.treasury.invoke(token, suite.TOKEN["transfer"], party.address, 2 * PURSE)
        party.wallet.approve(token, PURSE)


def paid_in(world: World, token: Address, sites: int = 2) -> Play:
    return Play(world, sites=sites, terms=world.terms(token=token))


def assert_the_honest_job_pays(play: Play) -> None:
    """Settle, complete and empty a job in the demo token that was under way all along."""
    world, token = play.world, play.world.deployment.token
    play.settle()
    world.pass_time(301)
    play.coordinator.wallet.complete(play.id)
    tree = play.claims(play.amounts())
    for seat, amount in enumerate(play.amounts()):
        before = world.chain.balance(token, play.site(seat).address)
        play.site(seat).wallet.claim(play.id, Tokens(amount), seat, tree.proof(seat))
        assert world.chain.balance(token, play.site(seat).address) == before + amount + 10
    play.coordinator.wallet.claim(play.id, Tokens(0), 0, [])


def test_a_token_that_keeps_a_fee_is_not_accepted(world: World) -> None:
    token = deploy(world, "FeeToken", 10**15)
    hand_out(world, token)
    honest = Play(world, sites=2).training(rounds=1)
    with refused("TransferInexact", token, 1000, 990):
        paid_in(world, token).funded()
    assert world.chain.balance(token, world.deployment.jobs) == 0
    assert_the_honest_job_pays(honest)


def test_a_token_that_only_pretends_to_pay_is_not_accepted(world: World) -> None:
    token = deploy(world, "LyingToken", 10**15)
    hand_out(world, token)
    with refused("TransferInexact", token, 1000, 0):
        paid_in(world, token).funded()


def test_a_token_that_says_no_without_reverting_is_heard(world: World) -> None:
    token = deploy(world, "FalseToken", 10**15)
    hand_out(world, token)
    world.treasury.invoke(token, REFUSE, True)
    with refused("SafeERC20FailedOperation", token):
        paid_in(world, token).funded()


def test_a_token_that_refuses_to_pay_out_loses_nothing_and_holds_up_nobody_else(world: World) -> None:
    token = deploy(world, "FalseToken", 10**15)
    hand_out(world, token)
    play = paid_in(world, token).completed([450, 450])
    honest = Play(world, sites=2).training(rounds=1)
    world.treasury.invoke(token, REFUSE, True)
    proof = play.claims([450, 450]).proof(0)
    with refused("SafeERC20FailedOperation", token):
        play.site(0).wallet.claim(play.id, Tokens(450), 0, proof)
    with refused("SafeERC20FailedOperation", token):
        play.buyer.wallet.withdraw(token)
    assert_the_honest_job_pays(honest)
    world.treasury.invoke(token, REFUSE, False)
    play.site(0).wallet.claim(play.id, Tokens(450), 0, proof)
    play.buyer.wallet.withdraw(token)
    assert world.chain.balance(token, world.deployment.jobs) == 450 + 10 + 50


@pytest.mark.parametrize("back_door", ["withdraw", "claim", "fund", "accept", "enrol"])
def test_a_token_that_calls_back_finds_the_door_shut(world: World, back_door: str) -> None:
    token = deploy(world, "CallingToken", 10**15)
    hand_out(world, token)
    play = paid_in(world, token).completed([450, 450])
    arguments: dict[str, tuple[object, ...]] = {
        "withdraw": (token,),
        "claim": (play.id, 0, 0, []),
        "fund": (play.id,),
        "accept": (play.id,),
        "enrol": (play.id, world.dataset("site-0")),
    }
    world.treasury.invoke(token, AIM, world.deployment.jobs, suite.JOBS[back_door].call(*arguments[back_door]))
    proof = play.claims([450, 450]).proof(0)
    with refused("ReentrancyGuardReentrantCall"):
        play.site(0).wallet.claim(play.id, Tokens(450), 0, proof)
    with refused("ReentrancyGuardReentrantCall"):
        play.buyer.wallet.withdraw(token)
    world.treasury.invoke(token, AIM, NOWHERE, b"")
    play.site(0).wallet.claim(play.id, Tokens(450), 0, proof)


def test_a_token_that_moves_another_job_on_in_the_middle_changes_no_sums(world: World) -> None:
    token = deploy(world, "CallingToken", 10**15)
    hand_out(world, token)
    play = paid_in(world, token).completed([450, 450])
    late = paid_in(world, token).funded()
    world.pass_time(601)
    world.treasury.invoke(token, AIM, world.deployment.jobs, suite.JOBS["expire"].call(late.id))
    play.site(0).wallet.claim(play.id, Tokens(450), 0, play.claims([450, 450]).proof(0))
    world.treasury.invoke(token, AIM, NOWHERE, b"")
    entry = world.chain.job(late.id)
    assert entry is not None
    assert entry.stage is Stage.EXPIRED
    assert world.chain.credit(token, play.buyer.address) == 1000 + 100
    assert world.chain.balance(token, world.deployment.jobs) == 1000 + 100 + 460 + 50
