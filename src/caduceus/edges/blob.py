"""What every store of blobs holds to: a size that is bounded, and bytes that are what their name says."""

from __future__ import annotations

from caduceus.canon import digest_bytes
from caduceus.errors import Refused
from caduceus.kinds import Digest

MOST_BYTES = 1 << 31
"""The longest blob that a store takes or gives unless told otherwise; messages and models are far shorter."""


def refuse_long(where: str, size: int, most: int) -> None:
    """Raises Refused if a blob is longer than the store takes."""
    if size > most:
        raise Refused(f"{where}: a blob of more than {most} bytes, which are the most that are taken")


def checked(where: str, digest: Digest, blob: bytes) -> bytes:
    """The blob, if it is the one of that name.

    Raises Refused if it is not.
    """
    if digest_bytes(blob) != digest:
        raise Refused(f"{where}: {len(blob)} bytes that do not have the digest of their name; the blob was altered")
    return blob
