"""Any other party's end: it says hello, answers the coordinator, and asks for public blobs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol, final

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.edges.switchboard.asking import Asking, await_answer
from caduceus.edges.switchboard.frames import (
    BLOB_MOST,
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
from caduceus.edges.switchboard.members import Members
from caduceus.edges.switchboard.serving import Serving
from caduceus.edges.switchboard.window import Window
from caduceus.errors import Error, Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId
from caduceus.ports import Reactor

_SILENT = 10
"""Hellos without an answer after which the hub counts as gone."""
_DECLINES = 256
"""That are told again to a coordinator that starts again."""


class Outward(Protocol):
    """An engine at a spoke. It calls `SwitchSpoke.arrived` with what comes in."""

    def post(self, frame: bytes) -> None:
        """Send to the hub, without waiting for it; raises Unavailable if there is no connection."""


OnSpokeRefusal = Callable[[JobId, str, bool], None]
"""Told of refusals, of the same once a minute: about which job, why, and whether it was the coordinator that
refused."""


@final
class SwitchSpoke:
    """Implements `ports.Spoke`; call `greet` now and then. Thread-safe.

    outward    the engine
    account    this party's
    hub        the coordinator's account
    hub_signer the key that it signs with as a member of the network, or None if that is not known now
    session    random, drawn when the process starts
    on_bug     told of what is raised by a reactor and is none of our errors: this process is at fault
    patience   seconds to wait for a blob
    """

    def __init__(
        self,
        outward: Outward,
        *,
        account: Address,
        signer: Signer,
        domain: bytes,
        hub: Address,
        hub_signer: Callable[[], Address | None],
        session: bytes,
        on_refusal: OnSpokeRefusal,
        on_bug: Callable[[BaseException], None],
        patience: float = 30.0,
    ) -> None:
        if len(session) != SESSION_BYTES or session == UNKNOWN:
            raise Refused(f"a session is {SESSION_BYTES} random bytes")
        self._outward, self._account, self._signer, self._domain = outward, account, signer, domain
        self._hub, self._session, self._on_refusal, self._patience = hub, session, on_refusal, patience
        self._members = Members(lambda _account: hub_signer(), domain=domain)
        self._errors, self._quiet, self._asking = Allowance(64, 2.0), Quiet(), Asking()
        self._serving = Serving(self._reply, self._fail, on_bug)
        # Held while a frame is numbered and posted, so that frames leave in the order of their numbers; before `_lock`.
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._hub_session, self._window = UNKNOWN, Window()
        self._number = self._hello = self._welcomed_hello = 0
        self._is_seated = self._has_lost = False
        self._declined: OrderedDict[JobId, bytes] = OrderedDict()

    # ------------------------------------------------------------ ports.Spoke

    def serve(self, job: JobId, coordinator: Address, reactor: Reactor) -> None:
        """Answer what the coordinator sends about a job; see `ports.Spoke`.

        What it has sent before, and was refused, it is asked to send again.
        """
        if self._serving.begin(job, coordinator, reactor):
            with self._lock:
                self._has_lost = True
            self.greet()

    def leave(self, job: JobId) -> None:
        """Answer no more; see `ports.Spoke`."""
        self._serving.end(job)

    def decline(self, job: JobId, reasons: Sequence[str]) -> None:
        """Tell the coordinator why this party takes no part: now, and again whenever it has started again."""
        body = canon.pack(Refusal("Refused", int(Kind.MESSAGE), b"", "; ".join(reasons)[:1000]))
        with self._lock:
            self._declined[job] = body
            self._declined.move_to_end(job)
            while len(self._declined) > _DECLINES:
                self._declined.popitem(last=False)
        self._send_or_lose(Kind.DECLINE, job, body)

    def close(self) -> None:
        """Answer nothing more."""
        self._serving.close()
        self._asking.drop()

    @property
    def is_connected(self) -> bool:
        """Whether the hub has welcomed this process, and has been heard of lately."""
        with self._lock:
            return self._is_seated and self._hello - self._welcomed_hello <= _SILENT

    # ------------------------------------------------------------ blobs

    def get(self, digest: Digest) -> bytes:
        """A public blob that the hub has.

        Raises Refused if the hub has none of this name, Unavailable if it does not answer in time.
        """
        with self._asking.question(Kind.ASK, digest) as answer:
            self._send(Kind.ASK, NO_JOB, digest)
            return await_answer(answer, self._patience, f"blob {digest.hex()}")

    def put(self, blob: bytes) -> Digest:
        """Hand a public blob to the hub; returns once it is kept there.

        Raises Refused if it is too long or the hub does not take it, Unavailable if it does not answer in time.
        """
        if len(blob) > BLOB_MOST:
            raise Refused(f"a blob of {len(blob)} bytes; at most {BLOB_MOST} are kept for a member")
        digest = canon.digest_bytes(blob)
        with self._asking.question(Kind.PUT, digest) as answer:
            self._send(Kind.PUT, NO_JOB, blob)
            await_answer(answer, self._patience, f"handing in blob {digest.hex()}")
        return digest

    # ------------------------------------------------------------ out

    def greet(self) -> None:
        """Say hello: at the start, and every few seconds, so that a coordinator that starts again finds this party,
        and both notice what was lost on the way."""
        with self._sending:
            with self._lock:
                self._hello += 1
                number = self._hello
            try:
                self._post(Kind.HELLO, NO_JOB, UNKNOWN, number, b"")
            except Unavailable:
                with self._lock:
                    self._is_seated = False

    def _send(self, kind: Kind, job: JobId, body: bytes) -> None:
        """Send a counted frame; raises Unavailable if the hub is not there: the next `Here` says so."""
        with self._sending:
            try:
                if not self.is_connected:
                    raise Unavailable("not connected to the coordinator now")
                with self._lock:
                    self._number += 1
                    session, number = self._hub_session, self._number
                self._post(kind, job, session, number, body)
            except Unavailable:
                with self._lock:
                    self._has_lost |= kind is Kind.MESSAGE
                raise

    def _send_or_lose(self, kind: Kind, job: JobId, body: bytes) -> None:
        try:
            self._send(kind, job, body)
        except Unavailable:
            return

    def _post(self, kind: Kind, job: JobId, session: bytes, number: int, body: bytes) -> None:
        digest = canon.digest_bytes(body)
        header = Header(job, self._account, self._session, self._hub, session, number, int(kind), len(body), digest)
        self._outward.post(seal(header, body, self._signer, self._domain))

    # ------------------------------------------------------------ in

    def arrived(self, data: bytes) -> None:
        """Take in what the engine brings, quickly; raises nothing for what others send."""
        if not self._errors.has(""):
            self._tell(NO_JOB, "too many frames that had to be refused; nothing is heard for now")
            return
        try:
            frame = read(data)
        except Refused as problem:
            self._errors.take("")
            self._tell(NO_JOB, str(problem))
            return
        is_proven = False
        try:
            self._admit(frame)
            is_proven = True
            self._take(frame)
        except Refused as problem:
            if not is_proven:
                self._errors.take("")
            self._tell(frame.header.job, str(problem))
            if frame.kind is Kind.MESSAGE:
                self._say_refused(frame.header.job, problem)
        except Unavailable as problem:
            self._tell(frame.header.job, f"a frame that cannot be checked now: {problem}")

    def _admit(self, frame: Frame) -> None:
        """Raises Refused if a frame is not the hub's, or not for this process, or not new."""
        header = frame.header
        if (header.sender, header.to) != (self._hub, self._account):
            raise Refused(
                f"a frame from 0x{header.sender.hex()} to 0x{header.to.hex()}, which are not this line's ends"
            )
        coordinator = self._serving.coordinator_of(header.job) if frame.kind is Kind.MESSAGE else None
        if coordinator is None:
            self._members.check(frame)
        else:
            check(frame, coordinator, self._domain)
        if header.session != self._session:
            raise Refused("a frame for an earlier process of this party")
        if frame.kind is Kind.WELCOME or (frame.kind is Kind.REFUSAL and header.number == 0):
            return  # not counted: a welcome answers one hello, and a refusal of what could not be placed is only told
        with self._lock:
            if header.origin != self._hub_session:
                raise Refused("a frame of another process of the coordinator than the one that welcomed this party")
            if not self._window.take(header.number):
                raise Refused("a frame that was here before")

    def _take(self, frame: Frame) -> None:
        header, body = frame.header, frame.body
        match frame.kind:
            case Kind.WELCOME:
                self._welcomed(header, canon.unpack(Welcome, body))
            case Kind.MESSAGE:
                self._serving.take(header.job, body)
            case Kind.BLOB:
                self._answered(Kind.ASK, header.body, body)
            case Kind.KEPT:
                self._answered(Kind.PUT, body, body)
            case Kind.REFUSAL:
                self._refused(header, read_refusal(body))
            case _:
                raise Refused(f"a frame of kind {frame.kind.name.lower()}, which only spokes send")

    def _welcomed(self, header: Header, welcome: Welcome) -> None:
        """Take the line up with the hub's process that answered, and say what was lost on the way."""
        with self._sending:
            with self._lock:
                if not self._welcomed_hello < header.number <= self._hello:
                    raise Refused("a welcome that answers no hello, or one that was answered")
                self._welcomed_hello = header.number
                is_new = header.origin != self._hub_session
                if is_new:
                    self._hub_session, self._window, self._number = header.origin, Window(), 0
                lost = not is_new and (self._window.misses(welcome.last) or self._has_lost)
                self._is_seated, self._has_lost = True, False
                self._number += 1
                number, declined = self._number, list(self._declined.items()) if is_new else []
            try:
                self._post(Kind.HERE, NO_JOB, header.origin, number, canon.pack(Here(welcome.turn, lost)))
            except Unavailable:
                with self._lock:
                    self._is_seated, self._has_lost = False, lost
        if is_new:
            self._asking.drop()
        for job, body in declined:
            self._send_or_lose(Kind.DECLINE, job, body)

    def _answered(self, kind: Kind, digest: bytes, what: bytes) -> None:
        if not self._asking.answer(kind, digest, what):
            raise Refused(f"an answer about blob {digest.hex()}, which nobody here waits for")

    def _refused(self, header: Header, said: Refusal) -> None:
        if header.number == 0 and said.of in (Kind.HELLO, Kind.HERE):
            with self._lock:
                self._is_seated = False
        if said.of in (Kind.ASK, Kind.PUT) and self._asking.answer(Kind(said.of), said.what, said):
            return
        self._tell(header.job, said.why, True)

    # ------------------------------------------------------------ reactors

    def _reply(self, job: JobId, body: bytes) -> None:
        self._send(Kind.MESSAGE, job, body)

    def _fail(self, job: JobId, problem: Error) -> None:
        self._tell(job, str(problem))
        self._say_refused(job, problem)

    def _say_refused(self, job: JobId, problem: Error) -> None:
        said = Refusal(type(problem).__name__, int(Kind.MESSAGE), b"", str(problem)[:1000])
        self._send_or_lose(Kind.REFUSAL, job, canon.pack(said))

    def _tell(self, job: JobId, why: str, theirs: bool = False) -> None:
        if self._quiet.may_say((job, why, theirs)):
            self._on_refusal(job, why, theirs)
