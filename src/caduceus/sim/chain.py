"""Reading the ledger: the `Chain` port through one party's node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from caduceus.crypto import head
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, JobId, Seat, Stage, Tokens
from caduceus.market.ledger import (
    Anchor,
    BudgetMove,
    Claimed,
    DatasetEntry,
    Enrolment,
    Equivocated,
    JobEntry,
    Member,
    Omission,
)
from caduceus.market.standing import UNKNOWN, Standing
from caduceus.sim.node import LedgerNode
from caduceus.sim.rules.offers import budget_key
from caduceus.sim.rules.tables import Budget, Job, Offered, Tables


@final
class LedgerChain:
    """See `ports.Chain`. Every method raises Unavailable if the node does not answer."""

    def __init__(self, node: LedgerNode) -> None:
        self._node = node

    @property
    def domain(self) -> bytes:
        """EIP-712 domain separator of the Jobs contract, 32 bytes."""
        return self._node.ledger.tables.domain

    def now(self) -> int:
        """Timestamp of the newest block, Unix seconds."""
        self._node.read()
        return self._node.ledger.newest().time

    # ------------------------------------------------------------ members and data sets

    def member(self, account: Address) -> Member | None:
        """The member at `account`, or None."""
        return self._node.read().members.get(account)

    def entity_of(self, attester: Address, account: Address) -> Digest | None:
        """The legal entity that an account is in an attester's word, or None."""
        return self._node.read().entities.get((attester, account))

    def status_root(self, issuer: Address) -> Digest | None:
        """The digest of an issuer's newest status list of credentials, or None."""
        return self._node.read().statuses.get(issuer)

    def standing(self, token: int) -> Standing:
        """What is known of a party, as of the day on which it was last written."""
        return self._node.read().standings.get_or(token, UNKNOWN)

    def dataset(self, dataset: Digest) -> DatasetEntry | None:
        """A data set as it stands, or None."""
        tables = self._node.read()
        offered = tables.datasets.get(dataset)
        return None if offered is None else _dataset(tables, offered)

    def datasets(self) -> Sequence[DatasetEntry]:
        """Every data set ever registered, in order of registration, as it stands now."""
        tables = self._node.read()
        offered = (tables.datasets.get(name) for name in tables.registered.of(None))
        return [_dataset(tables, one) for one in offered if one is not None]

    def budget_moves(self, dataset: Digest) -> Sequence[BudgetMove]:
        """What jobs reserved of a data set's privacy budget and gave back, in order; none without a budget."""
        tables = self._node.read()
        offered = tables.datasets.get(dataset)
        return [] if offered is None or not offered.limited else tables.moves.of(budget_key(tables, offered))

    # ------------------------------------------------------------ jobs

    def jobs(self) -> Sequence[JobId]:
        """Every job ever opened, oldest first."""
        return self._node.read().opened.of(None)

    def job(self, job: JobId) -> JobEntry | None:
        """A job as it stands, or None."""
        entry = self._node.read().jobs.get(job)
        return None if entry is None else _job(entry)

    def enrolments(self, job: JobId) -> Sequence[Enrolment]:
        """The job's seats, in their order."""
        return self._node.read().enrolled.of(job)

    def beacon(self, job: JobId) -> Digest:
        """The hash of the block in which the enrolment closed."""
        entry = self._node.read().jobs.get(job)
        if entry is None or not entry.started_in:
            raise Refused(f"job 0x{job.hex()} has not started; there is no block to draw from")
        return self._node.ledger.block_name(entry.started_in)

    def anchors(self, job: JobId) -> Sequence[Anchor]:
        """The job's rounds, in their order."""
        return self._node.read().anchored.of(job)

    def omissions(self, job: JobId) -> Sequence[Omission]:
        """The challenges that wait for an answer, in the order of seats."""
        tables = self._node.read()
        entry = tables.jobs.get(job)
        found = []
        for seat in range(0 if entry is None else entry.sites):
            waiting = tables.challenges.get((job, seat))
            if waiting is not None:
                found.append(Omission(Seat(seat), waiting.round, waiting.leaf, waiting.deadline))
        return found

    def claims(self, job: JobId) -> Sequence[Claimed]:
        """What was pulled from the job, in order."""
        return self._node.read().claimed.of(job)

    def slashed(self, job: JobId) -> Sequence[Seat]:
        """The seats whose stake the settlement forfeits, in rising order."""
        entry = self._node.read().jobs.get(job)
        return [] if entry is None else list(entry.slashed)

    def equivocations(self, job: JobId) -> Sequence[Equivocated]:
        """The seats that were shown to have signed two uploads for one round, in the order of showing."""
        return self._node.read().equivocated.of(job)

    def recorded(self, job: JobId) -> Sequence[Seat]:
        """The seats of which the job was entered in the site's standing, in the order of entering."""
        return self._node.read().recorded.of(job)

    def settlement_signatures(self, job: JobId) -> Sequence[tuple[Seat, bytes]]:
        """The quorum's signatures under the settlement; none if the job is not settled."""
        entry = self._node.read().jobs.get(job)
        return () if entry is None else list(entry.signed)

    # ------------------------------------------------------------ money

    def balance(self, token: Address, account: Address) -> Tokens:
        """What an account holds of an ERC-20.

        Raises Refused if there is no such token.
        """
        tables = self._node.read()
        if tables.supplies.get(token) is None:
            raise Refused(f"there is no token at 0x{token.hex()}")
        return Tokens(tables.balances.get_or((token, account), 0))

    def credit(self, token: Address, account: Address) -> Tokens:
        """What the Jobs contract owes an account beyond claims."""
        return Tokens(self._node.read().credits.get_or((token, account), 0))


def _dataset(tables: Tables, offered: Offered) -> DatasetEntry:
    budget = (tables.budgets.get(budget_key(tables, offered)) if offered.limited else None) or Budget(0, 0)
    return DatasetEntry(
        id=offered.id,
        steward=offered.steward,
        commitment=offered.commitment,
        card=offered.card,
        terms=offered.terms,
        budget_micro=offered.epsilon_micro,
        delta_pico=offered.delta_pico,
        active=offered.active,
        epsilon_spent_micro=budget.epsilon_spent,
        delta_spent_pico=budget.delta_spent,
        previous=offered.previous,
        readiness=offered.readiness,
        report=offered.report,
    )


def _job(entry: Job) -> JobEntry:
    terms = entry.terms
    return JobEntry(
        id=entry.id,
        buyer=entry.buyer,
        coordinator=terms.coordinator,
        coordinator_signer=entry.signer,
        token=terms.token,
        price=terms.price,
        stake=terms.stake,
        bond=terms.bond,
        min_sites=terms.min_sites,
        max_sites=terms.max_sites,
        max_rounds=terms.max_rounds,
        stage=Stage(entry.stage),
        deadline=entry.deadline,
        sites=entry.sites,
        head=entry.head,
        rounds=head.count(entry.head),
        claims=entry.claims,
        payout=Tokens(entry.payout),
        epsilon_micro=terms.epsilon_micro,
        delta_pico=terms.delta_pico,
        sums=terms.sums,
        costs=terms.costs,
        spec=terms.spec,
        attester=terms.attester,
        forfeits=entry.forfeits,
        readiness=terms.readiness,
    )
