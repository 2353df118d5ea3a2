"""Codes as the web names them: SYSTEM:code, as a schema writes it, to an IRI."""

from __future__ import annotations

from collections.abc import Mapping

SYSTEM_IRIS: Mapping[str, str] = {
    "LOINC": "http://loinc.org/rdf/",
    "SNOMED": "http://snomed.info/id/",
    "ICD10": "http://id.who.int/icd/release/10/2019/",
    "ICD10CM": "http://purl.bioontology.org/ontology/ICD10CM/",
    "ICD9CM": "http://purl.bioontology.org/ontology/ICD9CM/",
    "RxNorm": "http://purl.bioontology.org/ontology/RXNORM/",
    "ATC": "http://purl.bioontology.org/ontology/ATC/",
    "CVX": "http://purl.bioontology.org/ontology/CVX/",
    "CPT4": "http://purl.bioontology.org/ontology/CPT/",
    "HCPCS": "http://purl.bioontology.org/ontology/HCPCS/",
}
"""What stands before a code's own text. Source: each system's publisher; where that has none, BioPortal."""

CODING_SYSTEMS: Mapping[str, str] = {
    "LOINC": "http://loinc.org",
    "SNOMED": "http://snomed.info/sct",
    "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD9CM": "http://hl7.org/fhir/sid/icd-9-cm",
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ATC": "http://www.whocc.no/atc",
    "CVX": "http://hl7.org/fhir/sid/cvx",
    "CPT4": "http://www.ama-assn.org/go/cpt",
    "HCPCS": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "UCUM": "http://unitsofmeasure.org",
}
"""A system as a whole, as HL7 FHIR R4 names it (terminologies-systems)."""


def split_code(code: str) -> tuple[str, str]:
    """System and code of SYSTEM:code; a text without a system has the system ""."""
    system, separator, rest = code.partition(":")
    return (system, rest) if separator else ("", code)


def code_iri(code: str) -> str | None:
    """The IRI of a code; None for a system that has none here."""
    system, rest = split_code(code)
    start = SYSTEM_IRIS.get(system)
    return None if start is None else start + "".join(map(_escape, rest))


def system_iri(code: str) -> str | None:
    """The IRI of the system that a code is of; None if it is not known here."""
    return CODING_SYSTEMS.get(split_code(code)[0])


def _escape(letter: str) -> str:
    """A letter as it may stand in an IRI's path (RFC 3986, section 2.3)."""
    if letter.isascii() and (letter.isalnum() or letter in "-._~"):
        return letter
    return "".join(f"%{byte:02X}" for byte in letter.encode())
