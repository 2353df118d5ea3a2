"""A card as Croissant: the JSON-LD by which catalogues of data for machine learning describe data sets.

Croissant 1.1 with its extension for responsible AI. Readers of Croissant want every field to come from somewhere, so
there is a set of files, which says that it is held at the site and has no address: nothing can be downloaded.

Source: Croissant Format Specification 1.1, and Croissant RAI 1.0, MLCommons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from caduceus.data.card import CardColumn
from caduceus.data.card_codes import code_iri
from caduceus.data.card_offer import NO_DOWNLOAD, Offer, conditions, duo_iris, readiness_words
from caduceus.data.schema import BOOLEAN, CATEGORY, INTEGER, NUMBER, TARGET
from caduceus.kinds import MICRO, PICO

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")

HELD = "held-at-the-site"
"""The set of files that nobody can have."""

_TYPES: Mapping[str, str] = {NUMBER: "sc:Float", INTEGER: "sc:Integer", CATEGORY: "sc:Text", BOOLEAN: "sc:Boolean"}

_CROISSANT_WORDS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)

_CONTEXT: Mapping[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    **{word: f"cr:{word}" for word in _CROISSANT_WORDS},
}


def croissant(offer: Offer) -> str:
    """The JSON-LD document of an offer."""
    return json.dumps(_dataset(offer), indent=2, ensure_ascii=False)


def _dataset(offer: Offer) -> dict[str, object]:
    card, holder = offer.card, offer.holder
    said: dict[str, object] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "@id": offer.id,
        "conformsTo": list(CONFORMS_TO),
        "name": card.title,
        "description": f"{card.description}\n\n{NO_DOWNLOAD}".strip(),
        "identifier": [offer.id, f"schema sha256:{card.schema.hex()}", f"records {card.commitment.hex()}"],
        "version": "1.0.0",
        "isAccessibleForFree": offer.terms.price_floor == 0,
        "conditionsOfAccess": " ".join((NO_DOWNLOAD, *conditions(offer.terms))),
        "keywords": [one.column.name for one in card.columns],
        "size": f"{card.rows_text} rows",
    }
    said |= {"usageInfo": list(duo_iris(offer.terms))} if offer.terms.use is not None else {}
    said |= {"license": card.licence} if card.licence else {}
    said |= {"citeAs": card.citation} if card.citation else {}
    if holder is not None:
        said["creator"] = {"@type": "sc:Organization", "name": holder.name, "url": holder.contact}
    elif offer.place is not None:
        said["creator"] = {"@type": "sc:Organization", "@id": offer.place.steward_id, "name": offer.place.steward_id}
    said |= _responsible(offer)
    levels = [_levels(one) for one in card.columns if one.column.levels]
    rows = {
        "@type": "cr:RecordSet",
        "@id": "records",
        "name": "records",
        "description": f"One row per record; {card.rows_text} of them.",
        "field": [_field(one) for one in card.columns],
    }
    held = {
        "@type": "cr:FileSet",
        "@id": HELD,
        "name": HELD,
        "description": f"{NO_DOWNLOAD} Computations are admitted by the contracts of {offer.id}.",
        "encodingFormat": "application/octet-stream",
        "includes": "*",
    }
    return said | {"distribution": [held], "recordSet": [*levels, rows]}


def _field(entry: CardColumn) -> dict[str, object]:
    column = entry.column
    said: dict[str, object] = {
        "@type": "cr:Field",
        "@id": f"records/{column.name}",
        "name": column.name,
        "description": _describe(entry),
        "dataType": _TYPES[column.kind],
        "source": {"fileSet": {"@id": HELD}, "extract": {"column": column.name}},
    }
    codes = [iri for iri in map(code_iri, column.codes) if iri is not None]
    said |= {"equivalentProperty": codes} if codes else {}
    said |= {"references": {"field": {"@id": f"levels/{column.name}/name"}}} if column.levels else {}
    said |= {"unitText": column.unit} if column.unit else {}
    if column.range is not None and column.kind != BOOLEAN:
        said |= {"minValue": column.range[0], "maxValue": column.range[1]}
    return said


def _describe(entry: CardColumn) -> str:
    column = entry.column
    parts = [column.description or column.name]
    parts += [f"Unit: {column.unit} (UCUM)."] if column.unit else []
    parts += [f"Codes: {', '.join(column.codes)}."] if column.codes else []
    parts += ["To be predicted."] if column.role == TARGET else []
    parts += [f"About {entry.missing_percent} % are missing."] if entry.missing_percent is not None else []
    return " ".join(parts)


def _levels(entry: CardColumn) -> dict[str, object]:
    """A category's levels as a record set of their own, which Croissant calls an enumeration."""
    name = f"levels/{entry.column.name}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"The levels of {entry.column.name}.",
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{name}/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/name",
                "name": f"{name}/name",
                "description": "The level's name.",
                "dataType": ["sc:Text", "sc:name"],
            }
        ],
        "data": [{f"{name}/name": level} for level in entry.column.levels],
    }


def _responsible(offer: Offer) -> dict[str, object]:
    card, terms = offer.card, offer.terms
    missing = [
        f"{one.column.name} about {one.missing_percent} %"
        for one in card.columns
        if one.missing_percent is not None and one.missing_percent > 0
    ]
    limits = [
        "Numbers of rows are rounded down to tens, and shares of missing values to five per cent.",
        readiness_words(offer.readiness),
    ]
    if card.noise is not None and card.noise.columns:
        limits.append(
            f"Numbers of patients on the card have noise of standard deviation {card.noise.deviation:.1f}, for epsilon "
            f"{card.noise.epsilon_micro / MICRO:g} at delta {card.noise.delta_pico / PICO:g}."
        )
    said: dict[str, object] = {
        "rai:dataCollection": card.description or "Not described by the steward.",
        "rai:dataCollectionType": "Secondary use of health records",
        "rai:dataUseCases": list(conditions(terms)),
        "rai:dataLimitations": limits,
        "rai:personalSensitiveInformation": [
            "Health data of patients; identifiers are kept apart at the site and take part in no computation.",
            NO_DOWNLOAD,
        ],
        "rai:dataReleaseMaintenancePlan": (
            "A data set is registered once by a salted commitment to its records. When records change it is registered "
            "anew, as another version."
        ),
    }
    said |= {"rai:dataCollectionMissingData": f"Missing: {', '.join(missing)}."} if missing else {}
    return said
