"""A key that stays secret as long as one of two assumptions holds: X-Wing, X25519 with ML-KEM-768 (FIPS 203).

Somebody who records the traffic today and builds a quantum computer later breaks X25519 and still lacks the
lattice half; somebody who breaks the lattice still lacks X25519. Only the owner of the seed can undo an
encapsulation, and each makes a fresh key, so two parties no longer agree in silence: the ciphertext has to travel.

Source: draft-connolly-cfrg-xwing-kem-10, section 5; Barbosa, Connolly, Duarte, Kaiser, Schwabe, Varner and
Westerbaan, "X-Wing: The Hybrid KEM You've Been Looking For", IACR Communications in Cryptology 1(1), 2024.
"""

from __future__ import annotations

from hashlib import sha3_256, shake_256
from typing import final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from caduceus.crypto import curve25519
from caduceus.errors import Misuse, Refused

SUITE = "x-wing"
"""The name that travels with a session."""

SEED_BYTES = 32
KEY_BYTES = 32

_PUBLIC_M_BYTES = 1184
_CIPHERTEXT_M_BYTES = 1088
_X_BYTES = 32

PUBLIC_BYTES = _PUBLIC_M_BYTES + _X_BYTES
CIPHERTEXT_BYTES = _CIPHERTEXT_M_BYTES + _X_BYTES

_LABEL = b"\\.//^\\"


@final
class Decapsulator:
    """The owner of a seed, who alone can undo an encapsulation to its public key; never shows the seed.

    seed  32 bytes, any

    The keys that the seed expands to are kept: to expand them costs more than to use them.

    Raises Misuse if `seed` has another length.
    """

    __slots__ = ("_private_m", "_private_x", "_public_x", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Misuse(f"x-wing: a seed is {SEED_BYTES} bytes, got {len(seed)}")
        expanded = shake_256(seed).digest(96)
        self._private_m = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])  # d || z (FIPS 203, section 7.1)
        self._private_x = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._public_x = self._private_x.public_key().public_bytes_raw()
        self.public = self._private_m.public_key().public_bytes_raw() + self._public_x

    def __repr__(self) -> str:
        return f"Decapsulator({self.public.hex()[:8]})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise Misuse("x-wing: a private key is not to be pickled or copied")

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The 32-byte key that the sender of `ciphertext` has.

        An altered ciphertext is not noticed here: it gives a key that nobody else has (FIPS 203, section 6.3),
        and what was sealed with the other key does not open.

        Raises Refused if `ciphertext` is not 1,120 bytes, or if its X25519 half is of small order, so that this
        half would keep nothing secret; the draft lets such a ciphertext pass, and no sender makes one.
        """
        if len(ciphertext) != CIPHERTEXT_BYTES:
            raise Refused(f"x-wing: a ciphertext is {CIPHERTEXT_BYTES} bytes, got {len(ciphertext)}")
        ciphertext_x = ciphertext[_CIPHERTEXT_M_BYTES:]
        try:
            shared_x = self._private_x.exchange(X25519PublicKey.from_public_bytes(ciphertext_x))
        except ValueError:
            raise Refused("x-wing: the X25519 half of a ciphertext is of small order; ask for another") from None
        shared_m = self._private_m.decapsulate(ciphertext[:_CIPHERTEXT_M_BYTES])
        return combine(shared_m, shared_x, ciphertext_x, self._public_x)


@final
class Encapsulator:
    """Makes keys for the owner of one public key.

    public  1,216 bytes (see `is_sound`)

    The checked halves are kept, so that many keys for one owner cost one check.

    Raises Refused if `public` is not sound.
    """

    __slots__ = ("_public_m", "_public_x", "_public_x_bytes")

    def __init__(self, public: bytes) -> None:
        if len(public) != PUBLIC_BYTES:
            raise Refused(f"x-wing: a public key is {PUBLIC_BYTES} bytes, got {len(public)}")
        self._public_x_bytes = public[_PUBLIC_M_BYTES:]
        if not curve25519.is_sound(self._public_x_bytes):
            raise Refused("x-wing: the X25519 half of a public key is of small order or not in its one form")
        try:
            self._public_m = MLKEM768PublicKey.from_public_bytes(public[:_PUBLIC_M_BYTES])
        except ValueError:
            raise Refused("x-wing: the ML-KEM half of a public key has a coefficient above the modulus") from None
        self._public_x = X25519PublicKey.from_public_bytes(self._public_x_bytes)

    def encapsulate(self) -> tuple[bytes, bytes]:
        """A ciphertext for the owner, and the 32-byte key that the owner will find in it.

        Both halves draw from the operating system's generator inside `cryptography`, which offers no ML-KEM
        encapsulation from given randomness: unlike what comes from `Entropy`, a ciphertext cannot be made
        again after a crash and has to be kept.
        """
        shared_m, ciphertext_m = self._public_m.encapsulate()
        ephemeral = X25519PrivateKey.generate()
        ciphertext_x = ephemeral.public_key().public_bytes_raw()
        shared_x = ephemeral.exchange(self._public_x)
        return ciphertext_m + ciphertext_x, combine(shared_m, shared_x, ciphertext_x, self._public_x_bytes)


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """One ciphertext and its key for the owner of `public` (see `Encapsulator`, which serves many).

    Raises Refused if `public` is not sound.
    """
    return Encapsulator(public).encapsulate()


def is_sound(public: bytes) -> bool:
    """Whether everybody can make keys for the owner of a public key.

    1,216 bytes; every coefficient of the ML-KEM half below its modulus (the encapsulation key check of FIPS 203,
    section 7.2); the X25519 half sound (see `curve25519.is_sound`). It depends on the key alone, so that everybody
    judges alike whom to leave out.
    """
    try:
        Encapsulator(public)
    except Refused:
        return False
    return True


def combine(shared_m: bytes, shared_x: bytes, ciphertext_x: bytes, public_x: bytes) -> bytes:
    """The key from both halves (draft, section 5.3): 32 bytes that whoever lacks either half cannot tell from noise.

    shared_m      what ML-KEM gave, 32 bytes
    shared_x      what X25519 gave, 32 bytes
    ciphertext_x  the sender's ephemeral X25519 key, 32 bytes
    public_x      the owner's X25519 key, 32 bytes

    The ML-KEM ciphertext is not hashed: ML-KEM's own transform binds it (Barbosa et al.).

    Raises Misuse if one has another length: only fixed lengths keep the parts apart.
    """
    if not len(shared_m) == len(shared_x) == len(ciphertext_x) == len(public_x) == _X_BYTES:
        raise Misuse("x-wing: every part of a key is 32 bytes")
    return sha3_256(shared_m + shared_x + ciphertext_x + public_x + _LABEL).digest()
