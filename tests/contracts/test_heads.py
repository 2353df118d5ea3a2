"""Heads of private networks: only their account records them, only upwards, and all of them are counted."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.abi import contract
from caduceus.edges.heads import HeadsPlace, deploy_heads, heads_of, network_id
from caduceus.ports import Sent
from suite_world import Party, World, digest, embedded_world, refused

HEADS = contract("Heads")


@pytest.fixture(scope="module")
def place(world: World) -> HeadsPlace:
    return deploy_heads(world.treasury)


@pytest.fixture
def genesis(world: World) -> bytes:
    """A network that nobody registered before."""
    return digest("genesis", next(world.nonce))


@pytest.fixture
def keeper(world: World) -> Party:
    return world.newcomer("specialist")


def do(party: Party, place: HeadsPlace, function: str, *arguments: object) -> Sent:
    return party.account.invoke(place.address, HEADS.functions[function], *arguments)


def state(world: World, place: HeadsPlace, network: bytes) -> tuple[bytes, int, int]:
    (entry,) = world.node.call(place.address, HEADS.functions["networkOf"], network)
    return tuple(entry)


def test_a_registered_network_records_heads_and_they_are_all_there(
    world: World, place: HeadsPlace, keeper: Party, genesis: bytes
) -> None:
    network = network_id(keeper.address, genesis)
    assert state(world, place, network) == (bytes(32), 0, 0)
    do(keeper, place, "register", genesis)
    assert state(world, place, network) == (network, 0, 0)
    chain = bytes(network)
    for number in (7, 8, 2**64 - 1):
        do(keeper, place, "record", genesis, number, digest("block", number))
        chain = keccak(encode(("bytes32", "uint64", "bytes32"), (chain, number, digest("block", number))))
    assert state(world, place, network) == (chain, 2**64 - 1, 3)
    assert [(one.head.number, one.head.hash) for one in heads_of(world.node, place, network)] == [
        (number, digest("block", number)) for number in (7, 8, 2**64 - 1)
    ]


def test_a_network_has_the_name_that_python_gives_it(
    world: World, place: HeadsPlace, keeper: Party, genesis: bytes
) -> None:
    found = world.node.call(place.address, HEADS.functions["idOf"], keeper.address, genesis)
    assert found == (network_id(keeper.address, genesis),)


def test_a_network_is_registered_once_and_by_its_own_account(
    world: World, place: HeadsPlace, keeper: Party, genesis: bytes
) -> None:
    do(keeper, place, "register", genesis)
    with refused("AlreadyRegistered", network_id(keeper.address, genesis)):
        do(keeper, place, "register", genesis)
    do(world.newcomer("stranger"), place, "register", genesis)  # another network, of another name
    assert state(world, place, network_id(keeper.address, genesis))[2] == 0


def test_nobody_records_in_anothers_name(world: World, place: HeadsPlace, keeper: Party, genesis: bytes) -> None:
    do(keeper, place, "register", genesis)
    other = world.newcomer("newcomer")
    with refused("NotRegistered", network_id(other.address, genesis)):
        do(other, place, "record", genesis, 1, digest("block"))


def test_an_unregistered_network_records_nothing(place: HeadsPlace, keeper: Party, genesis: bytes) -> None:
    with refused("NotRegistered", network_id(keeper.address, genesis)):
        do(keeper, place, "record", genesis, 1, digest("block"))
    with refused("GenesisMissing"):
        do(keeper, place, "register", bytes(32))


def test_numbers_rise_and_block_0_is_the_registrations(place: HeadsPlace, keeper: Party, genesis: bytes) -> None:
    do(keeper, place, "register", genesis)
    with refused("NumberNotRising", 0, 0):
        do(keeper, place, "record", genesis, 0, genesis)
    do(keeper, place, "record", genesis, 5, digest("block"))
    for number in (5, 4):
        with refused("NumberNotRising", number, 5):
            do(keeper, place, "record", genesis, number, digest("block"))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_whatever_is_tried_the_state_is_the_models(numbers: list[int]) -> None:
    world, place, keeper = _shared()
    genesis = digest("genesis", next(world.nonce))
    do(keeper, place, "register", genesis)
    model = {"newest": 0, "count": 0}
    for number in numbers:
        if number > model["newest"]:
            do(keeper, place, "record", genesis, number, digest("block", number))
            model = {"newest": number, "count": model["count"] + 1}
        else:
            with refused("NumberNotRising", number, model["newest"]):
                do(keeper, place, "record", genesis, number, digest("block", number))
    network = network_id(keeper.address, genesis)
    assert state(world, place, network)[1:] == (model["newest"], model["count"])
    assert len(heads_of(world.node, place, network)) == model["count"]


_KEPT: list[tuple[World, HeadsPlace, Party]] = []


def _shared() -> tuple[World, HeadsPlace, Party]:
    """One chain for all of hypothesis's examples."""
    if not _KEPT:
        world = embedded_world()
        _KEPT.append((world, deploy_heads(world.treasury), world.newcomer("specialist")))
    return _KEPT[0]
