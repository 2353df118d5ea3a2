"""The ledger's moods: pools, reorganisations, nodes that do not answer. Money is conserved through all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import pytest

from caduceus.errors import Refused, Unavailable, Uncertain
from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Seat, Stage, Tokens
from caduceus.market.ledger import Anchor, JobTerms
from caduceus.sim.chain import LedgerChain
from caduceus.sim.chance import stream
from caduceus.sim.clock import VirtualClock
from caduceus.sim.ledger import Ledger, Pace
from caduceus.sim.node import GOOD, LedgerNode, NodeFaults
from caduceus.sim.rules import reasons
from caduceus.sim.rules.reasons import Reverted
from caduceus.sim.rules.tables import Deployed
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace
from caduceus.sim.wallet import LedgerWallet, Waiting

from caduceus.crypto import merkle  # isort: skip

TOKEN, JOBS = Address(b"\x70" * 20), Address(b"\x10" * 20)
NAMES = ("buyer", "coordinator", "site-0", "site-1", "site-2")
WORD = b"\x77" * 32


def address(name: str) -> Address:
    return Address(name.encode().rjust(20, b"\x01"))


@dataclass
class Parties:
    """A ledger on which everybody is a member with money, and each has a node."""

    clock: VirtualClock
    schedule: Schedule
    trace: Trace
    ledger: Ledger
    nodes: dict[str, LedgerNode]
    wallets: dict[str, LedgerWallet]

    @property
    def chain(self) -> LedgerChain:
        return LedgerChain(self.nodes["buyer"])

    def terms(self, nonce: int, **changes: object) -> JobTerms:
        terms = JobTerms(
            token=TOKEN,
            price=Tokens(1000),
            coordinator=address("coordinator"),
            stake=Tokens(10),
            bond=Tokens(50),
            min_sites=1,
            max_sites=3,
            max_rounds=20,
            enrol_for=600,
            train_for=3600,
            challenge_for=300,
            epsilon_micro=0,
            delta_pico=0,
            sums=0,
            costs=merkle.EMPTY,
            spec=nonce.to_bytes(32),
        )
        return replace(terms, **changes)  # type: ignore[arg-type]

    def open(self, nonce: int = 0, **changes: object) -> JobId:
        terms = self.terms(nonce, **changes)
        self.wallets["buyer"].open_job(terms)
        return self.wallets["buyer"].job_id(terms)

    def balances(self) -> int:
        return sum(self.chain.balance(TOKEN, one) for one in [*map(address, NAMES), JOBS])


def parties(pace: Pace, seed: int = 0, **waiting: object) -> Parties:
    clock = VirtualClock()
    trace = Trace(clock)
    schedule = Schedule(clock, trace, stream(seed, "schedule"))
    holdings = {TOKEN: {address(name): Tokens(10_000) for name in NAMES}}
    at = Deployed(7, JOBS)
    ledger = Ledger(clock, at, holdings, pace=pace, chance=stream(seed, "ledger"), watch=trace.note)
    nodes = {name: LedgerNode(ledger, stream(seed, name)) for name in NAMES}
    how = replace(Waiting(clock, schedule.advance), **waiting)  # type: ignore[arg-type]
    wallets = {name: LedgerWallet(nodes[name], address(name), how) for name in NAMES}
    world = Parties(clock, schedule, trace, ledger, nodes, wallets)
    for wallet in wallets.values():
        wallet.register_member(Role(7), wallet.account, WORD, WORD)
        wallet.approve(TOKEN, Tokens(10**9))
    return world


BLOCKS = Pace(interval=12.0, delay=(0.0, 20.0))


def test_a_wallet_waits_in_virtual_time_until_its_transaction_is_in_a_block() -> None:
    world = parties(BLOCKS)
    before = world.clock.monotonic()
    sent = world.wallets["buyer"].open_job(world.terms(1))
    assert 0 < world.clock.monotonic() - before <= 36
    assert sent.block == world.ledger.newest().number
    assert (world.chain.now() - VirtualClock().unix()) % 12 == 0


def test_a_wallet_may_wait_for_more_blocks_on_top() -> None:
    world = parties(BLOCKS, confirmations=5)
    sent = world.wallets["buyer"].open_job(world.terms(1))
    assert world.ledger.newest().number >= sent.block + 4


def test_blocks_come_while_nothing_is_sent() -> None:
    world = parties(BLOCKS)
    number, time = world.ledger.newest().number, world.chain.now()
    world.schedule.advance(1200)
    assert world.ledger.newest().number == number + 100
    assert world.chain.now() == time + 1200


def test_what_would_be_refused_is_not_sent_unless_nobody_tries_it_out() -> None:
    world = parties(BLOCKS)
    blind = LedgerWallet(
        world.nodes["buyer"], address("buyer"), Waiting(world.clock, world.schedule.advance, estimate=False)
    )
    job = world.open()
    for wallet, waits in ((world.wallets["buyer"], False), (blind, True)):
        before = world.clock.monotonic()
        with pytest.raises(Reverted, match=r"Jobs.accept reverted: NotCoordinator") as caught:
            wallet.accept(job)
        assert caught.value.reason.values == (address("buyer"), address("coordinator"))
        assert (world.clock.monotonic() > before) is waits


def test_two_races_for_the_last_seat_and_one_is_refused() -> None:
    world = parties(BLOCKS)
    job = world.open(max_sites=1)
    world.wallets["coordinator"].accept(job)
    datasets = []
    for name in ("site-0", "site-1"):
        world.wallets[name].register_dataset(WORD, WORD, WORD, 0, 0)
        datasets.append(world.wallets[name].dataset_id(WORD, WORD, WORD, 0, 0))
    fates: list[str] = []

    def later() -> None:
        try:
            world.wallets["site-1"].enrol(job, datasets[1])
            fates.append("seated")
        except Reverted as refusal:
            fates.append(refusal.reason.name)

    world.schedule.after(0.1, "the other site enrols", later)
    try:
        world.wallets["site-0"].enrol(job, datasets[0])
        fates.append("seated")
    except Reverted as refusal:
        fates.append(refusal.reason.name)
    assert sorted(fates) == ["SeatsTaken", "seated"]


# ------------------------------------------------------------ reorganisations


def test_a_reorganisation_undoes_blocks_and_their_transactions_come_again() -> None:
    world = parties(BLOCKS)
    job = world.open()
    world.wallets["coordinator"].accept(job)
    head = world.ledger.newest()
    assert world.ledger.reorganise(100) > 0
    assert world.chain.job(job) is None
    assert world.chain.balance(TOKEN, address("buyer")) == 10_000
    assert world.ledger.broken() == []
    assert world.ledger.newest().number == head.number
    assert world.ledger.newest().name != head.name
    world.schedule.advance(300)
    entry = world.chain.job(job)
    assert entry is not None
    assert entry.stage in (Stage.FUNDED, Stage.ENROLLING)  # accepting may have come before opening, and been refused
    assert world.ledger.broken() == []
    assert world.ledger.waiting == 0


def test_where_blocks_come_with_transactions_undone_ones_wait_for_the_next() -> None:
    world = parties(Pace())
    jobs = [world.open(nonce) for nonce in range(3)]
    head = world.ledger.newest().number
    assert world.ledger.reorganise(2) == 2
    assert world.chain.jobs() == jobs[:1]
    assert world.ledger.waiting == 2
    world.ledger.mine()
    assert world.chain.jobs() == jobs
    assert world.ledger.newest().number == head + 1
    assert world.ledger.broken() == []


def test_the_beacon_of_a_job_is_another_after_its_block_is_undone() -> None:
    world = parties(Pace(interval=12.0))
    job = world.open()
    world.wallets["coordinator"].accept(job)
    site = world.wallets["site-0"]
    site.register_dataset(WORD, WORD, WORD, 0, 0)
    site.enrol(job, site.dataset_id(WORD, WORD, WORD, 0, 0))
    with pytest.raises(Refused, match=r"has not started"):
        world.chain.beacon(job)
    world.wallets["coordinator"].start(job)
    before = world.chain.beacon(job)
    world.ledger.reorganise(1)
    with pytest.raises(Refused, match=r"has not started"):
        world.chain.beacon(job)
    world.schedule.advance(24)
    assert world.chain.beacon(job) != before


def test_a_transaction_that_is_late_after_a_reorganisation_is_refused_by_its_deadline() -> None:
    world = parties(Pace(interval=12.0))
    job = world.open(enrol_for=30)
    world.wallets["coordinator"].accept(job)
    world.ledger.pace = Pace(interval=12.0, delay=(60.0, 60.0))
    world.ledger.reorganise(1)
    world.schedule.advance(120)
    entry = world.chain.job(job)
    assert entry is not None
    assert entry.stage is Stage.FUNDED
    assert any("Jobs.accept refused" in line for line in world.trace.last())


def test_a_forgotten_transaction_takes_those_of_its_sender_after_it_along() -> None:
    world = parties(Pace(interval=12.0))
    jobs = [world.open(nonce) for nonce in range(3)]
    world.ledger.pace = Pace(interval=12.0, dropped=1.0)
    assert world.ledger.reorganise(3) == 3
    world.schedule.advance(100)
    assert [world.chain.job(job) for job in jobs] == [None] * 3
    assert world.chain.jobs() == []


def test_a_wallet_that_waits_through_a_reorganisation_sees_the_new_block() -> None:
    world = parties(Pace(interval=12.0), confirmations=4)
    world.schedule.after(20, "reorganisation", lambda: world.ledger.reorganise(2) and None)
    sent = world.wallets["buyer"].open_job(world.terms(1))
    receipt = world.ledger.receipt(sent.transaction)
    assert receipt is not None
    assert receipt.block == sent.block
    assert any("1 undone" in line for line in world.trace.last())


def test_a_version_that_is_undone_leaves_the_one_before_as_it_was() -> None:
    world = parties(Pace(interval=12.0))
    site, other, chain = world.wallets["site-0"], Digest(bytes([7]) * 32), world.chain
    site.register_dataset(WORD, WORD, WORD, 5, 7)
    first = site.dataset_id(WORD, WORD, WORD, 5, 7)
    site.state_readiness(first, WORD, Readiness.READY)
    before = chain.dataset(first)
    site.supersede_dataset(first, other, WORD, WORD)
    second = site.superseding_id(first, other, WORD, WORD, 5, 7)
    after = chain.dataset(second)
    assert after is not None
    assert (after.previous, after.readiness, after.active) == (first, Readiness.UNSTATED, True)
    world.ledger.pace = Pace(interval=12.0, dropped=1.0)
    world.ledger.reorganise(1)
    world.schedule.advance(100)
    assert (chain.dataset(first), chain.dataset(second)) == (before, None)
    site.register_dataset(other, WORD, WORD, 9, 9)  # a budget of its own, for nothing was joined
    with pytest.raises(Reverted, match="BudgetApart"):
        site.supersede_dataset(first, other, WORD, WORD)
    assert world.ledger.broken() == []


def test_money_is_conserved_through_random_work_and_reorganisations() -> None:
    """Thousands of blocks of many parties' work, undone and done again."""
    world = parties(Pace(interval=12.0), seed=5, patience=30.0)
    chance = Random(5)
    jobs: list[JobId] = []
    site = world.wallets["site-0"]
    site.register_dataset(WORD, WORD, WORD, 0, 0)
    dataset = site.dataset_id(WORD, WORD, WORD, 0, 0)
    world.ledger.pace = Pace(interval=12.0, delay=(0.0, 40.0), dropped=0.1)
    fates: set[str] = set()
    for step in range(1000):
        job = chance.choice(jobs or [JobId(WORD)])
        acts = (
            lambda step=step: jobs.append(world.open(step, enrol_for=100, train_for=200)),
            lambda job=job: world.wallets["coordinator"].accept(job),
            lambda job=job: site.enrol(job, dataset),
            lambda job=job: world.wallets["coordinator"].start(job),
            lambda job=job: world.wallets["coordinator"].anchor(job, [Anchor(0, WORD, WORD, WORD)]),
            lambda job=job: world.wallets["site-1"].expire(job),
            lambda job=job: site.claim(job, Tokens(0), 0, []),
            lambda job=job: world.wallets["coordinator"].claim(job, Tokens(0), 0, []),
            lambda: world.wallets["buyer"].withdraw(TOKEN),
            lambda: world.wallets["site-1"].transfer(TOKEN, address("site-2"), Tokens(chance.randrange(50))),
        )
        try:
            chance.choice(acts)()
            fates.add("done")
        except (Refused, Uncertain) as problem:
            fates.add(type(problem).__name__)
        if chance.random() < 0.2:
            world.ledger.reorganise(chance.randint(1, 8))
        assert world.ledger.broken() == []
        assert world.balances() == 50_000
    assert fates == {"done", "Reverted", "Uncertain"}


