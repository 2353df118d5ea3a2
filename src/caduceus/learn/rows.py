"""One site's rows, ready for training: scaled features, labels, and which fit learns from which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.data.patients import Patients
from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn.judged.rows import JudgedData

ROWS_LIMIT = 2**20
"""No site brings more rows than this to a job: counts and moments are bounded by it."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteData:
    """What a site computes its vectors from; it never leaves the site.

    label     the site's public name
    features  float64[rows, columns], scaled to [-1, 1], NaN where missing
    target    float64[rows], 0 or 1
    learning  bool[fits, rows]: which fit learns from which row
    judging   int64[repeats, rows]: which fit predicts a row to be judged in a repeat, -1 for none
    patients  whose rows they are, where sums are private; None where sums are exact and every row counts
    """

    label: str
    features: Floats
    target: Floats
    learning: npt.NDArray[np.bool_]
    judging: npt.NDArray[np.int64]
    patients: Patients | None = None

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.target)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What a site answers an analysis with, before noise; it never leaves the site like this.

    label   the site's public name
    rows    how many it was made from
    vector  float64[length]
    """

    label: str
    rows: int
    vector: Floats


Ready = SiteData | Tally | JudgedData
"""A site's rows, ready for a task."""


def check_size(rows: int, label: str) -> None:
    """Refuse a site without rows or with more than `ROWS_LIMIT`.

    Raises Refused.
    """
    if rows == 0:
        raise Refused(f"site {label}: no rows to learn from")
    if rows > ROWS_LIMIT:
        raise Refused(f"site {label}: more than {ROWS_LIMIT} rows; split the data set")


def pooled(sites: Sequence[SiteData]) -> SiteData:
    """All rows in one place, with the splits that the sites made: for control arms only."""
    return SiteData(
        "pooled",
        np.concatenate([site.features for site in sites]),
        np.concatenate([site.target for site in sites]),
        np.concatenate([site.learning for site in sites], axis=1),
        np.concatenate([site.judging for site in sites], axis=1),
        _all_patients([site.patients for site in sites if site.patients is not None]),
    )


def _all_patients(parts: Sequence[Patients]) -> Patients | None:
    if not parts:
        return None
    starts = np.cumsum([0, *(part.count for part in parts)])
    return Patients(
        int(starts[-1]),
        np.concatenate([part.index + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.shares for part in parts]),
    )
