"""What sites, evaluators and aggregators of a judged job answer to a coordinator that makes things up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from adversary import COORDINATOR, DOMAIN, JOB
from caduceus import canon
from caduceus.agents.aggregator import Aggregator, _alike
from caduceus.agents.dealing import Dealer, Stand
from caduceus.agents.standing import Secrets
from caduceus.data.schema import BOOLEAN, FEATURE, NUMBER, TARGET, Column, Schema
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Seat, Stage
from caduceus.learn.judged.opened import Given
from caduceus.learn.judged.program import JudgedProgram, build_judged
from caduceus.learn.spec import HOLDOUT, Averaging, Evaluation, Learning
from caduceus.learn.state import OPENING, Moments, Phase, State
from caduceus.market.ledger import Anchor
from caduceus.market.mechanism.rules import Mean, Rules, start
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.gram_audit import GramAgain
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_for import plan_for
from caduceus.protocol.job_messages import Call, Prepare
from caduceus.protocol.round_record import RoundRecord, participation
from caduceus.wiring.order import check_names
from gram_play import a_ground, entropy_of, secrets_of, signer_of

SITES, EVALUATORS, SPARE = 4, 1, 2
GROUND = a_ground(SITES, EVALUATORS)
SCHEMA = Schema(
    "a schema",
    (
        Column("age", NUMBER, FEATURE, "", "", 0.0, 120.0, (), False, None),
        Column("event", BOOLEAN, TARGET, "", "", 0.0, 1.0, (), False, None),
    ),
)


@pytest.fixture(scope="module")
def task() -> JudgedProgram:
    averaging = Averaging((), "relu", 3, 1, 16, 0.2, 0.0, 1.0, "equal", 1 << 20, 2.0, 64)
    spec = Learning(("age",), (), "event", None, averaging, None, Evaluation(HOLDOUT, 1, 0, 0.3), seed=1)
    return build_judged(spec, SCHEMA, (), Rules(budgets=(1.0,), voices=(1.0,)), EVALUATORS)


@dataclass
class Kept:
    """A journal in memory: what was said first stands."""

    entries: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def put_once(self, key: str, value: bytes) -> None:
        self.put_all({key: value})

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        for key, value in entries.items():
            if self.entries.setdefault(key, value) != value:
                raise Refused(f"{key}: another value is remembered")

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.entries if key.startswith(prefix))


def stand(task: JudgedProgram) -> Stand:
    """A job in training, of which nothing is anchored yet."""
    entry = SimpleNamespace(stage=Stage.TRAINING, head=Digest(bytes(32)))
    chain = SimpleNamespace(job=lambda _job: entry, anchors=lambda _job: (), domain=DOMAIN)
    return Stand(JOB, chain, SimpleNamespace(spare_rounds=SPARE), task, GROUND)


def call(state: State, round: int) -> bytes:
    return sign_record(COORDINATOR, DOMAIN, Call(JOB, round, GROUND.digest, canon.pack(state)))


def begun(task: JudgedProgram) -> State:
    """A state from which training may start."""
    one = np.ones(1)
    moments = Moments(one * 100, one * 40, np.zeros((1, task.design.width)), np.ones((1, task.design.width)))
    return State(1, Phase.TRAINING, moments=moments, judged=task._start(SITES))


def dealer(task: JudgedProgram, number: int, journal: Kept) -> Dealer:
    name = f"seat {number}" if number < SITES else f"evaluator {number - SITES}"
    secrets = Secrets(signer_of(name), bytes(32), entropy_of(number))

    def give(state: State) -> Given:
        lots = task.lots(state)
        rows = lots.site if number < SITES else lots.evaluator
        return Given(np.full((rows, task.length(state)), 0.1), (10,) * len(task.strata))

    return Dealer(stand(task), number, give, journal=journal, secrets=secrets)


def test_a_dealer_that_starts_again_says_the_same_and_another_state_gets_nothing(task):
    journal = Kept()
    first = dealer(task, 0, journal).react(call(begun(task), 1))
    assert dealer(task, 0, journal).react(call(begun(task), 1)) == first
    other = replace(begun(task), judged=replace(begun(task).judged, weights=begun(task).judged.weights + 1.0))
    with pytest.raises(Refused):
        dealer(task, 0, journal).react(call(other, 1))


@pytest.mark.parametrize("round", [-1, 3 + 2 + SPARE, 1 << 40])
def test_nobody_is_called_to_more_rounds_than_the_job_has(task, round):
    for party in (dealer(task, 0, Kept()), Aggregator(stand(task), 0, journal=Kept(), secrets=secrets_of(0))):
        with pytest.raises(PeerFault, match="does not have"):
            party.react(call(OPENING, round))


def test_whoever_has_just_started_and_has_no_call_names_nobody(task):
    body = sign_record(COORDINATOR, DOMAIN, Prepare(JOB, 0, 1, 0))
    for party in (dealer(task, 0, Kept()), Aggregator(stand(task), 0, journal=Kept(), secrets=secrets_of(0))):
        with pytest.raises(Refused, match="has no call to the round at hand"):
            party.react(body)


def test_an_evaluator_that_is_called_where_none_is_asked_blames_the_coordinator(task):
    with pytest.raises(PeerFault, match="none is asked"):
        dealer(task, SITES, Kept()).react(call(OPENING, 0))
    assert dealer(task, SITES, Kept()).react(call(begun(task), 1))


def test_a_state_of_other_sites_is_refused_before_anything_is_computed_from_it(task):
    other = replace(begun(task), judged=task._start(SITES - 1))
    for party in (dealer(task, 0, Kept()), Aggregator(stand(task), 0, journal=Kept(), secrets=secrets_of(0))):
        with pytest.raises((Refused, PeerFault)):
            party.react(call(other, 1))
    with pytest.raises(Refused, match="sites"):
        plan_for(1, GROUND, task, other)


def test_an_aggregator_opens_a_sum_of_one_state_at_every_step(task):
    aggregator = Aggregator(stand(task), 0, journal=Kept(), secrets=secrets_of(0))
    honest = begun(task)
    made_up = replace(honest, judged=replace(honest.judged, weighed=np.array([9, 0, 0, 0])))
    plans = [plan_for(number, GROUND, task, state) for number, state in ((1, honest), (2, honest), (3, made_up))]
    for plan in plans[:2]:
        aggregator._remember(plan, honest.round, "weights", b"weights")
    with pytest.raises(Refused):
        aggregator._remember(plans[1], honest.round, "weights", b"other weights")
    with pytest.raises(Refused):
        aggregator._remember(plans[2], made_up.round, "weights", b"weights")


def test_an_aggregator_knows_its_memory_again_up_to_rounding_and_no_other(task):
    known = start(task.rules, SITES, SITES + EVALUATORS)
    effects = known.effects

    def off(by: float) -> Mean:
        return Mean(effects.sums + by, effects.weights)

    assert _alike(known, replace(known, effects=off(1e-12)))
    assert not _alike(known, replace(known, effects=off(1e-3)))
    assert not _alike(known, replace(known, earned=known.earned + 1e-3))


def test_a_settlement_of_a_job_that_is_not_done_is_not_signed(task):
    with pytest.raises(PeerFault, match="not done"):
        stand(task).do_again((), SimpleNamespace(get=None))


def nothing_came(task: JudgedProgram, **changes: object) -> tuple[RoundRecord, dict[Digest, bytes]]:
    """The record of a first round to which nobody sent anything."""
    session = plan_for(0, GROUND, task, OPENING).session
    empty = {one.name: () for one in dataclasses.fields(GramExchange)} | {"session": session, "told": b""}
    exchange = GramExchange(**empty | {"evaluators": (None,) * EVALUATORS})
    record = RoundRecord(
        job=JOB,
        round=0,
        before=canon.digest(OPENING),
        after=canon.digest(OPENING),
        failure="nobody answered",
        setup=GROUND.digest,
        survivors=(),
        exchange=canon.digest(exchange),
        uploads=(None,) * SITES,
    )
    blobs = [canon.pack(one) for one in (exchange, OPENING, begun(task))]
    return replace(record, **changes), {canon.digest_bytes(one): one for one in blobs}


@pytest.mark.parametrize("uploads", [(None,) * (SITES - 1), (None,) * SITES + (Digest(bytes(32)),)])
def test_a_round_that_failed_has_as_many_places_for_uploads_as_there_are_sites(task, uploads):
    record, blobs = nothing_came(task, uploads=uploads)
    again = GramAgain(GROUND, task, blobs.__getitem__, lambda _text: None, OPENING)
    with pytest.raises(Refused, match="parties"):
        again.read_rounds([record], [Anchor(0, Digest(bytes(32)), record.after, Digest(bytes(32)))])


def test_a_round_that_failed_does_not_slip_another_state_in(task):
    other = canon.digest(begun(task))
    record, blobs = nothing_came(task, before=other, after=other)
    again = GramAgain(GROUND, task, blobs.__getitem__, lambda _text: None, OPENING)
    with pytest.raises(Refused, match="another state"):
        again.read_rounds([record], [Anchor(0, Digest(bytes(32)), record.after, Digest(bytes(32)))])


@pytest.mark.parametrize(
    "earned", [np.ones(SITES), np.full(SITES, np.nan), np.array([-0.1, 0, 0, 0]), np.ones(SITES - 1) / SITES]
)
def test_pay_that_there_cannot_be_is_refused_and_not_computed_with(task, earned):
    state = begun(task)
    state = replace(state, judged=replace(state.judged, memory=replace(state.judged.memory, earned=earned)))
    enrolments = [SimpleNamespace(site=bytes(20), seat=Seat(seat)) for seat in range(SITES)]
    cards = [SimpleNamespace(rows_at_least=100)] * SITES
    with pytest.raises(Refused, match="earned"):
        participation(enrolments, (), cards, state)
    assert len(participation(enrolments, (), cards, begun(task))) == SITES


@pytest.mark.parametrize("name", ["first aggregator", "Third_aggregator", "buyer", "elm"])
def test_a_site_does_not_share_its_keys_with_another_party(name):
    check_names("federation.toml", ["Elm", "Fir"])
    with pytest.raises(Refused, match=name):
        check_names("federation.toml", ["Elm", "Fir", name])
