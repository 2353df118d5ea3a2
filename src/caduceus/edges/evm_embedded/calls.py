"""Calls that change nothing: their result, and the gas that they would need."""

from __future__ import annotations

from dataclasses import replace

from eth.abc import ComputationAPI
from eth.exceptions import OutOfGas, Revert

from caduceus.edges.evm_embedded.admission import check_gas
from caduceus.edges.evm_embedded.blocks import Header
from caduceus.edges.evm_embedded.chain import Chain
from caduceus.edges.evm_embedded.transactions import Call
from caduceus.edges.rpc import REJECTED, REVERTED, RpcError
from caduceus.errors import Refused

_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
_PANICS = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}


def run(chain: Chain, call: Call, at: Header) -> bytes:
    """What the call returns, executed on the state after the block of `at`.

    Raises RpcError: REVERTED with the contract's data, or REJECTED if it fails in any other way.
    """
    computation = _execute(chain, call, at)
    if computation.is_error:
        raise _failure(computation)
    return computation.output


def estimate(chain: Chain, call: Call, at: Header) -> int:
    """The smallest gas limit with which the call succeeds, at most `call.gas`.

    Raises RpcError as `run` does, if it fails with `call.gas` too.
    """
    if call.to and not call.data and not chain.account(call.to, at).has_code:
        return max(call.least_gas, call.floor_gas)
    computation = _execute(chain, call, at)
    if computation.is_error:
        if isinstance(computation.error, OutOfGas):
            raise RpcError(REJECTED, f"gas required exceeds allowance ({call.gas})")
        raise _failure(computation)
    consumed = call.gas - computation.get_gas_remaining()  # refunds come after, so this much must be there
    low = max(consumed, call.least_gas, call.floor_gas) - 1
    high = call.gas
    guess = low + 1  # exact, unless a call inside keeps back a 64th of what is left
    while low + 1 < high:
        if _execute(chain, replace(call, gas=guess), at).is_error:
            low = guess
        else:
            high = guess
        guess = (low + high) // 2
    return high


def _execute(chain: Chain, call: Call, at: Header) -> ComputationAPI:
    if call.max_fee_per_gas == 0:
        at = replace(at, base_fee=0)  # a call for nothing is not asked for the base fee
    state = chain.state(at)
    balance = state.get_balance(call.sender)
    cost = call.gas * call.max_fee_per_gas + call.value
    if balance < cost:
        raise RpcError(
            REJECTED,
            f"insufficient funds for gas * price + value: address 0x{call.sender.hex()} have {balance} want {cost}",
        )
    try:
        check_gas(call)
    except Refused as refusal:
        raise RpcError(REJECTED, str(refusal)) from None
    nonce = state.get_nonce(call.sender)
    return state.apply_transaction(replace(call, nonce=nonce))  # type: ignore[arg-type]


def _failure(computation: ComputationAPI) -> RpcError:
    error = computation.error
    if isinstance(error, Revert):
        output = computation.output
        reason = reason_of(output)
        text = "execution reverted" if reason is None else f"execution reverted: {reason}"
        return RpcError(REVERTED, text, "0x" + output.hex())
    text = "out of gas" if isinstance(error, OutOfGas) else f"execution failed: {error}"
    return RpcError(REJECTED, text)


def reason_of(output: bytes) -> str | None:
    """The words in a revert's data, if it is one of Solidity's two built-in errors."""
    if output[:4] == _ERROR and len(output) >= 68:
        size = int.from_bytes(output[36:68], "big")
        return output[68 : 68 + size].decode("utf-8", "replace")
    if output[:4] == _PANIC and len(output) == 36:
        code = int.from_bytes(output[4:], "big")
        return _PANICS.get(code, f"unknown panic code: {code:#x}")
    return None
