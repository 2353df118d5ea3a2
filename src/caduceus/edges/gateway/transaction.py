"""A transaction of type 2 (EIP-1559): what is signed, its bytes, and reading both back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import rlp
from rlp.exceptions import RLPException

from caduceus.crypto.sign import keccak, recover
from caduceus.errors import Refused
from caduceus.kinds import Address

_TYPE = b"\x02"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What an account is about to sign; the access list is always empty.

    nonce     how many transactions of the account came before
    tip, fee  wei per gas: for the block's proposer, and at most altogether
    to        20 bytes, or empty to create a contract
    """

    chain_id: int
    nonce: int
    tip: int
    fee: int
    gas: int
    to: bytes
    data: bytes
    value: int = 0

    def digest(self) -> bytes:
        """The 32 bytes that the account's key signs."""
        return keccak(_TYPE + rlp.encode(self._body()))

    def signed(self, signature: bytes) -> bytes:
        """The bytes that are sent, with a signature r || s || v over `digest`."""
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        return bytes(_TYPE + rlp.encode([*self._body(), signature[64] - 27, r, s]))

    def _body(self) -> list[Any]:
        return [self.chain_id, self.nonce, self.tip, self.fee, self.gas, self.to, self.value, self.data, []]


def name_of(raw: bytes) -> str:
    """The hash under which a node knows a signed transaction, as 0x-prefixed hex."""
    return f"0x{keccak(raw).hex()}"


def read(raw: bytes) -> tuple[Transaction, Address]:
    """A signed transaction, and the account that signed it.

    Raises Refused if these bytes are no signed transaction of type 2 with an empty access list.
    """
    if raw[:1] != _TYPE:
        raise Refused("transaction: not one of type 2 (EIP-1559)")
    try:
        parts = rlp.decode(raw[1:])
    except RLPException:
        raise Refused("transaction: not readable as RLP") from None
    if not isinstance(parts, list) or len(parts) != 12 or parts[8] != []:
        raise Refused("transaction: not the twelve fields of type 2 with an empty access list")
    if not all(isinstance(part, bytes) for place, part in enumerate(parts) if place != 8):
        raise Refused("transaction: a field is a list")
    numbers = (int.from_bytes(parts[place]) for place in (0, 1, 2, 3, 4, 6, 9, 10, 11))
    chain_id, nonce, tip, fee, gas, value, parity, r, s = numbers
    found = Transaction(chain_id, nonce, tip, fee, gas, parts[5], parts[7], value)
    if parity > 1 or max(r, s) >= 1 << 256:
        raise Refused("transaction: no signature")
    signature = r.to_bytes(32) + s.to_bytes(32) + bytes([27 + parity])
    if found.signed(signature) != raw:
        raise Refused("transaction: not the one encoding of its fields")
    return found, recover(found.digest(), signature)
