"""Noise in the ring: as much in the sum as was stated, whoever is missing up to the share that was stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.errors import Misuse, Refused
from caduceus.privacy.mechanisms import MOST_ENTRIES, SLACK, Crowd, Release, blur, noisy_sites
from caduceus.protocol.encoding import decode, encode

LENGTH = 20_000
RELEASE = Release(length=LENGTH, bound=100.0, sensitivity=2.5, multiplier=3.7)


def key(number: int) -> bytes:
    return number.to_bytes(32)


def summed(sites: int, adding: int, noisy: int) -> np.ndarray:
    """What comes out of a sum of zeros over `sites`, of which the first `adding` add their noise."""
    total = np.zeros(LENGTH, np.uint64)
    for site in range(sites):
        vector = encode(np.zeros(LENGTH), scale=RELEASE.scale, parties=sites, bits=64)
        if site < adding:
            blur(vector, key(site), RELEASE, noisy)
        total += vector
    return decode(total, scale=RELEASE.scale)


@pytest.mark.parametrize(("sites", "adding", "missing"), [(10, 10, 0), (10, 8, 20), (7, 5, 33), (3, 2, 50)])
def test_the_sum_has_the_stated_variance_when_the_stated_share_is_missing(sites: int, adding: int, missing: int):
    noisy = noisy_sites(sites, missing)
    assert noisy == adding
    noise = summed(sites, adding, noisy)
    stated = RELEASE.deviation**2
    spread = math.sqrt(2 / LENGTH)  # of a variance estimated from so many normal samples, relative
    assert float(noise.var()) == pytest.approx(stated, rel=5 * spread)
    assert abs(float(noise.mean())) < 5 * RELEASE.deviation / math.sqrt(LENGTH)


def test_sites_that_are_not_missing_only_add_to_it():
    noisy = noisy_sites(10, 20)
    noise = summed(10, 10, noisy)
    excess = Crowd(cohort=0, missing_percent=20).excess(10)
    assert excess == 10 / 8
    assert float(noise.var()) == pytest.approx(RELEASE.deviation**2 * excess, rel=5 * math.sqrt(2 / LENGTH))


def test_noise_is_whole_steps_around_what_was_encoded():
    value = np.linspace(-90, 90, LENGTH)
    vector = encode(value, scale=RELEASE.scale, parties=5, bits=64)
    before = vector.copy()
    blur(vector, key(9), RELEASE, 4)
    steps = (vector - before).view(np.int64)
    assert 0.9 < float(np.std(steps)) / math.sqrt(RELEASE.variance(4)) < 1.1
    assert (decode(vector, scale=RELEASE.scale) != decode(before, scale=RELEASE.scale)).mean() > 0.999


def test_the_same_key_blurs_alike_and_another_does_not():
    first, again, other = (np.zeros(LENGTH, np.uint64) for _ in range(3))
    for vector, who in ((first, 1), (again, 1), (other, 2)):
        blur(vector, key(who), RELEASE, 3)
    assert (first == again).all()
    assert (first != other).mean() > 0.999


@given(
    st.integers(1, 10**6),
    st.floats(1e-3, 1e3),
    st.floats(0.5, 1e3),
    st.integers(1, 1024),
)
def test_the_variance_covers_rounding_and_slack(length: int, sensitivity: float, multiplier: float, noisy: int):
    release = Release(length, sensitivity, sensitivity, multiplier)
    steps = release.scale * sensitivity
    assert release.scale & (release.scale - 1) == 0
    in_steps = steps * (1 + SLACK) + math.sqrt(length)
    assert release.variance(noisy) * noisy >= (multiplier * in_steps) ** 2
    assert release.variance(noisy) < 2 * (multiplier * in_steps) ** 2 / noisy + 1


@given(st.floats(1e-6, 1e4), st.floats(0.5, 1e4), st.integers(1, 1024))
def test_every_site_adds_so_much_noise_that_discreteness_does_not_show(s: float, multiplier: float, noisy: int):
    """What the proof in `mechanisms` rests on."""
    release = Release(1, s, s, multiplier)
    assert 2**29 <= s * multiplier * release.scale <= 2**31
    assert release.variance(noisy) >= 2**48
    # The proof's numbers: 7.25 / s**2 per entry, twice, for MOST_ENTRIES of them, is below the accountant's GAP.
    assert 2 * 7.25 / 2.0**58 * MOST_ENTRIES < 1e-7


@pytest.mark.parametrize(
    ("sites", "missing", "noisy"), [(49, 20, 40), (10, 0, 10), (10, 99, 1), (3, 33, 3), (3, 34, 2), (1, 50, 1)]
)
def test_how_many_sites_make_the_noise(sites: int, missing: int, noisy: int):
    assert noisy_sites(sites, missing) == noisy
    assert noisy * 100 >= sites * (100 - missing)  # never more may be missing than was stated


def test_in_groups_each_sum_has_the_noise_of_its_own_group():
    assert Crowd(cohort=5, missing_percent=20).excess(20) == 20 / 4


@pytest.mark.parametrize(("sites", "missing"), [(0, 20), (5, -1), (5, 100)])
def test_no_sites_and_no_share_is_a_misuse(sites: int, missing: int):
    with pytest.raises(Misuse):
        noisy_sites(sites, missing)


def test_too_little_noise_and_too_large_sums_are_refused():
    with pytest.raises(Refused, match="spend less epsilon"):
        _ = Release(10, 1.0, 1.0, 0.4).scale
    with pytest.raises(Refused, match="do not fit into the ring"):
        _ = Release(10, 2.0**40, 1.0, 1.0).scale


def test_a_vector_of_another_kind_is_not_blurred():
    for vector in (np.zeros(LENGTH, np.uint32), np.zeros(LENGTH + 1, np.uint64)):
        with pytest.raises(Misuse):
            blur(vector, key(1), RELEASE, 3)
    with pytest.raises(Misuse):
        RELEASE.variance(0)
