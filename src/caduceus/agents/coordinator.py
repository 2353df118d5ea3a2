"""The coordinator: accepts a job, runs its rounds, anchors them, and settles with a quorum.

It holds no data and no secret but its keys. Every step looks at the chain and the journal first, so that a
coordinator that crashed anywhere simply starts again: a round that it had not finished is run again
under the same number, and the sites repeat themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caduceus import canon
from caduceus.agents.anchoring import Anchoring, OnSent
from caduceus.agents.buyer import join
from caduceus.agents.conversation import Conversation
from caduceus.agents.gram_rounds import GramRounds
from caduceus.agents.payment import collect, settlement_of
from caduceus.agents.rounds import Past, Rounds
from caduceus.crypto import sign
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault, Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId, Role, Seat, Stage, Tokens
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State
from caduceus.market.job import FINAL
from caduceus.market.settlement import Settlement
from caduceus.market.specification import JobSpec
from caduceus.market.standing import UNPROVEN
from caduceus.market.work import Work
from caduceus.ports import Anchor, Chain, Channel, Clock, Enrolment, JobEntry, Journal, Store, Wallet
from caduceus.protocol.envelope import kind_of, read_signed, sign_record
from caduceus.protocol.gram_for import AnySession, accounts_of, ground_of
from caduceus.protocol.job_messages import Accord, Offer
from caduceus.protocol.round import Done
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_plan import threshold_for
from caduceus.protocol.secagg_unmask import Device
from caduceus.protocol.session_for import Grounds

AnyRounds = Rounds | GramRounds

_ACCORD = canon.tag_of(Accord)

OnRound = Callable[[RoundRecord, State, AnySession], None]
"""Told of every round that is done, also of those that an earlier process did."""

OnVain = Callable[[Refused], None]


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Acts for whoever sums.

    threads  how many may work on the masks
    device   hardware to take them off on instead of the processor
    pause    where there are no threads: waits so many seconds (see `Anchoring`)
    """

    chain: Chain
    wallet: Wallet
    store: Store
    journal: Journal
    clock: Clock
    signer: Signer
    threads: int = 1
    device: Device | None = None
    pause: Callable[[float], None] | None = None

    def join(self, agreement_key: bytes) -> None:
        """Be a member of the network with the role of a coordinator."""
        join(self.chain, self.wallet, Role.COORDINATOR, self.signer.address, agreement_key)

    def accept(self, job: JobId) -> None:
        """Take on a funded job that names this account, with the bond that it asks for."""
        entry = self._entry(job)
        if entry.stage is Stage.FUNDED:
            if entry.bond:
                self.wallet.approve(entry.token, entry.bond)
            self.wallet.accept(job)

    def start(self, job: JobId) -> None:
        """Close the enrolment and begin.

        Raises Refused if fewer sites enrolled than the job asks for.
        """
        entry = self._entry(job)
        if entry.stage is Stage.ENROLLING:
            if entry.sites < entry.min_sites:
                raise Refused(f"{entry.sites} sites enrolled and the job asks for {entry.min_sites}; it is not started")
            self.wallet.start(job)

    # ------------------------------------------------------------ rounds

    def train(
        self,
        job: JobId,
        spec: JobSpec,
        task: Work,
        channel: Channel,
        *,
        on_round: OnRound,
        on_sent: OnSent,
        on_vain: OnVain,
    ) -> State:
        """Run the rounds that are left, anchoring each while the next one trains.

        on_vain  told of a set-up that came to nothing, which counts as a round that failed

        returns  the last state: not a finished one if more rounds failed than the job allows for. Then the job
                 cannot be settled, and everybody gets their money back once its time has run out
        """
        entry = self._entry(job)
        rounds = self._rounds(entry, spec, task, channel)
        resumed = self._resume(entry, task, rounds, on_round)
        state, past, anchors = resumed.state, resumed.past, resumed.anchors
        if entry.stage is not Stage.TRAINING:
            return state
        vain = 0
        with Anchoring(self.chain, self.wallet, job, anchors, on_sent=on_sent, pause=self.pause) as anchoring:
            while not task.finished(state) and past.number - past.sums + vain <= spec.spare_rounds:
                try:
                    done, session, past = rounds.run(past, state)
                except Refused as problem:
                    vain += 1  # a set-up without an outcome: it leaves nothing to anchor
                    on_vain(problem)
                    continue
                if done.record.round == 0:  # nobody looks for the opening state of a job without rounds
                    self.store.put(canon.pack(state))
                anchoring.add(self._keep(done))
                on_round(done.record, done.state, session)
                state = done.state
        return state

    def last_state(self, job: JobId, task: Work) -> State:
        """The public state that the anchored rounds of a job led to."""
        anchors = self.chain.anchors(job)
        return canon.unpack(State, self.store.get(anchors[-1].model)) if anchors else task.opening()

    def _keep(self, done: Done) -> Anchor:
        """Store everything about a round before anybody hears of it, the journal entry last."""
        for blob in done.blobs:
            self.store.put(blob)
        record = self.store.put(canon.pack(done.record))
        anchor = Anchor(done.record.round, done.root, done.record.after, record)
        self.journal.put_once(_key(done.record.job, done.record.round), canon.pack(_Kept(done.root, record)))
        return anchor

    def _resume(self, entry: JobEntry, task: Work, rounds: AnyRounds, on_round: OnRound) -> _Resumed:
        """What an earlier process did: the state that it reached, and what has become of its rounds."""
        state, anchors, past = task.opening(), [], Past(0, 0, False, ())
        for number in range(len(self.journal.keys(_prefix(entry.id)))):
            kept = canon.unpack(_Kept, self.journal.get(_key(entry.id, number)) or b"")
            record = canon.unpack(RoundRecord, self.store.get(kept.record))
            session, past = rounds.recall(past, record)
            state = canon.unpack(State, self.store.get(record.after))
            anchors.append(Anchor(number, kept.root, record.after, kept.record))
            on_round(record, state, session)
        return _Resumed(state, past, anchors)

    def _rounds(self, entry: JobEntry, spec: JobSpec, task: Work, channel: Channel) -> AnyRounds:
        if isinstance(task, JudgedProgram):
            enrolments = tuple(self.chain.enrolments(entry.id))
            return GramRounds(
                ground_of(entry.id, self.chain.domain, entry.coordinator_signer, enrolments, spec),
                task,
                Conversation(channel, self.clock, accounts_of(spec, enrolments), spec.deadlines.exchange),
                signer=self.signer,
                store=self.store,
                journal=self.journal,
            )
        return Rounds(
            self._grounds(entry, spec),
            task,
            channel,
            signer=self.signer,
            store=self.store,
            journal=self.journal,
            clock=self.clock,
            patience=spec.deadlines.exchange,
            most_rounds=task.max_rounds + spec.spare_rounds,
            threads=self.threads,
            device=self.device,
        )

    def _grounds(self, entry: JobEntry, spec: JobSpec) -> Grounds:
        return Grounds(
            job=entry.id,
            domain=self.chain.domain,
            beacon=self.chain.beacon(entry.id),
            coordinator_signer=entry.coordinator_signer,
            enrolments=tuple(self.chain.enrolments(entry.id)),
            spec=spec,
        )

    # ------------------------------------------------------------ settlement

    def settle(self, job: JobId, spec: JobSpec, channel: Channel) -> None:
        """Collect a quorum's signatures on the settlement and put it on the chain.

        Raises Refused if too few sites sign before the deadline of an exchange.
        """
        entry = self._entry(job)
        if entry.stage is not Stage.TRAINING:
            return
        enrolments = tuple(self.chain.enrolments(job))
        settled, _ = settlement_of(entry, spec, enrolments, self.chain, self.store)
        signatures = self._gather(entry, settled, enrolments, channel, spec.deadlines.exchange)
        quorum = threshold_for(len(enrolments))
        if len(signatures) < quorum:
            raise Refused(
                f"only {len(signatures)} of {len(enrolments)} sites signed the settlement, {quorum} are needed"
            )
        self.wallet.settle(job, settled.root, settled.payout, signatures, settled.slashed)

    def _gather(
        self,
        entry: JobEntry,
        settled: Settlement,
        enrolments: Sequence[Enrolment],
        channel: Channel,
        patience: float,
    ) -> list[tuple[Seat, bytes]]:
        offer = sign_record(self.signer, self.chain.domain, Offer(entry.id))
        waiting = {enrolment.site: enrolment for enrolment in enrolments}
        for site in waiting:
            self._offer(channel, site, offer)
        struct = sign.Settlement(entry.id, entry.head, settled.root, settled.payout, settled.slashed)
        digest = sign.digest(self.chain.domain, struct)
        signatures: dict[Seat, bytes] = {}
        deadline = self.clock.monotonic() + patience
        while waiting and (left := deadline - self.clock.monotonic()) > 0:
            envelope = channel.receive(timeout=left)
            if envelope is None:
                break
            if not envelope.body:
                if envelope.sender in waiting:
                    self._offer(channel, envelope.sender, offer)
                continue
            enrolment = waiting.get(envelope.sender)
            if enrolment is None or kind_of(envelope.body) != _ACCORD:
                continue
            del waiting[envelope.sender]
            signature = self._accord(envelope.body, enrolment, digest)
            if signature is not None:
                signatures[enrolment.seat] = signature
        return sorted(signatures.items())

    @staticmethod
    def _offer(channel: Channel, site: Address, offer: bytes) -> None:
        """Ask a site to sign; one that is not there is asked once it is back."""
        try:
            channel.send(site, offer)
        except Unavailable:
            return

    def _accord(self, body: bytes, enrolment: Enrolment, digest: Digest) -> bytes | None:
        """A site's signature on exactly this settlement, or None."""
        who = f"seat {enrolment.seat}"
        try:
            accord = read_signed(Accord, body, signer=enrolment.signer, domain=self.chain.domain, who=who)
        except PeerFault:
            return None
        return accord.signature if sign.verify(enrolment.signer, digest, accord.signature) else None

    def complete(self, job: JobId) -> None:
        """End the job once nobody can dispute it any more; anyone may, and the coordinator does."""
        entry = self._entry(job)
        if entry.stage is Stage.SETTLING and self.chain.now() > entry.deadline:
            self.wallet.complete(job)

    def collect(self, job: JobId, settlement: Settlement | None) -> None:
        """Pull fee and bond of a job that has ended, and any credit."""
        entry = self._entry(job)
        if entry.stage in FINAL:
            bonded = entry.stage is not Stage.REJECTED and any(entry.coordinator_signer)
            collect(self.chain, self.wallet, entry, settlement, entry.bond if bonded else Tokens(0))

    def record_standing(self, job: JobId, settlement: Settlement) -> None:
        """Enter in every site's standing what a completed job showed of it; anyone may, once a seat.

        settlement  the one that was settled; nothing is entered if it shows nothing of anybody
        """
        entry = self._entry(job)
        if entry.stage is not Stage.COMPLETED:
            return
        done = set(self.chain.recorded(job))
        for enrolment in self.chain.enrolments(job):
            seat = enrolment.seat
            if seat in done or not (settlement.observations or seat in settlement.slashed):
                continue
            shown = UNPROVEN if seat in settlement.slashed else settlement.showing(seat)
            self.wallet.record_standing(job, seat, enrolment.entity, shown)

    def _entry(self, job: JobId) -> JobEntry:
        entry = self.chain.job(job)
        if entry is None:
            raise Refused(f"no job {job.hex()} on this chain")
        return entry


@dataclass(frozen=True, slots=True)
class _Resumed:
    """What an earlier process did."""

    state: State
    past: Past
    anchors: list[Anchor]


@canon.record("coordinator/kept/1")
class _Kept:
    """What the journal says of a round that is done."""

    root: Digest
    record: Digest


def _prefix(job: JobId) -> str:
    return f"{job.hex()}/done/"


def _key(job: JobId, round: int) -> str:
    return f"{_prefix(job)}{round:05}"
