"""The eighteen classes of identifiers of HIPAA's Safe Harbor, and which of them a legal ground lets stay.

Source: 45 CFR 164.514(b)(2)(i) for the classes, 164.514(e)(2) for limited data sets, which may keep towns, states,
postal codes, dates and ages; OCR, "Guidance Regarding Methods for De-identification of Protected Health Information"
(2012).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from caduceus.data.readiness.declaration import Declared
from caduceus.data.readiness.finding import Finding, Severity, masked
from caduceus.data.readiness.rule import Rule

NAME, PLACE, DATE, PHONE, FAX, EMAIL, SSN, RECORD, PLAN = range(1, 10)
ACCOUNT, LICENCE, VEHICLE, DEVICE, URL, IP, BIOMETRIC, PHOTO, OTHER = range(10, 19)

CLASSES: Mapping[int, str] = MappingProxyType(
    {
        NAME: "names",
        PLACE: "geographic subdivisions smaller than a state",
        DATE: "dates finer than a year, and ages over 89",
        PHONE: "telephone numbers",
        FAX: "fax numbers",
        EMAIL: "e-mail addresses",
        SSN: "social security numbers",
        RECORD: "medical record numbers",
        PLAN: "health plan beneficiary numbers",
        ACCOUNT: "account numbers",
        LICENCE: "certificate and licence numbers",
        VEHICLE: "vehicle identifiers and licence plates",
        DEVICE: "device identifiers and serial numbers",
        URL: "web addresses (URLs)",
        IP: "IP addresses",
        BIOMETRIC: "biometric identifiers",
        PHOTO: "full-face photographs and comparable images",
        OTHER: "any other unique identifying number, characteristic or code",
    }
)
"""By number: 1 is (A), 18 is (R)."""

_HIPAA_KEEPS_DATES = ("limited_data_set", "expert_determination", "authorization", "waiver")
_GDPR_KEEPS_DATES = ("9.2.a", "9.2.h", "9.2.i", "9.2.j")


def letter(number: int) -> str:
    """A class as the rule cites it: (A) to (R)."""
    return f"({chr(ord('A') + number - 1)})"


def may_stay(declared: Declared, number: int) -> bool:
    """Whether the declared ground lets dates (3) or coarse places (2) stay; no ground lets any other class stay.

    Under GDPR there is no list: with a ground for health data, dates and postal codes are pseudonymous data, which
    somebody weighs. Where several grounds are named, the strictest counts.
    """
    if number not in (PLACE, DATE):
        return False
    basis = declared.legal_basis
    if basis.hipaa is not None:
        return basis.hipaa in _HIPAA_KEEPS_DATES
    return basis.article_9 in _GDPR_KEEPS_DATES


def weight(declared: Declared, number: int) -> Severity:
    """How bad a finding of a class is: WARN where the ground lets it stay, else BLOCK."""
    return Severity.WARN if may_stay(declared, number) else Severity.BLOCK


def not_covered(rules: Iterable[Rule]) -> tuple[int, ...]:
    """The classes that no rule serves."""
    served = {number for rule in rules for number in rule.hipaa}
    return tuple(number for number in CLASSES if number not in served)


def found(rule: str, where: str, count: int, of: int, severity: Severity, says: str, remedy: str) -> Finding:
    """A finding with its numbers masked.

    count  records concerned; below `finding.FEW` it is not said, and `says` must not say it either
    of     records looked at
    """
    return Finding(rule, where, masked(count), masked(of), int(severity), says, remedy)
