"""What travels between organisations: a signed header, and a body of bytes that the header names.

A frame is bound to the process that sends it and to the process that receives it, by numbers that each drew when it
started, and counted. So nobody can play one again: not to the same process, not to its successor, not to somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from caduceus import canon
from caduceus.crypto import sign
from caduceus.crypto.sign import Signer, Statement
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId

SESSION_BYTES = 16
UNKNOWN = bytes(SESSION_BYTES)
"""Stands for the receiver's session where the sender does not know it yet."""

NO_JOB = JobId(bytes(32))
"""Stands for the job in frames that are about none."""

LARGEST = 1 << 30
"""Bytes of a frame."""
BLOB_MOST = 1 << 26
"""Bytes of a blob that a party may hand in."""

_LENGTH_BYTES = 4
_HEADER_MOST = 1 << 10
_NUMBERS = 1 << 63
_TEXT_MOST = 1 << 13


class Kind(IntEnum):
    """What a frame is for."""

    HELLO = 0
    """A party's process says that it is there, and asks for the hub's session; counted for itself."""
    WELCOME = 1
    """The hub's answer to the hello of the same number; the body is a `Welcome`."""
    HERE = 2
    """The party has the hub's session: from now on it is reached where this came from. The body is a `Here`."""
    MESSAGE = 3
    """A message of a job, for whoever serves it."""
    REFUSAL = 4
    """A frame was refused; the body is a `Refusal`."""
    DECLINE = 5
    """A party takes no part in a job; the body is a `Refusal`."""
    ASK = 6
    """Asks for a public blob; the body is its digest."""
    BLOB = 7
    """A public blob that was asked for."""
    PUT = 8
    """A public blob to keep."""
    KEPT = 9
    """It is kept; the body is its digest."""


ABOUT_NO_JOB = frozenset({Kind.HELLO, Kind.WELCOME, Kind.HERE, Kind.ASK, Kind.BLOB, Kind.PUT, Kind.KEPT})

_MOST: Mapping[Kind, int] = {
    Kind.HELLO: 0,
    Kind.WELCOME: 64,
    Kind.HERE: 64,
    Kind.MESSAGE: LARGEST,
    Kind.REFUSAL: _TEXT_MOST,
    Kind.DECLINE: _TEXT_MOST,
    Kind.ASK: 32,
    Kind.BLOB: LARGEST,
    Kind.PUT: BLOB_MOST,
    Kind.KEPT: 32,
}
"""Bytes of a body, looked at before anything is computed."""


@canon.record("frame/welcome/1")
class Welcome:
    """What the hub tells a party's process.

    turn  how many processes of this account the hub has seen before; a `Here` repeats it
    last  number of the last frame that the hub sent to this process, so that it knows whether one was lost

    Reveals: how often the party has started.
    """

    turn: int
    last: int


@canon.record("frame/here/1")
class Here:
    """A party's answer to a welcome.

    turn  as in the welcome
    lost  whether the party has missed frames of the hub, or could not send its own

    Reveals: nothing but that.
    """

    turn: int
    lost: bool


@canon.record("frame/refusal/2")
class Refusal:
    """Why something was refused.

    kind  the error's name, such as "Refused"
    of    the `Kind` of what was refused
    what  the digest of a blob, or b""
    why   for people

    Reveals: names and sizes of what was asked, nothing from records (see `errors`).
    """

    kind: str
    of: int
    what: bytes
    why: str


@canon.record("frame/header/2")
class Header:
    """What is signed.

    job      that it is about, or `NO_JOB`
    sender   account
    origin   session of the sender's process, `SESSION_BYTES`
    to       account
    session  of the receiver's process, `SESSION_BYTES`
    number   rises by one with every frame from one process to one process; 0 where it is not counted
    kind     a `Kind`
    size     bytes of the body
    body     their SHA-256

    Reveals: who talks to whom about which job, and how much.
    """

    job: JobId
    sender: Address
    origin: bytes
    to: Address
    session: bytes
    number: int
    kind: int
    size: int
    body: bytes


