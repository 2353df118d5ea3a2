"""The rules about what the records as a whole tell: disclosure, law and consent, and quality."""

from __future__ import annotations

from caduceus.data.readiness import (
    consent,
    disclosure,
    duplicates,
    leakage,
    quality,
    quality_omop,
    sentinels,
    small,
    special,
    units,
)
from caduceus.data.readiness.cdm import Official
from caduceus.data.readiness.rule import Rule
from caduceus.data.readiness.sheet import Sheet


def rules(
    official: Official | None = None, opted_out: frozenset[str] | None = None, vocabulary: tuple[Sheet, ...] = ()
) -> tuple[Rule, ...]:
    """All rules of this kind, in the order in which a report tells them.

    official   OHDSI's check tables (`cdm.read_official`); None if there are none, and OMOP data stay unscanned
    opted_out  identifiers of patients who objected, from the site's file; None if it was not read
    vocabulary sheets of OMOP's vocabulary (concept, concept_ancestor, domain, ...) and cdm_source, for OHDSI's checks
    """
    return (
        *consent.rules(opted_out),
        *special.RULES,
        *disclosure.RULES,
        *small.RULES,
        *quality.RULES,
        *quality_omop.rules(official, vocabulary),
        *sentinels.RULES,
        *units.RULES,
        *duplicates.RULES,
        *leakage.RULES,
    )


RULES: tuple[Rule, ...] = rules()
