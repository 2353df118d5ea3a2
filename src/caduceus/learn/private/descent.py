"""Gradient descent with differential privacy over all sites: one noisy step per round (Abadi et al. 2016).

Every site draws which of its patients take part, each by itself with the same chance, and sends the sum of their cut
gradients; the sum over sites carries the noise. So the batch is drawn from all patients of all sites, and the noise is
that of one party. The draw is the site's secret: amplification by sampling counts on nobody else knowing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.design import Design
from caduceus.learn.fedavg import Network
from caduceus.learn.moments import standardise
from caduceus.learn.rows import ROWS_LIMIT, SiteData
from caduceus.learn.spec import Descent
from caduceus.learn.state import Descended, Moments
from caduceus.privacy.coins import toss

FARTHEST = 1e6
"""No weight goes beyond this, whatever the noise, and no state that a site answers has one that does."""

SECRET_BYTES = 32


@final
@dataclass(frozen=True, slots=True, eq=False)
class PrivateDescent:
    """One job's descent."""

    spec: Descent
    design: Design
    network: Network
    seed: int

    def start(self) -> Descended:
        """Before the first step."""
        opening = self.network.opening(self.design.width, self.seed)
        return Descended(weights=opening, velocity=np.zeros(len(opening)), steps=0)

    def length(self) -> int:
        """Entries of the vector: the parameters."""
        return self.network.parameters(self.design.width)

    def sensitivity(self) -> float:
        """By how much, in Euclidean length, the sum moves at most if one patient comes or goes.

        No row's gradient is longer than `clip`, and a patient's rows count at most once together.
        """
        return self.spec.clip

    def bound(self) -> float:
        """No entry of a row's cut gradient is larger than `clip`."""
        return ROWS_LIMIT * self.spec.clip

    def contribute(self, moments: Moments, descended: Descended, site: SiteData, secret: bytes) -> Floats:
        """The sum of the drawn patients' cut gradients: float64[parameters].

        secret  32 bytes: draws the patients

        Reveals, once summed with noise: the step, with differential privacy.

        Raises Misuse without a secret, or for rows of which it is not known whose they are.
        """
        if len(secret) != SECRET_BYTES or site.patients is None:
            raise Misuse(f"a private step needs a secret of {SECRET_BYTES} bytes and whose rows they are")
        drawn = toss(secret, site.patients.count, rate=self.spec.sampling)[site.patients.index] & site.learning[0]
        if not drawn.any():
            return np.zeros(len(descended.weights))
        matrix = standardise(self.design, moments, site.features[drawn], 0)
        return self.network.clipped(
            descended.weights, matrix, site.target[drawn], site.patients.shares[drawn], self.spec.clip
        )

    def combine(self, moments: Moments, descended: Descended, total: Floats) -> Descended:
        """Take the step that the noisy sum says; never fails, whatever the noise.

        total  float64[parameters]
        """
        rows = max(float(moments.rows[0]), 1.0)
        slopes = self.network.slopes(self.design.width)
        gradient = total / (self.spec.sampling * rows) + self.spec.penalty / rows * slopes * descended.weights
        velocity = self.spec.momentum * descended.velocity + gradient
        velocity = np.clip(velocity, -FARTHEST, FARTHEST)
        weights = np.clip(descended.weights - self.spec.rate * velocity, -FARTHEST, FARTHEST)
        return Descended(weights=weights, velocity=velocity, steps=descended.steps + 1)
