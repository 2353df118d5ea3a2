"""A stranger compares the verdicts at the enrolments with what the job asks."""

from __future__ import annotations

import pytest

from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, Readiness, Seat
from caduceus.market.ledger import NO_ENTITY, Enrolment
from caduceus.protocol.audit_readiness import check_ready


def seats(*verdicts: Readiness) -> list[Enrolment]:
    site, word = Address(bytes(20)), Digest(bytes(32))
    return [Enrolment(Seat(seat), site, word, site, word, NO_ENTITY, one) for seat, one in enumerate(verdicts)]


@pytest.mark.parametrize("least", [Readiness.BLOCKED, Readiness.CONDITIONAL, Readiness.READY])
def test_verdicts_that_are_good_enough_are_counted(least: Readiness) -> None:
    assert check_ready(seats(least, Readiness.READY), least).startswith(f"2 data sets were {least.name.lower()}")


def test_a_job_that_asks_for_none_takes_any() -> None:
    assert check_ready(seats(*Readiness), Readiness.UNSTATED) == "the job asks for no verdict"


@pytest.mark.parametrize("least", [Readiness.BLOCKED, Readiness.CONDITIONAL, Readiness.READY])
def test_the_first_seat_that_had_less_is_named(least: Readiness) -> None:
    short = Readiness(least - 1)
    with pytest.raises(Refused, match=rf"seat 1: its data set was {short.name.lower()} .* {least.name.lower()} at"):
        check_ready(seats(least, short, Readiness.UNSTATED), least)
