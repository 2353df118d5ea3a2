"""Whether a hospital earns more by anything but honest training: deviations under the product's mechanism and others.

    python bench/deviations.py [--quick]

Twelve hospitals, one of them a rare-disease centre, train for several rounds; hold-outs at the sites and one anchor
evaluate; `market.mechanism.judge` admits, weighs and pays. One ordinary hospital deviates in every round, the others
and all random draws being the same. Its share is what all its seats earn of all that is paid. Other ways of paying are
computed along the same rounds, each from the positive parts of its values: Shapley values from sampled permutations,
cosine to the mean (CGSV), leave-one-out.

Who copies commits later than whom it copies: it must have seen the update. Nobody sees one under the GRAM visibility;
the rows say what would follow if somebody did, and the rows "accomplice" what a pair earns that commits one update at
once. Splitting one's patients over several seats makes real hospitals of each seat, which no geometry tells apart:
that one is left to vouching (one legal entity, one voice), and stands last, for the record.

Writes bench/results/deviations.json.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402

from caduceus.kinds import Floats  # noqa: E402
from caduceus.market.mechanism.judge import judge  # noqa: E402
from caduceus.market.mechanism.rules import Rules, start  # noqa: E402
from caduceus.market.mechanism.seen import INDEPENDENT, Seen  # noqa: E402
from instruments.record import keep, load, provenance, show  # noqa: E402
from valuation import Federation, Patients, RoundGame, cosine, leave_one_out, stratum_gradient  # noqa: E402

SITES, ROUNDS = 12, 10
RARE_CENTRE = SITES - 2
SEEDS = range(800, 812)
DEVIANTS = (2, 5, 8)
VALUED = (4, 9)
"""Rounds in which the other ways of paying are computed, too."""

ORDERS = 24
HOLD_OUT, LEAST_RECORDS = 200, 5
ALLOWED = 1.10
RULES = Rules()


@dataclass(frozen=True)
class Scene:
    """What a deviant knows, and a little more: its own update, everybody's, their helps, and the last move.

    updates [n, d], helps [n, s], moved [d]; me: its seat
    """

    updates: Floats
    helps: Floats
    moved: Floats
    me: int
    generator: np.random.Generator

    @property
    def own(self) -> Floats:
        return self.updates[self.me]

    @property
    def best(self) -> int:
        """Whose update helps the common stratum most, itself excepted."""
        others = np.arange(len(self.updates)) != self.me
        return int(np.where(others, self.helps[:, 0], -np.inf).argmax())

    def noisy(self, update: Floats, cosine: float) -> Floats:
        """An update of the same length at this cosine to a given one."""
        noise = self.generator.normal(size=update.shape)
        noise *= np.linalg.norm(update) / np.linalg.norm(noise)
        return cosine * update + (1 - cosine**2) ** 0.5 * noise

    def like(self, cosine: float) -> Floats:
        """Three updates [3, d] that are the own one plus noise; each pair has this cosine."""
        return np.stack([self.noisy(self.own, cosine**0.5) for _ in range(3)])

    def without_move(self) -> Floats:
        """The own update without what lies along the last move, half as long again as it was."""
        norm2 = float(self.moved @ self.moved)
        left = self.own - (self.own @ self.moved / norm2 if norm2 else 0.0) * self.moved
        return 1.5 * left * np.linalg.norm(self.own) / np.linalg.norm(left)


Send = Callable[[Scene], Floats]
"""What all of a deviant's seats send: float64[seats, d]."""


@dataclass(frozen=True)
class Deviation:
    """send: what it sends; late: it commits after the others; partner: a seat whose owner is in it; thirds: it trains
    three seats on a third of its patients each."""

    send: Send
    late: bool = False
    partner: int | None = None
    thirds: bool = False


