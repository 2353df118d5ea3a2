"""The contracts and a plain Python model of them, driven side by side: they never part, no money comes or goes.

What is spent of a privacy budget is what was reserved less what was given back, and never more than the budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import NOBODY, Given, Job, Limited, Model, Refusal

from caduceus.crypto import merkle, sign
from caduceus.edges.gateway import Reverted, suite
from caduceus.errors import Refused
from caduceus.kinds import MICRO, JobId, Readiness, Seat, Stage, Tokens
from caduceus.market import ledger
from caduceus.market.costs import Costs
from caduceus.market.job import FINAL, Move, after
from caduceus.market.ledger import NO_ENTITY, JobTerms
from caduceus.market.settlement import observation_leaf_data
from caduceus.market.slashing import Equivocation
from caduceus.market.standing import NOTHING, UNPROVEN, Observation, Showing, token_of
from suite_world import Party, Play, World, call, digest, embedded_world, leaf_data
from thorough import IS_THOROUGH

SITES = ("site-0", "site-1", "site-2", "site-3")
BUYERS = ("buyer", "site-3")
COORDINATORS = ("coordinator", "site-0")
PARTIES = ("buyer", "coordinator", *SITES)
LEAVES = ("good", "good", "good", "good", "empty", "forged")

jobs = st.integers(0, 8)
"""Which of three jobs: 0 to 2 as they are, others one that is in the right stage, if there is one (see `aim`)."""
parties = st.sampled_from(PARTIES)
rightly = st.sampled_from([True, True, True, True, False])
usually = st.sampled_from([True, True, False])
seats = st.integers(0, 3)
rounds = st.integers(0, 2)
reaches = st.sampled_from([Stage.OPEN, Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING, Stage.SETTLING, Stage.SETTLING])
tables = st.sampled_from([None, Costs(((0, 0), (2, 1), (3, 1), (4, 3))), Costs(((0, 0), (5, 5)))])
"""What a job spends, sum by sum; None is exact sums."""
UNSPENT = Costs(((0, 0), (1, 1)))
"""What a site shows of a job that opens exact sums and so reserved nothing."""
BUDGET = (9, 7)
"""What each site's limited data set can bear: a job or two."""
leaves = st.lists(st.sampled_from(LEAVES), min_size=4, max_size=4)
slashes = st.sampled_from([(), (), (), (0,), (1,), (0, 2), (1, 2, 3), (1, 0)])
showings = st.lists(
    st.sampled_from([NOTHING, Observation(MICRO, 0), Observation(300_000, 700_000), Observation(MICRO + 1, 0)]),
    min_size=4,
    max_size=4,
)


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    """Small numbers, so that limits and deadlines are met often."""
    least = draw(st.integers(1, 3))
    return {
        "price": Tokens(draw(st.sampled_from([1000, 7, 0]))),
        "stake": Tokens(draw(st.sampled_from([10, 0]))),
        "bond": Tokens(draw(st.sampled_from([50, 0]))),
        "min_sites": least,
        "max_sites": draw(st.integers(least, 4)),
        "max_rounds": draw(st.integers(1, 3)),
        "enrol_for": draw(st.integers(40, 100)),
        "train_for": draw(st.integers(40, 100)),
        "challenge_for": draw(st.integers(20, 60)),
        "costs": draw(tables),
        "readiness": Readiness(draw(st.sampled_from([0, 0, 0, 1, 2, 3]))),
    }


@dataclass
class Real:
    """What it takes to act on one job for real: its bytes and signatures."""

    terms: JobTerms
    buyer: str
    play: Play
    costs: Costs | None
    claims: merkle.Tree = field(default_factory=lambda: merkle.Tree([]))


def outcome(do: Callable[[], object]) -> str | None:
    """None if the contract did it, and the name of its reason if it refused."""
    try:
        do()
    except Reverted as refusal:
        return refusal.reason.name if refusal.reason is not None else "no reason given"
    return None


