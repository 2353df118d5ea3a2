"""Random histories of wallet calls, right and wrong, of everything that the `Wallet` port can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twin import TwinWorld

from caduceus.crypto import merkle, sign
from caduceus.edges.gateway import suite
from caduceus.errors import Refused
from caduceus.kinds import MICRO, Digest, JobId, Readiness, Role, Seat, Stage, Tokens
from caduceus.market.costs import Cost, Costs
from caduceus.market.ledger import NOBODY, Anchor, JobTerms
from caduceus.market.slashing import Equivocation
from caduceus.market.standing import Observation, Showing
from suite_world import Party, claim_data, digest, leaf_data

NAMES = ("buyer", "coordinator", "attester", "other attester", *(f"site-{seat}" for seat in range(5)))
ENTITIES = [digest("entity", number) for number in range(3)] + [Digest(bytes(32))]
TABLES = (Costs(((0, 0), (2, 1), (3, 1), (4, 3))), Costs(((0, 0), (5, 5))))


@dataclass
class Known:
    """What the parties of one job know beside the chain."""

    terms: JobTerms
    costs: Costs | None
    leaves: list[list[bytes]] = field(default_factory=list)
    signatures: dict[tuple[int, int], bytes] = field(default_factory=dict)
    claims: merkle.Tree = field(default_factory=lambda: merkle.Tree([merkle.EMPTY]))
    amounts: list[int] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)


class History:
    """One world, and chance that acts in it."""

    def __init__(self, world: TwinWorld, seed: int) -> None:
        self.world = world
        self.chance = Random(seed)
        self.jobs: dict[JobId, Known] = {}
        self.datasets: list[Digest] = [digest("no such data set")]
        self.refused: set[str] = set()
        self.done: set[str] = set()
        self.parties = {name: world.newcomer(name) for name in NAMES}
        for name, party in self.parties.items():
            self.world.pay(party.address, 5000)
            with suppress(Refused):
                party.wallet.register_member(Role(15), party.signer.address, digest("key", name), digest("profile"))
            party.wallet.approve(self.token, 10**6)
            world.parties[name] = party
        self.acts: list[Callable[[], Any]] = [
            getattr(self, name) for name in sorted(vars(History)) if name.startswith("do_")
        ]

        while not self.jobs:
            with suppress(Refused):
                self.do_open()

    @property
    def token(self) -> Any:
        return self.world.deployment.token

    def run(self, steps: int) -> None:
        for _ in range(steps):
            act = self.fitting() if self.odds(0.5) else self.chance.choice(self.acts)
            name = act.__name__.removeprefix("do_")
            try:
                act()
                self.done.add(name)
            except Refused as problem:
                self.refused.add(getattr(getattr(problem, "reason", None), "name", "not on the chain"))

    def fitting(self) -> Callable[[], Any]:
        """Something that brings a job on, by the stage in which one of the last few is."""
        steps = {
            Stage.NONE: (self.do_open,),
            Stage.OPEN: (self.do_fund,),
            Stage.FUNDED: (self.do_accept,),
            Stage.ENROLLING: (
                self.do_offer,
                self.do_state_readiness,
                self.do_vouch,
                self.do_enrol,
                self.do_enrol,
                self.do_enrol,
                self.do_start,
            ),
            Stage.TRAINING: (self.do_anchor, self.do_anchor, self.do_settle, self.do_slash),
            Stage.SETTLING: (
                self.do_challenge,
                self.do_answer,
                self.do_dispute,
                self.do_meet_a_deadline,
                self.do_complete,
            ),
            Stage.COMPLETED: (self.do_claim, self.do_claim, self.do_record, self.do_withdraw, self.do_open),
            Stage.REJECTED: (self.do_claim_bare, self.do_release, self.do_withdraw, self.do_open),
            Stage.EXPIRED: (self.do_claim_bare, self.do_release, self.do_open, self.do_open),
        }
        entry = self.entry(self.one(list(self.jobs)[-4:]))
        return self.one(steps[entry.stage if entry else Stage.NONE])

    # ------------------------------------------------------------ choices

    def one(self, of: Any) -> Any:
        return self.chance.choice(list(of))

    def odds(self, probability: float) -> bool:
        return self.chance.random() < probability

    def anybody(self) -> Party:
        return self.parties[self.one(NAMES)]

    def job(self, *stages: Stage) -> JobId:
        """A job in one of the stages, or now and then any, or none that exists."""
        fitting = [job for job in self.jobs if self.entry(job).stage in stages]
        if fitting and self.odds(0.93):
            return self.one(fitting)
        return self.one([*self.jobs, JobId(digest("no such job"))])

    def entry(self, job: JobId) -> Any:
        return self.world.chain.ours.job(job)

    def seats(self, job: JobId) -> Any:
        return self.world.chain.ours.enrolments(job)

    def by(self, account: bytes) -> Party:
        """The party of an account, or now and then another."""
        right = [party for party in self.parties.values() if party.address == account]
        return right[0] if right and self.odds(0.93) else self.anybody()

    def coordinator(self, job: JobId) -> Party:
        entry = self.entry(job)
        return self.by(entry.coordinator if entry else b"")

    def known(self, job: JobId) -> Known:
        return self.jobs.get(job) or next(iter(self.jobs.values()))

    def off(self, number: int, most: int = 2) -> int:
        """A number, or now and then a neighbour."""
        return number if self.odds(0.92) else max(0, number + self.chance.randint(-most, most))

    def seat(self, job: JobId) -> Seat:
        entry = self.entry(job)
        return Seat(self.off(self.chance.randrange(max(entry.sites, 1)) if entry else 0))

    # ------------------------------------------------------------ members, vouches, data sets, money

    def do_pass_time(self) -> None:
        seconds = self.one([1, 20, 60, 120]) if self.odds(0.97) else 86_400 * self.chance.randint(1, 500)
        self.world.pass_time(seconds)
        self.world.follow()
        self.world.ledger.mine()

    def do_meet_a_deadline(self) -> None:
        """Whatever is done next to the job comes at the very second of its deadline, or one later."""
        entry = self.entry(self.job(Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING, Stage.SETTLING))
        if entry is not None and self.world.now() < entry.deadline < self.world.now() + 10**6:
            self.world.at_time(entry.deadline + self.one([0, 1]))

    def do_register(self) -> None:
        party = self.anybody()
        signer = NOBODY if self.odds(0.2) else party.signer.address
        party.wallet.register_member(Role(self.chance.randint(0, 63)), signer, digest("key"), digest("profile"))

    def do_newcomer(self) -> None:
        """Joins with few roles and asks for what it may not."""
        name = self.one(["stranger", "newcomer", "specialist"])
        party = self.world.newcomer(name)
        what = self.chance.randrange(4)
        if what == 0:
            party.wallet.register_member(Role(self.one([0, 1, 2, 4])), party.signer.address, digest("k"), digest("p"))
        elif what == 1:
            party.wallet.open_job(self.terms()[0])
        elif what == 2:
            party.wallet.vouch(self.anybody().address, ENTITIES[0])
        else:
            party.wallet.enrol(self.job(Stage.ENROLLING), self.one(self.datasets))

    def do_vouch(self) -> None:
        who = self.parties[self.one(["attester", "attester", "other attester"])]
        who.wallet.vouch(self.anybody().address, self.one(ENTITIES))

    def do_revoke(self) -> None:
        if self.odds(0.3):
            self.parties["attester"].wallet.revoke_vouch(self.anybody().address)

    def do_burn(self) -> None:
        self.parties["attester"].wallet.burn_standing(self.one(ENTITIES))

    def do_offer(self) -> None:
        party = self.anybody()
        budget = self.one([(0, 0), (0, 0), (9, 7), (30, 30), (0, 4)])
        commitment = digest("records", self.chance.randrange(3)) if self.odds(0.95) else Digest(bytes(32))
        values = commitment, digest("card", self.chance.randrange(3)), digest("terms"), *budget
        party.wallet.register_dataset(*values)
        self.datasets.append(party.wallet.dataset_id(*values))

    def do_supersede(self) -> None:
        """Of the one's own, or anybody's, with records that are new, or those of some data set already."""
        if not self.odds(0.4):
            return
        party = self.anybody()
        offered = list(self.world.chain.ours.datasets())
        own = [one for one in offered if one.steward == party.address]
        before = self.one(own if own and self.odds(0.9) else offered) if offered else None
        if before is None:
            return
        moved = digest("records", self.one(["a", "b", "c", "d", 0, 1, 2]))
        commitment = moved if self.odds(0.95) else Digest(bytes(32))
        digests = commitment, digest("card", self.chance.randrange(3)), digest("terms")
        party.wallet.supersede_dataset(before.id, *digests)
        budget = before.budget_micro, before.delta_pico
        self.datasets.append(party.wallet.superseding_id(before.id, *digests, *budget))

    def do_state_readiness(self) -> None:
        own = [one for one in self.world.chain.ours.datasets() if one.active]
        dataset = self.one(own) if own else None
        name = dataset.id if dataset is not None and self.odds(0.95) else self.datasets[0]
        report = digest("report", self.chance.randrange(3)) if self.odds(0.95) else Digest(bytes(32))
        verdict = self.one([1, 2, 3, 3]) if self.odds(0.9) else self.one([0, 4, 200])
        self.by(dataset.steward if dataset is not None else b"").wallet.state_readiness(name, report, verdict)

    def do_publish_status(self) -> None:
        root = digest("status list", self.chance.randrange(9)) if self.odds(0.95) else Digest(bytes(32))
        self.anybody().wallet.publish_status(root)

    def do_withdraw_dataset(self) -> None:
        if self.odds(0.3):
            self.anybody().wallet.withdraw_dataset(self.one(self.datasets))

    def do_transfer(self) -> None:
        to = NOBODY if self.odds(0.1) else self.anybody().address
        self.anybody().wallet.transfer(self.token, to, Tokens(self.one([0, 1, 50, 4000])))

    def do_approve(self) -> None:
        self.anybody().wallet.approve(self.token, Tokens(self.one([0, 60, 10**6, 2**256 - 1])))

    def do_withdraw(self) -> None:
        self.anybody().wallet.withdraw(self.token)

    # ------------------------------------------------------------ a job's life

    def terms(self) -> tuple[JobTerms, Costs | None]:
        costs = self.one([None, *TABLES])
        least = self.chance.randint(1, 2)
        changes: dict[str, Any] = {
            "coordinator": self.parties[self.one(["coordinator", "site-0"])].address,
            "price": Tokens(self.one([1000, 7, 0])),
            "stake": Tokens(self.one([10, 0])),
            "bond": Tokens(self.one([50, 0])),
            "min_sites": least,
            "max_sites": least + self.chance.randint(0, 3),
            "max_rounds": self.chance.randint(1, 4),
            "enrol_for": self.chance.randint(200, 400),
            "train_for": self.chance.randint(200, 400),
            "challenge_for": self.chance.randint(50, 150),
            "attester": self.one([NOBODY, self.parties["attester"].address]),
            "readiness": Readiness(self.one([0, 0, 0, 0, 1, 3])),
        }
        odd = self.chance.choice(
            [{"min_sites": 0}, {"max_rounds": 0}, {"train_for": 0}, {"coordinator": NOBODY}, {"epsilon_micro": 3},
             {"readiness": 4}, {"token": self.parties["buyer"].address},
             {"attester": self.world.party("site-7").address}]
        )  # fmt: skip
        changes |= odd if self.odds(0.1) else {}
        make = self.world.terms if costs is None else lambda **some: self.world.private_terms(costs, **some)
        if costs is not None and "epsilon_micro" in changes:
            del changes["epsilon_micro"]
        return make(**changes), costs

    def do_open(self) -> None:
        if self.jobs and self.odds(0.05):
            terms, costs = self.known(self.job()).terms, None
        else:
            terms, costs = self.terms()
        party = self.parties["buyer"] if self.odds(0.8) else self.anybody()
        name = party.wallet.job_id(terms)
        if self.odds(0.9):
            party.wallet.open_job(terms)
        else:
            party.do("open", suite.terms_tuple(terms))
        self.jobs[name] = Known(terms, costs)

    def do_fund(self) -> None:
        job = self.job(Stage.OPEN)
        entry = self.entry(job)
        self.by(entry.buyer if entry else b"").do("fund", job)

    def do_cancel(self) -> None:
        if self.odds(0.15):
            job = self.job(Stage.OPEN, Stage.FUNDED)
            entry = self.entry(job)
            self.by(entry.buyer if entry else b"").wallet.cancel(job)

    def do_accept(self) -> None:
        job = self.job(Stage.FUNDED)
        self.coordinator(job).wallet.accept(job)

    def do_enrol(self) -> None:
        self.enrol()

    def do_enrol_again(self) -> None:
        self.enrol()

    def enrol(self) -> None:
        job = self.job(Stage.ENROLLING)
        terms = self.known(job).terms
        party = self.parties[f"site-{self.chance.randrange(5)}"]
        fitting = [
            one.id
            for one in self.world.chain.ours.datasets()
            if one.steward == party.address and one.active and (one.delta_pico > 0) == (terms.sums > 0)
        ]
        ready = [one for one in fitting if self.world.chain.ours.dataset(one).readiness >= terms.readiness]
        fitting = ready if self.odds(0.9) else fitting
        party.wallet.enrol(job, self.one(fitting) if fitting and self.odds(0.9) else self.one(self.datasets))

    def do_start(self) -> None:
        job = self.job(Stage.ENROLLING)
        self.coordinator(job).wallet.start(job)

    def do_anchor(self) -> None:
        job = self.job(Stage.TRAINING)
        known, count = self.known(job), self.one([1, 1, 2])
        first = self.off(len(known.leaves), 1)
        rows = [self.row(job, first + offset) for offset in range(count)]
        anchors = []
        for offset, row in enumerate(rows):
            root = merkle.Tree([merkle.leaf(one) if one else merkle.EMPTY for one in row]).root
            anchors.append(Anchor(first + offset, root, digest("model", first + offset), digest("record")))
        self.coordinator(job).wallet.anchor(job, anchors)
        known.leaves += rows

    def row(self, job: JobId, round_: int) -> list[bytes]:
        """Leaves of one round: signed, now and then empty or signed by somebody else."""
        row = []
        for seat, _ in enumerate(self.seats(job)):
            body = digest("body", job, round_, seat)
            signature = self.signed(job, sign.Upload(job, round_, seat, body), seat, wrong=0.1)
            self.known(job).signatures[round_, seat] = signature
            row.append(b"" if self.odds(0.1) else leaf_data(job, round_, seat, body, signature))
        return row

    def signed(self, job: JobId, struct: Any, seat: int, wrong: float = 0.04) -> bytes:
        seats = self.seats(job)
        account = seats[seat].site if seat < len(seats) else b""
        party = next((one for one in self.parties.values() if one.address == account), self.anybody())
        party = self.anybody() if self.odds(wrong) else party
        signature = party.signer.sign(sign.digest(self.world.chain.domain, struct))
        return signature[:64] if self.odds(0.01) else signature

    def do_settle(self) -> None:
        job = self.job(Stage.TRAINING)
        known, entry, seats = self.known(job), self.entry(job), self.seats(job)
        price = entry.price if entry else 10
        known.amounts = [self.off(price // max(len(seats), 1)) for _ in seats]
        known.seen = [self.one([Observation(MICRO, 0), Observation(1, 2), Observation(MICRO + 1, 0)]) for _ in seats]
        claims = [claim_data(job, one.site, amount) for one, amount in zip(seats, known.amounts, strict=True)]
        claims += [self.showing(job, one.site, seen) for one, seen in zip(seats, known.seen, strict=True)]
        known.claims = merkle.Tree([merkle.leaf(data) for data in claims] or [merkle.EMPTY])
        payout = self.off(sum(known.amounts), 30)
        slashed = tuple(self.one([(), (), (0,), (0, 1), (1, 0), (7,)]))
        head = entry.head if entry else digest("head")
        struct = sign.Settlement(job, head, known.claims.root, payout, slashed)
        signing = [seat for seat, _ in enumerate(seats) if self.odds(0.97)]
        signatures = [(Seat(seat), self.signed(job, struct, seat, 0.02)) for seat in signing]
        coordinator = self.coordinator(job)
        if self.odds(0.9):
            coordinator.wallet.settle(job, known.claims.root, Tokens(payout), signatures, slashed)
            return
        numbers = [seat for seat, _ in signatures] + [Seat(0)] * self.odds(0.5)
        made = [signature for _, signature in signatures]
        coordinator.do("settle", job, known.claims.root, payout, slashed, numbers, made)

    def showing(self, job: JobId, site: bytes, seen: Observation) -> bytes:
        return job + bytes(12) + site + seen.good.to_bytes(32) + seen.bad.to_bytes(32)

    def do_complete(self) -> None:
        self.anybody().wallet.complete(self.job(Stage.SETTLING))

    def do_expire(self) -> None:
        if self.odds(0.4):
            self.anybody().wallet.expire(self.job(Stage.OPEN, Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING))

    # ------------------------------------------------------------ disputes

    def place(self, job: JobId) -> tuple[int, Seat, tuple[Digest, ...], bytes]:
        """A round and a seat, with the leaf's data and siblings."""
        rows = self.known(job).leaves
        seat = self.seat(job)
        if not rows:
            return 0, seat, (), b""
        round_ = self.chance.randrange(len(rows))
        row = rows[round_]
        tree = merkle.Tree([merkle.leaf(one) if one else merkle.EMPTY for one in row])
        here = min(seat, len(row) - 1) if row else 0
        siblings = tree.proof(here) if row else ()
        return round_, seat, siblings if self.odds(0.95) else siblings[1:], row[here] if row else b""

    def do_dispute(self) -> None:
        if not self.odds(0.4):
            return
        job = self.job(Stage.SETTLING)
        round_, seat, siblings, data = self.place(job)
        signature = self.known(job).signatures.get((round_, seat), b"") if self.odds(0.9) else b"another"
        self.anybody().wallet.dispute_leaf(job, round_, seat, data, signature, siblings)

    def do_challenge(self) -> None:
        job = self.job(Stage.SETTLING)
        round_, seat, _, data = self.place(job)
        leaf = merkle.leaf(data) if self.odds(0.7) else digest("left out")
        entry, seats = self.entry(job), self.seats(job)
        round_ = self.off(round_)
        promise = sign.digest(self.world.chain.domain, sign.Receipt(job, round_, seat, leaf))
        receipt = self.by(entry.coordinator if entry else b"").signer.sign(promise)
        self.by(seats[seat].site if seat < len(seats) else b"").wallet.challenge_omission(
            job, round_, seat, leaf, receipt
        )

    def do_answer(self) -> None:
        job = self.job(Stage.SETTLING)
        waiting = self.world.chain.ours.omissions(job)
        round_, seat, siblings, data = self.place(job)
        if waiting and self.odds(0.8):
            seat, round_ = waiting[0].seat, waiting[0].round
            row = self.known(job).leaves[round_]
            siblings = merkle.Tree([merkle.leaf(one) if one else merkle.EMPTY for one in row]).proof(seat)
            data = row[seat]
        self.anybody().wallet.answer_omission(job, round_, seat, merkle.leaf(data), siblings)

    def do_uphold(self) -> None:
        job = self.job(Stage.SETTLING)
        waiting = self.world.chain.ours.omissions(job)
        seat = waiting[0].seat if waiting and self.odds(0.9) else self.seat(job)
        self.anybody().wallet.uphold_omission(job, seat)

    def do_slash(self) -> None:
        if not self.odds(0.4):
            return
        job = self.job(Stage.ENROLLING, Stage.TRAINING, Stage.SETTLING, Stage.COMPLETED, Stage.EXPIRED)
        seat, bodies = self.seat(job), (digest("one"), digest("other") if self.odds(0.9) else digest("one"))
        one, other = (self.signed(job, sign.Upload(job, 0, seat, body), seat) for body in bodies)
        self.anybody().wallet.slash_equivocation(Equivocation(job, 0, seat, bodies, (one, other)))

    # ------------------------------------------------------------ the end

    def do_claim(self) -> None:
        self.claim(bare=False)

    def do_claim_bare(self) -> None:
        self.claim(bare=True)

    def claim(self, *, bare: bool) -> None:
        job = self.job(Stage.COMPLETED, Stage.REJECTED, Stage.EXPIRED)
        known, seats, seat = self.known(job), self.seats(job), self.seat(job)
        there = seat < len(seats) and seat < len(known.amounts)
        amount = known.amounts[seat] if there and not bare else 0
        siblings = known.claims.proof(seat) if there else ()
        party = self.by(seats[seat].site if seat < len(seats) else b"") if self.odds(0.8) else self.coordinator(job)
        index = self.off(seat) if self.odds(0.98) else 99
        party.wallet.claim(job, Tokens(self.off(amount)), index, siblings)

    def do_record(self) -> None:
        job = self.job(Stage.COMPLETED)
        known, seats, seat = self.known(job), self.seats(job), self.seat(job)
        there = seat < len(seats) and seat < len(known.seen)
        index = len(known.amounts) + seat
        siblings = known.claims.proof(index) if there else ()
        shown = Showing(known.seen[seat] if there else Observation(1, 1), index, siblings)
        entity = seats[seat].entity if seat < len(seats) and self.odds(0.95) else self.one(ENTITIES)
        self.anybody().wallet.record_standing(job, seat, entity, shown)

    def do_release(self) -> None:
        job = self.job(Stage.REJECTED, Stage.EXPIRED)
        known, seats, seat = self.known(job), self.seats(job), self.seat(job)
        costs = known.costs or TABLES[0]
        sums = self.off(self.chance.randrange(costs.sums))
        tree = merkle.Tree(
            [merkle.leaf(b"".join(n.to_bytes(32) for n in (i, *step))) for i, step in enumerate(costs.steps)]
        )
        siblings = tree.proof(min(sums, costs.sums))
        cost = costs.at(min(sums, costs.sums))
        cost = cost if self.odds(0.95) else Cost(cost.sums, cost.epsilon_micro + 1, cost.delta_pico)
        terms = known.terms if self.odds(0.95) else self.world.terms()
        party = self.by(seats[seat].site if seat < len(seats) else b"")
        party.wallet.release_budget(job, seat, terms, cost, siblings)
