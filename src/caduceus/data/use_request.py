"""What a job says of its use: one flat record, with which `use_verdict` compares what a steward allows."""

from __future__ import annotations

from enum import IntEnum

from caduceus import canon
from caduceus.data.use_disease import check_disease
from caduceus.data.use_region import check_place
from caduceus.errors import Refused

MOST_PRESENTATIONS = 8
"""Credentials that are looked at with a job."""

_MOST_TYPES, _MOST_TEXT, _MOST_DAYS = 64, 200, 1_000_000


class Research(IntEnum):
    """What a job is for; it may be for several things at once, and each must be allowed."""

    GENERAL = 0
    """Research of no kind below."""
    HEALTH = 1
    DISEASE = 2
    ANCESTRY = 3
    METHODS = 4
    CARE = 5
    """Clinical care of patients, which is no research."""


class Organisation(IntEnum):
    """Who asks."""

    UNSTATED = 0
    NOT_FOR_PROFIT = 1
    PUBLIC = 2
    """A university, a public hospital, an authority: not for profit either."""
    FOR_PROFIT = 3


@canon.record("job/use/1")
class UseRequest:
    """What a job says of itself; "", (), 0 and None are: not said.

    research       what it is for
    disease        with Research.DISEASE
    genetic        whether it uses genotypes
    types          of research, in words that terms with RS use
    commercial     whether its use is
    country        where it is done, ISO 3166
    user           who does it: an identifier such as an ORCID
    ethics         the approval by a review board: its reference
    months         how long it takes
    publish        whether it promises to publish its results
    publish_from   it promises to publish nothing before this day
    collaborate    whether it offers to collaborate with the data's investigators
    give_back      whether it promises to return derived or enriched data
    presentations  digests of the credentials that are presented with it
    """

    research: tuple[Research, ...] = ()
    disease: str = ""
    genetic: bool = False
    types: tuple[str, ...] = ()
    commercial: bool | None = None
    organisation: Organisation = Organisation.UNSTATED
    country: str = ""
    user: str = ""
    institution: str = ""
    project: str = ""
    ethics: str = ""
    months: int = 0
    publish: bool = False
    publish_from: int = 0
    collaborate: bool = False
    give_back: bool = False
    presentations: tuple[bytes, ...] = ()


CLAIMS = ("user", "institution", "organisation", "country", "project", "ethics")
"""What credentials can prove, by the names of a request's fields and of a credential's claims."""

ORGANISATIONS = {
    Organisation.NOT_FOR_PROFIT: "not-for-profit",
    Organisation.PUBLIC: "public",
    Organisation.FOR_PROFIT: "for-profit",
}
"""Kinds of organisations as files and credentials write them."""


def statement(request: UseRequest, claim: str) -> str:
    """What a job says in one of `CLAIMS`, as a credential would; "" if nothing."""
    if claim == "organisation":
        return ORGANISATIONS.get(request.organisation, "")
    return str(getattr(request, claim))


def check_request(request: UseRequest) -> None:
    """Raise Refused if a request, which anybody may have written, says something that no job file can say."""
    texts = (*request.types, request.user, request.institution, request.project, request.ethics)
    if any(len(one) > _MOST_TEXT or not one.isprintable() for one in texts) or len(request.types) > _MOST_TYPES:
        raise Refused("the job's use: too much text, or text that cannot be shown")
    if list(request.research) != sorted(set(request.research)):
        raise Refused("the job's use: kinds of research stand in rising order, each once")
    if (Research.DISEASE in request.research) != bool(request.disease):
        raise Refused("the job's use: research on a disease and the disease go together")
    if request.disease:
        check_disease(request.disease)
    if request.country:
        check_place(request.country)
    if min(request.months, request.publish_from) < 0 or max(request.months, request.publish_from) > _MOST_DAYS:
        raise Refused("the job's use: months and days are not that far away")
    if len(request.presentations) > MOST_PRESENTATIONS:
        raise Refused(f"the job's use: more than {MOST_PRESENTATIONS} credentials")
