"""What is known besides terms and job when a job's use is judged."""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.data.use import UseTerms
from caduceus.data.use_request import UseRequest
from caduceus.kinds import Address


@dataclass(frozen=True, slots=True)
class Proof:
    """What a credential says that was verified, as far as its issuer may say it.

    says   claim and value
    until  from this moment on it says nothing, Unix seconds; None: for ever
    """

    issuer: str
    says: tuple[tuple[str, str], ...]
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known besides terms and job. None is not known, and what depends on it is then not judged.

    now       Unix seconds
    begun     when the site agreed to the job; None: it has not yet, and would now
    proofs    what the credentials say that are presented with the job
    rejected  why others of them say nothing
    here      records at this site, at least
    records   records under the smallest sum that is opened, at least
    """

    now: int | None = None
    begun: int | None = None
    proofs: tuple[Proof, ...] | None = None
    rejected: tuple[str, ...] = ()
    here: int | None = None
    records: int | None = None


NOTHING_SEEN = Seen()
"""For who judges a job by what it says alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """One judgement: both sides, who asks, and what is known besides."""

    terms: UseTerms
    request: UseRequest
    buyer: Address
    seen: Seen


def is_past(moment: int, seen: Seen) -> bool:
    """Whether a moment has come; not as long as no time is known."""
    return seen.now is not None and seen.now >= moment
