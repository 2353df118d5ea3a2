"""The coordinator's end: one line for each job, over an engine that carries bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, final

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.edges.switchboard.blobs import Blobs
from caduceus.edges.switchboard.frames import (
    NO_JOB,
    SESSION_BYTES,
    UNKNOWN,
    Frame,
    Header,
    Here,
    Kind,
    Refusal,
    Welcome,
    check,
    read,
    read_refusal,
    seal,
)
from caduceus.edges.switchboard.limits import Allowance, Quiet
from caduceus.edges.switchboard.line import Line
from caduceus.edges.switchboard.members import Members
from caduceus.edges.switchboard.window import Window
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId
from caduceus.ports import Store

_PROCESSES = 256
"""Earlier processes of a party that are remembered, so that none of them takes the line back."""


class Carrier(Protocol):
    """An engine at the hub. It calls `SwitchHub.arrived` with what comes in."""

    def post(self, peer: str, frame: bytes) -> None:
        """Send to a peer by the engine's name for it, without waiting for it; raises Unavailable if it is not there.

        Frames to one peer arrive in the order posted, or not at all.
        """


OnRefusal = Callable[[Address | None, JobId, str, bool], None]
"""Told of refusals, of the same once a minute: who, if that is proven, about which job, why, and whether it was the
other side that refused."""


@dataclass(slots=True)
class _Party:
    """What the hub knows of a party.

    peer     the engine's name for where it is reached; "" if it is not
    session  of its process that is heard
    turn     how many of its processes were heard before
    number   of the last frame to it
    window   numbers of its frames
    earlier  its processes that are not heard any more, the newest last
    sending  held while a frame is numbered and posted, so that frames leave in the order of their numbers
    """

    peer: str = ""
    session: bytes = UNKNOWN
    turn: int = 0
    number: int = 0
    window: Window = field(default_factory=Window)
    earlier: list[bytes] = field(default_factory=list)
    sending: threading.Lock = field(default_factory=threading.Lock)


@final
class SwitchHub:
    """Implements `ports.Hub`. Thread-safe.

    carrier    the engine
    account    the coordinator's
    signer_of  the key that a member of the network signs with, by account: who may connect and hand in blobs
    store      public blobs, given to every member that asks
    session    random, drawn when the process starts
    """

    def __init__(
        self,
        carrier: Carrier,
        *,
        account: Address,
        signer: Signer,
        domain: bytes,
        signer_of: Callable[[Address], Address | None],
        store: Store,
        session: bytes,
        on_refusal: OnRefusal,
    ) -> None:
        if len(session) != SESSION_BYTES or session == UNKNOWN:
            raise Refused(f"a session is {SESSION_BYTES} random bytes")
        self._carrier, self._account, self._signer, self._domain = carrier, account, signer, domain
        self._session, self._on_refusal = session, on_refusal
        self._members, self._blobs = Members(signer_of, domain=domain), Blobs(store)
        self._errors, self._returns, self._quiet = Allowance(64, 2.0), Allowance(8, 0.5), Quiet()
        self._lock = threading.Lock()
        self._parties: dict[Address, _Party] = {}
        self._lines: dict[JobId, Line] = {}

    # ------------------------------------------------------------ ports.Hub

    def open(self, job: JobId, signers: Mapping[Address, Address]) -> Line:
        """The line to a job's parties; see `ports.Hub`."""
        line = Line(job, lambda to, about, body: self._send(Kind.MESSAGE, to, about, body), signers)
        with self._lock:
            self._lines[job] = line
        return line

    def shut(self, job: JobId) -> None:
        """End a job's line; see `ports.Hub`."""
        with self._lock:
            self._lines.pop(job, None)

    @property
    def connected(self) -> tuple[Address, ...]:
        """Who has been heard of and not been lost."""
        with self._lock:
            return tuple(account for account, party in self._parties.items() if party.peer)

    # ------------------------------------------------------------ out

    def _send(self, kind: Kind, to: Address, job: JobId, body: bytes) -> None:
        """Send a frame to a party; raises Unavailable if it is not connected.

        It is counted all the same: the party sees that a number is missing, and says so when it is back.
        """
        digest = canon.digest_bytes(body)
        with self._lock:
            party = self._parties.get(to)
        if party is None:
            raise Unavailable(f"0x{to.hex()} has not connected yet")
        with party.sending:
            with self._lock:
                party.number += 1
                peer, session, number = party.peer, party.session, party.number
            if not peer:
                raise Unavailable(f"0x{to.hex()} is not connected")
            header = Header(job, self._account, self._session, to, session, number, int(kind), len(body), digest)
            try:
                self._carrier.post(peer, seal(header, body, self._signer, self._domain))
            except Unavailable:
                with self._lock:
                    if party.peer == peer:
                        party.peer = ""
                raise

    def _uncounted(self, kind: Kind, peer: str, to: Header, number: int, body: bytes) -> None:
        """Answer where a frame came from, whoever sits there; lost if nobody does."""
        digest = canon.digest_bytes(body)
        job = NO_JOB if kind is Kind.WELCOME else to.job
        header = Header(job, self._account, self._session, to.sender, to.origin, number, int(kind), len(body), digest)
        try:
            self._carrier.post(peer, seal(header, body, self._signer, self._domain))
        except Unavailable:
            return

    def _answer(self, kind: Kind, to: Address, body: bytes) -> None:
        try:
            self._send(kind, to, NO_JOB, body)
        except Unavailable:
            return  # it asks again once it is back

    # ------------------------------------------------------------ in

    def arrived(self, peer: str, data: bytes) -> None:
        """Take in what the engine brings; raises nothing for what others send."""
        if not self._errors.has(peer):
            self._tell(None, NO_JOB, f"from {peer}: too many frames that had to be refused; it is not heard for now")
            return
        try:
            frame = read(data)
        except Refused as problem:
            self._errors.take(peer)
            self._tell(None, NO_JOB, f"from {peer}: {problem}")
            return
        header, who = frame.header, None
        try:
            self._prove(frame)
            who = header.sender
            self._take(peer, frame)
        except Refused as problem:
            self._errors.take(peer)
            self._tell(who, header.job, f"from {peer}: {problem}")
            self._refuse(peer, frame, problem)
        except Unavailable as problem:
            self._tell(None, header.job, f"from {peer}: a frame that cannot be checked now: {problem}")
            self._refuse(peer, frame, problem)

    def _prove(self, frame: Frame) -> None:
        """Raises Refused if a frame is not signed by who it says sent it."""
        header = frame.header
        with self._lock:
            line = self._lines.get(header.job)
        enrolled = None if line is None else line.signers.get(header.sender)
        if enrolled is None:
            self._members.check(frame)
        else:
            check(frame, enrolled, self._domain)

    def _take(self, peer: str, frame: Frame) -> None:
        """Do what a frame asks for; raises Refused if it is for another process, or not new, or may not be asked."""
        header = frame.header
        if header.to != self._account:
            raise Refused(f"a frame for 0x{header.to.hex()}; this is the coordinator 0x{self._account.hex()}")
        with self._lock:
            party = self._parties.setdefault(header.sender, _Party())
        if frame.kind is Kind.HELLO:
            self._welcome(peer, frame, party)
            return
        if header.session != self._session:
            raise Refused("a frame for an earlier process of this coordinator; say hello again")
        if frame.kind is Kind.HERE:
            self._seat(peer, frame, party)
            return
        with self._lock:
            self._hold_to_process(party, header.origin)
            if header.origin != party.session:
                raise Refused("a frame of a process that has not said that it is here; say hello first")
            if not party.window.take(header.number):
                raise Refused("a frame that was here before")
            line = self._lines.get(header.job)
        self._do(frame, line)

    @staticmethod
    def _hold_to_process(party: _Party, origin: bytes) -> None:
        if origin in party.earlier:
            raise Refused(
                "another process with the keys of this account has connected since, and only the newest is heard; "
                "if two run at once, stop one"
            )

    def _welcome(self, peer: str, frame: Frame, party: _Party) -> None:
        """Answer where the hello came from. It may be an old one, played again: nothing of it is believed."""
        header = frame.header
        with party.sending:  # so that `last` is what has been posted before
            with self._lock:
                self._hold_to_process(party, header.origin)
                last = party.number if header.origin == party.session else 0
                body = canon.pack(Welcome(party.turn, last))
            self._uncounted(Kind.WELCOME, peer, header, header.number, body)

    def _seat(self, peer: str, frame: Frame, party: _Party) -> None:
        """The party has answered a welcome of this process, so it is there now; is anything lost, it is told again."""
        header, here = frame.header, canon.unpack(Here, frame.body)
        with self._lock:
            self._hold_to_process(party, header.origin)
            if header.origin != party.session:
                if here.turn != party.turn:
                    raise Refused("the answer to an old welcome; say hello again")
                if not self._returns.take(header.sender):
                    raise Refused("this party starts again too often")
                if party.session != UNKNOWN:
                    party.earlier = [*party.earlier, party.session][-_PROCESSES:]
                party.session, party.turn, party.number, party.window = header.origin, party.turn + 1, 0, Window()
                is_back = True
                party.window.take(header.number)
                party.window.misses(header.number)
            else:
                if not party.window.take(header.number):
                    raise Refused("a frame that was here before")
                is_back = party.window.misses(header.number) or here.lost
                if is_back and not self._returns.take(header.sender):
                    raise Refused("this party says too often that something was lost")
            party.peer = peer
            lines = list(self._lines.values()) if is_back else []
        for line in lines:
            line.returned(header.sender)

    def _do(self, frame: Frame, line: Line | None) -> None:
        sender, job = frame.header.sender, frame.header.job
        match frame.kind:
            case Kind.MESSAGE:
                if line is None or sender not in line.signers:
                    raise Refused(
                        f"job 0x{job.hex()[:8]}: no round is open to 0x{sender.hex()}: it has no seat, the job has not "
                        "begun, or it is over"
                    )
                line.deliver(sender, frame.body)
            case Kind.ASK:
                self._answer(Kind.BLOB, sender, self._blobs.give(frame.body))
            case Kind.PUT:
                self._answer(Kind.KEPT, sender, self._blobs.keep(sender, frame.body))
            case Kind.REFUSAL | Kind.DECLINE:
                said = read_refusal(frame.body)
                what = "declines: " if frame.kind is Kind.DECLINE else "refused: "
                self._tell(sender, job, what + said.why, True)
            case _:
                raise Refused(f"a frame of kind {frame.kind.name.lower()}, which only the hub sends")

    def _refuse(self, peer: str, frame: Frame, problem: Refused | Unavailable) -> None:
        """Say it to whoever sent the frame, where it sits. A refusal is never refused in turn."""
        if frame.kind in (Kind.REFUSAL, Kind.DECLINE, Kind.WELCOME, Kind.BLOB, Kind.KEPT):
            return
        what = {Kind.PUT: frame.header.body, Kind.ASK: bytes(frame.rest[:32])}.get(frame.kind, b"")
        said = Refusal(type(problem).__name__, int(frame.kind), Digest(what[:32]), str(problem))
        self._uncounted(Kind.REFUSAL, peer, frame.header, 0, canon.pack(said))

    def _tell(self, who: Address | None, job: JobId, why: str, theirs: bool = False) -> None:
        if self._quiet.may_say((who, job, why, theirs)):
            self._on_refusal(who, job, why, theirs)
