"""Blobs named by the SHA-256 of their bytes: in a folder, or wherever the configuration says."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from caduceus.canon import digest_bytes
from caduceus.edges.blob import MOST_BYTES, checked, refuse_long
from caduceus.edges.durable import sync_names
from caduceus.edges.object_store import ObjectStore
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest
from caduceus.ports import Store

_NAME = re.compile(r"[0-9a-f]{64}\Z")


class FolderStore:
    """A content-addressed folder: `ab/abcdef...`, one file per blob.

    A blob appears under its name only once it is complete and on disk, so a crash leaves at most a
    file whose name ends in `.part`, which nothing reads and the next writer replaces.
    """

    def __init__(self, root: Path, *, durable: bool = True, most: int = MOST_BYTES) -> None:
        """root     the folder; made if absent
        durable  wait for the disk before a blob counts as stored
        most     bytes of the longest blob
        """
        self.root = root
        self._durable = durable
        self._most = most
        root.mkdir(parents=True, exist_ok=True)

    def put(self, blob: bytes) -> Digest:
        """Store a blob and return its name; storing it again changes nothing.

        Raises Refused if it is too long, Unavailable if the disk does not take it.
        """
        refuse_long(str(self.root), len(blob), self._most)
        name = digest_bytes(blob)
        target = self._path(name)
        if target.exists():
            return name
        part = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            self._write(blob, part, target)
        except OSError as problem:
            part.unlink(missing_ok=True)
            raise Unavailable(
                f"{target}: cannot be written ({problem.strerror}); make room, then put it again"
            ) from None
        return name

    def _write(self, blob: bytes, part: Path, target: Path) -> None:
        is_new = not target.parent.exists()
        target.parent.mkdir(exist_ok=True)
        with part.open("wb") as file:
            file.write(blob)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(target)
        if self._durable:
            sync_names(target.parent)
            if is_new:
                sync_names(self.root)

    def get(self, digest: Digest) -> bytes:
        """Read a blob and check it against its name.

        Raises Refused if it is missing, too long, or if its bytes are not what the name promises.
        """
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                refuse_long(str(path), os.fstat(file.fileno()).st_size, self._most)
                blob = file.read()
        except FileNotFoundError:
            raise Refused(f"{self.root}: blob {digest.hex()} is missing") from None
        except OSError as problem:
            raise Refused(f"{path}: cannot be read ({problem.strerror})") from None
        return checked(str(path), digest, blob)

    def has(self, digest: Digest) -> bool:
        """Whether there is a blob of that name; whether it is the right one `get` finds out."""
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


def open_store(location: str, options: Mapping[str, object] | None = None, *, most: int = MOST_BYTES) -> Store:
    """The store at a place.

    location  a folder, also as file:///folder; or any URL that fsspec knows, such as s3://bucket/prefix, which takes
              the back-end's own package (s3fs, gcsfs, adlfs, ...)
    options   the back-end's; a folder has none
    most      bytes of the longest blob

    Raises Refused if there is no such back-end, its package is missing, or a folder is given options.
    """
    scheme, separator, path = location.partition("://")
    if separator and scheme not in ("file", "local"):
        return ObjectStore(location, options, most=most)
    if options:
        raise Refused(f"{location}: a folder takes no options ({', '.join(sorted(options))})")
    folder = Path(path if separator else location)
    if separator and not folder.is_absolute():
        raise Refused(f"{location}: not a whole path; write file:///folder")
    return FolderStore(folder, most=most)
