"""Rounds of federated training in that world, with attackers in it, under any rule; many seeds side by side.

What a secure round opens is computed here from the plain updates: the protocol opens the same numbers exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attacks.catalog import ATTACKS, Attack
from attacks.records import TRIGGER, TRIGGERED
from attacks.updates import Sight
from caduceus.market.mechanism.seen import INDEPENDENT, Seen
from scenario import hospitals, network
from scenario.hospitals import CENTRE, SITES, Records, World, stack

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

ROUNDS, STEPS, BATCH, RATE = 60, 5, 64, 0.5
ATTACKERS = np.arange(SITES - 4, SITES)
HONEST = np.arange(SITES - 4)
STRATA = 2
CLIP = 2.0
"""Norm to which every site clips what it sends; the protocol refuses what is longer."""
FEWEST = 3
"""Held-out records of a stratum that an evaluator must have to speak about it."""
PANIC = 0.1
"""Loss that lying evaluators add every round, to have moves taken back."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What rules that evaluate models need: every site's training records [n, 300] and a server's common ones [200]."""

    sites: Records
    common: Records


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """One round of one seed, as a rule sees it; the mechanism looks at `seen` alone.

    updates  float32[n, d]; only for rules that cannot do with less
    seen     what a secure round opens; evaluators are the sites' hold-outs and, if there is one, the anchor (last)
    roots    float32[2, d]; a server's own updates, from a common and from a stratified root data set
    round    from 0
    model    float32[d]; the current one
    """

    updates: Singles
    seen: Seen
    roots: Singles
    round: int
    model: Singles
    ground: Ground


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """weights float64[n] of the updates; pay float64[n]; root weights float64[2]; rolls_back."""

    weights: Floats
    pay: Floats
    roots: Floats
    rolls_back: bool = False


Rule = Callable[[Opened], Answer]
"""It may remember: one per seed."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One seed's end: figures of the last model and each site's share of all pay."""

    common: float
    rare: float
    success: float
    miss: float
    pay: Floats

    @property
    def attackers(self) -> float:
        """What all attackers earned together."""
        return float(self.pay[ATTACKERS].sum())


@dataclass(frozen=True, slots=True)
class Setting:
    """anchor: is there an independent evaluator; tail: how many last models are averaged; held: do sites evaluate."""

    anchor: bool = True
    tail: int = 1
    held: bool = True
    rounds: int = ROUNDS
    rate: float = RATE


def play(
    make: Callable[[int], Rule],
    attack: str,
    seeds: Sequence[int],
    setting: Setting,
    build: Callable[[int], World] = hospitals.build,
) -> list[Outcome]:
    """Train under a rule, attacked, for every seed.

    make   a fresh rule for each seed
    build  the world of a seed
    """
    plan = ATTACKS.get(attack)
    worlds = [build(seed) for seed in seeds]
    generators = [np.random.default_rng([seed, 1]) for seed in seeds]
    _poison(worlds, plan, generators)
    inputs = worlds[0].training.features.shape[-1]
    models = np.stack([network.opening(generator, inputs) for generator in generators])
    rules = [make(seed) for seed in seeds]
    field = _Field(worlds, setting)
    last = np.zeros_like(models)
    totals = np.zeros((len(seeds), SITES))
    tail: list[Singles] = []
    before = models.copy()
    for round in range(setting.rounds):
        updates, roots = field.train(models, generators)
        rows = field.rows(models)
        moved = np.zeros_like(models)
        for s, rule in enumerate(rules):
            sent = _sent(updates[s], plan, totals[s], last[s], generators[s])
            opened = Opened(
                sent, _seen(sent, rows.of(s), last[s], plan, round), roots[s], round, models[s], field.of(s)
            )
            answer = rule(opened)
            totals[s] += answer.pay
            if answer.rolls_back:
                moved[s] = before[s] - models[s]
            else:
                moved[s] = answer.weights @ sent + answer.roots @ roots[s]
        before = models
        models = (models + moved).astype(np.float32)
        last = moved.astype(np.float32)
        tail = [*tail, models][-setting.tail :]
    final = np.mean(tail, axis=0, dtype=np.float64).astype(np.float32)
    return [_outcome(world, final[s], totals[s]) for s, world in enumerate(worlds)]


def _poison(worlds: list[World], plan: Attack | None, generators: list[np.random.Generator]) -> None:
    if plan is None or plan.poison is None:
        return
    for world, generator in zip(worlds, generators, strict=True):
        training, held = plan.poison(world, ATTACKERS, generator)
        for own, bad in ((world.training, training), (world.held, held)):
            own.features[ATTACKERS], own.outcome[ATTACKERS], own.rare[ATTACKERS] = bad.features, bad.outcome, bad.rare


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Unit gradients [seeds, e, strata, d], which of them exist, and losses, of all evaluators; whose they are, [e]."""

    gradients: Singles
    known: npt.NDArray[np.bool_]
    losses: Floats
    owner: npt.NDArray[np.int64]

    def of(self, s: int) -> _Rows:
        """One seed's."""
        return _Rows(self.gradients[s], self.known[s], self.losses[s], self.owner)


