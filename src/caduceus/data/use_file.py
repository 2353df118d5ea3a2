"""The use that a steward allows and the use that a job asks for, as people write them in TOML."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from caduceus import canon
from caduceus.data.document import Document
from caduceus.data.duo import Modifier, Permission
from caduceus.data.use import Grant, How, Issuer, Use, check_use
from caduceus.data.use_day import read_day
from caduceus.data.use_disease import check_disease
from caduceus.data.use_region import check_place, check_region
from caduceus.data.use_request import ORGANISATIONS, Organisation, Research, UseRequest
from caduceus.errors import Refused

T = TypeVar("T")


def _date_text(value: Any) -> Any:
    """TOML has dates of its own; they are welcome too."""
    return value.isoformat() if hasattr(value, "isoformat") else value


Text = Annotated[str, Field(min_length=1, max_length=200)]
DateText = Annotated[str, BeforeValidator(_date_text), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Months = Annotated[int, Field(ge=1, le=1200)]
Names = Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)]
Claim = Literal["user", "institution", "organisation", "country", "project", "ethics"]

_PERMISSIONS = Literal["NRES", "GRU", "HMB", "DS", "POA"]
_MODIFIERS = Literal[
    "RS", "NMDS", "GSO", "NPUNCU", "PUB", "COL", "IRB", "GS", "MOR", "TS", "US", "PS", "IS", "RTN", "CC", "NPOA",
    "NPU", "NCU",
]  # fmt: skip
_RESEARCH = Literal["general", "health", "disease", "ancestry", "methods", "care"]


class UseFile(Document):
    """A `[use]` table of terms: one grant, or `any` or `all` of several.

    permission   NRES, GRU, HMB, DS or POA
    modifiers    those that need no value; a value below brings its own modifier with it
    diseases     DS: identifiers such as MONDO:0005098
    types        RS: what a job may be, in words that jobs use
    regions      GS: countries and subdivisions by ISO 3166, EU, EEA
    not_before   MOR: first day of publication
    months       TS: how long; `since` a day, else since a site agreed to a job
    users, institutions, projects   US, IS, PS
    """

    any: tuple[UseFile, ...] = ()
    all: tuple[UseFile, ...] = ()
    permission: _PERMISSIONS | None = None
    modifiers: tuple[_MODIFIERS, ...] = ()
    diseases: Names | None = None
    types: Names | None = None
    regions: Names | None = None
    not_before: DateText | None = None
    months: Months | None = None
    since: DateText | None = None
    users: Names | None = None
    institutions: Names | None = None
    projects: Names | None = None

    def use(self) -> Use:
        """The expression as a record.

        Raises Refused, naming the place, if it is malformed.
        """
        made = _expression(self, "use")
        check_use(made)
        return made

    def grant(self, where: str) -> Grant:
        """The one grant of a table without `any` and `all`; raises Refused as `use` does."""
        values = {
            Modifier.RS: self.types,
            Modifier.GS: self.regions,
            Modifier.MOR: self.not_before,
            Modifier.TS: self.months,
            Modifier.US: self.users,
            Modifier.IS: self.institutions,
            Modifier.PS: self.projects,
        }
        modifiers = {Modifier[one] for one in self.modifiers} | {one for one, value in values.items() if value}
        return Grant(
            permission=Permission[self.permission or ""],
            modifiers=tuple(sorted(modifiers)),
            diseases=_each(check_disease, self.diseases, f"{where}: diseases"),
            types=self.types or (),
            regions=_each(check_region, self.regions, f"{where}: regions"),
            not_before=_day(self.not_before, f"{where}: not_before"),
            months=self.months or 0,
            since=_day(self.since, f"{where}: since"),
            users=tuple(one.lower() if re.fullmatch("0[xX][0-9a-fA-F]{40}", one) else one for one in self.users or ()),
            institutions=self.institutions or (),
            projects=self.projects or (),
        )


def _expression(file: UseFile, where: str) -> Use:
    given = [name for name in ("any", "all", "permission") if getattr(file, name)]
    if len(given) != 1 or (given != ["permission"] and len(file.model_fields_set) > 1):
        raise Refused(f"{where}: say either a 'permission' with its modifiers, or only 'any', or only 'all'")
    if given == ["permission"]:
        return Use(How.ALONE, file.grant(where))
    parts = [_expression(one, f"{where}.{given[0]}[{n}]") for n, one in enumerate(file.any or file.all, 1)]
    return Use(How[given[0].upper()], None, tuple(parts))


class IssuerFile(Document):
    """An `[[issuer]]` of terms: whose credentials count.

    thumbprint  of its key, as `caduceus credential` prints it: RFC 7638, base64url, 43 characters
    account     whose status list on the chain revokes; without one its credentials must name no status list
    may_say     claims that are believed
    """

    name: Text
    thumbprint: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    account: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")] | None = None
    may_say: Annotated[tuple[Claim, ...], Field(min_length=1)]

    def issuer(self) -> Issuer:
        """As a record. Raises Refused if the thumbprint is none."""
        try:
            thumbprint = base64.urlsafe_b64decode(f"{self.thumbprint}=")
        except binascii.Error:
            thumbprint = b""
        if len(thumbprint) != 32:
            raise Refused(f"issuer '{self.name}': thumbprint: expected 32 bytes in base64url")
        account = b"" if self.account is None else bytes.fromhex(self.account[2:])
        return Issuer(self.name, thumbprint, account, tuple(dict.fromkeys(self.may_say)))


class RequestFile(Document):
    """A `[use]` table of a job: what it says of itself; what is absent is not said.

    research       what it is for: general, health, disease, ancestry, methods, care
    disease        with "disease": its identifier
    nonce          with presentations: the 32 hex digits that they were made for
    presentations  credentials as `caduceus credential present` prints them
    status_lists   their issuers' newest status lists, as `caduceus credential revoke` writes them; sites take only
                   those whose digests are on the chain
    """

    research: tuple[_RESEARCH, ...] = ()
    disease: Text | None = None
    genetic: bool = False
    types: tuple[Text, ...] = ()
    commercial: bool | None = None
    organisation: Literal["public", "not-for-profit", "for-profit"] | None = None
    country: Text | None = None
    user: Text | None = None
    institution: Text | None = None
    project: Text | None = None
    ethics: Text | None = None
    months: Months | None = None
    publish: bool = False
    publish_from: DateText | None = None
    collaborate: bool = False
    give_back: bool = False
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    presentations: Annotated[tuple[Annotated[str, Field(max_length=65_536)], ...], Field(max_length=8)] = ()
    status_lists: Annotated[tuple[Annotated[str, Field(max_length=1_048_576)], ...], Field(max_length=8)] = ()

    def request(self) -> UseRequest:
        """As a record, with digests of the presentations.

        Raises Refused, naming the key, if the parts do not fit together.
        """
        if (self.disease is not None) != ("disease" in self.research):
            raise Refused('use.disease: given with research = ["disease"] only, and needed there')
        if bool(self.presentations) != (self.nonce is not None):
            raise Refused("use.nonce: given with use.presentations only, and needed there")
        kinds = {word: kind for kind, word in ORGANISATIONS.items()}
        return UseRequest(
            research=tuple(sorted({Research[one.upper()] for one in self.research})),
            disease=_one(check_disease, self.disease, "use.disease"),
            genetic=self.genetic,
            types=self.types,
            commercial=self.commercial,
            organisation=kinds.get(self.organisation or "", Organisation.UNSTATED),
            country=_one(check_place, self.country, "use.country"),
            user=self.user or "",
            institution=self.institution or "",
            project=self.project or "",
            ethics=self.ethics or "",
            months=self.months or 0,
            publish=self.publish,
            publish_from=_day(self.publish_from, "use.publish_from"),
            collaborate=self.collaborate,
            give_back=self.give_back,
            presentations=tuple(canon.digest_bytes(one.encode()) for one in self.presentations),
        )

    def blobs(self) -> tuple[bytes, ...]:
        """What a buyer puts into the public store with the job: presentations and status lists."""
        return tuple(one.encode() for one in (*self.presentations, *self.status_lists))


def _one(check: Callable[[str], str], text: str | None, where: str) -> str:
    return "" if text is None else _named(check, text, where)


def _each(check: Callable[[str], str], texts: tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    return tuple(_named(check, one, where) for one in texts or ())


def _day(text: str | None, where: str) -> int:
    return 0 if text is None else _named(read_day, text, where)


def _named(check: Callable[[str], T], text: str, where: str) -> T:
    try:
        return check(text)
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None
