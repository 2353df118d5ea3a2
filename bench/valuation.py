"""How well and at what cost contribution is measured: the closed form beside exact Shapley values and pyDVL.

    pip install --no-deps pydvl pyDeprecate pandas python-dateutil six tqdm more-itertools cvxpy qdldl
    python bench/valuation.py [--quick]

One round's game: hospitals train a small network; what a coalition is worth is how much the validation loss falls when
the model moves by the mean of its updates. One of the hospitals flips labels, one sends noise, one is a rare-disease
centre. Ways to value are correlated with the exact Shapley values of the whole loss and of each stratum's.

- closed form: curvature from one evaluation, then `market.shapley.quadratic` on the Gram matrix. The Gram matrix, the
  helps and that evaluation are in its time, though a round computes them anyway
- closed form, two gradients: `market.shapley.curved` with the helps after the move in place of that evaluation
- leave-one-out, cosine to the mean update (CGSV), first order (the helps alone)
- pyDVL (LGPL-3.0; a peer for measurement, never shipped): its permutation sampler, 60 permutations

Processor time of one thread, the least of several turns for what takes milliseconds. Without pyDVL its rows stay empty.
Writes bench/results/valuation.json.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402

from caduceus.kinds import Floats  # noqa: E402
from caduceus.market.shapley import Coalitions, curvature_from, curved, exact, quadratic  # noqa: E402
from instruments.record import keep, load, provenance, show  # noqa: E402

warnings.filterwarnings("ignore")
try:
    from pydvl.valuation import MinUpdates, PermutationSampler, ShapleyValuation
    from pydvl.valuation.games import Game as PeerGame
except ImportError:
    PeerGame = object

SITES = (10, 14)
SEEDS = range(200, 212)
PERMUTATIONS = 60
STRATA = ("all", "common", "rare")
COLUMNS, RISKS, HIDDEN = 20, 14, 32
ROWS, VALIDATION, BATCH = 300, 1000, 64


@dataclass(frozen=True)
class Patients:
    """rows float64[m, COLUMNS], outcomes float64[m] of 0 and 1, rare bool[m]."""

    rows: Floats
    outcomes: Floats
    rare: np.ndarray


class Disease:
    """Synthetic patients: half of the risk factors act the other way in the rare stratum, which two columns mark."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        risks = np.zeros(COLUMNS)
        risks[:RISKS] = generator.normal(size=RISKS)
        risks /= np.linalg.norm(risks)
        self._risks = np.stack([risks, risks * np.where(np.arange(COLUMNS) % 2, 1.0, -1.0)])

    def patients(self, count: int, rare: float, shift: Floats | float = 0.0) -> Patients:
        """`count` patients, each rare with that chance, of a hospital whose columns are shifted."""
        drawn = self._generator
        stratum = drawn.random(count) < rare
        rows = drawn.normal(size=(count, COLUMNS)) + shift
        rows[stratum, 17:] += 2.5
        chance = 1 / (1 + np.exp(-3 * (rows * self._risks[stratum.astype(int)]).sum(axis=1)))
        return Patients(rows, (drawn.random(count) < chance).astype(float), stratum)


def network(generator: np.random.Generator) -> Floats:
    """A fresh network of one hidden layer as one flat vector."""
    first = generator.normal(0, (2 / COLUMNS) ** 0.5, COLUMNS * HIDDEN)
    second = generator.normal(0, HIDDEN**-0.5, HIDDEN)
    return np.concatenate([first, np.zeros(HIDDEN), second, np.zeros(1)])


