"""Accounts on a real node, and what the node knows of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from anvil_node import AnvilNode
from caduceus.crypto.sign import Signer
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import Account, Node, Outbox, Sending
from caduceus.edges.gateway.watch import AT_ONCE
from caduceus.ports import Journal

KEY = bytes(31) + b"\x07"
ADDRESS = Signer(KEY).address
TO = b"\x11" * 20
"""Nobody's: whatever is sent there is accepted."""
ETHER = 10**18
QUICK = Sending(confirmations=0, replace_after=None, look_again=0.05)


def account(
    anvil: AnvilNode,
    url: str | None = None,
    *,
    sending: Sending = AT_ONCE,
    patience: float = 60.0,
    journal: Journal | None = None,
    estimate: bool = False,
) -> Account:
    """The account, funded; through another URL than the node's own if one is given."""
    anvil.fund(ADDRESS, 1000 * ETHER)
    node = Node(HttpNode(url or anvil.url, timeout=10).request)
    outbox = None if journal is None else Outbox(journal, anvil.chain_id, ADDRESS)
    return Account(node, Signer(KEY), estimate=estimate, patience=patience, sending=sending, outbox=outbox)


def included(anvil: AnvilNode) -> int:
    """How many of the account's transactions are in blocks."""
    return int(anvil.node.request("eth_getTransactionCount", [f"0x{ADDRESS.hex()}", "latest"]), 16)


def calls(anvil: AnvilNode) -> list[tuple[int, str]]:
    """Nonce and data of the account's transactions, in the chain's order."""
    found = []
    for number in range(int(anvil.node.request("eth_blockNumber"), 16) + 1):
        block = anvil.node.request("eth_getBlockByNumber", [hex(number), True])
        found += [
            (int(one["nonce"], 16), one["input"])
            for one in block["transactions"]
            if one["from"] == f"0x{ADDRESS.hex()}"
        ]
    return found


def at_once(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run things in threads of their own; what each returned, or raised."""
    outcomes: list[Any] = [None] * len(jobs)

    def run(place: int) -> None:
        try:
            outcomes[place] = jobs[place]()
        except Exception as problem:  # noqa: BLE001  (the test looks at it)
            outcomes[place] = problem

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def eventually(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    pause = threading.Event()
    for _ in range(6000):
        if what():
            return
        pause.wait(0.01)
    raise AssertionError("it never came to be")
