"""Rules that know where FHIR keeps identity: by path, so that nothing depends on what a value looks like.

Source: HL7 FHIR R4 (4.0.1), resources Patient, RelatedPerson, Person, Practitioner, Device, Coverage, and the data
types HumanName, ContactPoint, Address, Identifier, Attachment, Narrative, Reference and Meta.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct, Mask
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import PROVIDERS
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, Leaf, Sheet


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of place in a resource that holds identity.

    name    after "fhir.": the rule
    title, about, says, remedy  for people
    hipaa   classes
    path    pattern of the part of a path after the resource's type
    values  which of its texts are meant; None is all
    """

    name: str
    title: str
    about: str
    hipaa: tuple[int, ...]
    path: re.Pattern[str]
    says: str
    remedy: str
    values: Callable[[Distinct], Mask] | None = None


PLACES: tuple[Place, ...] = (
    Place(
        "name",
        "Names in resources",
        "Family, given and other names of patients, relatives and contacts, anywhere in a resource, also in those "
        "that are "
        "contained in others.",
        (hipaa.NAME,),
        re.compile(
            r"(?:^|\.)name(?:\.(?:family|given|text|suffix))?$|valueHumanName\.(?:family|given|text)$"
            r"|mothersMaidenName\)\.valueString$"
        ),
        "names of people or institutions",
        "leave 'name' out of the export",
    ),
    Place(
        "telecom",
        "Telephone, fax and e-mail in resources",
        "Every ContactPoint, whatever its system is: telephone, fax, e-mail, pager, URL, SMS.",
        (hipaa.PHONE, hipaa.FAX, hipaa.EMAIL, hipaa.URL),
        re.compile(r"(?:^|\.)(?:telecom|valueContactPoint)\.value$"),
        "telephone, fax or e-mail addresses",
        "leave 'telecom' out of the export",
    ),
    Place(
        "identifier",
        "Business identifiers in resources",
        "Every Identifier with its value: record, social security, licence, passport, plan and account numbers of "
        "patients, "
        "and the numbers that source systems gave to encounters, claims and documents.",
        (hipaa.SSN, hipaa.RECORD, hipaa.PLAN, hipaa.ACCOUNT, hipaa.LICENCE, hipaa.VEHICLE, hipaa.OTHER),
        re.compile(r"(?:[iI]dentifier\.value|accessionIdentifier\.value|subscriberId|\.preAuthRef|^dependent)$"),
        "numbers that source systems gave",
        "leave 'identifier' out of the export; the resource's own id, if it is a random pseudonym, links what belongs "
        "together",
    ),
    Place(
        "device",
        "Device identifiers in resources",
        "Unique device identifiers, serial and lot numbers: a pacemaker's serial number is its bearer's.",
        (hipaa.DEVICE,),
        re.compile(
            r"^(?:udiCarrier\.(?:deviceIdentifier|carrierHRF|carrierAIDC)|serialNumber|lotNumber|distinctIdentifier)$"
            r"|\.udi(?:Carrier)?\."
        ),
        "device identifiers and serial numbers",
        "keep the device's type and leave its numbers out",
    ),
    Place(
        "photo",
        "Photographs and recordings",
        "Patient.photo and Person.photo, and every attachment that says of itself that it is an image, a film or a "
        "sound.",
        (hipaa.PHOTO, hipaa.BIOMETRIC),
        re.compile(r"(?:^|\.)photo\.(?:data|url|title|hash)$|(?:^|\.)contentType$"),
        "photographs, films or recordings",
        "leave photographs and recordings out of the export",
        lambda column: column.matching(r"^(?:image|video|audio)/", ignore_case=True),
    ),
    Place(
        "display",
        "Names beside references",
        "'display' beside a reference says who is meant in words: Encounter.subject.display is the patient's name, "
        "author.display and performer.display are the staff's.",
        (hipaa.NAME,),
        re.compile(r"\.display$"),
        "names of whoever is referred to",
        "leave 'display' of references out of the export; 'reference' is enough",
    ),
    Place(
        "source",
        "Where resources come from",
        "meta.source, meta.tag and addresses of attachments name systems, messages and sometimes patients.",
        (hipaa.URL, hipaa.OTHER),
        re.compile(r"^meta\.(?:source|tag\.(?:display|code))$|(?:attachment|content|valueAttachment)\.(?:url|title)$"),
        "addresses or names of source systems and documents",
        "leave 'meta.source' and attachments' addresses and titles out of the export",
    ),
    Place(
        "reference",
        "References that carry identifiers",
        "A reference of the form Patient?identifier=... or a logical one carries a business identifier into every "
        "resource.",
        (hipaa.RECORD, hipaa.OTHER),
        re.compile(r"(?:^|\.)reference$"),
        "references that name somebody by a business identifier or by a server's address",
        "let references name resources by their ids in this export, as Patient/id",
        lambda column: column.matching(r"\?|^https?://[^#]+/[A-Z][A-Za-z]+/"),
    ),
    Place(
        "extension",
        "Extensions that carry identity",
        "Mother's maiden name, place of birth, and whatever a vendor added: who does not know an extension cannot "
        "know what "
        "it says, so those that hold texts block and others are to be looked at.",
        (hipaa.NAME, hipaa.PLACE, hipaa.OTHER),
        re.compile(r"extension\(local\)(?:\..*)?\.value[A-Z][A-Za-z]*(?:\.(?!system$|code$|use$)\w+)?$"),
        "extensions that no published profile describes",
        "leave extensions out that nobody needs, or map what is needed to a published one",
    ),
)
"""All of them."""

