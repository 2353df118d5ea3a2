"""Several threads send for one account: no nonce is skipped, none is used twice, nobody waits for another's block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from accounts import ADDRESS, ETHER, KEY, QUICK, TO, account, at_once, calls, eventually, included
from flaky import LOSE_ANSWER, LOSE_QUESTION, PASS, flaky

from anvil_node import AnvilNode
from caduceus.crypto.sign import Signer
from caduceus.edges.evm_embedded import Node as EmbeddedNode
from caduceus.edges.evm_embedded import create
from caduceus.edges.gateway import Account, Node
from caduceus.errors import Unavailable, Uncertain

THREADS, EACH = 8, 20


@pytest.mark.anvil
def test_eight_threads_send_twenty_each_and_every_one_is_included_once(anvil: AnvilNode) -> None:
    sender = account(anvil)

    def many(thread: int) -> Callable[[], list[str]]:
        return lambda: [sender.send(TO, bytes([thread, number]), "pay")["transactionHash"] for number in range(EACH)]

    outcomes = at_once([many(thread) for thread in range(THREADS)])
    names = [name for outcome in outcomes for name in outcome]
    assert len(set(names)) == THREADS * EACH
    found = calls(anvil)
    assert [nonce for nonce, _ in found] == list(range(THREADS * EACH))
    assert sorted(data for _, data in found) == sorted(
        f"0x{thread:02x}{number:02x}" for thread in range(THREADS) for number in range(EACH)
    )


@pytest.mark.anvil
def test_nobody_waits_for_anothers_block(anvil: AnvilNode) -> None:
    sender = account(anvil)
    anvil.node.request("evm_setAutomine", [False])
    outcomes: list[object] = []
    thread = threading.Thread(
        target=lambda: outcomes.extend(at_once([lambda n=n: sender.send(TO, bytes([n]), "pay") for n in range(5)]))
    )
    thread.start()
    eventually(lambda: int(anvil.node.request("txpool_status")["pending"], 16) == 5)
    assert included(anvil) == 0
    anvil.node.request("evm_mine")
    thread.join()
    assert all(isinstance(outcome, dict) for outcome in outcomes)
    assert [nonce for nonce, _ in calls(anvil)] == [0, 1, 2, 3, 4]


@pytest.mark.anvil
def test_a_line_that_loses_questions_and_answers_loses_and_doubles_no_transaction(anvil: AnvilNode) -> None:
    with flaky(anvil.url) as line:
        sender = account(anvil, line.url, sending=QUICK)
        line.fate = lambda method, number: (
            (LOSE_ANSWER, LOSE_QUESTION, PASS, PASS)[number % 4] if "send" in method else PASS
        )

        def one(number: int) -> Callable[[], object]:
            def send() -> object:
                for _ in range(100):
                    try:
                        return sender.send(TO, bytes([number]), "pay")
                    except (Unavailable, Uncertain):
                        continue  # the very same call: no second transaction
                raise AssertionError("it never got through")

            return send

        at_once([one(number) for number in range(16)])
    found = calls(anvil)
    assert [nonce for nonce, _ in found] == list(range(16))
    assert sorted(data for _, data in found) == [f"0x{number:02x}" for number in range(16)]


@pytest.mark.anvil
def test_a_nonce_that_the_node_refused_is_used_by_the_next(anvil: AnvilNode) -> None:
    sender = account(anvil)
    sender.send(TO, b"\x01", "pay")
    anvil.fund(ADDRESS, 0)
    with pytest.raises(Exception, match=r"(?i)insufficient funds"):
        sender.send(TO, b"\x02", "pay")
    account(anvil)
    sender.send(TO, b"\x03", "pay")
    assert calls(anvil) == [(0, "0x01"), (1, "0x03")]


@pytest.mark.anvil
def test_a_gap_that_a_dropped_transaction_leaves_is_filled_by_its_own_bytes(anvil: AnvilNode) -> None:
    sender = account(anvil, patience=0.1, sending=QUICK)
    anvil.node.request("evm_setAutomine", [False])
    with pytest.raises(Uncertain):
        sender.send(TO, b"\x01", "pay")
    anvil.node.request("anvil_dropAllTransactions")
    with pytest.raises(Uncertain):
        sender.send(TO, b"\x02", "pay")
    anvil.node.request("evm_mine")
    assert calls(anvil) == [(0, "0x01"), (1, "0x02")]


@pytest.mark.anvil
def test_a_node_that_counts_no_waiting_transactions_gets_them_in_order_all_the_same(anvil: AnvilNode) -> None:
    sender = account(anvil)
    honest, asked = sender.node.request, count()

    def short_sighted(method: str, params: Sequence[Any]) -> Any:
        if method == "eth_maxPriorityFeePerGas":
            return hex(10**9 * 4 ** next(asked))  # so that each would replace the one before, were its nonce the same
        return honest(method, [params[0], "latest"] if method == "eth_getTransactionCount" else params)

    sender.node.request = short_sighted
    anvil.node.request("evm_setAutomine", [False])
    threads = [threading.Thread(target=sender.send, args=(TO, bytes([number]), "pay")) for number in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: int(anvil.node.request("txpool_status")["pending"], 16) == 4)
    anvil.node.request("evm_mine")
    for thread in threads:
        thread.join()
    assert [nonce for nonce, _ in calls(anvil)] == [0, 1, 2, 3]


@pytest.mark.anvil
def test_who_waits_behind_a_transaction_that_was_given_up_and_lost_has_it_sent_again(anvil: AnvilNode) -> None:
    sender = account(anvil, patience=0.1, sending=QUICK)
    anvil.node.request("evm_setAutomine", [False])
    with pytest.raises(Uncertain) as caught:
        sender.send(TO, b"\x01", "pay")
    sender._patience = 60
    waiting = threading.Thread(target=sender.send, args=(TO, b"\x02", "pay"))
    waiting.start()
    eventually(lambda: int(anvil.node.request("txpool_status")["pending"], 16) == 2)
    lost = str(caught.value).partition("0x")[2][:64]
    anvil.node.request("anvil_dropTransaction", [f"0x{lost}"])

    def mined() -> bool:
        anvil.node.request("evm_mine")
        return included(anvil) == 2

    eventually(mined)
    waiting.join()
    assert calls(anvil) == [(0, "0x01"), (1, "0x02")]


@pytest.mark.anvil
def test_a_nonce_that_another_process_took_is_passed_over(anvil: AnvilNode) -> None:
    ours, theirs = account(anvil), account(anvil)
    anvil.node.request("evm_setAutomine", [False])
    stuck = threading.Thread(target=lambda: theirs.send(TO, b"\x01", "pay"))
    stuck.start()
    eventually(lambda: int(anvil.node.request("txpool_status")["pending"], 16) == 1)
    ours_too = threading.Thread(target=lambda: ours.send(TO, b"\x02", "pay"))
    ours_too.start()
    eventually(lambda: int(anvil.node.request("txpool_status")["pending"], 16) == 2)
    anvil.node.request("evm_mine")
    stuck.join()
    ours_too.join()
    assert calls(anvil) == [(0, "0x01"), (1, "0x02")]


def test_threads_share_an_account_on_the_chain_in_this_process_too() -> None:
    with create(None, chain_id=1337, balances={ADDRESS: ETHER}, clock=lambda: 1_800_000_000) as chain:
        sender = Account(Node(EmbeddedNode(chain).request), Signer(KEY))
        outcomes = at_once([lambda n=n: sender.send(TO, bytes([n]), "pay") for n in range(24)])
        assert len({outcome["transactionHash"] for outcome in outcomes}) == 24
        assert sender.node.number("eth_getTransactionCount", [f"0x{ADDRESS.hex()}", "latest"]) == 24
