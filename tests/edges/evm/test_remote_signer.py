"""A signer behind a URL keeps the key; what it answers is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from accounts import TO
from eth_account import Account as EthAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from anvil_node import AnvilNode
from caduceus.crypto.sign import Signer
from caduceus.edges.gateway import Account, KeySigner, Node, RemoteSigner
from caduceus.edges.gateway.transaction import Transaction, name_of, read
from caduceus.edges.rpc import INTERNAL, METHOD_NOT_FOUND, RpcError
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Address

KEY = bytes(31) + b"\x09"
OURS = Signer(KEY).address
ASKED = Transaction(1337, 4, 2, 30, 21_000, TO, b"\x01\x02", 5)

transactions = st.builds(
    Transaction,
    chain_id=st.integers(1, 2**32),
    nonce=st.integers(0, 2**64 - 1),
    tip=st.integers(0, 2**64),
    fee=st.integers(0, 2**64),
    gas=st.integers(0, 2**32),
    to=st.binary(min_size=20, max_size=20) | st.just(b""),
    data=st.binary(max_size=64),
    value=st.integers(0, 2**96),
)


def as_eth_account(asked: Transaction) -> dict[str, Any]:
    """The transaction as another library's function takes it."""
    return {
        "type": 2,
        "chainId": asked.chain_id,
        "nonce": asked.nonce,
        "maxPriorityFeePerGas": asked.tip,
        "maxFeePerGas": asked.fee,
        "gas": asked.gas,
        "to": asked.to and f"0x{asked.to.hex()}",
        "data": asked.data,
        "value": asked.value,
    }


@settings(deadline=None)
@given(transactions)
def test_signed_bytes_are_another_librarys_and_read_back(asked: Transaction) -> None:
    raw = KeySigner(Signer(KEY)).sign(asked)
    if asked.to:
        signed = EthAccount.sign_transaction({**as_eth_account(asked), "to": EthAccount.from_key(KEY).address}, KEY)
        there = replace(asked, to=bytes(OURS))
        assert KeySigner(Signer(KEY)).sign(there) == bytes(signed.raw_transaction)
        assert name_of(bytes(signed.raw_transaction)) == f"0x{bytes(signed.hash).hex()}"
    assert read(raw) == (asked, OURS)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_transaction_are_refused(data: bytes) -> None:
    for raw in (data, b"\x02" + data):
        with pytest.raises(Refused):
            read(raw)


def remote(answer: Callable[[dict[str, str]], Any]) -> RemoteSigner:
    """A signer that answers as told."""

    def request(method: str, params: Sequence[Any]) -> Any:
        assert method == "eth_signTransaction"
        (asked,) = params
        return answer(asked)

    return RemoteSigner(request, OURS, name="the vault")


def hexed(asked: Transaction, key: bytes = KEY) -> str:
    return "0x" + KeySigner(Signer(key)).sign(asked).hex()


def test_a_signer_is_asked_for_every_field_and_answers_in_either_form() -> None:
    seen: list[dict[str, str]] = []
    for form in (lambda raw: raw, lambda raw: {"raw": raw, "tx": {}}):

        def answer(asked: dict[str, str], form: Callable[[str], Any] = form) -> Any:
            seen.append(asked)
            return form(hexed(ASKED))

        assert read(remote(answer).sign(ASKED)) == (ASKED, OURS)
    assert seen[0] == {
        "from": f"0x{OURS.hex()}",
        "to": f"0x{TO.hex()}",
        "chainId": "0x539",
        "nonce": "0x4",
        "maxPriorityFeePerGas": "0x2",
        "maxFeePerGas": "0x1e",
        "gas": "0x5208",
        "value": "0x5",
        "data": "0x0102",
    }
    creation = replace(ASKED, to=b"")
    assert remote(lambda asked: hexed(creation) if "to" not in asked else None).sign(creation)


@pytest.mark.parametrize(
    "changed",
    [
        {"chain_id": 1},
        {"nonce": 5},
        {"tip": 3},
        {"fee": 31},
        {"gas": 21_001},
        {"to": b"\x22" * 20},
        {"data": b"\x01\x03"},
        {"value": 6},
    ],
)
def test_a_signer_that_signs_something_else_is_named_with_what_differs(changed: dict[str, Any]) -> None:
    (name,) = changed
    with pytest.raises(PeerFault, match=rf"^the vault: signed another transaction than it was asked to: {name}$"):
        remote(lambda _: hexed(replace(ASKED, **changed))).sign(ASKED)


def test_a_signer_that_signs_as_somebody_else_is_named() -> None:
    with pytest.raises(PeerFault, match="the vault: signed as 0x"):
        remote(lambda _: hexed(ASKED, bytes(31) + b"\x08")).sign(ASKED)


@pytest.mark.parametrize("answer", [None, "", "0x", "0xzz", "0x02", 7, {"tx": {}}, {"raw": None}, ["0x02"]])
def test_an_answer_that_holds_no_transaction_is_the_signers_fault(answer: Any) -> None:
    with pytest.raises(PeerFault, match="the vault: its answer"):
        remote(lambda _: answer).sign(ASKED)


def test_a_signer_that_will_not_sign_is_quoted() -> None:
    def denies(_: object) -> Any:
        raise RpcError(INTERNAL, "request denied")

    def deaf(_: object) -> Any:
        raise RpcError(METHOD_NOT_FOUND, "no such method")

    with pytest.raises(Refused, match=r"the vault does not sign for 0x.*: request denied"):
        remote(denies).sign(ASKED)
    with pytest.raises(Refused, match="the vault: does not know eth_signTransaction; is it a signer's URL"):
        remote(deaf).sign(ASKED)


@pytest.mark.anvil
def test_a_real_signer_signs_for_an_account_whose_key_is_only_there(anvil: AnvilNode) -> None:
    (theirs,) = anvil.node.request("eth_accounts")
    signer = RemoteSigner(anvil.node.request, Address(bytes.fromhex(theirs[2:])))
    sender = Account(Node(anvil.node.request), signer)
    receipt = sender.send(TO, b"\x01", "pay")
    assert receipt["from"] == theirs
    created = sender.send(b"", bytes.fromhex("600160005360016000f3"), "create")  # leaves the single byte 01
    assert anvil.node.request("eth_getCode", [created["contractAddress"], "latest"]) == "0x01"


@pytest.mark.anvil
def test_nothing_is_sent_that_a_signer_signed_wrongly(anvil: AnvilNode) -> None:
    (theirs,) = anvil.node.request("eth_accounts")

    def greedy(method: str, params: Sequence[Any]) -> Any:
        return anvil.node.request(method, [{**params[0], "value": "0x1"}])

    sender = Account(Node(anvil.node.request), RemoteSigner(greedy, Address(bytes.fromhex(theirs[2:]))))
    with pytest.raises(PeerFault, match="value"):
        sender.send(TO, b"\x01", "pay")
    assert anvil.node.request("eth_getTransactionCount", [theirs, "pending"]) == "0x0"