_CLINICAL = re.compile(
    r"(?:reasonReference|diagnosisReference|medicationReference|procedureReference|itemReference|outcomeReference"
    r"|focus|"
    r"hasMember|derivedFrom|basedOn|partOf|evidence|condition|specimen|detail|addresses|code|vaccineCode)\.display$"
)
"""References to what was found or done: what is beside them is a diagnosis and no name."""

_CODED = re.compile(
    r"extension\(local\)(?:\..*)?\.value(?:Decimal|Integer|Boolean|Code|Coding|Quantity|UnsignedInt|PositiveInt)"
)


def _applies(place: Place, sheet: Sheet, leaf: Leaf) -> bool:
    rest = leaf.path.split(".", 1)[1] if "." in leaf.path else ""
    rest = re.sub(r"^contained\.", "", rest)
    if not place.path.search(rest):
        return False
    if place.name == "display":
        return not _CLINICAL.search(rest) and _is_reference(sheet, leaf.path.rsplit(".", 1)[0])
    if place.name == "name":
        return _is_name(sheet.name, leaf.path, rest)
    if place.name == "identifier" and ".display" in rest:
        return False
    return not (place.name == "photo" and rest.endswith("contentType") and sheet.name == "Group")


def _is_name(kind: str, path: str, rest: str) -> bool:
    """A bare 'name' is a person's or an institution's only in some resources: a device's or a study's is none."""
    if rest == "name":
        return kind in PROVIDERS or ".contained." in path
    return not rest.startswith(("deviceName", "parameter", "component"))


def _is_reference(sheet: Sheet, parent: str) -> bool:
    """Whether the 'display' below a path stands beside a reference and not beside a code."""
    coded = any(f"{parent}.{one}" in sheet.leaves for one in ("code", "system", "userSelected"))
    linked = any(f"{parent}.{one}" in sheet.leaves for one in ("reference", "identifier.value", "type"))
    return (linked and f"{parent}.code" not in sheet.leaves) or not coded


def _look_at(place: Place) -> Callable[[Context], Iterator[Finding | Skipped]]:
    name = f"fhir.{place.name}"

    def look(context: Context) -> Iterator[Finding | Skipped]:
        for sheet, leaf, where in context.leaves(FHIR):
            if not _applies(place, sheet, leaf):
                continue
            column = context.distinct(leaf)
            count = leaf_records(leaf)
            if place.values is not None and not leaf.path.endswith((".data", ".hash")):
                if column is None or not (mask := place.values(column)).any():
                    continue
                count = column.records(mask)
            elif column is not None:
                count = column.all_records()
            yield hipaa.found(name, where, count, sheet.rows, _weight(place, sheet, leaf), place.says, place.remedy)

    return look


def _weight(place: Place, sheet: Sheet, leaf: Leaf) -> Severity:
    """Providers' data are weighed, and so is where a resource comes from; everything else of a patient blocks."""
    about_patient = (
        re.search(r"\.(?:subject|patient|beneficiary|subscriber|policyHolder)\.[a-z]+$", leaf.path) is not None
    )
    if sheet.name in PROVIDERS or place.name == "source":
        return Severity.WARN
    if place.name in ("display", "reference"):
        return Severity.BLOCK if about_patient else Severity.WARN
    if place.name == "extension" and _CODED.search(leaf.path):
        return Severity.WARN
    return Severity.BLOCK


def _contained(context: Context) -> Iterator[Finding | Skipped]:
    for sheet in context.sheets:
        inner = [leaf for path, leaf in sheet.leaves.items() if path.startswith(f"{sheet.name}.contained.")]
        if sheet.source == FHIR and inner:
            count = max(leaf_records(leaf) for leaf in inner)
            yield hipaa.found(
                "fhir.contained",
                f"{sheet.name}.contained",
                count,
                sheet.rows,
                Severity.WARN,
                "resources inside others, which tools that remove identity by resource type pass over",
                "take contained resources out, or see that they hold no names, numbers or addresses",
            )


def leaf_records(leaf: Leaf) -> int:
    """How many records have a value at a leaf."""
    return len(leaf.values) if leaf.rows is None else len(set(leaf.rows.tolist()))


RULES: tuple[Rule, ...] = (
    *(Rule(f"fhir.{one.name}", one.title, one.about, one.hipaa, (FHIR,), _look_at(one)) for one in PLACES),
    Rule(
        "fhir.contained",
        "Contained resources",
        "Finds resources that are contained in others. Their names, addresses and numbers are looked for like all "
        "others.",
        (hipaa.NAME, hipaa.OTHER),
        (FHIR,),
        _contained,
    ),
)
"""One rule per place."""
