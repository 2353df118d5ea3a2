"""A steward and its data set's privacy budget: what it registers, what it counts as spent, what it takes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from caduceus import canon
from caduceus.agents.steward import Stated, Steward
from caduceus.data.card import Card, CardColumn
from caduceus.data.policy import Terms
from caduceus.data.schema import Column, Schema
from caduceus.edges.store import FolderStore
from caduceus.errors import Misuse, Refused
from caduceus.kinds import JobId, Readiness, Visibility
from caduceus.market.costs import Costs
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.ledger import Anchor, JobEntry, JobTerms
from caduceus.market.terms import costs_of, terms_of
from caduceus.market.work import work_of
from suite_world import World, digest, embedded_world

SCHEMA = Schema(
    "Tiny",
    (
        Column("age", "number", "feature", "a", "", 0.0, 120.0, (), True, None),
        Column("ill", "boolean", "target", "", "", 0.0, 1.0, (), True, None),
    ),
)
FILE = """
seed = 7
[job]
title = "Who is ill"
purpose = "research"
schema = "schema.toml"
[task]
target = "ill"
[model]
kind = "logistic"
rounds = 5
[privacy]
epsilon = 1.0
delta = 1e-6
[sites]
min = 3
[money]
price = 1000
fee = 100
stake = 10
bond = 50
"""
CARD = Card(
    title="Ours",
    description="",
    licence="",
    citation="",
    schema=SCHEMA.digest(),
    columns=tuple(CardColumn(column, None) for column in SCHEMA.columns),
    rows_at_least=100,
    commitment=digest("records"),
)
TERMS = Terms(
    buyers=None,
    purposes=None,
    most_open=Visibility.SUM,
    aggregators=None,
    min_other_sites=0,
    price_floor=0,
    budget_micro=1_500_000,
    delta_pico=9_000_000,
    missing_percent=10,
    exact_sums=False,
    withheld=(),
)


@dataclass
class Scene:
    """One steward and jobs that ask for a data set like its own."""

    world: World
    steward: Steward
    store: FolderStore

    def __post_init__(self) -> None:
        party = self.world.party("site-0")
        self.steward.join(party.signer.address, digest("agreement", "site-0"))
        self.dataset = self.steward.publish()

    def job(self, readiness: str = "unstated") -> Job:
        """A job that a coordinator has taken."""
        nonce = next(self.world.nonce).to_bytes(16)
        text = FILE.replace("[task]", f'readiness = "{readiness}"\n[task]')
        spec = specify(read_job_file(text, where="job.toml"), SCHEMA, nonce=nonce, where="job.toml")
        self.store.put(canon.pack(spec))
        buyer, coordinator = self.world.party("buyer"), self.world.party("coordinator")
        token = self.world.deployment.token
        terms = terms_of(spec, work_of(spec).max_rounds, token=token, coordinator=coordinator.address)
        costs = costs_of(spec)
        assert costs is not None
        job = Job(self, buyer.wallet.job_id(terms), terms, costs)
        buyer.wallet.open_job(terms)
        coordinator.wallet.accept(job.id)
        return job

    def left(self) -> tuple[int, int]:
        entry = self.world.chain.dataset(self.dataset)
        assert entry is not None
        return entry.budget_micro - entry.epsilon_spent_micro, entry.delta_pico - entry.delta_spent_pico

    def sent(self) -> int:
        """How many transactions the steward's account has sent."""
        account = f"0x{self.steward.wallet.account.hex()}"
        return int(self.world.node.request("eth_getTransactionCount", [account, "latest"]), 16)


@dataclass
class Job:
    scene: Scene
    id: JobId
    terms: JobTerms
    costs: Costs

    @property
    def entry(self) -> JobEntry:
        entry = self.scene.world.chain.job(self.id)
        assert entry is not None
        return entry

    def enrol(self) -> None:
        self.scene.steward.enrol(self.id, self.scene.dataset)

    def train(self, rounds: int) -> None:
        """Two others take seats, and so many rounds are anchored."""
        whole = self.costs.whole
        for name in ("site-1", "site-2"):
            dataset = self.scene.world.limited(name, whole.epsilon_micro, whole.delta_pico)
            self.scene.world.party(name).wallet.enrol(self.id, dataset)
        wallet = self.scene.world.party("coordinator").wallet
        wallet.start(self.id)
        if rounds:
            wallet.anchor(
                self.id, [Anchor(n, digest("root"), digest("model"), digest("record")) for n in range(rounds)]
            )

    def expire(self) -> None:
        self.scene.world.pass_time(max(self.entry.deadline - self.scene.world.now(), 0) + 1)
        self.scene.world.party("buyer").wallet.expire(self.id)

    def settle(self, opened: int) -> None:
        self.scene.steward.settle_budget(self.id, self.terms, self.costs, opened)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    world = embedded_world()
    store = FolderStore(tmp_path / "blobs")
    return Scene(world, Steward(world.chain, world.party("site-0").wallet, store, CARD, TERMS, SCHEMA), store)


