"""Whether a chain file is whole: its seal byte by byte, and everything in it against everything else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from eth_hash.auto import keccak

from caduceus.edges.evm_embedded import blocks, history
from caduceus.edges.evm_embedded.blocks import Sealed, next_base_fee
from caduceus.edges.evm_embedded.chain import genesis_block
from caduceus.edges.evm_embedded.history import History, Included
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.edges.evm_embedded.seal import Problem, Seal, check_pieces, read_seal, seal_name
from caduceus.edges.evm_embedded.store import Store
from caduceus.edges.evm_embedded.transactions import read
from caduceus.errors import Refused, Unavailable


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked, and what did not fit."""

    path: Path
    sealed: bool
    """Whether a readable seal was there."""
    blocks: int
    transactions: int
    nodes: int
    head: bytes
    """Hash of the newest block that could be read; empty if there was none."""
    problems: tuple[Problem, ...]

    @property
    def whole(self) -> bool:
        """Whether everything fits."""
        return not self.problems


def verify_file(path: Path) -> Verified:
    """Check a closed chain file without changing it.

    The seal is compared piece by piece. Then, whatever the seal says: every header against its hash, its
    parent and the fee rule; transactions and receipts against their roots; senders against signatures; the
    log index against the receipts; every state node against its name. Nothing is executed: `replay` does that.

    returns  what was checked, with every problem found; a damaged file gives problems, never an exception

    Raises Refused if there is no such file.
    """
    if not path.is_file():
        raise Refused(f"{path}: there is no such chain file")
    problems: list[Problem] = []
    seal = _check_seal(path, problems)
    counts = _Counts()
    try:
        store = Store.open(path, writable=False, immutable=True)
    except (Refused, Unavailable) as refusal:
        problems.append(Problem(path, _said(path, refusal)))
    else:
        try:
            _check_content(store, path, seal, counts, problems)
        finally:
            store.close()
    return Verified(
        path, seal is not None, counts.blocks, counts.transactions, counts.nodes, counts.head, tuple(problems)
    )


@dataclass(slots=True)
class _Counts:
    blocks: int = 0
    transactions: int = 0
    nodes: int = 0
    head: bytes = b""


def _check_seal(path: Path, problems: list[Problem]) -> Seal | None:
    for suffix in ("-wal", "-journal"):
        if path.with_name(path.name + suffix).exists():
            problems.append(Problem(path, f"was not closed cleanly: {path.name}{suffix} is left; open and close it"))
    try:
        seal = read_seal(path)
    except Refused as refusal:
        problems.append(Problem(seal_name(path), _said(seal_name(path), refusal)))
        return None
    if seal is None:
        problems.append(Problem(path, f"has no seal ({seal_name(path).name}): not closed cleanly, or it was removed"))
        return None
    problems += check_pieces(path, seal)
    return seal


def _check_content(store: Store, path: Path, seal: Seal | None, counts: _Counts, problems: list[Problem]) -> None:
    def attempt(what: str, check: Callable[[], Iterator[str]]) -> None:
        try:
            problems.extend(Problem(path, problem) for problem in check())
        except (Refused, Unavailable) as refusal:
            problems.append(Problem(path, f"{what}: {_said(path, refusal)}"))
        except (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError) as damage:  # rows of damaged pages
            problems.append(Problem(path, f"{what}: not readable ({type(damage).__name__}: {damage})"))

    attempt("its pages", lambda: _page_problems(store))
    attempt("its genesis", lambda: _genesis_problems(store))
    attempt("its blocks", lambda: _chain_problems(store, counts))
    attempt("its state", lambda: _node_problems(store, counts))
    if seal is not None:
        attempt("its seal", lambda: _seal_problems(store, seal))


