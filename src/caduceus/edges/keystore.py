"""Secrets at rest under a passphrase.

Two published formats, for two readers. An account's key is in a Web3 Secret Storage file of version 3, which geth,
clef, web3signer and eth-account read and write. Other secrets are sealed with scrypt and AES-256-GCM.

Source: Web3 Secret Storage Definition, version 3 (https://ethereum.org/developers/docs/data-structures-and-encoding/
web3-secret-storage); scrypt: RFC 7914; AES-GCM: NIST SP 800-38D.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from typing import Any

from Crypto.Protocol.KDF import scrypt as _any_scrypt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from caduceus import canon
from caduceus.crypto.sign import Signer, keccak
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address

PASSPHRASE_VARIABLE = "CADUCEUS_PASSPHRASE"  # noqa: S105  (the name of a variable)
PASSPHRASE_FILE_VARIABLE = "CADUCEUS_PASSPHRASE_FILE"  # noqa: S105

_MOST_MEMORY = 1 << 31
"""Bytes that scrypt may be made to use by a file from elsewhere: 128 * n * r."""
_MOST_WORK = 1 << 24
"""Most of n * p, and of PBKDF2's iterations."""
_SALT, _GCM_NONCE = 32, 12


@dataclass(frozen=True, slots=True)
class Passphrase:
    """What a person or a service knows; never printed."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.text:
            raise Refused("the passphrase is empty")

    @property
    def data(self) -> bytes:
        """As the formats take it: UTF-8."""
        return self.text.encode()


@dataclass(frozen=True, slots=True)
class Cost:
    """How much work scrypt makes of a guess: memory of 128 * n * r bytes, p times."""

    n: int
    r: int
    p: int


STRONG = Cost(1 << 18, 8, 1)
"""What geth uses: 256 MiB and about a second for each guess."""

LIGHT = Cost(1 << 12, 8, 6)
"""geth's light parameters, 4 MiB, for tests and small machines; for strong random passphrases only."""


def read_passphrase(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Passphrase | None:
    """The passphrase from a file, or from the environment; never from an argument, which other users could see.

    file         first choice: its first line, without the end of line. Only its owner may read it
    environment  else CADUCEUS_PASSPHRASE_FILE names such a file, or CADUCEUS_PASSPHRASE is the passphrase
    returns      None if there is none of the three

    Raises Refused if a file is missing, readable by others or not text, or if the passphrase is empty.
    """
    known = os.environ if environment is None else environment
    if file is None and known.get(PASSPHRASE_FILE_VARIABLE):
        file = Path(known[PASSPHRASE_FILE_VARIABLE])
    if file is None:
        text = known.get(PASSPHRASE_VARIABLE)
        return None if text is None else Passphrase(text)
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise Refused(f"{file}: others may read this passphrase; run: chmod 600 {file}")
        lines = file.read_bytes().decode().splitlines()
    except FileNotFoundError:
        raise Refused(f"{file}: missing; it should hold the passphrase") from None
    except UnicodeDecodeError:
        raise Refused(f"{file}: not text in UTF-8") from None
    return Passphrase(lines[0] if lines else "")


# ---------------------------------------------------------------- an account's key: Web3 Secret Storage, version 3


def write_v3(key: bytes, passphrase: Passphrase, *, cost: Cost = STRONG) -> bytes:
    """A keystore file of an account's key.

    key  32 bytes, secp256k1
    """
    salt, start = secrets.token_bytes(_SALT), secrets.token_bytes(16)
    derived = _scrypt(passphrase, salt, cost, 32)
    hidden = _ctr(derived[:16], start, key)
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": start.hex()},
        "ciphertext": hidden.hex(),
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": cost.n, "r": cost.r, "p": cost.p, "salt": salt.hex()},
        "mac": keccak(derived[16:32] + hidden).hex(),
    }
    tree = {"address": Signer(key).address.hex(), "crypto": crypto, "id": str(uuid.uuid4()), "version": 3}
    return json.dumps(tree).encode()


def read_v3(data: bytes, passphrase: Passphrase) -> bytes:
    """The key in a keystore file, whoever wrote it.

    Raises Refused if the file is malformed or asks for absurd work, if the passphrase is wrong, or if the key is not
    that of the address in the file.
    """
    tree = _tree(data)
    crypto = _part(tree, "crypto", "Crypto")
    if crypto.get("cipher") != "aes-128-ctr":
        raise Refused(f"keystore: its cipher is {str(crypto.get('cipher'))[:40]!r}; aes-128-ctr is supported")
    hidden = _hex(crypto, "ciphertext")
    derived = _derived(crypto, passphrase)
    if not compare_digest(keccak(derived[16:32] + hidden), _hex(crypto, "mac")):
        raise Refused("keystore: wrong passphrase, or a damaged file")
    key = _ctr(derived[:16], _hex(_part(crypto, "cipherparams"), "iv", 16), hidden)
    try:
        address = Signer(key).address
    except Misuse:
        raise Refused("keystore: what it holds is no account's key") from None
    if tree.get("address") and address_in(data) != address:
        raise Refused("keystore: its key is not that of the address it names")
    return key


