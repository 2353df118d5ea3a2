"""What must hold of every message and of every training, looked at as it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from caduceus import canon
from caduceus.errors import Error, Misuse, PeerFault
from caduceus.kinds import Address, Digest, Floats, JobId
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.protocol.envelope import Signed
from caduceus.protocol.job_messages import Accord, Call
from caduceus.protocol.secagg_messages import Consent, Opening, Receipt, Survivors, Upload
from caduceus.protocol.secagg_upload import envelope, is_framed
from caduceus.protocol.session_for import session_for

_READ = {canon.tag_of(kind): kind for kind in (Call, Accord, Opening, Consent, Receipt, Survivors)}

_GIVEN_UP = "sent something else to a site that has given up"
"""A site that refused a round once takes all that follows in it for the coordinator's fault. It only refuses it, and
tells its operator; so it is counted, and not held against it."""


@final
class Watch:
    """Sees what everybody says, and says what contradicts something that was said before.

    task       of the job that is played
    broken     told of each law that does not hold
    may_blame  whether a site may take what overtook something else for the coordinator's fault, and only refuse it
    """

    def __init__(self, task: Task[Any], broken: Callable[[str], None], *, may_blame: bool) -> None:
        self._task, self._broken, self._may_blame = task, broken, may_blame
        self._said: dict[tuple[object, ...], bytes] = {}
        self._sessions: dict[Digest, tuple[int, Digest]] = {}
        self._calls: set[bytes] = set()
        self.uploads = 0
        self.repeats = 0
        self.blamed = 0

    def once(self, law: str, key: tuple[object, ...], value: bytes) -> bool:
        """Something may be said in one way only; whether it is said for the first time."""
        earlier = self._said.setdefault((law, *key), value)
        if earlier is not value and earlier != value:
            shown = ", ".join(part.hex()[:8] if isinstance(part, bytes) else str(part) for part in key)
            self._broken(f"{law} ({shown}): {earlier.hex()[:16]} and then {value.hex()[:16]}")
        return earlier is value

    def seen(self, party: Address, job: JobId, body: bytes, is_from: bool) -> None:
        """A message is sent."""
        if is_from:
            self._from_site(party, job, body)
        else:
            self._to_site(party, job, body)

    def _from_site(self, site: Address, job: JobId, body: bytes) -> None:
        if is_framed(body):
            upload = canon.unpack(Upload, envelope(body, who="").body)
            number, state = self._session(upload.session)
            first = self.once("two uploads for one round", (site, job, number), canon.digest_bytes(body))
            self.uploads += first
            self.repeats += not first
            self.once("two states in one round", (site, job, number), state)
            return
        match self._record(body):
            case Opening(session, _, owners, shares):
                number, state = self._session(session)
                opened = canon.digest_bytes(repr(owners).encode() + shares.tobytes())
                self.once("two openings for one round", (site, job, number), opened)
            case Consent(session, _, survivors, _):
                _, state = self._session(session)
                self.once("two survivor lists agreed to for one state", (site, job, state), survivors)
            case Accord(_, head, claims, payout, slashed):
                what = canon.digest_bytes(claims + repr((payout, slashed)).encode())
                self.once("two settlements signed under one head", (site, job, head), what)
                if slashed:
                    self._broken(f"{site.hex()[:8]} signs that {slashed} lose their stakes, and everybody is honest")
            case _:
                return

    def _to_site(self, site: Address, job: JobId, body: bytes) -> None:
        if is_framed(body):
            return
        match self._record(body):
            case Call() as call:
                if body not in self._calls:
                    self._calls.add(body)
                    self._called(job, call)
            case Receipt(session, _, leaf, _):
                number, _ = self._session(session)
                self.once("two receipts for one upload", (site, job, number), leaf)
            case Survivors(session, seats, groups):
                self.once("two survivor lists told for one session", (session,), repr((seats, groups)).encode())
            case _:
                return

    def _called(self, job: JobId, call: Call) -> None:
        state = canon.unpack(State, call.state)
        session = session_for(call.round, ready=call.ready, task=self._task, state=state)
        self._sessions[session.digest] = call.round, session.state
        self.once("a round called from two states", (job, call.round), session.state)

    def _session(self, session: Digest) -> tuple[int, Digest]:
        found = self._sessions.get(session)
        if found is None:
            raise Misuse(f"session {session.hex()[:8]} was never called to")
        return found

    def _record(self, body: bytes) -> object:
        tag = canon.peek_tag(body)
        if tag == canon.tag_of(Signed):
            body = canon.unpack(Signed, body).body
            tag = canon.peek_tag(body)
        kind = None if tag is None else _READ.get(tag)
        return None if kind is None else canon.unpack(kind, body)

    def refused(self, who: str, problem: Error) -> None:
        """Somebody refuses something, or names somebody for a fault."""
        if isinstance(problem, PeerFault):
            self.blamed += 1
            if not self._may_blame and _GIVEN_UP not in str(problem):
                self._broken(f"{who} names {problem.who} for a fault, and everybody is honest: {problem}")
        elif isinstance(problem, Misuse):
            self._broken(f"{who} finds a bug of its own: {problem}")


@final
class Counted:
    """A site's task, of which every training is seen; otherwise the task within."""

    def __init__(self, task: Task[Any], site: str, watch: Watch) -> None:
        self._task, self._site, self._watch = task, site, watch
        self.trained = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def contribute(self, state: State, site: Any, secret: bytes = b"") -> Floats:
        """See `Task.contribute`."""
        vector = self._task.contribute(state, site, secret)
        self.trained += 1
        made = canon.digest_bytes(secret + vector.tobytes())
        self._watch.once("two vectors from one state", (self._site, canon.digest(state)), made)
        return vector
