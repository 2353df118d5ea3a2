"""A closed chain file is sealed; damage is found and named, forgery is re-executed away."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from eth.chains.base import Chain as PyEvmChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlock, PragueBlockHeader
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from programs import FORWARD, KILL, SAY, SPAWN, STORE, deployment
from rlp import decode
from signing import ALICE, BOB, CHAIN_ID, ETHER, GWEI, Sender, clock, raw, signed, word

from caduceus.edges.evm_embedded import Node, blocks, create, open_chain, read_chain
from caduceus.edges.evm_embedded.replay import replay
from caduceus.edges.evm_embedded.seal import read_seal, remove_seal, seal_name, write_seal
from caduceus.edges.evm_embedded.verify import verify_file
from caduceus.errors import Refused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed, sealed chain file with a dozen lively blocks."""
    path = tmp_path / "chain.db"
    balances = {raw(ALICE.address): 1000 * ETHER, raw(BOB.address): 1000 * ETHER}
    with create(path, chain_id=CHAIN_ID, balances=balances, clock=clock) as chain:
        sender = Sender(Node(chain).request)
        store, say, spawn, forward, kill = (
            sender.deploy(deployment(code)) for code in (STORE, SAY, SPAWN, FORWARD, KILL)
        )
        for value in (5, 6, 0):
            sender.send(to=store, data="0x" + word(value) + word(1))
        sender.send(to=say, data="0x" + word(0) + "feed" * 40, gasPrice=4 * GWEI)
        sender.send(to=spawn, data="0x" + word(7) + deployment(STORE).hex(), gas=500_000)
        sender.send(to=forward, data="0x" + store[2:].rjust(64, "0") + word(3) + word(2), value=0)
        sender.send(to=kill, data="0x" + word(9), value=5)
        chain.send_many([raw(signed(BOB, nonce, to=say, data="0x" + word(nonce))) for nonce in range(3)])
        chain.mine()
    return path


def resealed(path: Path, edit: Callable[[sqlite3.Connection], None]) -> None:
    """Change the database and seal it anew, as a forger would."""
    seal = read_seal(path)
    assert seal is not None
    database = sqlite3.connect(path)
    edit(database)
    database.commit()
    database.close()
    row = sqlite3.connect(path).execute("SELECT number, hash FROM blocks ORDER BY number DESC").fetchone()
    write_seal(path, chain_id=seal.chain_id, genesis=seal.genesis, number=row[0], head=row[1])


def told(path: Path) -> str:
    """All problems of a file, as text."""
    return "\n".join(str(problem) for problem in verify_file(path).problems)


def test_a_closed_file_is_whole_and_re_executes(path: Path) -> None:
    verified, replayed = verify_file(path), replay(path)
    assert verified.problems == ()
    assert verified.sealed
    assert (verified.blocks, verified.transactions) == (replayed.blocks, replayed.transactions) == (15, 15)
    assert verified.nodes > 50
    assert replayed.problem is None
    with read_chain(path) as chain:
        assert verified.head == replayed.head == chain.head.hash
    assert sorted(file.name for file in path.parent.iterdir()) == ["chain.db", "chain.db.seal"]


def test_any_flipped_byte_of_the_file_is_found_and_placed(path: Path) -> None:
    dice = random.Random(7)
    whole = path.read_bytes()
    places = [*range(0, 100, 4), *(dice.randrange(len(whole)) for _ in range(110))]  # SQLite's header among them
    places += [at for at in range(len(whole) - 8) if whole[at : at + 8] == bytes(8)][:: len(whole) // 20]  # free space
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        problems = verify_file(path).problems
        assert any(p.file == path and p.start is not None and p.start <= at < (p.end or 0) for p in problems), at
    path.write_bytes(whole)
    assert verify_file(path).whole


def test_any_flipped_byte_of_the_seal_is_found_and_blamed_on_the_seal(path: Path) -> None:
    dice = random.Random(8)
    name = seal_name(path)
    whole = name.read_bytes()
    for at in (dice.randrange(len(whole)) for _ in range(60)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.randrange(8)
        name.write_bytes(damaged)
        problems = verify_file(path).problems
        assert [problem.file for problem in problems] == [name], at
        assert "damaged" in problems[0].what
    name.write_bytes(whole[:-1])
    assert not verify_file(path).whole
    name.write_bytes(whole)
    assert verify_file(path).whole


def test_without_a_seal_what_was_hit_is_still_named(path: Path) -> None:
    remove_seal(path)
    assert told(path) == f"{path}: has no seal (chain.db.seal): not closed cleanly, or it was removed"
    whole = path.read_bytes()
    database = sqlite3.connect(path)
    header = database.execute("SELECT header FROM blocks WHERE number = 3").fetchone()[0]
    (transaction,) = database.execute("SELECT raw FROM transactions WHERE block = 7").fetchone()
    (receipt,) = database.execute("SELECT receipt FROM transactions WHERE block = 9").fetchone()
    (node,) = database.execute("SELECT node FROM nodes WHERE length(node) > 100").fetchone()
    database.close()
    for bytes_of, words in (
        (header, "block 3: "),
        (transaction, "block 7: "),
        (receipt, "block 9: "),
        (node, "state node 0x"),
    ):
        at = whole.index(bytes_of[:200]) + 30
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        assert words in told(path)
    path.write_bytes(whole[:-4096])
    assert not verify_file(path).whole
    path.write_bytes(b"")
    assert "not a chain file" in told(path)
    with pytest.raises(Refused, match="no such chain file"):
        verify_file(path.with_name("none.db"))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("UPDATE logs SET data = x'00' WHERE block = 9 AND position = 0", "block 9: log 0: the index does not hold"),
        ("DELETE FROM logs WHERE block = 9 AND position = 4", "block 9: log 4: the index does not hold"),
        ("INSERT INTO logs SELECT 99, position, place, address, topic0, topic1, topic2, topic3, data FROM logs "
         "WHERE block = 9", "5 rows of logs belong to no block"),
        ("UPDATE transactions SET sender = zeroblob(20) WHERE block = 2", "block 2: transaction 0: its signature"),
        ("UPDATE transactions SET hash = zeroblob(32) WHERE block = 2", "block 2: transaction 0: is filed under"),
        ("DELETE FROM transactions WHERE block = 4", "block 4: its transactions do not give its transaction root"),
        ("UPDATE transactions SET receipt = (SELECT receipt FROM transactions WHERE block = 6) WHERE block = 7",
         "block 7: its receipts do not give its receipt root"),
        ("DELETE FROM blocks WHERE number = 5", "block 6: does not follow block 4"),
        ("UPDATE blocks SET hash = zeroblob(32) WHERE number = 5", "block 5: its header does not hash to"),
        ("UPDATE blocks SET header = x'c0' WHERE number = 5", "block 5: rlp: header is not a list of 21 items"),
        ("UPDATE nodes SET node = x'00' WHERE hash = (SELECT min(hash) FROM nodes)", "do not hash to its name"),
        ("DELETE FROM nodes", "its state root 0x"),
        ("UPDATE identity SET genesis = x'80'", "its genesis: "),
        ("UPDATE identity SET hash = zeroblob(32)", "identity names another genesis"),
        ("DROP TABLE logs", "no such table: logs"),
    ],
)  # fmt: skip
def test_an_edit_under_a_new_seal_is_named(path: Path, edit: str, words: str) -> None:
    resealed(path, lambda database: database.execute(edit) and None)
    assert words in told(path)


