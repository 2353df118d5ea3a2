"""The contracts' own language: calls out, results, events and reasons in.

Built from the committed artifacts. Raw logs decoded here cost a sixtieth of what web3.py's event objects do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

from caduceus.contracts import NAMES, load
from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.wording import in_words
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Stage

Log = Mapping[str, Any]
"""A log as a node sends it: address, topics, data, blockNumber, ..."""


@dataclass(frozen=True, slots=True)
class Function:
    """A contract's function."""

    name: str
    """With its contract, such as "Jobs.anchor"."""
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def call(self, *arguments: object) -> bytes:
        """The data of a transaction or call.

        Raises Misuse if the arguments are not of the function's types.
        """
        try:
            return self.selector + encode(self.inputs, arguments)
        except (EncodingError, TypeError) as problem:
            raise Misuse(f"{self.name}: {problem}") from None

    def arguments(self, data: bytes) -> tuple[Any, ...]:
        """What a transaction called this function with: the inverse of `call`.

        Raises Refused if `data` calls another function.
        """
        if data[:4] != self.selector:
            raise Refused(f"{self.name}: the transaction calls something else")
        return _decode(self.inputs, data[4:], f"arguments of {self.name}")

    def result(self, data: bytes) -> tuple[Any, ...]:
        """What a call returned.

        Raises Refused if `data` is no such result: there is another contract at that address, or none.
        """
        return _decode(self.outputs, data, f"result of {self.name}")


@dataclass(frozen=True, slots=True)
class Event:
    """A contract's event."""

    name: str
    topic: bytes
    indexed: tuple[str, ...]
    plain: tuple[str, ...]
    order: tuple[int, ...]
    """Where each argument, as declared, stands among the indexed ones followed by the others."""

    def is_in(self, log: Log) -> bool:
        """Whether a log is of this event."""
        return bool(log["topics"][0] == f"0x{self.topic.hex()}")

    def read(self, log: Log) -> tuple[Any, ...]:
        """A log's arguments, in the order in which the event declares them.

        Raises Refused if the log is none of this event's.
        """
        topics = [unhex(topic) for topic in log["topics"]]
        if len(topics) != 1 + len(self.indexed) or topics[0] != self.topic:
            raise Refused(f"log: the node sent another event where {self.name} was asked for")
        words = _decode(self.indexed, b"".join(topics[1:]), f"topics of {self.name}")
        values = words + _decode(self.plain, unhex(log["data"]), f"data of {self.name}")
        return tuple(values[place] for place in self.order)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a contract reverted: one of its custom errors, or the compiler's `Error` and `Panic`."""

    name: str
    labels: tuple[str, ...]
    values: tuple[Any, ...]

    def __str__(self) -> str:
        said = in_words(self.name, self.values)
        if said is not None:
            return said
        shown = (f"{label}={_show(value)}" for label, value in zip(self.labels, self.values, strict=True))
        return f"{self.name}({', '.join(shown)})"


class Reverted(Refused):
    """A contract said no; `reason` says why, as far as the node told."""

    def __init__(self, what: str, reason: Reason | None) -> None:
        super().__init__(f"{what} reverted: {reason or 'no reason given'}")
        self.what = what
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Contract:
    """The functions, events and constructor of one contract."""

    name: str
    functions: Mapping[str, Function]
    events: Mapping[str, Event]
    constructor: tuple[str, ...]


@cache
def contract(name: str) -> Contract:
    """A contract of the suite by its name."""
    parts = load(name).abi
    functions = {part["name"]: _function(name, part) for part in parts if part["type"] == "function"}
    events = {part["name"]: _event(name, part) for part in parts if part["type"] == "event"}
    constructor = tuple(_type(one) for part in parts if part["type"] == "constructor" for one in part["inputs"])
    return Contract(name, functions, events, constructor)


def reason_of(data: bytes | None) -> Reason | None:
    """What revert data mean; None if they are none that the suite knows."""
    known = _errors().get(data[:4]) if data else None
    if data is None or known is None:
        return None
    name, labels, kinds, stages = known
    try:
        values = decode(kinds, data[4:])
    except DecodingError:
        return None
    return Reason(name, labels, tuple(Stage(one) if stage else one for one, stage in zip(values, stages, strict=True)))


def forged(event: Event, name: bytes) -> PeerFault:
    """What is said of a node whose log does not give the identifier under which it was asked for."""
    return PeerFault("the chain node", f"its log of {event.name} does not fit the identifier 0x{name.hex()}")


def unhex(text: str) -> bytes:
    """Bytes from a node's 0x-prefixed hex."""
    return bytes.fromhex(text.removeprefix("0x"))


@cache
def _errors() -> Mapping[bytes, tuple[str, tuple[str, ...], tuple[str, ...], tuple[bool, ...]]]:
    builtin: list[Mapping[str, Any]] = [
        {"name": "Error", "inputs": [{"name": "text", "type": "string"}]},
        {"name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    ]
    parts = builtin + [part for name in NAMES for part in load(name).abi if part["type"] == "error"]
    found = {}
    for part in parts:
        inputs = part["inputs"]
        kinds = tuple(_type(one) for one in inputs)
        stages = tuple(one.get("internalType") == "enum Stage" for one in inputs)
        labels = tuple(one["name"] for one in inputs)
        found[_signature(part["name"], kinds)[:4]] = (part["name"], labels, kinds, stages)
    return found


def _function(owner: str, part: Mapping[str, Any]) -> Function:
    inputs = tuple(_type(one) for one in part["inputs"])
    outputs = tuple(_type(one) for one in part["outputs"])
    return Function(f"{owner}.{part['name']}", _signature(part["name"], inputs)[:4], inputs, outputs)


def _event(owner: str, part: Mapping[str, Any]) -> Event:
    inputs: Sequence[Mapping[str, Any]] = part["inputs"]
    kinds = tuple(_type(one) for one in inputs)
    first = [i for i, one in enumerate(inputs) if one["indexed"]]
    rest = [i for i, one in enumerate(inputs) if not one["indexed"]]
    places = first + rest
    return Event(
        f"{owner}.{part['name']}",
        _signature(part["name"], kinds),
        tuple(kinds[i] for i in first),
        tuple(kinds[i] for i in rest),
        tuple(places.index(i) for i in range(len(inputs))),
    )


def _signature(name: str, kinds: Sequence[str]) -> bytes:
    return keccak(f"{name}({','.join(kinds)})".encode())


def _type(part: Mapping[str, Any]) -> str:
    kind: str = part["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(one) for one in part['components'])}){kind.removeprefix('tuple')}"


def _decode(kinds: Sequence[str], data: bytes, what: str) -> tuple[Any, ...]:
    try:
        return tuple(decode(kinds, data))
    except DecodingError:
        raise Refused(
            f"{what}: {len(data)} bytes that do not hold ({', '.join(kinds)}); is it the right contract?"
        ) from None


def _show(value: Any) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, Stage):
        return value.name
    return str(value)
