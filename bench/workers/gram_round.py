"""Rounds of judged updates in a fresh process: every party is played in turn, each with a clock of its own.

    python bench/workers/gram_round.py '{"sites": 10, "length": 1000, "buckets": 4096, "repeat": 3}'

The question comes as the argument; one line of JSON goes to standard output. With "whole": true no round is played:
the three aggregators multiply whole components, unsketched, and the products are compared with the plain ones.

What is counted is processor time of one thread: of a site, encoding, blinding, streams, commitments, sealed boxes,
digests and signature; of an aggregator, everything from its pledge to its part of the sum: boxes, digests of all
corrections, both components of all rows, sketch, projections, square norms, products, the check of them in all three
parts, weights, two weighted sums, signatures and their checks. Beside it a plain product of the same rows in float32
and their weighted sum, unprotected. What one party has verified is forgotten before the next one's turn. Not counted:
imports, making the rows, a first small round, the comparison with the plain sum and inner products.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import rss
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.sign import Signer, domain_separator, recover
from caduceus.crypto.xwing import Decapsulator
from caduceus.kinds import Address, Digest, JobId, Singles
from caduceus.learn.judged.opened import WHOLE
from caduceus.protocol import gram_upload, secagg_reading
from caduceus.protocol.encoding import encode
from caduceus.protocol.gram_aggregator import AggregatorSecrets, GramAggregator
from caduceus.protocol.gram_dealer import GramDealer
from caduceus.protocol.gram_server import GramServer
from caduceus.protocol.gram_session import STEPS, AggregatorKeys, GramGround, GramPlan, GramSession, bound_for

T = TypeVar("T")

NORM = 1.0
"""Rows are clipped to it, in model units; as many steps as the protocol allows stand for it."""


def secret(*parts: object) -> bytes:
    """32 bytes that are the same in every run."""
    return sha256("/".join(map(str, parts)).encode()).digest()


def some_rows(sites: int, length: int) -> Singles:
    """Updates that have a direction in common, each of norm `NORM` at most."""
    generator = np.random.default_rng([sites, length])
    rows = generator.standard_normal((sites, length), dtype=np.float32)
    rows += 0.7 * generator.standard_normal(length, dtype=np.float32)
    rows *= NORM * (1 - 1e-4) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


class Clock:
    """Processor seconds by party and by what it did."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))

    def run(self, party: str, what: str, call: Callable[[], T]) -> T:
        """A party's turn, in which it profits from nobody else's work."""
        secagg_reading.forget()
        recover.cache_clear()
        began = time.process_time()
        try:
            return call()
        finally:
            self.spent[party][what] += time.process_time() - began


