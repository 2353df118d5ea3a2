"""Entropy, agreement and seals, against the RFCs' own numbers."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto import agree
from caduceus.crypto.entropy import KeyedEntropy, tagged
from caduceus.crypto.seal import seal, unseal
from caduceus.errors import Misuse, Refused

ROOT = bytes(range(32))
key = st.binary(min_size=32, max_size=32)
some = st.binary(max_size=80)


def hkdf(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869, section 2, from the standard library's HMAC alone."""
    prk = hmac.digest(salt or bytes(32), secret, "sha256")
    out, block = b"", b""
    for i in range(1, -(-size // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([i]), "sha256")
        out += block
    return out[:size]


def test_the_tests_own_hkdf_gives_the_answers_of_rfc_5869():
    first = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert first.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    third = hkdf(b"\x0b" * 22, b"", b"", 42)
    assert third.hex() == ("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")


# ---------------------------------------------------------------- entropy


@given(st.text(max_size=20), st.lists(some, max_size=3), st.integers(1, 200))
def test_entropy_is_hkdf_of_the_root_by_label_and_context(label, context, size):
    info = tagged("caduceus/entropy/1", label.encode(), *context)
    assert KeyedEntropy(ROOT).derive(label, *context, size=size) == hkdf(ROOT, b"", info, size)


@given(st.lists(some, max_size=4), st.lists(some, max_size=4))
def test_different_parts_never_give_the_same_tagged_bytes(one, other):
    assert (tagged("t", *one) == tagged("t", *other)) == (one == other)


def test_entropy_repeats_itself_and_never_across_purposes_or_roots():
    entropy = KeyedEntropy(ROOT)
    seen = {
        entropy.derive("a", size=32),
        entropy.derive("b", size=32),
        entropy.derive("a", b"", size=32),
        entropy.derive("a", b"x", b"y", size=32),
        entropy.derive("a", b"xy", size=32),
        KeyedEntropy(bytes(32)).derive("a", size=32),
    }
    assert len(seen) == 6
    assert entropy.derive("a", size=32) == KeyedEntropy(ROOT).derive("a", size=32)


def test_entropy_shows_no_root_and_refuses_a_short_one():
    assert ROOT.hex() not in repr(KeyedEntropy(ROOT))
    with pytest.raises(Misuse, match="32 bytes"):
        KeyedEntropy(ROOT[:31])


# ---------------------------------------------------------------- agreement

ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
ALICES = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOBS = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
THEIRS = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def test_public_keys_and_the_shared_secret_are_those_of_rfc_7748():
    assert (agree.public_key(ALICE), agree.public_key(BOB)) == (ALICES, BOBS)  # section 6.1
    info = tagged("caduceus/agree/1", agree.SUITE.encode(), b"mask", ALICES, BOBS, b"context")
    expected = hkdf(THEIRS, b"", info, 32)
    assert agree.agreed_key(ALICE, BOBS, purpose="mask", context=b"context") == expected
    assert agree.agreed_key(BOB, ALICES, purpose="mask", context=b"context") == expected


@given(key, key, some)
def test_both_ends_agree_and_nobody_else_does(one, other, context):
    a, b = agree.public_key(one), agree.public_key(other)
    ours = agree.agreed_key(one, b, purpose="mask", context=context)
    assert ours == agree.agreed_key(other, a, purpose="mask", context=context)
    assert ours != agree.agreed_key(one, b, purpose="seal", context=context)
    assert ours != agree.agreed_key(one, b, purpose="mask", context=context + b"x")
    assert (ours == agree.agreed_key(one, a, purpose="mask", context=context)) == (a == b)


SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_is_refused(point):
    with pytest.raises(Refused, match="small order"):
        agree.agreed_key(ROOT, bytes.fromhex(point), purpose="mask", context=b"")


def test_a_key_of_the_wrong_length_is_refused_and_ours_is_misuse():
    with pytest.raises(Refused, match="32 bytes"):
        agree.agreed_key(ROOT, bytes(31), purpose="mask", context=b"")
    with pytest.raises(Misuse, match="32 bytes"):
        agree.public_key(ROOT + b"x")


# ---------------------------------------------------------------- seals


@given(key, some, some)
def test_a_seal_opens_with_its_key_and_binding(secret, message, binding):
    sealed = seal(secret, message, bound_to=binding)
    assert unseal(secret, sealed, bound_to=binding) == message
    assert len(sealed) == len(message) + 16


@given(key, some, some, st.data())
def test_a_seal_that_was_touched_does_not_open(secret, message, binding, data):
    sealed = bytearray(seal(secret, message, bound_to=binding))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refused, match="altered"):
        unseal(secret, bytes(sealed), bound_to=binding)


@given(key, some)
def test_a_seal_does_not_open_cut_short_or_for_somebody_else(secret, message):
    sealed = seal(secret, message, bound_to=b"1 to 2")
    for key_used, data, binding in (
        (secret, sealed[:-1], b"1 to 2"),
        (secret, b"", b"1 to 2"),
        (secret, sealed, b"2 to 1"),
        (sha256(secret).digest(), sealed, b"1 to 2"),
    ):
        with pytest.raises(Refused, match="altered"):
            unseal(key_used, data, bound_to=binding)
