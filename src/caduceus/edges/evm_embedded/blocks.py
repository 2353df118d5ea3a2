"""Headers, receipts and logs as bytes, and the roots that bind a block's lists to its header.

Post-merge headers of the Prague fork: 21 fields, no proof of work, no withdrawals, no requests.
*Source*: Ethereum Yellow Paper, section 4.3 and appendix D; EIP-1559, 4399, 4895, 4844, 4788, 7685.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from eth_hash.auto import keccak
from eth_typing import Address

from caduceus.edges.evm_embedded import wire
from caduceus.errors import Refused

EMPTY_TRIE = keccak(wire.encode(b""))
NO_UNCLES = keccak(wire.encode([]))
NO_REQUESTS = sha256(b"").digest()
_ZERO_HASH, _ZERO_NONCE = bytes(32), bytes(8)
NO_ADDRESS = Address(bytes(20))

INITIAL_BASE_FEE = 10**9
_ELASTICITY, _MAX_CHANGE = 2, 8


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract said."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    kind: int
    """Transaction type."""
    succeeded: bool
    cumulative_gas: int
    """Gas used in the block up to and including this transaction."""
    logs: tuple[Log, ...]
    bloom: bytes

    def encode(self) -> bytes:
        """Consensus bytes: the EIP-2718 envelope that the receipt root covers."""
        logs: list[wire.Item] = [[log.address, log.topics, log.data] for log in self.logs]
        status = b"\1" if self.succeeded else b""
        body = wire.encode([status, wire.number(self.cumulative_gas), self.bloom, logs])
        return bytes((self.kind,)) + body if self.kind else body


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a header that may differ between blocks of this chain."""

    parent: bytes
    coinbase: Address
    state_root: bytes
    transaction_root: bytes
    receipt_root: bytes
    bloom: bytes
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    extra: bytes
    base_fee: int

    def encode(self) -> bytes:
        """Consensus bytes: the 21 fields."""
        return wire.encode(
            [
                self.parent,
                NO_UNCLES,
                self.coinbase,
                self.state_root,
                self.transaction_root,
                self.receipt_root,
                self.bloom,
                b"",
                wire.number(self.number),
                wire.number(self.gas_limit),
                wire.number(self.gas_used),
                wire.number(self.timestamp),
                self.extra,
                _ZERO_HASH,
                _ZERO_NONCE,
                wire.number(self.base_fee),
                EMPTY_TRIE,
                b"",
                b"",
                _ZERO_HASH,
                NO_REQUESTS,
            ]
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A header with its hash."""

    header: Header
    hash: bytes


def seal(header: Header) -> Sealed:
    """Hash a header."""
    return Sealed(header, keccak(header.encode()))


def read_header(data: bytes) -> Sealed:
    """Read a header of this chain.

    Raises Refused if `data` is not the encoding of one.
    """
    header = parse_header(data)
    if header.encode() != data:
        raise Refused("header: a field that never changes on this chain holds something else")
    return Sealed(header, keccak(data))


def parse_header(data: bytes) -> Header:
    """The fields of a header that was checked when it was stored.

    Raises Refused if `data` cannot be read.
    """
    parts = wire.as_list(wire.decode(data), "header", 21)
    return Header(
        parent=wire.as_bytes(parts[0], "parent", 32),
        coinbase=Address(wire.as_bytes(parts[2], "coinbase", 20)),
        state_root=wire.as_bytes(parts[3], "state root", 32),
        transaction_root=wire.as_bytes(parts[4], "transaction root", 32),
        receipt_root=wire.as_bytes(parts[5], "receipt root", 32),
        bloom=wire.as_bytes(parts[6], "bloom", 256),
        number=wire.as_number(parts[8], "number", 64),
        gas_limit=wire.as_number(parts[9], "gas limit", 64),
        gas_used=wire.as_number(parts[10], "gas used", 64),
        timestamp=wire.as_number(parts[11], "timestamp", 64),
        extra=wire.as_bytes(parts[12], "extra data"),
        base_fee=wire.as_number(parts[15], "base fee"),
    )


def read_receipt(data: bytes) -> Receipt:
    """Read a receipt's consensus bytes.

    Raises Refused if `data` is not the encoding of one.
    """
    kind, body = (data[0], data[1:]) if data and data[0] < 0x80 else (0, data)
    status, gas, bloom, logs = wire.as_list(wire.decode(body), "receipt", 4)
    if status not in (b"", b"\1"):
        raise Refused("receipt: its status is neither success nor failure")
    return Receipt(
        kind=kind,
        succeeded=status == b"\1",
        cumulative_gas=wire.as_number(gas, "cumulative gas", 64),
        logs=tuple(_read_log(log) for log in wire.as_list(logs, "logs")),
        bloom=wire.as_bytes(bloom, "bloom", 256),
    )


def bloom_of(logs: Iterable[Log]) -> bytes:
    """The 2048-bit filter over the logs' addresses and topics.

    *Source*: Yellow Paper, section 4.3.1: three bits per item, from the first three pairs of its hash.
    """
    items = {item for log in logs for item in (log.address, *log.topics)}
    bits = 0
    for item in items:
        digest = keccak(item)
        for i in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[i : i + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def merge_blooms(blooms: Iterable[bytes]) -> bytes:
    """The filter that says yes wherever one of the given ones does."""
    bits = 0
    for bloom in blooms:
        bits |= int.from_bytes(bloom, "big")
    return bits.to_bytes(256, "big")


def next_base_fee(parent: Header) -> int:
    """The base fee of the block after `parent`, in wei.

    *Source*: EIP-1559.
    """
    target = parent.gas_limit // _ELASTICITY
    if parent.gas_used == target:
        return parent.base_fee
    if parent.gas_used > target:
        rise = parent.base_fee * (parent.gas_used - target) // target // _MAX_CHANGE
        return parent.base_fee + max(rise, 1)
    return parent.base_fee - parent.base_fee * (target - parent.gas_used) // target // _MAX_CHANGE


def list_root(items: Sequence[bytes]) -> bytes:
    """Root of the trie that holds `items` under their RLP-encoded positions."""
    if not items:
        return EMPTY_TRIE
    pairs = sorted((_nibbles(wire.encode(wire.number(i))), item) for i, item in enumerate(items))
    return keccak(_node(pairs, 0))


def _read_log(item: wire.Item) -> Log:
    address, topics, data = wire.as_list(item, "log", 3)
    return Log(
        address=wire.as_bytes(address, "log address", 20),
        topics=tuple(wire.as_bytes(topic, "topic", 32) for topic in wire.as_list(topics, "topics")),
        data=wire.as_bytes(data, "log data"),
    )


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(half for byte in key for half in (byte >> 4, byte & 15))


def _packed(path: Sequence[int], leaf: bool) -> bytes:
    flag = 2 * leaf + len(path) % 2
    whole = [flag, *path] if len(path) % 2 else [flag, 0, *path]
    return bytes(16 * whole[i] + whole[i + 1] for i in range(0, len(whole), 2))


def _node(pairs: Sequence[tuple[tuple[int, ...], bytes]], depth: int) -> bytes:
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return wire.encode([_packed(first[depth:], leaf=True), pairs[0][1]])
    shared = depth
    while first[shared] == last[shared]:  # keys are sorted and none is the start of another
        shared += 1
    if shared > depth:
        return wire.join([wire.encode(_packed(first[depth:shared], leaf=False)), _reference(pairs, shared)])
    branches = [[pair for pair in pairs if pair[0][depth] == nibble] for nibble in range(16)]
    return wire.join([*(_reference(some, depth + 1) if some else b"\x80" for some in branches), b"\x80"])


def _reference(pairs: Sequence[tuple[tuple[int, ...], bytes]], depth: int) -> bytes:
    node = _node(pairs, depth)
    return node if len(node) < 32 else wire.encode(keccak(node))
