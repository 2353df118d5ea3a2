"""Signed transactions: reading them, who sent them, what they must at least pay.

Legacy (EIP-155), access-list (EIP-2930) and dynamic-fee (EIP-1559) transactions; blob and set-code
transactions have no use here and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from coincurve import PublicKey
from eth_hash.auto import keccak
from eth_typing import Address

from caduceus.edges.evm_embedded import wire
from caduceus.errors import Misuse, Refused

LEGACY, ACCESS_LIST, DYNAMIC_FEE = 0, 1, 2

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1 (SEC 2, section 2.4.1)."""

AccessList = tuple[tuple[Address, tuple[int, ...]], ...]

_TRANSFER, _CREATION, _INIT_WORD = 21_000, 32_000, 2
_ZERO_BYTE, _OTHER_BYTE, _FLOOR_TOKEN = 4, 16, 10
_LISTED_ADDRESS, _LISTED_SLOT = 2_400, 1_900


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """What the machine executes: a transaction without its envelope. Names are those that py-evm reads."""

    sender: Address
    to: Address
    """Address of 20 bytes, or empty to create a contract."""
    gas: int
    value: int
    data: bytes
    nonce: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    access_list: AccessList = ()
    type_id: int = DYNAMIC_FEE

    @property
    def intrinsic_gas(self) -> int:
        """Gas taken before execution begins; py-evm takes the words of init code during execution."""
        zeros = self.data.count(0)
        gas = _TRANSFER + _ZERO_BYTE * zeros + _OTHER_BYTE * (len(self.data) - zeros)
        if not self.to:
            gas += _CREATION
        for _, slots in self.access_list:
            gas += _LISTED_ADDRESS + _LISTED_SLOT * len(slots)
        return gas

    @property
    def least_gas(self) -> int:
        """The smallest gas limit that a node takes: intrinsic gas with init code (EIP-3860)."""
        words = (len(self.data) + 31) // 32 if not self.to else 0
        return self.intrinsic_gas + _INIT_WORD * words

    @property
    def floor_gas(self) -> int:
        """The least that a transaction with these data is charged (EIP-7623)."""
        zeros = self.data.count(0)
        return _TRANSFER + _FLOOR_TOKEN * (zeros + 4 * (len(self.data) - zeros))

    def price(self, base_fee: int) -> int:
        """Price per unit of gas in a block of the given base fee."""
        return min(self.max_fee_per_gas, base_fee + self.max_priority_fee_per_gas)


@dataclass(frozen=True, slots=True, repr=False)
class Transaction:
    """A signed transaction, read and its sender recovered."""

    call: Call
    chain_id: int
    parity: int
    r: int
    s: int
    raw: bytes
    hash: bytes = field(default=b"")

    @property
    def v(self) -> int:
        """The signature's `v` as the transaction's type writes it."""
        return 35 + 2 * self.chain_id + self.parity if self.call.type_id == LEGACY else self.parity


def read(raw: bytes, sender: Address | None = None) -> Transaction:
    """Read a signed transaction and recover its sender.

    raw     as sent to a node: EIP-2718 envelope, or the RLP list of a legacy transaction
    sender  who signed it, if that was recovered before; it is not done again then

    Raises Refused if it is not the one encoding of a transaction that this chain takes, or if its
    signature is not a valid one with a low s (EIP-2).
    """
    if not raw:
        raise Refused("typed transaction too short")
    if raw[0] >= 0xC0:
        return _finish(raw, sender, LEGACY, wire.as_list(wire.decode(raw), "transaction", 9))
    if raw[0] == ACCESS_LIST:
        return _finish(raw, sender, ACCESS_LIST, wire.as_list(wire.decode(raw[1:]), "transaction", 11))
    if raw[0] == DYNAMIC_FEE:
        return _finish(raw, sender, DYNAMIC_FEE, wire.as_list(wire.decode(raw[1:]), "transaction", 12))
    raise Refused(f"transaction type not supported: {raw[0]}")


def contract_address(sender: Address, nonce: int) -> Address:
    """Where a creation by `sender` with `nonce` lands."""
    return Address(keccak(wire.encode([sender, wire.number(nonce)]))[12:])


def _finish(raw: bytes, sender: Address | None, kind: int, parts: Sequence[wire.Item]) -> Transaction:
    last = [wire.as_number(part, name) for part, name in zip(parts[-3:], ("v", "r", "s"), strict=True)]
    v, r, s = last
    if kind == LEGACY:
        if v in (27, 28):
            raise Refused("only replay-protected (EIP-155) transactions allowed over RPC")
        if v < 35:
            raise Refused("invalid transaction v, r, s values")
        chain_id, parity, body = (v - 35) // 2, (v - 35) % 2, list(parts[:6])
        signed = wire.encode([*body, wire.number(chain_id), b"", b""])
    else:
        chain_id, parity, body = wire.as_number(parts[0], "chain id", 64), v, list(parts[1:-3])
        signed = raw[:1] + wire.encode(list(parts[:-3]))
    if parity > 1 or not 0 < r < ORDER or not 0 < s <= ORDER // 2:
        raise Refused("invalid transaction v, r, s values")
    if sender is None:
        sender = recover(keccak(signed), parity, r, s)
    if kind != DYNAMIC_FEE:
        body.insert(1, body[1])  # a single gas price stands for both fees
    call = _call(kind, sender, body)
    return Transaction(call, chain_id, parity, r, s, raw, keccak(raw))


def _call(kind: int, sender: Address, body: Sequence[wire.Item]) -> Call:
    nonce = wire.as_number(body[0], "nonce", 64)
    tip, cap, gas = (wire.as_number(body[i], name) for i, name in ((1, "tip"), (2, "fee"), (3, "gas")))
    to = Address(wire.as_bytes(body[4], "to"))
    if len(to) not in (0, 20):
        raise Refused("rlp: to is neither empty nor an address of 20 bytes")
    value, data = wire.as_number(body[5], "value"), wire.as_bytes(body[6], "data")
    access = _access_list(body[7]) if kind != LEGACY else ()
    return Call(sender, to, gas, value, data, nonce, cap, tip, access, kind)


def _access_list(item: wire.Item) -> AccessList:
    entries = (wire.as_list(entry, "access list entry", 2) for entry in wire.as_list(item, "access list"))
    return tuple(
        (
            Address(wire.as_bytes(address, "access list address", 20)),
            tuple(
                int.from_bytes(wire.as_bytes(slot, "storage key", 32), "big")
                for slot in wire.as_list(slots, "storage keys")
            ),
        )
        for address, slots in entries
    )


def recover(digest: bytes, parity: int, r: int, s: int) -> Address:
    """Address whose key signed `digest`.

    Raises Refused if no key gives such a signature.
    """
    if len(digest) != 32:
        raise Misuse("recover: a digest has 32 bytes")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((parity,))
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError:
        raise Refused("invalid transaction v, r, s values") from None
    return Address(keccak(key.format(compressed=False)[1:])[12:])
