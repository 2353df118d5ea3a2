"""A P-256 key that issues or holds credentials, in a file of its own: for its owner only, under a passphrase if wanted.

It is no account's key and no key of the protocol: those are in the keyring.
"""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

from caduceus import canon
from caduceus.crypto.sd_jwt_keys import ORDER, SigningKey
from caduceus.edges.keystore import STRONG, Cost, Passphrase, Sealed, seal, unseal
from caduceus.edges.workspace import write_whole
from caduceus.errors import Misuse, Refused


@canon.record("credential/key/1")
class _Stored:
    secret: bytes


def make_key(path: Path, passphrase: Passphrase | None = None, *, cost: Cost = STRONG) -> SigningKey:
    """A new key, by the operating system's generator, in a new file.

    Raises Refused if the file is there already.
    """
    if path.exists():
        raise Refused(f"{path}: there already; a key is not made over another")
    secret = (1 + secrets.randbelow(ORDER - 1)).to_bytes(32)
    plain = canon.pack(_Stored(secret))
    write_whole(path, plain if passphrase is None else seal(plain, passphrase, cost=cost), mode=0o600)
    return SigningKey(secret)


def read_key_file(path: Path, passphrase: Passphrase | None = None) -> SigningKey:
    """The key in a file.

    Raises Refused if it is missing, readable by others, no such key, or encrypted and the passphrase missing or wrong.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Refused(f"{path}: others may read this key file; run: chmod 600 {path}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: missing; `caduceus credential key` makes one") from None
    if canon.peek_tag(data) == canon.tag_of(Sealed):
        if passphrase is None:
            raise Refused(f"{path}: this key is encrypted; name a file with the passphrase, or set it")
        try:
            data = unseal(data, passphrase)
        except Refused as problem:
            raise Refused(f"{path}: {problem}") from None
    elif passphrase is not None:
        raise Refused(f"{path}: there is a passphrase, and this key lies in the clear")
    try:
        return SigningKey(canon.unpack(_Stored, data).secret)
    except (Refused, Misuse):
        # Not chained: the reason could quote bytes of a damaged key.
        raise Refused(f"{path}: not a key for credentials") from None
