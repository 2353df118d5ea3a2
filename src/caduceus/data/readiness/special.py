"""Special categories: data for which a law asks more than for other health data.

GDPR Art. 9(1) and 10, US 42 CFR Part 2 (substance use disorder), US state laws on HIV and mental health, GINA and the
biobank laws on genetics, laws on reproductive health, and Art. 8 GDPR and 45 CFR 46 subpart D on children. They are
looked for in the names of columns and, by their codes, in columns of codes; codes are compared by their beginnings.

Codes: ICD-10 (WHO, version 2019) blocks, SNOMED CT International root concepts, LOINC 2.7x codes; a few well-known
ones each, so that finding none proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import numbers, share
from caduceus.data.readiness.finding import Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet


@dataclass(frozen=True, slots=True)
class Category:
    """One special category.

    name      as the declaration writes it
    law       which rule of law it falls under
    names     alternatives of a regular expression for column names
    icd10     beginnings of codes
    others    whole codes of SNOMED CT and LOINC
    """

    name: str
    law: str
    names: str
    icd10: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


CATEGORIES = (
    Category(
        "substance_use",
        "42 CFR Part 2 (records of substance use treatment need a consent of their own); GDPR Art. 9(1), health",
        "alcohol\\w*|drinking|drug "
        "(?:use|abuse)|substance\\w*|opioid\\w*|addict\\w*|methadone|narcotic\\w*|cocaine|audit c",
        ("F10", "F11", "F12", "F13", "F14", "F15", "F16", "F18", "F19", "Z71.4", "Z71.5", "Z50.2", "Z50.3"),
        ("66214007", "7200002", "75544000", "5602001", "191816009", "75626-2", "72109-2", "82667-7"),
    ),
    Category(
        "hiv",
        "US state laws on HIV test results (as New York PHL 27-F); GDPR Art. 9(1), health",
        "hiv\\w*|aids|cd count|viral load|antiretroviral\\w*",
        ("B20", "B21", "B22", "B23", "B24", "Z21", "R75", "O98.7"),
        ("86406008", "62479008", "165816005", "25836-8", "20447-9", "24467-3", "75622-1", "56888-1", "7917-8"),
    ),
    Category(
        "genetic",
        "GDPR Art. 9(1), genetic data; US GINA (29 CFR 1635); national laws on genetic testing",
        "gen(?:e|es|etic\\w*|otype\\w*|ome\\w*|omic\\w*)|allele\\w*|snp|snps|brca\\w*|variant\\w*|karyotype|mutation\\w*|apoe"
        "|hgvs|dna|exome|rs",
        ("Q90", "Q91", "Q92", "Q93", "Q95", "Q96", "Q97", "Q98", "Q99", "Z14", "Z15", "E84", "G10", "D57"),
        (
            "409709004",
            "41040004",
            "58756001",
            "190905008",
            "48018-6",
            "81252-9",
            "81290-9",
            "53037-8",
            "69548-6",
            "51969-4",
        ),
    ),
    Category(
        "mental_health",
        "US state laws on mental health records and 45 CFR 164.508(a)(2) on psychotherapy notes; GDPR Art. 9(1), "
        "health",
        "psych\\w*|depress\\w*|schizo\\w*|bipolar|phq\\w*|gad|suicid\\w*|mental\\w*|anxiety|self harm|hads|madrs",
        ("F0", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "X6", "X7", "X80", "X81", "X82", "X83", "X84", "R45.8"),
        (
            "74732009",
            "35489007",
            "58214004",
            "13746004",
            "48694002",
            "370143000",
            "36923009",
            "44261-6",
            "55758-7",
            "70274-6",
        ),
    ),
    Category(
        "reproductive",
        "US state laws on reproductive health care; GDPR Art. 9(1), health and sex life",
        "pregnan\\w*|gravid\\w*|parity|abort\\w*|miscarr\\w*|contracept\\w*|fertil\\w*|ivf|obstetric\\w*|menstru\\w*|lmp|gestat\\w*",
        ("O", "Z30", "Z31", "Z32", "Z33", "Z34", "Z35", "Z36", "Z64.0", "N96", "N97"),
        ("77386006", "72892002", "17369002", "70317007", "156072005", "8665-2", "11778-8", "11996-6", "82810-3"),
    ),
    Category(
        "sexual",
        "GDPR Art. 9(1), sex life and sexual orientation; US state laws on sexually transmitted infections",
        "sexual\\w*|orientation|lgbt\\w*|gender identity|transgender|partners|std|sti|syphilis|gonorrh\\w*|chlamydia",
        ("A5", "A60", "A63", "A64", "F64", "F65", "F66", "Z20.2", "Z72.5"),
        ("76272004", "15628003", "240589008", "76690-7", "76691-5", "20507-0", "43305-2", "6349-5"),
    ),
    Category(
        "ethnicity",
        "GDPR Art. 9(1), racial or ethnic origin",
        "race|races|racial|ethnic\\w*|ancestry|tribe|nationality|skin colou?r",
        (),
        ("103579009", "364699009", "32624-9", "46463-6", "69490-1"),
    ),
    Category(
        "religion", "GDPR Art. 9(1), religious or philosophical beliefs", "relig\\w*|faith|church|confession|baptis\\w*"
    ),
    Category("politics", "GDPR Art. 9(1), political opinions", "politic\\w*|party|vote[sdr]?"),
    Category("union", "GDPR Art. 9(1), trade union membership", "union|trade union"),
    Category(
        "criminal",
        "GDPR Art. 10, criminal convictions and offences",
        "criminal\\w*|convict\\w*|prison\\w*|offen[cs]e\\w*|arrest\\w*|incarcerat\\w*|custody|felon\\w*",
        ("Z65.0", "Z65.1", "Z65.2", "Z65.3"),
        ("371341000",),
    ),
)
"""Names are those that a declaration lists as `special`."""

ICD = re.compile(r"[A-TV-Z][0-9][0-9A-Z](?:\.?[0-9A-Z]{1,4})?")
"""A code of ICD-10 or ICD-10-CM."""

ADULT = 18


def look_for_special(context: Context) -> Iterator[Finding | Skipped]:
    """Look at the names of all columns, and at the codes in columns of codes."""
    for sheet, leaf, place in context.leaves():
        if context.role(place) == "ignore" or not len(leaf.values) or leaf.values.null_count == len(leaf.values):
            continue
        for category in CATEGORIES:
            count = _coded(sheet, leaf, category)
            named = naming.speaks_of(leaf.path, category.names)
            if not count and not named:
                continue
            stated = category.name in context.declared.special
            yield Finding(
                rule="special.category",
                where=place,
                count=masked(count) if count else None,
                of=masked(max(sheet.rows, count)),
                severity=Severity.NOTE if stated else Severity.WARN,
                says=_says(category, count, max(sheet.rows, count), named),
                remedy="declared; terms of use have to fit it"
                if stated
                else f"list '{category.name}' as 'special' in the declaration if it belongs there, or withhold it",
            )


def look_for_children(context: Context) -> Iterator[Finding | Skipped]:
    """Look for persons below 18 by a column of ages in years."""
    looked = False
    for sheet, leaf, place in context.leaves():
        if not sheet.rows or not naming.speaks_of(leaf.path, "age|alter|edad") or context.role(place) == "ignore":
            continue
        values = numbers(leaf.values)
        if values is None or not np.isfinite(values).any() or np.nanmax(values) > 150 or np.nanmax(values) < 3:
            continue
        looked = True
        count = int(((values >= 0) & (values < ADULT)).sum())
        if count and _unit(context, leaf) not in ("mo", "wk", "d"):
            stated = context.declared.population.children
            yield Finding(
                rule="special.children",
                where=place,
                count=masked(count),
                of=masked(max(sheet.rows, count)),
                severity=Severity.NOTE if stated else Severity.WARN,
                says=f"{share(count, max(sheet.rows, count))} are of persons below {ADULT} (45 CFR 46 subpart D; "
                "GDPR recital 38)",
                remedy="declared" if stated else "say 'children = true' under 'population', and that parents consented",
            )
    if not looked:
        yield Skipped("no column holds ages in years")


def _says(category: Category, count: int, rows: int, named: bool) -> str:
    why = []
    if named:
        why.append("the name speaks of it")
    if count:
        why.append(f"{share(count, rows)} have such a code")
    return f"{category.name.replace('_', ' ')}: {' and '.join(why)}. {category.law}"


def _coded(sheet: Sheet, leaf: Leaf, category: Category) -> int:
    """How many records have a code of the category in this column; 0 where it holds no codes."""
    kind = leaf.values.type
    if not (category.icd10 or category.others) or not naming.speaks_of(leaf.path, _CODES):
        return 0
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        return 0
    values = leaf.values.combine_chunks() if isinstance(leaf.values, pa.ChunkedArray) else leaf.values
    encoded = values.dictionary_encode()
    hit = np.array([_is_of(str(one), category) for one in encoded.dictionary.to_pylist()] + [False])
    places = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    marked = hit[places]
    return int(marked.sum()) if leaf.rows is None else len(np.unique(leaf.rows[marked]))


_CODES = "code|codes|icd\\w*|dx|diag\\w*|snomed|loinc|concept|condition|source value|cause"


def _is_of(text: str, category: Category) -> bool:
    bare = text.rsplit(":", 1)[-1].strip().upper()
    if bare in category.others:
        return True
    return ICD.fullmatch(bare) is not None and any(
        bare.replace(".", "").startswith(one.replace(".", "")) for one in category.icd10
    )


def _unit(context: Context, leaf: Leaf) -> str:
    if context.schema is None:
        return ""
    return next((one.unit for one in context.schema.column if leaf.path in (one.source or one.name, one.name)), "")


RULES = (
    Rule(
        name="special.category",
        title="data for which a law asks more",
        about="Substance use, HIV, genetics, mental and reproductive health, sex life, ethnicity, religion, "
        "politics, unions "
        "and convictions: by names of columns, and by ICD-10, SNOMED CT and LOINC codes. Finding none proves nothing.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_special,
    ),
    Rule(
        name="special.children",
        title="children",
        about="Persons below 18 by a column of ages; research on them needs the consent of their parents.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_children,
    ),
)
