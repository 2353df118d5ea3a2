"""The standards' own numbers: every primitive that the package stands on gives the answers that were published."""

import hmac
import json
from hashlib import sha256, shake_256
from pathlib import Path

import numpy as np
import pytest
from Crypto.Cipher import AES
from Crypto.Hash import SHA256 as THEIR_SHA256
from Crypto.Protocol.KDF import HKDF as THEIR_HKDF
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto import keystream, mldsa, xwing
from caduceus.crypto.entropy import KeyedEntropy, tagged
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.xwing import Decapsulator

FOLDER = Path(__file__).parents[1] / "vectors" / "standards"


def unhexed(case):
    """The case with its hexadecimal strings as bytes; a reason stays as it is."""
    return {
        name: bytes.fromhex(value) if isinstance(value, str) and name != "why" else value
        for name, value in case.items()
    }


def cases(name, group="cases"):
    return [unhexed(case) for case in json.loads((FOLDER / f"{name}.json").read_text())[group]]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_file_names_its_source(path):
    assert len(json.loads(path.read_text())["source"]) > 10


# ---------------------------------------------------------------- X-Wing


@pytest.mark.parametrize("case", cases("xwing", "decapsulation"))
def test_an_xwing_seed_has_its_public_key_and_opens_its_ciphertext(case):
    owner = Decapsulator(case["seed"])
    assert owner.public == case["public"]
    assert xwing.is_sound(case["public"])
    assert owner.decapsulate(case["ciphertext"]) == case["key"]


# ---------------------------------------------------------------- ML-KEM-768


@pytest.mark.parametrize("case", cases("mlkem768", "generation"))
def test_an_mlkem_seed_has_its_public_key(case):
    assert MLKEM768PrivateKey.from_seed_bytes(case["d"] + case["z"]).public_key().public_bytes_raw() == case["public"]


@pytest.mark.parametrize("case", cases("mlkem768", "decapsulation"))
def test_an_mlkem_ciphertext_gives_its_key_and_a_rejected_one_gives_the_key_of_rejection(case):
    private = MLKEM768PrivateKey.from_seed_bytes(case["d"] + case["z"])
    assert private.decapsulate(case["ciphertext"]) == case["key"]
    assert private.decapsulate(case["rejected"]) == case["key_of_rejected"]
    # FIPS 203, algorithm 18, line 7
    assert shake_256(case["z"] + case["rejected"]).digest(32) == case["key_of_rejected"]


# ---------------------------------------------------------------- ML-DSA-65


@pytest.mark.parametrize("case", cases("mldsa65", "generation"))
def test_an_mldsa_seed_has_its_public_key(case):
    assert Identity(case["seed"]).public == case["public"]


@pytest.mark.parametrize("case", cases("mldsa65", "pure"))
def test_an_mldsa_signature_holds_under_its_context_and_no_other(case):
    assert Identity(case["seed"]).public == case["public"]
    signed = (case["public"], case["message"], case["signature"])
    assert mldsa.verify(*signed, context=case["context"])
    assert not mldsa.verify(*signed, context=b"")
    assert not mldsa.verify(*signed, context=case["context"] + b"\x00")


INTERNAL = json.loads((FOLDER / "mldsa65.json").read_text())["internal"]


@pytest.mark.parametrize("case", [unhexed(case) for case in INTERNAL["cases"]], ids=lambda case: case["why"])
def test_an_mldsa_signature_is_accepted_or_not_as_published(case):
    """NIST's cases sign without a context, so they enter below it, by the digest of key and message."""
    public = bytes.fromhex(INTERNAL["public"])
    mu = shake_256(shake_256(public).digest(64) + case["message"]).digest(64)  # FIPS 204, algorithm 8, line 7
    key = MLDSA65PublicKey.from_public_bytes(public)
    if case["accepted"]:
        key.verify_mu(case["signature"], mu)
    else:
        with pytest.raises(InvalidSignature):
            key.verify_mu(case["signature"], mu)
    assert not mldsa.verify(public, case["message"], case["signature"], context=b"")


# ---------------------------------------------------------------- X25519


@pytest.mark.parametrize("case", cases("x25519", "multiplication"))
def test_a_scalar_times_a_point_is_the_published_point(case):
    private = X25519PrivateKey.from_private_bytes(case["scalar"])
    assert private.exchange(X25519PublicKey.from_public_bytes(case["point"])) == case["out"]


# ---------------------------------------------------------------- HKDF and HMAC


@pytest.mark.parametrize("case", cases("hkdf-sha256"))
def test_hkdf_gives_the_published_bytes_whole_and_in_its_two_steps(case):
    size = len(case["out"])
    derived = HKDF(SHA256(), length=size, salt=case["salt"] or None, info=case["info"]).derive(case["secret"])
    assert derived == case["out"]
    # the two steps as `entropy` takes them: extract, then expand to one block
    root = hmac.digest(case["salt"], case["secret"], "sha256")
    assert root == case["root"]
    assert hmac.digest(root, case["info"] + b"\x01", "sha256") == case["out"][:32]


@given(st.binary(min_size=32, max_size=32), st.text(max_size=20), st.binary(max_size=40), st.integers(1, 200))
def test_entropy_is_a_second_librarys_hkdf(root, label, context, size):
    info = tagged("caduceus/entropy/1", label.encode(), context)
    assert KeyedEntropy(root).derive(label, context, size=size) == THEIR_HKDF(
        root, size, b"", THEIR_SHA256, context=info
    )


@pytest.mark.parametrize("case", cases("hmac-sha256"))
def test_hmac_gives_the_published_tag(case):
    assert hmac.digest(case["key"], case["message"], "sha256") == case["tag"]
    assert hmac.new(case["key"], case["message"], sha256).digest() == case["tag"]


# ---------------------------------------------------------------- AES-256-CTR


@pytest.mark.parametrize("case", cases("aes256-ctr"))
def test_the_cipher_under_the_masks_gives_the_published_bytes(case):
    encryptor = Cipher(AES256(case["key"]), CTR(case["counter"])).encryptor()
    assert encryptor.update(case["plain"]) == case["sealed"]


@given(st.binary(min_size=32, max_size=32), st.integers(0, 100))
def test_a_mask_is_a_second_librarys_keystream_from_counter_zero(key, count):
    theirs = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(4 * count))
    assert keystream.words(key, count).tolist() == np.frombuffer(theirs, "<u4").tolist()


def test_a_mask_longer_than_one_piece_is_still_one_keystream():
    key, count = bytes(range(32)), 3 * (1 << 15) + 5
    theirs = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(4 * count))
    assert keystream.words(key, count).tobytes() == theirs
