"""A whole job on one machine: every party with its own keys, journal and code, over the loopback channel.

Each step is idempotent, so a run that was killed anywhere is played again from the top and goes on where
the chain and the journals say that it stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial

from caduceus import canon
from caduceus.agents.aggregator import Aggregator
from caduceus.agents.buyer import Buyer, join
from caduceus.agents.coordinator import Coordinator
from caduceus.agents.dealing import Dealer, JudgedSite, stand_on
from caduceus.agents.dispute import answer, complain, uphold
from caduceus.agents.payment import settlement_of
from caduceus.agents.seat import SeatedSite, close
from caduceus.edges.clock import SystemClock
from caduceus.edges.federation import Federation
from caduceus.edges.gateway import Reverted
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.loopback import Loopback
from caduceus.edges.network import Network, open_embedded, open_url
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace, write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId, Stage
from caduceus.learn.inquiry.answers import answers_json, answers_text
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.judged.dishonest import Deed, Dishonest
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.judged.rows import JudgedData
from caduceus.learn.model_file import model_json
from caduceus.learn.rows import Ready
from caduceus.learn.state import State
from caduceus.market.job import FINAL
from caduceus.market.specification import JobSpec
from caduceus.market.terms import costs_of, terms_of
from caduceus.market.work import Work, work_of
from caduceus.ports import Anchor, JobEntry, JobTerms, Reactor, Sent
from caduceus.protocol.gram_aggregator import AggregatorSecrets
from caduceus.protocol.pointer import Pointer
from caduceus.protocol.round_record import show
from caduceus.wiring.hardware import cores, device
from caduceus.wiring.judges import Judges, appoint, names_of, open_judges
from caduceus.wiring.order import Brief, Order, read_order, with_nonce
from caduceus.wiring.parties import BUYER, COORDINATOR, TREASURY, Cast, Site, fund, gather, open_site
from caduceus.wiring.remembered import Memory, Misdeed, Named, Remembered, Times, without_secrets
from caduceus.wiring.watch import Watch


@dataclass(frozen=True, slots=True)
class Played:
    """What a run has led to.

    state  the last public state
    sites  each site's rows as the job used them, by name: this machine plays all of them
    """

    job: JobId
    spec: JobSpec
    task: Work
    state: State
    cast: Cast
    sites: dict[str, Ready]
    network_name: str
    seconds_training: float


def play(workspace: Workspace, order: Order, watch: Watch, others: Sequence[Order] = ()) -> Played:
    """Play a job from wherever it stands to its end; calling it again on an ended job changes nothing.

    others  what will be played in the same workspace: where this makes the embedded chain, their parties get gas too

    Raises Refused, naming file and field, if an input is bad: nothing is on the chain then. Also if the job ends
    without a completed settlement (its time ran out, too few sites, too many failed rounds, an upheld complaint):
    then everybody has been given back what was theirs, and the message says why.
    """
    began = SystemClock().monotonic()
    with ExitStack() as stack:
        stage = _set(workspace, order, watch, stack, others)
        job = stage.post()
        stage.enrol(job)
        state = stage.train(job)
        stage.end(job, state)
        stage.hand_over(job, state)
        return stage.result(job, state, began)


# ---------------------------------------------------------------- setting the stage


def _set(workspace: Workspace, order: Order, watch: Watch, stack: ExitStack, others: Sequence[Order]) -> _Stage:
    watch.begin("Reading the sites' records", 0)
    brief = read_order(order)
    federation, records = brief.federation, brief.sites
    ready = {one.name: brief.task.ready(one.table, one.name) for one in records}
    watch.begin("Opening the chain", 0)
    cast = gather(workspace, _names(brief))
    accounts = dict(cast.accounts)
    if order.url is None and not workspace.chain.exists():
        for other in others:
            accounts |= gather(workspace, _names(read_order(other))).accounts
    treasury = cast[TREASURY].ring.account
    if order.url is None:
        network = open_embedded(workspace.chain, workspace.deployment, treasury, accounts)
    else:
        network = open_url(order.url, workspace.deployment, treasury, cast.accounts)
    stack.enter_context(network)
    sites = {
        one.name: open_site(workspace, network, cast[one.name], one, federation, brief.terms, stack) for one in records
    }
    journals = {
        name: stack.enter_context(SqliteJournal(workspace.party(name) / "journal.sqlite"))
        for name in (BUYER, COORDINATOR)
    }
    spec = appoint(brief.spec, cast, workspace, brief.evaluators)
    spec = with_nonce(spec, journals[BUYER], order.job.stem)
    task, judges = work_of(spec), Judges()
    if isinstance(task, JudgedProgram):
        judges = open_judges(task, cast, workspace, brief.evaluators, stack)
    Memory(workspace).keep(_remembered(order, federation, cast))
    for blob in brief.enclosed:
        FolderStore(workspace.blobs).put(blob)
    return _Stage(workspace, watch, network, cast, sites, ready, journals, judges, spec, task, order)


def _names(brief: Brief) -> list[str]:
    """Of everybody who takes part in a job, besides those who are in every one."""
    return [*(one.name for one in brief.sites), *names_of(brief.spec, brief.evaluators)]


def _remembered(order: Order, federation: Federation, cast: Cast) -> Remembered:
    return Remembered(
        label=order.job.stem,
        job=str(order.job.resolve()),
        federation=str(federation.path.resolve()),
        data_root="" if order.data_root is None else str(order.data_root.resolve()),
        url="" if order.url is None else without_secrets(order.url),
        parties=tuple(Named(party.name, party.account) for party in cast.parties.values()),
        dishonest=tuple(Misdeed(site, deed) for site, deed in order.dishonest),
    )


# ---------------------------------------------------------------- the play


@dataclass(slots=True)
class _Stage:
    workspace: Workspace
    watch: Watch
    network: Network
    cast: Cast
    sites: dict[str, Site]
    ready: dict[str, Ready]
    journals: dict[str, SqliteJournal]
    judges: Judges
    spec: JobSpec
    task: Work
    order: Order
    training: float = 0.0

    @property
    def label(self) -> str:
        """What the job is called in this run."""
        return self.order.job.stem

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.workspace.blobs)

    def coordinator(self) -> Coordinator:
        """The coordinator's agent, over this machine's edges."""
        party = self.cast[COORDINATOR]
        return Coordinator(
            self.network.chain,
            self.network.wallet(party.ring.account),
            self.store,
            self.journals[COORDINATOR],
            SystemClock(),
            party.secrets.signer,
            threads=cores(),
            device=device(),
        )

    def buyer(self) -> Buyer:
        return Buyer(self.network.chain, self.network.wallet(self.cast[BUYER].ring.account), self.store)

    def post(self) -> JobId:
        """The buyer posts the job; the transcript says which one it is about."""
        self.watch.begin("Posting the job", 4)
        money, cast = self.spec.money, self.cast
        treasury = self.network.wallet(cast[TREASURY].ring.account)
        terms = self._terms()
        buyer, coordinator = self.buyer(), self.coordinator()
        job = buyer.wallet.job_id(terms)
        pointer = Pointer(self.label, job, canon.digest(self.network.deployment))
        write_whole(self.workspace.pointers / self.label, canon.pack(pointer))
        entry = self.network.chain.job(job)
        if entry is None:
            fund(self.network, treasury, buyer.wallet.account, money.price)
            buyer.join(cast[BUYER].secrets.signer.address, cast[BUYER].agreement_key)
            coordinator.join(cast[COORDINATOR].agreement_key)
            for one in self.judges.everyone:
                wallet = self.network.wallet(one.party.ring.account)
                join(self.network.chain, wallet, one.role, one.party.secrets.signer.address, one.party.agreement_key)
            self.watch.step("members registered")
        buyer.post(self.spec, terms)
        self.watch.step("price locked")
        if self._is_overdue(job):
            return job
        if entry is None or entry.stage is Stage.FUNDED:
            fund(self.network, treasury, coordinator.wallet.account, money.bond)
            coordinator.accept(job)
        self.watch.step("coordinator bonded")
        return job

    def _terms(self) -> JobTerms:
        """What stands on the chain for the job."""
        token, coordinator = self.network.deployment.token, self.cast[COORDINATOR].account
        return terms_of(self.spec, self.task.max_rounds, token=token, coordinator=coordinator)

    def enrol(self, job: JobId) -> None:
        """Every steward publishes, judges the job by its terms, and enrols."""
        self.watch.begin("Enrolling sites", len(self.sites))
        treasury = self.network.wallet(self.cast[TREASURY].ring.account)
        entry = self.network.chain.job(job)
        if entry is None or entry.stage is not Stage.ENROLLING or self._is_overdue(job):
            return
        seated = {enrolment.site for enrolment in self.network.chain.enrolments(job)}
        for name, site in self.sites.items():
            if site.party.account not in seated:
                site.steward.join(site.party.secrets.signer.address, site.party.agreement_key)
                dataset = site.steward.publish()
                verdict = site.steward.consider(entry)
                if not verdict.allowed:
                    self.watch.fault(name, Refused(f"its terms do not allow the job: {'; '.join(verdict.reasons)}"))
                    continue
                fund(self.network, treasury, site.party.account, entry.stake)
                try:
                    site.steward.enrol(job, dataset)
                except Reverted as problem:  # the contract knows better than the site's own code: its own fault
                    self.watch.fault(name, problem)
                    continue
            self.watch.step(name)
        if len(self.network.chain.enrolments(job)) >= entry.min_sites:
            self.coordinator().start(job)

    def _is_overdue(self, job: JobId) -> bool:
        """Whether the job's stage ran out before the job was done: nothing but a refund is left of it."""
        entry = self.network.chain.job(job)
        return entry is not None and entry.stage <= Stage.TRAINING and self.network.now() > entry.deadline

    def train(self, job: JobId) -> State:
        """The rounds, and the signatures on the settlement."""
        self.watch.begin("Training", self.task.max_rounds)
        clock = SystemClock()
        began = clock.monotonic()
        coordinator = self.coordinator()
        entry = self.network.chain.job(job)
        if entry is None or entry.stage not in (Stage.TRAINING, Stage.SETTLING) or self._is_overdue(job):
            return coordinator.last_state(job, self.task)
        names = {party.account: party.name for party in self.cast.parties.values()}
        with Loopback(
            self._seated(job),
            workers=2 if self.task.trains_long else 0,
            on_fault=lambda who, what: self.watch.fault(names[who], what),
        ) as channel:
            state = coordinator.train(
                job,
                self.spec,
                self.task,
                channel,
                on_round=self.watch.round,
                on_sent=self._note_sent,
                on_vain=lambda problem: self.watch.fault(COORDINATOR, problem),
            )
            self.training = clock.monotonic() - began
            self.watch.begin("Settling", 0)
            if self.task.finished(state):
                coordinator.settle(job, self.spec, channel)
        return state

    def _seated(self, job: JobId) -> dict[Address, Reactor]:
        if isinstance(self.task, JudgedProgram):
            return self._judging(job, self.task)
        by_account = {site.party.account: (name, site) for name, site in self.sites.items()}
        seated: dict[Address, Reactor] = {}
        for enrolment in self.network.chain.enrolments(job):
            name, site = by_account[enrolment.site]
            seated[enrolment.site] = SeatedSite(
                job,
                enrolment.seat,
                chain=self.network.chain,
                store=self.store,
                journal=site.journal,
                secrets=site.party.secrets,
                spec=self.spec,
                task=self.task,
                site=self.ready[name],
                threads=cores(),
            )
        return seated

    def _judging(self, job: JobId, task: JudgedProgram) -> dict[Address, Reactor]:
        """Everybody who deals rows, and the three who multiply them; some dealers dishonest, if the order says so."""
        stand = stand_on(job, self.network.chain, self.spec, task)
        by_account = {site.party.account: (name, site) for name, site in self.sites.items()}
        deeds = dict(self.order.dishonest)
        seated: dict[Address, Reactor] = {}
        for enrolment in self.network.chain.enrolments(job):
            name, site = by_account[enrolment.site]
            part = Dishonest(task, Deed.named(deeds[name])) if name in deeds else task
            rows = self.ready[name]
            assert isinstance(rows, JudgedData)  # what such a task makes ready
            seated[enrolment.site] = JudgedSite(
                stand,
                enrolment.seat,
                partial(part.contribute, site=rows),
                store=self.store,
                journal=site.journal,
                secrets=site.party.secrets,
            )
        for number, (one, rows) in enumerate(
            zip(self.judges.evaluators, self.judges.rows, strict=True), len(stand.ground.sites)
        ):
            give = partial(task.examine, evaluator=rows)
            seated[one.party.account] = Dealer(stand, number, give, journal=one.journal, secrets=one.party.secrets)
        for which, one in enumerate(self.judges.aggregators):
            own = one.party.secrets
            secrets = AggregatorSecrets(own.signer, one.party.opener, own.entropy)
            seated[one.party.account] = Aggregator(stand, which, journal=one.journal, secrets=secrets)
        return seated

    def _note_sent(self, sent: Sent, anchors: Sequence[Anchor]) -> None:
        """Anchoring is silent here: the rounds are what people look at."""

    def end(self, job: JobId, state: State) -> None:
        """See the job to one of its ends, then everybody pulls what is theirs.

        Raises Refused if it was not completed.
        """
        self.watch.begin("Paying", len(self.sites) + 2)
        entry = self._ended(job)
        settled = None
        if entry.stage is Stage.COMPLETED:
            enrolments = tuple(self.network.chain.enrolments(job))
            settled, _ = settlement_of(entry, self.spec, enrolments, self.network.chain, self.store)
        costs, terms = costs_of(self.spec), self._terms()
        for name, site in self.sites.items():
            site.steward.collect(job, settled)
            if costs is not None and entry.stage in FINAL:
                site.steward.settle_budget(job, terms, costs, close(site.journal, job))
            self.watch.step(name)
        self.coordinator().collect(job, settled)
        if settled is not None:
            self.coordinator().record_standing(job, settled)
        self.watch.step(COORDINATOR)
        self.buyer().collect(job)
        self.watch.step(BUYER)
        if entry.stage is not Stage.COMPLETED:
            raise Refused(
                f"the job ended {entry.stage.name.lower()}, with {entry.sites} sites, {entry.rounds} rounds and its "
                f"learning {'done' if self.task.finished(state) else 'not done'}; price and deposits have gone back"
            )

    def _ended(self, job: JobId) -> JobEntry:
        """Wait for what can still happen to the job, and let it happen."""
        chain, coordinator, buyer = self.network.chain, self.coordinator(), self.buyer()
        entry = self._entry(job)
        if entry.stage is Stage.SETTLING:
            shown_of = cache(lambda anchor: show(anchor, job, self.store.get))
            for site in self.sites.values():
                complain(job, chain, site.steward.wallet, site.journal, shown_of)
            answer(job, chain, coordinator.wallet, shown_of)
            waiting = chain.omissions(job)
            self.network.pass_time(max([entry.deadline, *(omission.deadline for omission in waiting)]))
            if waiting:
                uphold(job, chain, buyer.wallet)
            else:
                coordinator.complete(job)
        elif entry.stage not in FINAL:
            self.network.pass_time(entry.deadline)
            buyer.reclaim(job)
        return self._entry(job)

    def _entry(self, job: JobId) -> JobEntry:
        entry = self.network.chain.job(job)
        assert entry is not None
        return entry

    def hand_over(self, job: JobId, state: State) -> None:
        """The buyer takes the model or the answers, if the job has come to any."""
        if not self.task.finished(state):
            return
        if isinstance(self.task, Inquiry):
            assert state.answers is not None
            write_whole(self.workspace.answers / f"{self.label}.txt", answers_text(state.answers).encode())
            write_whole(self.workspace.answers / f"{self.label}.json", answers_json(state.answers).encode())
        else:
            write_whole(self.workspace.models / f"{self.label}.json", model_json(self.task, state, job).encode())

    def result(self, job: JobId, state: State, began: float) -> Played:
        """What the run has led to; a process that only found the job done adds nothing to its times."""
        if self.training:
            total = SystemClock().monotonic() - began
            Memory(self.workspace).add(self.label, Times(self.training, total))
        return Played(job, self.spec, self.task, state, self.cast, self.ready, self.network.name, self.training)
