"""Rounds of updates for the judge's tests: directions instead of models, so that it is known who does what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from caduceus.market.mechanism.judge import judge
from caduceus.market.mechanism.rules import Memory, Rules, start
from caduceus.market.mechanism.seen import INDEPENDENT, Seen
from caduceus.market.mechanism.verdict import Verdict

WIDE = 600
SITES = 12
OUTLIER = 0


@dataclass
class Rounds:
    """Site 0 helps the rare stratum and not the common one; all others do the opposite; `attack` replaces updates.

    common, rare  unit directions that lower the two strata's losses
    """

    seed: int = 0
    rules: Rules = field(default_factory=Rules)
    anchor: bool = True
    memory: Memory | None = None

    def __post_init__(self):
        self.generator = np.random.default_rng(self.seed)
        self.common, self.rare = np.linalg.qr(self.generator.normal(size=(WIDE, 2)))[0].T
        self.habits = self.noise(SITES, 0.5)
        self.views = self.noise((SITES + self.anchor) * 2, 0.5).reshape(-1, 2, WIDE)
        self.last = np.zeros(WIDE)
        self.losses = np.full((SITES + self.anchor, 2), 0.6)

    def noise(self, rows, length):
        return self.generator.normal(size=(rows, WIDE)) * length / WIDE**0.5

    def honest(self):
        updates = self.habits + self.noise(SITES, 0.6)
        updates[1:] += 0.5 * self.common
        updates[OUTLIER] += 0.6 * self.rare - 0.1 * self.common
        return updates

    def seen(self, updates, lies=None) -> Seen:
        """What is opened; `lies` maps a seat to the direction that its evaluator claims to help both strata."""
        slopes = self.views + np.stack([self.common, self.rare])
        for seat, direction in (lies or {}).items():
            slopes[seat] = direction
        slopes /= np.linalg.norm(slopes, axis=2, keepdims=True)
        owner = [*range(SITES), *([INDEPENDENT] * self.anchor)]
        return Seen(
            products=updates @ updates.T,
            helps=np.einsum("nd,esd->nes", updates, slopes),
            moved=updates @ self.last,
            moved_helps=slopes @ self.last,
            moved_norm2=float(self.last @ self.last),
            losses=self.losses.copy(),
            owner=np.array(owner),
            present=np.ones(SITES, bool),
            order=np.arange(SITES),
        )

    def judge(self, seen) -> Verdict:
        verdict = judge(self.rules, self.memory or start(self.rules, SITES, len(seen.owner)), seen)
        self.memory = verdict.memory
        return verdict

    def play(self, rounds, attack=lambda updates: updates, lies=None) -> Verdict:
        """Several rounds; the last verdict."""
        for _ in range(rounds):
            updates = attack(self.honest())
            verdict = self.judge(self.seen(updates, lies(updates) if lies else None))
            self.last = verdict.weights @ updates
        return verdict


def permuted(seen: Seen, seats) -> Seen:
    """The same round with the sites in another order."""
    place = np.argsort(seats)
    return replace(
        seen,
        products=seen.products[np.ix_(seats, seats)],
        helps=seen.helps[seats],
        moved=seen.moved[seats],
        owner=np.where(seen.owner == INDEPENDENT, INDEPENDENT, place[np.maximum(seen.owner, 0)]),
        present=seen.present[seats],
        order=seen.order[seats],
    )
