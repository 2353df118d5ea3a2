"""Boxes: seeds and keys, sealed for one aggregator under an X-Wing encapsulation of their own."""

from __future__ import annotations

from caduceus.crypto import xwing
from caduceus.crypto.entropy import expand, tagged
from caduceus.crypto.seal import seal, unseal
from caduceus.errors import Refused
from caduceus.kinds import Digest


def write(secret: bytes, kem: bytes, *, context: Digest, sender: int, receiver: int) -> bytes:
    """Encapsulation and sealed secret; another one every time, since an encapsulation draws anew.

    kem      the receiver's X-Wing public key
    context  the session

    Raises Refused if the key is not sound.
    """
    encapsulation, shared = xwing.encapsulate(kem)
    bound = _bound(context, sender, receiver)
    return encapsulation + seal(expand(shared, "gram/box/1", bound), secret, bound_to=bound)


def read(box: bytes, opener: xwing.Decapsulator, *, context: Digest, sender: int, receiver: int) -> bytes | None:
    """What is in a box; None if it does not open."""
    bound = _bound(context, sender, receiver)
    try:
        shared = opener.decapsulate(box[: xwing.CIPHERTEXT_BYTES])
        key = expand(shared, "gram/box/1", bound)
        return unseal(key, box[xwing.CIPHERTEXT_BYTES :], bound_to=bound)
    except Refused:
        return None


def _bound(context: Digest, sender: int, receiver: int) -> bytes:
    return tagged("gram/box/1", context, sender.to_bytes(4), receiver.to_bytes(4))
