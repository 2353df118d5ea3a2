"""A private chain against the heads that a public chain recorded of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from anvil_node import AnvilNode, require_anvil, running
from caduceus.crypto.sign import Signer
from caduceus.edges.evm_embedded import Node as EmbeddedNode
from caduceus.edges.evm_embedded import create
from caduceus.edges.gateway import Account, Node
from caduceus.edges.heads import (
    Head,
    HeadsPlace,
    anchor_head,
    check_heads,
    deploy_heads,
    genesis_of,
    network_id,
    read_place,
    register,
    write_place,
)
from caduceus.edges.network import EMBEDDED_CHAIN_ID, open_node
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest

KEY = bytes(31) + b"\x05"
OURS = Signer(KEY).address
MONEY = {OURS: 10**21}


@pytest.fixture(params=["embedded", pytest.param("anvil", marks=pytest.mark.anvil)])
def public(request: pytest.FixtureRequest) -> Iterator[Account]:
    """An account on a chain that the private network's operators do not run."""
    if request.param == "embedded":
        with create(None, chain_id=77, balances=MONEY, clock=lambda: 1_800_000_000) as chain:
            yield Account(Node(EmbeddedNode(chain).request), Signer(KEY))
        return
    require_anvil()
    with running() as anvil:
        anvil.fund(OURS, 10**21)
        yield Account(Node(anvil.node.request), Signer(KEY))


class Private:
    """An embedded chain in a file, as a consortium has it."""

    def __init__(self, path: Path, start: int = 1_800_000_000) -> None:
        self.path = path
        self.chain = create(path, chain_id=EMBEDDED_CHAIN_ID, balances=MONEY, clock=lambda: start)
        self.node = Node(EmbeddedNode(self.chain).request)
        self.account = Account(self.node, Signer(KEY), estimate=False)

    def pay(self, count: int, data: bytes = b"") -> None:
        """Some blocks, one transaction each."""
        for _ in range(count):
            self.account.send(b"\x11" * 20, data, "pay")

    def network(self, account: Account) -> Digest:
        return network_id(account.address, genesis_of(self.node))


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Private]:
    made = Private(tmp_path / "private.sqlite")
    yield made
    made.chain.close()


@pytest.fixture
def place(public: Account) -> HeadsPlace:
    return deploy_heads(public)


def anchored(private: Private, public: Account, place: HeadsPlace, **options: int) -> Head | None:
    done = anchor_head(private.node, public, place, private.network(public), **options)
    return None if done is None else done[0]


def test_a_chain_that_was_not_rewritten_agrees_with_every_head(
    public: Account, private: Private, place: HeadsPlace
) -> None:
    register(private.node, public, place)
    network, heads = private.network(public), []
    for _ in range(3):
        private.pay(2)
        heads.append(anchored(private, public, place))
    private.pay(4)
    checked = check_heads(private.node, public.node, place, network, public.address)
    assert checked.is_whole
    assert check_heads(private.node, public.node, place, network, public.address, thorough=True) == checked
    assert [one.head for one in checked.recorded] == heads
    assert [one.head.number for one in checked.recorded] == [2, 4, 6]
    assert checked.above == 4
    assert str(checked) == "3 recorded heads are on this chain; it was not rewritten up to block 6; 4 blocks follow"


def test_heads_wait_until_they_are_final_and_until_there_are_enough_new_blocks(
    public: Account, private: Private, place: HeadsPlace
) -> None:
    register(private.node, public, place)
    assert anchored(private, public, place) is None
    private.pay(3)
    assert anchored(private, public, place, depth=3) is None
    head = anchored(private, public, place, depth=2)
    assert head is not None
    assert head.number == 1
    private.pay(3)
    assert anchored(private, public, place, every=6) is None
    head = anchored(private, public, place, every=5)
    assert head is not None
    assert head.number == 6


def test_a_rewritten_chain_is_named_with_the_first_head_that_differs(
    public: Account, private: Private, place: HeadsPlace, tmp_path: Path
) -> None:
    register(private.node, public, place)
    network = private.network(public)
    other = Private(tmp_path / "other.sqlite")
    for _ in range(2):
        private.pay(2)
        other.pay(2)
        anchored(private, public, place)
    for _ in range(2):
        private.pay(2)
        other.pay(2, b"something else")
        anchored(private, public, place)
    other.chain.close()
    with open_node(str(tmp_path / "other.sqlite")) as presented:
        checked = check_heads(presented, public.node, place, network, public.address)
        assert check_heads(presented, public.node, place, network, public.address, thorough=True) == checked
    assert not checked.is_whole
    assert checked.differs is not None
    assert checked.differs.head.number == 6
    assert str(checked).startswith("rewritten: block 6 was recorded as 0x")
    assert str(checked).endswith("it still agrees up to block 4")


