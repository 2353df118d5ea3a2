"""Where a job is done, by ISO 3166, and which region that is in.

Source: ISO 3166-1 alpha-2 codes and ISO 3166-2 subdivisions; the members of the European Union and of the European
Economic Area as of 2026-01-01 (https://european-union.europa.eu, https://www.efta.int/eea).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from caduceus.errors import Refused

AS_OF = "2026-01-01"
"""Of which day the sets of countries are; a later change needs a release of this program."""

_EU = frozenset(
    (
        *("AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE"),
        *("IT", "LV", "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE"),
    )
)

SETS: Mapping[str, frozenset[str]] = {"EU": _EU, "EEA": _EU | {"IS", "LI", "NO"}}
"""Sets of countries by name. None of the names is a country's code ("EU" is only reserved in ISO 3166-1)."""

_PLACE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def check_place(text: str) -> str:
    """A country or a subdivision, such as "DE" or "US-MA", as it came.

    Raises Refused if it has another form; whether the code is assigned is not looked up.
    """
    if text in SETS or not _PLACE.fullmatch(text):
        raise Refused(f"'{text[:40]}' is no ISO 3166 code such as DE or US-MA")
    return text


def check_region(text: str) -> str:
    """A place, or the name of a set of countries, as it came. Raises Refused if it is neither."""
    return text if text in SETS else check_place(text)


def lies_in(place: str, regions: Sequence[str]) -> bool:
    """Whether a place lies in one of the regions; a country does not lie in its own subdivision."""
    country = place[:2]
    return any(place == one or country == one or country in SETS.get(one, ()) for one in regions)
