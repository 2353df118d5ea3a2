"""Whether every data set was as ready as a job asks, as a stranger reads it from the chain's events."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.errors import Refused
from caduceus.kinds import Readiness
from caduceus.market.ledger import Enrolment


def check_ready(enrolments: Sequence[Enrolment], least: Readiness) -> str:
    """Compare the verdicts that counted when sites enrolled with the least that the job asks for.

    returns  what was found, in words

    Raises Refused, naming the seat, if a data set had less.
    """
    for one in enrolments:
        if one.readiness < least:
            raise Refused(
                f"seat {one.seat}: its data set was {one.readiness.name.lower()} when it enrolled, and the job asks "
                f"for {least.name.lower()} at least"
            )
    if not least:
        return "the job asks for no verdict"
    return f"{len(enrolments)} data sets were {least.name.lower()} or better when they enrolled"