DEVIATIONS: dict[str, Deviation] = {
    "5 times the update": Deviation(lambda scene: 5 * scene.own[None]),
    "a fifth of the update": Deviation(lambda scene: scene.own[None] / 5),
    "3 seats, one update": Deviation(lambda scene: np.stack([scene.own] * 3)),
    "3 seats, cosine .96": Deviation(lambda scene: scene.like(0.96)),
    "3 seats, cosine .94": Deviation(lambda scene: scene.like(0.94)),
    "3 seats, cosine .8": Deviation(lambda scene: scene.like(0.8)),
    "3 seats, cosine .6": Deviation(lambda scene: scene.like(0.6)),
    "3 seats, cosine .4": Deviation(lambda scene: scene.like(0.4)),
    "3 seats, one clean, two noisy": Deviation(lambda scene: np.vstack([scene.own[None], scene.like(0.49)[:2]])),
    "5 seats, cosine .7": Deviation(lambda scene: np.vstack([scene.like(0.7), scene.like(0.7)[:2]])),
    "nothing": Deviation(lambda scene: 0 * scene.own[None]),
    "noise": Deviation(lambda scene: scene.noisy(scene.own, 0.0)[None]),
    "the last move": Deviation(lambda scene: scene.moved[None]),
    "the last move and noise": Deviation(lambda scene: (scene.moved + 0.2 * scene.noisy(scene.own, 0.0))[None]),
    "own and the last move": Deviation(lambda scene: (scene.own + scene.moved)[None]),
    "own and thrice the last move": Deviation(lambda scene: (scene.own + 3 * scene.moved)[None]),
    "own less the last move, scaled": Deviation(lambda scene: scene.without_move()[None]),
    "own turned by noise to .8": Deviation(lambda scene: scene.noisy(scene.own, 0.8)[None]),
    "copy of the best": Deviation(lambda scene: scene.updates[[scene.best]], late=True),
    "copy of the best, cosine .94": Deviation(
        lambda scene: scene.noisy(scene.updates[scene.best], 0.94)[None], late=True
    ),
    "copy of the best, cosine .7": Deviation(
        lambda scene: scene.noisy(scene.updates[scene.best], 0.7)[None], late=True
    ),
    "copy of the rare centre": Deviation(lambda scene: scene.updates[[RARE_CENTRE]], late=True),
    "copy of the rare centre, .94": Deviation(
        lambda scene: scene.noisy(scene.updates[RARE_CENTRE], 0.94)[None], late=True
    ),
    "accomplice: a neighbour's, twice": Deviation(lambda scene: scene.updates[[0]], partner=0),
    "accomplice: the rare centre's, twice": Deviation(lambda scene: scene.updates[[RARE_CENTRE]], partner=RARE_CENTRE),
    "3 seats, a third of the patients each": Deviation(lambda scene: scene.own[None], thirds=True),
}
OUTSIDE = "3 seats, a third of the patients each"
"""What no geometry can tell; not among the deviations that the mechanism answers for."""
WAYS = ("ours", "Shapley", "CGSV", "leave-one-out")


class Trained(Federation):
    """The hospitals of one seed, their hold-outs, an anchor and a test set."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, SITES)
        draw = self.disease.patients
        self.anchor = _joined(draw(160, 0.0), draw(40, 1.0))
        self.test = draw(400, 0.15)
        self.held = [draw(HOLD_OUT, 0.7 if site == RARE_CENTRE else 0.03) for site in range(SITES)]

    def helpers(self) -> Floats:
        """float64[evaluators, 2, d]: minus the unit gradients of each hold-out and the anchor on common and rare."""
        found = np.full((SITES + 1, 2, len(self.model)), np.nan)
        for evaluator, patients in enumerate([*self.held, self.anchor]):
            for stratum in (1, 2):
                if (patients.rare == (stratum == 2)).sum() >= LEAST_RECORDS:
                    gradient = stratum_gradient(self.model, patients, stratum)
                    found[evaluator, stratum - 1] = -gradient / np.linalg.norm(gradient)
        return found


def _joined(one: Patients, other: Patients) -> Patients:
    return Patients(
        np.vstack([one.rows, other.rows]),
        np.concatenate([one.outcomes, other.outcomes]),
        np.concatenate([one.rare, other.rare]),
    )


def seen(updates: Floats, moved: Floats, helpers: Floats, order: np.ndarray) -> Seen:
    """What a round opens."""
    return Seen(
        products=updates @ updates.T,
        helps=np.einsum("nd,esd->nes", updates, helpers),
        moved=updates @ moved,
        moved_helps=np.nan_to_num(helpers @ moved),
        moved_norm2=float(moved @ moved),
        losses=np.full(helpers.shape[:2], np.nan),
        owner=np.array([*range(SITES), INDEPENDENT]),
        present=np.ones(len(updates), bool),
        order=order,
    )


def positive(values: Floats) -> Floats:
    """The positive parts as shares of 1."""
    kept = np.maximum(values, 0.0)
    return kept / max(float(kept.sum()), 1e-12)


def sampled(game: RoundGame, seed: int) -> Floats:
    """Shapley values from permutations and the same backwards, coalitions evaluated together."""
    generator = np.random.default_rng(seed)
    half = [generator.permutation(len(game)) for _ in range(ORDERS // 2)]
    orders = np.array([*half, *[order[::-1] for order in half]])
    place = np.argsort(orders, axis=1)
    inside = place[:, None, :] < np.arange(len(game) + 1)[:, None]  # [order, step, site]
    worth = game(inside.reshape(-1, len(game))).reshape(len(orders), -1)
    return np.take_along_axis(np.diff(worth, axis=1), place, axis=1).mean(axis=0)


def run(seed: int, me: int, deviation: Deviation | None) -> Floats:
    """float64[ways, seats]: everybody's share of what is paid in all rounds."""
    world, noise = Trained(seed), np.random.default_rng([seed, me])
    seats = np.array([me])
    earned = np.zeros((len(WAYS), SITES))
    memory = None
    moved = np.zeros_like(world.model)
    for turn in range(ROUNDS):
        updates = world.updates()
        helpers = world.helpers()
        if deviation is not None:
            scene = Scene(updates, np.einsum("nd,sd->ns", updates, helpers[-1]), moved, me, noise)
            sent = _thirds(world, me, noise) if deviation.thirds else deviation.send(scene)
            updates = np.vstack([updates, sent[1:]])
            updates[me] = sent[0]
            seats = np.array([me, *range(SITES, len(updates))])
        if memory is None:
            earned = np.zeros((len(WAYS), len(updates)))
            memory = start(RULES, len(updates), SITES + 1)
        order = np.zeros(len(updates), np.int64)
        order[seats] = int(deviation is not None and deviation.late)
        verdict = judge(RULES, memory, seen(updates, moved, helpers, order))
        memory = verdict.memory
        earned[0] += verdict.pay
        if turn in VALUED:
            game = RoundGame(updates, world.model, world.test, 0)
            for way, value in enumerate((sampled(game, seed), cosine(game), leave_one_out(game)), start=1):
                earned[way] += positive(value)
        moved = verdict.weights @ updates
        world.model = world.model + moved
    return earned / np.maximum(earned.sum(axis=1, keepdims=True), 1e-12)


