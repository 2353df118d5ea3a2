"""All rules, in the order in which a report tells them."""

from __future__ import annotations

from caduceus.data.readiness import (
    ages,
    dates,
    fhir_paths,
    identifier_keys,
    identifier_names,
    identifier_patterns,
    identifier_people,
    identifier_pseudonyms,
    places,
    statistical,
    text,
)
from caduceus.data.readiness.cdm import Official
from caduceus.data.readiness.rule import Rule
from caduceus.data.readiness.sheet import Sheet

IDENTITY: tuple[Rule, ...] = (
    *identifier_names.RULES,
    *identifier_people.RULES,
    *identifier_patterns.RULES,
    *identifier_keys.RULES,
    *identifier_pseudonyms.RULES,
    *fhir_paths.RULES,
    *text.RULES,
    *dates.RULES,
    *ages.RULES,
    *places.RULES,
)
"""Rules about who somebody is: together they serve all eighteen classes of Safe Harbor."""


def all_rules(
    official: Official | None = None, opted_out: frozenset[str] | None = None, vocabulary: tuple[Sheet, ...] = ()
) -> tuple[Rule, ...]:
    """Every rule: about identity, then about what the records as a whole tell.

    official   OHDSI's check tables; None if there are none
    opted_out  identifiers of patients who objected, from the site's file; None if it was not read
    vocabulary sheets of an OMOP database's vocabulary, for OHDSI's checks
    """
    return (*IDENTITY, *statistical.rules(official, opted_out, vocabulary))


ALL: tuple[Rule, ...] = all_rules()
"""Every rule, without check tables and without a list of objections."""
