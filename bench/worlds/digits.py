"""Handwritten digits, 8 x 8 pixels (scikit-learn's copy of the UCI test set): a small stand-in for MNIST."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from worlds.shards import Shards, Singles, dealt

CLASSES = 10
HELD = 0.2
TAIL = 0.6
"""In the long-tailed world class c keeps this to the power c of its records. The paper has a half, which would leave
none of the last classes here: there are 180 of each, not 6,000."""
MINORITY = tuple(range(5, 10))
"""The rarer half of the classes: a tenth of the long-tailed records."""
INK = 16.0


def build(seed: int, workers: int, *, alike: bool, long_tail: bool) -> Shards:
    """The digits of a seed, dealt out.

    Overall is the accuracy if classes are as frequent as in training (the paper's test set has the same long tail;
    here every held digit counts with its class's frequency). On the minority: recall of digits 5 to 9, mean of classes.
    """
    generator = np.random.default_rng(seed)
    pixels, labels = load_digits(return_X_y=True)
    features, labels = (pixels / INK).astype(np.float32), labels.astype(np.int64)
    held, kept = [], []
    for digit in range(CLASSES):
        rows = generator.permutation(np.flatnonzero(labels == digit))
        cut = round(HELD * len(rows))
        held.append(rows[:cut])
        training = rows[cut:]
        kept.append(training[: max(round(len(training) * TAIL**digit), 2)] if long_tail else training)
    rows = np.concatenate(kept)
    order, sizes = dealt(labels[rows], workers, generator, alike=alike)
    rows, tested = rows[order], np.concatenate(held)
    share = np.bincount(labels[rows], minlength=CLASSES) / len(rows)
    truth = labels[tested]

    def judge(scores: Singles) -> tuple[float, float]:
        right = scores.argmax(1) == truth
        recall = np.array([right[truth == digit].mean() for digit in range(CLASSES)])
        return float(recall @ share), float(recall[list(MINORITY)].mean())

    return Shards(features[rows], labels[rows], sizes, features[tested], judge, CLASSES)
