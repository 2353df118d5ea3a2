"""Blobs on disk, named by the SHA-256 of their bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from caduceus.canon import digest_bytes
from caduceus.errors import Refused
from caduceus.kinds import Digest

_NAME = re.compile(r"[0-9a-f]{64}\Z")


class FolderStore:
    """A content-addressed folder: `ab/abcdef...`, one file per blob.

    A blob appears under its name only once it is complete and on disk, so a crash leaves at most a
    file whose name ends in `.part`, which nothing reads and the next writer replaces.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        """root     the folder; made if absent
        durable  wait for the disk before a blob counts as stored
        """
        self.root = root
        self._durable = durable
        root.mkdir(parents=True, exist_ok=True)

    def put(self, blob: bytes) -> Digest:
        """Store a blob and return its name; storing it again changes nothing."""
        name = digest_bytes(blob)
        target = self._path(name)
        if target.exists():
            return name
        target.parent.mkdir(exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            file.write(blob)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(target)
        return name

    def get(self, digest: Digest) -> bytes:
        """Read a blob and check it against its name.

        Raises Refused if it is missing, or if its bytes are not what the name promises.
        """
        path = self._path(digest)
        try:
            blob = path.read_bytes()
        except FileNotFoundError:
            raise Refused(f"{self.root}: blob {digest.hex()} is missing") from None
        except OSError as problem:
            raise Refused(f"{path}: cannot be read ({problem.strerror})") from None
        if digest_bytes(blob) != digest:
            raise Refused(f"{path}: {len(blob)} bytes that do not have the digest of their name; the blob was altered")
        return blob

    def has(self, digest: Digest) -> bool:
        return self._path(digest).exists()

    def names(self) -> Iterator[Digest]:
        """Every blob in the folder, sorted.

        Raises Refused on a file that is no blob of this store (leftovers of a crash aside).
        """
        for path in sorted(self.root.rglob("*")):
            if path.is_dir() or path.suffix == ".part":
                continue
            if not _NAME.match(path.name) or path.parent.name != path.name[:2] or path.parent.parent != self.root:
                raise Refused(f"{path}: a file that does not belong in a transcript")
            yield Digest(bytes.fromhex(path.name))

    def _path(self, digest: Digest) -> Path:
        name = digest.hex()
        return self.root / name[:2] / name
