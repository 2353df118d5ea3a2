"""What a column is about, as far as its name tells: known to outsiders, a site, an outcome, known only afterwards.

Names are split at capitals, digits and signs, and compared by words; the last part of a FHIR path counts most. Words
are English, with a few German, French and Spanish ones, and the short forms that trials and hospitals use. A steward
who names columns in the declaration is believed before any name.
"""

from __future__ import annotations

import re
from functools import cache

QUASI = (
    "age|aged|alter|edad|birth\\w*|born|dob|yob|year of birth|sex|sexo|gender|geschlecht|race|ethnic\\w*"
    "|religio\\w*|national\\w*|citizen\\w*|language|tongue|marital|married|occupation|profession|job|education|schooling|income"
    "|zip\\w*|postal\\w*|postcode|post code|plz|city|town|village|municipality|county|district|state|province|region"
    "|country|cntry\\w*|address|location|admi\\w+ (?:date|day|time|month|year)|admission|admitted|discharged?"
    "|[a-z]?date|deceased|death date|died on|year of death|hosp\\w*|site|cent(?:re|er)|facility|clinic|ward|care site"
    "|day ?local|weekday|household|children|parity"
)
"""What an outsider may know of a person: demography, place, dates, where she was treated (after El Emam, "Guide to the
De-Identification of Personal Health Information", 2013, ch. 4, and 45 CFR 164.514(e)(2))."""

SITE = "site|site id|hosp\\w*|cent(?:re|er)(?: id| no| num\\w*)?|facility|clinic|care site|institution|krankenhaus"
OUTCOME = "outcome|target|label|died|dead|death|mortality|diagnosis|disease|malignant|num|response|endpoint|event"
SENSITIVE = (
    "diagnos\\w*|disease|outcome|hiv\\w*|cause of death|icd\\w*|condition|procedure|drug|medication|result|malignant"
    "|died|dead|death|income|psych\\w*|target"
)
AFTERWARDS = (
    "outcome|died|dead|death\\w*|deceased|mortality|survival|survived|surv|discharge\\w*|dsch|follow ?up|fu|readmi\\w*"
    "|los|length of stay|stay days|cause of death|autopsy|time to event|days to (?:death|event)|vital status"
    "|last contact|expd\\w*|prognosis|recover\\w*"
)
"""What is known only after the outcome, or together with it."""


def words(path: str) -> str:
    """The last part of a path as lower-case words: "Patient.birthDate" is "birth date", "site_id" is "site id"."""
    last = path.rsplit(".", 1)[-1]
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", last)
    return " ".join(re.findall(r"[a-z]+", split.lower()))


@cache
def _pattern(alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{alternatives})\b")


def speaks_of(path: str, alternatives: str) -> bool:
    """Whether the name holds one of these words, given as alternatives of a regular expression."""
    return _pattern(alternatives).search(words(path)) is not None


def is_named(path: str, names: tuple[str, ...], place: str) -> bool:
    """Whether a declaration that lists `names` means this column: by its path, or as findings name it."""
    return path in names or place in names
