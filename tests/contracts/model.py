"""The contracts once more, in plain Python: what each call does or why it is refused, who owns what, what is spent.

Written from the rules, not from the Solidity; the state machine drives both and finds where they part.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from caduceus.kinds import Readiness, Stage
from caduceus.market.costs import Costs
from caduceus.market.ledger import JobTerms
from caduceus.market.standing import FORFEITED, UNKNOWN, Observation, Standing, after, day_of

NOBODY = "nobody"


class Refusal(Exception):
    """The contract would revert with the custom error of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass
class Complaint:
    """An open omission challenge."""

    round: int
    true: bool
    """Whether the receipt's leaf is in its place, so that the challenge can be answered."""
    deadline: int


@dataclass
class Job:
    """One job."""

    terms: JobTerms
    buyer: str
    coordinator: str
    stage: Stage
    deadline: int
    sites: list[str] = field(default_factory=list)
    rounds: list[list[str]] = field(default_factory=list)
    """Per round and seat: "good", "forged" or "empty"."""
    complaints: dict[int, Complaint] = field(default_factory=dict)
    amounts: list[int] = field(default_factory=list)
    payout: int = 0
    paid: set[int] = field(default_factory=set)
    stakes: set[str] = field(default_factory=set)
    bond: bool = False
    reserved: dict[int, str] = field(default_factory=dict)
    """The limited data sets of which the job holds a reservation, by seat."""
    observations: list[Observation] = field(default_factory=list)
    slashed: set[int] = field(default_factory=set)
    """Seats that the settlement names."""
    verdicts: list[Readiness] = field(default_factory=list)
    """What was stated of each seat's data set when it enrolled."""
    caught: dict[int, None] = field(default_factory=dict)
    """Seats that were shown to have signed two uploads for one round, in the order of showing."""
    recorded: set[int] = field(default_factory=set)

    @property
    def spent(self) -> int:
        return sum(self.amounts[seat] for seat in self.paid)

    @property
    def owed(self) -> int:
        """What the contract must hold for this job, beyond credits."""
        escrow = self.terms.price if Stage.FUNDED <= self.stage <= Stage.SETTLING else 0
        reward = self.payout - self.spent if self.stage is Stage.COMPLETED else 0
        return escrow + reward + len(self.stakes) * self.terms.stake + self.bond * self.terms.bond


@dataclass(frozen=True)
class Given:
    """What a settlement says: amounts and observations by seat, their sum as it is stated, whose stake is forfeited."""

    amounts: list[int]
    payout: int
    observations: list[Observation]
    slashed: tuple[int, ...]


@dataclass
class Limited:
    """A data set's privacy budget: every change of it, in epsilon and delta, reserved above zero and released below."""

    owner: str
    budget: tuple[int, int]
    moves: list[tuple[int, int]] = field(default_factory=list)
    offered: bool = True

    @property
    def spent(self) -> tuple[int, int]:
        return sum(move[0] for move in self.moves), sum(move[1] for move in self.moves)


