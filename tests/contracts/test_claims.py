"""Money is pulled: rewards by proof, one's own stake or bond without one, refunds from the purse."""

from __future__ import annotations

import pytest

from caduceus.crypto import merkle
from caduceus.edges.gateway import suite
from caduceus.kinds import Seat, Stage, Tokens
from suite_world import Party, Play, World, call, claim_data, digest, refused


def purse(world: World, party: Party) -> int:
    return world.chain.balance(world.deployment.token, party.address)


def test_every_site_pulls_its_reward_and_stake_and_the_coordinator_its_bond(world: World) -> None:
    held = world.held()
    play = Play(world).completed([500, 300, 100])
    tree = play.claims([500, 300, 100])
    for seat, amount in enumerate((500, 300, 100)):
        before = purse(world, play.site(seat))
        assert call(world, suite.JOBS["isPaid"], play.id, seat) == (False,)
        play.site(seat).wallet.claim(play.id, Tokens(amount), seat, tree.proof(seat))
        assert purse(world, play.site(seat)) == before + amount + 10
        assert call(world, suite.JOBS["isPaid"], play.id, seat) == (True,)
    before = purse(world, play.coordinator)
    play.coordinator.wallet.claim(play.id, Tokens(0), 0, [])
    assert purse(world, play.coordinator) == before + 50
    with refused("NothingToClaim", play.id, play.coordinator.address):
        play.coordinator.wallet.claim(play.id, Tokens(0), 0, [])
    assert world.held() == held + 100
    pulled = [(one.account, one.amount, one.returned) for one in world.chain.claims(play.id)]
    sites = [(play.site(seat).address, amount, 10) for seat, amount in enumerate((500, 300, 100))]
    assert pulled == [*sites, (play.coordinator.address, 0, 50)]


def test_nothing_is_paid_twice(world: World) -> None:
    play = Play(world).completed()
    tree = play.claims(play.amounts())
    site = play.site(1)
    site.wallet.claim(play.id, Tokens(300), 1, tree.proof(1))
    with refused("ClaimPaid", 1):
        site.wallet.claim(play.id, Tokens(300), 1, tree.proof(1))
    with refused("NothingToClaim", play.id, site.address):
        site.wallet.claim(play.id, Tokens(0), 1, [])


def test_a_stake_comes_back_before_the_reward_and_the_reward_still_comes(world: World) -> None:
    play = Play(world).completed()
    site = play.site(0)
    before = purse(world, site)
    site.wallet.claim(play.id, Tokens(0), 0, [])
    assert purse(world, site) == before + 10
    site.wallet.claim(play.id, Tokens(300), 0, play.claims(play.amounts()).proof(0))
    assert purse(world, site) == before + 310


def test_nobody_claims_anothers_reward_or_another_amount_or_place(world: World) -> None:
    play = Play(world).completed()
    tree = play.claims(play.amounts())
    for party, amount, index, siblings in (
        (play.site(0), 300, 1, tree.proof(1)),
        (play.site(1), 301, 1, tree.proof(1)),
        (play.site(1), 300, 0, tree.proof(1)),
        (play.site(1), 300, 1, tree.proof(1)[:1]),
        (play.coordinator, 300, 1, tree.proof(1)),
    ):
        with refused("ClaimUnknown"):
            party.wallet.claim(play.id, Tokens(amount), index, siblings)


def test_an_index_beyond_the_tree_is_refused_so_that_none_has_two_names(world: World) -> None:
    play = Play(world).completed()
    siblings = play.claims(play.amounts()).proof(1)
    for index in (5, 1 + 2**200):
        with refused("PositionOutsideTree", index, 2):
            play.site(1).wallet.claim(play.id, Tokens(300), index, siblings)


def test_claims_of_another_job_do_not_pay(world: World) -> None:
    first, second = Play(world, sites=1).completed([900]), Play(world, sites=1).completed([800])
    with refused("ClaimUnknown"):
        second.site(0).wallet.claim(second.id, Tokens(900), 0, first.claims([900]).proof(0))


