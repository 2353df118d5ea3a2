"""The steward: publishes a data set and its terms, judges jobs by them, enrols, and pulls what was earned.

Every step looks at the chain first, so that a steward that crashed anywhere simply starts again.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus import canon
from caduceus.agents.buyer import join
from caduceus.agents.payment import collect, stake_left
from caduceus.agents.under_terms import look
from caduceus.data.card import Card, lendable, matches
from caduceus.data.forgetting import Previous
from caduceus.data.policy import Terms, Verdict, judge
from caduceus.data.schema import Schema
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Stage
from caduceus.market.costs import Costs
from caduceus.market.job import FINAL
from caduceus.market.settlement import Settlement
from caduceus.market.specification import JobSpec, read_spec
from caduceus.market.terms import ask_of, difference, terms_of
from caduceus.market.work import work_of
from caduceus.ports import Chain, JobEntry, JobTerms, Store, Wallet
from caduceus.protocol.gram_for import check_judges


@dataclass(frozen=True, slots=True)
class Stated:
    """A verdict on the data set's readiness that its steward has signed.

    report  digest of the report that it follows from
    """

    report: Digest
    verdict: Readiness


@dataclass(frozen=True, slots=True)
class Steward:
    """Acts for whoever answers for a site's data; never holds the data themselves."""

    chain: Chain
    wallet: Wallet
    store: Store
    card: Card
    terms: Terms
    schema: Schema
    previous: Previous | None = None
    """What this data set supersedes on the chain; None if it is a first version."""
    stated: Stated | None = None
    """What is to stand on the chain about its readiness; None leaves there what stands there."""

    def join(self, signer: Address, agreement_key: bytes) -> None:
        """Be a member of the network with the role of a steward."""
        join(self.chain, self.wallet, Role.STEWARD, signer, agreement_key)

    def publish(self) -> Digest:
        """Publish card and terms, register the data set, state its readiness; once, however often it is called.

        returns  the data set's identifier on the chain
        """
        self.store.put(canon.pack(self.card))
        self.store.put(canon.pack(self.terms))
        dataset = self.dataset
        if self.chain.dataset(dataset) is None:
            if self.previous is None:
                self.wallet.register_dataset(*self._registered())
            else:
                self.wallet.supersede_dataset(Digest(self.previous.dataset), *self._registered()[:3])
        if self.stated is not None:
            entry = self.chain.dataset(dataset)
            if entry is None or entry.report != self.stated.report:
                self.wallet.state_readiness(dataset, self.stated.report, self.stated.verdict)
        return dataset

    @property
    def dataset(self) -> Digest:
        """The data set's identifier on the chain, whether or not it is registered yet."""
        if self.previous is None:
            return self.wallet.dataset_id(*self._registered())
        budget = (self.previous.budget_micro, self.previous.delta_pico)
        return self.wallet.superseding_id(Digest(self.previous.dataset), *self._registered()[:3], *budget)

    def _registered(self) -> tuple[Digest, Digest, Digest, int, int]:
        """What is registered: commitment, card, terms, and the privacy budget in epsilon and delta, less the card's."""
        card, terms = canon.digest(self.card), canon.digest(self.terms)
        budget = lendable(self.card, self.terms.budget_micro, self.terms.delta_pico)
        return Digest(self.card.commitment), card, terms, *budget

    def specification(self, entry: JobEntry) -> JobSpec:
        """What a job on the chain asks for.

        Raises Refused if the specification is not to be had or is not what the chain says.
        """
        return read_spec(self.store.get(entry.spec))

    def consider(self, entry: JobEntry) -> Verdict:
        """Whether this data set may take part in a job, with the reasons if not.

        What takes no time comes first: to price a stranger's job anew can take minutes, and so is done only for jobs
        that the terms allow as they are stated.
        """
        spec = self.specification(entry)
        if not matches(self.card, spec.schema):
            return Verdict((f"it asks for data as in '{spec.schema.title}', and this data set means something else",))
        epsilon, delta = self._spent_elsewhere(entry.id)
        seen = look(self.terms, self.card, spec, entry, self.chain, self.store)
        verdict = judge(self.terms, ask_of(spec, entry.buyer), spent_micro=epsilon, spent_delta_pico=delta, seen=seen)
        if verdict.reasons:
            return verdict
        terms = terms_of(spec, work_of(spec).max_rounds, token=entry.token, coordinator=entry.coordinator)
        if (found := difference(terms, entry)) is not None:
            return Verdict((f"the specification and the chain name different values of {found}",))
        try:
            check_judges(spec)
        except Refused as problem:
            return Verdict((str(problem),))
        own = self.chain.dataset(self.dataset)
        if own is not None and not own.active:
            return Verdict(("the data set was withdrawn",))
        verdict_here = Readiness.UNSTATED if own is None else own.readiness
        if verdict_here < entry.readiness:
            asked, here = entry.readiness.name.lower(), verdict_here.name.lower()
            return Verdict((f"it asks for data that are at least {asked}, and the verdict on this data set is {here}",))
        return verdict

    def still_allows(self, entry: JobEntry, begun: int | None = None) -> Verdict:
        """Whether this data set may go on taking part in a job in which it has a seat.

        The privacy budget was reserved by the contract when the seat was taken, and is not asked about again.

        begun  when the site agreed to the job, Unix seconds; None counts a limit of time from now
        """
        seated = next((one for one in self.chain.enrolments(entry.id) if one.site == self.wallet.account), None)
        own = None if seated is None else self.chain.dataset(seated.dataset)
        if own is None or not own.active:
            return Verdict(("the data set was withdrawn",))
        spec = self.specification(entry)
        seen = look(self.terms, self.card, spec, entry, self.chain, self.store, begun=begun, seated=True)
        return judge(self.terms, ask_of(spec, entry.buyer), seen=seen)

    def _spent_elsewhere(self, job: JobId) -> tuple[int, int]:
        """What the card and all jobs but this one have spent or hold reserved: a seat does not refuse itself."""
        if not self.terms.budget_micro:
            return 0, 0
        moves = [move for move in self.chain.budget_moves(self.dataset) if move.job != job]
        epsilon, delta = (0, 0) if (noise := self.card.noise) is None else (noise.epsilon_micro, noise.delta_pico)
        return (
            epsilon + sum(-move.epsilon_micro if move.released else move.epsilon_micro for move in moves),
            delta + sum(-move.delta_pico if move.released else move.delta_pico for move in moves),
        )

    def enrol(self, job: JobId, dataset: Digest) -> None:
        """Take a seat in a job that the terms allow, with the stake that it asks for.

        Raises Refused with the reasons if the terms do not allow the job.
        """
        entry = self.chain.job(job)
        if entry is None or entry.stage is not Stage.ENROLLING or self.is_seated(job):
            return
        self.consider(entry).enforce()
        if entry.stake:
            held = self.chain.balance(entry.token, self.wallet.account)
            if held < entry.stake:
                raise Refused(f"enrolling takes a stake of {entry.stake} and the account holds {held}; fund it first")
            self.wallet.approve(entry.token, entry.stake)
        self.wallet.enrol(job, dataset)

    def is_seated(self, job: JobId) -> bool:
        """Whether this account has a seat in the job."""
        return any(one.site == self.wallet.account for one in self.chain.enrolments(job))

    def settle_budget(self, job: JobId, terms: JobTerms, costs: Costs, opened: int) -> None:
        """Give the data set back, once, what a job that has ended reserved of its privacy budget and did not spend.

        terms   as the job was opened
        costs   the table whose root is in the terms
        opened  up to which sum this site's updates may have entered, anchored or not; none must enter any afterwards

        A completed job is charged whole. Nothing is sent if nothing is to be given back, or if it was before. Raises
        Misuse if `costs` are another job's.
        """
        entry = self.chain.job(job)
        if entry is None or entry.stage not in (Stage.REJECTED, Stage.EXPIRED):
            return
        seated = next((one for one in self.chain.enrolments(job) if one.site == self.wallet.account), None)
        if seated is None or self._was_released(job, seated.dataset):
            return
        if costs.root != terms.costs:
            raise Misuse(f"settle_budget: these are not the costs in the terms of job 0x{job.hex()}")
        if costs.steps[opened] != costs.steps[-1]:
            self.wallet.release_budget(job, seated.seat, terms, costs.at(opened), costs.proof(opened))

    def _was_released(self, job: JobId, dataset: Digest) -> bool:
        return any(move.job == job and move.released for move in self.chain.budget_moves(dataset))

    def collect(self, job: JobId, settlement: Settlement | None) -> None:
        """Pull the reward and, unless it is forfeited, the stake of a job that has ended, and any credit.

        settlement  the amounts that were settled; None if the job ended without a settlement
        """
        entry = self.chain.job(job)
        if entry is None or entry.stage not in FINAL or not self.is_seated(job):
            return
        collect(self.chain, self.wallet, entry, settlement, stake_left(self.chain, entry, self.wallet.account))
