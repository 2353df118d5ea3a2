"""A block's hash computed from its header, so that a node need not be believed about which block came before which.

Source: Ethereum yellow paper, section 4.4; EIP-1559 (base fee), EIP-4895 (withdrawals), EIP-4844 (blob gas), EIP-4788
(beacon root), EIP-7685 (requests). Chains whose headers are hashed in another way (the QBFT and IBFT of Besu leave the
validators' seals out) cannot be checked like this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rlp

from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.abi import unhex
from caduceus.edges.gateway.node import Node, malformed
from caduceus.errors import Refused, Unavailable

_NUMBERS = frozenset(
    {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas"}
)
_ALWAYS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
)
_LATER = (
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)
"""What later rules added, each only after those before it."""


def hash_of(block: Mapping[str, Any]) -> bytes:
    """The hash of a header as a node sends it, from its fields alone.

    Raises Unavailable if a field is missing or malformed.
    """
    present = [name for name in _LATER if block.get(name) is not None]
    try:
        return keccak(rlp.encode([_field(block, name) for name in (*_ALWAYS, *present)]))
    except (KeyError, ValueError, TypeError, AttributeError):
        raise malformed("eth_getBlockByHash", "no whole header") from None


def ancestors(node: Node, newest: bytes, oldest: int) -> Mapping[int, bytes]:
    """The blocks from one down to a number, by number, each found by the hash that the one after it names.

    newest  hash of the block to begin with
    oldest  number of the last one wanted

    Raises Refused if a header does not have the hash under which the node gave it; Unavailable if the node has not
    got one of them.
    """
    found: dict[int, bytes] = {}
    wanted = newest
    while True:
        block = node.block(wanted)
        if block is None:
            raise Unavailable(f"the node has no block 0x{wanted.hex()}; ask one that keeps all headers")
        if hash_of(block) != wanted:
            raise Refused(
                f"block 0x{wanted.hex()}: the header that the node gave has another hash; the node is wrong, or its "
                "chain hashes headers in a way of its own"
            )
        number = int(block["number"], 16)
        found[number] = wanted
        if number <= oldest:
            return found
        wanted = unhex(block["parentHash"])


def _field(block: Mapping[str, Any], name: str) -> bytes:
    if name not in _NUMBERS:
        return unhex(block[name])
    number = int(block[name], 16)
    return number.to_bytes((number.bit_length() + 7) // 8)
