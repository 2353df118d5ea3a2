"""What a transaction should offer, from what recent blocks took."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from caduceus.edges.evm_embedded import blocks
from caduceus.edges.evm_embedded.blocks import Header
from caduceus.edges.evm_embedded.chain import Chain
from caduceus.edges.evm_embedded.params import invalid
from caduceus.edges.evm_embedded.transactions import read

SUGGESTED_TIP = 10**9
"""Wei per unit of gas; there is no competition for space, so any tip is taken."""

_MOST_BLOCKS = 1024


def fee_history(chain: Chain, count: int, newest: int, percentiles: Sequence[Any]) -> dict[str, Any]:
    """Base fees, fullness and tips of the last blocks, as `eth_feeHistory` gives them.

    count        blocks wanted, >= 1; at most 1,024 are given
    newest       number of the last of them
    percentiles  of tips by gas, ascending, each in [0, 100]

    Raises RpcError if the percentiles are no such list.
    """
    wanted = _percentiles(percentiles)
    newest = min(newest, chain.head.header.number)
    oldest = max(0, newest + 1 - min(count, _MOST_BLOCKS))
    sealed = [chain.history.header(number) for number in range(oldest, newest + 1)]
    headers = [one.header for one in sealed if one is not None]
    fees = [header.base_fee for header in headers]
    if headers:
        fees.append(blocks.next_base_fee(headers[-1]))
    shown: dict[str, Any] = {
        "oldestBlock": hex(oldest),
        "baseFeePerGas": [hex(fee) for fee in fees],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": ["0x1"] * len(fees),
        "blobGasUsedRatio": [0.0] * len(headers),
    }
    if wanted:
        shown["reward"] = [[hex(tip) for tip in _tips(chain, header, wanted)] for header in headers]
    return shown


def _percentiles(values: Sequence[Any]) -> list[float]:
    if not isinstance(values, (list, tuple)) or len(values) > 100:
        raise invalid("rewardPercentiles is not a list of at most 100")
    if not all(isinstance(value, (int, float)) and 0 <= value <= 100 for value in values):
        raise invalid("rewardPercentiles holds something else than numbers in [0, 100]")
    if list(values) != sorted(values):
        raise invalid("rewardPercentiles does not ascend")
    return [float(value) for value in values]


def _tips(chain: Chain, header: Header, percentiles: Sequence[float]) -> list[int]:
    before = 0
    paid: list[tuple[int, int]] = []
    for item in chain.history.included(header.number):
        call = read(item.raw, item.sender).call
        paid.append((call.price(header.base_fee) - header.base_fee, item.receipt.cumulative_gas - before))
        before = item.receipt.cumulative_gas
    if not paid:
        return [0] * len(percentiles)
    paid.sort()
    reached = list(accumulate(gas for _, gas in paid))
    return [paid[bisect_left(reached, header.gas_used * percentile / 100)][0] for percentile in percentiles]
