"""The steward: publishes a data set and its terms, judges jobs by them, enrols, and pulls what was earned.

Every step looks at the chain first, so that a steward that crashed anywhere simply starts again.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus import canon
from caduceus.agents.buyer import join
from caduceus.agents.payment import pull
from caduceus.data.card import Card, matches
from caduceus.data.policy import Ask, Terms, Verdict, judge
from caduceus.data.schema import Schema
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, JobId, Role, Stage
from caduceus.market.job import FINAL
from caduceus.market.settlement import Settlement
from caduceus.market.specification import JobSpec
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
        if not matches(self.card, spec.schema):
            return Verdict((f"it asks for data as in '{spec.schema.title}', and this data set means something else",))
        money, learning = spec.money, spec.learning
        if (money.price, money.stake, money.bond) != (entry.price, entry.stake, entry.bond):
            return Verdict(("the specification names other amounts than the chain",))
        if (spec.min_sites, spec.max_sites) != (entry.min_sites, entry.max_sites):
            return Verdict(("the specification names other numbers of sites than the chain",))
        return judge(
            self.terms,
            Ask(
                buyer=entry.buyer,
                purpose=spec.purpose,
                visibility=spec.visibility,
                columns=(*learning.features, learning.target),
                min_sites=spec.min_sites,
                max_sites=spec.max_sites,
                price=money.price,
                fee=money.fee,
                epsilon_micro=None,
            ),
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

    def collect(self, job: JobId, settlement: Settlement | None) -> None:
        """Pull the reward and the stake of a job that has ended, and any credit.

        settlement  the amounts that were settled; None if the job ended without a settlement
        """
        entry = self.chain.job(job)
        if entry is None or entry.stage not in FINAL or not self.is_seated(job):
            return
        account = self.wallet.account
        if not any(claim.account == account for claim in self.chain.claims(job)):
            pull(self.wallet, settlement if entry.stage is Stage.COMPLETED else None, entry)
        if self.chain.credit(entry.token, account):
            self.wallet.withdraw(entry.token)
