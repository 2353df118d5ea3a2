"""Clinical records before they are a table: who the patients are, and what happened to them when.

FHIR exports and OMOP databases both end here, as two Arrow tables of one form, and a schema file says by codes which
columns of the canonical table are made of them. Neither table ever leaves its site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from caduceus.errors import Misuse

PEOPLE = pa.schema(
    [
        pa.field("patient", pa.string(), nullable=False),
        pa.field("born", pa.date32()),
        pa.field("died", pa.date32()),
        pa.field("sex", pa.string()),
        pa.field("observed_from", pa.date32()),
        pa.field("observed_to", pa.date32()),
    ]
)
"""One row per patient. `born` is mid-year where only the year is known; `sex` is male, female, other or unknown;
`observed_from` and `observed_to` bound the time in which what happened would have been recorded, null if not known."""

EVENTS = pa.schema(
    [
        pa.field("patient", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("start", pa.timestamp("us")),
        pa.field("end", pa.timestamp("us")),
        pa.field("value", pa.float64()),
        pa.field("unit", pa.string()),
        pa.field("answer", pa.string()),
    ]
)
"""One row per event and code. `domain` is one of `DOMAINS`; `code` is SYSTEM:code, as "LOINC:4548-4"; `value` is a
measured number in `unit` (UCUM); `answer` is a coded answer as SYSTEM:code, or null."""

DOMAINS = ("condition", "measurement", "drug", "procedure", "observation", "visit", "immunization", "death")

SYSTEMS = ("LOINC", "SNOMED", "ICD10", "ICD10CM", "ICD9CM", "RxNorm", "ATC", "CVX", "CPT4", "HCPCS", "UCUM")
"""Names of code systems as a schema file writes them; others are written as their source writes them."""

Descendants = Callable[[Iterable[str]], frozenset[str]]
"""From codes to themselves and everything that is a kind of them, as far as a source knows."""


def only_themselves(codes: Iterable[str]) -> frozenset[str]:
    """The `Descendants` of a source that knows no hierarchy."""
    return frozenset(codes)


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """One site's clinical records.

    people       as `PEOPLE`, patients all different
    events       as `EVENTS`, in any order
    descendants  what the source knows of kinds of codes
    """

    people: pa.Table
    events: pa.Table
    descendants: Descendants = only_themselves

    def __post_init__(self) -> None:
        for table, wanted, name in ((self.people, PEOPLE, "people"), (self.events, EVENTS, "events")):
            if not table.schema.equals(wanted):
                raise Misuse(f"Records: {name} has the columns {table.schema.names}, not those of its schema")
