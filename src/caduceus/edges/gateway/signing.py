"""Who signs an account's transactions: a key in this process, or a signer behind a URL that keeps it."""

from __future__ import annotations

from typing import Any, Protocol, final

from caduceus.crypto.sign import Signer
from caduceus.edges.gateway.abi import unhex
from caduceus.edges.gateway.transaction import Transaction, read
from caduceus.edges.rpc import METHOD_NOT_FOUND, Request, RpcError
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Address


class TransactionSigner(Protocol):
    """Signs for one account."""

    @property
    def address(self) -> Address:
        """The account."""

    def sign(self, transaction: Transaction) -> bytes:
        """The signed bytes of exactly this transaction.

        Raises Refused if the signer will not sign, Unavailable if it does not answer, PeerFault if what it
        signed is something else.
        """


@final
class KeySigner:
    """Signs with a key in this process."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def address(self) -> Address:
        """The key's account."""
        return self._signer.address

    def sign(self, transaction: Transaction) -> bytes:
        """The signed bytes; the same for the same transaction."""
        return transaction.signed(self._signer.sign(transaction.digest()))


@final
class RemoteSigner:
    """Asks a signer that keeps the key: web3signer, clef, or whatever else answers `eth_signTransaction`.

    request  the signer's JSON-RPC, see `caduceus.edges.rpc`
    address  the account for which it signs
    name     what people call it, in errors
    method   clef's own name for it is "account_signTransaction"

    Nothing that it answers is trusted: before a transaction is used, its bytes are read, every field is compared
    with what was asked for, and the account is recovered from the signature.
    """

    def __init__(
        self, request: Request, address: Address, *, name: str = "the signer", method: str = "eth_signTransaction"
    ) -> None:
        self._request = request
        self._address = address
        self._name = name
        self._method = method

    @property
    def address(self) -> Address:
        """The account."""
        return self._address

    def __repr__(self) -> str:
        return f"RemoteSigner({self._name}, 0x{self._address.hex()})"

    def sign(self, transaction: Transaction) -> bytes:
        """The signed bytes of exactly this transaction; may wait for a person who approves it."""
        try:
            answer = self._request(self._method, [_asked(transaction, self._address)])
        except RpcError as problem:
            if problem.code == METHOD_NOT_FOUND:
                raise Refused(f"{self._name}: does not know {self._method}; is it a signer's URL?") from None
            raise Refused(f"{self._name} does not sign for 0x{self._address.hex()}: {problem.text}") from None
        raw = self._raw(answer)
        try:
            signed, account = read(raw)
        except Refused as problem:
            raise PeerFault(self._name, f"its answer is no such transaction ({problem})") from None
        if account != self._address:
            raise PeerFault(self._name, f"signed as 0x{account.hex()} and not as 0x{self._address.hex()}")
        if signed != transaction:
            differing = [name for name in transaction.__slots__ if getattr(signed, name) != getattr(transaction, name)]
            raise PeerFault(self._name, f"signed another transaction than it was asked to: {', '.join(differing)}")
        return raw

    def _raw(self, answer: Any) -> bytes:
        """web3signer answers with the bytes, clef and geth with a record that has them under `raw`."""
        text = answer.get("raw") if isinstance(answer, dict) else answer
        if isinstance(text, str) and text.startswith("0x"):
            try:
                return unhex(text)
            except ValueError:
                pass
        raise PeerFault(self._name, "its answer holds no signed transaction")


def _asked(transaction: Transaction, account: Address) -> dict[str, str]:
    to = {"to": f"0x{transaction.to.hex()}"} if transaction.to else {}
    return {
        "from": f"0x{account.hex()}",
        "chainId": hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "maxPriorityFeePerGas": hex(transaction.tip),
        "maxFeePerGas": hex(transaction.fee),
        "gas": hex(transaction.gas),
        "value": hex(transaction.value),
        "data": f"0x{transaction.data.hex()}",
        **to,
    }