def _layers(models: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    cut = COLUMNS * HIDDEN
    first = models[:, :cut].reshape(-1, COLUMNS, HIDDEN)
    return first, models[:, cut : cut + HIDDEN], models[:, cut + HIDDEN : cut + 2 * HIDDEN], models[:, -1]


def losses(models: Floats, patients: Patients) -> Floats:
    """float64[k, strata]: mean logistic loss of k models on all, common and rare patients."""
    first, shift, second, bias = _layers(models)
    found = np.empty((len(models), len(STRATA)))
    groups = [np.ones(len(patients.rare), bool), ~patients.rare, patients.rare]
    for begin in range(0, len(models), 64):
        part = slice(begin, begin + 64)
        hidden = np.maximum(patients.rows @ first[part] + shift[part, None], 0)
        logits = (hidden @ second[part, :, None])[..., 0] + bias[part, None]
        loss = np.logaddexp(0, logits) - patients.outcomes * logits
        found[part] = np.stack([loss[:, group].mean(axis=1) for group in groups], axis=1)
    return found


def gradients(models: Floats, rows: Floats, outcomes: Floats) -> Floats:
    """float64[k, d]: of the mean loss of model k on rows[k]."""
    first, shift, second, bias = _layers(models)
    hidden = np.maximum(rows @ first + shift[:, None], 0)
    logits = (hidden @ second[..., None])[..., 0] + bias[:, None]
    error = (1 / (1 + np.exp(-logits)) - outcomes) / outcomes.shape[1]
    inner = error[..., None] * second[:, None] * (hidden > 0)
    by_layer = (rows.transpose(0, 2, 1) @ inner).reshape(len(models), -1)
    return np.concatenate(
        [by_layer, inner.sum(1), (error[:, None] @ hidden)[:, 0], error.sum(1, keepdims=True)], axis=1
    )


def stratum_gradient(model: Floats, patients: Patients, stratum: int) -> Floats:
    """float64[d]: of the loss on all, common or rare patients."""
    group = (np.ones(len(patients.rare), bool), ~patients.rare, patients.rare)[stratum]
    return gradients(model[None], patients.rows[None, group], patients.outcomes[None, group])[0]


class Federation:
    """Hospitals that train one model; the last but one is a rare-disease centre."""

    def __init__(self, seed: int, sites: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.disease = Disease(self.generator)
        shifts = self.generator.normal(0, 0.25, (sites, COLUMNS))
        shifts[:, RISKS:] = 0
        held = [
            self.disease.patients(ROWS, 0.7 if site == sites - 2 else 0.03, shift) for site, shift in enumerate(shifts)
        ]
        self.rows = np.stack([patients.rows for patients in held])
        self.outcomes = np.stack([patients.outcomes for patients in held])
        self.model = network(self.generator)

    def updates(self, steps: int = 5, rate: float = 0.3) -> Floats:
        """float64[sites, d]: what each site learns in one round from the current model."""
        models = np.repeat(self.model[None], len(self.rows), axis=0)
        for _ in range(steps):
            drawn = self.generator.integers(0, self.rows.shape[1], (len(self.rows), BATCH))
            rows = np.take_along_axis(self.rows, drawn[..., None], axis=1)
            models -= rate * gradients(models, rows, np.take_along_axis(self.outcomes, drawn, axis=1))
        return models - self.model


@dataclass(frozen=True)
class RoundGame:
    """What coalitions of one round's updates are worth."""

    updates: Floats
    model: Floats
    validation: Patients
    stratum: int

    def __len__(self) -> int:
        return len(self.updates)

    def __call__(self, inside: Coalitions) -> Floats:
        """float64[k]: how much the loss falls by the mean update of each coalition; 0 for nobody."""
        weights = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1)
        before = losses(self.model[None], self.validation)[0, self.stratum]
        return before - losses(self.model + weights @ self.updates, self.validation)[:, self.stratum]


def played(seed: int, sites: int) -> list[RoundGame]:
    """The ninth round's game, one for each stratum: a flipper in the last seat, noise in seat 0."""
    federation = Federation(seed, sites)
    federation.outcomes[-1] = 1 - federation.outcomes[-1]
    for _ in range(8):
        federation.model = federation.model + federation.updates()[:-1].mean(axis=0)
    updates = federation.updates()
    updates[0] = federation.generator.normal(0, 1e-3, updates.shape[1])
    validation = federation.disease.patients(VALIDATION, 0.15)
    return [RoundGame(updates, federation.model, validation, stratum) for stratum in range(len(STRATA))]


def helps_of(game: RoundGame) -> Floats:
    """float64[n]: what each update gains to first order."""
    return -game.updates @ stratum_gradient(game.model, game.validation, game.stratum)


def closed_form(game: RoundGame) -> Floats:
    """The product's own way."""
    products, helps = game.updates @ game.updates.T, helps_of(game)
    gain = float(game(np.ones((1, len(game)), bool))[0])
    return quadratic(products, helps, curvature_from(float(helps.mean()), float(products.mean()), gain))


def closed_form_of_two(game: RoundGame) -> Floats:
    """The same with the gradient after the move in place of one evaluation: how the loss bends beyond one number."""
    products, helps = game.updates @ game.updates.T, helps_of(game)
    after = stratum_gradient(game.model + game.updates.mean(axis=0), game.validation, game.stratum)
    return quadratic(curved(products, helps, -game.updates @ after), helps, 1.0)


def leave_one_out(game: RoundGame) -> Floats:
    """What everybody gains less what they gain without one."""
    found = game(np.vstack([np.ones(len(game), bool), ~np.eye(len(game), dtype=bool)]))
    return found[0] - found[1:]


def cosine(game: RoundGame) -> Floats:
    """Cosine to the mean update: CGSV, Xu et al. 2021."""
    mean = game.updates.mean(axis=0)
    return game.updates @ mean / (np.linalg.norm(game.updates, axis=1) * np.linalg.norm(mean) + 1e-12)


def first_order(game: RoundGame) -> Floats:
    """The helps alone."""
    return helps_of(game) / len(game)


def peer(game: RoundGame, permutations: int = PERMUTATIONS) -> Floats:
    """pyDVL's Shapley values from sampled permutations."""

    class Played(PeerGame):
        def __init__(self) -> None:
            super().__init__(len(game), score_range=(-10, 10))

        def _score(self, coalition: object) -> float:
            inside = np.zeros((1, len(game)), bool)
            inside[0, np.asarray(coalition, int).ravel()] = True
            return float(game(inside)[0])

    held = Played()
    found = ShapleyValuation(held.u, PermutationSampler(seed=0), MinUpdates(permutations), progress=False)
    found.fit(held.data)
    values = found.result
    return np.array([value.value for value in sorted(values, key=lambda value: int(value.idx))])


WAYS: dict[str, tuple[Callable[[RoundGame], Floats], int]] = {
    "closed form": (closed_form, 5),
    "closed form, two gradients": (closed_form_of_two, 5),
    "leave-one-out": (leave_one_out, 3),
    "cosine to the mean": (cosine, 5),
    "first order": (first_order, 5),
}
PEER = f"pyDVL, {PERMUTATIONS} permutations"


def timed(way: Callable[[RoundGame], Floats], game: RoundGame, turns: int) -> tuple[Floats, float]:
    """The values, and the least processor seconds of several turns."""
    took = []
    for _ in range(turns):
        began = time.process_time()
        values = way(game)
        took.append(time.process_time() - began)
    return values, min(took)


def measure(sites: int, seeds: Sequence[int]) -> list[dict[str, object]]:
    """One row per stratum and way: correlation with the exact values (mean, least), processor milliseconds."""
    ways = WAYS | ({PEER: (peer, 1)} if PeerGame is not object else {})
    met: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for seed in seeds:
        for stratum, game in zip(STRATA, played(seed, sites), strict=True):
            began = time.process_time()
            wanted = exact(game, sites)
            met.setdefault((stratum, "exact"), []).append((1.0, 1.0, time.process_time() - began))
            for name, (way, turns) in ways.items():
                values, seconds = timed(way, game, turns)
                pearson = float(np.corrcoef(values, wanted)[0, 1])
                ranks = [np.argsort(np.argsort(vector)) for vector in (values, wanted)]
                met.setdefault((stratum, name), []).append((pearson, float(np.corrcoef(*ranks)[0, 1]), seconds))
    return [
        {
            "sites": sites,
            "stratum": stratum,
            "way": name,
            "seeds": len(found),
            "pearson": round(float(np.mean([row[0] for row in found])), 4),
            "least pearson": round(min(row[0] for row in found), 4),
            "spearman": round(float(np.mean([row[1] for row in found])), 4),
            "processor ms": float(f"{1e3 * float(np.median([row[2] for row in found])):.4g}"),
        }
        for (stratum, name), found in met.items()
    ]


def arithmetic(sites: int) -> float:
    """Processor microseconds of the closed form alone, the Gram matrix, helps and evaluation given."""
    game = played(SEEDS[0], sites)[0]
    products, helps = game.updates @ game.updates.T, helps_of(game)
    turns = 1000
    began = time.process_time()
    for _ in range(turns):
        quadratic(products, helps, 0.5)
    return round((time.process_time() - began) / turns * 1e6, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten sites and two seeds; nothing is written")
    quick = parser.parse_args(arguments).quick
    seeds, before = (SEEDS[:2] if quick else SEEDS), load()
    rows: list[dict[str, object]] = []
    for sites in SITES[:1] if quick else SITES:
        found = measure(sites, seeds)
        rows += found
        peers = {row["stratum"]: row["processor ms"] for row in found if row["way"] == PEER}
        cells = []
        for row in found:
            times = peers.get(row["stratum"])
            ratio = f"{times / row['processor ms']:,.0f}" if times and row["way"] != PEER else ""  # type: ignore[operator]
            figures = [f"{row[name]:.3f}" for name in ("pearson", "least pearson", "spearman")]
            cells.append([str(row["way"]), str(row["stratum"]), *figures, f"{row['processor ms']:,.3f}", ratio])
        show(
            f"{sites} sites, {len(seeds)} seeds; correlation with the exact Shapley values",
            ["way", "loss on", "pearson", "least", "spearman", "processor ms", "times less than pyDVL"],
            cells,
        )
        print(f"the closed form alone, its inputs given: {arithmetic(sites)} microseconds")
    print(f"\nload before {before[0]}, after {load()[0]}")
    if PeerGame is object:
        print("pyDVL was not measured: see the head of this file")
    if not quick:
        peer_version = version("pydvl") if PeerGame is not object else None
        alone = {str(sites): arithmetic(sites) for sites in SITES}
        record = {"pydvl": peer_version, "permutations": PERMUTATIONS, "closed form alone, us": alone, "rows": rows}
        keep("valuation", {**provenance(seed=list(seeds)), **record})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