class Scene:
    """The parties of one round, with keys that are the same in every run."""

    def __init__(self, sites: int, length: int, buckets: int, number: int) -> None:
        self.coordinator = Signer(secret("coordinator"))
        self.signers = [Signer(secret("seat", seat)) for seat in range(sites)]
        self.secrets = [
            AggregatorSecrets(
                Signer(secret("aggregator", k)), Decapsulator(secret("kem", k)), KeyedEntropy(secret("root", k))
            )
            for k in range(rss.PARTIES)
        ]
        ground = GramGround(
            domain=domain_separator(1337, Address(bytes(range(20)))),
            job=JobId(secret("job")),
            coordinator=self.coordinator.address,
            aggregators=tuple(AggregatorKeys(one.signer.address, one.opener.public) for one in self.secrets),
            evaluators=(),
            sites=tuple(signer.address for signer in self.signers),
        )
        scale = int(STEPS / NORM)
        session = GramSession(
            ground=ground.digest,
            round=number,
            state=Digest(secret("state", number)),
            site_rows=1,
            evaluator_rows=0,
            length=length,
            scale=scale,
            bound=bound_for(NORM, scale=scale, length=length, buckets=buckets),
            report=1,
            quorum=2,
            buckets=buckets,
            public=None,
        )
        self.plan = GramPlan(session, ground, None)

    def judge(self, gram: Any, reports: Any, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Equal weights for all who are near the rest: those whose mean inner product with others is positive."""
        near = (gram.sum(axis=1) > gram.diagonal()) & present
        return np.where(near, WHOLE // max(1, int(near.sum())), 0).astype(np.int64)


def play(scene: Scene, rows: Singles, clock: Clock) -> GramServer:
    """One round to its end."""
    plan = scene.plan
    server = GramServer(plan, scene.coordinator, scene.judge)
    speaking: list[tuple[int, bytes]] = []
    actors: dict[int, GramDealer | GramAggregator] = {}
    for seat in range(len(rows)):

        def deal(seat: int = seat) -> bytes:
            dealer = GramDealer(
                plan, seat, signer=scene.signers[seat], entropy=KeyedEntropy(secret("site", seat)), remember=remember
            )
            actors[seat] = dealer
            words = encode(rows[seat], scale=plan.session.scale, bits=64, parties=1)
            return dealer.upload(words[None, :], (1,))

        speaking.append((seat, clock.run(f"site {seat}", "upload", deal)))
    for k, party in enumerate(plan.aggregators):

        def pledge(k: int = k, party: int = party) -> bytes:
            aggregator = GramAggregator(plan, k, scene.secrets[k], judge=scene.judge, remember=remember)
            actors[party] = aggregator
            return aggregator.pledge()

        speaking.append((party, clock.run(f"aggregator {k}", "pledge", pledge)))
    while True:
        told: list[tuple[int, bytes]] = []
        for party, message in speaking:
            replies = clock.run(
                "coordinator", "all", lambda party=party, message=message: server.receive(party, message)
            )
            told += [(party, reply) for reply in replies]
        if not server.is_over:
            told += list(clock.run("coordinator", "all", server.advance).items())
        speaking = []
        for party, body in told:
            what = "gram/begin/1" if gram_upload.is_begin(body) else canon.peek_tag(body)
            name = f"site {party}" if party < len(rows) else f"aggregator {party - plan.aggregators[0]}"
            replies = clock.run(name, what, lambda party=party, body=body: actors[party].react(body))
            speaking += [(party, reply) for reply in replies]
        if server.is_over:
            return server


def remember(key: str, value: bytes) -> None:
    """A journal that forgets: what it costs to write is the disk's."""


def measure(rows: Singles, buckets: int, number: int) -> dict[str, Any]:
    """One round, its figures, and whether everything in it is as it must be."""
    sites, length = rows.shape
    scene, clock = Scene(sites, length, buckets, number), Clock()
    server = play(scene, rows, clock)
    assert server.products is not None
    assert server.judged is not None
    assert server.total is not None
    scale, weights = scene.plan.session.scale, server.judged.weights
    steps = np.stack([encode(row, scale=scale, bits=64, parties=1) for row in rows]).view(np.int64).astype(np.float64)
    gram = steps @ steps.T  # whole numbers below 2**53: exact
    norms = np.sqrt(gram.diagonal())
    found = server.products.raw.astype(np.float64)
    errors = (found - gram)[np.triu_indices(sites, 1)] / np.outer(norms, norms)[np.triu_indices(sites, 1)]
    began = time.process_time()
    plain = rows @ rows.T
    summed = (weights.astype(np.float32) / np.float32(WHOLE)) @ rows
    unprotected = time.process_time() - began
    assert np.isfinite(plain).all()
    assert np.isfinite(summed).all()
    spent = {name: dict(parts) for name, parts in clock.spent.items()}
    sites_spent = sorted(sum(parts.values()) for name, parts in spent.items() if name.startswith("site"))
    return {
        "site": {"median": sites_spent[len(sites_spent) // 2], "most": sites_spent[-1]},
        "aggregators": [spent[f"aggregator {k}"] for k in range(rss.PARTIES)],
        "coordinator": sum(spent["coordinator"].values()),
        "plain float32": unprotected,
        "sum is exact": bool(np.array_equal(server.total.view(np.int64).astype(np.float64), weights @ steps)),
        "products are exact": bool(np.array_equal(found, gram)),
        "error of a cosine": {"rms": float(np.sqrt((errors**2).mean())), "most": float(np.abs(errors).max())},
        "mean cosine": float((gram / np.outer(norms, norms))[np.triu_indices(sites, 1)].mean()),
        "rows within": len(server.products.present),
    }


def whole(rows: Singles) -> dict[str, Any]:
    """The products of whole components at every aggregator, without a sketch."""
    sites, length = rows.shape
    words = np.stack([encode(row, scale=STEPS, bits=64, parties=1) for row in rows])
    seeds = [tuple(secret("whole", seat, k) for k in range(rss.PARTIES)) for seat in range(sites)]
    corrections = words[:, None].copy()
    for seat in range(sites):
        rss.cover(corrections[seat], (seeds[seat][0], seeds[seat][1], seeds[seat][2]))
    total = np.zeros((sites, sites), np.uint64)
    spent, multiplied = [], []
    for party in range(rss.PARTIES):
        began = time.process_time()
        own, following = (
            np.concatenate(
                [
                    rss.component(k, seeds[seat][k], corrections[seat] if k == 0 else None, shape=(1, length))
                    for seat in range(sites)
                ]
            )
            for k in rss.holds(party)
        )
        drawn = time.process_time()
        total += rss.products(own, following)
        spent.append(time.process_time() - began)
        multiplied.append(time.process_time() - drawn)
    steps = words.view(np.int64).astype(np.float64)
    return {
        "aggregators": spent,
        "products": multiplied,
        "products are exact": bool(np.array_equal(total.view(np.int64).astype(np.float64), steps @ steps.T)),
    }


def main() -> None:
    """Answer one question."""
    question = json.loads(sys.argv[1])
    rows = some_rows(question["sites"], question["length"])
    if question.get("whole"):
        print(json.dumps(whole(rows)))
        return
    measure(some_rows(3, 5000), 4096, 0)  # first calls make tables and touch memory
    print(json.dumps([measure(rows, question["buckets"], 1 + number) for number in range(question["repeat"])]))


if __name__ == "__main__":
    main()
