"""A chain's file: it survives closing, killing and second openers, and belongs to one network."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs import SAY, STORE, deployment
from signing import ALICE, BOB, CHAIN_ID, ETHER, Sender, clock, raw, signed, word

from caduceus.edges.evm_embedded import Chain, Node, create, open_chain, read_chain
from caduceus.edges.evm_embedded.replay import replay
from caduceus.edges.evm_embedded.verify import verify_file
from caduceus.errors import Misuse, Refused, Unavailable

BALANCES = {raw(ALICE.address): 1000 * ETHER, raw(BOB.address): 1000 * ETHER}


def fresh(path: Path | None, chain_id: int = CHAIN_ID) -> Chain:
    """A new chain in that file."""
    return create(path, chain_id=chain_id, balances=BALANCES, clock=clock)


def history(node: Node) -> Any:
    """Everything that the chain says of itself."""
    height = int(node.request("eth_blockNumber"), 16)
    blocks = [node.request("eth_getBlockByNumber", [hex(number), True]) for number in range(height + 1)]
    receipts = [node.request("eth_getBlockReceipts", [hex(number)]) for number in range(height + 1)]
    return blocks, receipts, node.request("eth_getLogs", [{"fromBlock": "0x0"}])


def busy(node: Node) -> str:
    """Some blocks with state and logs; returns a contract that stores."""
    sender = Sender(node.request)
    store, say = sender.deploy(deployment(STORE)), sender.deploy(deployment(SAY))
    for value in range(1, 4):
        sender.send(to=store, data="0x" + word(value) + word(value))
        sender.send(to=say, data="0x" + word(value) + "ab" * 40)
    return store


def test_reopening_gives_the_same_state_and_history(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with fresh(path) as chain:
        store = busy(Node(chain))
        before = history(Node(chain))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["chain.db", "chain.db.seal"]
    with open_chain(path, clock=clock, chain_id=CHAIN_ID) as chain:
        assert history(Node(chain)) == before
        assert int(Node(chain).request("eth_getStorageAt", [store, "0x3"]), 16) == 3
        assert Sender(Node(chain).request).send(to=BOB.address, value=1)["status"] == "0x1"
        assert not (tmp_path / "chain.db.seal").exists()
    with read_chain(path) as chain:
        blocks, receipts, logs = history(Node(chain))
        assert (blocks[:-1], receipts[:-1], logs) == before
    assert verify_file(path).whole


def test_history_answers_for_any_block(tmp_path: Path) -> None:
    with fresh(tmp_path / "chain.db") as chain:
        request = Node(chain).request
        store = busy(Node(chain))
        sender = Sender(request)
        sender.send(to=store, data="0x" + word(9) + word(1))
        newest = int(request("eth_blockNumber"), 16)
        assert int(request("eth_getStorageAt", [store, "0x1", hex(newest)]), 16) == 9
        assert int(request("eth_getStorageAt", [store, "0x1", hex(newest - 1)]), 16) == 1
        assert int(request("eth_getStorageAt", [store, "0x1", "earliest"]), 16) == 0
        assert request("eth_getCode", [store, "0x0"]) == "0x"
        assert request("eth_getTransactionCount", [ALICE.address, "0x1"]) == "0x1"


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    script = tmp_path / "writer.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from caduceus.edges.evm_embedded import Node, create\n"
        "balances = {bytes.fromhex(sys.argv[2]): 10**24}\n"
        f"chain = create(Path(sys.argv[1]), chain_id={CHAIN_ID}, balances=balances, clock=lambda: 1_700_000_000)\n"
        "for line in sys.stdin:\n"
        "    print(Node(chain).request('eth_sendRawTransaction', [line.strip()]), flush=True)\n"
    )
    for kill_after in (1, 7, 23):
        path = tmp_path / f"chain{kill_after}.db"
        arguments = [sys.executable, str(script), str(path), raw(ALICE.address).hex()]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            for nonce in range(60):  # more than it will live to answer
                writer.stdin.write(signed(ALICE, nonce, to=BOB.address, value=1) + "\n")
            writer.stdin.flush()
            acknowledged = [writer.stdout.readline().strip() for _ in range(kill_after)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
        assert not verify_file(path).sealed
        with open_chain(path, clock=clock) as chain:
            request = Node(chain).request
            for key in acknowledged:
                assert request("eth_getTransactionReceipt", [key])["status"] == "0x1"
            height = int(request("eth_blockNumber"), 16)
            assert height >= len(acknowledged)
            assert request("eth_getTransactionCount", [ALICE.address]) == hex(height)
            Sender(request).send(to=BOB.address, value=1)
        assert verify_file(path).whole
        assert replay(path).problem is None


@pytest.mark.parametrize("written", [b"", b"SQLite format 3\0 and no more"], ids=["nothing", "a beginning"])
def test_a_making_that_was_interrupted_is_made_again(tmp_path: Path, written: bytes) -> None:
    for name in ("chain.db.new", "chain.db.new-wal", "chain.db.new-journal"):
        (tmp_path / name).write_bytes(written)
    fresh(tmp_path / "chain.db").close()
    assert verify_file(tmp_path / "chain.db").whole
    assert {file.name for file in tmp_path.iterdir()} == {"chain.db", "chain.db.seal"}


def test_a_making_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        create(tmp_path / "chain.db", chain_id=CHAIN_ID, balances={bytes(20): -1}, clock=clock)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_cannot_write_one_chain_but_one_may_read(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    opener = (
        "import sys\n"
        "from pathlib import Path\n"
        "from caduceus.edges.evm_embedded import Node, open_chain, read_chain\n"
        "from caduceus.errors import Refused\n"
        "try:\n"
        "    open_chain(Path(sys.argv[1]), clock=lambda: 0)\n"
        "except Refused as refusal:\n"
        "    print(refusal)\n"
        "print(Node(read_chain(Path(sys.argv[1]))).request('eth_blockNumber'))\n"
    )

    def elsewhere() -> list[str]:
        run = subprocess.run([sys.executable, "-c", opener, str(path)], capture_output=True, text=True, check=True)
        return run.stdout.splitlines()

    with fresh(path) as chain:
        busy(Node(chain))
        height = Node(chain).request("eth_blockNumber")
        refusal, seen = elsewhere()
        assert refusal == f"{path}: another process writes this chain; close it there, or open for reading"
        assert seen == height
        with pytest.raises(Refused, match="another process writes"):
            open_chain(path, clock=clock)
        with read_chain(path) as reader:
            Sender(Node(chain).request).send(to=BOB.address, value=1)
            assert Node(reader).request("eth_blockNumber") == hex(int(height, 16) + 1)
            with pytest.raises(Misuse, match="opened for reading only"):
                Sender(Node(reader).request).send(to=BOB.address, value=1)
    assert elsewhere() == [hex(int(height, 16) + 1)]


def test_a_file_of_another_network_or_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with fresh(path, chain_id=7) as chain:
        first = chain.head.hash
    with fresh(None) as other:
        foreign = other.head.hash
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(Refused, match=r"chain\.db: belongs to chain 7, not to chain 8"):
        open_chain(path, clock=clock, chain_id=8)
    with pytest.raises(Refused, match=f"has genesis 0x{first.hex()}, not 0x{foreign.hex()}"):
        open_chain(path, clock=clock, genesis=foreign)
    with pytest.raises(Refused, match="exists already"):
        fresh(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    (tmp_path / "new.db-wal").write_bytes(b"left over")
    with pytest.raises(Refused, match=r"new\.db-wal is left from an earlier chain"):
        fresh(tmp_path / "new.db")
    (tmp_path / "new.db-wal").unlink()
    with pytest.raises(Refused, match="there is no such chain file"):
        open_chain(tmp_path / "none.db", clock=clock)
    other_file = tmp_path / "other.db"
    with sqlite3.connect(other_file) as database:
        database.execute("CREATE TABLE x (y)")
    database.close()
    with pytest.raises(Refused, match="not a chain file"):
        open_chain(other_file, clock=clock)
    other_file.write_text("Dear diary, " * 1000)
    with pytest.raises(Refused, match="not readable as a chain file"):
        open_chain(other_file, clock=clock)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(Refused, match="format 99; this version reads format 1"):
        open_chain(path, clock=clock)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["chain.db", "chain.db.seal", "other.db"]


def test_a_block_that_the_disk_refuses_never_happened(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with fresh(path) as chain:
        sender = Sender(Node(chain).request)
        sender.send(to=BOB.address, value=1)
        before = history(Node(chain))
        chain.store.connection.execute("PRAGMA max_page_count = 1")  # no page more than there are
        with pytest.raises(Unavailable, match="disk is full; nothing was written"):
            sender.deploy(deployment(bytes(10_000)))
        assert history(Node(chain)) == before
        chain.store.connection.execute("PRAGMA max_page_count = 1000000")
        sender.deploy(deployment(bytes(10_000)))
        assert Node(chain).request("eth_getTransactionCount", [ALICE.address]) == "0x2"
    assert verify_file(path).whole
    assert replay(path).problem is None


def test_a_writer_closes_cleanly_beside_readers(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with fresh(path) as chain:
        Sender(Node(chain).request).send(to=BOB.address, value=1)
        reader = read_chain(path)
        assert reader.head == chain.head
    assert sorted(file.name for file in tmp_path.iterdir()) == ["chain.db", "chain.db.seal"]
    with open_chain(path, clock=clock) as chain:
        assert Node(reader).request("eth_getBalance", [BOB.address]) == hex(1000 * ETHER + 1)
        chain.mine()
        assert reader.head == chain.head
    reader.close()
    assert verify_file(path).whole


def test_a_file_that_another_program_holds_is_finished_at_the_next_closing(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with fresh(path) as chain:
        before = chain.mine()
        stranger = sqlite3.connect(path)
        stranger.execute("SELECT count(*) FROM blocks").fetchone()
    assert [problem.what for problem in verify_file(path).problems if "not closed cleanly" in problem.what] != []
    stranger.close()
    with open_chain(path, clock=clock) as chain:
        assert chain.head == before
    assert verify_file(path).whole


def test_a_fork_must_open_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fresh(tmp_path / "chain.db") as chain:
        sender = Sender(Node(chain).request)
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: -1)
            with pytest.raises(Misuse, match="a fork must open the file itself"):
                sender.send(to=BOB.address, value=1)
            chain.store.close()  # as a fork's exit would: the parent's file and lock are left alone
        with pytest.raises(Refused, match="another process writes"):
            open_chain(tmp_path / "chain.db", clock=clock)
        sender.send(to=BOB.address, value=1)
        assert Node(chain).request("eth_getBalance", [BOB.address]) == hex(1000 * ETHER + 1)
