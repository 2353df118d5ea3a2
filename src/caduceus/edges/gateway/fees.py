"""What a transaction offers per unit of gas (EIP-1559), within a cap, and what it offers when it is stuck."""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.edges.gateway.node import Node
from caduceus.edges.rpc import METHOD_NOT_FOUND, RpcError
from caduceus.errors import Refused, Unavailable

_GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Offer:
    """Wei per gas: the most that is paid altogether, and what of it the block's proposer gets."""

    fee: int
    tip: int


@dataclass(frozen=True, slots=True)
class Prices:
    """What the chain asks now, wei per gas: the next blocks' base fee, and the tip that is usual."""

    base: int
    tip: int


def ask(node: Node) -> Prices:
    """Today's prices.

    Raises Refused if the chain has no base fee, Unavailable if the node does not answer.
    """
    newest = node.newest()
    if newest.get("baseFeePerGas") is None:
        raise Refused("the chain's blocks have no base fee: it is older than EIP-1559, and not supported")
    base = int(newest["baseFeePerGas"], 16)
    try:
        tip = int(node.request("eth_maxPriorityFeePerGas", []), 16)
    except RpcError as problem:
        if problem.code != METHOD_NOT_FOUND:
            raise
        tip = max(int(node.request("eth_gasPrice", []), 16) - base, 0)
    return Prices(base, tip)


def first(prices: Prices, cap: int | None) -> Offer:
    """What a new transaction offers.

    cap  the most per gas, wei; None for no limit

    Raises Unavailable, with the figures, if the base fee alone is above the cap.
    """
    # Twice the base fee outlasts six full blocks in a row, each of which raises it by an eighth.
    fee = 2 * prices.base + prices.tip
    if cap is not None:
        if prices.base > cap:
            raise Unavailable(
                f"gas costs {prices.base / _GWEI:.9g} gwei now, and at most {cap / _GWEI:.9g} gwei may be paid: "
                "nothing was sent; wait until it is cheaper, or raise the cap"
            )
        fee = min(fee, cap)
    return Offer(fee, min(prices.tip, fee))


def higher(before: Offer, prices: Prices, cap: int | None) -> Offer | None:
    """What a replacement offers: both figures at least an eighth more; None if the cap does not allow that."""
    tip = max(_eighth_more(before.tip), prices.tip)
    fee = max(_eighth_more(before.fee), 2 * prices.base + prices.tip, tip)
    if cap is not None:
        if _eighth_more(before.fee) > cap or _eighth_more(before.tip) > cap:
            return None
        fee = min(fee, cap)
    return Offer(fee, min(tip, fee))


def _eighth_more(wei: int) -> int:
    """At least 12.5 % more, and at least one."""
    return max(-(-wei * 9 // 8), wei + 1)
