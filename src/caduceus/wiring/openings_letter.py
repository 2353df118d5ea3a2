"""What a patient takes away: a small file, sealed to nobody else, that says of every version what is theirs in it.

Sealed under a passphrase (scrypt and AES-256-GCM, as keys at rest), or to the patient's X-Wing key
(ChaCha20-Poly1305 under a key that opens this one letter).
"""

from __future__ import annotations

from pathlib import Path

from caduceus import canon
from caduceus.crypto import seal as sealing
from caduceus.crypto.xwing import Decapsulator, encapsulate
from caduceus.data.membership import Absent, Present, verify_absent, verify_present
from caduceus.data.schema import Schema
from caduceus.edges.keystore import STRONG, Cost, Passphrase, seal, unseal
from caduceus.errors import Refused

LETTER_MOST = 1 << 26
"""Bytes of a letter that is read."""

_BOUND = b"caduceus/records/letter"


@canon.record("records/statement/1")
class Statement:
    """What is shown of one version of a data set.

    root     its commitment, as the chain and the card have it
    present  the patient's rows; None if there are none
    absent   that there are none; None if there are
    """

    root: bytes
    present: Present | None
    absent: Absent | None

    def holds(self, token: bytes) -> bool:
        """Whether it shows what it says, for the patient who holds a token."""
        if (self.present is None) == (self.absent is None):
            return False
        if self.present is not None:
            return verify_present(self.root, token, self.present)
        assert self.absent is not None
        return verify_absent(self.root, token, self.absent)


@canon.record("records/letter/1")
class Letter:
    """What the steward of a site tells a patient.

    token       the patient's secret: whoever has it and this letter can show that the rows are theirs
    schema      what the columns of the rows mean
    statements  one per version that the site keeps, in no order
    """

    site: str
    token: bytes
    schema: Schema
    statements: tuple[Statement, ...]


@canon.record("records/sealed-letter/1")
class _ForKey:
    """A letter to the owner of an X-Wing key."""

    ciphertext: bytes
    hidden: bytes


def seal_letter(letter: Letter, to: Passphrase | bytes, *, cost: Cost = STRONG) -> bytes:
    """The file that the patient gets.

    to  a passphrase that the patient knows, or the patient's X-Wing public key, 1,216 bytes

    Raises Refused if the key is not sound.
    """
    data = canon.pack(letter)
    if isinstance(to, Passphrase):
        return seal(data, to, cost=cost)
    ciphertext, key = encapsulate(to)
    return canon.pack(_ForKey(ciphertext, sealing.seal(key, data, bound_to=_BOUND + ciphertext)))


def open_letter(path: Path, by: Passphrase | Decapsulator) -> Letter:
    """The letter in a file.

    Raises Refused, naming the file, if it is none, or is sealed to somebody else.
    """
    try:
        if path.stat().st_size > LETTER_MOST:
            raise Refused("too long")
        data = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: no such file") from None
    is_for_key = canon.peek_tag(data) == canon.tag_of(_ForKey)
    if is_for_key != isinstance(by, Decapsulator):
        raise Refused(f"{path}: is sealed {'to a key' if is_for_key else 'under a passphrase'}; give that one")
    try:
        if isinstance(by, Passphrase):
            return canon.unpack(Letter, unseal(data, by))
        sealed = canon.unpack(_ForKey, data)
        plain = sealing.unseal(by.decapsulate(sealed.ciphertext), sealed.hidden, bound_to=_BOUND + sealed.ciphertext)
        return canon.unpack(Letter, plain)
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None
