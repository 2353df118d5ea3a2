"""Following events: each comes once, and what a reorganisation undoes is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from anvil_node import AnvilNode
from caduceus.edges.gateway import GatewayChain, Node
from caduceus.edges.gateway.following import Cursor, Follower, Happened, Step, read_cursor, write_cursor
from caduceus.edges.rpc import REJECTED, RpcError
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Role
from suite_world import World, anvil_world, digest, embedded_world

Place = tuple[bytes, int]


@pytest.fixture
def own() -> World:
    """A chain in this process that no other test uses."""
    return embedded_world()


@pytest.fixture
def real(anvil: AnvilNode) -> Iterator[World]:
    """A real node's chain with the contracts on it."""
    return anvil_world(anvil)


class Books:
    """What somebody holds true who acts on every step."""

    def __init__(self) -> None:
        self.events: list[Happened] = []

    def act(self, step: Step) -> None:
        if step.back_to is not None:
            self.events = [event for event in self.events if event.block <= step.back_to]
        self.events += step.events

    @property
    def places(self) -> list[Place]:
        return [(event.block_hash, event.index) for event in self.events]


def drain(follower: Follower, books: Books) -> list[Step]:
    """Take every step that there is."""
    steps = []
    while (step := follower.step()) is not None:
        books.act(step)
        follower.accept(step)
        steps.append(step)
    return steps


def truth(world: World) -> list[Place]:
    """Where the suite's events stand on the chain now, by asking for all of them at once."""
    _, *places = world.deployment.places
    query = {"address": [f"0x{at.hex()}" for _, at in places], "fromBlock": "0x0", "toBlock": "latest"}
    logs = world.node.request("eth_getLogs", [query])
    return [(bytes.fromhex(log["blockHash"][2:]), int(log["logIndex"], 16)) for log in logs]


def join(world: World, name: str) -> None:
    """One more event."""
    party = world.newcomer(name)
    party.wallet.register_member(Role.STEWARD, party.signer.address, digest("key"), digest("profile"))


def mine(world: World, blocks: int) -> None:
    for _ in range(blocks):
        world.node.request("evm_mine", [])


def follower(world: World, cursor: Cursor | None = None, **options: int) -> Follower:
    return Follower(world.node, world.deployment, cursor, **{"confirmations": 0, **options})


