"""What the embedded chain answers, and in which words it refuses."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from programs import ECHO_SHA256, REFUSE, SAY, STORE, assemble, deployment
from signing import ALICE, BOB, CHAIN_ID, ETHER, GWEI, START, Sender, account, raw, signed, word

from caduceus.edges.evm_embedded import Chain, Node, create
from caduceus.edges.rpc import INVALID_PARAMS, METHOD_NOT_FOUND, REJECTED, REVERTED, RpcError
from caduceus.errors import Refused


def refusal(node: Node, method: str, *params: Any) -> RpcError:
    """The error that a request gives."""
    with pytest.raises(RpcError) as caught:
        node.request(method, params)
    return caught.value


def test_an_error_is_a_refusal_with_code_words_and_data(node: Node) -> None:
    refuse = Sender(node.request).deploy(deployment(REFUSE))
    error = refusal(node, "eth_call", {"to": refuse, "data": "0xabcd"})
    assert isinstance(error, Refused)
    assert (error.code, error.data, error.revert_data) == (REVERTED, "0xabcd", b"\xab\xcd")
    panic = "0x4e487b71" + word(0x11)
    assert refusal(node, "eth_call", {"to": refuse, "data": panic}).text.endswith("arithmetic underflow or overflow")
    assert refusal(node, "eth_call", {"to": refuse, "data": "0x4e487b71" + word(0x99)}).text.endswith("0x99")
    assert refusal(node, "eth_call", {"to": refuse}).text == "execution reverted"
    assert refusal(node, "eth_getBalance", ALICE.address, "0x99").revert_data is None


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_whatever", [], METHOD_NOT_FOUND),
        ("eth_sendTransaction", [{}], METHOD_NOT_FOUND),
        ("eth_getBalance", [], INVALID_PARAMS),
        ("eth_getBalance", ["0x12"], INVALID_PARAMS),
        ("eth_getBalance", ["nonsense"], INVALID_PARAMS),
        ("eth_getBalance", [ALICE.address, "0x"], INVALID_PARAMS),
        ("eth_getBalance", [ALICE.address, "0x99"], REJECTED),
        ("eth_getBalance", [ALICE.address, True], INVALID_PARAMS),
        ("eth_call", ["0x00"], INVALID_PARAMS),
        ("eth_call", [{"to": BOB.address, "value": "0x1", "from": account("poor").address}], REJECTED),
        ("eth_call", [{"to": BOB.address, "gas": "0x1"}], REJECTED),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}], INVALID_PARAMS),
        ("eth_getLogs", [{"topics": [None] * 5}], INVALID_PARAMS),
        ("eth_getLogs", [{"topics": ["0x12"]}], INVALID_PARAMS),
        ("eth_getLogs", [{"blockHash": "0x" + "00" * 32}], REJECTED),
        ("eth_getFilterChanges", ["0x1"], REJECTED),
        ("eth_getFilterLogs", ["0x1"], REJECTED),
        ("eth_feeHistory", ["0x1", "latest", [50, 10]], INVALID_PARAMS),
        ("eth_feeHistory", ["0x1", "latest", [101]], INVALID_PARAMS),
        ("eth_sendRawTransaction", ["0x"], REJECTED),
        ("eth_sendRawTransaction", ["0xzz"], INVALID_PARAMS),
        ("evm_setNextBlockTimestamp", [START], REJECTED),
    ],
)
def test_a_bad_request_is_refused_as_a_node_refuses_it(node: Node, method: str, params: list[Any], code: int) -> None:
    assert refusal(node, method, *params).code == code


def test_what_is_not_there_is_null_or_false(node: Node) -> None:
    nothing = "0x" + "12" * 32
    for method, params in (
        ("eth_getTransactionByHash", [nothing]),
        ("eth_getTransactionReceipt", [nothing]),
        ("eth_getBlockByHash", [nothing, False]),
        ("eth_getBlockByNumber", ["0x77", False]),
        ("eth_getBlockReceipts", ["0x77"]),
        ("eth_getBlockTransactionCountByNumber", ["0x77"]),
        ("eth_getTransactionByBlockNumberAndIndex", ["0x0", "0x0"]),
    ):
        assert node.request(method, params) is None
    assert node.request("eth_uninstallFilter", ["0x9"]) is False
    assert node.request("eth_getCode", [BOB.address]) == "0x"


def test_logs_are_found_by_block_address_and_topics(node: Node) -> None:
    sender = Sender(node.request)
    first, second = sender.deploy(deployment(SAY)), sender.deploy(deployment(SAY))
    for contract in (first, second, first):
        sender.send(to=contract, data="0x" + word(0) + "aa")
    newest = sender.send(to=second, data="0x" + word(0))

    def count(**query: Any) -> int:
        found = node.request("eth_getLogs", [{"fromBlock": "0x0"} | query])
        assert found == sorted(found, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
        return len(found)

    one, two, three, four = ("0x" + word(i) for i in (1, 2, 3, 4))
    assert count() == 20
    assert count(address=first) == count(address=second) == 10
    assert count(address=[first, second]) == 20
    assert count(address=account("nobody").address) == 0
    assert count(topics=[one]) == 16
    assert count(topics=[one, two]) == count(topics=[None, two]) == 12
    assert count(topics=[None, None, three]) == 8
    assert count(topics=[[one, two], None, None, four]) == 4
    assert count(topics=[two]) == 0
    assert count(topics=[None, None]) == count(topics=[]) == count(topics=[[], []]) == 20
    assert count(address=first, topics=[one, two, three], fromBlock="0x4") == 2
    assert count(fromBlock="latest") == count(fromBlock="latest", toBlock="pending") == 5
    assert count(blockHash=newest["blockHash"]) == 5
    assert count(fromBlock="0x3", toBlock="0x3", address=first) == 5


def test_a_block_is_told_by_number_hash_and_tag(node: Node) -> None:
    receipt = Sender(node.request).send(to=BOB.address, value=3)
    by_number = node.request("eth_getBlockByNumber", ["0x1", True])
    assert node.request("eth_getBlockByHash", [receipt["blockHash"], True]) == by_number
    assert node.request("eth_getBlockByNumber", ["safe", True]) == by_number
    assert by_number["transactions"][0]["hash"] == receipt["transactionHash"]
    assert by_number["parentHash"] == node.request("eth_getBlockByNumber", ["earliest", False])["hash"]
    assert node.request("eth_getBlockTransactionCountByHash", [receipt["blockHash"]]) == "0x1"
    found = node.request("eth_getTransactionByBlockHashAndIndex", [receipt["blockHash"], "0x0"])
    assert found == node.request("eth_getTransactionByHash", [receipt["transactionHash"]])
    for block in ({"blockNumber": "0x0"}, {"blockHash": by_number["parentHash"]}, 0):
        assert node.request("eth_getBalance", [BOB.address, block]) == hex(1000 * ETHER)


def test_transactions_wait_for_the_ones_before_them(node: Node, chain: Chain) -> None:
    later = node.request("eth_sendRawTransaction", [signed(ALICE, 1, to=BOB.address, value=1)])
    assert node.request("eth_getTransactionReceipt", [later]) is None
    assert node.request("eth_getTransactionByHash", [later])["blockHash"] is None
    assert node.request("eth_getTransactionCount", [ALICE.address, "pending"]) == "0x0"
    assert refusal(node, "eth_sendRawTransaction", signed(ALICE, 1, to=BOB.address, value=1)).text == "already known"
    dearer = {"maxFeePerGas": 4 * GWEI, "maxPriorityFeePerGas": 4 * GWEI}
    assert "underpriced" in refusal(node, "eth_sendRawTransaction", signed(ALICE, 1, to=BOB.address, value=2)).text
    replaced = node.request("eth_sendRawTransaction", [signed(ALICE, 1, to=BOB.address, value=3, **dearer)])
    assert node.request("eth_getTransactionByHash", [later]) is None
    node.request("eth_sendRawTransaction", [signed(ALICE, 0, to=BOB.address, value=4)])
    assert node.request("eth_getTransactionReceipt", [replaced])["blockNumber"] == "0x2"
    assert node.request("eth_getBalance", [BOB.address]) == hex(1000 * ETHER + 7)
    assert len(chain.pool) == 0
    assert refusal(node, "eth_sendRawTransaction", signed(ALICE, 0, to=BOB.address, value=4)).text == "already known"


def test_a_transaction_that_nobody_can_pay_any_more_is_passed_over(node: Node, chain: Chain) -> None:
    node.request("evm_setAutomine", [False])
    rich = signed(ALICE, 0, to=BOB.address, value=999 * ETHER)
    node.request("eth_sendRawTransaction", [rich])
    starved = node.request("eth_sendRawTransaction", [signed(ALICE, 1, to=BOB.address, value=500 * ETHER)])
    bobs = node.request("eth_sendRawTransaction", [signed(BOB, 0, to=ALICE.address, value=1)])
    node.request("evm_mine")
    assert node.request("eth_getTransactionReceipt", [starved]) is None
    assert node.request("eth_getTransactionReceipt", [bobs])["transactionIndex"] == "0x1"
    assert len(chain.pool) == 1


def test_several_transactions_share_a_block(chain: Chain, node: Node) -> None:
    batch = [raw(signed(ALICE, nonce, to=BOB.address, value=1)) for nonce in range(20)]
    keys = chain.send_many(batch)
    receipts = node.request("eth_getBlockReceipts", ["latest"])
    assert [receipt["transactionHash"] for receipt in receipts] == ["0x" + key.hex() for key in keys]
    assert receipts[-1]["cumulativeGasUsed"] == hex(20 * 21_000)
    too_much = [raw(signed(ALICE, 20 + i, to=BOB.address, gas=29_990_000)) for i in range(2)]
    chain.send_many(too_much)
    assert node.request("eth_getBlockTransactionCountByNumber", ["latest"]) == "0x1"  # gas limits of two do not fit
    node.request("evm_mine")
    assert node.request("eth_getTransactionCount", [ALICE.address]) == "0x16"


def test_fees_follow_how_full_blocks_are(node: Node) -> None:
    sender = Sender(node.request)
    burn = sender.deploy(deployment(assemble("INVALID")))
    pending = node.request("eth_getBlockByNumber", ["pending", False])
    assert (pending["number"], pending["hash"], pending["transactions"]) == ("0x2", None, [])
    full = sender.send(to=burn, gas=30_000_000)
    assert full["status"] == "0x0"
    history = node.request("eth_feeHistory", ["0x3", "latest", [0, 50, 100]])
    fees = [int(fee, 16) for fee in history["baseFeePerGas"]]
    assert fees[1] < fees[0]
    assert pending["baseFeePerGas"] == hex(fees[2])
    assert fees[3] == fees[2] * 9 // 8
    assert history["gasUsedRatio"][-1] == 1.0
    assert history["reward"][-1] == [hex(3 * GWEI - fees[2])] * 3
    assert node.request("eth_gasPrice") == hex(fees[3] + 10**9)
    assert (
        "less than block base fee"
        in refusal(
            node, "eth_sendRawTransaction", signed(ALICE, 2, to=BOB.address, maxFeePerGas=1, maxPriorityFeePerGas=0)
        ).text
    )


def test_an_estimate_is_the_least_gas_that_suffices(node: Node) -> None:
    sender = Sender(node.request)
    inner = sender.deploy(deployment(STORE))
    outer = sender.deploy(  # calls on with a 64th kept back, and needs much of that afterwards
        deployment(assemble(f"0 0 64 0 0 0x{inner[2:]} GAS CALL 0 SSTORE 1 1 SSTORE 2 2 SSTORE CALLDATASIZE POP"))
    )
    call = {"from": ALICE.address, "to": outer, "data": "0x" + word(5) + word(1)}
    least = int(node.request("eth_estimateGas", [call]), 16)
    assert node.request("eth_call", [call | {"gas": hex(least)}]) == "0x"
    refusal(node, "eth_call", call | {"gas": hex(least - 1)})
    burn = sender.deploy(deployment(assemble("JUMPDEST 0 JUMP")))
    assert "gas required exceeds allowance" in refusal(node, "eth_estimateGas", {"to": burn, "gas": hex(90_000)}).text
    heavy = {"from": ALICE.address, "to": BOB.address, "data": "0x" + "ff" * 500}
    assert int(node.request("eth_estimateGas", [heavy]), 16) == 21_000 + 40 * 500  # EIP-7623
    creation = {"from": ALICE.address, "data": "0x" + deployment(SAY).hex()}
    estimated = int(node.request("eth_estimateGas", [creation]), 16)
    assert int(sender.send(data=creation["data"], gas=estimated)["gasUsed"], 16) == estimated


def test_gas_below_the_floor_of_the_data_is_refused(node: Node) -> None:
    transaction = signed(ALICE, 0, to=BOB.address, data=b"\1" * 1000, gas=21_000 + 16_000)
    assert "insufficient gas for floor data gas cost" in refusal(node, "eth_sendRawTransaction", transaction).text


def test_a_call_changes_nothing(node: Node, chain: Chain) -> None:
    sender = Sender(node.request)
    store, echo = sender.deploy(deployment(STORE)), sender.deploy(deployment(ECHO_SHA256))
    before = chain.head
    node.request("eth_call", [{"from": ALICE.address, "to": store, "data": "0x" + word(5) + word(1)}])
    assert node.request("eth_getStorageAt", [store, "0x1"]) == "0x" + word(0)
    assert node.request("eth_call", [{"to": echo, "input": "0x"}])[2:10] == "e3b0c442"
    assert chain.head == before
    assert node.request("eth_getTransactionCount", [ALICE.address]) == "0x2"


def test_time_comes_from_the_clock_and_never_stands_still() -> None:
    now = [START]
    with create(None, chain_id=CHAIN_ID, balances={}, clock=lambda: now[0]) as chain:
        node = Node(chain)

        def mined() -> int:
            node.request("evm_mine")
            return int(node.request("eth_getBlockByNumber", ["latest"])["timestamp"], 16)

        assert [mined(), mined()] == [START + 1, START + 2]
        now[0] = START + 100
        assert mined() == START + 100
        node.request("evm_increaseTime", [1000])
        assert mined() == START + 1100
        node.request("evm_setNextBlockTimestamp", [START + 5000])
        assert [mined(), mined()] == [START + 5000, START + 5001]
        now[0] = START + 110
        assert mined() == START + 5010


def test_many_threads_may_ask_and_send_at_once(node: Node) -> None:
    people = [account(f"person {i}") for i in range(4)]
    sender = Sender(node.request)
    for person in people:
        sender.send(to=person.address, value=ETHER)
    problems: list[BaseException] = []

    def work(person: Any) -> None:
        try:
            for nonce in range(10):
                node.request("eth_sendRawTransaction", [signed(person, nonce, to=BOB.address, value=1)])
                node.request("eth_getLogs", [{"fromBlock": "0x0"}])
                node.request("eth_getBalance", [BOB.address])
        except BaseException as problem:  # noqa: BLE001  (handed to the main thread)
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert node.request("eth_getBalance", [BOB.address]) == hex(1000 * ETHER + 40)
    assert node.request("eth_blockNumber") == hex(44)
