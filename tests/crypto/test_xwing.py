"""X-Wing: one key from two halves, and what is left of it when one half is known."""

import copy
import hmac
import json
import pickle
from hashlib import sha3_256, shake_256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto import xwing
from caduceus.crypto.xwing import Decapsulator, Encapsulator
from caduceus.errors import Misuse, Refused

SEED = bytes(range(32))
OWNER = Decapsulator(SEED)
STRANGER = Decapsulator(bytes(32))
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
halves = st.lists(st.binary(min_size=32, max_size=32), min_size=5, max_size=5)


def private_halves(seed):
    """What the draft makes of a seed, for a test that holds one half only."""
    expanded = shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


def shared_halves(ciphertext, private_m, private_x):
    point = X25519PublicKey.from_public_bytes(ciphertext[-32:])
    return private_m.decapsulate(ciphertext[:-32]), private_x.exchange(point)


# ---------------------------------------------------------------- one key for two


@given(st.binary(min_size=32, max_size=32))
def test_the_owner_finds_the_senders_key_and_a_stranger_does_not(seed):
    owner = Decapsulator(seed)
    ciphertext, key = xwing.encapsulate(owner.public)
    assert (len(owner.public), len(ciphertext), len(key)) == (1216, 1120, 32)
    assert owner.decapsulate(ciphertext) == Decapsulator(seed).decapsulate(ciphertext) == key
    assert Decapsulator(bytes(31) + b"\x99").decapsulate(ciphertext) != key


def test_every_encapsulation_to_one_owner_makes_another_key():
    sender = Encapsulator(OWNER.public)
    made = [sender.encapsulate() for _ in range(4)]
    assert len({key for _, key in made}) == len({ciphertext for ciphertext, _ in made}) == 4
    assert [OWNER.decapsulate(ciphertext) for ciphertext, _ in made] == [key for _, key in made]


@given(st.integers(0, xwing.CIPHERTEXT_BYTES - 33), st.integers(1, 255))
def test_an_altered_lattice_half_gives_another_key_and_no_error(place, change):
    ciphertext, key = xwing.encapsulate(OWNER.public)
    altered = bytearray(ciphertext)
    altered[place] ^= change
    found = OWNER.decapsulate(bytes(altered))
    assert found != key
    assert found == OWNER.decapsulate(bytes(altered))  # rejected implicitly, and the same way each time


