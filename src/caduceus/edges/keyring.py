"""One party's secrets on its own disk: made by the operating system's generator, readable by the owner only."""

from __future__ import annotations

import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from caduceus import canon
from caduceus.crypto.sign import ORDER
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused


@canon.record("keyring/2")
class _Stored:
    account: bytes
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


def load_or_make(path: Path) -> Keyring:
    """The keyring in `path`, made there first if the file is absent.

    The file is created complete or not at all, with permissions for its owner alone.

    Raises Refused if the file is not a keyring, or if others than its owner may read it.
    """
    try:
        return load(path)
    except FileNotFoundError:
        pass
    ring = make()
    write_whole(path, canon.pack(_Stored(ring.account, ring.signer, ring.identity, ring.entropy)), mode=0o600)
    return ring


def load(path: Path) -> Keyring:
    """The keyring in `path`.

    Raises FileNotFoundError if there is none, Refused as `load_or_make` does.
    """
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(f"{path}: others may read this key file; run: chmod 600 {path}")
    try:
        stored = canon.unpack(_Stored, path.read_bytes())
    except Refused:
        # Not chained: the reason could quote bytes of a damaged key.
        raise Refused(f"{path}: not a key file") from None
    parts = (stored.account, stored.signer, stored.identity, stored.entropy)
    if any(len(part) != 32 for part in parts):
        raise Refused(f"{path}: not a key file")
    return Keyring(*parts)


def _scalar() -> bytes:
    return (1 + secrets.randbelow(ORDER - 1)).to_bytes(32, "big")
