import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.errors import Misuse
from caduceus.learn.task import SITES_LIMIT, steps


@settings(deadline=None)
@given(st.floats(1e-6, 2.0**40), st.integers(1, SITES_LIMIT))
def test_no_sum_of_vectors_within_the_bound_wraps_in_64_bits(bound: float, parties: int):
    largest = round(bound * steps(bound, 64))
    assert parties * largest < 2**63
    assert largest <= 2**52
    assert float(largest) == largest


@settings(deadline=None)
@given(st.floats(1e-3, 2.0**20), st.integers(1, SITES_LIMIT))
def test_no_sum_of_vectors_within_the_bound_wraps_in_32_bits(bound: float, parties: int):
    assert parties * round(bound * steps(bound, 32)) < 2**31


@settings(deadline=None)
@given(st.floats(1e-3, 2.0**20))
def test_the_scale_is_the_finest_power_of_two_that_is_proven(bound: float):
    scale = steps(bound, 64)
    assert scale & (scale - 1) == 0
    assert bound * 2 * scale > 2**52


def test_a_bound_that_leaves_no_room_is_a_misuse():
    with pytest.raises(Misuse, match="ring of 32 bits"):
        steps(2.0**21, 32)