def test_claims_beyond_the_payout_take_nobody_elses_money(world: World) -> None:
    play = Play(world, sites=2).training(rounds=1)
    tree = play.claims([600, 600])
    signed = [(Seat(seat), play.consent(seat, tree.root, 900)) for seat in (0, 1)]
    play.coordinator.wallet.settle(play.id, tree.root, Tokens(900), signed)
    world.pass_time(301)
    play.coordinator.wallet.complete(play.id)
    play.site(0).wallet.claim(play.id, Tokens(600), 0, tree.proof(0))
    with refused("PayoutExhausted", 600, 300):
        play.site(1).wallet.claim(play.id, Tokens(600), 1, tree.proof(1))
    before = purse(world, play.site(1))
    play.site(1).wallet.claim(play.id, Tokens(0), 1, [])
    assert purse(world, play.site(1)) == before + 10


def test_claims_may_pay_others_than_sites_and_a_site_that_coordinates_gets_all_its_own(world: World) -> None:
    play = Play(world, sites=1, terms=world.terms(coordinator=world.party("site-0").address))
    play.funded()
    site = play.site(0)
    site.wallet.accept(play.id)
    site.wallet.enrol(play.id, world.dataset("site-0"))
    site.wallet.start(play.id)
    play.leaves.append([play.upload(0, 0)])
    site.wallet.anchor(play.id, [play.entry(0)])
    paid = [(site.address, 500), (world.party("site-1").address, 400)]
    tree = merkle.Tree([merkle.leaf(claim_data(play.id, account, amount)) for account, amount in paid])
    site.wallet.settle(play.id, tree.root, Tokens(900), [(Seat(0), play.consent(0, tree.root, 900))])
    world.pass_time(301)
    site.wallet.complete(play.id)
    before = purse(world, site), purse(world, world.party("site-1"))
    site.wallet.claim(play.id, Tokens(500), 0, tree.proof(0))
    world.party("site-1").wallet.claim(play.id, Tokens(400), 1, tree.proof(1))
    assert (purse(world, site), purse(world, world.party("site-1"))) == (before[0] + 560, before[1] + 400)


@pytest.mark.parametrize("reach", ["funded", "enrolling", "training", "settling"])
def test_a_job_that_is_not_over_pays_nothing(world: World, reach: str) -> None:
    play = Play(world, sites=1)
    getattr(play, reach)()
    for amount in (0, 900):
        with refused("WrongStage", play.id, Stage[reach.upper()]):
            play.site(0).wallet.claim(play.id, Tokens(amount), 0, [])


def test_an_expired_job_pays_no_rewards(world: World) -> None:
    play = Play(world, sites=1).training(rounds=1)
    world.pass_time(3601)
    play.buyer.wallet.expire(play.id)
    with refused("WrongStage", play.id, Stage.EXPIRED):
        play.site(0).wallet.claim(play.id, Tokens(1), 0, [])


def test_a_stranger_has_nothing_to_claim(world: World, stranger: Party) -> None:
    play = Play(world, sites=1).completed()
    with refused("NothingToClaim", play.id, stranger.address):
        stranger.wallet.claim(play.id, Tokens(0), 0, [])
    with refused("WrongStage", digest("unheard of"), Stage.NONE):
        stranger.wallet.claim(digest("unheard of"), Tokens(0), 0, [])


def test_credits_are_withdrawn_once_and_by_their_owner(world: World, stranger: Party) -> None:
    token = world.deployment.token
    play = Play(world).funded()
    play.buyer.wallet.cancel(play.id)
    owed = world.chain.credit(token, play.buyer.address)
    before = purse(world, play.buyer)
    with refused("NothingToWithdraw", token, stranger.address):
        stranger.wallet.withdraw(token)
    play.buyer.wallet.withdraw(token)
    assert purse(world, play.buyer) == before + owed
    assert world.chain.credit(token, play.buyer.address) == 0
    with refused("NothingToWithdraw", token, play.buyer.address):
        play.buyer.wallet.withdraw(token)