class Model:
    """All jobs, what the contract owes to whom, and the budgets of data sets that have one."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, Job] = {}
        self.credits: dict[str, int] = defaultdict(int)
        self.purses: dict[str, int] = defaultdict(int)
        """What each party gained (or gave) since the beginning."""
        self.limited: dict[str, Limited] = {}
        """By a name of each data set's own; a party's name stands for its data set without a budget."""
        self.standing: dict[str, Standing] = defaultdict(lambda: UNKNOWN)
        self.verdicts: dict[str, Readiness] = defaultdict(lambda: Readiness.UNSTATED)
        """The newest of each data set."""

    @property
    def held(self) -> int:
        return sum(job.owed for job in self.jobs.values()) + sum(self.credits.values())

    # ------------------------------------------------------------ asking and paying

    def open(self, now: int, who: str, name: bytes, terms: JobTerms, coordinator: str) -> None:
        _require(name not in self.jobs, "JobKnown")
        self.jobs[name] = Job(terms, who, coordinator, Stage.OPEN, now + terms.enrol_for)

    def fund(self, now: int, who: str, name: bytes) -> None:
        job = self._in(name, Stage.OPEN)
        _require(who == job.buyer, "NotBuyer")
        _in_time(now, job.deadline)
        self._move(job, Stage.FUNDED, now + job.terms.enrol_for)
        self.purses[who] -= job.terms.price

    def open_and_fund(self, now: int, who: str, name: bytes, terms: JobTerms, coordinator: str) -> None:
        self.open(now, who, name, terms, coordinator)
        self.fund(now, who, name)

    def cancel(self, now: int, who: str, name: bytes) -> None:
        job = self._in(name, Stage.OPEN, Stage.FUNDED)
        _require(who == job.buyer, "NotBuyer")
        self._end(job, now)

    # ------------------------------------------------------------ taking part

    def accept(self, now: int, who: str, name: bytes) -> None:
        job = self._in(name, Stage.FUNDED)
        _require(who == job.coordinator, "NotCoordinator")
        _in_time(now, job.deadline)
        self._move(job, Stage.ENROLLING, now + job.terms.enrol_for)
        job.bond = True
        self.purses[who] -= job.terms.bond

    def enrol(self, now: int, who: str, name: bytes, dataset: str) -> None:
        job = self._in(name, Stage.ENROLLING)
        _in_time(now, job.deadline)
        _require(len(job.sites) < job.terms.max_sites, "SeatsTaken")
        _require(who not in job.sites, "AlreadySeated")
        self._reserve(job, who, dataset)
        job.verdicts.append(self.verdicts[dataset])
        job.sites.append(who)
        job.stakes.add(who)
        self.purses[who] -= job.terms.stake

    def _reserve(self, job: Job, who: str, dataset: str) -> None:
        limited = self._offered(who, dataset)
        _require(self.verdicts[dataset] >= job.terms.readiness, "ReadinessBelow")
        if job.terms.sums == 0:
            _require(limited is None, "ExactSumsRefused")
            return
        asked = (job.terms.epsilon_micro, job.terms.delta_pico)
        _require(limited is not None, "BudgetExceeded")
        assert limited is not None
        fits = all(one + more <= most for one, more, most in zip(limited.spent, asked, limited.budget, strict=True))
        _require(fits, "BudgetExceeded")
        limited.moves.append(asked)
        job.reserved[len(job.sites)] = dataset

    def withdraw_dataset(self, who: str, dataset: str) -> None:
        limited = self._offered(who, dataset)
        assert limited is not None
        limited.offered = False

    def _offered(self, who: str, dataset: str) -> Limited | None:
        limited = self.limited.get(dataset)
        _require(limited is None or limited.offered, "DatasetInactive")
        _require(who == (dataset if limited is None else limited.owner), "NotSteward")
        return limited

    def supersede_dataset(self, who: str, dataset: str, newest: bool) -> None:
        """The name stands for the new version from now on; what was spent stays spent.

        `newest` says whether it is the newest version that is superseded, and not one before it.
        """
        limited = self.limited[dataset]
        _require(who == limited.owner, "NotSteward")
        _require(newest, "AlreadySuperseded")
        limited.offered = True
        del self.verdicts[dataset]

    def state_readiness(self, who: str, dataset: str, verdict: int) -> None:
        _require(0 < verdict <= Readiness.READY, "VerdictUnknown")
        self._offered(who, dataset)
        self.verdicts[dataset] = Readiness(verdict)

    def release(self, who: str, name: bytes, seat: int, costs: Costs, sums: int) -> None:
        """`sums` of the table `costs`, which is the job's own."""
        job = self._in(name, Stage.REJECTED, Stage.EXPIRED)
        _require(seat < len(job.sites), "SeatUnknown")
        _require(who == job.sites[seat], "NotSite")
        _require(seat in job.reserved, "NothingReserved")
        _require(sums < costs.sums, "SumsOutOfRange")
        (epsilon, delta), (all_epsilon, all_delta) = costs.steps[sums], costs.steps[-1]
        self.limited[job.reserved.pop(seat)].moves.append((epsilon - all_epsilon, delta - all_delta))

    def start(self, now: int, who: str, name: bytes) -> None:
        job = self._in(name, Stage.ENROLLING)
        _require(who == job.coordinator, "NotCoordinator")
        _in_time(now, job.deadline)
        _require(len(job.sites) >= job.terms.min_sites, "SitesMissing")
        self._move(job, Stage.TRAINING, now + job.terms.train_for)

    # ------------------------------------------------------------ recording and settling

    def anchor(self, now: int, who: str, name: bytes, first: int, leaves: list[list[str]]) -> None:
        job = self._anchoring(now, who, name)
        _require(first == len(job.rounds), "RoundNotNext")
        _require(len(job.rounds) + len(leaves) <= job.terms.max_rounds, "RoundsOutOfRange")
        job.rounds += leaves

    def settle(self, now: int, who: str, name: bytes, given: Given, valid: list[bool]) -> None:
        """`valid` says of each signature, one per distinct seat, whether it is that seat's own."""
        job = self._anchoring(now, who, name)
        _require(bool(job.rounds), "NothingAnchored")
        _require(given.payout <= job.terms.price, "PayoutAbovePrice")
        _require(3 * len(valid) > 2 * len(job.sites), "QuorumMissing")
        _require(all(valid), "SignatureInvalid")
        for before, seat in zip((-1, *given.slashed), given.slashed, strict=False):
            _require(seat < len(job.sites), "SeatUnknown")
            _require(seat > before, "SeatsUnordered")
        job.amounts, job.payout = given.amounts, given.payout
        job.observations, job.slashed = given.observations, set(given.slashed)
        self._move(job, Stage.SETTLING, now + job.terms.challenge_for)

    def complete(self, now: int, name: bytes) -> None:
        job = self._in(name, Stage.SETTLING)
        _overdue(now, job.deadline)
        _require(not job.complaints, "ChallengesOpen")
        job.stage = Stage.COMPLETED
        self.credits[job.buyer] += job.terms.price - job.payout
        for seat in job.slashed:
            self._forfeit(job, job.sites[seat])

    def expire(self, now: int, name: bytes) -> None:
        job = self._in(name, Stage.OPEN, Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING)
        _overdue(now, job.deadline)
        self._end(job, now)

    # ------------------------------------------------------------ disputing

    def dispute(self, now: int, name: bytes, round_: int, seat: int) -> None:
        job = self._in(name, Stage.SETTLING)
        _in_time(now, job.deadline)
        leaf = job.rounds[round_][seat]
        _require(leaf != "empty", "LeafNotInRound")
        _require(leaf == "forged", "LeafWellSigned")
        self._reject(job, job.sites[seat])

    def challenge(self, now: int, who: str, name: bytes, round_: int, seat: int, true: bool) -> None:
        job = self._in(name, Stage.SETTLING)
        _in_time(now, job.deadline)
        _require(who == job.sites[seat], "NotSite")
        _require(seat not in job.complaints, "ChallengeOpen")
        job.complaints[seat] = Complaint(round_, true, now + job.terms.challenge_for)

    def answer(self, now: int, name: bytes, round_: int, seat: int, true: bool) -> None:
        """`true` says whether the leaf shown is the one in its place."""
        job = self._in(name, Stage.SETTLING)
        _require(seat in job.complaints, "ChallengeMissing")
        complaint = job.complaints[seat]
        _in_time(now, complaint.deadline)
        _require(true, "LeafNotInRound")
        _require(complaint.true and complaint.round == round_, "ChallengeDiffers")
        del job.complaints[seat]

    def uphold(self, now: int, name: bytes, seat: int) -> None:
        job = self._in(name, Stage.SETTLING)
        _require(seat in job.complaints, "ChallengeMissing")
        _overdue(now, job.complaints[seat].deadline)
        del job.complaints[seat]
        self._reject(job, job.sites[seat])

    # ------------------------------------------------------------ forfeiting and remembering

    def slash(self, name: bytes, seat: int, different: bool, signed: bool) -> None:
        """Two uploads of a seat for one round are shown: `different` ones or one twice, `signed` by it or not."""
        job = self.jobs.get(name)
        _require(job is not None and seat < len(job.sites), "SeatUnknown")
        assert job is not None
        _require(job.sites[seat] in job.stakes, "StakeGone")
        _require(different, "BodiesEqual")
        _require(signed, "SignatureInvalid")
        job.caught[seat] = None
        job.recorded.discard(seat)
        self._forfeit(job, job.sites[seat])

    def record(self, now: int, name: bytes, seat: int, proven: bool) -> None:
        """`proven` says whether the proof is of the seat's own observation, as it was settled."""
        job = self.jobs.get(name)
        _require(job is not None and seat < len(job.sites), "SeatUnknown")
        assert job is not None
        _require(seat not in job.recorded, "AlreadyRecorded")
        seen = FORFEITED
        if seat not in job.caught:
            _require(job.stage is Stage.COMPLETED, "WrongStage")
            if seat not in job.slashed:
                _require(proven, "ClaimUnknown")
                seen = job.observations[seat]
                _require(max(seen.good, seen.bad) <= FORFEITED.bad, "ObservationOutOfRange")
        job.recorded.add(seat)
        self.standing[job.sites[seat]] = after(self.standing[job.sites[seat]], seen, day_of(now))

    def _forfeit(self, job: Job, site: str) -> None:
        if site in job.stakes:
            job.stakes.remove(site)
            self.credits[NOBODY] += job.terms.stake

    # ------------------------------------------------------------ being paid

    def claim(self, who: str, name: bytes, amount: int, seat: int) -> None:
        """Of the claim at `seat`, for `amount`; 0 asks for stake and bond alone."""
        job = self._in(name, Stage.COMPLETED, *([] if amount else [Stage.REJECTED, Stage.EXPIRED]))
        stake = job.terms.stake if who in job.stakes else 0
        bond = job.terms.bond if job.bond and who == job.coordinator else 0
        _require(amount + stake + bond > 0, "NothingToClaim")
        if amount:
            own = seat < len(job.sites) and job.sites[seat] == who and job.amounts[seat] == amount
            _require(own, "ClaimUnknown")
            _require(seat not in job.paid, "ClaimPaid")
            _require(job.spent + amount <= job.payout, "PayoutExhausted")
            job.paid.add(seat)
        job.stakes.discard(who)
        if who == job.coordinator:
            job.bond = False
        self.purses[who] += amount + stake + bond

    def withdraw(self, who: str) -> None:
        _require(self.credits[who] > 0, "NothingToWithdraw")
        self.purses[who] += self.credits.pop(who)

    # ------------------------------------------------------------ rules

    def _in(self, name: bytes, *stages: Stage) -> Job:
        job = self.jobs.get(name)
        _require(job is not None and job.stage in stages, "WrongStage")
        assert job is not None
        return job

    def _anchoring(self, now: int, who: str, name: bytes) -> Job:
        job = self._in(name, Stage.TRAINING)
        _require(who == job.coordinator, "NotCoordinator")
        _in_time(now, job.deadline)
        return job

    def _move(self, job: Job, stage: Stage, deadline: int) -> None:
        job.stage, job.deadline = stage, deadline

    def _end(self, job: Job, now: int) -> None:
        if job.stage is not Stage.OPEN:
            self.credits[job.buyer] += job.terms.price
        job.stage = Stage.EXPIRED

    def _reject(self, job: Job, harmed: str) -> None:
        job.stage = Stage.REJECTED
        job.bond = False
        self.credits[job.buyer] += job.terms.price
        self.credits[harmed] += job.terms.bond


def _require(condition: bool, name: str) -> None:
    if not condition:
        raise Refusal(name)


def _in_time(now: int, deadline: int) -> None:
    _require(now <= deadline, "DeadlinePassed")


def _overdue(now: int, deadline: int) -> None:
    _require(now > deadline, "DeadlineAhead")
