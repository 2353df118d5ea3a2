"""Which rows teach which fit, and which rows judge it.

All fits of a job run in the same rounds: fit 0 learns from every row and is the model that is sold; the
others each leave out rows on which they are then judged. A site splits its own rows, class by class, in an
order that anyone can compute from public values: the seed, the site's name, the repeat.
"""

from __future__ import annotations

from hashlib import shake_256

import numpy as np
import numpy.typing as npt

from caduceus.kinds import Floats
from caduceus.learn.spec import CROSS, HOLDOUT, Evaluation


def learning(judging: npt.NDArray[np.int64], fits: int) -> npt.NDArray[np.bool_]:
    """Which fit learns from which row: all rows but those that it predicts.

    judging  int64[repeats, rows], from `judging`
    fits     all fits, the final one included
    returns  bool[fits, rows]
    """
    mask = np.ones((fits, judging.shape[1]), dtype=np.bool_)
    repeat, row = np.nonzero(judging >= 0)
    mask[judging[repeat, row], row] = False
    return mask


def judging(target: Floats, label: str, seed: int, evaluation: Evaluation) -> npt.NDArray[np.int64]:
    """Which fit predicts each row in each repeat.

    target   float64[rows], 0 or 1
    label    the site's public name
    returns  int64[repeats, rows]: a fit from 1 on, -1 where a row is not judged. Cross-validation judges every
             row once per repeat and its folds differ by at most one row; holdout judges `fraction` of each
             class, at least one row of it
    """
    fit = np.full((evaluation.repeats, len(target)), -1, dtype=np.int64)
    for repeat in range(evaluation.repeats):
        order = permutation(len(target), "split", label, seed, repeat)
        by_class = [order[target[order] == value] for value in (0.0, 1.0)]
        if evaluation.method == CROSS:
            dealt = np.concatenate(by_class)
            fit[repeat, dealt] = 1 + repeat * evaluation.folds + np.arange(len(dealt)) % evaluation.folds
        elif evaluation.method == HOLDOUT:
            for rows in by_class:
                kept = max(1, round(evaluation.fraction * len(rows)))
                fit[repeat, rows[:kept]] = 1 + repeat
    return fit


def permutation(size: int, purpose: str, label: str, seed: int, *context: int) -> npt.NDArray[np.int64]:
    """A public order of `size` things, the same on every machine and with every library version.

    purpose, label, seed, context  what the order depends on; integers from 0 to 2^63 - 1
    returns                        int64[size], each of 0 .. size - 1 once
    """
    words = keystream(size, purpose, label, seed, *context)
    return np.argsort(words, kind="stable").astype(np.int64)


def keystream(size: int, purpose: str, label: str, seed: int, *context: int) -> npt.NDArray[np.uint64]:
    """Public pseudo-random words: SHAKE-256 (FIPS 202) of the arguments. Not for secrets.

    returns  uint64[size]
    """
    name = label.encode()
    start = b"".join(
        [b"caduceus/learn/", purpose.encode(), b"\0", len(name).to_bytes(8, "little"), name]
        + [value.to_bytes(8, "little") for value in (seed, *context)]
    )
    return np.frombuffer(shake_256(start).digest(8 * size), dtype="<u8").astype(np.uint64)
