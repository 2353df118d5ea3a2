"""A stranger's check of a whole job, from the chain and the public transcript alone.

Every claim is checked in order and carries the word for how: *signed*, *re-executed*, or *not checked*,
and says which parties together could make it false without being found out. The first claim that does
not hold ends the audit of that job; what comes after it is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from caduceus import canon
from caduceus.crypto import head, sign
from caduceus.data.card import Card, lendable, matches
from caduceus.data.card_reading import read_card
from caduceus.data.policy import judge, read_terms, show_micro
from caduceus.errors import Error, Refused
from caduceus.kinds import PICO, Digest, Evidence, JobId, Stage, Tokens
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import Phase
from caduceus.market.ledger import Anchor, BudgetMove, Claimed, DatasetEntry, Enrolment, JobEntry
from caduceus.market.settlement import Settlement
from caduceus.market.specification import JobSpec, Privacy
from caduceus.market.terms import ask_of, costs_of, terms_of
from caduceus.market.terms import difference as terms_difference
from caduceus.market.work import Work, work_of
from caduceus.protocol.audit_budget import charge, check_within, last_sums
from caduceus.protocol.audit_readiness import check_ready
from caduceus.protocol.audit_rounds import Again
from caduceus.protocol.gram_audit import GramAgain
from caduceus.protocol.gram_for import ground_of
from caduceus.protocol.round_record import Fetch, RoundRecord, participation, read_record, settled_by
from caduceus.protocol.secagg_plan import threshold_for
from caduceus.protocol.session_for import Grounds


@dataclass(frozen=True, slots=True)
class Check:
    """One claim of an audit.

    holds   None if it was not checked
    detail  what was looked at, or what does not fit
    breaks  which parties together could make it false without being found out
    """

    claim: str
    word: Evidence
    holds: bool | None
    detail: str
    breaks: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What a stranger found out about one job."""

    label: str
    job: JobId
    checks: tuple[Check, ...]

    @property
    def passes(self) -> bool:
        """Whether no claim was found false, and at least one was found true."""
        return self.first_failure is None and any(check.holds for check in self.checks)

    @property
    def first_failure(self) -> Check | None:
        """The first claim that does not hold."""
        return next((check for check in self.checks if check.holds is False), None)


@dataclass(frozen=True, slots=True)
class ChainView:
    """What the chain says of one job, as read by the auditor.

    beacon                 hash of the block in which the enrolment closed; zeros if it has not
    settlement_signatures  what the settling transaction carried: seats and signatures; empty if not settled
    budgets                everything that any job did to the privacy budget of each seat's data set, in order
    slashed                seats whose stake the settlement forfeits, in rising order
    equivocated            seats that were shown to the contract to have signed two uploads for one round
    """

    domain: bytes
    beacon: Digest
    entry: JobEntry
    enrolments: tuple[Enrolment, ...]
    datasets: tuple[DatasetEntry, ...]
    anchors: tuple[Anchor, ...]
    claims: tuple[Claimed, ...]
    settlement_signatures: tuple[tuple[int, bytes], ...]
    budgets: tuple[tuple[BudgetMove, ...], ...]
    slashed: tuple[int, ...] = ()
    equivocated: frozenset[int] = frozenset()


OnStep = Callable[[str], None]


def audit_job(label: str, view: ChainView, fetch: Fetch, on_step: OnStep) -> Audit:
    """Check everything about a job that can be checked without anyone's help.

    fetch    gives public blobs; every blob that the job needs is fetched at least once
    on_step  told what is being looked at

    Never raises for what it finds: that is in the checks.
    """
    work = _Work(view, fetch, on_step)
    checks: list[Check] = []
    for claim, word, breaks, look in work.plan():
        if any(check.holds is False for check in checks):
            checks.append(Check(claim, Evidence.NOT_CHECKED, None, "an earlier claim does not hold", breaks))
            continue
        on_step(claim)
        try:
            checks.append(Check(claim, word, True, look(), breaks))
        except Error as problem:
            checks.append(Check(claim, word, False, str(problem), breaks))
    checks += [Check(claim, Evidence.NOT_CHECKED, None, why, breaks) for claim, why, breaks in work.open()]
    return Audit(label, view.entry.id, tuple(checks))


_RECORDS = (
    "The sites used the records that they committed to",
    "a commitment binds a site to its records; that it used them, only the site knows",
    "any single site",
)
_EXACT = (
    "What is opened reveals nothing about a patient",
    "this job opens exact sums without differential privacy",
    "anyone who reads the model",
)

_UPLOADS = "Every upload was signed by its site and stands under its round's root"
_FAULTS = "Nobody is named for breaking the protocol who did nothing of the kind"

