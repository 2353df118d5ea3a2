"""Blocks, transactions, receipts and logs as the JSON that nodes send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caduceus.edges.evm_embedded import blocks
from caduceus.edges.evm_embedded.blocks import Sealed
from caduceus.edges.evm_embedded.history import Included, Said
from caduceus.edges.evm_embedded.transactions import DYNAMIC_FEE, LEGACY, Transaction, contract_address, read

Json = Any
_ZEROS = "0x" + "00" * 32


def hexed(value: bytes) -> str:
    """Data as 0x-prefixed hex."""
    return "0x" + value.hex()


def block(sealed: Sealed, included: Sequence[Included], *, full: bool) -> Json:
    """A block with its transactions, in full or as hashes."""
    header = sealed.header
    size = len(header.encode()) + sum(len(item.raw) for item in included) + 9
    return {
        "number": hex(header.number),
        "hash": hexed(sealed.hash),
        "parentHash": hexed(header.parent),
        "sha3Uncles": hexed(blocks.NO_UNCLES),
        "miner": hexed(header.coinbase),
        "stateRoot": hexed(header.state_root),
        "transactionsRoot": hexed(header.transaction_root),
        "receiptsRoot": hexed(header.receipt_root),
        "logsBloom": hexed(header.bloom),
        "difficulty": "0x0",
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "extraData": hexed(header.extra),
        "mixHash": _ZEROS,
        "nonce": "0x0000000000000000",
        "baseFeePerGas": hex(header.base_fee),
        "withdrawalsRoot": hexed(blocks.EMPTY_TRIE),
        "withdrawals": [],
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": _ZEROS,
        "requestsHash": hexed(blocks.NO_REQUESTS),
        "size": hex(size),
        "uncles": [],
        "transactions": [transaction(read(i.raw, i.sender), i, sealed) if full else hexed(i.hash) for i in included],
    }


def transaction(signed: Transaction, place: Included | None, sealed: Sealed | None) -> Json:
    """A transaction, with its place in the chain if it has one."""
    call = signed.call
    price = call.max_fee_per_gas if sealed is None else call.price(sealed.header.base_fee)
    shown: dict[str, Json] = {
        "type": hex(call.type_id),
        "hash": hexed(signed.hash),
        "blockHash": None if sealed is None else hexed(sealed.hash),
        "blockNumber": None if sealed is None else hex(sealed.header.number),
        "transactionIndex": None if place is None else hex(place.position),
        "from": hexed(call.sender),
        "to": hexed(call.to) if call.to else None,
        "nonce": hex(call.nonce),
        "gas": hex(call.gas),
        "gasPrice": hex(price),
        "value": hex(call.value),
        "input": hexed(call.data),
        "chainId": hex(signed.chain_id),
        "v": hex(signed.v),
        "r": hex(signed.r),
        "s": hex(signed.s),
    }
    if call.type_id == DYNAMIC_FEE:
        shown["maxFeePerGas"] = hex(call.max_fee_per_gas)
        shown["maxPriorityFeePerGas"] = hex(call.max_priority_fee_per_gas)
    if call.type_id != LEGACY:
        shown["yParity"] = hex(signed.parity)
        shown["accessList"] = [
            {"address": hexed(address), "storageKeys": [hexed(slot.to_bytes(32, "big")) for slot in slots]}
            for address, slots in call.access_list
        ]
    return shown


def receipt(item: Included, sealed: Sealed, *, gas_before: int, logs_before: int) -> Json:
    """A receipt.

    gas_before   gas used in the block before this transaction
    logs_before  logs written in the block before this transaction
    """
    call = read(item.raw, item.sender).call
    logs = enumerate(item.receipt.logs, start=logs_before)
    return {
        "type": hex(item.receipt.kind),
        "status": "0x1" if item.receipt.succeeded else "0x0",
        "transactionHash": hexed(item.hash),
        "transactionIndex": hex(item.position),
        "blockHash": hexed(sealed.hash),
        "blockNumber": hex(item.block),
        "from": hexed(item.sender),
        "to": hexed(call.to) if call.to else None,
        "contractAddress": None if call.to else hexed(contract_address(call.sender, call.nonce)),
        "gasUsed": hex(item.receipt.cumulative_gas - gas_before),
        "cumulativeGasUsed": hex(item.receipt.cumulative_gas),
        "effectiveGasPrice": hex(call.price(sealed.header.base_fee)),
        "logsBloom": hexed(item.receipt.bloom),
        "logs": [log(Said(sealed, i, item.position, item.hash, one)) for i, one in logs],
    }


def log(said: Said) -> Json:
    """A log."""
    header = said.block.header
    return {
        "address": hexed(said.log.address),
        "topics": [hexed(topic) for topic in said.log.topics],
        "data": hexed(said.log.data),
        "blockHash": hexed(said.block.hash),
        "blockNumber": hex(header.number),
        "blockTimestamp": hex(header.timestamp),
        "transactionHash": hexed(said.transaction),
        "transactionIndex": hex(said.place),
        "logIndex": hex(said.position),
        "removed": False,
    }