class Machine(RuleBasedStateMachine):
    """Three jobs at most, six parties, and a clock that moves a second with every step or jumps."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model()
        self.real: list[Real] = []
        token = world.deployment.token
        self.token = token
        for name in PARTIES:
            world.dataset(name)
        self.held = world.held()
        self.purses = {name: world.chain.balance(token, world.party(name).address) for name in PARTIES}
        self.addresses = {name: world.party(name).address for name in PARTIES} | {NOBODY: ledger.NOBODY}
        for name, address in self.addresses.items():
            self.model.credits[name] = world.chain.credit(token, address)
        for name in SITES:
            self.model.standing[name] = world.chain.standing(token_of(self.addresses[name]))
        self.base = self.held - self.model.held
        self.limited = {f"{name}'s limited": world.limited(name, *BUDGET) for name in SITES}
        self.versions = {name: [dataset] for name, dataset in self.limited.items()}
        for name in PARTIES:
            entry = world.chain.dataset(world.dataset(name))
            assert entry is not None
            self.model.verdicts[name] = entry.readiness
        self.model.limited = {f"{name}'s limited": Limited(name, BUDGET) for name in SITES}

    # ------------------------------------------------------------ both sides at once

    def act(self, move: Move | None, number: int, expect: Callable[[int], None], do: Callable[[], object]) -> bool:
        """Run the contract and the model at the same second; both do it, or both refuse for the same reason."""
        now = self.world.now() + 1
        before = self.stage(number)
        try:
            expect(now)
            reason = None
        except Refusal as refusal:
            reason = refusal.name
        self.world.at_time(now)
        refusal = outcome(do)
        assert refusal == reason, f"the contract: {refusal or 'allowed'}; the model: {reason or 'allowed'}"
        if move is not None:
            self.compare_with_table(before, move, reason, number)
        return reason is None

    def compare_with_table(self, before: Stage, move: Move, reason: str | None, number: int) -> None:
        """The stage table that agents and documentation use says the same."""
        try:
            target = after(before, move)
        except Refused:
            assert reason in ("WrongStage", "JobKnown"), f"{move} from {before.name}: the table has no such move"
            return
        assert reason != "WrongStage", f"{move} from {before.name}: the table has it"
        if reason is None:
            assert self.stage(number) is target

    def stage(self, number: int) -> Stage:
        job = self.model.jobs.get(self.name(number))
        return Stage.NONE if job is None else job.stage

    def name(self, number: int) -> bytes:
        """The job's id; one that was never opened stands for those that are not there yet."""
        return self.real[number].play.id if number < len(self.real) else digest("never opened", number)

    def aim(self, number: int, *stages: Stage) -> int:
        """A job by its number, or for most numbers rather one that is in one of the stages."""
        order = [(number + offset) % 3 for offset in range(3)]
        fitting = [one for one in order if self.stage(one) in stages]
        return fitting[0] if number > 2 and fitting else order[0]

    def job(self, number: int) -> Job | None:
        return self.model.jobs.get(self.name(number))

    def party(self, name: str) -> Party:
        return self.world.party(name)

    def right_or(self, number: int, role: str, right: bool, other: str) -> str:
        """Who should act, or somebody."""
        job = self.job(number)
        return getattr(job, role) if right and job is not None else other

    # ------------------------------------------------------------ asking and paying

    @initialize(changes=terms(), reach=reaches, row=leaves)
    def first(self, changes: dict[str, Any], reach: Stage, row: list[str]) -> None:
        self.open(changes, "buyer", "coordinator", True, reach, row)

    @precondition(lambda self: len(self.real) < 3)
    @rule(
        changes=terms(),
        buyer=st.sampled_from(BUYERS),
        who=st.sampled_from(COORDINATORS),
        together=st.booleans(),
        reach=reaches,
        row=leaves,
    )
    def open(self, changes: dict[str, Any], buyer: str, who: str, together: bool, reach: Stage, row: list[str]) -> None:
        """A new job, which goes well until it reaches a stage."""
        costs: Costs | None = changes["costs"]
        others = {name: value for name, value in changes.items() if name != "costs"} | {
            "coordinator": self.party(who).address
        }
        given = self.world.terms(**others) if costs is None else self.world.private_terms(costs, **others)
        play = Play(self.world, sites=0, terms=given, id=self.party(buyer).wallet.job_id(given))
        self.real.append(Real(given, buyer, play, costs))
        number = len(self.real) - 1
        self.open_again(number, who, together)
        while self.stage(number) < reach and self.stage(number) not in FINAL:
            self.step(number, row)

    def open_again(self, number: int, who: str, together: bool) -> None:
        real = self.real[number]
        expect = self.model.open_and_fund if together else self.model.open
        self.act(
            None if together else Move.OPEN,
            number,
            lambda now: expect(now, real.buyer, real.play.id, real.terms, who),
            lambda: self.party(real.buyer).do("openAndFund" if together else "open", suite.terms_tuple(real.terms)),
        )

    @rule(number=jobs, together=st.booleans())
    def open_twice(self, number: int, together: bool) -> None:
        self.open_again(number % len(self.real), "nobody", together)

    @rule(number=jobs, right=rightly, other=parties)
    def fund(self, number: int, right: bool, other: str) -> None:
        number = self.aim(number, Stage.OPEN)
        who = self.right_or(number, "buyer", right, other)
        name = self.name(number)
        self.act(
            Move.FUND, number, lambda now: self.model.fund(now, who, name), lambda: self.party(who).do("fund", name)
        )

    @rule(number=jobs, right=rightly, other=parties)
    def cancel(self, number: int, right: bool, other: str) -> None:
        number = self.aim(number, Stage.OPEN, Stage.FUNDED)
        who = self.right_or(number, "buyer", right, other)
        name = self.name(number)
        wallet = self.party(who).wallet
        self.act(Move.CANCEL, number, lambda now: self.model.cancel(now, who, name), lambda: wallet.cancel(name))

    # ------------------------------------------------------------ taking part

    @rule(number=jobs, right=rightly, other=parties)
    def accept(self, number: int, right: bool, other: str) -> None:
        number = self.aim(number, Stage.FUNDED)
        who = self.right_or(number, "coordinator", right, other)
        name = self.name(number)
        wallet = self.party(who).wallet
        self.act(Move.ACCEPT, number, lambda now: self.model.accept(now, who, name), lambda: wallet.accept(name))

    @rule(number=jobs, who=st.sampled_from(SITES), other=st.sampled_from(PARTIES), right=rightly, fitting=usually)
    def enrol(self, number: int, who: str, other: str, right: bool, fitting: bool) -> None:
        """A site takes a seat with a data set of its own that has a budget if the job needs one, or with another."""
        number = self.aim(number, Stage.ENROLLING)
        name = self.name(number)
        job = self.job(number)
        needs_budget = job is not None and job.terms.sums > 0
        whose = self.dataset_of(who if right else other, needs_budget if fitting else not needs_budget)
        dataset = self.limited.get(whose) or self.world.dataset(whose)
        wallet = self.party(who).wallet
        expect = lambda now: self.model.enrol(now, who, name, whose)  # noqa: E731
        if self.act(Move.ENROL, number, expect, lambda: wallet.enrol(name, dataset)):
            self.real[number].play.sites += 1

    def dataset_of(self, owner: str, limited: bool) -> str:
        """The model's name of a party's data set."""
        return f"{owner}'s limited" if limited and owner in SITES else owner

    @rule(who=st.sampled_from(SITES), owner=st.sampled_from(SITES))
    def withdraw_dataset(self, who: str, owner: str) -> None:
        """A data set that is gone takes part no more; its reservations are still given back."""
        whose = self.dataset_of(owner, True)
        wallet = self.party(who).wallet
        self.act(
            None,
            0,
            lambda now: self.model.withdraw_dataset(who, whose),
            lambda: wallet.withdraw_dataset(self.limited[whose]),
        )

    @rule(who=st.sampled_from(SITES), right=rightly, other=st.sampled_from(SITES), newest=rightly, moved=st.booleans())
    def supersede_dataset(self, who: str, right: bool, other: str, newest: bool, moved: bool) -> None:
        """A newer version, of other records or the same; what was spent of the budget stays spent."""
        whose = self.dataset_of(who if right else other, True)
        versions = self.versions[whose]
        newest = newest or len(versions) == 1
        previous = versions[-1 if newest else -2]
        entry = self.world.chain.dataset(previous)
        assert entry is not None
        commitment = digest("version", next(self.world.nonce)) if moved else entry.commitment
        wallet, digests = self.party(who).wallet, (commitment, digest("card"), digest("newer terms"))
        done = self.act(
            None,
            0,
            lambda now: self.model.supersede_dataset(who, whose, newest),
            lambda: wallet.supersede_dataset(previous, *digests),
        )
        if done:
            self.limited[whose] = wallet.superseding_id(previous, *digests, *BUDGET)
            versions.append(self.limited[whose])

    @rule(
        who=st.sampled_from(SITES),
        right=rightly,
        other=st.sampled_from(SITES),
        limited=st.booleans(),
        verdict=st.integers(0, 4),
    )
    def state_readiness(self, who: str, right: bool, other: str, limited: bool, verdict: int) -> None:
        whose = self.dataset_of(who if right else other, limited)
        dataset = self.limited.get(whose) or self.world.dataset(whose)
        wallet = self.party(who).wallet
        self.act(
            None,
            0,
            lambda now: self.model.state_readiness(who, whose, verdict),
            lambda: wallet.state_readiness(dataset, digest("report", verdict), verdict),  # type: ignore[arg-type]
        )

    @rule(number=jobs, right=rightly, other=parties)
    def start(self, number: int, right: bool, other: str) -> None:
        number = self.aim(number, Stage.ENROLLING)
        who = self.right_or(number, "coordinator", right, other)
        name = self.name(number)
        wallet = self.party(who).wallet
        self.act(Move.START, number, lambda now: self.model.start(now, who, name), lambda: wallet.start(name))

    # ------------------------------------------------------------ recording and settling

    @rule(
        number=jobs,
        right=rightly,
        other=parties,
        shift=st.sampled_from([0, 0, 0, 0, -1, 1]),
        given=leaves,
        more=leaves,
        many=st.booleans(),
    )
    def anchor(
        self, number: int, right: bool, other: str, shift: int, given: list[str], more: list[str], many: bool
    ) -> None:
        number = self.aim(number, Stage.TRAINING)
        who = self.right_or(number, "coordinator", right, other)
        name, job = self.name(number), self.job(number)
        count = len(job.rounds) if job is not None else 0
        first = max(count + shift, 0)
        kinds = [row[: len(job.sites) if job is not None else 1] for row in ([given, more] if many else [given])]
        rows = [
            [self.leaf(number, first + offset, seat, kind) for seat, kind in enumerate(row)]
            for offset, row in enumerate(kinds)
        ]
        roots = [merkle.Tree([merkle.leaf(one) if one else merkle.EMPTY for one in row]).root for row in rows]
        entries = [(root, digest("model", first + i), digest("record", first + i)) for i, root in enumerate(roots)]
        asked = ("anchorMany", name, first, entries) if many else ("anchor", name, first, *entries[0])
        done = self.act(
            Move.ANCHOR,
            number,
            lambda now: self.model.anchor(now, who, name, first, kinds),
            lambda: self.party(who).do(*asked),
        )
        if done:
            self.real[number].play.leaves += rows

    def leaf(self, number: int, round_: int, seat: int, kind: str) -> bytes:
        """The bytes behind a leaf; a forged one holds a signature that nobody made."""
        job, name = self.job(number), self.name(number)
        if kind == "empty" or job is None or seat >= len(job.sites):
            return b""
        body = digest("body", round_, seat)
        return leaf_data(name, round_, seat, body, self.signature(number, round_, seat, kind))

    def signature(self, number: int, round_: int, seat: int, kind: str) -> bytes:
        job = self.job(number)
        assert job is not None
        if kind != "good":
            return b"\x01" * 65
        struct = sign.Upload(self.real[number].play.id, round_, seat, digest("body", round_, seat))
        return self.party(job.sites[seat]).signer.sign(sign.digest(self.world.chain.domain, struct))

    @rule(
        number=jobs,
        right=rightly,
        other=parties,
        missing=st.integers(0, 2),
        forged=st.sampled_from([False] * 4 + [True]),
        amounts=st.lists(st.sampled_from([0, 1, 2, 300]), min_size=4, max_size=4),
        payout=st.sampled_from([None, None, 0, 7, 1000, 1001]),
        shown=showings,
        slashed=slashes,
    )
    def settle(
        self,
        number: int,
        right: bool,
        other: str,
        missing: int,
        forged: bool,
        amounts: list[int],
        payout: int | None,
        shown: list[Observation],
        slashed: tuple[int, ...],
    ) -> None:
        number = self.aim(number, Stage.TRAINING)
        who = self.right_or(number, "coordinator", right, other)
        name, job = self.name(number), self.job(number)
        sites = job.sites if job is not None else ["site-0"]
        total = sum(amounts[: len(sites)]) if payout is None else payout
        given = Given(amounts[: len(sites)], total, shown[: len(sites)], slashed)
        claims = [
            name + bytes(12) + self.party(site).address + amount.to_bytes(32)
            for site, amount in zip(sites, given.amounts, strict=True)
        ]
        seen = [
            observation_leaf_data(JobId(name), self.party(site).address, one)
            for site, one in zip(sites, given.observations, strict=True)
        ]
        tree = merkle.Tree([merkle.leaf(data) for data in claims + seen])
        signers = [(seat, site) for seat, site in enumerate(sites) if seat >= missing]
        head = self.real[number].play.head() if number < len(self.real) else digest("head")
        struct = sign.Settlement(name, head, tree.root, total, slashed)
        message = sign.digest(self.world.chain.domain, struct)
        valid = [not (forged and position == 0) for position in range(len(signers))]
        signed = [
            (Seat(seat), self.party(site if good else "buyer").signer.sign(message))
            for (seat, site), good in zip(signers, valid, strict=True)
        ]
        done = self.act(
            Move.SETTLE,
            number,
            lambda now: self.model.settle(now, who, name, given, valid),
            lambda: self.party(who).wallet.settle(name, tree.root, Tokens(total), signed, slashed),
        )
        if done:
            self.real[number].claims = tree

    @rule(number=jobs, who=parties)
    def complete(self, number: int, who: str) -> None:
        number = self.aim(number, Stage.SETTLING)
        name, wallet = self.name(number), self.party(who).wallet
        self.act(Move.COMPLETE, number, lambda now: self.model.complete(now, name), lambda: wallet.complete(name))

    @rule(number=jobs, who=parties)
    def expire(self, number: int, who: str) -> None:
        number = self.aim(number, Stage.OPEN, Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING)
        name, wallet = self.name(number), self.party(who).wallet
        self.act(Move.EXPIRE, number, lambda now: self.model.expire(now, name), lambda: wallet.expire(name))

    @rule(seconds=st.sampled_from([5, 20, 61, 101]))
    def time_goes_by(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    # ------------------------------------------------------------ disputing

    def spoken_of(self, number: int) -> Job | None:
        """The job, if it has a round and a seat: only then can anybody speak of a leaf."""
        job = self.job(number)
        return job if job is not None and job.rounds else None

    @rule(number=jobs, who=parties, round_=rounds, seat=seats)
    def dispute(self, number: int, who: str, round_: int, seat: int) -> None:
        number = self.aim(number, Stage.SETTLING)
        job = self.spoken_of(number)
        if job is None:
            return
        round_, seat = round_ % len(job.rounds), seat % len(job.sites)
        play, name = self.real[number].play, self.name(number)
        data = play.leaves[round_][seat]
        signature = self.signature(number, round_, seat, job.rounds[round_][seat])
        siblings = play.tree(round_).proof(seat)
        wallet = self.party(who).wallet
        self.act(
            Move.UPHOLD if job.rounds[round_][seat] == "forged" else None,
            number,
            lambda now: self.model.dispute(now, name, round_, seat),
            lambda: wallet.dispute_leaf(name, round_, Seat(seat), data, signature, siblings),
        )

    @rule(number=jobs, right=rightly, other=parties, round_=rounds, seat=seats, lying=st.booleans())
    def challenge(self, number: int, right: bool, other: str, round_: int, seat: int, lying: bool) -> None:
        """A site complains: about a leaf that is there, or about one that the coordinator promised and left out."""
        number = self.aim(number, Stage.SETTLING)
        job = self.spoken_of(number)
        if job is None:
            return
        round_, seat = round_ % len(job.rounds), seat % len(job.sites)
        who = job.sites[seat] if right else other
        name, there = self.name(number), not lying
        promised = self.shown(number, round_, seat, there)
        struct = sign.Receipt(self.real[number].play.id, round_, seat, promised)
        receipt = self.party(job.coordinator).signer.sign(sign.digest(self.world.chain.domain, struct))
        wallet = self.party(who).wallet
        self.act(
            None,
            number,
            lambda now: self.model.challenge(now, who, name, round_, seat, there),
            lambda: wallet.challenge_omission(name, round_, Seat(seat), promised, receipt),
        )

    def shown(self, number: int, round_: int, seat: int, there: bool) -> bytes:
        """The leaf that is in its place, or one that is not."""
        data = self.real[number].play.leaves[round_][seat]
        return (merkle.leaf(data) if data else merkle.EMPTY) if there else digest("left out", round_, seat)

    @rule(number=jobs, who=parties, round_=rounds, seat=seats, true=rightly)
    def answer(self, number: int, who: str, round_: int, seat: int, true: bool) -> None:
        number = self.aim(number, Stage.SETTLING)
        job = self.spoken_of(number)
        if job is None:
            return
        round_, seat = round_ % len(job.rounds), seat % len(job.sites)
        name, leaf = self.name(number), self.shown(number, round_, seat, true)
        siblings = self.real[number].play.tree(round_).proof(seat)
        wallet = self.party(who).wallet
        self.act(
            None,
            number,
            lambda now: self.model.answer(now, name, round_, seat, true),
            lambda: wallet.answer_omission(name, round_, Seat(seat), leaf, siblings),
        )

    @rule(number=jobs, who=parties, seat=seats)
    def uphold(self, number: int, who: str, seat: int) -> None:
        number = self.aim(number, Stage.SETTLING)
        job, name, wallet = self.job(number), self.name(number), self.party(who).wallet
        complained = job is not None and seat in job.complaints
        self.act(
            Move.UPHOLD if complained else None,
            number,
            lambda now: self.model.uphold(now, name, seat),
            lambda: wallet.uphold_omission(name, Seat(seat)),
        )

    # ------------------------------------------------------------ forfeiting and remembering

    @rule(number=jobs, who=parties, seat=seats, round_=rounds, different=rightly, signed=rightly)
    def slash(self, number: int, who: str, seat: int, round_: int, different: bool, signed: bool) -> None:
        """Somebody shows two uploads of a seat for one round, or what only looks like it."""
        number = self.aim(number, Stage.TRAINING, Stage.SETTLING, Stage.COMPLETED)
        job, name = self.job(number), self.name(number)
        by = self.party(job.sites[seat] if signed and job is not None and seat < len(job.sites) else "buyer")
        bodies = (digest("body", round_, seat), digest("another body" if different else "body", round_, seat))
        domain = self.world.chain.domain
        one, two = (by.signer.sign(sign.digest(domain, sign.Upload(JobId(name), round_, seat, one))) for one in bodies)
        found = Equivocation(JobId(name), round_, seat, bodies, (one, two))
        wallet = self.party(who).wallet
        self.act(
            None,
            number,
            lambda now: self.model.slash(name, seat, different, signed),
            lambda: wallet.slash_equivocation(found),
        )

    @rule(number=jobs, who=parties, seat=seats, right=rightly)
    def record(self, number: int, who: str, seat: int, right: bool) -> None:
        """Somebody enters what a job showed of a site, or something else."""
        number = self.aim(number, Stage.COMPLETED)
        job, name = self.job(number), self.name(number)
        known = right and job is not None and seat < len(job.observations)
        shown = UNPROVEN
        if known and job is not None:
            index = len(job.sites) + seat
            shown = Showing(job.observations[seat], index, self.real[number].claims.proof(index))
        wallet = self.party(who).wallet
        self.act(
            None,
            number,
            lambda now: self.model.record(now, name, seat, known),
            lambda: wallet.record_standing(JobId(name), Seat(seat), NO_ENTITY, shown),
        )

    # ------------------------------------------------------------ being paid

    @rule(number=jobs, who=parties, seat=seats, right=rightly, reward=st.booleans())
    def claim(self, number: int, who: str, seat: int, right: bool, reward: bool) -> None:
        number = self.aim(number, Stage.COMPLETED, Stage.REJECTED, Stage.EXPIRED)
        job, name = self.job(number), self.name(number)
        if job is not None and right and seat < len(job.sites):
            who = job.sites[seat]
        known = job is not None and seat < len(job.amounts)
        amount = job.amounts[seat] if known and reward and job is not None else 0
        siblings = self.real[number].claims.proof(seat) if known else ()
        wallet = self.party(who).wallet
        self.act(
            None,
            number,
            lambda now: self.model.claim(who, name, amount, seat),
            lambda: wallet.claim(name, Tokens(amount), seat, siblings),
        )

    @rule(number=jobs, who=parties, seat=seats, right=rightly, sums=st.integers(0, 3), enough=rightly)
    def release(self, number: int, who: str, seat: int, right: bool, sums: int, enough: bool) -> None:
        """A site says how many sums were opened, as a rule fewer than in a whole run."""
        number = self.aim(number, Stage.REJECTED, Stage.EXPIRED)
        job, name = self.job(number), self.name(number)
        if job is None:
            return
        costs = self.real[number].costs or UNSPENT
        if right and seat < len(job.sites):
            who = job.sites[seat]
        sums = min(sums, costs.sums - enough)
        wallet = self.party(who).wallet
        self.act(
            None,
            number,
            lambda now: self.model.release(who, name, seat, costs, sums),
            lambda: wallet.release_budget(name, Seat(seat), self.real[number].terms, costs.at(sums), costs.proof(sums)),
        )

    @rule(who=parties)
    def withdraw(self, who: str) -> None:
        wallet = self.party(who).wallet
        self.act(None, 0, lambda now: self.model.withdraw(who), lambda: wallet.withdraw(self.token))

    @rule(number=jobs, given=leaves)
    def go_on(self, number: int, given: list[str]) -> None:
        """The next step of a job that goes well, so that late stages are reached often."""
        self.step(self.aim(number, Stage.OPEN, Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING), given)

    def step(self, number: int, given: list[str]) -> None:
        job = self.job(number)
        steps: dict[Stage, Callable[[], object]] = {
            Stage.OPEN: lambda: self.fund(number, True, "buyer"),
            Stage.FUNDED: lambda: self.accept(number, True, "buyer"),
            Stage.ENROLLING: lambda: self.enrol_or_start(number),
            Stage.TRAINING: lambda: self.anchor_or_settle(number, given),
            Stage.SETTLING: lambda: self.wait_and_complete(number),
            Stage.COMPLETED: lambda: self.claim(number, "coordinator", 0, True, True),
        }
        if job is not None and job.stage in steps:
            steps[job.stage]()

    def enrol_or_start(self, number: int) -> None:
        job = self.job(number)
        assert job is not None
        if len(job.sites) < min(job.terms.min_sites + 1, job.terms.max_sites):
            self.enrol_next(number, job)
        else:
            self.start(number, True, "buyer")

    def enrol_next(self, number: int, job: Job) -> None:
        """The next site whose data set can bear the job; if there is none, the job runs out of time."""
        asked = (job.terms.epsilon_micro, job.terms.delta_pico)
        for site in SITES:
            limited = self.model.limited[self.dataset_of(site, True)]
            left = [most - spent for most, spent in zip(limited.budget, limited.spent, strict=True)]
            bears = limited.offered and asked[0] <= left[0] and asked[1] <= left[1]
            if site not in job.sites and (job.terms.sums == 0 or bears):
                least = job.terms.readiness
                if self.model.verdicts[self.dataset_of(site, job.terms.sums > 0)] < least:
                    self.state_readiness(site, True, site, job.terms.sums > 0, least)
                self.enrol(number, site, "buyer", True, True)
                return
        self.world.pass_time(101)
        self.expire(number, "buyer")

    def anchor_or_settle(self, number: int, given: list[str]) -> None:
        job = self.job(number)
        assert job is not None
        if len(job.rounds) < min(2, job.terms.max_rounds):
            self.anchor(number, True, "buyer", 0, given, given, False)
        else:
            fits = [2, 1, 0, 2] if job.terms.price else [0, 0, 0, 0]
            self.settle(number, True, "buyer", 0, False, fits, None, [Observation(900_000, 100_000)] * 4, ())

    def wait_and_complete(self, number: int) -> None:
        self.world.pass_time(61)
        self.complete(number, "buyer")

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_contract_holds_exactly_what_it_owes(self) -> None:
        assert self.world.held() == self.base + self.model.held

    @invariant()
    def nobodys_money_differs(self) -> None:
        chain = self.world.chain
        for name, address in self.addresses.items():
            assert chain.credit(self.token, address) == self.model.credits.get(name, 0)
        for name in PARTIES:
            address = self.addresses[name]
            assert chain.balance(self.token, address) == self.purses[name] + self.model.purses[name]

    @invariant()
    def every_job_stands_where_the_model_says(self) -> None:
        for real in self.real:
            entry, job = self.world.chain.job(real.play.id), self.model.jobs.get(real.play.id)
            if job is None:
                assert entry is None
                continue
            assert entry is not None
            assert (entry.stage, entry.sites, entry.rounds) == (job.stage, len(job.sites), len(job.rounds))
            assert (entry.deadline, entry.payout) == (job.deadline, job.payout)
            assert [one.seat for one in self.world.chain.equivocations(real.play.id)] == list(job.caught)
            assert [one.readiness for one in self.world.chain.enrolments(real.play.id)] == job.verdicts
            assert all(verdict >= job.terms.readiness for verdict in job.verdicts)
            complaints = {one.seat: one.deadline for one in self.world.chain.omissions(real.play.id)}
            if job.stage is Stage.SETTLING:
                assert complaints == {seat: one.deadline for seat, one in job.complaints.items()}
            if Stage.TRAINING <= job.stage <= Stage.REJECTED:
                assert entry.head == real.play.head()

    @invariant()
    def nobodys_standing_differs(self) -> None:
        for name in SITES:
            assert self.world.chain.standing(token_of(self.addresses[name])) == self.model.standing[name]

    @invariant()
    def no_budget_is_overspent_or_differs(self) -> None:
        for name, limited in self.model.limited.items():
            kept = call(self.world, suite.DATASETS["dataset"], self.limited[name])
            ((_, _, offered, superseded, verdict, _, *spent),) = kept
            assert (offered, superseded, verdict) == (limited.offered, False, self.model.verdicts[name])
            assert tuple(spent) == limited.spent
            assert all(0 <= amount <= most for amount, most in zip(spent, limited.budget, strict=True))

    def teardown(self) -> None:
        """Every job can be brought to an end, and then everybody gets all that they are owed."""
        for number in range(len(self.real)):
            self.finish(number)
        for number, real in enumerate(self.real):
            job = self.job(number)
            if job is None:
                continue
            assert job.stage in FINAL
            self.collect(number, job)
            assert job.owed == max(job.payout - job.spent, 0) * (job.stage is Stage.COMPLETED), real.play.id.hex()
        for name in PARTIES:
            if self.model.credits.get(name, 0):
                self.withdraw(name)
        self.every_move_of_a_budget_was_told()
        self.the_contract_holds_exactly_what_it_owes()
        self.nobodys_money_differs()

    def every_move_of_a_budget_was_told(self) -> None:
        for name, limited in self.model.limited.items():
            told = [
                (-move.epsilon_micro, -move.delta_pico) if move.released else (move.epsilon_micro, move.delta_pico)
                for move in self.world.chain.budget_moves(self.limited[name])
            ]
            assert told == limited.moves
            entries = [self.world.chain.dataset(one) for one in self.versions[name]]
            assert [entry.previous for entry in entries if entry] == [None, *self.versions[name][:-1]]
            assert [entry.active for entry in entries if entry] == [False] * (len(entries) - 1) + [limited.offered]

    def finish(self, number: int) -> None:
        job = self.job(number)
        if job is None or job.stage in FINAL:
            return
        self.world.pass_time(100)
        if job.stage is not Stage.SETTLING:
            self.expire(number, "buyer")
        elif job.complaints:
            self.uphold(number, "buyer", next(iter(job.complaints)))
        else:
            self.complete(number, "buyer")

    def collect(self, number: int, job: Job) -> None:
        for seat, site in enumerate(job.sites):
            self.claim(number, site, seat, True, True)
            self.claim(number, site, seat, True, False)
            if seat in job.reserved:
                self.release(number, site, seat, True, 0, True)
            assert seat not in job.reserved or job.stage is Stage.COMPLETED
            self.record(number, "buyer", seat, True)
        self.claim(number, job.coordinator, 99, False, False)


def drive(world: World, examples: int) -> None:
    """Run the machine on `examples` random histories."""
    run_state_machine_as_test(
        lambda: Machine(world),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_contract_and_the_model_never_part(world: World) -> None:
    drive(world, 12 if world.kind == "embedded" else 4)


@pytest.mark.slow
@pytest.mark.skipif(not IS_THOROUGH, reason="takes minutes: CADUCEUS_THOROUGH=1")
def test_the_contract_and_the_model_never_part_for_long() -> None:
    drive(embedded_world(), 60)