@canon.record("frame/signed/1")
class _Signed:
    header: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it was read; `check` says whether it is the sender's, and the body the one that was signed."""

    header: Header
    rest: memoryview
    signed: bytes
    signature: bytes

    @property
    def kind(self) -> Kind:
        """What it is for."""
        return Kind(self.header.kind)

    @property
    def body(self) -> bytes:
        """A copy of the body."""
        return bytes(self.rest)


def seal(header: Header, body: bytes, signer: Signer, domain: bytes) -> bytes:
    """A frame as it travels.

    header  size and digest of the body among it
    domain  EIP-712 domain separator of the network's Jobs contract
    """
    packed = canon.pack(header)
    signature = signer.sign(sign.digest(domain, Statement(canon.digest_bytes(packed))))
    head = canon.pack(_Signed(packed, signature))
    return b"".join((len(head).to_bytes(_LENGTH_BYTES), head, body))


def read(data: bytes) -> Frame:
    """A frame, its signature and body unchecked: takes no longer for a long one.

    Raises Refused if the head is malformed, or the body is not as long as it says, or longer than its kind may be.
    """
    size = int.from_bytes(data[:_LENGTH_BYTES])
    if not 0 < size <= _HEADER_MOST or len(data) < _LENGTH_BYTES + size:
        raise Refused(f"a frame of {len(data)} bytes with a head of {size}")
    signed = canon.unpack(_Signed, bytes(data[_LENGTH_BYTES : _LENGTH_BYTES + size]))
    header = canon.unpack(Header, signed.header)
    if header.kind not in tuple(Kind):
        raise Refused(f"a frame of kind {header.kind}")
    if len(header.session) != SESSION_BYTES or len(header.origin) != SESSION_BYTES or header.origin == UNKNOWN:
        raise Refused("a frame without a session")
    if (len(header.job), len(header.sender), len(header.to)) != (32, 20, 20) or not 0 <= header.number < _NUMBERS:
        raise Refused("a frame whose job, accounts or number are none")
    kind, rest = Kind(header.kind), memoryview(data)[_LENGTH_BYTES + size :]
    if kind in ABOUT_NO_JOB and header.job != NO_JOB:
        raise Refused(f"a frame of kind {kind.name.lower()} about a job")
    if len(rest) != header.size:
        raise Refused(f"a frame with {len(rest)} bytes behind its head, which names {header.size}")
    if header.size > _MOST[kind]:
        raise Refused(f"{header.size} bytes in a frame of kind {kind.name.lower()}; at most {_MOST[kind]} are taken")
    return Frame(header, rest, signed.header, signed.signature)


def check(frame: Frame, signer: Address | None, domain: bytes) -> None:
    """Make sure that a frame is its sender's, head first: a body that nobody signed is not looked at.

    signer  the address of the key that must have signed; None if the sender is unknown

    Raises Refused, saying what is wrong.
    """
    who = f"0x{frame.header.sender.hex()}"
    if signer is None:
        raise Refused(f"{who} is no member of this network; register the account and its key first")
    if not sign.verify(signer, sign.digest(domain, Statement(canon.digest_bytes(frame.signed))), frame.signature):
        raise Refused(f"a frame that says it is from {who} is not signed by the key that {who} registered")
    if canon.digest_bytes(frame.rest) != frame.header.body:
        raise Refused(f"a frame of {who} with another body than it signed")


def read_refusal(body: bytes) -> Refusal:
    """The body of a refusal, its text cut to what fits a line; raises Refused if it is malformed."""
    said = canon.unpack(Refusal, body)
    return Refusal(_line(said.kind, 40), said.of, said.what[:32], _line(said.why, 1000))


def _line(text: str, most: int) -> str:
    """Text of somebody else's, fit for a log: one line, and nothing that moves a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in " ".join(text[:most].split()))