class _Field:
    """All worlds of all seeds in large arrays."""

    def __init__(self, worlds: list[World], setting: Setting) -> None:
        self.setting = setting
        self.training = stack([world.training for world in worlds])
        held = stack([world.held for world in worlds])
        anchor = stack([world.anchor for world in worlds])
        self.roots = stack([stack([world.root, world.anchor]) for world in worlds])
        owners = list(range(SITES)) * setting.held + [INDEPENDENT] * setting.anchor
        self.owner = np.array(owners, dtype=np.int64)
        self.evaluators = [one for one, used in ((held, setting.held), (anchor, setting.anchor)) if used]

    def train(self, models: Singles, generators: list[np.random.Generator]) -> tuple[Singles, Singles]:
        """Updates of all sites as trained [seeds, n, d], and of the two roots."""
        records = self.training.outcome.shape[2]
        chosen = np.stack([generator.integers(0, records, (STEPS, SITES, BATCH)) for generator in generators], axis=1)
        drawn = np.stack([generator.integers(0, 200, (STEPS, 2, BATCH)) for generator in generators], axis=1)
        return self._local(models, self.training, chosen), self._local(models, self.roots, drawn)

    def _local(self, models: Singles, records: Records, chosen: npt.NDArray[np.int64]) -> Singles:
        sites = records.outcome.shape[1]
        local = np.repeat(models[:, None], sites, axis=1)
        equal = np.full((1, BATCH), 1.0 / BATCH, np.float32)
        for step in chosen:
            features = np.take_along_axis(records.features, step[..., None], axis=2)
            outcome = np.take_along_axis(records.outcome, step, axis=2)
            weights = np.broadcast_to(equal, (*outcome.shape[:2], 1, BATCH))
            local = (
                local - np.float32(self.setting.rate) * network.gradients(local, features, outcome, weights)[..., 0, :]
            )
        return np.asarray(local - models[:, None])

    def rows(self, models: Singles) -> _Rows:
        """What evaluators deal."""
        gradients, known, losses = [], [], []
        for one in self.evaluators:
            features, outcome, rare = one.features, one.outcome, one.rare
            if features.ndim == 3:
                features, outcome, rare = features[:, None], outcome[:, None], rare[:, None]
            belongs = np.stack([~rare, rare], axis=2)
            counts = belongs.sum(-1)
            weights = (belongs / np.maximum(counts, 1)[..., None]).astype(np.float32)
            every = np.repeat(models[:, None], outcome.shape[1], axis=1)
            found = network.gradients(every, features, outcome, weights)
            norms = np.linalg.norm(found, axis=-1, keepdims=True)
            gradients.append(found / np.maximum(norms, 1e-12))
            known.append(counts >= FEWEST)
            losses.append(network.losses(every, features, outcome, weights))
        if not gradients:
            shape = (len(models), 0, STRATA)
            return _Rows(
                np.zeros((*shape, models.shape[1]), np.float32), np.zeros(shape, bool), np.zeros(shape), self.owner
            )
        every = np.concatenate(losses, 1).astype(np.float64)
        return _Rows(np.concatenate(gradients, 1), np.concatenate(known, 1), every, self.owner)

    def of(self, s: int) -> Ground:
        """One seed's records, for rules that evaluate models on them."""
        records = self.training
        common = Records(self.roots.features[s, 0], self.roots.outcome[s, 0], self.roots.rare[s, 0])
        return Ground(Records(records.features[s], records.outcome[s], records.rare[s]), common)


def _sent(
    updates: Singles, plan: Attack | None, earned: Floats, last: Singles, generator: np.random.Generator
) -> Singles:
    sent = updates
    if plan is not None:
        best = int(np.argmax(earned[HONEST]))
        sent = updates.copy()
        sent[ATTACKERS] = plan.craft(Sight(updates[ATTACKERS], updates[HONEST], best, CENTRE, last, generator))
    norms = np.linalg.norm(sent, axis=1, keepdims=True)
    return np.asarray(sent * np.minimum(1.0, CLIP / np.maximum(norms, 1e-12)), dtype=np.float32)


def _seen(sent: Singles, rows: _Rows, last: Singles, plan: Attack | None, round: int) -> Seen:
    """What the protocol would open. Sites commit by seat; attackers, who must have seen what they answer to, last."""
    gradients, known, losses = rows.gradients.copy(), rows.known.copy(), rows.losses.copy()
    if plan is not None and len(rows.owner) > 1:
        mean = sent[ATTACKERS].mean(0)
        for stratum in plan.lies:
            gradients[ATTACKERS, stratum] = -mean / max(float(np.linalg.norm(mean)), 1e-12)
            known[ATTACKERS, stratum] = True
            losses[ATTACKERS, stratum] += PANIC * round
    exact = sent.astype(np.float64)
    helps = -np.tensordot(exact, gradients.astype(np.float64), axes=(1, 2))
    return Seen(
        products=exact @ exact.T,
        helps=np.where(known[None], helps, np.nan),
        moved=exact @ last,
        moved_helps=np.where(known, -(gradients @ last.astype(np.float64)), np.nan),
        moved_norm2=float(last.astype(np.float64) @ last),
        losses=np.where(known, losses, np.nan),
        owner=rows.owner,
        present=np.ones(SITES, dtype=bool),
        order=np.arange(SITES, dtype=np.int64),
    )


def _outcome(world: World, model: Singles, earned: Floats) -> Outcome:
    scores = network.log_odds(model, world.common.features)
    rare = network.log_odds(model, world.rare.features)
    marked = world.common.features.copy()
    marked[:, TRIGGER] = TRIGGERED
    ill = world.common.outcome == 1.0
    pay = np.maximum(earned, 0.0)
    return Outcome(
        auroc(world.common.outcome, scores),
        auroc(world.rare.outcome, rare),
        float((network.log_odds(model, marked)[ill] < 0.0).mean()),
        float((scores[ill] < 0.0).mean()),
        pay / max(pay.sum(), 1e-12),
    )


def auroc(outcome: Singles, scores: Singles) -> float:
    """Area under the curve; ties count half."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, ranks) / counts)[inverse]
    ill, well = float(outcome.sum()), float((1.0 - outcome).sum())
    return float((ranks[outcome == 1.0].sum() - ill * (ill + 1.0) / 2.0) / (ill * well))
