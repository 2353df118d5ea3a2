"""Following the suite's events as the chain grows, and knowing what is undone when the chain changes its mind.

Whoever keeps books by events (a dashboard, an indexer, a coordinator that waits for enrolments) must hear each one
once, in order, and must hear which ones are void after a reorganisation. Nothing is kept in the node: the follower's
cursor says how far it has come, and the caller stores it with whatever it did about the events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from caduceus import canon
from caduceus.contracts import SUITE
from caduceus.edges.gateway.abi import Event, Log, contract, unhex
from caduceus.edges.gateway.deployment import Deployment
from caduceus.edges.gateway.node import Node
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused, Unavailable

_ATTEMPTS = 5


@canon.record("chain/seen/1")
class Seen:
    """A block that the follower has been through."""

    number: int
    hash: bytes


@canon.record("chain/cursor/1")
class Cursor:
    """How far a follower has come: the last blocks, oldest first; enough of them to find out what was undone.

    The newest few come without gaps, so that an ordinary reorganisation is found to the block; before them is one for
    each chunk of a back-fill.
    """

    seen: tuple[Seen, ...] = ()

    @property
    def upto(self) -> int:
        """The newest block that the follower has been through; -1 before the first."""
        return self.seen[-1].number if self.seen else -1


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the suite, where it stands on the chain.

    name    with its contract, such as "Jobs.RoundAnchored"
    values  in the order in which the contract declares them; addresses as hex
    """

    block: int
    block_hash: bytes
    index: int
    transaction: bytes
    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What has changed since the last step.

    back_to  None, or after a reorganisation the newest block that still stands: every event of a later block is void
    undone   the blocks that the follower had been through and that are no longer part of the chain, the newest first;
             those older than its cursor reaches are missing here, but not from what `back_to` says
    events   what is new, in the chain's order; after a reorganisation, from the block after `back_to` on
    cursor   to be stored together with whatever is done about the events
    """

    back_to: int | None
    undone: tuple[Seen, ...]
    events: tuple[Happened, ...]
    cursor: Cursor


@final
class Follower:
    """Goes through the chain in steps.

    node           any node of the suite's chain; it may be another one each time
    cursor         where an earlier follower stopped; None begins with the contracts
    confirmations  blocks that must be on top of a block before it is gone through: with as many as the chain ever
                   drops, nothing is ever undone
    chunk          the most blocks that one step covers
    remember       how many of the newest blocks are kept in the cursor without gaps: reorganisations of up to that
                   many blocks are found to the block, longer ones go back further than they need to

    Each event comes once in the history that the steps tell: after all that `back_to` voids is struck out, every event
    of the chain up to the cursor is there exactly once. Steps are repeated, the same, until `accept`: a caller that
    crashes between acting and storing the cursor hears the step again, and tells it by block hash and index.

    A node that leaves out logs is believed; run one's own, or compare two.
    """

    def __init__(
        self,
        node: Node,
        deployment: Deployment,
        cursor: Cursor | None = None,
        *,
        confirmations: int = 1,
        chunk: int = 2000,
        remember: int = 32,
    ) -> None:
        self._node = node
        self._since = deployment.block
        self._cursor = cursor or Cursor()
        self._confirmations = confirmations
        self._chunk = chunk
        self._remember = remember
        self._events = _events(deployment)
        self._query = {"address": sorted({f"0x{at.hex()}" for at, _ in self._events})}

    @property
    def cursor(self) -> Cursor:
        """How far has been accepted."""
        return self._cursor

    def accept(self, step: Step) -> None:
        """The step was dealt with: go on after it."""
        self._cursor = step.cursor

    def step(self) -> Step | None:
        """What has changed, up to a chunk of blocks; None if nothing has.

        Raises Unavailable if the node does not answer, or the chain moves too fast to be looked at; Refused if the
        chain was changed further back than the cursor reaches.
        """
        for _ in range(_ATTEMPTS):
            height = self._node.height()
            if self._is_behind(height):
                return None
            standing, undone = self._standing()
            last = height - self._confirmations
            first = standing[-1].number + 1 if standing else self._since
            back_to = None if not undone else first - 1
            if last < first:
                return Step(back_to, undone, (), Cursor(standing)) if undone else None
            last_of_step = min(last, first + self._chunk - 1)
            passed = self._through(standing, first, last_of_step, last)
            if passed is not None:
                seen, events = passed
                return Step(back_to, undone, events, Cursor(self._kept((*standing, *seen))))
        raise Unavailable(f"the chain changed {_ATTEMPTS} times while it was looked at; try again")

    def _is_behind(self, height: int) -> bool:
        """Whether the node has only the beginning of what the follower has been through: nothing is void by that."""
        reached = [one for one in self._cursor.seen if one.number <= height]
        return self._cursor.upto > height and bool(reached) and self._hash(reached[-1].number) == reached[-1].hash

    def _standing(self) -> tuple[tuple[Seen, ...], tuple[Seen, ...]]:
        """The blocks of the cursor that are still part of the chain, and those that are not, the newest first."""
        seen, undone = list(self._cursor.seen), []
        while seen and self._hash(seen[-1].number) != seen[-1].hash:
            undone.append(seen.pop())
        if undone and not seen and undone[-1].number > self._since:
            raise Refused(
                f"the chain was changed below block {undone[-1].number}, further back than the follower remembers: "
                "void everything and begin again, without a cursor"
            )
        return tuple(seen), tuple(undone)

    def _through(
        self, standing: Sequence[Seen], first: int, last: int, newest: int
    ) -> tuple[list[Seen], tuple[Happened, ...]] | None:
        """Go through blocks `first` to `last`; None if the chain changed meanwhile."""
        start = max(first, newest - self._remember + 1)
        numbers = [*range(start, last + 1)] if start <= last else [last]
        before = standing[-1].hash if standing else None
        if numbers[0] != first and before is not None and self._parent(first) != before:
            return None
        seen: list[Seen] = []
        for number in numbers:
            block = self._node.block(number)
            if block is None:
                return None
            parent = seen[-1].hash if seen else before if number == first else None
            if parent is not None and unhex(block["parentHash"]) != parent:
                return None
            seen.append(Seen(number, unhex(block["hash"])))
        logs = self._node.logs_between(self._query, first, last)
        hashes = {one.number: one.hash for one in seen}
        events = [self._read(log) for log in logs if not log.get("removed")]
        found = tuple(event for event in events if event is not None)
        if any(hashes.get(event.block, event.block_hash) != event.block_hash for event in found):
            return None
        # The last block's hash stands for all before it: the same before and after, so were the logs between.
        return (seen, found) if self._hash(last) == seen[-1].hash else None

    def _read(self, log: Log) -> Happened | None:
        at = unhex(log["address"])
        topics = log["topics"]
        event = self._events.get((at, topics[0])) if topics else None
        if event is None:
            return None
        return Happened(
            block=int(log["blockNumber"], 16),
            block_hash=unhex(log["blockHash"]),
            index=int(log["logIndex"], 16),
            transaction=unhex(log["transactionHash"]),
            name=event.name,
            values=event.read(log),
        )

    def _kept(self, seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
        """The newest blocks, and some older ones, for a reorganisation that nobody expects."""
        older, newest = seen[: -self._remember], seen[-self._remember :]
        return (*older[-self._remember :], *newest)

    def _hash(self, number: int) -> bytes | None:
        block = self._node.block(number)
        return None if block is None else unhex(block["hash"])

    def _parent(self, number: int) -> bytes | None:
        block = self._node.block(number)
        return None if block is None else unhex(block["parentHash"])


def write_cursor(path: Path, cursor: Cursor) -> None:
    """Keep a cursor in a file of its own, for a caller that acts on events in a way that may be repeated."""
    write_whole(path, canon.pack(cursor))


def read_cursor(path: Path) -> Cursor | None:
    """What `write_cursor` kept; None if there is no such file.

    Raises Refused if the file is malformed.
    """
    try:
        return canon.unpack(Cursor, path.read_bytes())
    except FileNotFoundError:
        return None
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None


def _events(deployment: Deployment) -> Mapping[tuple[bytes, str], Event]:
    """The suite's events by contract and topic; the token's transfers are everybody's, and not among them."""
    _, *places = deployment.places
    found: dict[tuple[bytes, str], Event] = {}
    for name, at in places:
        assert name in SUITE
        found |= {(bytes(at), f"0x{event.topic.hex()}"): event for event in contract(name).events.values()}
    return found
