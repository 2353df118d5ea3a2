"""Federated averaging: sites train a public model on their own rows, and the average of the results is next.

McMahan et al. 2017 (AISTATS), as a sum: each site sends its weighted change of the model and its weight. Nothing
here needs torch, so whoever combines or re-executes a job does not either; sites that train more than a linear
model load it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn.design import Design
from caduceus.learn.folds import keystream, permutation
from caduceus.learn.moments import standardise
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import BY_ROWS, Averaging
from caduceus.learn.state import Averaged, Moments


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One site's training of one fit in one round, decided beforehand.

    batches  positions of rows, one array per step of gradient descent
    rate     step length
    ridge    L2 penalty per weight that is not an intercept, on the mean loss
    seed     for modules that draw random numbers themselves, 0 to 2^63 - 1
    """

    batches: Sequence[npt.NDArray[np.int64]]
    rate: float
    ridge: float
    seed: int


class Network(Protocol):
    """A model with a flat vector of parameters that predicts log-odds."""

    def parameters(self, inputs: int) -> int:
        """How many parameters it has for so many input columns."""

    def opening(self, inputs: int, seed: int) -> Floats:
        """The first weights: float64[parameters], the same on every machine."""

    def slopes(self, inputs: int) -> Floats:
        """float64[parameters]: 1 for weights, 0 for intercepts and whatever else no penalty acts on."""

    def train(self, weights: Floats, matrix: Floats, target: Floats, course: Course) -> Floats:
        """How a course of gradient descent on the mean logistic loss changes the weights.

        weights  float64[parameters]; not changed
        matrix   float64[rows, inputs], standardised
        target   float64[rows], 0 or 1
        returns  float64[parameters], the change
        """

    def clipped(self, weights: Floats, matrix: Floats, target: Floats, shares: Floats, clip: float) -> Floats:
        """The sum of all rows' gradients of the logistic loss, each cut to Euclidean norm `clip` and then weighed.

        shares   float64[rows] in (0, 1], the weights
        clip     > 0
        returns  float64[parameters]
        """

    def log_odds(self, weights: Floats, matrix: Floats) -> Floats:
        """Predictions: float64[rows]."""


@dataclass(frozen=True, slots=True, eq=False)
class FederatedAveraging:
    """One job's averaging. Stacks the changes of all fits, each followed by the site's weight for it."""

    spec: Averaging
    design: Design
    network: Network
    seed: int

    def start(self, fits: int) -> Averaged:
        """Before the first round: every fit begins at the same weights."""
        opening = self.network.opening(self.design.width, self.seed)
        return Averaged(weights=np.tile(opening, (fits, 1)), share=np.zeros(fits), rounds=0)

    def length(self, fits: int) -> int:
        """Entries of the vector: fits * (parameters + 1)."""
        return fits * (self.network.parameters(self.design.width) + 1)

    def bound(self) -> float:
        """A change is cut to Euclidean norm `clip`, so no entry of it is larger, and no weight is above 1."""
        return max(self.spec.clip, 1.0)

    def contribute(self, moments: Moments, averaged: Averaged, site: SiteData) -> Floats:
        """A site's weighted changes: float64[length].

        Reveals, once summed: the average change over sites and the sum of their weights, per fit and round. The
        sequence of averages can remember rare rows; it is exact, without differential privacy.

        Raises Refused if training diverges.
        """
        parts = []
        for fit in range(len(averaged.weights)):
            learning = site.learning[fit]
            all_rows = float(moments.rows[fit])
            weight = self._weight(int(learning.sum()), all_rows)
            change = np.zeros(averaged.weights.shape[1])
            if weight > 0:
                matrix = standardise(self.design, moments, site.features[learning], fit)
                course = self.course(site.label, len(matrix), averaged.rounds, fit, all_rows)
                change = self.network.train(averaged.weights[fit], matrix, site.target[learning], course)
                norm = float(np.linalg.norm(change))
                if not np.isfinite(norm):
                    raise Refused(
                        f"site {site.label}: local training diverged in round {averaged.rounds}; lower the rate"
                    )
                change = change * min(1.0, self.spec.clip / max(norm, 1e-300))
            parts += [weight * change, np.array([weight])]
        return np.concatenate(parts)

    def combine(self, averaged: Averaged, total: Floats) -> Averaged:
        """Move every fit by the weighted average of the sites' changes.

        total  float64[length]

        Raises Refused if no site has any weight in some fit.
        """
        table = total.reshape(len(averaged.weights), -1)
        share = table[:, -1]
        if (share <= 0).any():
            raise Refused("the sites together bring no rows for some fit; invite more sites or use fewer folds")
        return Averaged(
            weights=averaged.weights + table[:, :-1] / share[:, None],
            share=share.copy(),
            rounds=averaged.rounds + 1,
        )

    def _weight(self, rows: int, all_rows: float) -> float:
        """A site's weight, 0 to 1; by rows it is its part of all rows, so that fixed point wastes no bits."""
        if self.spec.weighting == BY_ROWS:
            most = min(self.spec.cap, all_rows)
            return min(rows, most) / most
        return float(rows > 0)

    def course(self, label: str, rows: int, round: int, fit: int, all_rows: float) -> Course:
        """One site's training of one fit in one round, in an order that anyone can compute.

        label     the site's public name
        rows      how many it learns from, >= 1
        round     of averaging, from 0
        all_rows  training rows of all sites, which the penalty is a share of
        """
        parts = -(-rows // self.spec.batch)
        batches: list[npt.NDArray[np.int64]] = []
        for epoch in range(self.spec.epochs):
            order = permutation(rows, "batches", label, self.seed, round, fit, epoch)
            batches += np.array_split(order, parts)
        rate = self.spec.rate / (1.0 + self.spec.decay * round)
        seed = int(keystream(1, "module", label, self.seed, round, fit)[0] >> np.uint64(1))
        return Course(batches, rate, self.spec.penalty / all_rows, seed)
