"""A chain in memory: blocks on virtual time, a pool, reorganisations; the contracts' rules are in `sim.rules`.

Blocks come at a fixed interval, or, without one, with each transaction. What a block did can be undone: then its
transactions wait in the pool again, and meet whatever state there is when their turn comes once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import final

from caduceus.errors import Misuse
from caduceus.kinds import Address, Digest, Tokens
from caduceus.sim.chance import between, happens
from caduceus.sim.clock import VirtualClock, micros
from caduceus.sim.rules.conservation import broken
from caduceus.sim.rules.reasons import Reverted
from caduceus.sim.rules.state import Step, undo
from caduceus.sim.rules.tables import Call, Deployed, Tables

Run = Callable[[Tables, Call], None]
"""What a transaction does; raises Reverted if a contract refuses. It may run more than once, on different states."""

Watch = Callable[[str], None]
"""Told in a line of each block that holds something, and of each reorganisation."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the chain moves.

    interval  virtual seconds between blocks; None for a block with each transaction, at once
    delay     least and most seconds for which a transaction waits before a block can take it
    dropped   probability that a transaction is forgotten when its block is undone, with those of its sender after it
    """

    interval: float | None = None
    delay: tuple[float, float] = (0.0, 0.0)
    dropped: float = 0.0


@dataclass(slots=True)
class Transaction:
    """Something that was sent; `ready` is the tick from which a block can take it."""

    name: bytes
    sender: Address
    what: str
    run: Run
    ready: int
    serial: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction: the block that took it, and why a contract refused it, if one did."""

    block: int
    refusal: Reverted | None


@dataclass(frozen=True, slots=True)
class Block:
    """A block, and how to undo it."""

    number: int
    time: int
    name: Digest
    transactions: tuple[Transaction, ...] = ()
    steps: Sequence[Step] = field(default=(), repr=False)


def _unwatched(_line: str) -> None:
    return


