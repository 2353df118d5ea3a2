"""A site's part in one job: trains when called, masks what it sends, signs what it can check.

A reactor: one message in, what to answer out. Before anything leaves, what it decides is in the
journal: one session, one roster, one upload and one survivor list per round, and one survivor list per
state. A coordinator that asks the same question with another answer in mind is refused, so the sum that
would tell two lists apart never exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, final

from caduceus import canon
from caduceus.agents.payment import settlement_of
from caduceus.crypto import sign
from caduceus.crypto.agree import Agreement
from caduceus.crypto.entropy import Entropy
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import JobId, Seat, Stage
from caduceus.learn.rows import SiteData
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, Journal, Store
from caduceus.protocol.encoding import encode
from caduceus.protocol.envelope import kind_of, read_signed, sign_record
from caduceus.protocol.job_messages import Accord, Call, Offer
from caduceus.protocol.secagg_client import Client, Step
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.session_for import session_for

M = TypeVar("M", Call, Offer)

COORDINATOR = "the coordinator"
_CALL, _OFFER = canon.tag_of(Call), canon.tag_of(Offer)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a site signs, opens and masks with; never printed."""

    signer: Signer
    agreement: bytes
    entropy: Entropy

    def __repr__(self) -> str:
        return f"Secrets({self.signer!r})"


@final
class SeatedSite:
    """Implements `ports.Reactor` for one site and one job.

    chain, store  what is public
    journal       the site's own memory
    task          built from `spec`
    site          the site's own rows; they stay in this object

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
        task: Task,
        site: SiteData,
    ) -> None:
        entry = chain.job(job)
        if entry is None or entry.stage not in (Stage.TRAINING, Stage.SETTLING):
            raise Refused("the job is not in training; a site reacts only while it is")
        self._entry = entry
        self._job, self._seat = job, seat
        self._chain, self._store, self._journal = chain, store, journal
        self._secrets, self._spec, self._task, self._site = secrets, spec, task, site
        self._enrolments = tuple(chain.enrolments(job))
        self._agreement = Agreement(secrets.agreement)  # remembers what it agreed on with whom, for the whole job
        self._client: Client | None = None

    def react(self, body: bytes) -> Sequence[bytes]:
        """Answer one message of the coordinator.

        Raises PeerFault if the coordinator broke the protocol, Refused if the site may not answer.
        """
        kind = kind_of(body)
        if kind == _CALL:
            return [self._answer_call(self._read(Call, body))]
        if kind == _OFFER:
            self._read(Offer, body)
            return [self._sign_settlement()]
        if self._client is None:
            raise PeerFault(COORDINATOR, "went on with a round that it never called this site to", evidence=body)
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
        session = session_for(
            self._job,
            call.round,
            domain=self._chain.domain,
            coordinator_signer=self._entry.coordinator_signer,
            enrolments=self._enrolments,
            task=self._task,
            state=state,
        )
        vector = encode(
            self._task.contribute(state, self._site),
            scale=self._task.scale(state),
            bits=session.bits,
            parties=len(self._enrolments),
        )
        self._client = Client(
            session,
            self._seat,
            vector,
            signer=self._secrets.signer,
            agreement=self._agreement,
            entropy=self._secrets.entropy,
            remember=lambda what, digest: self._remember(session, what, digest),
        )
        return self._client.advertise()

    def _remember(self, session: Session, what: str, digest: bytes) -> None:
        if what == "survivors":
            # Two sums over almost the same sites, from the same state, would differ by single updates.
            self._journal.put_once(f"{self._job.hex()}/state/{session.state.hex()}/survivors", digest)
        self._journal.put_once(f"{self._job.hex()}/round/{session.round:05}/{what}", digest)

    def _keep_receipt(self, client: Client) -> None:
        """The receipt proves on the chain that an upload was taken, should the round leave it out."""
        if client.step is Step.UPLOADED and client.receipt is not None:
            receipt = client.receipt
            self._journal.put_once(f"{self._job.hex()}/receipt/{client.round:05}", canon.pack(receipt))

    # ------------------------------------------------------------ settlement

    def _sign_settlement(self) -> bytes:
        """Compute the settlement from public facts, check this site's own part in it, and sign it."""
        entry = self._chain.job(self._job)
        if entry is None or entry.stage is not Stage.TRAINING:
            raise Refused("the job is not in training any more; its settlement is not signed again")
        settled, records = settlement_of(entry, self._spec, self._enrolments, self._chain, self._store)
        for record in records:
            signed = self._journal.get(f"{self._job.hex()}/round/{record.round:05}/survivors")
            if (self._seat in record.survivors) != (signed is not None) and not record.failure:
                raise PeerFault(COORDINATOR, f"anchored round {record.round} with another part of this site in it")
        struct = sign.Settlement(self._job, entry.head, settled.root, settled.payout)
        signature = self._secrets.signer.sign(sign.digest(self._chain.domain, struct))
        accord = Accord(self._job, entry.head, settled.root, settled.payout, signature)
        return sign_record(self._secrets.signer, self._chain.domain, accord)

    def _read(self, kind: type[M], body: bytes) -> M:
        signer = self._entry.coordinator_signer
        message = read_signed(kind, body, signer=signer, domain=self._chain.domain, who=COORDINATOR)
        if message.job != self._job:
            raise PeerFault(COORDINATOR, "sent a message about another job", evidence=body)
        return message
