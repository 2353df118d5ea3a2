"""Members: each account writes its own entry, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from caduceus.edges.gateway import suite
from caduceus.kinds import Address, Role
from suite_world import Party, World, call, digest, refused

SIGNER = Address(bytes(range(20)))
KEY = digest("agreement")
NOBODY = Address(bytes(20))


@pytest.fixture
def newcomer(world: World) -> Iterator[Party]:
    party = world.newcomer("newcomer")
    yield party
    if world.chain.member(party.address) is not None:
        act(party, "resign")


def act(party: Party, function: str, *arguments: object) -> None:
    party.account.invoke(party.deployment.members, suite.MEMBERS[function], *arguments)


def test_a_newcomer_registers_and_is_read_back(world: World, newcomer: Party) -> None:
    assert world.chain.member(newcomer.address) is None
    newcomer.wallet.register_member(Role.STEWARD | Role.ATTESTER, SIGNER, KEY, digest("profile"))
    member = world.chain.member(newcomer.address)
    assert member is not None
    assert (member.roles, member.signer, member.agreement_key) == (Role.STEWARD | Role.ATTESTER, SIGNER, KEY)


def test_a_member_may_aggregate_and_evaluate(world: World, newcomer: Party) -> None:
    roles = Role.AGGREGATOR | Role.EVALUATOR
    newcomer.wallet.register_member(roles, SIGNER, KEY, digest("profile"))
    member = world.chain.member(newcomer.address)
    assert member is not None
    assert member.roles == roles
    call(world, suite.MEMBERS["requireRole"], newcomer.address, int(Role.AGGREGATOR))
    with refused("RoleMissing", newcomer.address, int(Role.ATTESTER)):
        call(world, suite.MEMBERS["requireRole"], newcomer.address, int(Role.ATTESTER))


def test_a_member_does_not_register_twice(newcomer: Party) -> None:
    newcomer.wallet.register_member(Role.BUYER, SIGNER, KEY, digest("profile"))
    with refused("AlreadyMember", newcomer.address):
        newcomer.wallet.register_member(Role.BUYER, SIGNER, KEY, digest("profile"))


@pytest.mark.parametrize("roles", [0, 64, 255])
def test_roles_that_mean_nothing_are_refused(newcomer: Party, roles: int) -> None:
    with refused("RolesUnknown", roles):
        act(newcomer, "register", roles, SIGNER, KEY, digest("profile"))
    newcomer.wallet.register_member(Role.BUYER, SIGNER, KEY, digest("profile"))
    with refused("RolesUnknown", roles):
        act(newcomer, "setRoles", roles)


@pytest.mark.parametrize(("signer", "key"), [(NOBODY, KEY), (SIGNER, bytes(32))])
def test_a_missing_key_is_refused(newcomer: Party, signer: Address, key: bytes) -> None:
    with refused("KeyMissing"):
        newcomer.wallet.register_member(Role.BUYER, signer, key, digest("profile"))
    newcomer.wallet.register_member(Role.BUYER, SIGNER, KEY, digest("profile"))
    with refused("KeyMissing"):
        act(newcomer, "rekey", signer, key)


def test_a_member_changes_keys_and_roles(world: World, newcomer: Party) -> None:
    newcomer.wallet.register_member(Role.BUYER, SIGNER, KEY, digest("profile"))
    act(newcomer, "rekey", NOBODY[:19] + b"\1", digest("another key"))
    act(newcomer, "setRoles", int(Role.COORDINATOR))
    member = world.chain.member(newcomer.address)
    assert member is not None
    assert member.roles is Role.COORDINATOR
    assert member.signer == NOBODY[:19] + b"\1"
    assert member.agreement_key == digest("another key")


@pytest.mark.parametrize(("function", "arguments"), [("rekey", (SIGNER, KEY)), ("setRoles", (1,)), ("resign", ())])
def test_who_is_no_member_has_nothing_to_change(stranger: Party, function: str, arguments: tuple[object, ...]) -> None:
    with refused("NotMember", stranger.address):
        act(stranger, function, *arguments)


def test_a_member_resigns_and_may_come_back(world: World, newcomer: Party) -> None:
    newcomer.wallet.register_member(Role.BUYER, SIGNER, KEY, digest("profile"))
    act(newcomer, "resign")
    assert world.chain.member(newcomer.address) is None
    newcomer.wallet.register_member(Role.STEWARD, SIGNER, KEY, digest("profile"))
    assert world.chain.member(newcomer.address) is not None


def test_roles_are_asked_for_one_by_one(world: World, newcomer: Party) -> None:
    newcomer.wallet.register_member(Role.BUYER | Role.STEWARD, SIGNER, KEY, digest("profile"))
    call(world, suite.MEMBERS["requireRole"], newcomer.address, int(Role.BUYER))
    ((roles, _, _),) = call(world, suite.MEMBERS["memberWith"], newcomer.address, int(Role.STEWARD))
    assert roles == Role.BUYER | Role.STEWARD
    for view in ("requireRole", "memberWith"):
        with refused("RoleMissing", newcomer.address, int(Role.ATTESTER)):
            call(world, suite.MEMBERS[view], newcomer.address, int(Role.ATTESTER))
        with refused("NotMember", SIGNER):
            call(world, suite.MEMBERS[view], SIGNER, int(Role.BUYER))
