"""What Karimireddy, He and Jaggi measured on MNIST, and which orderings of arms that is.

Source: Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR 2022, tables 1 to 4; figures as in the
records beside their code (github.com/epfml/byzantine-robust-noniid-optimizer, outputs/exp1 and exp2): test accuracy in
percent, mean and standard deviation of 3 runs, workers sorted by class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from worlds.arms import CLIPPING, GEOMETRIC, KRUM, MEAN, MEDIAN, Arm


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Percent."""

    mean: float
    deviation: float


LONG_TAIL: Mapping[Arm, Accuracy] = {
    Arm(MEAN, False): Accuracy(98.75, 0.02),
    Arm(KRUM, False): Accuracy(89.90, 4.75),
    Arm(MEDIAN, False): Accuracy(80.36, 0.05),
    Arm(GEOMETRIC, False): Accuracy(82.60, 0.84),
    Arm(CLIPPING, False): Accuracy(98.78, 0.06),
    Arm(MEAN, True): Accuracy(98.74, 0.02),
    Arm(KRUM, True): Accuracy(93.27, 0.10),
    Arm(MEDIAN, True): Accuracy(95.59, 0.89),
    Arm(GEOMETRIC, True): Accuracy(97.34, 0.58),
    Arm(CLIPPING, True): Accuracy(98.75, 0.02),
}
"""Nobody attacks, 24 workers, long-tailed (tables 1 and 3)."""

MIMIC: Mapping[Arm, Accuracy] = {
    Arm(MEAN, False): Accuracy(92.73, 0.32),
    Arm(KRUM, False): Accuracy(37.33, 6.78),
    Arm(MEDIAN, False): Accuracy(64.27, 3.70),
    Arm(GEOMETRIC, False): Accuracy(78.93, 9.27),
    Arm(CLIPPING, False): Accuracy(91.53, 0.06),
    Arm(MEAN, True): Accuracy(92.67, 0.27),
    Arm(KRUM, True): Accuracy(53.15, 3.96),
    Arm(MEDIAN, True): Accuracy(78.60, 3.15),
    Arm(GEOMETRIC, True): Accuracy(91.17, 0.51),
    Arm(CLIPPING, True): Accuracy(92.56, 0.21),
}
"""Mimic, 25 workers, 5 of them attackers (tables 2 and 4)."""


def orderings(table: Mapping[Arm, Accuracy]) -> list[tuple[Arm, Arm]]:
    """Pairs (better, worse) whose means are further apart than their two deviations together."""
    return [
        (better, worse)
        for better, worse in permutations(table, 2)
        if table[better].mean - table[worse].mean > table[better].deviation + table[worse].deviation
    ]
