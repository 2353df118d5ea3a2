"""Blocks, transactions, receipts and logs as rows, and the questions that are asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from eth_typing import Address

from caduceus.edges.evm_embedded import blocks
from caduceus.edges.evm_embedded.blocks import Log, Receipt, Sealed
from caduceus.edges.evm_embedded.store import Store
from caduceus.errors import Refused


@dataclass(frozen=True, slots=True)
class Included:
    """A transaction with its place in the chain and its outcome, as stored."""

    block: int
    position: int
    hash: bytes
    sender: Address
    raw: bytes
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Said:
    """A log with its place in the chain."""

    block: Sealed
    position: int
    """Among the logs of its block."""
    place: int
    """Of its transaction in the block."""
    transaction: bytes
    """Hash of the transaction."""
    log: Log


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which logs: between two blocks, of any of some addresses, with some topics."""

    first: int
    last: int
    addresses: tuple[bytes, ...] = ()
    """Empty for any address."""
    topics: tuple[tuple[bytes, ...], ...] = ()
    """Alternatives by position; an empty tuple takes any topic that is there."""


class History:
    """What the chain remembers beside its state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._headers: dict[int, Sealed] = {}  # blocks are final, so what was read once stays true

    def head(self) -> Sealed | None:
        """The newest block's header."""
        row = self._store.read_one("SELECT hash, header FROM blocks ORDER BY number DESC LIMIT 1")
        return None if row is None else Sealed(blocks.parse_header(row[1]), row[0])

    def header(self, number: int) -> Sealed | None:
        """A header by its number."""
        sealed = self._headers.get(number)
        if sealed is None:
            row = self._store.read_one("SELECT hash, header FROM blocks WHERE number = ?", (number,))
            if row is None:
                return None
            if len(self._headers) >= _CACHED:
                self._headers.clear()
            sealed = self._headers[number] = Sealed(blocks.parse_header(row[1]), row[0])
        return sealed

    def known(self, number: int) -> Sealed:
        """A header that must be there.

        Raises Refused, naming the file, if it is not.
        """
        sealed = self.header(number)
        if sealed is None:
            raise Refused(f"{self._store.name}: block {number} is missing; audit the file to learn why")
        return sealed

    def number_of(self, block: bytes) -> int | None:
        """A block's number by its hash."""
        row = self._store.read_one("SELECT number FROM blocks WHERE hash = ?", (block,))
        return None if row is None else int(row[0])

    def ancestors(self, below: int) -> Iterable[bytes]:
        """Hashes of the 256 blocks before block number `below`, newest first."""
        rows = self._store.read(
            "SELECT hash FROM blocks WHERE number < ? ORDER BY number DESC LIMIT 256",
            (below,),
        )
        return (row[0] for row in rows)

    def included(self, number: int) -> list[Included]:
        """A block's transactions in order."""
        query = f"SELECT {_INCLUDED} FROM transactions WHERE block = ? ORDER BY position"  # noqa: S608 (constant)
        return [_read_included(row) for row in self._store.read(query, (number,))]

    def find(self, transaction: bytes) -> Included | None:
        """A transaction by its hash."""
        query = f"SELECT {_INCLUDED} FROM transactions WHERE hash = ?"  # noqa: S608 (constant)
        row = self._store.read_one(query, (transaction,))
        return None if row is None else _read_included(row)

    def logs(self, query: LogQuery) -> list[Said]:
        """The logs that fit, in the order of the chain."""
        where, values = ["l.block BETWEEN ? AND ?"], [query.first, query.last]
        arguments: list[object] = list(values)
        if query.addresses:
            where.append(f"l.address IN ({_marks(query.addresses)})")
            arguments += query.addresses
        for position, options in enumerate(query.topics):
            if options:
                where.append(f"l.topic{position} IN ({_marks(options)})")
                arguments += options
            else:
                where.append(f"l.topic{position} IS NOT NULL")
        rows = self._store.read(
            "SELECT l.block, l.position, l.place, l.address, l.topic0, l.topic1, l.topic2, l.topic3, l.data, t.hash "  # noqa: S608
            "FROM logs AS l JOIN transactions AS t ON t.block = l.block AND t.position = l.place "
            f"WHERE {' AND '.join(where)} ORDER BY l.block, l.position",  # only marks are put in, values are bound
            arguments,
        )
        return [
            Said(
                self.known(row[0]),
                row[1],
                row[2],
                row[9],
                Log(row[3], tuple(topic for topic in row[4:8] if topic is not None), row[8]),
            )
            for row in rows
        ]


def write(
    connection: Connection, sealed: Sealed, transactions: Sequence[Included], nodes: Iterable[tuple[bytes, bytes]]
) -> None:
    """Put a block's rows into an open SQLite transaction."""
    number = sealed.header.number
    write_nodes(connection, nodes)
    connection.execute("INSERT INTO blocks VALUES (?, ?, ?)", (number, sealed.hash, sealed.header.encode()))
    connection.executemany(
        "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)",
        [(t.block, t.position, t.hash, t.sender, t.raw, t.receipt.encode()) for t in transactions],
    )
    connection.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", log_rows(number, transactions))


def write_nodes(connection: Connection, nodes: Iterable[tuple[bytes, bytes]]) -> None:
    """Put state nodes into an open SQLite transaction; those that are there already stay."""
    connection.executemany("INSERT OR IGNORE INTO nodes VALUES (?, ?)", nodes)


def log_rows(number: int, transactions: Sequence[Included]) -> list[tuple[object, ...]]:
    """The log index of a block, as its receipts say it."""
    said = ((t.position, log) for t in transactions for log in t.receipt.logs)
    return [
        (number, position, place, log.address, *(*log.topics, None, None, None, None)[:4], log.data)
        for position, (place, log) in enumerate(said)
    ]


_CACHED = 10_000
_INCLUDED = "block, position, hash, sender, raw, receipt"


def _read_included(row: tuple[int, int, bytes, Address, bytes, bytes]) -> Included:
    return Included(*row[:5], receipt=blocks.read_receipt(row[5]))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
