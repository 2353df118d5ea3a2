"""What a steward says of a data set that nobody can see in the data: on what legal ground, with whose consent,
how identities and dates were removed.

Rules hold the data against it. It is signed as part of the report, so it is an answer for which somebody stands.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from caduceus.data.document import Document, read_document

Text = Annotated[str, Field(max_length=2000)]
Code = str | int | float | bool

GDPR = "gdpr"
HIPAA = "hipaa"

ARTICLE_6 = ("6.1.a", "6.1.b", "6.1.c", "6.1.d", "6.1.e", "6.1.f")
"""GDPR Art. 6(1): consent, contract, legal obligation, vital interests, public task, legitimate interests."""

ARTICLE_9 = ("9.2.a", "9.2.b", "9.2.c", "9.2.d", "9.2.e", "9.2.f", "9.2.g", "9.2.h", "9.2.i", "9.2.j")
"""GDPR Art. 9(2): for health data one of these is needed besides Art. 6; (j) is scientific research."""

HIPAA_ROUTES = ("safe_harbor", "expert_determination", "limited_data_set", "authorization", "waiver")
"""45 CFR 164.514(b)(2), 164.514(b)(1), 164.514(e), 164.508, 164.512(i)."""


class LegalBasis(Document):
    """On what legal ground the data are lent.

    article_6    of GDPR; needs article_9 too, because health data are a special category
    article_9    of GDPR
    hipaa        the route by which US data leave the covered entity
    agreement    reference of the data-use agreement, waiver, expert's report or ethics vote; no person's name
    """

    article_6: Literal["6.1.a", "6.1.b", "6.1.c", "6.1.d", "6.1.e", "6.1.f"] | None = None
    article_9: (
        Literal["9.2.a", "9.2.b", "9.2.c", "9.2.d", "9.2.e", "9.2.f", "9.2.g", "9.2.h", "9.2.i", "9.2.j"] | None
    ) = None
    hipaa: Literal["safe_harbor", "expert_determination", "limited_data_set", "authorization", "waiver"] | None = None
    agreement: Text = ""

    @property
    def stated(self) -> bool:
        """Whether any ground is named."""
        return self.article_6 is not None or self.article_9 is not None or self.hipaa is not None


class Consent(Document):
    """Whose consent the use rests on.

    rule      all: everyone consented; column: those whose column says so; not_needed: see reason; unstated
    column    place of the column that says who consented, as findings name it or as the file does
    positive  codes in it that mean consent
    reason    why none is needed
    version   of the consent form or policy
    """

    rule: Literal["unstated", "all", "column", "not_needed"] = "unstated"
    column: str = ""
    positive: tuple[Code, ...] = ()
    reason: Text = ""
    version: Text = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Consent:
        if self.rule == "column" and not (self.column and self.positive):
            raise ValueError("consent by 'column' names the column and its 'positive' codes")
        if self.rule != "column" and (self.column or self.positive):
            raise ValueError("'column' and 'positive' belong to rule 'column'")
        if self.rule == "not_needed" and not self.reason.strip():
            raise ValueError("consent 'not_needed' needs a 'reason'")
        return self


class OptOut(Document):
    """Who has objected.

    rule      removed: their records were taken out beforehand; column: records whose column says so are still there;
              list: a file of the site names them; none: there is no such register, see reason; unstated
    column    place of the column that says who objected
    positive  codes in it that mean an objection
    list      path of the site's file of patients who objected, one identifier a line; read at the site, in no report
    checked   day on which the register was last consulted, as 2026-01-31
    reason    why there is no register
    """

    rule: Literal["unstated", "removed", "column", "list", "none"] = "unstated"
    column: str = ""
    positive: tuple[Code, ...] = ()
    list: str = ""
    checked: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    reason: Text = ""

    @model_validator(mode="after")
    def _fits_together(self) -> OptOut:
        if self.rule == "column" and not (self.column and self.positive):
            raise ValueError("opting out by 'column' names the column and its 'positive' codes")
        if self.rule == "list" and not self.list:
            raise ValueError("opting out by 'list' names the file")
        if self.rule == "none" and not self.reason.strip():
            raise ValueError("opt-out 'none' needs a 'reason'")
        return self


class Dates(Document):
    """What was done to dates.

    rule     none: there are no dates; years: only years are left; shifted: every patient's dates were moved by a
             number of days of their own, the same for all dates of one patient; exact: they are as they were
    days     the most by which dates were shifted, either way; None if not said
    weeks    whether shifts were by whole weeks, so that weekdays are kept
    holidays whether the shift keeps the time of year, within `days`
    """

    rule: Literal["unstated", "none", "years", "shifted", "exact"] = "unstated"
    days: Annotated[int, Field(ge=1, le=40000)] | None = None
    weeks: bool = False
    holidays: bool = False


class Pseudonyms(Document):
    """How identifiers of patients were replaced.

    rule     random: drawn, with a table kept apart; keyed: HMAC or cipher under a secret key; hashed: a hash of the
             identifier, with or without a salt that is the same for all; original: not replaced; unstated
    column   place of the pseudonym, as findings name it; "" if the schema or the source says
    secret   where the table or key is held, in words; no secret
    """

    rule: Literal["unstated", "random", "keyed", "hashed", "original"] = "unstated"
    column: str = ""
    secret: Text = ""


class Population(Document):
    """Who is in the data.

    about       whom the records are of
    size        how many people live in the population that they were drawn from; None if not known
    sampling    share of that population that is in the data, above 0 and at most 1; None if not known
    site_small  whether a site is so small, or its patients so few, that naming it nearly names them
    rare        whether the data are about a rare disease
    children    whether people below 18 are among them
    """

    about: Text = ""
    size: Annotated[int, Field(ge=1)] | None = None
    sampling: Annotated[float, Field(gt=0, le=1)] | None = None
    site_small: bool = False
    rare: bool = False
    children: bool = False


class Accepted(Document):
    """A warning that the steward has looked at and stands for; a finding that blocks can't be accepted.

    rule    the rule's name, as "identifier.dates"
    where   the place, as the finding names it; "" is every place
    reason  why it is in order; part of the signed report
    """

    rule: Annotated[str, Field(min_length=1)]
    where: str = ""
    reason: Annotated[str, Field(min_length=8, max_length=2000)]


class Declared(Document):
    """A declaration TOML; what is not said is "unstated", and rules warn of it.

    jurisdiction   whose law holds, as ISO 3166 codes: "US", "DE", "US-CA"
    purposes       what the data may be used for, as the terms of use say
    legal_basis    see `LegalBasis`
    consent, opt_out, dates, pseudonyms, population  see there
    special        special categories that are in the data on purpose, as "genetic", "hiv", "substance_use",
                   "mental_health", "reproductive", "sexual", "religion", "ethnicity", "politics", "union", "criminal"
    quasi          places that an outsider could know of a person (quasi-identifiers), besides those that rules guess
    sensitive      places that an outsider would like to learn
    code_columns   places that hold codes of a published list (LOINC, ICD-10, ...), so that they are no identifiers
    k              least size of a group of records alike in their quasi-identifiers
    not_secret     places of numbers that look like identifiers and are none
    accepted       warnings that the steward stands for
    """

    jurisdiction: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")], ...] = ()
    purposes: tuple[str, ...] = ()
    legal_basis: LegalBasis = LegalBasis()
    consent: Consent = Consent()
    opt_out: OptOut = OptOut()
    dates: Dates = Dates()
    pseudonyms: Pseudonyms = Pseudonyms()
    population: Population = Population()
    special: tuple[str, ...] = ()
    quasi: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    code_columns: tuple[str, ...] = ()
    k: Annotated[int, Field(ge=2, le=1000)] = 11
    not_secret: tuple[str, ...] = ()
    accepted: tuple[Accepted, ...] = ()


def read_declaration(text: str, *, where: str) -> Declared:
    """Read a declaration TOML.

    Raises Refused, naming `where` and the first key that is wrong.
    """
    return read_document(text, Declared, where=where)
