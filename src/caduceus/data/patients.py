"""Whose rows they are: the unit that differential privacy is about is a patient, with all of the patient's rows.

A patient with m rows at a site has rows of weight 1/m. Whatever is a sum over rows of weight times a vector of bounded
norm then changes by at most that bound if the patient is left out, all rows together.

A patient who is in two sites' data sets has two budgets, one at each: sites cannot compare patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus.data.table import Table
from caduceus.kinds import Floats

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """Whose rows a site's rows are.

    count   patients
    index   int64[rows], whose row it is: 0 .. count - 1
    shares  float64[rows] in (0, 1], how much each row counts: those of a patient are equal and together at most 1
    """

    count: int
    index: npt.NDArray[np.int64]
    shares: Floats


def patients(table: Table) -> Patients:
    """Whose rows a table's rows are.

    Where the schema names no column of role patient every row is a patient: it is up to the schema to say otherwise.
    """
    label = table.patients
    if label is None:
        return Patients(table.rows, np.arange(table.rows), np.ones(table.rows))
    _, index, counts = np.unique(label, return_inverse=True, return_counts=True)
    # Rounding must not let a patient count more than once, added up in whatever order.
    shares = np.where(counts == 1, 1.0, (1.0 - 2.0**-30) / counts)
    return Patients(len(counts), index.astype(np.int64), np.asarray(shares[index], dtype=np.float64))


def weights(table: Table) -> Floats:
    """How much each row counts: `patients(table).shares`."""
    return patients(table).shares


def words(table: Table, purpose: str, seed: int) -> Words:
    """A public pseudo-random word per row, the same for all rows of a patient, that depends on that patient alone.

    So whoever is sorted into parts by it is in the same part whoever else is in the table: parts are disjoint data sets
    (parallel composition). Equal records get equal words.

    returns  uint64[rows]: SHA-256 of purpose, seed and the patient's label, or of the record where there is none
    """
    start = b"caduceus/patients/" + purpose.encode() + b"\0" + seed.to_bytes(8, "little")
    label = table.patients
    rows = (
        [one.encode() for one in label.tolist()] if label is not None else [r.tobytes() for r in table.record_bytes()]
    )
    return np.array([int.from_bytes(sha256(start + one).digest()[:8], "little") for one in rows], dtype=np.uint64)
