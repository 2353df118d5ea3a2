"""Data sets: the id commits to all that was registered, and only the steward takes it back."""

from __future__ import annotations

import pytest

from caduceus.edges.gateway import suite
from caduceus.errors import Misuse
from caduceus.kinds import Digest, Readiness, Role
from suite_world import Party, World, call, digest, refused

Values = tuple[Digest, Digest, Digest, int, int]


def values(name: object, epsilon: int = 5_000_000, delta: int = 10_000_000) -> Values:
    return digest("commitment", name), digest("card", name), digest("terms", name), epsilon, delta


def test_a_steward_registers_and_everybody_reads_it(world: World) -> None:
    steward = world.party("site-0")
    given = values(next(world.nonce))
    steward.wallet.register_dataset(*given)
    name = steward.wallet.dataset_id(*given)
    entry = world.chain.dataset(name)
    assert entry is not None
    assert (entry.commitment, entry.card, entry.terms, entry.budget_micro, entry.delta_pico) == given
    assert (entry.epsilon_spent_micro, entry.delta_spent_pico) == (0, 0)
    assert entry.steward == steward.address
    assert entry.active
    assert (entry.previous, entry.readiness, entry.report) == (None, Readiness.UNSTATED, None)
    assert call(world, suite.DATASETS["isActive"], name) == (True,)
    assert call(world, suite.DATASETS["stewardOf"], name) == (f"0x{steward.address.hex()}",)
    assert call(world, suite.DATASETS["idOf"], steward.address, *given, bytes(32)) == (name,)
    kept = (f"0x{steward.address.hex()}", 5_000_000, True, False, 0, 10_000_000, 0, 0)
    assert call(world, suite.DATASETS["dataset"], name) == (kept,)
    assert call(world, suite.DATASETS["left"], name) == (5_000_000, 10_000_000)


def test_a_data_set_may_have_no_budget(world: World) -> None:
    steward = world.party("site-0")
    given = values(next(world.nonce), 0, 0)
    steward.wallet.register_dataset(*given)
    entry = world.chain.dataset(steward.wallet.dataset_id(*given))
    assert entry is not None
    assert (entry.budget_micro, entry.delta_pico) == (0, 0)
    assert call(world, suite.DATASETS["left"], entry.id) == (0, 0)


@pytest.mark.parametrize("budget", [(1, 0), (0, 1)])
def test_half_a_budget_is_refused(world: World, budget: tuple[int, int]) -> None:
    with refused("BudgetIncomplete", *budget):
        world.party("site-0").wallet.register_dataset(*values(next(world.nonce), *budget))


def test_a_budget_is_part_of_the_id(world: World) -> None:
    wallet = world.party("site-0").wallet
    given = [values("the same", *budget) for budget in ((1, 1), (1, 2), (2, 1), (0, 0))]
    assert len({wallet.dataset_id(*one) for one in given}) == 4


def test_the_largest_budget_is_kept_whole_and_a_larger_one_is_our_own_mistake(world: World) -> None:
    wallet = world.party("site-0").wallet
    most = 2**64 - 1
    given = values(next(world.nonce), most, most)
    wallet.register_dataset(*given)
    assert call(world, suite.DATASETS["left"], wallet.dataset_id(*given)) == (most, most)
    with pytest.raises(Misuse, match=r"Datasets\.register"):
        wallet.register_dataset(*values(next(world.nonce), most + 1, 1))


def test_nobody_but_the_jobs_contract_reserves_or_releases(world: World, stranger: Party) -> None:
    name = world.limited("site-0", 5_000_000, 10_000_000)
    job = digest("a job")
    assert call(world, suite.DATASETS["spender"]) == (f"0x{world.deployment.jobs.hex()}",)
    for one in (world.party("site-0"), stranger, world.treasury):
        account = one.account if isinstance(one, Party) else one
        for call_ in (("reserve", name, account.address, job, 1, 1, 0), ("release", name, job, 0, 0)):
            with refused("NotSpender", account.address, world.deployment.jobs):
                account.invoke(world.deployment.datasets, suite.DATASETS[call_[0]], *call_[1:])
    assert call(world, suite.DATASETS["left"], name) == (5_000_000, 10_000_000)


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
        world.party("site-0").wallet.register_dataset(Digest(bytes(32)), digest(1), digest(2), 0, 0)


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