def address_in(data: bytes) -> Address:
    """The account that a keystore file says it is of, without its passphrase.

    Raises Refused if it does not say.
    """
    return Address(_hex(_tree(data), "address", 20))


def _tree(data: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except ValueError:
        raise Refused("keystore: not JSON") from None
    if not isinstance(tree, dict) or tree.get("version") != 3:
        raise Refused("keystore: not a Web3 Secret Storage file of version 3")
    return tree


def _derived(crypto: Mapping[str, Any], passphrase: Passphrase) -> bytes:
    params = _part(crypto, "kdfparams")
    salt, length = _hex(params, "salt"), _number(params, "dklen")
    if not 32 <= length <= 64:
        raise Refused(f"keystore: dklen is {length}, expected 32")
    if crypto.get("kdf") == "scrypt":
        cost = Cost(_number(params, "n"), _number(params, "r"), _number(params, "p"))
        return _scrypt(passphrase, salt, cost, length)
    if crypto.get("kdf") == "pbkdf2" and params.get("prf") == "hmac-sha256":
        rounds = _number(params, "c")
        if rounds > _MOST_WORK:
            raise Refused(f"keystore: {rounds} iterations are more than the {_MOST_WORK} that are taken")
        return PBKDF2HMAC(SHA256(), length, salt, rounds).derive(passphrase.data)
    raise Refused("keystore: derives its key by something else than scrypt or pbkdf2 with hmac-sha256")


def _scrypt(passphrase: Passphrase, salt: bytes, cost: Cost, length: int) -> bytes:
    n, r, p = cost.n, cost.r, cost.p
    if n < 2 or n & (n - 1) or 128 * n * r > _MOST_MEMORY or n * p > _MOST_WORK or r * p >= 1 << 30:
        raise Refused(f"keystore: scrypt with n={n}, r={r}, p={p} is malformed, or more work than is taken")
    if n >= 1 << (16 * r):  # outside RFC 7914, so that OpenSSL refuses it; but a published test vector is so
        return bytes(_any_scrypt(passphrase.text, salt, length, n, r, p))  # type: ignore[arg-type]
    return Scrypt(salt, length, n, r, p).derive(passphrase.data)


def _ctr(key: bytes, start: bytes, data: bytes) -> bytes:
    # The format has no other cipher. Each file has a fresh salt, so a fresh key, and the MAC above covers it.
    cipher = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _part(tree: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if isinstance(tree.get(name), dict):
            return tree[name]  # type: ignore[no-any-return]
    raise Refused(f"keystore: {names[0]} is missing")


def _hex(tree: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    try:
        value = bytes.fromhex(str(tree[name]).removeprefix("0x"))
    except (KeyError, ValueError):
        raise Refused(f"keystore: {name} is missing or not hexadecimal") from None
    if size is not None and len(value) != size:
        raise Refused(f"keystore: {name} has {len(value)} bytes, expected {size}")
    return value


def _number(tree: Mapping[str, Any], name: str) -> int:
    value = tree.get(name)
    if type(value) is not int or value < 1:
        raise Refused(f"keystore: {name} is missing or no number")
    return value


# ---------------------------------------------------------------- other secrets: scrypt and AES-256-GCM


@canon.record("sealed/header/1")
class _Header:
    n: int
    r: int
    p: int
    salt: bytes


@canon.record("sealed/1")
class Sealed:
    """Secrets under a passphrase: scrypt gives a key of 256 bits, AES-GCM hides and authenticates."""

    header: _Header
    nonce: bytes
    hidden: bytes


def seal(secret: bytes, passphrase: Passphrase, *, cost: Cost = STRONG) -> bytes:
    """The bytes of a `Sealed` record that holds a secret; never twice the same."""
    header = _Header(cost.n, cost.r, cost.p, secrets.token_bytes(_SALT))
    nonce = secrets.token_bytes(_GCM_NONCE)
    key = _scrypt(passphrase, header.salt, cost, 32)
    return canon.pack(Sealed(header, nonce, AESGCM(key).encrypt(nonce, secret, canon.pack(header))))


def unseal(data: bytes, passphrase: Passphrase) -> bytes:
    """The secret in a `Sealed` record.

    Raises Refused if the record is malformed or asks for absurd work, or if the passphrase is wrong.
    """
    sealed = canon.unpack(Sealed, data)
    header = sealed.header
    if len(sealed.nonce) != _GCM_NONCE or min(header.n, header.r, header.p) < 1:
        raise Refused("sealed secrets: malformed")
    key = _scrypt(passphrase, header.salt, Cost(header.n, header.r, header.p), 32)
    try:
        return AESGCM(key).decrypt(sealed.nonce, sealed.hidden, canon.pack(header))
    except InvalidTag:
        raise Refused("sealed secrets: wrong passphrase, or a damaged file") from None
