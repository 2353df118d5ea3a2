"""web3.py, unmodified, works on the embedded chain."""

from __future__ import annotations

from typing import Any

import pytest
from signing import ALICE, BOB, CHAIN_ID, ETHER
from web3 import Web3
from web3.exceptions import ContractCustomError, TransactionNotFound, Web3RPCError

from caduceus.contracts import load
from caduceus.edges.evm_embedded import Node
from caduceus.edges.evm_embedded.provider import EmbeddedProvider


@pytest.fixture
def web3(node: Node) -> Web3:
    """web3.py on the chain in memory, filling in and signing for Alice."""
    opened = Web3(EmbeddedProvider(node.request))
    opened.eth.default_account = ALICE.address
    return opened


@pytest.fixture
def token(web3: Web3) -> Any:
    """The demo token, deployed through web3.py."""
    artifact = load("DemoToken")
    factory = web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    inputs = next((part["inputs"] for part in artifact.abi if part["type"] == "constructor"), [])
    arguments = [10**24 if one["type"].startswith("uint") else ALICE.address for one in inputs]
    receipt = sent(web3, factory.constructor(*arguments))
    return web3.eth.contract(address=receipt["contractAddress"], abi=artifact.abi)


def sent(web3: Web3, call: Any) -> Any:
    """The receipt of a contract call by Alice, its gas and fees filled in by web3.py."""
    nonce = web3.eth.get_transaction_count(ALICE.address)
    transaction = call.build_transaction({"from": ALICE.address, "nonce": nonce})
    key = web3.eth.send_raw_transaction(ALICE.sign_transaction(transaction).raw_transaction)
    return web3.eth.wait_for_transaction_receipt(key)


def test_a_contract_is_deployed_called_and_heard(web3: Web3, token: Any) -> None:
    supply = token.functions.balanceOf(ALICE.address).call()
    assert supply > 0
    receipt = sent(web3, token.functions.transfer(BOB.address, 17))
    assert receipt["status"] == 1
    assert token.functions.balanceOf(BOB.address).call() == 17
    assert token.functions.balanceOf(BOB.address).call(block_identifier=receipt["blockNumber"] - 1) == 0
    (event,) = token.events.Transfer().process_receipt(receipt)
    assert event["args"]["value"] == 17
    (found,) = token.events.Transfer().get_logs(from_block=0, argument_filters={"to": BOB.address})
    assert found["transactionHash"] == receipt["transactionHash"]


def test_a_filter_tells_what_is_new(web3: Web3, token: Any) -> None:
    heard = token.events.Transfer().create_filter(from_block=web3.eth.block_number + 1)
    blocks = web3.eth.filter("latest")
    assert heard.get_new_entries() == []
    receipt = sent(web3, token.functions.transfer(BOB.address, 1))
    assert [entry["args"]["value"] for entry in heard.get_new_entries()] == [1]
    assert heard.get_new_entries() == []
    assert blocks.get_new_entries() == [receipt["blockHash"]]
    assert len(heard.get_all_entries()) == 1
    assert web3.eth.uninstall_filter(heard.filter_id)
    with pytest.raises(Web3RPCError, match="filter not found"):
        heard.get_new_entries()


def test_a_custom_error_arrives_with_its_data(token: Any) -> None:
    with pytest.raises(ContractCustomError):
        token.functions.transfer(ALICE.address, 1).call({"from": BOB.address})


def test_money_blocks_and_the_network_are_what_they_should_be(web3: Web3) -> None:
    assert web3.is_connected()
    assert web3.eth.chain_id == CHAIN_ID
    assert web3.eth.accounts == []
    assert web3.eth.syncing is False
    assert web3.eth.get_balance(BOB.address) == 1000 * ETHER
    assert web3.eth.get_block("latest")["number"] == web3.eth.block_number == 0
    assert web3.eth.fee_history(1, "latest", [50])["oldestBlock"] == 0
    assert web3.eth.gas_price > web3.eth.max_priority_fee > 0
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction("0x" + "12" * 32)  # type: ignore[arg-type]


def test_requests_may_be_batched(web3: Web3) -> None:
    with web3.batch_requests() as batch:
        batch.add(web3.eth.get_balance(ALICE.address))
        batch.add(web3.eth.get_block("latest"))
        balance, block = batch.execute()
    assert balance == 1000 * ETHER
    assert block["number"] == 0
