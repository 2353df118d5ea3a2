"""Places in FHIR resources that hold identity are found by path, whatever stands there."""

import pytest
from identity_sheets import fhir, found

from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.rules import IDENTITY

BLOCKS = {
    "name": [
        "Patient.name.family",
        "Patient.contact.name.text",
        "Claim.contained.name.given",
        "RelatedPerson.name.given",
        "Patient.extension(patient-mothersMaidenName).valueString",
    ],
    "telecom": ["Patient.telecom.value", "Patient.contact.telecom.value"],
    "identifier": [
        "Patient.identifier.value",
        "Encounter.identifier.value",
        "Specimen.accessionIdentifier.value",
        "Coverage.subscriberId",
        "Observation.subject.identifier.value",
    ],
    "device": ["Device.serialNumber", "Device.udiCarrier.carrierHRF", "Device.lotNumber"],
    "photo": ["Patient.photo.data"],
    "display": ["Encounter.subject.display", "Claim.patient.display", "Coverage.beneficiary.display"],
    "extension": ["Patient.extension(local).valueString", "Patient.extension(local).valueAddress.city"],
}
WEIGHS = {
    "name": ["Practitioner.name.family", "Organization.name"],
    "telecom": ["Location.telecom.value"],
    "identifier": ["Practitioner.identifier.value"],
    "display": ["DocumentReference.author.display", "Observation.performer.display"],
    "source": ["Patient.meta.source", "DocumentReference.content.attachment.title"],
    "extension": ["Patient.extension(local).valueDecimal"],
}
PASSES = {
    "name": ["Device.deviceName.name", "PlanDefinition.name", "Patient.name.use", "Patient.name.period.start"],
    "telecom": ["Patient.telecom.system"],
    "identifier": ["Patient.identifier.system", "Patient.id", "Encounter.subject.reference"],
    "device": ["Device.type.text"],
    "photo": ["DocumentReference.content.attachment.data"],
    "display": ["Procedure.reasonReference.display"],
    "source": ["Patient.meta.profile"],
    "extension": ["Patient.extension(us-core-race).extension(text).valueString", "Patient.extension(local).url"],
}


def hits(rule: str, path: str, value: str = "x", **beside: str) -> list[int]:
    kind, rest = path.split(".", 1)
    columns = {rest: [value] * 20} | {key.replace("__", "."): [one] * 20 for key, one in beside.items()}
    return [one.severity for one in found(f"fhir.{rule}", fhir(kind, columns)) if one.where == path]


@pytest.mark.parametrize(("rule", "path"), [(rule, one) for rule, paths in BLOCKS.items() for one in paths])
def test_a_patients_identity_blocks(rule: str, path: str):
    assert hits(rule, path) == [Severity.BLOCK]


@pytest.mark.parametrize(("rule", "path"), [(rule, one) for rule, paths in WEIGHS.items() for one in paths])
def test_what_is_about_those_who_care_is_weighed(rule: str, path: str):
    assert hits(rule, path) == [Severity.WARN]


@pytest.mark.parametrize(("rule", "path"), [(rule, one) for rule, paths in PASSES.items() for one in paths])
def test_other_paths_pass(rule: str, path: str):
    assert hits(rule, path) == []


def test_words_beside_a_code_are_no_name():
    assert hits("display", "Condition.code.coding.display", code__coding__code="73211009") == []
    assert hits("display", "Encounter.class.display", class__code="AMB") == []


def test_references_that_search_or_name_a_server_are_found_and_plain_ones_are_not():
    assert hits("reference", "Encounter.subject.reference", "Patient?identifier=http://x|1") == [Severity.BLOCK]
    assert hits("reference", "Claim.provider.reference", "Organization?identifier=http://x|1") == [Severity.WARN]
    assert hits("reference", "Encounter.subject.reference", "https://fhir.example.org/r4/Patient/1") == [Severity.BLOCK]
    assert hits("reference", "Encounter.subject.reference", "Patient/1") == []
    assert hits("reference", "Encounter.subject.reference", "urn:uuid:0-0") == []


def test_attachments_say_themselves_that_they_are_pictures_or_voices():
    assert hits("photo", "Media.content.contentType", "image/jpeg") == [Severity.BLOCK]
    assert hits("photo", "Media.content.contentType", "audio/wav") == [Severity.BLOCK]
    assert hits("photo", "Media.content.contentType", "text/plain") == []


def test_contained_resources_are_told():
    (hit,) = found("fhir.contained", fhir("Claim", {"contained.id": ["a"] * 20, "contained.status": ["active"] * 20}))
    assert (hit.where, hit.severity) == ("Claim.contained", Severity.WARN)
    assert found("fhir.contained", fhir("Claim", {"status": ["active"] * 20})) == []


def test_every_rule_about_identity_has_words_for_a_steward():
    assert all(one.title and one.about.endswith(".") and one.version >= 1 for one in IDENTITY)