def test_a_node_that_pretends_to_have_the_recorded_blocks_is_caught_by_their_children(
    public: Account, private: Private, place: HeadsPlace, tmp_path: Path
) -> None:
    register(private.node, public, place)
    other = Private(tmp_path / "other.sqlite")
    private.pay(2)
    anchored(private, public, place)
    other.pay(3, b"something else")

    def pretending(method: str, params: Sequence[Any]) -> Any:
        honest = private if method == "eth_getBlockByNumber" and params[0] in ("0x0", "0x2") else other
        return honest.node.request(method, params)

    presented, network = Node(pretending), private.network(public)
    assert check_heads(presented, public.node, place, network, public.address).is_whole
    checked = check_heads(presented, public.node, place, network, public.address, thorough=True)
    assert checked.differs is not None
    assert checked.differs.head.number == 2
    other.chain.close()


def test_a_chain_cut_off_below_a_recorded_head_differs_there(
    public: Account, private: Private, place: HeadsPlace, tmp_path: Path
) -> None:
    register(private.node, public, place)
    short = Private(tmp_path / "short.sqlite")
    private.pay(2)
    short.pay(2)
    anchored(private, public, place)
    private.pay(2)
    anchored(private, public, place)
    checked = check_heads(short.node, public.node, place, private.network(public), public.address)
    assert checked.differs is not None
    assert checked.differs.head.number == 4
    short.chain.close()


def test_a_rewritten_chain_is_not_recorded_any_further(
    public: Account, private: Private, place: HeadsPlace, tmp_path: Path
) -> None:
    register(private.node, public, place)
    private.pay(2)
    anchored(private, public, place)
    other = Private(tmp_path / "other.sqlite")
    other.pay(4, b"something else")
    with pytest.raises(Refused, match=r"block 2 of the private chain is not the one that was recorded"):
        anchored(other, public, place)
    other.chain.close()


def test_another_chain_account_or_place_is_refused(
    public: Account, private: Private, place: HeadsPlace, tmp_path: Path
) -> None:
    register(private.node, public, place)
    network = private.network(public)
    other = Private(tmp_path / "other.sqlite", start=1_700_000_000)
    if genesis_of(other.node) == genesis_of(private.node):
        pytest.fail("the two chains should begin differently")
    for presented, account in ((other.node, public.address), (private.node, Signer(bytes(31) + b"\x06").address)):
        with pytest.raises(Refused, match=r"begins with block 0x"):
            check_heads(presented, public.node, place, network, account)
    with pytest.raises(Refused, match="is it the right chain"):
        anchor_head(other.node, public, place, network)
    elsewhere = HeadsPlace(place.chain_id, place.block, OURS)
    with pytest.raises(Refused, match="not that of the contract Heads"):
        check_heads(private.node, public.node, elsewhere, network, public.address)
    with pytest.raises(Refused, match="is on chain 1"):
        check_heads(private.node, public.node, HeadsPlace(1, 0, place.address), network, public.address)
    other.chain.close()


def test_without_recordings_nothing_is_claimed(public: Account, private: Private, place: HeadsPlace) -> None:
    network = private.network(public)
    with pytest.raises(Refused, match="is not registered"):
        check_heads(private.node, public.node, place, network, public.address)
    register(private.node, public, place)
    checked = check_heads(private.node, public.node, place, network, public.address)
    assert not checked.is_whole
    assert str(checked) == "no head was recorded: nothing can be said"


def test_a_public_node_that_leaves_out_or_changes_a_recording_is_noticed(
    public: Account, private: Private, place: HeadsPlace
) -> None:
    register(private.node, public, place)
    for _ in range(3):
        private.pay(1)
        anchored(private, public, place)

    def forgetful(method: str, params: Sequence[Any]) -> Any:
        answer = public.node.request(method, params)
        return [answer[0], answer[2]] if method == "eth_getLogs" else answer

    def forging(method: str, params: Sequence[Any]) -> Any:
        answer = public.node.request(method, params)
        if method != "eth_getLogs":
            return answer
        return [{**answer[0], "data": answer[0]["data"][:-64] + "11" * 32}, *answer[1:]]

    for line in (forgetful, forging):
        with pytest.raises(Unavailable, match="ask one that keeps old logs"):
            check_heads(private.node, Node(line), place, private.network(public), public.address)


def test_the_place_is_kept_in_a_file(tmp_path: Path) -> None:
    place = HeadsPlace(1, 2, OURS)
    write_place(tmp_path / "heads", place)
    assert read_place(tmp_path / "heads") == place
    with pytest.raises(Refused, match="missing"):
        read_place(tmp_path / "none")
    (tmp_path / "heads").write_bytes(b"x")
    with pytest.raises(Refused, match="heads"):
        read_place(tmp_path / "heads")


@pytest.mark.anvil
def test_a_private_node_that_reorganises_below_a_head_is_caught(public: Account, anvil: AnvilNode) -> None:
    private = Node(anvil.node.request)
    place = deploy_heads(public)
    network = network_id(public.address, genesis_of(private))
    register(private, public, place)
    for blocks in ("0x3", "0x5"):
        anvil.node.request("anvil_mine", [blocks])
        assert anchor_head(private, public, place, network, depth=1) is not None
    with open_node(anvil.url) as presented:
        assert check_heads(presented, public.node, place, network, public.address).is_whole
        anvil.node.request("anvil_reorg", [4, []])
        checked = check_heads(presented, public.node, place, network, public.address)
    assert checked.differs is not None
    assert checked.differs.head.number == 7
