"""What was signed outlives a crash: the same bytes are sent again, and nothing happens twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accounts import ADDRESS, KEY, QUICK, TO, account, calls, eventually, included
from flaky import LOSE_ANSWER, LOSE_QUESTION, PASS, Line, flaky

from anvil_node import AnvilNode, running
from caduceus.crypto.sign import Signer
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import Account, Node, Outbox
from caduceus.edges.gateway.outbox import PAGE
from caduceus.edges.gateway.transaction import Transaction, name_of, read
from caduceus.edges.journal import SqliteJournal
from caduceus.errors import Refused, Unavailable, Uncertain

SEND = "eth_sendRawTransaction"


class Crash(BaseException):
    """The process ends here."""


class CountingJournal:
    """A journal in memory that counts what is read of it."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.reads = 0

    def get(self, key: str) -> bytes | None:
        self.reads += 1
        return self.entries.get(key)

    def put_once(self, key: str, value: bytes) -> None:
        assert self.entries.setdefault(key, value) == value

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        for key, value in entries.items():
            self.put_once(key, value)

    def keys(self, prefix: str) -> Sequence[str]:
        found = sorted(key for key in self.entries if key.startswith(prefix))
        self.reads += len(found)
        return found


def raw(nonce: int, tip: int = 1) -> bytes:
    transaction = Transaction(1337, nonce, tip, tip + 10, 21_000, TO, b"")
    return transaction.signed(Signer(KEY).sign(transaction.digest()))


