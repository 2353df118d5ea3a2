"""A site's part in one job: trains when called, masks what it sends, signs what it can check.

A reactor: one message in, what to answer out. Before anything leaves, what it decides is in the
journal: one outcome per roster of a set-up, one session, one upload and one survivor list per round, and one
survivor list per state. A coordinator that asks the same question with another answer in mind is refused, so the
sum that would tell two lists apart never exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, final

from caduceus import canon
from caduceus.agents.consent import Consent, beacon_key, receipt_key
from caduceus.agents.payment import card_of
from caduceus.agents.standing import SETUP_KINDS, Secrets, Standing
from caduceus.data.card import ROWS_STEP
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, JobId, Residues, Seat, Stage
from caduceus.learn.inquiry.plan import check_cells
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.rows import Ready
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, Journal, Store
from caduceus.privacy.mechanisms import blur
from caduceus.protocol.encoding import encode_into
from caduceus.protocol.envelope import kind_of, read_signed
from caduceus.protocol.job_messages import Call, Offer, Prepare
from caduceus.protocol.secagg_client import Client, Revealed
from caduceus.protocol.secagg_ground import Ground
from caduceus.protocol.secagg_reading import COORDINATOR
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.session_for import Grounds, session_for

M = TypeVar("M", Prepare, Call, Offer)

_RELEASES = "release/"
_CLOSED = "closed"
_PREPARE, _CALL, _OFFER = canon.tag_of(Prepare), canon.tag_of(Call), canon.tag_of(Offer)


def releases(journal: Journal, job: JobId) -> int:
    """Up to which release with noise, counted from 1, a site may have sent its part; 0 for none.

    Not how many: nothing makes a coordinator ask in order, and the last one may be the dearest.
    """
    keys = journal.keys(f"{job.hex()}/{_RELEASES}")
    return 1 + int(keys[-1].rsplit("/", 1)[1]) if keys else 0


def close(journal: Journal, job: JobId) -> int:
    """End a site's releases for a job, for ever, and say what `releases` says: now it cannot change any more."""
    journal.put_all({f"{job.hex()}/{_CLOSED}": b""}, at_once=True)
    return releases(journal, job)