def _thirds(world: Trained, me: int, generator: np.random.Generator) -> Floats:
    """float64[3, d]: what three seats learn from a third of a hospital's patients each."""
    rows, outcomes = world.rows, world.outcomes
    parts = np.arange(world.rows.shape[1]).reshape(3, -1)
    kept = world.generator
    world.rows, world.outcomes, world.generator = rows[me][parts], outcomes[me][parts], generator
    try:
        return world.updates()
    finally:
        world.rows, world.outcomes, world.generator = rows, outcomes, kept


def gained(name: str, honest: dict[int, Floats], seeds: Sequence[int]) -> dict[str, object]:
    """A deviation's row: shares in multiples of the honest one, by way."""
    deviation = DEVIATIONS[name]
    before = np.zeros((len(seeds), len(WAYS)))
    after, others = np.zeros_like(before), np.zeros((len(seeds), 2))
    for at, seed in enumerate(seeds):
        for me in DEVIANTS:
            ring = [me] if deviation.partner is None else [me, deviation.partner]
            shares = run(seed, me, deviation)
            before[at] += honest[seed][:, ring].sum(axis=1)
            after[at] += shares[:, ring].sum(axis=1) + shares[:, SITES:].sum(axis=1)
            others[at] += honest[seed][0, RARE_CENTRE], shares[0, RARE_CENTRE]
    means = after.mean(axis=0) / before.mean(axis=0)
    return {
        "deviation": name,
        "honest share": round(float(before[:, 0].mean() / len(DEVIANTS)), 4),
        "share": round(float(after[:, 0].mean() / len(DEVIANTS)), 4),
        **{way: round(float(mean), 3) for way, mean in zip(WAYS, means, strict=True)},
        "ours, worst seed": round(float((after[:, 0] / before[:, 0]).max()), 3),
        "rare centre": round(float(others[:, 1].sum() / others[:, 0].sum()), 3),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two seeds; nothing is written")
    parser.add_argument("--only", default="", help="deviations whose names contain this; nothing is written")
    given = parser.parse_args(arguments)
    seeds, before = (SEEDS[:2] if given.quick else SEEDS), load()
    honest = {seed: run(seed, 0, None) for seed in seeds}
    rows = [gained(name, honest, seeds) for name in DEVIATIONS if given.only in name]
    columns = ["honest share", "share", "ours", "ours, worst seed", *WAYS[1:], "rare centre"]
    show(
        f"share in multiples of the honest one; {SITES} hospitals, {ROUNDS} rounds, {len(seeds)} seeds, "
        f"{len(DEVIANTS)} deviants each",
        ["deviation", *columns],
        [[str(row["deviation"]), *[f"{row[column]:.3f}" for column in columns]] for row in rows],
    )
    broken = [row["deviation"] for row in rows if row["ours"] > ALLOWED and row["deviation"] != OUTSIDE]
    print(f"\nraising a share by more than 10 %: {', '.join(map(str, broken)) or 'none'}")
    print(f"load before {before[0]}, after {load()[0]}")
    if not given.quick and not given.only:
        shares = np.mean([found[0, :SITES] for found in honest.values()], axis=0)
        world = {"sites": SITES, "rounds": ROUNDS, "deviants": list(DEVIANTS), "rare centre": RARE_CENTRE}
        record = {**world, "honest shares": [round(float(share), 4) for share in shares], "rows": rows}
        keep("deviations", {**provenance(seed=list(seeds)), **record})
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
