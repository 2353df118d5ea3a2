"""One party's secrets on its own disk: made by the operating system's generator, readable by the owner only.

In the clear, for trying things out; or under a passphrase, in two files: beside the keyring, `account.json` holds the
account's key as wallets keep it (Web3 Secret Storage, version 3), and the keyring itself the other three secrets
(scrypt and AES-256-GCM).
"""

from __future__ import annotations

import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from caduceus import canon
from caduceus.crypto.sign import ORDER, Signer
from caduceus.edges.keystore import STRONG, Cost, Passphrase, Sealed, address_in, read_v3, seal, unseal, write_v3
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address

ACCOUNT_FILE = "account.json"
"""The account's keystore, beside an encrypted keyring."""


@canon.record("keyring/2")
class _Stored:
    account: bytes
    signer: bytes
    identity: bytes
    entropy: bytes


@canon.record("keyring/hidden/1")
class _Hidden:
    """What is sealed; the address binds it to the keystore beside it."""

    address: bytes
    signer: bytes
    identity: bytes
    entropy: bytes


@dataclass(frozen=True, slots=True)
class Keyring:
    """Four independent secrets of 32 bytes each; none is ever printed."""

    account: bytes = field(repr=False)
    """secp256k1: holds money and sends transactions."""
    signer: bytes = field(repr=False)
    """secp256k1: signs protocol messages."""
    identity: bytes = field(repr=False)
    """ML-DSA-65 seed: vouches for the keys that others seal secrets to."""
    entropy: bytes = field(repr=False)
    """Root from which the secrets of set-ups and rounds are derived."""


def make() -> Keyring:
    """Four new secrets."""
    return Keyring(_scalar(), _scalar(), secrets.token_bytes(32), secrets.token_bytes(32))


def load_or_make(path: Path, passphrase: Passphrase | None = None, *, cost: Cost = STRONG) -> Keyring:
    """The keyring in `path`, made there first if the file is absent; under the passphrase, if there is one.

    The file is created complete or not at all, with permissions for its owner alone.

    Raises Refused if the file is not a keyring, if others than its owner may read it, if it is encrypted and the
    passphrase is missing or wrong, or if it is in the clear although there is a passphrase.
    """
    try:
        return load(path, passphrase)
    except FileNotFoundError:
        pass
    ring = make()
    if passphrase is None:
        _write_plain(path, ring)
    else:
        _write_encrypted(path, ring, passphrase, cost)
    return ring


def load(path: Path, passphrase: Passphrase | None = None) -> Keyring:
    """The keyring in `path`.

    Raises FileNotFoundError if there is none, Refused as `load_or_make` does.
    """
    data = _private(path)
    if is_encrypted(path):
        if passphrase is None:
            raise Refused(f"{path}: these keys are encrypted; name a file with the passphrase, or set it")
        return _read_encrypted(path, data, passphrase)
    if passphrase is not None:
        raise Refused(f"{path}: there is a passphrase, and these keys lie in the clear; encrypt them first")
    return _read_plain(path, data)


def is_encrypted(path: Path) -> bool:
    """Whether the keyring in `path` is under a passphrase.

    Raises FileNotFoundError if there is none.
    """
    return canon.peek_tag(path.read_bytes()) == canon.tag_of(Sealed)


def account_of(path: Path) -> Address:
    """The account of an encrypted keyring, without its passphrase.

    Raises Refused if there is no keystore beside it, FileNotFoundError likewise if there is no keyring.
    """
    return address_in(_private(path.with_name(ACCOUNT_FILE)))


def encrypt(path: Path, passphrase: Passphrase, *, cost: Cost = STRONG) -> None:
    """Put the keyring in `path` under a passphrase; it is in the clear until that is on disk and was read back.

    What a disk once held in the clear may survive on it: on a disk that is not encrypted itself, make new keys.

    Raises Refused if it is encrypted already, and as `load` does.
    """
    if is_encrypted(path):
        raise Refused(f"{path}: encrypted already; decrypt it first to give it another passphrase")
    _write_encrypted(path, load(path), passphrase, cost)


def decrypt(path: Path, passphrase: Passphrase) -> None:
    """Put the keyring in `path` in the clear again.

    Raises Refused if it is not encrypted, and as `load` does.
    """
    if not is_encrypted(path):
        raise Refused(f"{path}: not encrypted")
    ring = load(path, passphrase)
    _write_plain(path, ring)
    path.with_name(ACCOUNT_FILE).unlink()


def _write_plain(path: Path, ring: Keyring) -> None:
    write_whole(path, canon.pack(_Stored(ring.account, ring.signer, ring.identity, ring.entropy)), mode=0o600)


def _write_encrypted(path: Path, ring: Keyring, passphrase: Passphrase, cost: Cost) -> None:
    # The keyring itself comes last: until then a keyring in the clear, or none, is what counts.
    account = path.with_name(ACCOUNT_FILE)
    write_whole(account, write_v3(ring.account, passphrase, cost=cost), mode=0o600)
    if read_v3(account.read_bytes(), passphrase) != ring.account:
        raise Refused(f"{account}: does not hold what was written; is the disk in order?")
    hidden = canon.pack(_Hidden(Signer(ring.account).address, ring.signer, ring.identity, ring.entropy))
    write_whole(path, seal(hidden, passphrase, cost=cost), mode=0o600)


def _read_plain(path: Path, data: bytes) -> Keyring:
    try:
        stored = canon.unpack(_Stored, data)
    except Refused:
        # Not chained: the reason could quote bytes of a damaged key.
        raise Refused(f"{path}: not a key file") from None
    return _checked(path, Keyring(stored.account, stored.signer, stored.identity, stored.entropy))


def _read_encrypted(path: Path, data: bytes, passphrase: Passphrase) -> Keyring:
    account = path.with_name(ACCOUNT_FILE)
    try:
        kept = _private(account)
    except FileNotFoundError:
        raise Refused(f"{account}: missing; it holds the account's key of {path}") from None
    try:
        key = read_v3(kept, passphrase)
    except Refused as problem:
        raise Refused(f"{account}: {problem}") from None
    try:
        hidden = canon.unpack(_Hidden, unseal(data, passphrase))
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None
    if hidden.address != Signer(key).address:
        raise Refused(f"{account}: the key of another account than the one that {path} was made with")
    return _checked(path, Keyring(key, hidden.signer, hidden.identity, hidden.entropy))


def _checked(path: Path, ring: Keyring) -> Keyring:
    if any(len(part) != 32 for part in (ring.account, ring.signer, ring.identity, ring.entropy)):
        raise Refused(f"{path}: not a key file")
    return ring


def _private(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(f"{path}: others may read this key file; run: chmod 600 {path}")
    return path.read_bytes()


def _scalar() -> bytes:
    return (1 + secrets.randbelow(ORDER - 1)).to_bytes(32, "big")
