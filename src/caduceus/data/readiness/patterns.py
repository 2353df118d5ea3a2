"""How identifiers look: patterns tried on whole columns, with check digits, hints, and how many must fit.

A pattern alone is not enough to call a laboratory value an identifier. So each says how likely a stranger's number fits
by chance, and a column is called by its name only if far more of its values fit than chance explains, unless the shape
is proof by itself (an e-mail address) or the column's name points the same way.
"""

from __future__ import annotations

from caduceus.data.readiness import hipaa
from caduceus.data.readiness import identifier_checks as checks
from caduceus.data.readiness.pattern import Pattern, whole
from caduceus.data.readiness.patterns_national import NATIONAL

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_SSN_HINTS = ("ssn", "social", "sozial", "itin")
_PHONE_HINTS = ("phone", "tel", "telephone", "telefon", "mobile", "cell", "handy", "fax", "contact", "pager", "telecom")

_US = (
    Pattern(
        "ssn",
        "US social security numbers",
        hipaa.SSN,
        whole("[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}"),
        checks.ssn,
        hints=_SSN_HINTS,
    ),
    Pattern(
        "ssn", "US social security numbers", hipaa.SSN, whole("[0-9]{9}"), checks.ssn, hints=_SSN_HINTS, plain=True
    ),
    Pattern("npi", "US provider numbers (NPI)", hipaa.LICENCE, whole("[12][0-9]{9}"), checks.npi, 0.8, 5, ("npi",)),
    Pattern(
        "mbi",
        "US Medicare beneficiary numbers",
        hipaa.PLAN,
        whole(
            "[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}"
        ),
        hints=("mbi", "medicare"),
    ),
    Pattern(
        "dea",
        "US DEA numbers",
        hipaa.LICENCE,
        whole("[A-Z][A-Z9][0-9]{7}"),
        lambda text: (
            (int(text[2]) + int(text[4]) + int(text[6]) + 2 * (int(text[3]) + int(text[5]) + int(text[7]))) % 10
            == int(text[8])
        ),
        0.8,
        5,
        ("dea",),
    ),
)

_REACH = (
    Pattern(
        "phone",
        "telephone or fax numbers",
        hipaa.PHONE,
        whole(r"(?:\+?1[-. ]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[-. ])[0-9]{3}[-. ][0-9]{4}(?:,? ?(?:x|ext\.?) ?[0-9]{1,6})?"),
        hints=_PHONE_HINTS,
    ),
    Pattern(
        "phone",
        "telephone or fax numbers",
        hipaa.PHONE,
        whole(r"\+[1-9](?:[ ().\-/]*[0-9]){7,14}"),
        hints=_PHONE_HINTS,
    ),
    Pattern(
        "phone",
        "telephone or fax numbers",
        hipaa.PHONE,
        whole(r"00[1-9](?:[ ().\-/]*[0-9]){7,14}"),
        None,
        0.5,
        5,
        _PHONE_HINTS,
    ),
    Pattern(
        "phone",
        "telephone or fax numbers",
        hipaa.PHONE,
        whole(r"\(?0[1-9][0-9]{1,4}\)?[ \-/]{1,3}[0-9]{3,4}(?:[ \-]?[0-9]{2,4}){1,3}"),
        None,
        0.3,
        3,
        _PHONE_HINTS,
    ),
    Pattern("phone", "telephone or fax numbers", hipaa.PHONE, whole("1?[2-9][0-9]{9}"), hints=_PHONE_HINTS, plain=True),
    Pattern("phone", "telephone or fax numbers", hipaa.PHONE, r"^tel:", None),
    Pattern("email", "e-mail addresses", hipaa.EMAIL, r"[A-Z0-9._%+'\-]+@[A-Z0-9\-]+(?:\.[A-Z0-9\-]+)*\.[A-Z]{2,}"),
    Pattern("url", "web addresses", hipaa.URL, r"(?:https?|s?ftp)://|\bwww\.[A-Z0-9\-]+\."),
    Pattern(
        "ip",
        "IP addresses",
        hipaa.IP,
        whole(rf"{_OCTET}(?:\.{_OCTET}){{3}}"),
        None,
        0.3,
        1,
        ("ip", "ipv4", "host", "address"),
    ),
    Pattern(
        "ip",
        "IP addresses",
        hipaa.IP,
        whole(
            "(?:[0-9A-F]{1,4}:){7}[0-9A-F]{1,4}|(?:[0-9A-F]{1,4}:){1,6}(?::[0-9A-F]{1,4}){1,6}|[0-9A-F]{1,4}(?::[0-9A-F]{1,4}){0,6}::"
        ),
    ),
    Pattern("device", "hardware (MAC) addresses", hipaa.DEVICE, whole("[0-9A-F]{2}(?:[:-][0-9A-F]{2}){5}")),
)

_THINGS = (
    Pattern("iban", "bank accounts (IBAN)", hipaa.ACCOUNT, whole("[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}"), checks.iban),
    Pattern(
        "card",
        "payment cards",
        hipaa.ACCOUNT,
        whole("(?:3[47][0-9]{2}|[4-6][0-9]{3})(?:[- ]?[0-9]{4}){2}[- ]?[0-9]{3,4}"),
        checks.luhn,
        0.8,
        5,
        ("card", "account", "credit"),
    ),
    Pattern(
        "vin",
        "vehicle identification numbers",
        hipaa.VEHICLE,
        whole("[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{8}"),
        checks.vin,
        0.5,
        2,
        ("vin", "vehicle", "fahrgestell"),
    ),
    Pattern(
        "device",
        "unique device identifiers (UDI)",
        hipaa.DEVICE,
        r"^(?:\(01\)|01)[0-9]{14}(?:[^0-9]|1[017]|21|$)",
        checks.udi,
        0.3,
        1,
        ("udi", "device", "carrier", "serial", "implant"),
    ),
    Pattern(
        "device",
        "device identifiers (GTIN)",
        hipaa.DEVICE,
        whole("[0-9]{14}"),
        checks.gs1,
        0.8,
        5,
        ("udi", "device", "gtin"),
    ),
)

PATTERNS = (*_US, *_REACH, *_THINGS, *NATIONAL)
"""All of them, in the order in which they are tried; a column is called after the first that fits, for each name."""
