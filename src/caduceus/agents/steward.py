"""The steward: publishes a data set and its terms, judges jobs by them, enrols, and pulls what was earned.

Every step looks at the chain first, so that a steward that crashed anywhere simply starts again.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus import canon
from caduceus.agents.buyer import join
from caduceus.agents.payment import collect
from caduceus.data.card import Card, matches
from caduceus.data.policy import Terms, Verdict, judge
from caduceus.data.schema import Schema
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, JobId, Role, Stage
from caduceus.learn.program import build_task
from caduceus.market.job import FINAL
from caduceus.market.settlement import Settlement
from caduceus.market.specification import JobSpec
from caduceus.market.terms import ask_of, difference, terms_of
from caduceus.ports import Chain, JobEntry, Store, Wallet


@dataclass(frozen=True, slots=True)
class Steward:
    """Acts for whoever answers for a site's data; never holds the data themselves."""

    chain: Chain
    wallet: Wallet
    store: Store
    card: Card
    terms: Terms
    schema: Schema

    def join(self, signer: Address, agreement_key: bytes) -> None:
        """Be a member of the network with the role of a steward."""
        join(self.chain, self.wallet, Role.STEWARD, signer, agreement_key)

    def publish(self) -> Digest:
        """Publish the card and the terms, and register the data set; once, however often it is called.

        returns  the data set's identifier on the chain
        """
        card, terms = self.store.put(canon.pack(self.card)), self.store.put(canon.pack(self.terms))
        commitment = Digest(self.card.commitment)
        budget = self.terms.budget_micro
        dataset = self.wallet.dataset_id(commitment, card, terms, budget)
        if self.chain.dataset(dataset) is None:
            self.wallet.register_dataset(commitment, card, terms, budget)
        return dataset

    def specification(self, entry: JobEntry) -> JobSpec:
        """What a job on the chain asks for.

        Raises Refused if the specification is not to be had or is not what the chain says.
        """
        return canon.unpack(JobSpec, self.store.get(entry.spec))

    def consider(self, entry: JobEntry) -> Verdict:
        """Whether this data set may take part in a job, with the reasons if not."""
        spec = self.specification(entry)
        task_rounds = build_task(spec.learning, spec.schema).max_rounds
        if not matches(self.card, spec.schema):
            return Verdict((f"it asks for data as in '{spec.schema.title}', and this data set means something else",))
        found = difference(terms_of(spec, task_rounds, token=entry.token, coordinator=entry.coordinator), entry)
        if found is not None:
            return Verdict((f"the specification and the chain name different values of {found}",))
        return judge(self.terms, ask_of(spec, entry.buyer))

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

    def collect(self, job: JobId, settlement: Settlement | None) -> None:
        """Pull the reward and the stake of a job that has ended, and any credit.

        settlement  the amounts that were settled; None if the job ended without a settlement
        """
        entry = self.chain.job(job)
        if entry is None or entry.stage not in FINAL or not self.is_seated(job):
            return
        collect(self.chain, self.wallet, entry, settlement, entry.stake)