@final
class SeatedSite:
    """Implements `ports.Reactor` for one site and one job.

    chain, store  what is public
    journal       the site's own memory
    task          built from `spec`
    site          the site's own rows; they stay in this object
    threads       how many may work on its masks

    Raises Refused if the job is not one that is trained or settled now, or has no such seat.
    """

    def __init__(
        self,
        job: JobId,
        seat: Seat,
        *,
        chain: Chain,
        store: Store,
        journal: Journal,
        secrets: Secrets,
        spec: JobSpec,
        task: Task[Any],
        site: Ready,
        threads: int = 1,
    ) -> None:
        entry = chain.job(job)
        if entry is None or entry.stage not in (Stage.TRAINING, Stage.SETTLING):
            raise Refused("the job is not in training; a site reacts only while it is")
        self._entry = entry
        self._job, self._seat = job, seat
        self._chain, self._store, self._journal = chain, store, journal
        self._secrets, self._spec, self._task, self._site = secrets, spec, task, site
        self._enrolments = tuple(chain.enrolments(job))
        grounds = Grounds(
            job=job,
            domain=chain.domain,
            beacon=chain.beacon(job),
            coordinator_signer=entry.coordinator_signer,
            enrolments=self._enrolments,
            spec=spec,
        )
        self._standing = Standing(grounds, seat, journal=journal, secrets=secrets)
        self._consent = Consent(entry, seat, chain, store, journal, secrets.signer, spec, self._enrolments)
        self._noisy, self._beacon = grounds.noisy, grounds.beacon
        self._threads = threads
        self._client: Client | None = None

    def react(self, body: bytes) -> Sequence[bytes]:
        """Answer one message of the coordinator.

        Raises PeerFault if the coordinator broke the protocol, Refused if the site may not answer.
        """
        kind = canon.peek_tag(body)
        kind = kind if kind in SETUP_KINDS else kind_of(body)
        if kind == _PREPARE:
            return [self._standing.prepare(self._read(Prepare, body))]
        if kind == _CALL:
            return [self._answer_call(self._read(Call, body))]
        if kind == _OFFER:
            self._read(Offer, body)
            return [self._consent.sign()]
        if kind in SETUP_KINDS:
            return self._standing.react(kind, body)
        if self._client is None:
            # Nobody's fault: this process may have started since it was called, or could not answer the call.
            raise Refused("this site has no call to the round at hand; it waits for the next one")
        replies = self._client.react(body)
        if self._client.receipt is not None:
            self._keep_receipt(self._client)
        return replies

    # ------------------------------------------------------------ rounds

    def _answer_call(self, call: Call) -> bytes:
        state = canon.unpack(State, call.state)
        self._task.check(state)
        if self._task.finished(state):
            raise PeerFault(COORDINATOR, "called to a round of a job that is done")
        session = session_for(call.round, ready=call.ready, task=self._task, state=state)
        ground = self._standing.on(call.ready)
        # What was sent under one beginning of the job is not mixed with another, should the chain give it another one.
        self._journal.put_all({beacon_key(self._job): self._beacon}, at_once=False)
        self._hold_to_draw(session, ground)
        client = Client(
            session,
            ground,
            signer=self._secrets.signer,
            remember=lambda what, value: self._remember(session, what, value),
            revealed=self._revealed(),
        )
        message, place = client.blank()
        self._contribute(state, session.state, place)
        self._client = client
        return client.upload(place, message=message, threads=self._threads)

    def _contribute(self, state: State, digest: Digest, place: Residues) -> None:
        """Encode this site's vector, with its share of the noise where the job has any.

        Sampling and noise follow from the state, so whoever asks again for the same state gets the same vector and
        learns nothing more; and there is one state for each release, so nobody gets a second one for the same price.
        """
        release = self._task.release(state)
        secret = noise = b""
        if release is not None:
            self._spend(state, digest)
            secret, noise = (
                self._secrets.entropy.derive(f"release/{what}", self._job, digest, size=32)
                for what in ("sampling", "noise")
            )
        encode_into(
            place,
            self._task.contribute(state, self._site, secret),
            scale=self._task.scale(state),
            parties=len(self._enrolments),
        )
        if release is not None:
            blur(place, noise, release, self._noisy)

    def _spend(self, state: State, digest: Digest) -> None:
        """Write down which state a release was for, before anything of it leaves.

        Raises Refused if it was for another one, if the data set is withdrawn, if the job is over (then its budget may
        have been given back), or if it asks about more cells than so many patients bear.
        """
        entry = self._chain.job(self._job)
        if entry is None or entry.stage is not Stage.TRAINING:
            raise Refused("the job is over; nothing more is spent of the data set's privacy budget")
        dataset = self._chain.dataset(self._enrolments[self._seat].dataset)
        if dataset is None or not dataset.active:
            raise Refused("the data set was withdrawn; nothing more is spent of its privacy budget")
        if isinstance(self._task, Inquiry):
            cards = [card_of(one.dataset, self._chain, self._store) for one in self._enrolments]
            check_cells(self._task.plan, sum(max(card.rows_at_least, ROWS_STEP) for card in cards))
        place = self._key(f"{_RELEASES}{state.round:05}")
        earlier = self._journal.get(place)
        if earlier is not None and earlier != digest:
            raise Refused(
                f"release {state.round} was made from another state; a second one would spend the privacy budget again"
            )
        self._journal.put_all({place: digest}, at_once=False)
        if self._journal.get(self._key(_CLOSED)) is not None:
            raise Refused("the job was settled with the data set's privacy budget; nothing more is spent of it")

    def _hold_to_draw(self, session: Session, ground: Ground) -> None:
        """Groups are drawn by how many sums there were: one draw for a state, and one state for a draw.

        So a coordinator that prepares for another draw, to have other groups, is refused; that it passes over one the
        auditor sees.
        """
        if self._spec.cohort:
            number = ground.present.layout.draw_of(session.round)
            draw = number.to_bytes(4)
            of_state, of_draw = f"state/{session.state.hex()}/draw", f"draw/{number:05}"
            self._journal.put_all({self._key(of_state): draw, self._key(of_draw): session.state}, at_once=False)

    def _remember(self, session: Session, what: str, value: bytes) -> None:
        """Write a decision down before it is acted on.

        What a site sends once masked, and for which list it opens, must outlast a power cut: those entries wait for
        the disk, and make durable what was written before them.
        """
        place = self._key(f"round/{session.round:05}/{what}")
        if what == "session":
            # A session names its state by digest only; the settlement's check asks which one it was.
            self._journal.put_all({place: value + session.state}, at_once=False)
        elif what == "survivors":
            # Two sums over almost the same sites, from the same state, would differ by single updates.
            of_state = self._key(f"state/{session.state.hex()}/survivors")
            self._journal.put_all({of_state: value, place: value})
        else:
            self._journal.put_once(place, value)

    def _revealed(self) -> list[frozenset[int]]:
        """The groups whose sums this site agreed to open in this job; nothing where there is one sum."""
        if not self._spec.cohort:
            return []
        keys = [key for key in self._journal.keys(self._key("round/")) if key.endswith("/survivors")]
        kept = [canon.unpack(Revealed, self._journal.get(key) or b"") for key in keys]
        return [frozenset(group) for one in kept for group in one.groups]

    def _keep_receipt(self, client: Client) -> None:
        """The receipt proves on the chain that an upload was taken, should the round leave it out."""
        if client.receipt is not None:
            self._journal.put_all({receipt_key(self._job, client.round): canon.pack(client.receipt)}, at_once=False)

    def _key(self, what: str) -> str:
        return f"{self._job.hex()}/{what}"

    def _read(self, kind: type[M], body: bytes) -> M:
        signer = self._entry.coordinator_signer
        message = read_signed(kind, body, signer=signer, domain=self._chain.domain, who=COORDINATOR)
        if message.job != self._job:
            raise PeerFault(COORDINATOR, "sent a message about another job", evidence=body)
        return message
