"""Noise through the whole of secure aggregation: what is opened has the stated variance, round after round."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adversary import Play, prepared
from caduceus.kinds import Residues
from caduceus.privacy.mechanisms import Release, blur, noisy_sites
from caduceus.protocol.encoding import decode, encode
from caduceus.protocol.secagg_session import Session

SITES, MISSING, ROUNDS, LENGTH = 5, 20, 24, 400
RELEASE = Release(length=LENGTH, bound=50.0, sensitivity=1.5, multiplier=4.0)
NOISY = noisy_sites(SITES, MISSING)


def exact(seat: int) -> np.ndarray:
    return np.linspace(-20, 20, LENGTH) * (seat + 1)


def blurred(adding: frozenset[int]):
    """Every site's vector, with the noise of some."""

    def vector(session: Session, seat: int) -> Residues:
        encoded = encode(exact(seat), scale=RELEASE.scale, parties=SITES, bits=64)
        if seat in adding:
            blur(encoded, bytes([seat, session.round]) + bytes(30), RELEASE, NOISY)
        return encoded

    return vector


@pytest.mark.parametrize(
    ("absent", "adding"),
    [
        (frozenset({4}), frozenset(range(4))),
        (frozenset(), frozenset({0, 1, 2, 3})),
        (frozenset(), frozenset(range(5))),
    ],
    ids=["one fell silent", "one adds none", "all add theirs"],
)
def test_what_is_opened_has_the_stated_variance_over_many_rounds(absent: frozenset[int], adding: frozenset[int]):
    stage = prepared(SITES, rounds=ROUNDS)
    noise = []
    for number in range(ROUNDS):
        play = Play(
            stage=stage,
            session=stage.session(length=LENGTH, round=number, state=bytes([number]) * 32),
            vector=blurred(adding),
            absent=absent,
        )
        total = decode(play.run(), scale=RELEASE.scale)
        present = [seat for seat in range(SITES) if seat not in absent]
        assert play.server.summed == tuple(present)
        noise.append(total - sum(exact(seat) for seat in present))
    every = np.concatenate(noise)
    expected = RELEASE.deviation**2 * len(adding - absent) / NOISY
    assert float(every.var()) == pytest.approx(expected, rel=5 * math.sqrt(2 / len(every)))
    assert float(every.var()) > 0.95 * RELEASE.deviation**2
    assert abs(float(every.mean())) < 5 * math.sqrt(expected / len(every))
    # One round says nothing of the next.
    first, second = np.concatenate(noise[:-1]), np.concatenate(noise[1:])
    assert abs(float(np.corrcoef(first, second)[0, 1])) < 5 / math.sqrt(len(first))