def _page_problems(store: Store) -> Iterator[str]:
    for (line,) in store.read("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield f"SQLite: {line}"


def _genesis_problems(store: Store) -> Iterator[str]:
    first = History(store).known(0)
    sealed = genesis_block(store.genesis(), Nodes(store))
    if sealed.hash != first.hash:
        yield f"block 0: is 0x{first.hash.hex()}, but the genesis balances make 0x{sealed.hash.hex()}"
    row = store.read_one("SELECT count(*), max(hash) FROM identity")
    if tuple(row) != (1, first.hash):
        yield "block 0: the file's identity names another genesis"


def _chain_problems(store: Store, counts: _Counts) -> Iterator[str]:
    past = History(store)
    parent: Sealed | None = None
    for number, key, data in store.read("SELECT number, hash, header FROM blocks ORDER BY number"):
        try:
            sealed = blocks.read_header(data)
            yield from (f"block {number}: {problem}" for problem in _header_problems(sealed, number, key, parent))
            included = past.included(number)
            yield from (f"block {number}: {problem}" for problem in _body_problems(sealed, included))
            yield from (f"block {number}: {problem}" for problem in _index_problems(store, number, included))
        except Refused as refusal:
            yield f"block {number}: {_said(store.path, refusal)}"
            parent = None
            continue
        parent = sealed
        counts.blocks += 1
        counts.transactions += len(included)
        counts.head = sealed.hash
    strays = "SELECT (SELECT count(*) FROM {0} WHERE block NOT IN (SELECT number FROM blocks))"
    for table in ("transactions", "logs"):
        if stray := store.read_one(strays.format(table))[0]:
            yield f"{stray} rows of {table} belong to no block"


def _header_problems(sealed: Sealed, number: int, key: bytes, parent: Sealed | None) -> Iterator[str]:
    header = sealed.header
    if sealed.hash != key:
        yield f"its header does not hash to 0x{bytes(key).hex()}"
    if header.number != number:
        yield f"its header says number {header.number}"
    if parent is None:
        return
    if header.number != parent.header.number + 1 or header.parent != parent.hash:
        yield f"does not follow block {parent.header.number}"
    if header.timestamp <= parent.header.timestamp:
        yield "is not later than its parent"
    if header.gas_limit != parent.header.gas_limit or header.base_fee != next_base_fee(parent.header):
        yield "its gas limit or base fee does not follow from its parent"


def _body_problems(sealed: Sealed, included: list[Included]) -> Iterator[str]:
    header = sealed.header
    receipts = [item.receipt for item in included]
    if blocks.list_root([item.raw for item in included]) != header.transaction_root:
        yield "its transactions do not give its transaction root"
    if blocks.list_root([receipt.encode() for receipt in receipts]) != header.receipt_root:
        yield "its receipts do not give its receipt root"
    if blocks.merge_blooms(receipt.bloom for receipt in receipts) != header.bloom:
        yield "its receipts do not give its bloom filter"
    if (receipts[-1].cumulative_gas if receipts else 0) != header.gas_used:
        yield "its receipts do not give its gas"
    for position, item in enumerate(included):
        where = f"transaction {position}"
        signed = read(item.raw)
        if item.position != position or signed.hash != item.hash:
            yield f"{where}: is filed under another place or hash"
        if signed.call.sender != item.sender:
            yield f"{where}: its signature is not by the sender it is filed under"
        if blocks.bloom_of(item.receipt.logs) != item.receipt.bloom:
            yield f"{where}: its logs do not give its receipt's bloom filter"


def _index_problems(store: Store, number: int, included: list[Included]) -> Iterator[str]:
    rows = store.read("SELECT * FROM logs WHERE block = ? ORDER BY position", (number,))
    expected = history.log_rows(number, included)
    if rows != expected:
        differing = (i for i, (row, wanted) in enumerate(zip(rows, expected, strict=False)) if row != wanted)
        first = next(differing, min(len(rows), len(expected)))
        yield f"log {first}: the index does not hold what the receipts say"


def _node_problems(store: Store, counts: _Counts) -> Iterator[str]:
    for key, node in store.read("SELECT hash, node FROM nodes"):
        counts.nodes += 1
        if keccak(node) != key:
            yield f"state node 0x{key.hex()}: its bytes do not hash to its name"
    for number, data in store.read("SELECT number, header FROM blocks ORDER BY number"):
        root = blocks.read_header(data).header.state_root
        if root != blocks.EMPTY_TRIE and store.read_one("SELECT 1 FROM nodes WHERE hash = ?", (root,)) is None:
            yield f"block {number}: its state root 0x{root.hex()} is missing"


def _seal_problems(store: Store, seal: Seal) -> Iterator[str]:
    head = History(store).head()
    if head is None or (head.header.number, head.hash) != (seal.number, seal.head):
        yield f"its newest block is not the sealed one, number {seal.number}, 0x{seal.head.hex()}"
    if store.genesis().chain_id != seal.chain_id:
        yield f"belongs to chain {store.genesis().chain_id}, sealed as chain {seal.chain_id}"


def _said(path: Path | None, refusal: Exception) -> str:
    return str(refusal).removeprefix(f"{path}: ")
