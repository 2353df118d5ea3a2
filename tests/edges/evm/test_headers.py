"""A header's hash from its fields, and the way back through parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from anvil_node import AnvilNode
from caduceus.edges.gateway import Node
from caduceus.edges.headers import ancestors, hash_of
from caduceus.errors import Refused, Unavailable
from suite_world import embedded_world


def check(node: Node) -> None:
    """Every block of a chain has the hash that its fields give, and the parents lead back to the first."""
    height = node.height()
    hashes = {}
    for number in range(height + 1):
        block = node.block(number)
        assert block is not None
        hashes[number] = bytes.fromhex(block["hash"][2:])
        assert hash_of(block) == hashes[number]
    assert ancestors(node, hashes[height], 0) == hashes
    assert set(ancestors(node, hashes[height], height - 1)) == {height, height - 1}


def test_the_chain_in_this_process_hashes_as_its_headers_say() -> None:
    check(embedded_world().node)


@pytest.mark.anvil
def test_a_real_node_hashes_as_its_headers_say(anvil: AnvilNode) -> None:
    anvil.node.request("anvil_mine", ["0x3"])
    check(Node(anvil.node.request))


@pytest.mark.anvil
def test_a_header_that_was_touched_is_not_the_one_that_was_asked_for(anvil: AnvilNode) -> None:
    anvil.node.request("anvil_mine", ["0x3"])
    newest = bytes.fromhex(Node(anvil.node.request).newest()["hash"][2:])

    def lying(field: str, value: Any) -> Node:
        def request(method: str, params: Sequence[Any]) -> Any:
            answer = anvil.node.request(method, params)
            if method == "eth_getBlockByHash" and answer["number"] == "0x2":
                return {**answer, field: value}
            return answer

        return Node(request)

    for field, value in (("stateRoot", "0x" + "11" * 32), ("timestamp", "0x1"), ("parentHash", "0x" + "22" * 32)):
        with pytest.raises(Refused, match="another hash"):
            ancestors(lying(field, value), newest, 0)
    with pytest.raises(Unavailable, match="no whole header"):
        ancestors(lying("logsBloom", None), newest, 0)
    with pytest.raises(Unavailable, match="has no block"):
        ancestors(Node(anvil.node.request), b"\x33" * 32, 0)
