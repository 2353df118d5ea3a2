"""What the chain says of health data: followed, checked against identifiers, void when the chain changes its mind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from anvil_node import require_anvil, running
from caduceus.edges.gateway import GatewayChain, Node
from caduceus.edges.gateway.following import Follower, Happened
from caduceus.edges.gateway.offers import sharing
from caduceus.edges.network import read_deployment
from caduceus.errors import PeerFault, Refused, Unavailable
from caduceus.kinds import Address, Digest, Readiness
from caduceus.ports import DatasetEntry
from suite_world import World, anvil_world, digest, embedded_world

BUDGET = 5_000_000, 7_000_000


@pytest.fixture
def real() -> Iterator[World]:
    """A real node's chain with the contracts on it, which no other test changes."""
    require_anvil()
    with running() as anvil:
        yield anvil_world(anvil)


def tell(world: World) -> tuple[Digest, Digest]:
    """A version, a verdict and a status list; the ids of both versions."""
    wallet = world.party("site-0").wallet
    first = world.limited("site-0", *BUDGET)
    given = digest("newer records", next(world.nonce)), digest("newer card"), digest("terms")
    wallet.supersede_dataset(first, *given)
    second = wallet.superseding_id(first, *given, *BUDGET)
    wallet.state_readiness(second, digest("report"), Readiness.CONDITIONAL)
    wallet.publish_status(digest("status list"))
    return first, second


def told(steps: list[Happened]) -> list[str]:
    return [one.name for one in steps]


def drain(follower: Follower, books: list[Happened]) -> list[Happened]:
    """Take every step that there is, into books from which what is void is struck out."""
    while (step := follower.step()) is not None:
        if step.back_to is not None:
            books[:] = [one for one in books if one.block <= step.back_to]
        books += step.events
        follower.accept(step)
    return books


NAMES = [
    "Datasets.DatasetRegistered",
    "Datasets.DatasetWithdrawn",
    "Datasets.DatasetRegistered",
    "Datasets.DatasetSuperseded",
    "Datasets.ReadinessStated",
    "Statuses.StatusPublished",
]


def test_versions_verdicts_and_status_lists_are_followed() -> None:
    world = embedded_world()
    world.party("site-0")
    following = Follower(world.node, world.deployment, confirmations=0)
    drain(following, [])
    first, second = tell(world)
    books = drain(following, [])
    assert told(books) == NAMES
    steward = f"0x{world.party('site-0').address.hex()}"
    assert books[3].values == (second, steward, first)
    assert books[4].values == (second, steward, digest("report"), int(Readiness.CONDITIONAL))
    assert books[5].values == (steward, 1, digest("status list"))


@pytest.mark.anvil
def test_what_a_reorganisation_drops_is_void_and_comes_again_as_it_then_happens(real: World) -> None:
    site = real.party("site-0")
    first = real.limited("site-0", *BUDGET)
    following = Follower(real.node, real.deployment, confirmations=0)
    books = drain(following, [])
    before = real.node.request("evm_snapshot", [])
    given = digest("newer records"), digest("newer card"), digest("terms")
    site.wallet.supersede_dataset(first, *given)
    second = site.wallet.superseding_id(first, *given, *BUDGET)
    site.wallet.state_readiness(second, digest("report"), Readiness.READY)
    site.wallet.publish_status(digest("status list"))
    assert told(drain(following, books))[-2:] == NAMES[-2:]
    assert real.chain.dataset(second) is not None
    real.node.request("evm_revert", [before])
    real.node.request("evm_increaseTime", [50])
    site.wallet.state_readiness(first, digest("another report"), Readiness.BLOCKED)
    real.node.request("evm_mine", [])
    assert [one.values[0] for one in drain(following, books) if one.name == "Datasets.ReadinessStated"] == [first]
    assert not {"Datasets.DatasetSuperseded", "Statuses.StatusPublished"} & set(told(books))
    entry = real.chain.dataset(first)
    assert entry is not None
    assert (entry.active, entry.readiness, entry.report) == (True, Readiness.BLOCKED, digest("another report"))
    assert real.chain.dataset(second) is None
    assert real.chain.status_root(site.address) is None


# ---------------------------------------------------------------- a node that says otherwise


def meddled(world: World, alter: Any) -> GatewayChain:
    """The world's chain through a node that alters its lists of logs."""

    def request(method: str, params: Sequence[Any]) -> Any:
        answer = world.node.request(method, params)
        return alter(answer) if method == "eth_getLogs" else answer

    return GatewayChain(Node(request), world.deployment)


def test_a_node_that_hides_or_changes_the_version_before_is_caught(world: World) -> None:
    _, second = tell(world)
    topic = len("0x") + 64

    def hide(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [log for log in logs if len(log["topics"]) < 4]

    def change(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        other = f"0x{digest('another version').hex()}"
        assert len(other) == topic
        return [{**log, "topics": [*log["topics"][:3], *([other] * (len(log["topics"]) - 3))]} for log in logs]

    for alter in (hide, change):
        with pytest.raises(PeerFault, match="DatasetRegistered does not fit"):
            meddled(world, alter).dataset(second)
    assert meddled(world, lambda logs: logs).dataset(second) == world.chain.dataset(second)


# ---------------------------------------------------------------- one budget, as readers find it


def offered(name: str, records: str, previous: str | None = None) -> DatasetEntry:
    after = None if previous is None else digest(previous)
    steward, card = Address(bytes(20)), digest("card")
    return DatasetEntry(digest(name), steward, digest(records), card, card, *BUDGET, True, 0, 0, after)


def test_data_sets_share_a_budget_over_records_and_over_versions() -> None:
    offers = [
        offered("a", "ra"),
        offered("b", "rb", "a"),
        offered("c", "rc", "b"),
        offered("afresh", "rb"),
        offered("other", "ro"),
        offered("meeting", "ro", "loose"),
        offered("loose", "rl"),
    ]
    groups = [{"a", "b", "c", "afresh"}, {"other", "meeting", "loose"}]
    for one, name in zip(offers, ("a", "b", "c", "afresh", "other", "meeting", "loose"), strict=True):
        group = next(group for group in groups if name in group)
        assert set(sharing(one, offers)) == {digest(each) for each in group}


def test_a_node_that_forgot_the_version_before_is_unavailable() -> None:
    newer = offered("b", "rb", "a")
    with pytest.raises(Unavailable, match=f"no log of data set 0x{digest('a').hex()}"):
        sharing(newer, [newer])


def test_a_deployment_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "deployment"
    path.write_bytes(b"\x89rchain/deployment/2\x01\x00" + (b"\x54" + bytes(20)) * 6)
    with pytest.raises(Refused, match=r"deployment: names contracts of an earlier version.*deploy anew"):
        read_deployment(path)
