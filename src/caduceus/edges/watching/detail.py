"""What may be said of an event to people who may not see records: a closed list of fields of known kinds.

A field is a count, a size, a time, an address, a digest, a name that the configuration gave, or what one of our own
errors says. There is no field for anything else, and a value of another type is a bug that shows at once: that is what
keeps values out of records, and texts of other people's code, out of logs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from caduceus import canon
from caduceus.errors import Error, Misuse, PeerFault, Refused, Unavailable, Uncertain
from caduceus.kinds import Address, Digest, JobId, Stage
from caduceus.protocol.envelope import kind_of

RoleWord = Literal["site", "coordinator", "buyer", "aggregator", "evaluator", "attester", "auditor"]
ROLES: tuple[str, ...] = get_args(RoleWord)
"""What one process may be."""

Value = str | int | float
"""How a field is written down."""

LONGEST_REASON = 300
"""Characters of a reason that are kept."""

UNREADABLE = "unreadable"
"""What a message is called whose kind nobody can tell."""

EMPTY = "empty"
"""What a message without a body is called."""

_MESSAGE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}(/[a-z0-9-]{1,31}){0,4}")
_CALL = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}\.[A-Za-z][A-Za-z0-9]{0,31}")
_NAME_LENGTH = 64
_LENGTH_BYTES, _LONGEST_HEAD = 4, 4096

_WORDS: tuple[tuple[type[Error], str], ...] = (
    (PeerFault, "peer fault"),
    (Refused, "refused"),
    (Unavailable, "unavailable"),
    (Uncertain, "uncertain"),
    (Misuse, "misuse"),
)
CLASSES = (*(word for _, word in _WORDS), "bug")
"""The classes of what goes wrong, as logs and figures name them; a bug is anything that is no error of ours."""


def class_of(problem: BaseException) -> str:
    """Which of `CLASSES` an error is."""
    return next((word for kind, word in _WORDS if isinstance(problem, kind)), "bug")


def reason_of(problem: BaseException) -> str:
    """What an error says, on one line and cut; of other people's errors the type only, as they may quote a record."""
    text = str(problem) if isinstance(problem, Error) else type(problem).__name__
    line = "".join(one if one.isprintable() else " " for one in text)
    line = " ".join(line.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def message_of(body: bytes) -> str:
    """The kind of a message as it came, for `Detail.message`: a hostile sender can't put words into it."""
    if not body:
        return EMPTY
    kind = kind_of(body) or canon.peek_tag(body) or kind_of(_head_of(body))
    return kind if kind is not None and _MESSAGE.fullmatch(kind) else UNREADABLE


def _head_of(body: bytes) -> bytes:
    """The signed record at the head of an upload: four bytes of length, the record, and a vector behind it."""
    size = int.from_bytes(body[:_LENGTH_BYTES])
    return body[_LENGTH_BYTES : _LENGTH_BYTES + size] if size <= _LONGEST_HEAD else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What is known of an event; leave out what does not apply.

    peer         the other party's account
    peer_name    its name, as our configuration has it
    message      a message's kind, see `message_of`
    size         bytes
    digest       SHA-256 of something public, or of something the other side has seen
    salted       keyed digest of something private; see `AuditLog.salted`
    dataset      its identifier on the chain
    call         the contract function that a transaction calls, such as "Jobs.enrol"
    transaction  32 bytes
    block        a block's number
    blocks       a number of blocks
    count        of whatever the event is about
    tokens       whole units
    seconds      how long it took
    reason       the error; only ours are quoted

    Raises Misuse if a field's value is not of its kind.
    """

    job: JobId | None = None
    round: int | None = None
    seat: int | None = None
    stage: Stage | None = None
    peer: Address | None = None
    peer_name: str | None = None
    message: str | None = None
    size: int | None = None
    digest: Digest | None = None
    salted: bytes | None = None
    dataset: Digest | None = None
    call: str | None = None
    transaction: bytes | None = None
    block: int | None = None
    gas: int | None = None
    blocks: int | None = None
    count: int | None = None
    tokens: int | None = None
    epsilon_micro: int | None = None
    delta_pico: int | None = None
    seconds: float | None = None
    reason: BaseException | None = None
    _written: Mapping[str, Value] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        written: dict[str, Value] = {}
        for one in fields(self):
            if one.init and (value := getattr(self, one.name)) is not None:
                written |= _write(one.name, value)
        object.__setattr__(self, "_written", written)

    def written(self) -> dict[str, Value]:
        """The fields that apply, as they are written down."""
        return dict(self._written)


NOTHING = Detail()
"""An event of which there is no more to say."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose process it is.

    role   what the process does; one of `ROLES`
    party  its name in the configuration
    known  the names of other parties that the configuration has; no others are written down

    Raises Misuse if the role is none of the list, or a name is empty, too long or not printable.
    """

    role: RoleWord
    party: str
    known: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise Misuse(f"a process's role is one of {', '.join(ROLES)}")
        for name in (self.party, *self.known):
            if not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
                raise Misuse(f"a party's name has 1 to {_NAME_LENGTH} printable characters; one here does not")

    def check(self, detail: Detail) -> None:
        """Raises Misuse if a name is none that the configuration has."""
        if detail.peer_name is not None and detail.peer_name != self.party and detail.peer_name not in self.known:
            raise Misuse("peer_name: not a name of the configuration; log the account instead")


def _write(name: str, value: object) -> dict[str, Value]:
    """One field as it is written down."""
    if name in _HEX_BYTES:
        if type(value) is bytes and len(value) == _HEX_BYTES[name]:
            return {name: ("" if name in ("digest", "salted") else "0x") + value.hex()}
        raise Misuse(f"{name}: expected {_HEX_BYTES[name]} bytes, got {type(value).__name__}")
    if name == "seconds":
        if type(value) in (int, float) and isinstance(value, (int, float)) and math.isfinite(value) and value >= 0:
            return {name: round(float(value), 3)}
        raise Misuse("seconds: expected a number of seconds, 0 or more")
    if name == "reason":
        if isinstance(value, BaseException):
            return {"class": class_of(value), "reason": reason_of(value)}
        raise Misuse(f"reason: expected an error, got {type(value).__name__}; texts are not written down")
    if name == "stage":
        if type(value) is Stage:
            return {name: value.name.lower()}
        raise Misuse(f"stage: expected a stage, got {type(value).__name__}")
    if name in ("message", "call", "peer_name"):
        return {name: _text(name, value)}
    if type(value) is int and value >= 0:
        return {_NAMES.get(name, name): value}
    raise Misuse(f"{name}: expected a whole number, 0 or more, got {type(value).__name__}")


def _text(name: str, value: object) -> str:
    if type(value) is not str:
        raise Misuse(f"{name}: expected text, got {type(value).__name__}")
    if name == "message" and not _MESSAGE.fullmatch(value):
        raise Misuse("message: not a message's kind; take it from `message_of`")
    if name == "call" and not _CALL.fullmatch(value):
        raise Misuse("call: not a contract's function, such as Jobs.enrol")
    if name == "peer_name" and (len(value) > _NAME_LENGTH or not value.isprintable()):
        raise Misuse("peer_name: not a name of the configuration")
    return value


_HEX_BYTES = {"job": 32, "peer": 20, "digest": 32, "salted": 32, "dataset": 32, "transaction": 32}
_NAMES = {"size": "bytes"}
