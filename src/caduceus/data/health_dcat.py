"""A card as HealthDCAT-AP: the JSON-LD by which catalogues under the European Health Data Space describe data sets.

HealthDCAT-AP for non-public data over DCAT-AP 3, after the releases 5 to 7, which are drafts: the authority lists have
moved between them. What it demands and no card knows (who publishes, whom to write to, which Health Data Access Body
is in charge) comes with the offer's holder.

Source: HealthDCAT-AP, https://healthdataeu.pages.code.europa.eu/healthdcat-ap/; DCAT-AP 3.0.0, SEMIC; Data Privacy
Vocabulary 2, W3C DPVCG; Regulation (EU) 2025/327 (EHDS).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from caduceus.data.card import CardColumn
from caduceus.data.card_codes import code_iri, system_iri
from caduceus.data.card_offer import NO_DOWNLOAD, Holder, Offer, conditions, duo_iris, is_for_research, readiness_words
from caduceus.data.policy import Terms
from caduceus.data.schema import BOOLEAN, CATEGORY, INTEGER, NUMBER
from caduceus.errors import Refused

EHDS = "http://data.europa.eu/eli/reg/2025/327/oj"
GDPR = "http://data.europa.eu/eli/reg/2016/679/oj"
NON_PUBLIC = "http://publications.europa.eu/resource/authority/access-right/NON_PUBLIC"
HEALTH = "http://publications.europa.eu/resource/authority/data-theme/HEAL"
PERSONAL = "http://publications.europa.eu/resource/authority/dataset-type/PERSONAL_DATA"
CATEGORIES = "https://hdeu-dcat.data.health.europa.eu/resource/authority/healthcategories/"

_CONTEXT: Mapping[str, str] = {
    "adms": "http://www.w3.org/ns/adms#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dqv": "http://www.w3.org/ns/dqv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "oa": "http://www.w3.org/ns/oa#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}

_TYPES: Mapping[str, str] = {NUMBER: "double", INTEGER: "integer", CATEGORY: "string", BOOLEAN: "boolean"}

_PURPOSES: Mapping[str, str] = {
    "research": "dpv:ResearchAndDevelopment",
    "academic research": "dpv:AcademicResearch",
    "commercial research": "dpv:CommercialResearch",
    "quality": "dpv:ServiceOptimisation",
    "care": "dpv:ServiceProvision",
}
"""Purposes as jobs state them, where the Data Privacy Vocabulary has a term; others are written out."""

_Node = dict[str, object]


def health_dcat(offer: Offer) -> str:
    """The JSON-LD document of an offer.

    Raises Refused, naming what is missing, if nobody is named who publishes or controls access.
    """
    return json.dumps({"@context": dict(_CONTEXT)} | _dataset(offer, _holder(offer)), indent=2, ensure_ascii=False)


def _holder(offer: Offer) -> Holder:
    holder = offer.holder
    wanted = ("publisher", "contact", "access body", "access body's contact")
    given = ("",) * 4 if holder is None else (holder.name, holder.contact, holder.access_body, holder.body_contact)
    missing = [name for name, value in zip(wanted, given, strict=True) if not value]
    if holder is None or missing:
        raise Refused(f"HealthDCAT-AP demands what no card knows: name the {', the '.join(missing)}")
    for contact in (holder.contact, holder.body_contact):
        if not contact.startswith(("mailto:", "https://", "http://")):
            raise Refused(f"'{contact}' is no address to write to: mailto:NAME@HOST or https://HOST/PAGE")
    return holder


def _dataset(offer: Offer, holder: Holder) -> _Node:
    card, terms = offer.card, offer.terms
    codes = sorted({code for one in card.columns for code in one.column.codes})
    systems = sorted({iri for iri in map(system_iri, codes) if iri is not None})
    said: _Node = {
        "@id": offer.id,
        "@type": "dcat:Dataset",
        "dct:title": _text(card.title),
        "dct:description": _text(card.description or card.title),
        "dct:identifier": {"@value": offer.id, "@type": "xsd:anyURI"},
        "dct:accessRights": _iri(NON_PUBLIC, "dct:RightsStatement"),
        "dcatap:applicableLegislation": [{"@id": EHDS}, {"@id": GDPR}],
        "dct:type": {"@id": PERSONAL},
        "dcat:theme": {"@id": HEALTH},
        "healthdcatap:healthCategory": {"@id": CATEGORIES + holder.category},
        "dcat:keyword": [_text(one.column.name.replace("_", " ")) for one in card.columns],
        "dct:publisher": _agent(holder.name, holder.contact),
        "dcat:contactPoint": _kind(holder.name, holder.contact),
        "healthdcatap:hdab": _agent(holder.access_body, holder.body_contact),
        "dct:provenance": {
            "@type": "dct:ProvenanceStatement",
            "rdfs:label": _text(
                f"Records under the salted commitment {card.commitment.hex()}. {readiness_words(offer.readiness)}"
            ),
        },
        "dpv:hasPersonalData": {"@id": "https://w3id.org/dpv/pd#HealthRecord"},
        "dpv:hasPurpose": _purposes(terms),
        "healthdcatap:hasVariables": _variables(offer),
        "dcat:distribution": _distribution(offer),
        "dqv:hasQualityAnnotation": {
            "@type": "dqv:QualityAnnotation",
            "oa:hasTarget": {"@id": offer.id},
            "oa:hasBody": {"@type": "oa:TextualBody", "rdfs:label": _text(readiness_words(offer.readiness))},
        },
    }
    said |= {"dpv:hasLegalBasis": {"@id": holder.legal_basis}} if holder.legal_basis else {}
    said |= {"healthdcatap:hasCodingSystem": [{"@id": iri} for iri in systems]} if systems else {}
    said |= {"healthdcatap:hasCodeValues": [_code(code) for code in codes]} if codes else {}
    said |= {"healthdcatap:numberOfRecords": _whole(card.rows_at_least)} if card.rows_at_least else {}
    said |= {"healthdcatap:populationCoverage": _text(card.description)} if card.description else {}
    said |= {"dct:alternative": _text(card.citation)} if card.citation else {}
    return said


def _distribution(offer: Offer) -> _Node:
    """Where access begins: the contracts, through which computations come to the records, and never the other way."""
    reach = offer.id if offer.place is None else offer.place.registry_id
    rights = " ".join((NO_DOWNLOAD, *conditions(offer.terms)))
    said: _Node = {
        "@type": "dcat:Distribution",
        "@id": f"{offer.id}-access" if "#" in offer.id else f"{offer.id}#access",
        "dct:title": _text("Access by computation only"),
        "dct:description": _text(NO_DOWNLOAD),
        "dcatap:applicableLegislation": [{"@id": EHDS}],
        "dcat:accessURL": {"@id": reach},
        "dct:rights": [
            {"@type": "dct:RightsStatement", "rdfs:label": _text(rights)},
            *(_iri(one, "dct:RightsStatement") for one in duo_iris(offer.terms)),
        ],
    }
    said |= {"dct:license": _licence(offer.card.licence)} if offer.card.licence else {}
    if offer.place is not None:
        said["dcat:accessService"] = {
            "@id": f"{offer.id}-service",
            "@type": "dcat:DataService",
            "dct:title": _text("Jobs that contracts admit"),
            "dct:description": _text("A buyer posts a job; the data set's steward enrols if the terms allow it."),
            "dcat:endpointURL": {"@id": reach},
            "dct:accessRights": _iri(NON_PUBLIC, "dct:RightsStatement"),
            "dcatap:applicableLegislation": [{"@id": EHDS}],
        }
    return said


def _variables(offer: Offer) -> _Node:
    return {
        "@type": "csvw:TableGroup",
        "csvw:table": {
            "@type": "csvw:Table",
            "dct:title": _text("records"),
            "csvw:column": [_column(one) for one in offer.card.columns],
        },
    }


def _column(entry: CardColumn) -> _Node:
    column = entry.column
    unit = f" Unit: {column.unit} (UCUM)." if column.unit else ""
    levels = f" Levels: {', '.join(column.levels)}." if column.levels else ""
    said: _Node = {
        "@type": "csvw:Column",
        "csvw:name": column.name,
        "csvw:titles": _text(column.name.replace("_", " ")),
        "dct:description": _text(f"{column.description or column.name}{unit}{levels}"),
        "csvw:datatype": _TYPES[column.kind],
    }
    iris = [iri for iri in map(code_iri, column.codes) if iri is not None]
    return said | ({"csvw:propertyUrl": {"@id": iris[0]}} if iris else {})  # CSVW has room for one


def _code(code: str) -> _Node:
    iri, system = code_iri(code), system_iri(code)
    said: _Node = {"@type": "skos:Concept", "skos:notation": code}
    said |= {"dct:identifier": {"@value": iri, "@type": "xsd:anyURI"}} if iri is not None else {}
    return said | ({"skos:inScheme": {"@id": system}} if system is not None else {})


def _purposes(terms: Terms) -> list[_Node]:
    purposes = terms.purposes
    if purposes is None:
        return [{"@id": "dpv:ResearchAndDevelopment" if is_for_research(terms) else "dpv:Purpose"}]
    return [
        {"@id": _PURPOSES[one]} if one in _PURPOSES else {"@type": "dpv:Purpose", "rdfs:label": _text(one)}
        for one in purposes
    ]


def _licence(licence: str) -> _Node:
    if licence.startswith(("http://", "https://")):
        return _iri(licence, "dct:LicenseDocument")
    return {"@type": "dct:LicenseDocument", "rdfs:label": _text(licence)}


def _agent(name: str, contact: str) -> _Node:
    return {"@type": "foaf:Agent", "foaf:name": _text(name), "dcat:contactPoint": _kind(name, contact)}


def _kind(name: str, contact: str) -> _Node:
    where = "vcard:hasEmail" if contact.startswith("mailto:") else "vcard:hasURL"
    return {"@type": "vcard:Kind", "vcard:fn": _text(name), where: {"@id": contact}}


def _iri(iri: str, kind: str) -> _Node:
    return {"@id": iri, "@type": kind}


def _text(text: str) -> _Node:
    return {"@value": text, "@language": "en"}


def _whole(number: int) -> _Node:
    return {"@value": str(number), "@type": "xsd:nonNegativeInteger"}