@final
class Ledger:
    """The chain and everything on it.

    at        where the contracts are
    holdings  who holds what of which token at the beginning
    """

    def __init__(
        self,
        clock: VirtualClock,
        at: Deployed,
        holdings: Mapping[Address, Mapping[Address, Tokens]],
        *,
        pace: Pace,
        chance: Random,
        watch: Watch = _unwatched,
    ) -> None:
        self.tables = Tables(at)
        self.pace = pace
        self._clock = clock
        self._chance = chance
        self._watch = watch
        self._pool: list[Transaction] = []
        self._receipts: dict[bytes, Receipt] = {}
        self._serial = 0
        self._next_tick = micros(pace.interval) if pace.interval is not None else 0
        for token, held in holdings.items():
            for account, amount in held.items():
                self.tables.issue(token, account, amount)
        self.tables.way.taken()
        self._filled: list[Block] = []
        """The blocks that hold something, oldest first."""
        self._tip = Block(0, clock.unix(), Digest(sha256(at.jobs).digest()))

    # ------------------------------------------------------------ reading

    def newest(self) -> Block:
        """The newest block."""
        self._catch_up()
        return self._tip

    def receipt(self, transaction: bytes) -> Receipt | None:
        """What became of a transaction; None while it is in no block."""
        self._catch_up()
        return self._receipts.get(transaction)

    def block_name(self, number: int) -> Digest:
        """The hash of a block that holds something.

        Raises Misuse if there is none of that number.
        """
        for block in reversed(self._filled):
            if block.number == number:
                return block.name
        raise Misuse(f"block {number} holds nothing, or is not there")

    def broken(self) -> list[str]:
        """Each law of money and of privacy budgets that does not hold now, in words."""
        self._catch_up()
        return broken(self.tables)

    def until_next(self) -> float:
        """Virtual seconds until the next block; 0 where blocks come with transactions."""
        self._catch_up()
        return 0.0 if self.pace.interval is None else (self._next_tick - self._clock.ticks) / micros(1)

    @property
    def waiting(self) -> int:
        """How many transactions are in the pool."""
        return len(self._pool)

    # ------------------------------------------------------------ sending

    def try_out(self, sender: Address, what: str, run: Run) -> None:
        """Run something on the newest state and what waits in the pool, and undo it.

        Raises Reverted as it would.
        """
        self._catch_up()
        mark = self.tables.way.here()
        number, time = self._tip.number + 1, self._time_of_next()
        try:
            for one in self._pool:
                self._execute(one, number, time)
            run(self.tables, Call(sender, time, number))
        except Reverted as refusal:
            raise refusal.of(what) from None
        finally:
            self.tables.way.back(mark)

    def send(self, sender: Address, what: str, run: Run) -> bytes:
        """Put a transaction into the pool, or, where blocks come with transactions, into a block.

        returns  its name
        """
        self._catch_up()
        self._serial += 1
        name = sha256(b"transaction" + sender + self._serial.to_bytes(8)).digest()
        self._put(Transaction(name, sender, what, run, 0, self._serial))
        if self.pace.interval is None:
            self.mine()
        return name

    def mine(self) -> None:
        """Make a block now, of everything that is ready; where there is no interval."""
        if self.pace.interval is not None:
            raise Misuse("blocks come at an interval here; let time go by instead")
        self._seal(self._time_of_next(), self._tip.number + 1)

    def _put(self, one: Transaction) -> None:
        """Transactions of one sender keep their order."""
        delay = 0.0 if self.pace.interval is None else between(self._chance, self.pace.delay)
        before = (other.ready for other in self._pool if other.sender == one.sender)
        one.ready = max(self._clock.ticks + micros(delay), *before, 0)
        self._pool.append(one)

    # ------------------------------------------------------------ blocks

    def _time_of_next(self) -> int:
        now = self._clock.unix(None if self.pace.interval is None else self._next_tick)
        return max(now, self._tip.time + 1)

    def _catch_up(self) -> None:
        """Make the blocks that are due; of empty ones in a row only the last is kept."""
        if self.pace.interval is None:
            return
        step, now = micros(self.pace.interval), self._clock.ticks
        while self._next_tick <= now:
            due = min((one.ready for one in self._pool), default=now)
            until = min(max(due, self._next_tick), now)
            count = -(-(until - self._next_tick) // step)
            if self._next_tick + count * step > now:
                count -= 1
            self._next_tick += count * step
            self._seal(max(self._clock.unix(self._next_tick), self._tip.time + 1), self._tip.number + 1 + count)
            self._next_tick += step

    def _seal(self, time: int, number: int) -> None:
        last = self._clock.ticks if self.pace.interval is None else self._next_tick
        ready = sorted((one for one in self._pool if one.ready <= last), key=lambda one: (one.ready, one.serial))
        self._pool = [one for one in self._pool if one.ready > last]
        for one in ready:
            self._receipts[one.name] = Receipt(number, self._execute(one, number, time))
        name = sha256(self._tip.name + number.to_bytes(8) + time.to_bytes(8) + b"".join(one.name for one in ready))
        self._tip = Block(number, time, Digest(name.digest()), tuple(ready), self.tables.way.taken())
        if ready:
            self._filled.append(self._tip)
            said = (f"{one.what}{' refused' if self._receipts[one.name].refusal else ''}" for one in ready)
            self._watch(f"block {number} at {time}: {', '.join(said)}")

    def _execute(self, one: Transaction, number: int, time: int) -> Reverted | None:
        mark = self.tables.way.here()
        try:
            one.run(self.tables, Call(one.sender, time, number))
        except Reverted as refusal:
            self.tables.way.back(mark)
            return refusal.of(one.what)
        return None

    # ------------------------------------------------------------ faults

    def reorganise(self, depth: int) -> int:
        """Undo the last blocks, and let as many empty ones stand in their place.

        depth    how many, at least 1; no further back than the beginning
        returns  how many transactions wait again, or are forgotten

        They wait again, in another order where they are of different senders, and meet another state: what was
        allowed may be refused, and the other way round.
        """
        self._catch_up()
        if depth < 1:
            raise Misuse(f"a reorganisation undoes at least one block, not {depth}")
        undone: list[Transaction] = []
        while self._filled and self._filled[-1].number > self._tip.number - depth:
            block = self._filled.pop()
            undo(block.steps)
            undone = [*block.transactions, *undone]
        name = sha256(b"fork" + self._tip.name).digest()
        self._tip = Block(self._tip.number, self._tip.time, Digest(name))
        forgotten = self._return(undone)
        self._watch(f"reorganisation of {depth}: {len(undone)} undone, {forgotten} forgotten")
        return len(undone)

    def _return(self, undone: Sequence[Transaction]) -> int:
        """Let transactions wait again; how many are forgotten."""
        later, self._pool = self._pool, []
        lost: set[Address] = set()
        for one in undone:
            del self._receipts[one.name]
            if happens(self._chance, self.pace.dropped):
                lost.add(one.sender)
            if one.sender not in lost:
                self._put(one)
        for one in later:
            if one.sender not in lost:
                one.ready = max([one.ready, *(other.ready for other in self._pool if other.sender == one.sender)])
                self._pool.append(one)
        return len(undone) + len(later) - len(self._pool)
