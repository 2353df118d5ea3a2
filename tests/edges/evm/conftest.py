"""Fixtures of the chain tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from signing import ALICE, BOB, CHAIN_ID, ETHER, clock, raw

from anvil_node import anvil  # noqa: F401  (a fixture)
from caduceus.edges.evm_embedded import Chain, Node, create


@pytest.fixture
def chain() -> Iterator[Chain]:
    """A chain in memory on which Alice and Bob have money."""
    balances = {raw(ALICE.address): 1000 * ETHER, raw(BOB.address): 1000 * ETHER}
    with create(None, chain_id=CHAIN_ID, balances=balances, clock=clock) as opened:
        yield opened


@pytest.fixture
def node(chain: Chain) -> Node:
    """The chain as a node."""
    return Node(chain)