@given(st.integers(0, 255))
def test_an_altered_curve_half_gives_another_key_and_no_error(bit):
    """The highest bit too, which X25519 ignores: the combiner hashes what was sent."""
    ciphertext, key = xwing.encapsulate(OWNER.public)
    altered = bytearray(ciphertext)
    altered[1088 + bit // 8] ^= 1 << bit % 8
    assert OWNER.decapsulate(bytes(altered)) != key


@pytest.mark.parametrize("size", [0, 32, 1088, 1119, 1121])
def test_a_ciphertext_of_another_length_is_refused(size):
    with pytest.raises(Refused, match=f"1120 bytes, got {size}"):
        OWNER.decapsulate(bytes(size))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_ciphertext_whose_curve_half_keeps_nothing_secret_is_refused(point):
    ciphertext, _ = xwing.encapsulate(OWNER.public)
    with pytest.raises(Refused, match="small order"):
        OWNER.decapsulate(ciphertext[:1088] + bytes.fromhex(point))


# ---------------------------------------------------------------- public keys


@given(st.binary(min_size=32, max_size=32))
def test_a_public_key_that_was_generated_is_sound(seed):
    assert xwing.is_sound(Decapsulator(seed).public)


UNSOUND = {
    "too short": (OWNER.public[:-1], "1216 bytes, got 1215"),
    "too long": (OWNER.public + b"\x00", "1216 bytes, got 1217"),
    "empty": (b"", "1216 bytes, got 0"),
    "first coefficient is the modulus": (
        b"\x01" + bytes([OWNER.public[1] & 0xF0 | 0x0D]) + OWNER.public[2:],
        "modulus",
    ),
    "last coefficient is 4095": (OWNER.public[:1150] + b"\xf0\xff" + OWNER.public[1152:], "modulus"),
    "curve half above the prime": (OWNER.public[:-32] + bytes([0xF6]) + b"\xff" * 30 + b"\x7f", "its one form"),
    "curve half with its highest bit": (OWNER.public[:-1] + bytes([OWNER.public[-1] | 0x80]), "its one form"),
    **{f"small order {i}": (OWNER.public[:-32] + bytes.fromhex(p), "small order") for i, p in enumerate(SMALL_ORDER)},
}


@pytest.mark.parametrize("why", UNSOUND)
def test_what_is_no_public_key_is_not_sound_and_is_refused(why):
    public, reason = UNSOUND[why]
    assert not xwing.is_sound(public)
    with pytest.raises(Refused, match=reason):
        xwing.encapsulate(public)


def test_the_largest_coefficient_below_the_modulus_is_still_sound():
    """3328 where the case above has 3329: the check stands exactly at the modulus."""
    assert xwing.is_sound(b"\x00" + bytes([OWNER.public[1] & 0xF0 | 0x0D]) + OWNER.public[2:])


def test_a_seed_of_another_length_is_misuse():
    for seed in (b"", SEED[:-1], SEED + b"\x00"):
        with pytest.raises(Misuse, match="32 bytes"):
            Decapsulator(seed)


def test_a_decapsulator_shows_no_seed_and_is_not_copied():
    assert SEED.hex() not in repr(OWNER) + str(OWNER)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(Misuse, match="pickled"):
            leak(OWNER)


# ---------------------------------------------------------------- one half known


def test_the_key_is_the_combination_of_both_halves():
    ciphertext, key = xwing.encapsulate(OWNER.public)
    shared_m, shared_x = shared_halves(ciphertext, *private_halves(SEED))
    assert xwing.combine(shared_m, shared_x, ciphertext[-32:], OWNER.public[-32:]) == key


def test_whoever_breaks_one_half_only_gets_another_key():
    """An attacker holds one private half and every public byte, and guesses the other half as a stranger would."""
    ciphertext, key = xwing.encapsulate(OWNER.public)
    broken, guessed = private_halves(SEED), private_halves(bytes(32))
    lattice_only = shared_halves(ciphertext, broken[0], guessed[1])
    curve_only = shared_halves(ciphertext, guessed[0], broken[1])
    for shared_m, shared_x in (lattice_only, curve_only):
        assert xwing.combine(shared_m, shared_x, ciphertext[-32:], OWNER.public[-32:]) != key
    known_m, known_x = lattice_only[0], curve_only[1]
    assert (known_m, known_x) == shared_halves(ciphertext, *broken)  # each half was really known
    for known in (known_m, known_x):
        assert key not in (known, sha3_256(known).digest())


@given(halves)
def test_the_key_changes_with_either_secret_while_the_other_stays(values):
    m, x, other, ciphertext_x, public_x = values
    key = xwing.combine(m, x, ciphertext_x, public_x)
    assert (xwing.combine(other, x, ciphertext_x, public_x) == key) == (other == m)
    assert (xwing.combine(m, other, ciphertext_x, public_x) == key) == (other == x)
    assert (xwing.combine(m, x, other, public_x) == key) == (other == ciphertext_x)
    assert (xwing.combine(m, x, ciphertext_x, other) == key) == (other == public_x)


@pytest.mark.parametrize("place", range(4))
def test_a_part_of_another_length_is_misuse(place):
    parts = [bytes(32)] * 4
    parts[place] = bytes(31)
    with pytest.raises(Misuse, match="32 bytes"):
        xwing.combine(*parts)


# ---------------------------------------------------------------- somebody else's X-Wing: HPKE

HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SUITE_ID = b"HPKE" + bytes.fromhex("647a00010003")


def extract(salt, label, secret):
    return hmac.digest(salt, b"HPKE-v1" + SUITE_ID + label + secret, "sha256")


def expand(secret, label, info, size):
    """One block is enough for a key and a nonce."""
    return hmac.digest(secret, size.to_bytes(2) + b"HPKE-v1" + SUITE_ID + label + info + b"\x01", "sha256")[:size]


def schedule(shared, info):
    """Key and first nonce of RFC 9180, section 5.1, base mode; the shared secret goes in as it is."""
    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    return expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)


def test_the_tests_own_schedule_gives_the_published_answers():
    folder = Path(__file__).parents[1] / "vectors" / "standards"
    for case in json.loads((folder / "xwing.json").read_text())["hpke"]:
        case = {name: bytes.fromhex(value) for name, value in case.items()}
        key, nonce = schedule(case["shared"], case["info"])
        assert (key, nonce) == (case["key"], case["nonce"])
        assert ChaCha20Poly1305(key).decrypt(nonce, case["sealed"], case["aad"]) == case["plain"]


def test_what_another_implementation_sealed_to_our_public_key_opens_with_our_key():
    private_m, private_x = private_halves(SEED)
    theirs = MLKEM768X25519PublicKey(private_m.public_key(), private_x.public_key())
    message = HPKE.encrypt(b"to the owner", theirs, b"info")
    ciphertext, sealed = message[: xwing.CIPHERTEXT_BYTES], message[xwing.CIPHERTEXT_BYTES :]
    key, nonce = schedule(OWNER.decapsulate(ciphertext), b"info")
    assert ChaCha20Poly1305(key).decrypt(nonce, sealed, b"") == b"to the owner"
    assert schedule(STRANGER.decapsulate(ciphertext), b"info")[0] != key


def test_what_we_sealed_to_a_public_key_another_implementation_opens():
    ciphertext, shared = xwing.encapsulate(OWNER.public)
    key, nonce = schedule(shared, b"info")
    message = ciphertext + ChaCha20Poly1305(key).encrypt(nonce, b"from us", b"")
    assert HPKE.decrypt(message, MLKEM768X25519PrivateKey(*private_halves(SEED)), b"info") == b"from us"
