"""Accounts of the chain tests, and transactions signed by them with a library that is not ours."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address

from caduceus.edges.rpc import Request

CHAIN_ID = 1337
START = 1_700_000_000
GWEI = 10**9
ETHER = 10**18


def clock() -> int:
    """A clock that stands still; blocks then follow each other by a second."""
    return START


def account(name: str) -> LocalAccount:
    """The account of that name."""
    found: LocalAccount = Account.from_key(sha256(name.encode()).digest())
    return found


ALICE, BOB = account("alice"), account("bob")


def raw(address: str) -> bytes:
    """An address as bytes."""
    return bytes.fromhex(address.removeprefix("0x"))


def signed(sender: LocalAccount, nonce: int, **fields: Any) -> str:
    """A signed transaction as hex; dynamic-fee with a fixed effective price unless `fields` say otherwise."""
    transaction: dict[str, Any] = {"chainId": CHAIN_ID, "nonce": nonce, "gas": 200_000, "value": 0} | fields
    if "gasPrice" not in transaction:
        transaction = {"maxFeePerGas": 3 * GWEI, "maxPriorityFeePerGas": 3 * GWEI} | transaction
    return "0x" + bytes(sender.sign_transaction(transaction).raw_transaction).hex()


def word(value: int) -> str:
    """A number as 32 bytes of hex, without prefix."""
    return value.to_bytes(32, "big").hex()


class Sender:
    """Sends one account's transactions to one node and hands back receipts."""

    def __init__(self, request: Request, who: LocalAccount = ALICE) -> None:
        self.request = request
        self.who = who

    def send(self, **fields: Any) -> Any:
        """The receipt of a transaction with the account's next nonce."""
        nonce = int(self.request("eth_getTransactionCount", [self.who.address, "pending"]), 16)
        key = self.request("eth_sendRawTransaction", [signed(self.who, nonce, **fields)])
        return self.request("eth_getTransactionReceipt", [key])

    def deploy(self, creation: bytes) -> str:
        """The address of a new contract, checksummed as the signing library wants it."""
        receipt = self.send(data="0x" + creation.hex(), gas=3_000_000)
        assert receipt["status"] == "0x1"
        return to_checksum_address(receipt["contractAddress"])
