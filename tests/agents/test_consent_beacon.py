"""A site signs no settlement of rounds that stand on a beginning of the job which the chain has undone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from adversary import Memory
from caduceus.agents.consent import Consent, beacon_key
from caduceus.crypto.sign import Signer
from caduceus.errors import Refused
from caduceus.kinds import Digest, JobId, Seat, Stage

JOB = JobId(b"j" * 32)
FIRST, SECOND = Digest(b"1" * 32), Digest(b"2" * 32)


class Journal(Memory):
    """What a site remembers."""

    def keys(self, prefix: str) -> list[str]:  # type: ignore[override]
        return sorted(key for key in dict.keys(self) if key.startswith(prefix))


def consent_under(remembered: Digest | None, on_chain: Digest) -> Consent:
    """A consent whose site uploaded under one beacon, on a chain that has another."""
    entry = SimpleNamespace(id=JOB, stage=Stage.TRAINING)

    def anchors(_job: JobId) -> Any:
        raise Refused("it went on to the rounds")

    chain = SimpleNamespace(job=lambda _job: entry, beacon=lambda _job: on_chain, anchors=anchors)
    journal = Journal()
    if remembered is not None:
        journal[beacon_key(JOB)] = remembered
    parts = cast(Any, (entry, Seat(0), chain, None, journal, Signer(b"\1" * 32), None, ()))
    return Consent(*parts)


def test_another_beacon_than_it_uploaded_under_is_refused_with_what_follows() -> None:
    with pytest.raises(Refused, match=r"undid the block in which the enrolment closed.*ends by its deadline"):
        consent_under(FIRST, SECOND).sign()


@pytest.mark.parametrize("remembered", [FIRST, None], ids=["the same", "it uploaded nothing"])
def test_the_same_beacon_or_none_goes_on(remembered: Digest | None) -> None:
    with pytest.raises(Refused, match=r"it went on to the rounds"):
        consent_under(remembered, FIRST).sign()
