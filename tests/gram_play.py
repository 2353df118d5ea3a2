"""Rounds of judged updates on stage: real dealers, aggregators and server, and mischief between them.

A *mischief* sees each message on its way and hands on what it likes; whoever must sign what it forges is given the
keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from adversary import COORDINATOR, DOMAIN, JOB, STATE, Memory, secret
from caduceus import canon
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.sign import Signer
from caduceus.crypto.xwing import Decapsulator
from caduceus.kinds import Digest
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.gram_aggregator import AggregatorSecrets, GramAggregator
from caduceus.protocol.gram_dealer import GramDealer
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_replay import Replayed, replay
from caduceus.protocol.gram_server import GramServer, Phase
from caduceus.protocol.gram_session import AggregatorKeys, GramGround, GramPlan, GramSession, row_digest

Mischief = Callable[[Phase, int, bytes], Iterable[bytes]]
"""`mischief(phase, party, message)` gives what travels instead: nothing, one message, or several."""


@cache
def signer_of(party: str) -> Signer:
    return Signer(secret("gram signer", party))


@cache
def secrets_of(k: int) -> AggregatorSecrets:
    return AggregatorSecrets(
        signer_of(f"aggregator {k}"), Decapsulator(secret("gram kem", k)), KeyedEntropy(secret("gram entropy", k))
    )


def entropy_of(dealer: int) -> KeyedEntropy:
    return KeyedEntropy(secret("gram dealer", dealer))


@cache
def a_ground(sites: int = 4, evaluators: int = 0) -> GramGround:
    return GramGround(
        domain=DOMAIN,
        job=JOB,
        coordinator=COORDINATOR.address,
        aggregators=tuple(AggregatorKeys(secrets_of(k).signer.address, secrets_of(k).opener.public) for k in range(3)),
        evaluators=tuple(signer_of(f"evaluator {at}").address for at in range(evaluators)),
        sites=tuple(signer_of(f"seat {seat}").address for seat in range(sites)),
    )


def a_plan(sites: int = 4, evaluators: int = 0, *, public: bool = False, **fields: Any) -> GramPlan:
    ground = a_ground(sites, evaluators)
    session = GramSession(
        ground=ground.digest,
        round=3,
        state=Digest(STATE),
        site_rows=1,
        evaluator_rows=1 if evaluators else 0,
        length=5,
        scale=1 << 10,
        bound=1 << 15,
        report=2,
        quorum=2,
        buckets=128,
        public=None,
    )
    session = replace(session, **fields)
    row = None
    if public:
        row = np.arange(session.length, dtype=np.uint64) - np.uint64(2)
        session = replace(session, public=row_digest(row))
    return GramPlan(session, ground, row)


def rows_of(plan: GramPlan, dealer: int) -> np.ndarray:
    """A dealer's rows, each within the bound; the same in every play."""
    generator = np.random.default_rng([plan.session.round, dealer])  # test data, no secret
    shape = plan.rows_of(dealer), plan.session.length
    rows = generator.standard_normal(shape)
    rows *= 0.9 * plan.session.bound / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)
    return np.rint(rows).astype(np.int64).view(np.uint64)


def report_of(plan: GramPlan, dealer: int) -> tuple[int, ...]:
    return tuple(1000 * dealer + at for at in range(plan.session.report))


def a_rule(plan: GramPlan):
    """Weights that depend on products, reports and presence; public and the same everywhere."""

    def judge(gram, reports, present):
        weights = np.zeros(plan.sites, np.int64)
        for seat in np.flatnonzero(present[: plan.sites]).tolist():
            at = plan.place(seat).start
            weights[seat] = 200 + int(gram[at, at] > 100.0) + 3 * seat + int(reports[seat].sum()) % 5
        return weights

    return judge


