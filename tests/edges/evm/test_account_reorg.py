"""A transaction counts once blocks are on top of it, and a chain that changes its mind does not lose it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from accounts import QUICK, TO, account, calls, eventually, included

from anvil_node import AnvilNode
from caduceus.errors import Uncertain

pytestmark = pytest.mark.anvil

DEEP = replace(QUICK, confirmations=2)


class Sending(threading.Thread):
    """A send that somebody waits for."""

    def __init__(self, sender: Any) -> None:
        super().__init__()
        self.sender = sender
        self.receipt: dict[str, Any] = {}
        self.start()

    def run(self) -> None:
        self.receipt = self.sender.send(TO, b"\x01", "pay")


def test_a_transaction_waits_for_its_confirmations(anvil: AnvilNode) -> None:
    sending = Sending(account(anvil, sending=DEEP))
    eventually(lambda: included(anvil) == 1)
    anvil.node.request("evm_mine")
    sending.join(0.3)
    assert sending.is_alive()
    anvil.node.request("evm_mine")
    sending.join()
    assert int(anvil.node.request("eth_blockNumber"), 16) - int(sending.receipt["blockNumber"], 16) == 2


def test_too_few_confirmations_in_time_leave_the_fate_unknown(anvil: AnvilNode) -> None:
    sender = account(anvil, sending=DEEP, patience=0.1)
    with pytest.raises(Uncertain, match=r"in block 1, but not under 2 more, after 0.1 s"):
        sender.send(TO, b"\x01", "pay")
    anvil.node.request("anvil_mine", ["0x2"])
    assert sender.send(TO, b"\x01", "pay")["blockNumber"] == "0x1"
    assert calls(anvil) == [(0, "0x01")]


def test_a_transaction_that_a_reorganisation_drops_is_sent_again(anvil: AnvilNode) -> None:
    sender = account(anvil, sending=DEEP)
    before = anvil.node.request("evm_snapshot")
    sending = Sending(sender)
    eventually(lambda: included(anvil) == 1)
    dropped = anvil.node.request("eth_getBlockByNumber", ["0x1", False])["hash"]
    anvil.node.request("evm_increaseTime", [100])  # so that the other block 1 is another one
    anvil.node.request("evm_revert", [before])
    eventually(lambda: included(anvil) == 1)
    anvil.node.request("anvil_mine", ["0x2"])
    sending.join()
    assert sending.receipt["blockHash"] != dropped
    assert calls(anvil) == [(0, "0x01")]


def test_a_transaction_in_a_reorganised_block_is_found_in_its_new_one(anvil: AnvilNode) -> None:
    sending = Sending(account(anvil, sending=replace(QUICK, confirmations=3)))
    eventually(lambda: included(anvil) == 1)
    anvil.node.request("anvil_mine", ["0x1"])
    anvil.node.request("anvil_reorg", [2, []])
    eventually(lambda: included(anvil) == 1)
    anvil.node.request("anvil_mine", ["0x3"])
    sending.join()
    block = anvil.node.request("eth_getBlockByHash", [sending.receipt["blockHash"], False])
    canonical = anvil.node.request("eth_getBlockByNumber", [sending.receipt["blockNumber"], False])
    assert block["hash"] == canonical["hash"]
    assert calls(anvil) == [(0, "0x01")]


def test_a_receipt_of_a_block_that_is_not_the_chains_does_not_count(anvil: AnvilNode) -> None:
    sender = account(anvil, sending=replace(QUICK, confirmations=1))
    honest, stale = sender.node.request, iter(range(5))

    def late(method: str, params: Sequence[Any]) -> Any:
        answer = honest(method, params)
        if method == "eth_getTransactionReceipt" and answer is not None and next(stale, None) is not None:
            return {**answer, "blockHash": "0x" + "11" * 32}
        return answer

    sender.node.request = late
    sending = Sending(sender)
    eventually(lambda: included(anvil) == 1)
    anvil.node.request("evm_mine")
    sending.join()
    canonical = anvil.node.request("eth_getBlockByNumber", [sending.receipt["blockNumber"], False])
    assert sending.receipt["blockHash"] == canonical["hash"]


def test_after_a_reorganisation_the_next_nonce_is_the_chains(anvil: AnvilNode) -> None:
    sender = account(anvil)
    before = anvil.node.request("evm_snapshot")
    sender.send(TO, b"\x01", "pay")
    anvil.node.request("evm_revert", [before])
    sender.send(TO, b"\x02", "pay")
    assert calls(anvil) == [(0, "0x02")]
