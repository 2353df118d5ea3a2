"""Data as readiness rules see them: columns of any source, flat, with the path that people know them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from caduceus.errors import Misuse

TABLE, FHIR, OMOP = "table", "fhir", "omop"
"""Where a sheet comes from: a CSV or Parquet file; resources of one FHIR type; a table of the OMOP CDM."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """All values that stand at one place of a sheet's records.

    path    column name, or FHIR path without indices, as "Patient.name.family"
    values  Arrow array of texts, numbers, booleans or dates; null where nothing stands
    rows    int64[len(values)]: the record that each value is of; None if it is one value per record, in order
    """

    path: str
    values: pa.Array
    rows: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.rows is not None and len(self.rows) != len(self.values):
            raise Misuse(f"Leaf {self.path}: {len(self.rows)} rows for {len(self.values)} values")


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Records of one kind.

    name     the file's, the resource type's or the table's
    source   TABLE, FHIR or OMOP
    rows     how many records
    leaves   by path
    patient  path of the leaf that says whose record it is; "" if not known, or every record is another patient
    """

    name: str
    source: str
    rows: int
    leaves: Mapping[str, Leaf] = field(default_factory=dict)
    patient: str = ""

    def place(self, path: str) -> str:
        """How a finding names a leaf of this sheet."""
        return path if self.source == FHIR else f"{self.name}.{path}"