def test_a_data_set_is_published_once_with_its_budget(scene):
    before = scene.sent()
    assert scene.steward.publish() == scene.dataset == scene.steward.dataset
    assert scene.sent() == before
    entry = scene.world.chain.dataset(scene.dataset)
    assert (entry.budget_micro, entry.delta_pico) == (TERMS.budget_micro, TERMS.delta_pico)
    assert (entry.card, entry.terms) == (CARD.digest(), canon.digest(TERMS))
    assert scene.store.has(entry.card)
    assert scene.store.has(entry.terms)


def test_a_job_that_asks_for_more_readiness_than_was_stated_is_declined_until_it_is_stated(scene):
    job = scene.job(readiness="ready")
    (reason,) = scene.steward.consider(job.entry).reasons
    assert reason == "it asks for data that are at least ready, and the verdict on this data set is unstated"
    for verdict, allowed in ((Readiness.CONDITIONAL, False), (Readiness.READY, True)):
        steward = replace(scene.steward, stated=Stated(digest("report", verdict.name), verdict))
        assert steward.publish() == scene.dataset
        before = scene.sent()
        assert steward.publish() == scene.dataset
        assert scene.sent() == before
        assert steward.consider(job.entry).allowed is allowed
    job.enrol()
    (seat,) = scene.world.chain.enrolments(job.id)
    assert seat.readiness is Readiness.READY


def test_other_jobs_reservations_count_as_spent_and_a_seat_does_not_refuse_itself(scene):
    first, second = scene.job(), scene.job()
    assert scene.steward.consider(first.entry).allowed
    first.enrol()
    assert scene.left() == (500_000, 8_000_000)
    assert scene.steward.consider(first.entry).allowed
    assert scene.steward.consider(second.entry).reasons == ("it spends epsilon 1, and 0.5 is left",)
    before = scene.sent()
    with pytest.raises(Refused, match=r"epsilon 1, and 0\.5 is left"):
        second.enrol()
    assert scene.sent() == before
    first.expire()
    first.settle(opened=0)
    assert scene.left() == (1_500_000, 9_000_000)
    assert scene.steward.consider(second.entry).allowed


def test_a_job_that_ended_early_is_charged_the_sums_that_were_opened_and_once(scene):
    job = scene.job()
    job.enrol()
    job.train(rounds=2)
    job.expire()
    before = scene.sent()
    job.settle(opened=2)
    job.settle(opened=2)
    assert scene.sent() == before + 1
    cost = job.costs.at(2)
    assert scene.left() == (1_500_000 - cost.epsilon_micro, 9_000_000 - cost.delta_pico)
    assert 0 < cost.epsilon_micro < job.costs.whole.epsilon_micro


@pytest.mark.parametrize(("anchored", "opened"), [(3, 1), (1, 3), (0, 1), (2, 0)])
def test_what_the_site_may_have_opened_is_charged_whatever_was_anchored(scene, anchored, opened):
    job = scene.job()
    job.enrol()
    job.train(anchored)
    job.expire()
    job.settle(opened)
    assert scene.left()[0] == 1_500_000 - job.costs.at(opened).epsilon_micro


def test_nothing_is_sent_where_nothing_is_to_be_given_back(scene):
    job = scene.job()
    stranger = scene.job()
    job.enrol()
    job.train(job.costs.sums)
    before = scene.sent()
    job.settle(opened=0)
    assert scene.sent() == before, "the job was not over"
    job.expire()
    stranger.expire()
    job.settle(opened=job.costs.sums)
    stranger.settle(opened=0)
    scene.steward.settle_budget(JobId(digest("unheard of")), job.terms, job.costs, 0)
    assert scene.sent() == before
    assert scene.left() == (500_000, 8_000_000)


def test_another_jobs_costs_are_our_own_mistake(scene):
    job = scene.job()
    job.enrol()
    job.expire()
    other = Costs(((0, 0), (1, 1)))
    with pytest.raises(Misuse, match=f"not the costs in the terms of job 0x{job.id.hex()}"):
        scene.steward.settle_budget(job.id, job.terms, other, 0)
