"""The same signed transactions give the same receipts here and on a real node."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eth_utils import to_checksum_address
from programs import (
    BURN,
    ECHO_SHA256,
    FLEETING,
    FORWARD,
    KILL,
    LOOK,
    OPCODES,
    REFUSE,
    SAY,
    SPAWN,
    STORE,
    assemble,
    deployment,
)
from signing import ALICE, BOB, CHAIN_ID, ETHER, GWEI, account, raw, signed, word

from anvil_node import AnvilNode
from caduceus.edges.evm_embedded import Node
from caduceus.edges.rpc import Request, RpcError
from caduceus.errors import Refused
from caduceus.kinds import Tokens
from suite_world import Play, World, anvil_world, embedded_world

pytestmark = pytest.mark.anvil

COMPARED = (
    "status",
    "gasUsed",
    "cumulativeGasUsed",
    "contractAddress",
    "effectiveGasPrice",
    "from",
    "to",
    "logsBloom",
    "transactionHash",
    "transactionIndex",
    "type",
    "blockNumber",
)


class Both:
    """Two nodes that are told the same."""

    def __init__(self, ours: Node, theirs: AnvilNode) -> None:
        self.ours: Request = ours.request
        self.theirs: Request = theirs.node.request
        for who in (ALICE, BOB):
            theirs.fund(raw(who.address), 1000 * ETHER)
        self.nonce = 0

    def send(self, **fields: Any) -> Any:
        """Send to both, compare the receipts, and hand ours back."""
        transaction = signed(ALICE, self.nonce, **fields)
        self.nonce += 1
        key = self.ours("eth_sendRawTransaction", [transaction])
        assert self.theirs("eth_sendRawTransaction", [transaction]) == key
        mine = self.ours("eth_getTransactionReceipt", [key])
        other = until_mined(self.theirs, key)
        assert essence(mine) == essence(other)
        return mine

    def deploy(self, runtime: bytes) -> str:
        """Deploy to both."""
        receipt = self.send(data=deployment(runtime), gas=3_000_000)
        assert receipt["status"] == "0x1"
        return to_checksum_address(receipt["contractAddress"])

    def same(self, method: str, *params: Any) -> Any:
        """Ask both, insist on the same answer."""
        mine = self.ours(method, params)
        assert mine == self.theirs(method, params)
        return mine

    def refused(self, method: str, *params: Any) -> tuple[RpcError, RpcError]:
        """Ask both, insist that both refuse."""
        with pytest.raises(RpcError) as mine:
            self.ours(method, params)
        with pytest.raises(RpcError) as other:
            self.theirs(method, params)
        return mine.value, other.value


def until_mined(request: Request, key: str) -> Any:
    """The receipt, asked for until it is there: anvil answers before it mines."""
    return next(receipt for _ in range(100_000) if (receipt := request("eth_getTransactionReceipt", [key])))


def essence(receipt: Any) -> dict[str, Any]:
    """What must be equal in two receipts; hashes of blocks differ, for the two have different genesis states."""
    logs = [
        {key: log[key] for key in ("address", "topics", "data", "logIndex", "transactionIndex", "removed")}
        for log in receipt["logs"]
    ]
    shown: dict[str, Any] = {key: receipt.get(key) for key in COMPARED} | {"logs": logs}
    return shown


@pytest.fixture
def both(node: Node, anvil: AnvilNode) -> Both:
    """Ours and anvil."""
    return Both(node, anvil)


def test_transfers_to_old_new_and_odd_accounts_agree(both: Both) -> None:
    both.send(to=BOB.address, value=5)
    both.send(to=account("new").address, value=1)
    both.send(to=account("never").address, value=0)
    both.send(to=ALICE.address, value=10)
    both.send(to="0x" + "00" * 19 + "02", value=1, data=b"abc")
    both.send(to=BOB.address, data=bytes(range(256)) * 20, gas=300_000)  # the floor of EIP-7623 decides
    for name in ("alice", "bob", "new", "never"):
        both.same("eth_getBalance", account(name).address, "latest")
    both.same("eth_getTransactionCount", ALICE.address, "latest")


def test_every_kind_of_transaction_agrees(both: Both) -> None:
    store = both.deploy(STORE)
    both.send(to=BOB.address, value=1, gasPrice=4 * GWEI)
    listed = [{"address": store, "storageKeys": ["0x" + word(5), "0x" + word(6)]}]
    for fields in ({"accessList": listed}, {"accessList": listed, "gasPrice": 4 * GWEI, "type": 1}):
        receipt = both.send(to=store, data="0x" + word(9) + word(5), **fields)
        assert receipt["type"] == ("0x1" if "gasPrice" in fields else "0x2")
    for block in range(1, 5):
        mine, other = (
            ask("eth_getBlockByNumber", [hex(block), True])["transactions"][0] for ask in (both.ours, both.theirs)
        )
        keys = ("from", "to", "nonce", "gas", "value", "input", "type", "chainId", "v", "r", "s", "hash")
        assert {key: mine[key] for key in keys} == {key: other[key] for key in keys}
        assert mine.get("accessList") == other.get("accessList")


def test_storage_is_charged_and_refunded_alike(both: Both) -> None:
    store = both.deploy(STORE)
    for value in (1, 1, 2, 0, 0, 3, 0):
        both.send(to=store, data="0x" + word(value) + word(1))
    touch = assemble("1 0 SSTORE 2 0 SSTORE 0 0 SSTORE 7 0 SSTORE 0 0 SSTORE")
    again = both.deploy(touch)
    both.send(to=again)
    both.send(to=again)
    many = both.deploy(assemble(" ".join(f"0 {slot} SSTORE 1 {slot} SSTORE 0 {slot} SSTORE" for slot in range(20))))
    both.send(to=many, gas=2_000_000)
    both.same("eth_getStorageAt", store, "0x1", "latest")


def test_logs_agree(both: Both) -> None:
    say = both.deploy(SAY)
    receipt = both.send(to=say, data="0x" + word(0) + "feed" * 30)
    assert len(receipt["logs"]) == 5
    mine, other = (
        ask(
            "eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest", "address": say, "topics": [None, "0x" + word(2)]}]
        )
        for ask in (both.ours, both.theirs)
    )
    keys = ("address", "topics", "data", "logIndex", "transactionHash", "blockNumber", "transactionIndex", "removed")
    assert [[log[key] for key in keys] for log in mine] == [[log[key] for key in keys] for log in other]
    assert len(mine) == 3


def test_reverts_and_exhausted_gas_agree(both: Both) -> None:
    refuse, burn = both.deploy(REFUSE), both.deploy(BURN)
    assert both.send(to=refuse, data="0xdeadbeef", value=3)["status"] == "0x0"
    assert both.send(to=burn, gas=100_000)["status"] == "0x0"
    assert both.send(to=both.deploy(assemble("INVALID")), gas=60_000)["gasUsed"] == hex(60_000)
    assert both.send(to=both.deploy(assemble("ADD")), gas=60_000)["status"] == "0x0"
    assert both.send(to=both.deploy(assemble("3 JUMP")), gas=60_000)["status"] == "0x0"
    both.send(data=assemble("0 0 REVERT"))
    both.send(data=assemble("INVALID"))
    both.same("eth_getBalance", ALICE.address, "latest")


def test_creation_agrees(both: Both) -> None:
    spawn = both.deploy(SPAWN)
    child = deployment(STORE)
    both.send(to=spawn, data="0x" + word(7) + child.hex(), gas=500_000)
    made = both.same("eth_getStorageAt", spawn, "0x0", "latest")
    assert int(made, 16) != 0
    both.send(to=spawn, data="0x" + word(7) + child.hex(), gas=500_000)  # the place is taken
    assert int(both.same("eth_getStorageAt", spawn, "0x0", "latest"), 16) == 0
    both.send(to=spawn, data="0x" + word(8) + assemble("0 0 REVERT").hex(), gas=500_000)
    both.same("eth_getCode", "0x" + made[26:], "latest")
    both.send(data=assemble("24577 0 RETURN"), gas=8_000_000)  # longer than EIP-170 allows
    both.send(data=assemble("239 0 MSTORE8 1 0 RETURN"))  # EIP-3541 keeps 0xef for others
    both.send(data=assemble("1 0 RETURN"), value=9)
    both.send(data=deployment(STORE), gas=55_000)  # not enough for the code's deposit


def test_calls_between_contracts_agree(both: Both) -> None:
    forward, store, refuse, burn = (both.deploy(code) for code in (FORWARD, STORE, REFUSE, BURN))

    def told(target: str, data: str = "") -> str:
        return "0x" + target[2:].rjust(64, "0") + data

    both.send(to=forward, data=told(store, word(5) + word(1)))
    both.send(to=forward, data=told(refuse, "dead"), value=4)
    both.send(to=forward, data=told(burn), gas=150_000)
    both.send(to=forward, data=told(account("empty").address), value=7)
    both.send(to=forward, data=told(forward, store[2:].rjust(64, "0") + word(3) + word(2)), gas=300_000)
    for precompile in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        both.send(to=forward, data="0x" + word(precompile) + word(1) + word(2) + word(3) + word(0), gas=500_000)
    both.same("eth_getBalance", account("empty").address, "latest")
    both.same("eth_getStorageAt", forward, "0x0", "latest")


def test_the_rest_of_the_machine_agrees(both: Both) -> None:
    look, kill, fleeting = both.deploy(LOOK), both.deploy(KILL), both.deploy(FLEETING)
    both.send(to=look, value=11, gas=400_000)
    for slot in range(10):
        both.same("eth_getStorageAt", look, hex(slot), "latest")
    both.send(to=kill, data="0x" + "00" * 12 + BOB.address[2:], value=6)
    both.same("eth_getCode", kill, "latest")
    both.send(data=assemble(f"0x{BOB.address[2:]} SELFDESTRUCT"), value=8)  # made and gone in one transaction
    both.send(to=fleeting)
    both.same("eth_getStorageAt", fleeting, "0x1", "latest")
    echo = both.deploy(ECHO_SHA256)
    both.same("eth_call", {"to": echo, "data": "0x616263"}, "latest")


def test_calls_and_estimates_agree(both: Both) -> None:
    store, refuse, burn = (both.deploy(code) for code in (STORE, REFUSE, BURN))
    reason = "0x08c379a0" + word(32) + word(5) + b"never".hex().ljust(64, "0")
    mine, other = both.refused("eth_call", {"to": refuse, "data": reason}, "latest")
    assert (mine.code, mine.data) == (other.code, other.data) == (3, reason)
    assert mine.text == other.text == "execution reverted: never"
    mine, other = both.refused("eth_estimateGas", {"from": ALICE.address, "to": refuse, "data": "0x01020304"})
    assert (mine.code, mine.data) == (other.code, other.data) == (3, "0x01020304")
    both.refused("eth_call", {"to": burn, "gas": hex(100_000)}, "latest")
    call = {"from": ALICE.address, "to": store, "data": "0x" + word(1) + word(1)}
    mine_gas, other_gas = (int(ask("eth_estimateGas", [call]), 16) for ask in (both.ours, both.theirs))
    used = int(both.send(to=store, data=call["data"], gas=mine_gas)["gasUsed"], 16)
    assert used == mine_gas <= other_gas
    assert both.same("eth_estimateGas", {"from": ALICE.address, "to": BOB.address, "value": "0x1"}) == hex(21_000)


def test_what_one_refuses_the_other_refuses(both: Both) -> None:
    both.send(to=BOB.address, value=1)
    reason = {
        "nonce too low": signed(ALICE, 0, to=BOB.address),
        "invalid chain id": signed(ALICE, 1, to=BOB.address, chainId=1),
        "insufficient funds": signed(ALICE, 1, to=BOB.address, value=10**24),
        "intrinsic gas too low": signed(ALICE, 1, to=BOB.address, gas=20_999),
        "max fee per gas less than block base fee": signed(
            ALICE, 1, to=BOB.address, maxFeePerGas=1, maxPriorityFeePerGas=1
        ),
        "max priority fee per gas higher": signed(
            ALICE, 1, to=BOB.address, maxFeePerGas=2 * GWEI, maxPriorityFeePerGas=3 * GWEI
        ),
        "exceeds block gas limit": signed(ALICE, 1, to=BOB.address, gas=30_000_001),
        "max initcode size exceeded": signed(ALICE, 1, data=bytes(49_153), gas=5_000_000),
        "transaction type not supported": "0x05" + "00" * 40,
    }
    for words, transaction in reason.items():
        mine, _ = both.refused("eth_sendRawTransaction", transaction)
        assert words in mine.text
    both.send(to=BOB.address, value=1)  # neither was disturbed


def test_random_programs_agree(both: Both) -> None:
    dice = random.Random(20_261_122)
    differing = {"TIMESTAMP", "BASEFEE", "BLOCKHASH", "PREVRANDAO", "DIFFICULTY", "NUMBER", "INVALID"}
    ending = {"STOP", "RETURN", "REVERT", "SELFDESTRUCT", "JUMP", "JUMPI"}
    names = [name for name in OPCODES if name not in differing | ending and not name.startswith("PUSH")]
    outcomes = set()
    for _ in range(80):
        words = ["1"] * 16
        for _ in range(dice.randrange(5, 80)):
            words += [str(dice.choice((0, 1, 2, 31, 32, 33, 64))) for _ in range(dice.randrange(3, 9))]
            words += [str(dice.choice((2**160 - 1, 2**255, 2**256 - 1)))] * (dice.random() < 0.03)
            words.append(dice.choice(names))
        words += ["0", "0", dice.choice(sorted(ending | {"MSTORE"}))]
        receipt = both.send(data=assemble(" ".join(words)), gas=300_000, value=dice.randrange(2))
        outcomes.add((receipt["status"], receipt["gasUsed"]))
    assert len(outcomes) > 10
    assert {status for status, _ in outcomes} == {"0x0", "0x1"}
    both.same("eth_getBalance", ALICE.address, "latest")


def test_several_in_one_block_agree(both: Both) -> None:
    say = both.deploy(SAY)
    for ask in (both.ours, both.theirs):
        ask("evm_setAutomine", [False])
    batch = [signed(ALICE, both.nonce + i, to=say, data="0x" + word(i) + "ab" * i) for i in range(4)]
    keys = [both.same("eth_sendRawTransaction", transaction) for transaction in batch]
    assert both.same("eth_getTransactionCount", ALICE.address, "pending") == hex(both.nonce + 4)
    for ask in (both.ours, both.theirs):
        ask("evm_mine", [])
    mine, other = (
        [essence(ask("eth_getTransactionReceipt", [key])) for key in keys] for ask in (both.ours, both.theirs)
    )
    assert mine == other
    assert [receipt["logs"][0]["logIndex"] for receipt in mine] == ["0x0", "0x5", "0xa", "0xf"]
    assert essence(both.ours("eth_getBlockReceipts", ["latest"])[3]) == mine[3]


def test_time_is_moved_alike(both: Both) -> None:
    for ask in (both.ours, both.theirs):
        before = int(ask("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
        ask("evm_setNextBlockTimestamp", [before + 1000])
        ask("evm_mine", [])
        assert int(ask("eth_getBlockByNumber", ["latest", False])["timestamp"], 16) == before + 1000
        ask("evm_increaseTime", [500])
        ask("evm_mine", [])
        assert int(ask("eth_getBlockByNumber", ["latest", False])["timestamp"], 16) >= before + 1500
    assert both.same("eth_chainId") == hex(CHAIN_ID)


def test_a_whole_job_leaves_the_same_receipts(anvil: AnvilNode) -> None:
    def receipts(world: World) -> list[Any]:
        job = Play(world, sites=3).completed()
        for seat in range(3):
            tree = job.claims(job.amounts())
            job.site(seat).wallet.claim(job.id, Tokens(job.amounts()[seat]), seat, tree.proof(seat))
        with pytest.raises(Refused):
            job.coordinator.wallet.start(job.id)
        request = world.node.request
        height = int(request("eth_blockNumber", []), 16)
        blocks = (request("eth_getBlockReceipts", [hex(number)]) for number in range(1, height + 1))
        return [
            (r["from"], r["to"], r["contractAddress"], r["status"], r["gasUsed"], [log["topics"] for log in r["logs"]])
            for block in blocks
            for r in block
        ]

    ours, theirs = receipts(embedded_world()), receipts(anvil_world(anvil))
    assert ours == theirs
    assert len(ours) > 30
