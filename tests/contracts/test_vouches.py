"""Attesters say which legal entity an account is; a job that trusts one of them gives each entity one seat."""

from __future__ import annotations

import pytest

from caduceus.edges.gateway import suite
from caduceus.kinds import Role
from caduceus.market.ledger import NO_ENTITY
from suite_world import Party, Play, World, digest, refused

CHARITE, MAYO = digest("LEI of one"), digest("LEI of another")


@pytest.fixture
def attester(world: World) -> Party:
    return world.party("attester", Role.ATTESTER)


def vouched(world: World, attester: Party, **entities: bytes) -> None:
    """Make the attester say exactly this of the named parties."""
    for name, entity in entities.items():
        account = world.party(name.replace("_", "-")).address
        if world.chain.entity_of(attester.address, account) is not None:
            attester.wallet.revoke_vouch(account)
        if entity:
            attester.wallet.vouch(account, entity)


def test_an_attester_vouches_and_takes_it_back(world: World, attester: Party) -> None:
    account = world.party("site-0").address
    vouched(world, attester, site_0=b"")
    assert world.chain.entity_of(attester.address, account) is None
    attester.wallet.vouch(account, CHARITE)
    assert world.chain.entity_of(attester.address, account) == CHARITE
    attester.wallet.revoke_vouch(account)
    assert world.chain.entity_of(attester.address, account) is None


def test_only_an_attester_vouches_and_each_for_itself(world: World, attester: Party) -> None:
    site = world.party("site-0")
    with refused("RoleMissing", site.address, int(Role.ATTESTER)):
        site.wallet.vouch(site.address, CHARITE)
    with refused("NotMember", world.newcomer("stranger").address):
        world.newcomer("stranger").wallet.vouch(site.address, CHARITE)
    vouched(world, attester, site_0=CHARITE)
    with refused("VouchMissing", site.address, site.address):
        site.wallet.revoke_vouch(site.address)
    assert world.chain.entity_of(site.address, site.address) is None


def test_an_attester_says_one_thing_of_an_account_and_not_nothing(world: World, attester: Party) -> None:
    account = world.party("site-0").address
    vouched(world, attester, site_0=CHARITE)
    with refused("AlreadyVouched", account, CHARITE):
        attester.wallet.vouch(account, MAYO)
    with refused("EntityMissing"):
        attester.wallet.vouch(account, NO_ENTITY)


def test_a_job_that_trusts_an_attester_seats_whom_it_vouches_for(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=CHARITE, site_1=MAYO)
    play = Play(world, sites=2, terms=world.terms(attester=attester.address)).enrolling()
    assert [one.entity for one in world.chain.enrolments(play.id)] == [CHARITE, MAYO]
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.attester == attester.address


def test_a_job_that_trusts_an_attester_seats_nobody_else(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=b"")
    other = world.party("other attester", Role.ATTESTER)
    if world.chain.entity_of(other.address, world.party("site-0").address) is None:
        other.wallet.vouch(world.party("site-0").address, CHARITE)
    play = Play(world, sites=0, terms=world.terms(attester=attester.address)).enrolling()
    with refused("NotVouched", play.site(0).address, attester.address):
        play.enrol(0)


def test_one_legal_entity_has_one_seat_whatever_accounts_it_has(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=CHARITE, site_1=CHARITE, site_2=MAYO)
    play = Play(world, sites=1, terms=world.terms(attester=attester.address)).enrolling()
    with refused("EntitySeated", CHARITE, 0):
        play.enrol(1)
    play.enrol(2)


def test_an_entity_that_changes_its_account_half_way_still_has_one_seat(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=CHARITE, site_1=b"")
    play = Play(world, sites=1, terms=world.terms(attester=attester.address)).enrolling()
    vouched(world, attester, site_0=b"", site_1=CHARITE)
    with refused("EntitySeated", CHARITE, 0):
        play.enrol(1)


def test_a_seat_outlives_the_word_that_it_was_given_on(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=CHARITE)
    play = Play(world, sites=1, terms=world.terms(attester=attester.address)).enrolling()
    vouched(world, attester, site_0=b"")
    play.coordinator.wallet.start(play.id)
    play.anchor()
    play.settle()


def test_a_job_that_trusts_nobody_seats_several_accounts_of_an_entity(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=CHARITE, site_1=CHARITE)
    play = Play(world, sites=2).enrolling()
    assert [one.entity for one in world.chain.enrolments(play.id)] == [NO_ENTITY, NO_ENTITY]


def test_an_account_has_one_seat_under_an_attester_too(world: World, attester: Party) -> None:
    vouched(world, attester, site_0=CHARITE)
    play = Play(world, sites=1, terms=world.terms(attester=attester.address)).enrolling()
    with refused("AlreadySeated", play.site(0).address, 0):
        play.enrol(0)


def test_who_is_no_attester_cannot_be_trusted_as_one(world: World) -> None:
    buyer, site = world.party("buyer"), world.party("site-0")
    for together in ("open", "openAndFund"):
        with refused("RoleMissing", site.address, int(Role.ATTESTER)):
            buyer.do(together, suite.terms_tuple(world.terms(attester=site.address)))


def test_the_id_commits_to_the_attester(world: World, attester: Party) -> None:
    terms, buyer = world.terms(), world.party("buyer")
    trusting = world.terms(attester=attester.address, spec=terms.spec)
    assert buyer.wallet.job_id(terms) != buyer.wallet.job_id(trusting)
