"""What a place is called, in words, and which places of a FHIR resource are structure and not data."""

from __future__ import annotations

import re
from collections.abc import Iterable

from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.sheet import FHIR, OMOP, Leaf, Sheet

_BREAKS = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-zÀ-ɏ0-9]+|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
)

_STRUCTURE = ("system", "url", "profile", "reference", "resourceType", "status", "contentType", "versionId", "use")
_CODED = ("code", "language", "unit", "currency", "type", "class", "format")


def words(name: str) -> tuple[str, ...]:
    """A column's name as lower-case words: "PatientSSN_2" is patient, ssn, 2."""
    return tuple(one.lower() for one in _BREAKS.split(name) if one)


def last(path: str) -> str:
    """The last step of a FHIR path."""
    return path.rsplit(".", 1)[-1]


def parent(path: str) -> str:
    """The path without its last step; "" if there is none."""
    return path.rsplit(".", 1)[0] if "." in path else ""


def is_structure(sheet: Sheet, leaf: Leaf) -> bool:
    """Whether a leaf holds what the format needs and no datum: addresses of code systems, references, concept numbers.

    References and identifiers of resources have rules of their own.
    """
    if sheet.source == FHIR:
        end = last(leaf.path)
        return end in _STRUCTURE or end in _CODED or end == "id" or ".meta." in leaf.path
    if sheet.source == OMOP:
        name = leaf.path.lower()
        return name.endswith(("_concept_id", "_id"))
    return False


def has_words(name: Iterable[str], phrase: tuple[str, ...]) -> bool:
    """Whether a phrase stands in a name, its words one after the other."""
    parts, size = tuple(name), len(phrase)
    return any(parts[i : i + size] == phrase for i in range(len(parts) - size + 1))


PROVIDERS = frozenset(
    {
        "CareTeam",
        "Endpoint",
        "Group",
        "HealthcareService",
        "InsurancePlan",
        "Location",
        "Organization",
        "OrganizationAffiliation",
        "Practitioner",
        "PractitionerRole",
        "ResearchStudy",
    }
)
"""FHIR resources about who cares and not about who is cared for: what stands there narrows down who a patient is, and
is weighed; a patient's own data block."""


def of_provider(sheet: Sheet) -> bool:
    """Whether a sheet is about those who care."""
    return sheet.source == FHIR and sheet.name in PROVIDERS


def known_by_path(sheet: Sheet, leaf: Leaf) -> bool:
    """Whether a FHIR path says by itself what stands there, so that rules about paths look at it and not at words."""
    return sheet.source == FHIR and any(
        one in leaf.path
        for one in ("ddress.", ".name", "Name.", "position.", "extension(patient-", ".display", ".coding.")
    )


def lighter(severity: Severity, sheet: Sheet) -> Severity:
    """A severity as it counts for a sheet: about those who care, nothing weighs more than a warning."""
    return min(severity, Severity.WARN) if of_provider(sheet) else severity