_Look = Callable[[], str]


@dataclass(slots=True)
class _Work:
    """One audit in progress: what earlier claims established is used by later ones."""

    view: ChainView
    fetch: Fetch
    on_step: OnStep
    spec: JobSpec = field(init=False)
    is_judged: bool = False
    privacy: Privacy | None = None
    task: Work = field(init=False)
    cards: list[Card] = field(default_factory=list)
    records: list[RoundRecord] = field(default_factory=list)
    again: Again | GramAgain = field(init=False)
    settled: Settlement = field(init=False)

    def plan(self) -> Iterator[tuple[str, Evidence, str, _Look]]:
        """The claims in order; what the first one finds out decides which others there are."""
        done, said, nobody = Evidence.RE_EXECUTED, Evidence.SIGNED, "nobody"
        yield "The job is the one that its buyer specified", done, nobody, self.specification
        yield from (
            ("Every seat is held by a registered data set with its card and terms", done, nobody, self.datasets),
            ("Every data set's terms allow the job", done, nobody, self.terms),
            (
                "Every data set's steward had stated it as ready as the job asks when its site enrolled",
                said,
                "the steward itself, whose word a verdict is",
                self.readiness,
            ),
            ("Everything that the job opens is worth the epsilon that it states", done, nobody, self.epsilon),
            ("The rounds are those on the chain, all of them, in order", done, nobody, self.anchors),
        )
        yield from self._rounds_judged() if self.is_judged else self._rounds_summed()
        yield from (
            (
                "Every data set's budget bore the job, and was charged for what was opened",
                done,
                "a coordinator that opened sums and hid them, with a site that states fewer",
                self.budgets,
            ),
            ("The job ended as it should", done, "the coordinator, by stopping early", self.ending),
            ("A quorum of sites signed the settlement", said, "two thirds of the sites", self.quorum),
            ("The amounts follow from the cards and the rounds", done, nobody, self.settlement),
            ("The money adds up", done, nobody, self.money),
        )

    def _rounds_summed(self) -> Iterator[tuple[str, Evidence, str, _Look]]:
        done, said, nobody = Evidence.RE_EXECUTED, Evidence.SIGNED, "nobody"
        return iter(
            (
                (
                    "Every set-up's keys are vouched for by their sites, and its committee stands by its outcome",
                    said,
                    "two thirds of the committee",
                    self.setups,
                ),
                (_UPLOADS, said, "the site itself", self.uploads),
                ("Every sum is what the masked uploads and the opened shares give", done, nobody, self.sums),
                (_FAULTS, done, "the coordinator, where nothing is signed", self.faults),
            )
        )

    def _rounds_judged(self) -> Iterator[tuple[str, Evidence, str, _Look]]:
        done, said, nobody = Evidence.RE_EXECUTED, Evidence.SIGNED, "nobody"
        return iter(
            (
                ("Every round stands on the parties that the chain and the job name", done, nobody, self.setups),
                (_UPLOADS, said, "the site itself", self.uploads),
                (
                    "Every inner product was checked by the aggregators, each by another than made it",
                    said,
                    "two of the three aggregators",
                    self.products,
                ),
                (
                    "Weights, sums, models and pay follow from the inner products, the uploads and the opened shares",
                    done,
                    nobody,
                    self.sums,
                ),
                (_FAULTS, done, "two of the three aggregators", self.faults),
            )
        )

    def open(self) -> Sequence[tuple[str, str, str]]:
        """What no transcript can show: claim, why not, and who could break it."""
        privacy = self.privacy
        if privacy is None:
            return _RECORDS, _EXACT
        noise = (
            "Every sum carries the noise that is stated, and no patient more than the stated part of it",
            f"clipping and noise are under the masks; noise of up to {privacy.missing_percent} % of the sites may be "
            "missing without harm",
            "more sites than that, for their patients and all others; a single site for its own patients",
        )
        return _RECORDS, noise

    # ------------------------------------------------------------ the claims

    def specification(self) -> str:
        """The specification's digest, amounts and limits are those under the job's identifier."""
        entry = self.view.entry
        self.spec = canon.unpack(JobSpec, self.fetch(entry.spec))
        self.privacy = self.spec.privacy
        self.task = work_of(self.spec)
        self.is_judged = self.spec.judging is not None
        terms = terms_of(self.spec, self.task.max_rounds, token=entry.token, coordinator=entry.coordinator)
        found = terms_difference(terms, entry)
        if found is not None:
            raise Refused(f"the specification and the chain name different values of {found}")
        return f"specification {entry.spec.hex()[:16]} is under the job's identifier, with every amount and deadline"

    def datasets(self) -> str:
        """Every seat's data set is its steward's own, and card, commitment and schema fit together."""
        for enrolment, dataset in zip(self.view.enrolments, self.view.datasets, strict=True):
            where = f"seat {enrolment.seat}"
            if dataset.id != enrolment.dataset or dataset.steward != enrolment.site:
                raise Refused(f"{where}: its data set is another steward's")
            card = read_card(self.fetch(dataset.card))
            terms = read_terms(self.fetch(dataset.terms))
            budget = lendable(card, terms.budget_micro, terms.delta_pico)
            if budget != (dataset.budget_micro, dataset.delta_pico):
                raise Refused(f"{where}: its terms, less what its card spent, and the chain name different budgets")
            if dataset.previous is not None and any(one.counts is not None for one in card.columns):
                raise Refused(
                    f"{where}: a later version's card has counts, and its budget was set before they were made"
                )
            if card.commitment != dataset.commitment:
                raise Refused(f"{where}: the card and the chain name different commitments")
            if not matches(card, self.spec.schema):
                raise Refused(f"{where}: its card describes data of another meaning than the job asks for")
            self.cards.append(card)
        return f"{len(self.cards)} cards, their commitments and the job's schema fit together"

    def terms(self) -> str:
        """Every data set's terms are judged again."""
        ask = ask_of(self.spec, self.view.entry.buyer)
        for enrolment, dataset in zip(self.view.enrolments, self.view.datasets, strict=True):
            verdict = judge(read_terms(self.fetch(dataset.terms)), ask)
            if not verdict.allowed:
                raise Refused(f"seat {enrolment.seat}: {'; '.join(verdict.reasons)}")
        return f"{len(self.view.datasets)} terms judged again"

    def readiness(self) -> str:
        """The verdicts that the chain told at the enrolments are compared with the specification's least."""
        return check_ready(self.view.enrolments, self.spec.readiness)

    def epsilon(self) -> str:
        """The accountant adds up the noise of everything that is opened, and gives the table under the job's costs."""
        costs = costs_of(self.spec)
        if costs is None:
            return "the job opens exact sums and states none"
        shown = show_micro(costs.whole.epsilon_micro)
        return f"epsilon {shown} at delta {costs.whole.delta_pico / PICO:g} for {costs.sums} sums, as on the chain"

    def anchors(self) -> str:
        """The anchored rounds fold to the chain's head, and every record follows the one before."""
        entry, anchors = self.view.entry, self.view.anchors
        links = [(anchor.root, anchor.model, anchor.record) for anchor in anchors]
        start = head.start(entry.id, len(self.view.enrolments))
        if anchors and head.fold(start, links) != entry.head:
            raise Refused("the anchored rounds do not lead to the chain's head")
        before = canon.digest(self.task.opening())
        if anchors:
            self.fetch(before)
        for number, anchor in enumerate(anchors):
            self.on_step(f"record of round {number}")
            record = read_record(anchor, entry.id, self.fetch)
            if record.round != number or record.before != before:
                raise Refused(f"round {number}: its record does not follow the round before it")
            before = record.after
            self.records.append(record)
        return f"{len(anchors)} rounds under head {entry.head.hex()[:16]}"

    def setups(self) -> str:
        """Every set-up, or the parties of judged rounds, are those that the chain gives."""
        view = self.view
        if isinstance(self.task, JudgedProgram):
            signer = view.entry.coordinator_signer
            ground = ground_of(view.entry.id, view.domain, signer, view.enrolments, self.spec)
            self.again = GramAgain(ground, self.task, self.fetch, self.on_step, self.task.opening())
        else:
            grounds = Grounds(
                job=view.entry.id,
                domain=view.domain,
                beacon=view.beacon,
                coordinator_signer=view.entry.coordinator_signer,
                enrolments=view.enrolments,
                spec=self.spec,
            )
            self.again = Again(grounds, self.task, self.fetch, self.on_step, self.task.opening())
        return self.again.begin(self.records)

    def uploads(self) -> str:
        """Every upload's signature is checked, and the leaves give the anchored root."""
        self.again.read_rounds(self.records, self.view.anchors)
        return f"{self.again.signatures} signatures in {len(self.records)} rounds"

    def sums(self) -> str:
        """Every sum was recomputed from masked uploads and opened shares, and every model from its sum."""
        again = self.again
        if again.sum_problem is not None:
            raise again.sum_problem
        rest = f", {again.near} to within 1e-9" if again.near else ""
        return f"{again.exact} models bit for bit{rest}; {again.failed} rounds without a sum"

    def faults(self) -> str:
        """Every message for which a site was named is read again."""
        return self.again.recheck(self.records)

    def products(self) -> str:
        """Three verdicts stand in every round; the check itself needs shares, which nobody shows."""
        opened = sum(not record.failure for record in self.records)
        return f"three signed verdicts in each of {opened} rounds that opened a sum"

    def budgets(self) -> str:
        """Every seat's data set reserved what the job states, stayed within its budget, gave back no more than it may.

        A data set that gave nothing back is charged for the whole run.
        """
        view = self.view
        for enrolment, dataset, moves in zip(view.enrolments, view.datasets, view.budgets, strict=True):
            check_within(f"seat {enrolment.seat}", dataset, moves)
        costs, opened = costs_of(self.spec), self.again.exact + self.again.near
        last = last_sums(self.records)
        charged = [
            charge(
                f"seat {enrolment.seat}",
                [move for move in moves if move.job == view.entry.id],
                costs,
                last.get(enrolment.seat, 0),
            )
            for enrolment, moves in zip(view.enrolments, view.budgets, strict=True)
        ]
        most = show_micro(max(charged, default=0))
        return f"{opened} sums were opened; {len(charged)} data sets are charged an epsilon of at most {most}"

    def ending(self) -> str:
        """A settled job is one whose learning was done."""
        stage = self.view.entry.stage
        if stage in (Stage.SETTLING, Stage.COMPLETED) and self.again.state.phase is not Phase.DONE:
            raise Refused("the job was settled before its learning was done")
        done = "done" if self.again.state.phase is Phase.DONE else "not done"
        return f"the job is {stage.name.lower()}; its learning is {done}"

    def quorum(self) -> str:
        """The signatures in the settling transaction are checked against the enrolled signers."""
        entry = self.view.entry
        if entry.stage not in (Stage.SETTLING, Stage.COMPLETED):
            return "nothing was settled"
        struct = sign.Settlement(entry.id, entry.head, entry.claims, entry.payout, self.view.slashed)
        digest = sign.digest(self.view.domain, struct)
        signers = {enrolment.seat: enrolment.signer for enrolment in self.view.enrolments}
        agreed = set()
        for seat, signature in self.view.settlement_signatures:
            if seat not in signers or not sign.verify(signers[seat], digest, signature):  # type: ignore[index]
                raise Refused(f"the settlement carries a signature that is not seat {seat}'s")
            agreed.add(seat)
        needed = threshold_for(len(signers))
        if len(agreed) < needed:
            raise Refused(f"only {len(agreed)} sites signed the settlement, {needed} are needed")
        return f"{len(agreed)} of {len(signers)} sites"

    def settlement(self) -> str:
        """Amounts, observations and forfeited stakes are computed again from cards and rounds."""
        entry = self.view.entry
        parts = participation(self.view.enrolments, self.records, self.cards, self.again.state)
        self.settled = settled_by(entry, self.spec, parts, self.records)
        if entry.stage not in (Stage.SETTLING, Stage.COMPLETED):
            return "nothing was settled"
        if (self.settled.root, self.settled.payout) != (entry.claims, entry.payout):
            raise Refused("the settled amounts are not those that the cards and the rounds give")
        if self.settled.slashed != self.view.slashed:
            raise Refused("the settlement takes the stakes of other seats than the rounds show to be at fault")
        return f"{self.settled.payout} units over {sum(amount > 0 for amount in self.settled.amounts)} payees"

    def money(self) -> str:
        """Nobody pulled anything but what was settled and its own deposit, and nobody a forfeited stake."""
        entry = self.view.entry
        owed = dict(zip(self.settled.accounts, self.settled.amounts, strict=True))
        lost = self.view.equivocated | set(self.view.slashed if entry.stage is Stage.COMPLETED else ())
        deposits = {enrolment.site: entry.stake for enrolment in self.view.enrolments if enrolment.seat not in lost}
        deposits[entry.coordinator] = Tokens(deposits.get(entry.coordinator, 0) + entry.bond)
        paid = Tokens(0)
        seen = set()
        for claim in self.view.claims:
            due = owed.get(claim.account, Tokens(0)) if entry.stage is Stage.COMPLETED else Tokens(0)
            if claim.account in seen or claim.amount not in (0, due) or claim.returned > deposits.get(claim.account, 0):
                raise Refused(f"0x{claim.account.hex()} pulled something else than it was owed")
            seen.add(claim.account)
            paid = Tokens(paid + claim.amount)
        if paid > entry.payout:
            raise Refused("more was pulled than was settled")
        return f"{paid} of {entry.payout} units pulled, {entry.price - entry.payout} back to the buyer"
