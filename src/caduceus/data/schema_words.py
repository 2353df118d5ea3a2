"""What the schema file of a table and that of clinical records have in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from caduceus.data.document import Document
from caduceus.data.records import SYSTEMS
from caduceus.data.schema import FEATURE, NUMBER, Column, Square

_CODE = re.compile(r"[^\s:][^\n]*:[^\s:]+")
_KNOWN = {one.lower(): one for one in SYSTEMS} | {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/icd10cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd10": "ICD10",
    "snomedct": "SNOMED",
    "sct": "SNOMED",
    "icd10who": "ICD10",
    "icd9": "ICD9CM",
    "icd10gm": "ICD10GM",
}


def check_code(code: str) -> str:
    """A code as `data.records` writes it.

    Raises ValueError, saying how it is written, if it is no SYSTEM:code, or spells a well-known system in another way.
    """
    if not _CODE.fullmatch(code):
        raise ValueError(f"'{code}' is no code; write SYSTEM:code, as in 'LOINC:4548-4'")
    system = code.rpartition(":")[0]
    known = _KNOWN.get(re.sub(r"[-_ ]", "", system).lower(), system)
    if known != system:
        raise ValueError(f"code '{code}': the system is written '{known}' here")
    return code


Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
RecordCode = Annotated[str, AfterValidator(check_code)]
Interval = tuple[float, float]


class FileDerived(Document):
    """A feature computed from another: (x - center)**2 / scale, for what is worst at both ends."""

    name: Name
    of: str
    center: float = 0.0
    scale: Annotated[float, Field(gt=0)] = 1.0
    unit: str = ""
    description: str = ""

    def column(self, of: Column) -> Column:
        """What the derived column means, given the one it comes from (which has a range)."""
        low, high = of.range or (0.0, 0.0)
        ends = [(low - self.center) ** 2 / self.scale, (high - self.center) ** 2 / self.scale]
        return Column(
            name=self.name,
            kind=NUMBER,
            role=FEATURE,
            unit=self.unit,
            description=self.description,
            low=0.0 if low <= self.center <= high else min(ends),
            high=max(ends),
            levels=(),
            required=of.required,
            derived=Square(of=self.of, center=float(self.center), scale=float(self.scale)),
        )


def first_repeated(items: list[str] | list[str | int]) -> str:
    """The first item that stands twice."""
    return str(next(item for i, item in enumerate(items) if item in items[:i]))
