"""ML-DSA-65: a signature is for one message, one context and one key."""

import copy
import pickle
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import mldsa
from caduceus.crypto.mldsa import Identity, verify
from caduceus.errors import Misuse

SEED = bytes(range(32))
SIGNER = Identity(SEED)
SIGNATURE = SIGNER.sign(b"message", context=b"context")


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.binary(max_size=255))
def test_a_signature_holds_for_its_message_context_and_key_and_for_nothing_else(seed, message, context):
    signer = Identity(seed)
    signature = signer.sign(message, context=context)
    assert (len(signer.public), len(signature)) == (mldsa.PUBLIC_BYTES, mldsa.SIGNATURE_BYTES) == (1952, 3309)
    assert verify(signer.public, message, signature, context=context)
    assert not verify(signer.public, message + b"x", signature, context=context)
    assert not verify(signer.public, message, signature, context=sha256(context).digest())
    assert not verify(Identity(bytes(31) + b"\x99").public, message, signature, context=context)


def test_where_the_context_ends_and_the_message_begins_is_signed():
    signature = SIGNER.sign(b"b", context=b"a")
    assert verify(SIGNER.public, b"b", signature, context=b"a")
    assert not verify(SIGNER.public, b"ab", signature, context=b"")
    assert not verify(SIGNER.public, b"", signature, context=b"ab")


def test_signing_twice_gives_two_signatures_that_both_hold():
    again = SIGNER.sign(b"message", context=b"context")
    assert again != SIGNATURE
    assert all(verify(SIGNER.public, b"message", one, context=b"context") for one in (again, SIGNATURE))


def test_one_seed_is_one_public_key():
    assert Identity(SEED).public == SIGNER.public != Identity(bytes(32)).public


@given(st.integers(0, mldsa.SIGNATURE_BYTES - 1), st.integers(1, 255))
def test_a_touched_signature_is_not_one(place, change):
    touched = bytearray(SIGNATURE)
    touched[place] ^= change
    assert not verify(SIGNER.public, b"message", bytes(touched), context=b"context")


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\x00", bytes(3309), b"\xff" * 3309])
def test_what_is_malformed_is_not_a_signature(signature):
    assert not verify(SIGNER.public, b"message", signature, context=b"context")


@pytest.mark.parametrize("public", [b"", SIGNER.public[:-1], SIGNER.public + b"\x00", bytes(1952), b"\xff" * 1952])
def test_what_is_no_public_key_has_signed_nothing(public):
    assert not verify(public, b"message", SIGNATURE, context=b"context")


def test_a_context_that_does_not_fit_is_misuse():
    longest = SIGNER.sign(b"message", context=bytes(255))
    assert verify(SIGNER.public, b"message", longest, context=bytes(255))
    with pytest.raises(Misuse, match="255 bytes, got 256"):
        SIGNER.sign(b"message", context=bytes(256))
    with pytest.raises(Misuse, match="255 bytes, got 256"):
        verify(SIGNER.public, b"message", longest, context=bytes(256))


def test_a_seed_of_another_length_is_misuse():
    for seed in (b"", SEED[:-1], SEED + b"\x00"):
        with pytest.raises(Misuse, match="32 bytes"):
            Identity(seed)


def test_an_identity_shows_no_seed_and_is_not_copied():
    assert SEED.hex() not in repr(SIGNER) + str(SIGNER)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(Misuse, match="pickled"):
            leak(SIGNER)
