"""Code systems: from the URIs of FHIR to the names that a schema file uses."""

from __future__ import annotations

from collections.abc import Mapping

_OID = "urn:oid:2.16.840.1.113883"

NAMES: Mapping[str, str] = {
    "http://loinc.org": "LOINC",
    f"{_OID}.6.1": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    f"{_OID}.6.96": "SNOMED",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    f"{_OID}.6.3": "ICD10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    f"{_OID}.6.90": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://hl7.org/fhir/sid/icd-9-cm/diagnosis": "ICD9CM",
    "http://hl7.org/fhir/sid/icd-9-cm/procedure": "ICD9CM",
    f"{_OID}.6.103": "ICD9CM",
    f"{_OID}.6.104": "ICD9CM",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    f"{_OID}.6.88": "RxNorm",
    "http://www.whocc.no/atc": "ATC",
    f"{_OID}.6.73": "ATC",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    f"{_OID}.12.292": "CVX",
    "http://www.ama-assn.org/go/cpt": "CPT4",
    f"{_OID}.6.12": "CPT4",
    "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": "HCPCS",
    "http://www.nlm.nih.gov/research/umls/hcpcs": "HCPCS",
    f"{_OID}.6.285": "HCPCS",
    "http://unitsofmeasure.org": "UCUM",
    f"{_OID}.6.8": "UCUM",
}
"""By URI, with http and without a slash at the end."""


def system_name(uri: str) -> str:
    """The name of a code system in `data.records.SYSTEMS`; its URI as it is if it has none there."""
    plain = uri.rstrip("/")
    if plain.startswith("https://"):
        plain = "http://" + plain.removeprefix("https://")
    return NAMES.get(plain) or (NAMES["http://snomed.info/sct"] if plain.startswith("http://snomed.info/sct/") else uri)
