"""What a readiness rule is, what it is given to look at, and how it says that it could not look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from caduceus.data.readiness.declaration import Declared
from caduceus.data.readiness.distinct import Distinct, distinct
from caduceus.data.readiness.finding import Finding
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet
from caduceus.data.schema_file import SchemaFile
from caduceus.errors import Misuse

SOURCES = (TABLE, FHIR, OMOP)
"""All that a sheet can come from."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule yields this, among its findings or instead of them, where it did not look.

    reason   in words; no value from a record
    where    the place that it is about, as a finding names it; "" is everything
    applies  False: there is nothing that the rule could be about ("no column holds dates"): not applicable.
             True: it should have looked and could not ("text cannot be searched for names"): unscanned, which
             keeps a data set from being READY
    """

    reason: str
    where: str = ""
    applies: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Everything that a rule may look at.

    sheets     the data, at least one sheet
    roles      what the schema says of columns, by `Sheet.place`: feature, target, identifier, patient, site or ignore;
               places that the schema does not name, and all where there is no schema, are absent
    schema     the schema file, None if there is none
    declared   what the steward says of the data
    free_text  what free text does to the verdict: "block", or "warn" where the steward has vouched for it elsewhere
    today      days since 1970-01-01, for dates in the future; None if the caller does not say
    """

    sheets: tuple[Sheet, ...]
    roles: Mapping[str, str] = field(default_factory=dict)
    schema: SchemaFile | None = None
    declared: Declared = field(default_factory=Declared)
    free_text: Literal["block", "warn"] = "block"
    today: int | None = None
    _seen: dict[int, Distinct | None] = field(default_factory=dict, init=False, repr=False)

    def leaves(self, *sources: str) -> Iterator[tuple[Sheet, Leaf, str]]:
        """Every leaf with its sheet and place; only of these sources if any are named."""
        for sheet in self.sheets:
            if not sources or sheet.source in sources:
                for leaf in sheet.leaves.values():
                    yield sheet, leaf, sheet.place(leaf.path)

    def distinct(self, leaf: Leaf) -> Distinct | None:
        """The different texts of one of the sheets' leaves, worked out once; None if its values are no texts."""
        if id(leaf) not in self._seen:
            self._seen[id(leaf)] = distinct(leaf)
        return self._seen[id(leaf)]

    def role(self, place: str) -> str:
        """What the schema says of a place; "" if nothing."""
        return self.roles.get(place, "")


Look = Callable[[Context], Iterable[Finding | Skipped]]
"""Yields findings, and `Skipped` for what was not looked at. Nothing at all says: looked everywhere, all is well.
A function that returns `Iterable[Finding]` or is a generator of findings fits too."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that readiness looks for.

    name     "family.thing", as "identifier.ssn"; unique, and the `rule` of its findings
    title    what it looks for, in a few words
    about    what it looks for, how, and why it matters, for a steward
    hipaa    the classes of 45 CFR 164.514(b)(2)(i) that it serves, 1 (names, A) to 18 (any other, R); none if it is
             not about identity
    sources  which sheets it applies to: TABLE, FHIR, OMOP
    look     see `Look`; called only where a sheet of its sources is there, with all sheets in the context
    version  raised whenever the same data could give another answer
    """

    name: str
    title: str
    about: str
    hipaa: tuple[int, ...]
    sources: tuple[str, ...]
    look: Look
    version: int = 1

    def __post_init__(self) -> None:
        if any(not 1 <= one <= 18 for one in self.hipaa):
            raise Misuse(f"Rule {self.name}: Safe Harbor has classes 1 to 18")
        if not self.sources or any(one not in SOURCES for one in self.sources):
            raise Misuse(f"Rule {self.name}: sources are among {', '.join(SOURCES)}, at least one")