def test_the_law_of_money_notices_a_coin_that_came_from_nowhere() -> None:
    world = parties(Pace())
    job = world.open()
    assert world.ledger.broken() == []
    key = TOKEN, address("buyer")
    world.ledger.tables.balances.put(key, world.ledger.tables.balances.get_or(key, 0) + 1)
    assert any("50001" in law for law in world.ledger.broken())
    entry = world.ledger.tables.jobs.get(job)
    assert entry is not None
    world.ledger.tables.jobs.put(job, replace(entry, stage=Stage.EXPIRED))
    assert any("holds 1000" in law and "owes 0" in law for law in world.ledger.broken())


# ------------------------------------------------------------ nodes that do not answer


def test_an_outage_is_unavailable_to_readers_and_senders_and_passes() -> None:
    world = parties(BLOCKS)
    node = world.nodes["buyer"]
    node.down, node.faults = True, NodeFaults(uncertain=0.0)
    for ask in (world.chain.now, world.chain.jobs, lambda: world.open(9)):
        with pytest.raises(Unavailable):
            ask()
    node.down = False
    assert world.chain.jobs() == []


@pytest.mark.parametrize("taken", [True, False])
def test_an_uncertain_sending_was_taken_or_not(taken: bool) -> None:
    world = parties(BLOCKS)
    node = world.nodes["buyer"]
    node.down, node.faults = True, NodeFaults(uncertain=1.0, taken=float(taken))
    with pytest.raises(Uncertain, match=r"look before repeating"):
        world.open(9)
    node.down = False
    world.schedule.advance(60)
    assert len(world.chain.jobs()) == taken


def test_a_node_that_goes_away_while_one_waits_leaves_the_fate_unknown() -> None:
    world = parties(BLOCKS, patience=50.0)

    def away() -> None:
        world.nodes["buyer"].down = True

    world.schedule.after(0.0, "the node goes away", away)
    with pytest.raises(Uncertain, match=r"not seen in a block after 50 s"):
        world.open(9)
    world.nodes["buyer"].down = False
    assert len(world.chain.jobs()) == 1


def test_faults_come_as_often_as_they_are_said_to() -> None:
    world = parties(BLOCKS)
    world.nodes["buyer"].faults = NodeFaults(silent=0.3)
    failed = 0
    for _ in range(1000):
        try:
            world.chain.jobs()
        except Unavailable:
            failed += 1
    assert 250 < failed < 350
    world.nodes["buyer"].faults = GOOD
    world.chain.jobs()


def test_seats_that_do_not_exist_are_named() -> None:
    world = parties(Pace())
    job = world.open()
    with pytest.raises(Reverted) as caught:
        world.wallets["site-0"].uphold_omission(job, Seat(3))
    assert caught.value.reason == reasons.WRONG_STAGE(job, Stage.FUNDED).reason
