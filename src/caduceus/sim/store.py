"""The `Store` port in memory, shared by everybody who is given it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

from caduceus.canon import digest_bytes
from caduceus.errors import Refused
from caduceus.kinds import Digest


def _unwatched(_where: str) -> None:
    return


@final
class MemoryStore:
    """Blobs by the SHA-256 of their bytes; they outlive every process.

    on_write  called before and after each new blob with a text that says which; it may raise
    """

    def __init__(self, on_write: Callable[[str], None] = _unwatched) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._on_write = on_write

    def seen_from(self, on_write: Callable[[str], None]) -> MemoryStore:
        """The same blobs, for somebody else's crash points."""
        other = MemoryStore(on_write)
        other._blobs = self._blobs
        return other

    def put(self, blob: bytes) -> Digest:
        """Store a blob and return its name; storing it again changes nothing."""
        name = digest_bytes(blob)
        if name not in self._blobs:
            self._on_write(f"before storing {name.hex()[:8]}")
            self._blobs[name] = bytes(blob)
            self._on_write(f"after storing {name.hex()[:8]}")
        return name

    def get(self, digest: Digest) -> bytes:
        """Read a blob.

        Raises Refused if it is missing.
        """
        if digest not in self._blobs:
            raise Refused(f"store: blob {digest.hex()} is missing")
        return self._blobs[digest]

    def has(self, digest: Digest) -> bool:
        """Whether a blob is there."""
        return digest in self._blobs

    def names(self) -> Iterator[Digest]:
        """Every blob, sorted."""
        yield from sorted(self._blobs)
