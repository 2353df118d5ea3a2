"""A site's part in one job: trains when called, masks what it sends, signs what it can check.

A reactor: one message in, what to answer out. Before anything leaves, what it decides is in the
journal: one outcome per roster of a set-up, one session, one upload and one survivor list per round, and one
survivor list per state. A coordinator that asks the same question with another answer in mind is refused, so the
sum that would tell two lists apart never exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, final

from caduceus import canon
from caduceus.agents.payment import settlement_of
from caduceus.crypto import sign
from caduceus.crypto.entropy import Entropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, JobId, Seat, Stage
from caduceus.learn.rows import SiteData
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, Journal, Store
from caduceus.protocol.encoding import encode_into
from caduceus.protocol.envelope import Signed, kind_of, read_signed, sign_record
from caduceus.protocol.job_messages import Accord, Call, Offer, Prepare
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_client import Client, Revealed
from caduceus.protocol.secagg_ground import Ground
from caduceus.protocol.secagg_messages import Endorsed, Inbox, Ready, Receipt, RosterFor
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_site import SetupSite, SetupStep
from caduceus.protocol.session_for import Grounds, session_for

M = TypeVar("M", Prepare, Call, Offer)

COORDINATOR = "the coordinator"
_DIGEST_BYTES = 32
_PREPARE, _CALL, _OFFER = canon.tag_of(Prepare), canon.tag_of(Call), canon.tag_of(Offer)
_ROSTER, _INBOX, _READY, _ENDORSED = (canon.tag_of(kind) for kind in (RosterFor, Inbox, Ready, Endorsed))
_SETUP_KINDS = frozenset((_ROSTER, _INBOX, _READY, _ENDORSED))


def receipts(journal: Journal, job: JobId) -> tuple[tuple[int, Receipt], ...]:
    """The receipts for uploads that a site holds, by round."""
    prefix = f"{job.hex()}/receipt/"
    return tuple(
        (int(key.removeprefix(prefix)), canon.unpack(Receipt, journal.get(key) or b"")) for key in journal.keys(prefix)
    )


def _summed(agreed: bytes) -> tuple[int, ...]:
    """The sites in the sums that a site agreed to open."""
    return tuple(sorted(seat for group in canon.unpack(Revealed, agreed).groups for seat in group))


def _roster_in(message: bytes) -> Digest:
    """The digest of the roster in a message that a site has answered."""
    return canon.digest_bytes(canon.unpack(Signed, canon.unpack(RosterFor, message).roster).body)


def _receipt(job: JobId, round: int) -> str:
    return f"{job.hex()}/receipt/{round:05}"


@canon.record("seat/confirmed/1")
class _Confirmed:
    """What a site keeps of a set-up that it confirmed: with the outcome it stands on it, also after a restart.

    Messages as received, sealed or public.
    """

    call: Prepare
    roster: bytes
    inbox: bytes


@dataclass(slots=True)
class _Preparing:
    """A set-up under way.

    roster  the coordinator's message with it, as received
    """

    call: Prepare
    site: SetupSite
    roster: bytes = b""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a site signs, vouches and masks with; never printed.

    identity  seed of its ML-DSA-65 key, 32 bytes
    """

    signer: Signer
    identity: bytes
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
        task: Task,
        site: SiteData,
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
        self._grounds = Grounds(
            job=job,
            domain=chain.domain,
            beacon=chain.beacon(job),
            coordinator_signer=entry.coordinator_signer,
            enrolments=self._enrolments,
            spec=spec,
        )
        self._identity = Identity(secrets.identity)
        self._threads = threads
        self._preparing: _Preparing | None = None
        self._ground: Ground | None = None
        self._client: Client | None = None

    def react(self, body: bytes) -> Sequence[bytes]:
        """Answer one message of the coordinator.

        Raises PeerFault if the coordinator broke the protocol, Refused if the site may not answer.
        """
        kind = canon.peek_tag(body)
        kind = kind if kind in _SETUP_KINDS else kind_of(body)
        if kind == _PREPARE:
            return [self._answer_prepare(self._read(Prepare, body))]
        if kind == _CALL:
            return [self._answer_call(self._read(Call, body))]
        if kind == _OFFER:
            self._read(Offer, body)
            return [self._sign_settlement()]
        if kind in _SETUP_KINDS:
            return self._go_on_preparing(kind, body)
        if self._client is None:
            raise PeerFault(COORDINATOR, "went on with a round that it never called this site to", evidence=body)
        replies = self._client.react(body)
        if self._client.receipt is not None:
            self._keep_receipt(self._client)
        return replies

    # ------------------------------------------------------------ set-ups

    def _answer_prepare(self, call: Prepare) -> bytes:
        place = self._new_setup(call)
        self._preparing = _Preparing(call, place)
        return place.advertise()

    def _new_setup(self, call: Prepare) -> SetupSite:
        return SetupSite(
            Layout(self._grounds.setup(first=call.first, rounds=call.rounds, draw=call.draw)),
            self._seat,
            signer=self._secrets.signer,
            identity=self._identity,
            entropy=self._secrets.entropy,
            remember=self._keep,
        )

    def _go_on_preparing(self, kind: str | None, body: bytes) -> Sequence[bytes]:
        place = self._preparing
        if kind == _ENDORSED and (place is None or place.site.step is SetupStep.READY):
            return self._hear_again(body)
        if place is None:
            raise PeerFault(COORDINATOR, "went on with a set-up that it never called this site to", evidence=body)
        replies = place.site.react(body)
        if kind == _ROSTER:
            place.roster = body
        elif kind == _INBOX:
            confirmed = _Confirmed(place.call, place.roster, body)
            self._keep(f"confirmed/{_roster_in(place.roster).hex()}", canon.pack(confirmed))
        elif kind == _ENDORSED and place.site.ground is not None:
            self._ground = place.site.ground
            self._keep(f"standing/{self._ground.ready.hex()}", body)
        return replies

    def _hear_again(self, endorsed: bytes) -> Sequence[bytes]:
        """The outcome of a set-up whose end this process did not see: it or the coordinator has started again."""
        key = f"standing/{canon.digest(self._outcome(endorsed)).hex()}"
        if self._journal.get(self._key(key)) is None:
            self._ground = self._restore(endorsed)
            self._keep(key, endorsed)
        return []

    def _outcome(self, endorsed: bytes) -> Ready:
        """The outcome of a set-up, as the coordinator signed it."""
        try:
            said = canon.unpack(Endorsed, endorsed)
        except Refused as problem:
            raise PeerFault(COORDINATOR, f"sent something unreadable: {problem}", evidence=endorsed) from None
        signer, domain = self._entry.coordinator_signer, self._chain.domain
        return read_signed(Ready, said.ready, signer=signer, domain=domain, who=COORDINATOR)

    def _stand_on(self, ready: Digest) -> Ground:
        """What this site has of a set-up, from memory or, after a restart, from its journal.

        Raises Refused if it has nothing: it took no part, or lost its journal.
        """
        if self._ground is None or self._ground.ready != ready:
            endorsed = self._journal.get(self._key(f"standing/{ready.hex()}"))
            if endorsed is None:
                raise Refused("called to a round of a set-up in which this site has no part; it waits for the next one")
            self._ground = self._restore(endorsed)
        return self._ground

    def _restore(self, endorsed: bytes) -> Ground:
        kept = self._journal.get(self._key(f"confirmed/{self._outcome(endorsed).roster.hex()}"))
        if kept is None:
            raise Refused("told the outcome of a set-up that this site did not confirm; it waits for the next one")
        confirmed = canon.unpack(_Confirmed, kept)
        place = self._new_setup(confirmed.call)
        return place.restore(confirmed.roster, confirmed.inbox, endorsed)

    def _keep(self, what: str, value: bytes) -> None:
        """Write down what is made durable by the upload that follows."""
        self._journal.put_all({self._key(what): value}, at_once=False)

    # ------------------------------------------------------------ rounds

    def _answer_call(self, call: Call) -> bytes:
        state = canon.unpack(State, call.state)
        self._task.check(state)
        if self._task.finished(state):
            raise PeerFault(COORDINATOR, "called to a round of a job that is done")
        session = session_for(call.round, ready=call.ready, task=self._task, state=state)
        ground = self._stand_on(call.ready)
        self._hold_to_draw(session, ground)
        client = Client(
            session,
            ground,
            signer=self._secrets.signer,
            remember=lambda what, value: self._remember(session, what, value),
            revealed=self._revealed(),
        )
        message, place = client.blank()
        encode_into(
            place,
            self._task.contribute(state, self._site),
            scale=self._task.scale(state),
            parties=len(self._enrolments),
        )
        self._client = client
        return client.upload(place, message=message, threads=self._threads)

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
            self._journal.put_all({_receipt(self._job, client.round): canon.pack(client.receipt)}, at_once=False)

    def _key(self, what: str) -> str:
        return f"{self._job.hex()}/{what}"

    # ------------------------------------------------------------ settlement

    def _sign_settlement(self) -> bytes:
        """Compute the settlement from public facts, check this site's own part in it, and sign it."""
        entry = self._chain.job(self._job)
        if entry is None or entry.stage is not Stage.TRAINING:
            raise Refused("the job is not in training any more; its settlement is not signed again")
        settled, records = settlement_of(entry, self._spec, self._enrolments, self._chain, self._store)
        for record in records:
            self._check_own_part(record)
        struct = sign.Settlement(self._job, entry.head, settled.root, settled.payout)
        signature = self._secrets.signer.sign(sign.digest(self._chain.domain, struct))
        accord = Accord(self._job, entry.head, settled.root, settled.payout, signature)
        return sign_record(self._secrets.signer, self._chain.domain, accord)

    def _check_own_part(self, record: RoundRecord) -> None:
        """Compare a round as it was anchored with what this site remembers of it.

        A site that fell silent on the way is still in the sum if its upload was, and out of it if not: both are
        fine. What it trained from, what it agreed to and what it has a receipt for must be as anchored.

        Raises PeerFault if the round is not the one that this site took part in.
        """
        took, agreed = self._recall(record.round, "session"), self._recall(record.round, "survivors")
        if took is not None and took[_DIGEST_BYTES:] != record.before:
            raise PeerFault(COORDINATOR, f"called to round {record.round} with another state than it anchored")
        if record.failure:
            return
        is_in = self._seat in record.survivors
        if is_in and self._recall(record.round, "upload") is None:
            raise PeerFault(COORDINATOR, f"counts this site in round {record.round}, to which it sent nothing")
        if agreed is not None and _summed(agreed) != record.survivors:
            raise PeerFault(COORDINATOR, f"anchored round {record.round} with other survivors than it showed")
        if not is_in and self._journal.get(_receipt(self._job, record.round)) is not None:
            raise PeerFault(COORDINATOR, f"left out of round {record.round} an upload that it gave a receipt for")

    def _recall(self, round: int, what: str) -> bytes | None:
        return self._journal.get(f"{self._job.hex()}/round/{round:05}/{what}")

    def _read(self, kind: type[M], body: bytes) -> M:
        signer = self._entry.coordinator_signer
        message = read_signed(kind, body, signer=signer, domain=self._chain.domain, who=COORDINATOR)
        if message.job != self._job:
            raise PeerFault(COORDINATOR, "sent a message about another job", evidence=body)
        return message
