"""What was left out of an export, in words: counts alone, and small ones not even as such."""

from __future__ import annotations

from collections.abc import Mapping

from caduceus.data.readiness.finding import FEW, Finding, Severity, masked


def notes_on(
    left_out: Mapping[str, int], *, twins: int, twice: int, unresolved: int, strange: int, no_fhir: int
) -> tuple[Finding, ...]:
    """What was left out, as findings.

    left_out    by the names of `mapping.Counts`
    twins       Patient resources with an id that another has
    twice       events of other resources with an id that another has
    unresolved  drugs whose Medication is not there
    strange     events of patients who are not there
    no_fhir     files of lines that hold no FHIR
    """
    said = (
        ("no_patient", "*.subject", left_out["nobody"], "events without a reference to a Patient"),
        ("unknown_patient", "*.subject", strange, "events of patients who are not in the export"),
        ("no_system", "*.coding.system", left_out["no_system"], "codes without a code system"),
        ("unknown_date", "*", left_out["unknown_dates"], "dates that can't be read, left empty"),
        ("same_patient", "Patient.id", twins, "Patient resources with an id that another has; the newest counts"),
        ("same_resource", "*.id", twice, "events of resources with an id that another has; the last counts"),
        ("unknown_medication", "*.medicationReference", unresolved, "drugs whose Medication is not in the export"),
        ("no_fhir", "files", no_fhir, "files of JSON lines that hold no FHIR"),
    )
    return tuple(
        Finding(
            rule=f"fhir.{rule}",
            where=where,
            count=masked(count),
            of=None,
            severity=Severity.WARN
            if rule in ("unknown_patient", "same_patient", "unknown_medication")
            else Severity.NOTE,
            says=f"{count if count >= FEW else f'fewer than {FEW}'} {what}",
            remedy="check how the export was made, if this is more than expected",
        )
        for rule, where, count, what in said
        if count
    )
