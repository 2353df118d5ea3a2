"""Reading the suite: the `Chain` port over any node.

What the contracts keep in their state is read from the state; the rest is in events. Where an identifier is the
digest of an event's content, the event is checked against it, so a node cannot pass off other terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from caduceus.crypto import head, sign
from caduceus.edges.gateway import suite
from caduceus.edges.gateway.abi import Event, Log, forged, unhex
from caduceus.edges.gateway.deployment import Deployment, check
from caduceus.edges.gateway.node import Node
from caduceus.edges.gateway.offers import TOLD_BY, read_offers, sharing
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Seat, Stage, Tokens
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
from caduceus.market.standing import Standing

_DROPPED = 128
"""Blocks, more than a chain ever drops: after a reorganisation a job may be opened that much earlier than it was."""


@final
class GatewayChain:
    """The suite at a deployment, read through a node.

    Raises Refused on creation if the node is on another chain, or has other code at the addresses.
    """

    def __init__(self, node: Node, deployment: Deployment) -> None:
        check(node, deployment)
        self._node = node
        self._at = deployment
        self._domain = sign.domain_separator(deployment.chain_id, deployment.jobs)
        self._digests: dict[bytes, tuple[Digest, Digest]] = {}
        self._born: dict[bytes, int] = {}

    @property
    def domain(self) -> bytes:
        """EIP-712 domain separator of the Jobs contract, 32 bytes."""
        return self._domain

    def now(self) -> int:
        """Timestamp of the newest block, Unix seconds."""
        return int(self._node.newest()["timestamp"], 16)

    # ------------------------------------------------------------ members and data sets

    def member(self, account: Address) -> Member | None:
        """The member at `account`, or None."""
        ((roles, signer, agreement_key),) = self._node.call(self._at.members, suite.MEMBERS["member"], account)
        if roles == 0:
            return None
        return Member(account, Role(roles), Address(unhex(signer)), agreement_key)

    def entity_of(self, attester: Address, account: Address) -> Digest | None:
        """The legal entity that an account is in an attester's word, or None."""
        (entity,) = self._node.call(self._at.vouches, suite.VOUCHES["entityOf"], attester, account)
        return Digest(entity) if any(entity) else None

    def status_root(self, issuer: Address) -> Digest | None:
        """The digest of an issuer's newest status list of credentials, or None."""
        (root,) = self._node.call(self._at.statuses, suite.STATUSES["rootOf"], issuer)
        return Digest(root) if any(root) else None

    def standing(self, token: int) -> Standing:
        """What is known of a party, as of the day on which it was last written."""
        ((good, bad, day),) = self._node.call(self._at.standing, suite.STANDING["tally"], token)
        return Standing(good, bad, day)

    def dataset(self, dataset: Digest) -> DatasetEntry | None:
        """A data set as it stands, or None."""
        entries = self._datasets(dataset)
        return entries[0] if entries else None

    def datasets(self) -> Sequence[DatasetEntry]:
        """Every data set ever registered, in order of registration, as it stands now."""
        return self._datasets(None)

    def _datasets(self, wanted: Digest | None, steward: Address | None = None) -> list[DatasetEntry]:
        """All data sets, or the one wanted, or those of one steward."""
        whose = None if steward is None else steward.rjust(32, b"\0")
        logs = self._node.logs(self._at.datasets, TOLD_BY, wanted, whose, since=self._at.block)
        return read_offers(logs, self._spent)

    def _spent(self, dataset: Digest) -> tuple[int, int]:
        ((*_, epsilon_spent, delta_spent),) = self._node.call(self._at.datasets, suite.DATASETS["dataset"], dataset)
        return epsilon_spent, delta_spent

    def budget_moves(self, dataset: Digest) -> Sequence[BudgetMove]:
        """What jobs reserved of a data set's privacy budget and gave back, in order; none without a budget.

        Data sets of the same steward and records have one budget, and so have their versions: theirs are among them.
        """
        own = self.dataset(dataset)
        if own is None or not own.delta_pico:
            return []
        events = reserved, released = [suite.DATASET_EVENTS[name] for name in ("BudgetReserved", "BudgetReleased")]
        names = sharing(own, self._datasets(None, own.steward))
        moves = []
        for log in self._node.logs(self._at.datasets, events, names, since=self._at.block):
            back = released.is_in(log)
            _, job, epsilon_micro, delta_pico = (released if back else reserved).read(log)
            moves.append(BudgetMove(JobId(job), epsilon_micro, delta_pico, back))
        return moves

    # ------------------------------------------------------------ jobs

    def jobs(self) -> Sequence[JobId]:
        """Every job ever opened, oldest first."""
        return [JobId(values[0]) for values in self._job_events("JobOpened", None)]

    def job(self, job: JobId) -> JobEntry | None:
        """A job as it stands, or None."""
        (fields,) = self._node.call(self._at.jobs, suite.JOBS["job"], job)
        coordinator, stage, deadline, max_rounds, sites, min_sites, buyer, price, token, stake, bond = fields[:11]
        max_sites, *durations = fields[11:15]
        sums, readiness, signer, payout, rolling, claims = fields[17:23]
        epsilon_micro, delta_pico, forfeits, attester = fields[24:28]
        if stage == Stage.NONE:
            return None
        limits = (min_sites, max_sites, max_rounds)
        privacy = (epsilon_micro, delta_pico, sums)
        parties = (token, price, coordinator, attester)
        opened = self._opened(job, buyer, (*parties, stake, bond, *limits, *durations, readiness, *privacy))
        return JobEntry(
            id=job,
            buyer=Address(unhex(buyer)),
            coordinator=Address(unhex(coordinator)),
            coordinator_signer=Address(unhex(signer)),
            token=Address(unhex(token)),
            price=Tokens(price),
            stake=Tokens(stake),
            bond=Tokens(bond),
            min_sites=min_sites,
            max_sites=max_sites,
            max_rounds=max_rounds,
            stage=Stage(stage),
            deadline=deadline,
            sites=sites,
            head=Digest(rolling),
            rounds=head.count(rolling),
            claims=Digest(claims),
            payout=Tokens(payout),
            epsilon_micro=epsilon_micro,
            delta_pico=delta_pico,
            sums=sums,
            costs=opened[0],
            spec=opened[1],
            attester=Address(unhex(attester)),
            forfeits=forfeits,
            readiness=Readiness(readiness),
        )

    def _opened(self, job: JobId, buyer: str, terms: tuple[object, ...]) -> tuple[Digest, Digest]:
        """The root of the costs and the digest of the specification.

        The state keeps all terms but these two; the event has them, and the id commits to all of them.
        """
        if job not in self._digests:
            event = suite.JOB_EVENTS["JobOpened"]
            logs = self._job_logs([event], job)
            if not logs:
                raise Unavailable(
                    f"the node has no log of the opening of job 0x{job.hex()}; ask one that keeps old logs"
                )
            costs, spec = event.read(logs[0])[3:]
            if suite.job_id(buyer, (*terms, costs, spec)) != job:
                raise forged(event, job)
            self._born[job] = max(int(logs[0]["blockNumber"], 16) - _DROPPED, self._at.block)
            self._digests[job] = Digest(costs), Digest(spec)
        return self._digests[job]

    def enrolments(self, job: JobId) -> Sequence[Enrolment]:
        """The job's seats, in their order."""
        return [
            Enrolment(
                seat=Seat(seat),
                site=Address(unhex(site)),
                dataset=Digest(dataset),
                signer=Address(unhex(signer)),
                agreement_key=key,
                entity=Digest(entity),
                readiness=Readiness(verdict),
            )
            for _, seat, site, dataset, signer, key, entity, verdict in self._job_events("SiteEnrolled", job)
        ]

    def beacon(self, job: JobId) -> Digest:
        """The hash of the block in which the enrolment closed."""
        event = suite.JOB_EVENTS["JobStarted"]
        logs = self._job_logs([event], job)
        if not logs:
            raise Refused(f"job 0x{job.hex()} has not started; there is no block to draw from")
        if event.read(logs[-1])[0] != job:
            raise forged(event, job)
        return Digest(unhex(logs[-1]["blockHash"]))

    def anchors(self, job: JobId) -> Sequence[Anchor]:
        """The job's rounds, in their order."""
        return [
            Anchor(round_, Digest(root), Digest(model), Digest(record))
            for _, round_, root, model, record in self._job_events("RoundAnchored", job)
        ]

    def omissions(self, job: JobId) -> Sequence[Omission]:
        """The challenges that wait for an answer, in the order of seats."""
        raised, *closed = (
            suite.JOB_EVENTS[name] for name in ("OmissionChallenged", "OmissionAnswered", "OmissionUpheld")
        )
        waiting: dict[int, Omission] = {}
        for log in self._job_logs([raised, *closed], job):
            if raised.is_in(log):
                _, seat, round_, leaf, deadline = raised.read(log)
                waiting[seat] = Omission(Seat(seat), round_, Digest(leaf), deadline)
            else:
                event = closed[0] if closed[0].is_in(log) else closed[1]
                del waiting[event.read(log)[1]]
        return [waiting[seat] for seat in sorted(waiting)]

    def claims(self, job: JobId) -> Sequence[Claimed]:
        """What was pulled from the job, in order."""
        return [
            Claimed(Address(unhex(account)), Tokens(amount), Tokens(returned))
            for _, account, amount, returned in self._job_events("Claimed", job)
        ]

    def slashed(self, job: JobId) -> Sequence[Seat]:
        """The seats whose stake the settlement forfeits, in rising order."""
        return [Seat(seat) for values in self._job_events("JobSettled", job) for seat in values[-1]]

    def equivocations(self, job: JobId) -> Sequence[Equivocated]:
        """The seats that were shown to have signed two uploads for one round, in the order of showing."""
        return [Equivocated(Seat(seat), round_) for _, seat, round_, *_ in self._job_events("SeatEquivocated", job)]

    def recorded(self, job: JobId) -> Sequence[Seat]:
        """The seats of which the job was entered in the site's standing, in the order of entering."""
        return [Seat(seat) for _, seat, *_ in self._job_events("StandingRecorded", job)]

    def settlement_signatures(self, job: JobId) -> Sequence[tuple[Seat, bytes]]:
        """The quorum's signatures, from the transaction that settled; none if the job is not settled.

        Raises Refused if the coordinator settled through another contract: then they are not in plain sight.
        """
        logs = self._job_logs([suite.JOB_EVENTS["JobSettled"]], job)
        if not logs:
            return ()
        sent = self._node.record_or_none("eth_getTransactionByHash", [logs[-1]["transactionHash"]])
        if sent is None or not isinstance(sent.get("input"), str):
            raise Unavailable(
                f"the node has no transaction {logs[-1]['transactionHash']}; ask one that keeps old transactions"
            )
        *_, seats, signatures = suite.JOBS["settle"].arguments(unhex(sent["input"]))
        return [(Seat(seat), signature) for seat, signature in zip(seats, signatures, strict=True)]

    # ------------------------------------------------------------ money

    def balance(self, token: Address, account: Address) -> Tokens:
        """What an account holds of an ERC-20."""
        (amount,) = self._node.call(token, suite.TOKEN["balanceOf"], account)
        return Tokens(amount)

    def credit(self, token: Address, account: Address) -> Tokens:
        """What the Jobs contract owes an account beyond claims: refunds and forfeits."""
        (amount,) = self._node.call(self._at.jobs, suite.JOBS["credit"], token, account)
        return Tokens(amount)

    def _job_events(self, name: str, job: JobId | None) -> list[tuple[Any, ...]]:
        event = suite.JOB_EVENTS[name]
        return [event.read(log) for log in self._job_logs([event], job)]

    def _job_logs(self, events: Sequence[Event], job: JobId | None) -> list[Log]:
        """Nothing is said of a job before it is opened: what is older is not searched again."""
        since = self._at.block if job is None else self._born.get(job, self._at.block)
        return self._node.logs(self._at.jobs, events, job, since=since)