def test_what_is_settled_is_not_kept_and_the_rest_comes_back_in_order(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal") as journal:
        outbox = Outbox(journal, 1337, ADDRESS)
        places = [outbox.write(raw(nonce), f"call {nonce}") for nonce in range(3 * PAGE)]
        outbox.replace(places[70], raw(70, tip=2), "call 70")
        for place in places:
            if place not in (70, 100):
                outbox.settle(place, bytes(32))
    with SqliteJournal(tmp_path / "journal") as journal:
        kept = Outbox(journal, 1337, ADDRESS).kept
        assert [(one.place, one.what) for one in kept] == [(70, "call 70"), (100, "call 100")]
        assert [read(one)[0].tip for one in kept[0].versions] == [1, 2]
        assert not Outbox(journal, 1, ADDRESS).kept
        assert Outbox(journal, 1337, ADDRESS).write(raw(200), "next") == 3 * PAGE


def test_an_outbox_whose_transactions_are_settled_is_cheap_to_open() -> None:
    journal, reads = CountingJournal(), {}
    outbox = Outbox(journal, 1337, ADDRESS)
    for count in range(1, 100 * PAGE + 1):
        outbox.settle(outbox.write(b"signed", "call"), b"")
        if count in (PAGE, 10 * PAGE, 100 * PAGE):
            journal.reads = 0
            assert not Outbox(journal, 1337, ADDRESS).kept
            reads[count // PAGE] = journal.reads
    assert reads[100] <= 20
    assert reads[100] - reads[1] <= 16


@pytest.mark.anvil
@pytest.mark.parametrize("moment", ["before it was sent", "after it was sent"])
def test_after_a_crash_the_repeated_call_sends_the_same_bytes(anvil: AnvilNode, tmp_path: Path, moment: str) -> None:
    with SqliteJournal(tmp_path / "journal") as journal:
        sender = account(anvil, sending=QUICK, journal=journal)
        honest = sender.node.request

        def crashing(method: str, params: Sequence[Any]) -> Any:
            if method == SEND:
                if moment == "after it was sent":
                    honest(method, params)
                raise Crash
            return honest(method, params)

        sender.node.request = crashing
        with pytest.raises(Crash):
            sender.send(TO, b"\x01", "pay")
        (signed,) = [name_of(kept.versions[-1]) for kept in Outbox(journal, anvil.chain_id, ADDRESS).kept]
    with SqliteJournal(tmp_path / "journal") as journal:
        sender = account(anvil, sending=QUICK, journal=journal)
        assert sender.send(TO, b"\x01", "pay")["transactionHash"] == signed
        sender.send(TO, b"\x01", "pay")  # asked for again, it is meant again
        assert not Outbox(journal, anvil.chain_id, ADDRESS).kept
    assert calls(anvil) == [(0, "0x01"), (1, "0x01")]


@pytest.mark.anvil
def test_another_call_first_sends_what_the_crash_left_behind(anvil: AnvilNode, tmp_path: Path) -> None:
    with flaky(anvil.url) as line, SqliteJournal(tmp_path / "journal") as journal:
        line.fate = lambda method, number: LOSE_QUESTION if method == SEND else PASS
        with pytest.raises(Uncertain):
            account(anvil, line.url, sending=QUICK, journal=journal).send(TO, b"\x01", "pay")
        assert included(anvil) == 0
        line.fate = lambda method, number: PASS
        sender = account(anvil, line.url, sending=QUICK, journal=journal)
        sender.send(TO, b"\x02", "pay")
        sender.mend()
        assert not Outbox(journal, anvil.chain_id, ADDRESS).kept
    assert calls(anvil) == [(0, "0x01"), (1, "0x02")]


@pytest.mark.anvil
def test_a_call_of_unknown_fate_that_is_repeated_is_sent_once(anvil: AnvilNode, tmp_path: Path) -> None:
    def deaf(method: str, number: int) -> str:
        return LOSE_ANSWER if method == SEND else LOSE_QUESTION if method == "eth_getTransactionByHash" else PASS

    with flaky(anvil.url) as line, SqliteJournal(tmp_path / "journal") as journal:
        sender = account(anvil, line.url, sending=QUICK, journal=journal)
        line.fate = deaf
        with pytest.raises(Uncertain, match="look on the chain before repeating it"):
            sender.send(TO, b"\x01", "pay")
        line.fate = lambda method, number: PASS
        sender.send(TO, b"\x01", "pay")
    assert calls(anvil) == [(0, "0x01")]
    assert line.counts[SEND] == 1


@pytest.mark.anvil
def test_a_nonce_that_somebody_else_used_ends_the_wait_and_the_call_is_free_to_be_repeated(
    anvil: AnvilNode, tmp_path: Path
) -> None:
    with SqliteJournal(tmp_path / "journal") as journal:
        anvil.node.request("evm_setAutomine", [False])
        with pytest.raises(Uncertain):
            account(anvil, sending=QUICK, journal=journal, patience=0).send(TO, b"\x01", "pay")
        anvil.node.request("anvil_dropAllTransactions")
        anvil.node.request("evm_setAutomine", [True])
        account(anvil).send(TO, b"\x02", "pay")  # another process, with the same key
        sender = account(anvil, sending=QUICK, journal=journal)
        with pytest.raises(Unavailable, match=r"another transaction of 0x.* has its nonce 0, so it has not happened"):
            sender.send(TO, b"\x01", "pay")
        sender.send(TO, b"\x01", "pay")
        assert not Outbox(journal, anvil.chain_id, ADDRESS).kept
    assert calls(anvil) == [(0, "0x02"), (1, "0x01")]


@pytest.mark.anvil
def test_replacements_are_kept_too_and_whichever_the_chain_takes_counts(anvil: AnvilNode, tmp_path: Path) -> None:
    anvil.node.request("evm_setAutomine", [False])
    with SqliteJournal(tmp_path / "journal") as journal:
        stuck = replace(QUICK, replace_after=0.1)
        with pytest.raises(Uncertain):
            account(anvil, sending=stuck, journal=journal, patience=1.0).send(TO, b"\x01", "pay")
    with SqliteJournal(tmp_path / "journal") as journal:
        (kept,) = Outbox(journal, anvil.chain_id, ADDRESS).kept
        first, *later = [read(one)[0] for one in kept.versions]
        assert later
        assert {one.nonce for one in later} == {first.nonce}
        anvil.node.request("evm_mine")
        receipt = account(anvil, sending=QUICK, journal=journal).send(TO, b"\x01", "pay")
        assert receipt["transactionHash"] in [name_of(one) for one in kept.versions[1:]]
    assert calls(anvil) == [(0, "0x01")]


def ended(pid: int) -> bool:
    """Whether a process has ended, or only waits for its parent to notice."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def stop(line: Line, anvil: AnvilNode, state: Path) -> None:
    """End the node so that its chain is on disk."""
    line.target = None
    os.kill(anvil.pid, signal.SIGINT)
    eventually(lambda: ended(anvil.pid) and state.exists())


@pytest.mark.anvil
def test_a_node_that_is_stopped_and_started_again_half_way_loses_and_doubles_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    options = ("--state", str(state))
    with running(*options) as first, flaky(first.url) as line, SqliteJournal(tmp_path / "journal") as journal:
        sender = account(first, line.url, sending=QUICK, journal=journal)
        sender.send(TO, b"\x01", "pay")
        sender._patience = 0.2
        line.fate = lambda method, number: LOSE_ANSWER if method == SEND else PASS
        first.node.request("evm_setAutomine", [False])
        with pytest.raises(Uncertain):
            sender.send(TO, b"\x02", "pay")  # in the pool, which is lost with the node
        stop(line, first, state)
        with pytest.raises(Unavailable, match="got no answer"):
            sender.send(TO, b"\x03", "pay")
        line.fate = lambda method, number: PASS
        with running(*options) as second:
            line.target, sender._patience = second.url, 60
            assert calls(second) == [(0, "0x01")]
            sender.send(TO, b"\x03", "pay")
            sender.send(TO, b"\x02", "pay")
            assert calls(second)[:3] == [(0, "0x01"), (1, "0x02"), (2, "0x03")]


def test_an_outbox_that_lacks_the_bytes_of_a_transaction_is_damaged() -> None:
    journal = CountingJournal()
    outbox = Outbox(journal, 1337, ADDRESS)
    place = outbox.write(raw(0), "call")
    outbox.replace(place, raw(0, tip=2), "call")
    del journal.entries[f"outbox/1337/{ADDRESS.hex()}/{0:010d}/{0:03d}/{0:04d}"]
    with pytest.raises(Refused, match="is it damaged"):
        Outbox(journal, 1337, ADDRESS)


@pytest.mark.anvil
def test_a_full_disk_stops_sending_before_and_never_denies_what_happened(anvil: AnvilNode) -> None:
    class Full(CountingJournal):
        full_for: tuple[str, ...] = ()

        def put_once(self, key: str, value: bytes) -> None:
            if key.endswith(self.full_for):
                raise Unavailable("cannot be written")
            super().put_once(key, value)

    journal = Full()
    sender = account(anvil, sending=QUICK, journal=journal)
    journal.full_for = ("/0000",)
    with pytest.raises(Unavailable, match="cannot be written"):
        sender.send(TO, b"\x01", "pay")
    assert included(anvil) == 0
    journal.full_for = ("settled",)
    sender.send(TO, b"\x01", "pay")
    assert [kept.place for kept in Outbox(journal, anvil.chain_id, ADDRESS).kept] == [0]
    journal.full_for = ()
    again = account(anvil, sending=QUICK, journal=journal)
    again.mend()
    assert not Outbox(journal, anvil.chain_id, ADDRESS).kept
    assert calls(anvil) == [(0, "0x01")]


def test_an_account_without_a_node_sends_nothing(tmp_path: Path) -> None:
    journal = CountingJournal()
    outbox = Outbox(journal, 1337, ADDRESS)
    with HttpNode("http://127.0.0.1:9", timeout=1) as away:
        sender = Account(Node(away.request), Signer(KEY), outbox=outbox)
        with pytest.raises(Unavailable, match="is the node running"):
            sender.send(TO, b"", "pay")
    assert not journal.entries
