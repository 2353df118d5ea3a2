"""What a transaction may cost, and what becomes of one that offers too little."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from accounts import QUICK, TO, account, calls, eventually, included
from hypothesis import given, settings
from hypothesis import strategies as st

from anvil_node import AnvilNode
from caduceus.edges.gateway import fees
from caduceus.edges.gateway.fees import Offer, Prices
from caduceus.errors import Unavailable, Uncertain

GWEI = 10**9

prices = st.builds(Prices, st.integers(0, 10**13), st.integers(0, 10**12))


@settings(deadline=None)
@given(prices, st.none() | st.integers(0, 10**13))
def test_no_offer_is_above_the_cap_and_every_one_pays_the_base_fee(asked: Prices, cap: int | None) -> None:
    if cap is not None and asked.base > cap:
        with pytest.raises(Unavailable, match="nothing was sent"):
            fees.first(asked, cap)
        return
    offer = fees.first(asked, cap)
    assert asked.base <= offer.fee <= (cap if cap is not None else offer.fee)
    assert 0 <= offer.tip <= offer.fee


@settings(deadline=None)
@given(prices, prices, st.none() | st.integers(0, 10**14))
def test_a_replacement_offers_an_eighth_more_of_both_within_the_cap(then: Prices, now: Prices, cap: int | None) -> None:
    before = fees.first(then, None)
    offer = fees.higher(before, now, cap)
    if offer is None:
        assert cap is not None
        assert before.fee * 9 / 8 > cap - 1 or before.tip * 9 / 8 > cap - 1
        return
    assert 8 * offer.fee >= 9 * before.fee
    assert 8 * offer.tip >= 9 * before.tip
    assert offer.tip <= offer.fee
    assert cap is None or offer.fee <= cap


def test_a_cap_that_allows_no_eighth_more_allows_no_replacement() -> None:
    assert fees.higher(Offer(100, 10), Prices(50, 10), 112) is None
    assert fees.higher(Offer(100, 10), Prices(50, 10), 113) == Offer(113, 12)


@pytest.mark.anvil
def test_a_base_fee_above_the_cap_sends_nothing_and_says_the_figures(anvil: AnvilNode) -> None:
    sender = account(anvil, sending=replace(QUICK, max_fee=2 * GWEI))
    sender.send(TO, b"\x01", "pay")
    anvil.node.request("anvil_setNextBlockBaseFeePerGas", [hex(5 * GWEI)])
    anvil.node.request("evm_mine")
    with pytest.raises(Unavailable, match=r"gas costs 5 gwei now, and at most 2 gwei may be paid: nothing was sent"):
        sender.send(TO, b"\x02", "pay")
    assert int(anvil.node.request("txpool_status")["pending"], 16) == 0
    anvil.node.request("anvil_setNextBlockBaseFeePerGas", [hex(GWEI)])
    anvil.node.request("evm_mine")
    sender.send(TO, b"\x03", "pay")
    assert calls(anvil) == [(0, "0x01"), (1, "0x03")]


@pytest.mark.anvil
def test_a_stuck_transaction_is_replaced_under_its_nonce_for_an_eighth_more(anvil: AnvilNode) -> None:
    anvil.node.request("evm_setAutomine", [False])
    sender = account(anvil, sending=replace(QUICK, replace_after=0.3))
    receipts: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: receipts.append(sender.send(TO, b"\x01", "pay")))
    thread.start()
    offers: list[tuple[int, int]] = []

    def two_versions() -> bool:
        waiting = anvil.node.request("txpool_content")["pending"]
        for one in next(iter(waiting.values()), {}).values():
            offer = int(one["maxFeePerGas"], 16), int(one["maxPriorityFeePerGas"], 16)
            if offer not in offers:
                offers.append(offer)
        return len(offers) == 2

    eventually(two_versions)
    anvil.node.request("evm_mine")
    thread.join()
    assert 8 * offers[1][0] >= 9 * offers[0][0]
    assert 8 * offers[1][1] >= 9 * offers[0][1]
    assert receipts[0]["status"] == "0x1"
    assert calls(anvil) == [(0, "0x01")]


@pytest.mark.anvil
def test_no_replacement_goes_above_the_cap(anvil: AnvilNode) -> None:
    anvil.node.request("evm_setAutomine", [False])
    cap = 2 * GWEI
    sender = account(anvil, sending=replace(QUICK, replace_after=0.05, max_fee=cap), patience=0.5)
    with pytest.raises(Uncertain):
        sender.send(TO, b"\x01", "pay")
    (waiting,) = anvil.node.request("txpool_content")["pending"].values()
    assert [int(one["maxFeePerGas"], 16) for one in waiting.values()] == [cap]


@pytest.mark.anvil
def test_a_cap_keeps_a_transaction_waiting_and_it_is_included_once_gas_is_cheap_again(anvil: AnvilNode) -> None:
    sender = account(anvil, sending=replace(QUICK, max_fee=3 * GWEI))
    anvil.node.request("evm_setAutomine", [False])
    thread = threading.Thread(target=lambda: sender.send(TO, b"\x01", "pay"))
    thread.start()
    eventually(lambda: int(anvil.node.request("txpool_status")["pending"], 16) == 1)
    anvil.node.request("anvil_setNextBlockBaseFeePerGas", [hex(4 * GWEI)])
    anvil.node.request("evm_mine")
    assert included(anvil) == 0
    anvil.node.request("anvil_setNextBlockBaseFeePerGas", [hex(GWEI)])

    def mined() -> bool:
        anvil.node.request("evm_mine")
        return included(anvil) == 1

    eventually(mined)
    thread.join()
    assert calls(anvil) == [(0, "0x01")]
