"""Where people live: everything smaller than a state.

Source: 45 CFR 164.514(b)(2)(i)(B): of a ZIP code the first three digits may stay if more than 20,000 people live in all
areas that share them; the seventeen that have fewer are OCR's list of 2012, from the census of 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct, Mask, truth
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.names_known import TOWNS
from caduceus.data.readiness.paths import is_structure, known_by_path, of_provider, words
from caduceus.data.readiness.rule import SOURCES, Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, Leaf, Sheet

FEW_PEOPLE = frozenset(
    (
        "036",
        "059",
        "063",
        "102",
        "203",
        "556",
        "692",
        "790",
        "821",
        "823",
        "830",
        "831",
        "878",
        "879",
        "884",
        "890",
        "893",
    )
)
"""ZIP3 areas in which 20,000 people or fewer live: they must become 000."""

_POSTAL = ("zip", "zipcode", "postal", "postcode", "postalcode", "plz", "postleitzahl", "cap", "postnummer")
_SUFFIX = (
    "street|st|avenue|ave|road|rd|lane|ln|drive|dr|court|ct|circle|cir|boulevard|blvd|way|place|pl|terrace|ter|trail|parkway|"
    "pkwy|highway|hwy|alley|row|gateway|crossing|crossroad|extension|square|walk|path|plaza|hollow|ridge|view|grove|mews|"
    "close|crescent|gardens|camp|trailer|union|dale|fort|wynd|arcade|underpass|overpass|skyway|spur|track|corner|club|port|"
    "stra(?:ss|ß)e|str\\.|weg|allee|platz|gasse|rue|rua|calle|via|plein|laan|straat|gata|vägen|ulica"
)
_STREET = (
    rf"^[0-9]{{1,6}}[a-zA-Z]?,?\s.*\b(?:{_SUFFIX})\b\.?(?:,?\s(?:apt|unit|suite|ste|#).*)?$"
    rf"|^(?:\p{{L}}[\p{{L}}.\-]*\s?)+(?:str(?:aße|asse|\.)|weg|allee|platz|gasse|straat|laan)\s?[0-9]+[a-z]?$|^(?:rue"
    rf"|calle|via|rua)\s.*[0-9]"
)
_STREET_SHAPE = r"^[0-9]{1,5}(?:\s\p{Lu}[\p{L}'’.\-]*){1,4}(?:\s(?:Apt|Unit|Suite|Ste)\.?\s[0-9A-Z]+)?$"
_FACILITY = (
    r"\b(?:hospitals?|clinic|medical cent(?:er|re)|health cent(?:er|re)|infirmary|hospice|nursing home"
    r"|klinik(?:um)?|krankenhaus|spital|h[oô]pital|clinique|ospedale|ziekenhuis|sjukhus|sygehus|sykehus)\b"
)
_TOWN = r"^\p{L}[\p{L}'’.\-]*(?:\s\p{L}[\p{L}'’.\-]*){0,3}$"

_KNOWN_TOWNS = pa.array(sorted(TOWNS))


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    title: str
    about: str
    says: str
    remedy: str
    texts: Callable[[Distinct, Leaf], Mask]
    weighed: bool = False


def _none(column: Distinct) -> Mask:
    return np.zeros(len(column.values), np.bool_)


def postal(column: Distinct, leaf: Leaf) -> Mask:
    """Postal codes finer than three digits, and three digits of areas with few people; but no zeros alone."""
    hinted = any(one in _POSTAL for one in words(leaf.path.rsplit(".", 1)[-1]))
    padded = pc.utf8_lpad(column.values, 5, "0") if column.number else column.values
    whole = truth(pc.match_substring_regex(padded, r"^[0-9]{5}(?:-?[0-9]{4})?$"))
    plus = column.matching(r"^[0-9]{5}-[0-9]{4}$")
    other = column.matching(
        r"^(?:[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[0-9]{4} ?[A-Z]{2})$"
    )
    empty = column.matching(r"^0+(?:-0+)?$")
    three = truth(pc.is_in(pc.utf8_slice_codeunits(padded, 0, 3), pa.array(sorted(FEW_PEOPLE))))
    short = column.matching(r"^[0-9]{3}(?:\*\*|xx|XX)?$") & three
    if hinted:
        return (whole | plus | other | short | column.matching(r"^[0-9]{4,6}$")) & ~empty
    found = (plus | other | (whole if not column.number else _none(column))) & ~empty
    telling = int(found.sum()) >= 5 and column.share(found) >= 0.6 and not _is_run(column, found)
    return found if telling and (plus | other | _zeroes_kept(column)).any() else _none(column)


def _zeroes_kept(column: Distinct) -> Mask:
    """Five digits each, and written as text with no other length: postal codes far more often than counts."""
    five = column.matching(r"^[0-9]{5}$")
    return five if not column.number and column.share(five) > 0.95 else _none(column)


def _is_run(column: Distinct, mask: Mask) -> bool:
    """Whether five-digit texts are a numbering: all of a range."""
    texts = [one for one in column.texts(mask) if one.isdigit()]
    if len(texts) < 5:
        return False
    numbers = [int(one) for one in texts]
    return max(numbers) - min(numbers) + 1 <= 1.2 * len(numbers)


def street(column: Distinct, leaf: Leaf) -> Mask:
    """Streets with house numbers, by their usual last words, or by their form where nearly all values have it."""
    if column.number or column.day:
        return _none(column)
    by_word, by_form = column.matching(_STREET, ignore_case=True), column.matching(_STREET_SHAPE)
    units = column.matching(r"(?i)\b(?:mg|ml|mcg|tablet|capsule|unit|puff|times|days?|weeks?|hours?|dose)s?\b")
    by_word, by_form = by_word & ~units, by_form & ~units
    if by_form.mean() > 0.7 and int(by_form.sum()) >= 10:
        return by_word | by_form
    return by_word if int(by_word.sum()) >= 3 and column.share(by_word) >= 0.2 else _none(column)


def town(column: Distinct, leaf: Leaf) -> Mask:
    """Columns of towns: many values are among well-known ones, and the others could be."""
    if column.number or column.day:
        return _none(column)
    known = truth(pc.is_in(pc.utf8_lower(column.values), _KNOWN_TOWNS))
    shaped = column.matching(_TOWN)
    telling = (
        int(known.sum()) >= 4 and max(column.share(known), float(known.mean())) >= 0.12 and float(shaped.mean()) > 0.8
    )
    return shaped if telling else _none(column)


def coordinates(column: Distinct, leaf: Leaf) -> Mask:
    """Pairs of latitude and longitude in one text."""
    return (
        column.matching(r"^[-+]?[0-9]{1,2}\.[0-9]{2,}[,;\s]+[-+]?[0-9]{1,3}\.[0-9]{2,}$")
        if not column.number
        else _none(column)
    )


def facility(column: Distinct, leaf: Leaf) -> Mask:
    """Names of hospitals."""
    found = column.matching(_FACILITY, ignore_case=True, longest=80)
    return np.ones(len(column.values), np.bool_) if found.any() and column.share(found) >= 0.3 else _none(column)


_KINDS = (
    _Kind(
        "postal",
        "Postal codes",
        "Postal codes finer than their first three digits, ZIP+4, and the seventeen ZIP3 areas of fewer than 20,000 "
        'people. "000" is nobody\'s.',
        "postal codes finer than Safe Harbor allows",
        "keep the first three digits, and 000 where 20,000 people or fewer live",
        postal,
    ),
    _Kind("street", "Streets", "Streets with house numbers.", "streets with house numbers", "drop the column", street),
    _Kind(
        "town",
        "Towns",
        "Columns of towns, by those of three hundred well-known ones that are among their values.",
        "names of towns",
        "keep the state or country, and drop the town",
        town,
    ),
    _Kind(
        "coordinates",
        "Coordinates",
        "Latitude and longitude, by how they are written or by path.",
        "coordinates of places",
        "drop them, or keep the state",
        coordinates,
    ),
    _Kind(
        "facility",
        "Names of hospitals",
        "Names of hospitals: they say in which town a patient was, and with a date often who it was.",
        "names of hospitals",
        "replace them by the site's own name, or by codes whose table stays at the site",
        facility,
        True,
    ),
)

_FHIR_PLACES = {
    "postal": ("postalCode",),
    "street": ("address.line", "address.text", "valueAddress.line", "valueAddress.text"),
    "town": ("address.city", "address.district", "valueAddress.city", "valueAddress.district"),
    "coordinates": ("(latitude).valueDecimal", "(longitude).valueDecimal", "position.latitude", "position.longitude"),
}


def _look(kind: _Kind) -> Callable[[Context], Iterator[Finding | Skipped]]:
    def look(context: Context) -> Iterator[Finding | Skipped]:
        for sheet, leaf, where in context.leaves():
            if where in context.declared.not_secret:
                continue
            by_path = sheet.source == FHIR and leaf.path.endswith(_FHIR_PLACES.get(kind.name, ("(nowhere)",)))
            count, column = len(leaf.values), None
            if not by_path or kind.name == "postal":
                apart = is_structure(sheet, leaf) or (
                    not by_path and known_by_path(sheet, leaf) and kind.name != "facility"
                )
                column = None if apart else context.distinct(leaf)
                if column is None or not column.total or not (mask := kind.texts(column, leaf)).any():
                    continue
                count = column.records(mask)
            yield _found(kind, context, sheet, leaf, where, count)

    return look


def _apart(kind: _Kind, sheet: Sheet, leaf: Leaf) -> bool:
    """Whether a path says that something else stands there; names of hospitals stand beside references too."""
    return known_by_path(sheet, leaf) and (kind.name != "facility" or ".coding." in leaf.path)


def _found(kind: _Kind, context: Context, sheet: Sheet, leaf: Leaf, where: str, count: int) -> Finding:
    severity = hipaa.weight(context.declared, hipaa.PLACE)
    if kind.name in ("street", "coordinates"):
        severity = Severity.BLOCK
    if kind.weighed or of_provider(sheet):
        severity = Severity.WARN
    return hipaa.found(
        f"places.{kind.name}", where, min(count, sheet.rows), sheet.rows, severity, kind.says, kind.remedy
    )


RULES: tuple[Rule, ...] = tuple(
    Rule(f"places.{one.name}", one.title, one.about, (hipaa.PLACE,), SOURCES, _look(one)) for one in _KINDS
)