def test_a_consistent_forgery_is_re_executed_away(path: Path) -> None:
    def undo_the_last_payment(database: sqlite3.Connection) -> None:
        newest, previous = database.execute("SELECT header FROM blocks ORDER BY number DESC LIMIT 2").fetchall()
        earlier = blocks.read_header(database.execute("SELECT header FROM blocks WHERE number = 6").fetchone()[0])
        header = replace(blocks.read_header(newest[0]).header, state_root=earlier.header.state_root)
        forged = blocks.seal(header)
        database.execute(
            "UPDATE blocks SET hash = ?, header = ? WHERE number = ?", (forged.hash, header.encode(), header.number)
        )
        assert previous != newest

    resealed(path, undo_the_last_payment)
    assert verify_file(path).whole  # every hash fits
    replayed = replay(path)
    assert replayed.problem == "block 14: re-executed, its state root differs"
    assert replayed.blocks == 14


def test_transactions_that_no_node_would_include_are_named(path: Path) -> None:
    def smuggle(database: sqlite3.Connection) -> None:
        old = blocks.read_header(database.execute("SELECT header FROM blocks WHERE number = 14").fetchone()[0])
        unpaid = raw(signed(ALICE, 999, to=BOB.address, value=1))
        receipt = blocks.Receipt(2, True, 21_000, (), bytes(256))
        header = replace(
            old.header,
            transaction_root=blocks.list_root([unpaid]),
            receipt_root=blocks.list_root([receipt.encode()]),
            gas_used=21_000,
        )
        database.execute(
            "UPDATE blocks SET hash = ?, header = ? WHERE number = 14", (blocks.seal(header).hash, header.encode())
        )
        key = blocks.keccak(unpaid)
        database.execute(
            "INSERT INTO transactions VALUES (14, 0, ?, ?, ?, ?)", (key, raw(ALICE.address), unpaid, receipt.encode())
        )

    resealed(path, smuggle)
    assert verify_file(path).whole
    assert "block 14: transaction 0 should not be there: nonce too high" in (replay(path).problem or "")


def test_py_evm_itself_imports_every_block(path: Path) -> None:
    """The chain is built by our own code around py-evm's machine; here py-evm's own chain judges the result."""
    with read_chain(path) as chain:
        rows = chain.store.read("SELECT header FROM blocks ORDER BY number")
        headers = [decode(row[0], sedes=PragueBlockHeader) for row in rows]
        bodies = [[item.raw for item in chain.history.included(number)] for number in range(len(rows))]
        database = AtomicDB()
        for key, node in chain.store.read("SELECT hash, node FROM nodes"):
            database[key] = node
    network = PyEvmChain.configure(vm_configuration=((0, PragueVM),), chain_id=CHAIN_ID)
    judge = network.from_genesis_header(database, headers[0])
    for header, body in zip(headers[1:], bodies[1:], strict=True):
        transactions = [PragueTransactionBuilder.decode(one) for one in body]
        judge.import_block(PragueBlock(header, transactions, [], []), perform_validation=True)
        assert judge.get_canonical_head().hash == header.hash


def test_opening_for_writing_breaks_the_seal_and_closing_makes_a_new_one(path: Path) -> None:
    before = read_seal(path)
    with open_chain(path, clock=clock) as chain:
        assert read_seal(path) is None
        chain.mine()
    after = read_seal(path)
    assert before is not None
    assert after is not None
    assert after.number == before.number + 1
    assert verify_file(path).whole