@dataclass
class GramPlay:
    """One round on stage.

    silent   parties that say nothing from a phase on
    liars    mischief of parties, by number: stands between the party and the server
    lies     mischief of the coordinator: what reaches an aggregator instead of what the server said
    rows     gives each dealer's rows
    spoil    what becomes of a dealer's upload before it is sent
    """

    plan: GramPlan = field(default_factory=a_plan)
    silent: Mapping[Phase, frozenset[int]] = field(default_factory=dict)
    liars: Mapping[int, Mischief] = field(default_factory=dict)
    lies: Mischief | None = None
    rows: Callable[[GramPlan, int], np.ndarray] = rows_of
    memories: dict[int, Memory] = field(default_factory=dict)
    judge: Any = None

    def __post_init__(self) -> None:
        self.rule = self.judge or a_rule(self.plan)
        self.server = GramServer(self.plan, COORDINATOR, self.rule)
        self.dealers = {dealer: self.a_dealer(dealer) for dealer in self.plan.dealers}
        self.aggregators = {party: self.an_aggregator(party) for party in self.plan.aggregators}
        self.problems: dict[int, Exception] = {}
        self.heard: list[tuple[Phase, int, bytes]] = []
        self.told: list[tuple[Phase, int, bytes]] = []
        self._gone: set[int] = set()

    def memory(self, party: int) -> Memory:
        return self.memories.setdefault(party, Memory())

    def a_dealer(self, dealer: int) -> GramDealer:
        memory = self.memory(dealer)
        return GramDealer(
            self.plan,
            dealer,
            signer=signer_of(self.plan.ground.name_of(dealer)),
            entropy=entropy_of(dealer),
            remember=memory.remember,
            kept=memory.get("upload", b""),
        )

    def an_aggregator(self, party: int) -> GramAggregator:
        memory, k = self.memory(party), party - self.plan.aggregators[0]
        return GramAggregator(
            self.plan,
            k,
            secrets_of(k),
            judge=self.rule,
            remember=memory.remember,
            kept=memory.get("pledge", b""),
        )

    def opening(self) -> dict[int, list[bytes]]:
        said = {
            dealer: [one.upload(self.rows(self.plan, dealer), report_of(self.plan, dealer))]
            for dealer, one in self.dealers.items()
        }
        return said | {party: [one.pledge()] for party, one in self.aggregators.items()}

    def until(self, phase: Phase) -> None:
        """Play until the server has heard everyone in a phase, which stays open."""
        self.answer(self.opening())
        while self.server.phase < phase:
            self.answer(self.close())

    def run(self) -> np.ndarray:
        """Play the round to its end; raises what the server raises if it fails."""
        self.answer(self.opening())
        while not self.server.is_over:
            self.answer(self.close())
        assert self.server.total is not None
        return self.server.total

    def close(self) -> dict[int, list[bytes]]:
        phase = self.server.phase
        return {party: self._hear(phase, party, body) for party, body in self.server.advance().items()}

    def answer(self, spoken: Mapping[int, list[bytes]]) -> None:
        phase = self.server.phase
        self._gone |= self.silent.get(phase, frozenset())
        for party in sorted(spoken):
            for message in spoken[party] if party not in self._gone else []:
                for body in self.liars[party](phase, party, message) if party in self.liars else [message]:
                    self.heard.append((phase, party, body))
                    for reply in self.server.receive(party, body):
                        self._hear(phase, party, reply)

    def _hear(self, phase: Phase, party: int, body: bytes) -> list[bytes]:
        answers: list[bytes] = []
        actor = self.dealers.get(party) or self.aggregators[party]
        for told in [body] if self.lies is None else self.lies(phase, party, body):
            self.told.append((phase, party, told))
            try:
                answers += actor.react(told)
            except Exception as problem:  # noqa: BLE001  (whatever it is, the party says no more; tests look at it)
                self.problems[party] = problem
        return answers

    def named(self) -> list[tuple[str, str]]:
        """Whom the server caught, and at what."""
        return [(self.plan.ground.name_of(fault.seat), fault.why) for fault in self.server.faults]

    def plain(self, inside: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
        """int64 inner products of all rows, and the weighted sum, by plain whole numbers."""
        plan = self.plan
        table = np.zeros((plan.rows, plan.session.length), object)
        for dealer in inside:
            table[plan.place(dealer)] = self.rows(plan, dealer).view(np.int64).astype(object)
        if plan.public is not None:
            table[-1] = plan.public.view(np.int64).astype(object)
        gram = table @ table.T
        first = [plan.place(seat).start for seat in range(plan.sites)]
        assert self.server.judged is not None
        total = self.server.judged.weights.astype(object) @ table[first]
        return gram.astype(np.int64), total.astype(np.int64)

    def replayed(self, exchange: GramExchange | None = None, **given: Any) -> Replayed:
        """What a stranger makes of the record."""
        record = canon.unpack(GramExchange, canon.pack(exchange or self.server.exchange()))
        return replay(record, self.plan, self.server.uploads().__getitem__, self.rule, **given)


def said_by(k: int, record: object) -> bytes:
    """Anything, signed by an aggregator."""
    return sign_record(secrets_of(k).signer, DOMAIN, record)


def told_by_coordinator(record: object) -> bytes:
    """Anything, signed by the coordinator."""
    return sign_record(COORDINATOR, DOMAIN, record)
