"""Data sets: the id commits to all that was registered, and only the steward takes it back."""

from __future__ import annotations

from caduceus.edges.gateway import suite
from caduceus.kinds import Digest, Role
from suite_world import Party, World, call, digest, refused


def values(name: object, budget: int = 5_000_000) -> tuple[Digest, Digest, Digest, int]:
    return digest("commitment", name), digest("card", name), digest("terms", name), budget


def test_a_steward_registers_and_everybody_reads_it(world: World) -> None:
    steward = world.party("site-0")
    given = values(next(world.nonce))
    steward.wallet.register_dataset(*given)
    name = steward.wallet.dataset_id(*given)
    entry = world.chain.dataset(name)
    assert entry is not None
    assert (entry.commitment, entry.card, entry.terms, entry.budget_micro) == given
    assert entry.steward == steward.address
    assert entry.active
    assert call(world, suite.DATASETS["isActive"], name) == (True,)
    assert call(world, suite.DATASETS["stewardOf"], name) == (f"0x{steward.address.hex()}",)
    assert call(world, suite.DATASETS["idOf"], steward.address, *given) == (name,)
    assert call(world, suite.DATASETS["dataset"], name) == ((f"0x{steward.address.hex()}", given[3], True),)


def test_the_same_data_set_is_not_registered_twice(world: World) -> None:
    steward = world.party("site-0")
    given = values(next(world.nonce))
    steward.wallet.register_dataset(*given)
    with refused("DatasetKnown", steward.wallet.dataset_id(*given)):
        steward.wallet.register_dataset(*given)


def test_another_steward_may_offer_the_same_digests_under_another_id(world: World) -> None:
    first, second = world.party("site-0"), world.party("site-1")
    given = values(next(world.nonce))
    first.wallet.register_dataset(*given)
    second.wallet.register_dataset(*given)
    assert first.wallet.dataset_id(*given) != second.wallet.dataset_id(*given)


def test_only_a_steward_registers(world: World, stranger: Party) -> None:
    with refused("NotMember", stranger.address):
        stranger.wallet.register_dataset(*values("strange"))
    newcomer = world.newcomer("newcomer")
    newcomer.wallet.register_member(Role.BUYER, newcomer.signer.address, digest("key"), digest("profile"))
    with refused("RoleMissing", newcomer.address, int(Role.STEWARD)):
        newcomer.wallet.register_dataset(*values("strange"))
    newcomer.account.invoke(world.deployment.members, suite.MEMBERS["resign"])


def test_a_commitment_to_nothing_is_refused(world: World) -> None:
    with refused("CommitmentMissing"):
        world.party("site-0").wallet.register_dataset(Digest(bytes(32)), digest(1), digest(2), 0)


def test_a_steward_withdraws_once_and_for_all(world: World) -> None:
    steward = world.party("site-0")
    given = values(next(world.nonce))
    steward.wallet.register_dataset(*given)
    name = steward.wallet.dataset_id(*given)
    steward.wallet.withdraw_dataset(name)
    entry = world.chain.dataset(name)
    assert entry is not None
    assert not entry.active
    with refused("DatasetInactive", name):
        steward.wallet.withdraw_dataset(name)
    with refused("DatasetKnown", name):
        steward.wallet.register_dataset(*given)


def test_nobody_withdraws_what_is_not_theirs(world: World, stranger: Party) -> None:
    name = world.dataset("site-0")
    with refused("NotSteward", name, stranger.address):
        stranger.wallet.withdraw_dataset(name)
    with refused("DatasetInactive", digest("unheard of")):
        stranger.wallet.withdraw_dataset(digest("unheard of"))


def test_an_unknown_data_set_reads_as_nothing(world: World) -> None:
    assert world.chain.dataset(digest("unheard of")) is None
    assert call(world, suite.DATASETS["isActive"], digest("unheard of")) == (False,)
