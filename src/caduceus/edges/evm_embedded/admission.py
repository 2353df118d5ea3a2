"""Whether a node takes a transaction: the checks before execution, in a node's own words.

*Source*: Yellow Paper, section 6.2; EIP-155, 1559, 2681, 3607, 3860, 7623. The words are go-ethereum's,
because wallets and libraries match on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.edges.evm_embedded.blocks import Header
from caduceus.edges.evm_embedded.transactions import Call, Transaction
from caduceus.errors import Refused

_MAX_INIT_CODE = 2 * 24_576
_MAX_NONCE = 2**64 - 2


@dataclass(frozen=True, slots=True)
class Account:
    """What admission needs to know of a sender."""

    nonce: int
    balance: int
    has_code: bool


def check_form(transaction: Transaction, chain_id: int, gas_limit: int) -> None:
    """What can be judged without the state.

    Raises Refused, with a node's words.
    """
    call = transaction.call
    if transaction.chain_id != chain_id:
        raise Refused(f"invalid chain id for signer: have {transaction.chain_id} want {chain_id}")
    if call.max_priority_fee_per_gas > call.max_fee_per_gas:
        raise Refused(
            f"max priority fee per gas higher than max fee per gas: address {_shown(call.sender)}, "
            f"maxPriorityFeePerGas: {call.max_priority_fee_per_gas}, maxFeePerGas: {call.max_fee_per_gas}"
        )
    if call.gas > gas_limit:
        raise Refused(f"exceeds block gas limit: gas {call.gas}, limit {gas_limit}")
    if call.nonce > _MAX_NONCE:
        raise Refused(f"nonce has max value: address {_shown(call.sender)}, nonce: {call.nonce}")
    check_gas(call)


def check_gas(call: Call) -> None:
    """Whether the gas limit pays for the transaction's bytes and the init code is short enough.

    Raises Refused, with a node's words.
    """
    if not call.to and len(call.data) > _MAX_INIT_CODE:
        raise Refused(f"max initcode size exceeded: code size {len(call.data)} limit {_MAX_INIT_CODE}")
    if call.gas < call.least_gas:
        raise Refused(f"intrinsic gas too low: have {call.gas}, want {call.least_gas}")
    if call.gas < call.floor_gas:
        raise Refused(f"insufficient gas for floor data gas cost: have {call.gas}, want {call.floor_gas}")


def check_price(call: Call, base_fee: int) -> None:
    """Whether the transaction pays the block's base fee.

    Raises Refused, with a node's words.
    """
    if call.max_fee_per_gas < base_fee:
        raise Refused(
            f"max fee per gas less than block base fee: address {_shown(call.sender)}, "
            f"maxFeePerGas: {call.max_fee_per_gas}, baseFee: {base_fee}"
        )


def check_sender(call: Call, account: Account) -> None:
    """Whether the sender is a plain account that has not used this nonce and can pay the most it may cost.

    Raises Refused, with a node's words.
    """
    if call.nonce < account.nonce:
        raise Refused(f"nonce too low: address {_shown(call.sender)}, tx: {call.nonce} state: {account.nonce}")
    if account.has_code:
        raise Refused(f"sender not an eoa: address {_shown(call.sender)}")
    cost = call.gas * call.max_fee_per_gas + call.value
    if account.balance < cost:
        raise Refused(
            f"insufficient funds for gas * price + value: address {_shown(call.sender)} "
            f"have {account.balance} want {cost}"
        )


def check_inclusion(call: Call, account: Account, header: Header, gas_before: int) -> None:
    """Whether the transaction may come next in the block under construction.

    gas_before  gas used in the block so far

    Raises Refused, with a node's words.
    """
    check_price(call, header.base_fee)
    check_sender(call, account)
    if call.nonce > account.nonce:
        raise Refused(f"nonce too high: address {_shown(call.sender)}, tx: {call.nonce} state: {account.nonce}")
    if gas_before + call.gas > header.gas_limit:
        raise Refused(f"gas limit reached: used {gas_before}, wants {call.gas}, limit {header.gas_limit}")


def _shown(address: bytes) -> str:
    return f"0x{address.hex()}"