def test_every_event_comes_once_in_the_chains_order(own: World) -> None:
    books, following = Books(), follower(own)
    for name in ("buyer", "site-0", "site-1"):
        join(own, name)
        drain(following, books)
        mine(own, 2)
    assert [event.name for event in books.events] == ["Members.MemberRegistered"] * 3
    assert books.events[0].values[:2] == (f"0x{own.newcomer('buyer').address.hex()}", int(Role.STEWARD))
    assert books.places == truth(own)
    drain(following, books)
    assert following.step() is None


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_a_back_fill_goes_in_chunks_and_gives_the_same(own: World, chunk: int) -> None:
    for name in ("buyer", "site-0", "site-1", "site-2"):
        join(own, name)
        mine(own, 3)
    books = Books()
    steps = drain(follower(own, chunk=chunk, remember=4), books)
    assert books.places == truth(own)
    blocks = own.node.height() - own.deployment.block + 1
    assert len(steps) == -(-blocks // chunk)
    assert len(steps[-1].cursor.seen) <= 8


def test_a_cursor_on_disk_goes_on_where_it_was(own: World, tmp_path: Path) -> None:
    path, books = tmp_path / "cursor", Books()
    assert read_cursor(path) is None
    for name in ("buyer", "site-0", "site-1"):
        join(own, name)
        following = follower(own, read_cursor(path))
        drain(following, books)
        write_cursor(path, following.cursor)
    assert books.places == truth(own)
    path.write_bytes(b"something")
    with pytest.raises(Refused, match="cursor"):
        read_cursor(path)


def test_a_step_that_was_not_accepted_comes_again_the_same(own: World) -> None:
    join(own, "buyer")
    following = follower(own)
    first, again = following.step(), following.step()
    assert first is not None
    assert first == again


def test_blocks_without_confirmations_wait(own: World) -> None:
    books, following = Books(), follower(own, confirmations=3)
    join(own, "buyer")
    mine(own, 2)
    drain(following, books)
    assert books.events == []
    mine(own, 1)
    drain(following, books)
    assert books.places == truth(own)


def limited(world: World, most: int, asked: list[int]) -> Node:
    """The world's node, as one that refuses log queries over more than some blocks."""

    def request(method: str, params: Sequence[Any]) -> Any:
        if method == "eth_getLogs":
            first, last = (params[0][name] for name in ("fromBlock", "toBlock"))
            end = world.node.height() if last == "latest" else int(last, 16)
            asked.append(end - int(first, 16) + 1)
            if asked[-1] > most:
                raise RpcError(REJECTED, f"block range is limited to {most}")
        return world.node.request(method, params)

    return Node(request)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_node_that_limits_log_queries_is_asked_for_less_until_it_answers(own: World, most: int) -> None:
    for name in ("buyer", "site-0", "site-1"):
        join(own, name)
        mine(own, 5)
    asked: list[int] = []
    books = Books()
    drain(Follower(limited(own, most, asked), own.deployment, confirmations=0), books)
    assert books.places == truth(own)
    refused = [span for span in asked if span > most]
    assert 0 < len(refused) <= 6
    assert all(span <= most for span in asked[len(refused) :])


def test_reading_through_the_port_survives_such_a_node_too(own: World) -> None:
    own.dataset("site-0")
    own.dataset("site-1")
    mine(own, 7)
    chain = GatewayChain(limited(own, 2, []), own.deployment)
    assert chain.datasets() == own.chain.datasets()
    assert len(chain.datasets()) == 2


def test_a_node_that_refuses_a_single_block_is_quoted(own: World) -> None:
    mine(own, 3)
    with pytest.raises(RpcError, match="limited to 0"):
        Follower(limited(own, 0, []), own.deployment, confirmations=0).step()


def test_a_node_that_is_behind_undoes_nothing(own: World) -> None:
    books, following = Books(), follower(own)
    join(own, "buyer")
    drain(following, books)
    honest = own.node.request

    def behind(method: str, params: Sequence[Any]) -> Any:
        if method == "eth_blockNumber":
            return hex(int(honest(method, params), 16) - 2)
        if method == "eth_getBlockByNumber" and int(params[0], 16) > int(honest("eth_blockNumber", []), 16) - 2:
            return None
        return honest(method, params)

    late = Follower(Node(behind), own.deployment, following.cursor, confirmations=0)
    assert late.step() is None


def test_a_node_that_is_away_is_unavailable_and_nothing_is_lost(own: World) -> None:
    books, following = Books(), follower(own, chunk=2)
    join(own, "buyer")
    honest, calls = own.node.request, iter(range(10_000))

    def stumbling(method: str, params: Sequence[Any]) -> Any:
        if next(calls) % 3 == 2:
            raise Unavailable("no answer")
        return honest(method, params)

    own.node.request = stumbling
    for _ in range(200):
        try:
            drain(following, books)
        except Unavailable:
            continue
    own.node.request = honest
    drain(following, books)
    assert books.places == truth(own)


@pytest.mark.anvil
def test_a_reorganisation_says_which_blocks_are_undone_and_gives_the_new_ones(real: World) -> None:
    books, following = Books(), follower(real)
    join(real, "buyer")
    drain(following, books)
    stays = books.places
    before = real.node.request("evm_snapshot", [])
    common = real.node.height()
    join(real, "site-0")
    join(real, "site-1")
    drain(following, books)
    gone = following.cursor.seen[-2:]
    real.node.request("evm_revert", [before])
    real.node.request("evm_increaseTime", [50])
    join(real, "site-2")
    mine(real, 2)
    (step,) = drain(following, books)
    assert step.back_to == common
    assert [one.hash for one in step.undone] == [one.hash for one in reversed(gone)]
    assert [event.name for event in step.events] == ["Members.MemberRegistered"]
    assert books.places == truth(real)
    assert books.places[: len(stays)] == stays


@pytest.mark.anvil
def test_a_chain_that_changes_while_it_is_looked_at_is_looked_at_again(real: World) -> None:
    before = real.node.request("evm_snapshot", [])
    join(real, "buyer")
    changes = iter([True])

    def moving(method: str, params: Sequence[Any]) -> Any:
        answer = real.node.request(method, params)
        if method == "eth_getLogs" and next(changes, False):
            real.node.request("evm_revert", [before])
            real.node.request("evm_increaseTime", [50])
            mine(real, 3)
        return answer

    step = Follower(Node(moving), real.deployment, confirmations=0).step()
    assert step is not None
    assert step.events == ()
    block = real.node.block(step.cursor.upto)
    assert block is not None
    assert block["hash"] == f"0x{step.cursor.seen[-1].hash.hex()}"


@pytest.mark.anvil
def test_anvils_own_reorganisation_leaves_the_books_right(real: World) -> None:
    books, following = Books(), follower(real, chunk=3)
    for name in ("buyer", "site-0", "site-1", "site-2"):
        join(real, name)
    drain(following, books)
    real.node.request("anvil_reorg", [3, []])
    mine(real, 1)
    steps = drain(following, books)
    assert len(steps[0].undone) == 3
    assert books.places == truth(real)


@pytest.mark.anvil
def test_a_reorganisation_below_what_is_remembered_is_refused(real: World) -> None:
    first = real.node.request("evm_snapshot", [])
    books, following = Books(), follower(real, chunk=4, remember=2)
    for name in ("buyer", "site-0", "site-1", "site-2", "stranger", "newcomer"):
        join(real, name)
        drain(following, books)
    mine(real, 8)
    drain(following, books)
    real.node.request("evm_revert", [first])
    real.node.request("evm_increaseTime", [50])
    mine(real, 20)
    with pytest.raises(Refused, match="begin again, without a cursor"):
        following.step()
