"""What is public between two rounds of private logistic regression."""

from __future__ import annotations

from caduceus import canon
from caduceus.kinds import Floats


@canon.record("learn/noisy/1")
class Noisy:
    """Where private logistic regression stands. The last entry of a weight vector is the intercept.

    weights    float64[columns + 1], where the coming gradient is taken; after the last round, the model
    previous   float64[columns + 1], where the last gradient was taken
    gradient   float64[columns + 1], the last noisy sum; 0 before the first round
    curvature  > 0, the largest curvature of the summed loss that is reckoned with
    rounds     of descent so far
    """

    weights: Floats
    previous: Floats
    gradient: Floats
    curvature: float
    rounds: int
