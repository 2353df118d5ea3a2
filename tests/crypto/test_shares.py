"""What surrounds the sharing: what counts as a share, and the keyed bytes that it draws on."""

import numpy as np
import pytest

from caduceus.crypto import field, shamir
from caduceus.crypto.entropy import MOST_BYTES, KeyedEntropy
from caduceus.errors import Misuse

P = field.P
ENTROPY = KeyedEntropy(bytes(32))


def test_what_is_a_share_and_what_is_not():
    assert shamir.are_shares(bytes(36))
    assert shamir.are_shares(np.full(18, P - 1, "<u4").tobytes())
    assert not shamir.are_shares(bytes(35))
    assert not shamir.are_shares(np.full(9, P, "<u4").tobytes())
    assert not shamir.are_shares(bytes(32) + b"\xff" * 4)


def test_secrets_dealt_together_have_coefficients_of_their_own():
    one, two = shamir.share([bytes(32), bytes(32)], threshold=2, holders=4, entropy=ENTROPY, context=b"c")
    assert not (one == two).any()


def test_the_table_of_powers_that_everybody_shares_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        field.vandermonde(4, 3)[0, 0] = 5


@pytest.mark.parametrize("size", [0, -1, MOST_BYTES + 1])
def test_entropy_gives_no_more_than_it_can(size):
    assert len(ENTROPY.derive("most", size=MOST_BYTES)) == MOST_BYTES
    with pytest.raises(Misuse, match="at a time"):
        ENTROPY.derive("most", size=size)


def test_a_keystream_that_is_no_keystream_is_noticed(monkeypatch):
    monkeypatch.setattr(shamir.keystream, "words", lambda key, count: np.full(count, P, np.uint32))
    with pytest.raises(Misuse, match="not uniform"):
        shamir.share([bytes(32)], threshold=2, holders=3, entropy=ENTROPY, context=b"")
