"""What was sent to the suite's contracts, read from the blocks of a chain and told by the names of functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caduceus.contracts import NAMES, load
from caduceus.edges.gateway import Deployment, Node
from caduceus.edges.gateway.abi import Event, contract, unhex
from caduceus.errors import Unavailable
from caduceus.kinds import Address, JobId


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that a transaction caused.

    name    with its contract, such as "Jobs.RoundAnchored"
    values  in the order in which the event declares them
    """

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction to the suite that succeeded.

    what  the function, such as "Jobs.anchor", or "Jobs.constructor"
    job   the job that it is about, or was sent for (see `read_transactions`); None if there is none
    """

    hash: bytes
    block: int
    time: int
    sender: Address
    what: str
    gas: int
    events: tuple[Happened, ...]
    job: JobId | None


def read_transactions(node: Node, deployment: Deployment) -> tuple[Transaction, ...]:
    """Everything that was sent to the suite, oldest first.

    Every block since the deployment is read, with its receipts: much on a public chain, little on one's own.
    What names no job counts for one all the same: withdrawals for the job before, all else (registering, approving,
    handing out money) for the job that comes next.

    Raises Unavailable if the node does not keep its blocks or receipts.
    """
    reader = _Reader(deployment)
    found = [one for number in range(deployment.block, node.height() + 1) for one in reader.read(*_block(node, number))]
    return tuple(_attributed(found))


def _block(node: Node, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    block = node.request("eth_getBlockByNumber", [hex(number), True])
    receipts = node.request("eth_getBlockReceipts", [hex(number)]) if block and block["transactions"] else []
    if block is None or len(receipts or ()) != len(block["transactions"]):
        raise Unavailable(f"the node does not give block {number} with its receipts; ask one that keeps them")
    return block, receipts


class _Reader:
    """Knows functions and events by where the contracts are."""

    def __init__(self, deployment: Deployment) -> None:
        parts = [(place, contract(name)) for name, place in deployment.places]
        self._functions: dict[tuple[bytes, bytes], str] = {
            (at, one.selector): one.name for at, part in parts for one in part.functions.values()
        }
        self._events: dict[tuple[bytes, bytes], Event] = {
            (at, one.topic): one for at, part in parts for one in part.events.values()
        }
        self._codes = {load(name).bytecode: f"{name}.constructor" for name in NAMES}

    def read(self, block: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]]) -> Iterator[Transaction]:
        """The suite's own transactions in a block, those that succeeded, in order."""
        for sent, receipt in zip(block["transactions"], receipts, strict=True):
            what = self._name(sent)
            if what is None or int(receipt["status"], 16) != 1:
                continue
            events = tuple(self._read_logs(receipt["logs"]))
            yield Transaction(
                hash=unhex(sent["hash"]),
                block=int(block["number"], 16),
                time=int(block["timestamp"], 16),
                sender=Address(unhex(sent["from"])),
                what=what,
                gas=int(receipt["gasUsed"], 16),
                events=events,
                job=next((JobId(one.values[0]) for one in events if _names_job(one)), None),
            )

    def _name(self, sent: Mapping[str, Any]) -> str | None:
        data = unhex(sent["input"])
        if sent["to"] is None:
            return next((name for code, name in self._codes.items() if data.startswith(code)), None)
        return self._functions.get((unhex(sent["to"]), data[:4]))

    def _read_logs(self, logs: Sequence[Mapping[str, Any]]) -> Iterator[Happened]:
        for log in logs:
            event = self._events.get((unhex(log["address"]), unhex(log["topics"][0]))) if log["topics"] else None
            if event is not None:
                yield Happened(event.name, event.read(log))


_MONEY = frozenset({"Jobs.Credited", "Jobs.Withdrawn", "Jobs.EIP712DomainChanged"})
"""The events of Jobs that name no job."""


def _names_job(one: Happened) -> bool:
    return one.name.startswith("Jobs.") and one.name not in _MONEY


def _attributed(found: Sequence[Transaction]) -> Iterator[Transaction]:
    following: list[JobId | None] = [None] * len(found)
    coming: JobId | None = None
    for i in range(len(found) - 1, -1, -1):
        coming = found[i].job or coming
        following[i] = coming
    latest: JobId | None = None
    for one, after in zip(found, following, strict=True):
        latest = one.job or latest
        yield replace(one, job=latest if one.what == "Jobs.withdraw" else one.job or after)
