"""Entropy, public keys and seals, against the RFCs' own numbers."""

import hmac
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto.curve25519 import is_sound
from caduceus.crypto.entropy import KeyedEntropy, expand, tagged
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


@given(key, st.text(max_size=20), some)
def test_another_key_is_one_block_of_hkdf_expand(root, purpose, context):
    info = tagged("caduceus/expand/1", purpose.encode(), context)
    assert expand(root, purpose, context) == hmac.digest(root, info + b"\x01", "sha256")


def test_another_key_differs_by_purpose_context_and_root():
    seen = {expand(ROOT, "a"), expand(ROOT, "b"), expand(ROOT, "a", b"x"), expand(bytes(32), "a")}
    assert len(seen) == 4
    assert expand(ROOT, "a") == expand(ROOT, "a", b"")


# ---------------------------------------------------------------- public keys on Curve25519


SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_is_not_sound(point):
    assert not is_sound(bytes.fromhex(point))


@given(key)
def test_a_key_that_was_generated_is_sound(private):
    assert is_sound(X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "point",
    [
        (2**255 - 19).to_bytes(32, "little"),
        (2**255 - 19 + 9).to_bytes(32, "little"),
        (9 + 2**255).to_bytes(32, "little"),
        bytes(31) + b"\xff",
    ],
)
def test_a_second_writing_of_a_key_is_not_sound(point):
    assert not is_sound(point)


def test_a_key_of_another_length_is_not_sound():
    assert is_sound((9).to_bytes(32, "little"))
    assert not is_sound((9).to_bytes(31, "little"))
    assert not is_sound((9).to_bytes(33, "little"))


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


def test_a_seal_is_chacha20_poly1305_as_rfc_8439_computes_it():
    """Appendix A.5 has another nonce, so the cipher is built here from section 2.8's own steps."""
    secret, message, binding = bytes(range(0x80, 0xA0)), b"Ladies and Gentlemen of the class of '99", b"roster"
    stream = Cipher(ChaCha20(secret, bytes(16)), None).encryptor().update(bytes(64 + len(message)))
    body = bytes(a ^ b for a, b in zip(message, stream[64:], strict=True))

    def padded(part):
        return part + bytes(-len(part) % 16)

    authenticated = (
        padded(binding) + padded(body) + len(binding).to_bytes(8, "little") + len(body).to_bytes(8, "little")
    )
    assert seal(secret, message, bound_to=binding) == body + Poly1305.generate_tag(stream[:32], authenticated)


def test_the_sealing_cipher_gives_the_answer_of_rfc_8439():
    """Section 2.8.2, with the RFC's own nonce: the cipher under `seal` is the one that it says it is."""
    aead = ChaCha20Poly1305(bytes(range(0x80, 0xA0)))
    plain = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    sealed = aead.encrypt(bytes.fromhex("070000004041424344454647"), plain, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
