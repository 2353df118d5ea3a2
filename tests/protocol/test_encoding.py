"""Fixed point: what comes back is what went in, to half a step, and no sum that was let through wraps."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from caduceus.errors import Misuse
from caduceus.protocol.encoding import decode, encode

powers = st.integers(0, 40).map(lambda k: 2**k)
rings = st.sampled_from([32, 64])
entries = st.lists(st.floats(-1000, 1000), min_size=1, max_size=6)


@given(entries, powers, rings, st.integers(1, 500))
def test_an_entry_moves_by_at_most_half_a_step(values, scale, bits, parties):
    update = np.array(values)
    try:
        residues = encode(update, scale=scale, bits=bits, parties=parties)
    except Misuse:
        assume(False)
    back = decode(residues, scale=scale)
    for before, after in zip(values, back.tolist(), strict=True):
        assert abs(Fraction(before) - Fraction(after)) <= Fraction(1, 2 * scale)


@given(st.data(), powers, rings, st.integers(1, 40))
def test_the_sum_of_what_was_let_through_is_the_sum_of_its_steps(data, scale, bits, parties):
    length = data.draw(st.integers(1, 3))
    bound = data.draw(st.sampled_from([1.0, 2.0**8, 2.0**20, 2.0**30]))
    total = np.zeros(length, f"<u{bits // 8}")
    steps = [0] * length
    for _ in range(parties):
        values = data.draw(st.lists(st.floats(-bound, bound), min_size=length, max_size=length))
        try:
            total += encode(np.array(values), scale=scale, bits=bits, parties=parties)
        except Misuse:
            assume(False)
        steps = [step + round(Fraction(value) * scale) for step, value in zip(steps, values, strict=True)]
    assert decode(total, scale=scale).tolist() == [float(Fraction(step, scale)) for step in steps]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_last_step_that_fits_passes_and_the_next_is_refused(bits, sign):
    parties = 2**12
    last = 2.0 ** (bits - 13) - 1
    one = encode(np.array([sign * last]), scale=1, bits=bits, parties=parties)
    total = (one.astype(object) * parties % 2**bits).astype(one.dtype)
    assert decode(total, scale=1) == [sign * last * parties]
    with pytest.raises(Misuse, match="wraps"):
        encode(np.array([sign * (last + 1)]), scale=1, bits=bits, parties=parties)


def test_the_update_is_left_as_it_was():
    update = np.array([0.25, -0.75])
    encode(update, scale=4, bits=64, parties=3)
    assert update.tolist() == [0.25, -0.75]


def test_only_residues_are_decoded():
    with pytest.raises(Misuse, match="decode"):
        decode(np.zeros(2), scale=4)
    with pytest.raises(Misuse, match="decode"):
        decode(np.zeros(2, "<u8"), scale=0)


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
    st.sampled_from([1, 2, 1 << 10, 1 << 20, 3, 1000]),
    st.sampled_from([32, 64]),
)
def test_float32_is_encoded_as_the_same_numbers_in_float64(values, scale, bits):
    update = np.array(values, np.float32)
    try:
        expected = encode(update.astype(np.float64), scale=scale, bits=bits, parties=2)
    except Misuse as problem:
        with pytest.raises(Misuse, match=str(problem)[:20]):
            encode(update, scale=scale, bits=bits, parties=2)
    else:
        assert encode(update, scale=scale, bits=bits, parties=2).tolist() == expected.tolist()


def test_tiny_and_huge_float32_are_encoded_or_refused_as_in_float64():
    tiny = np.array([1e-45, -1e-45, 1e-38, 0.0], np.float32)
    assert encode(tiny, scale=1 << 20, bits=32, parties=3).tolist() == [0, 0, 0, 0]
    for huge in (3e38, -3e38, np.inf, np.nan):
        with pytest.raises(Misuse):
            encode(np.array([huge], np.float32), scale=1 << 40, bits=64, parties=3)
