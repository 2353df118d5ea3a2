"""Blobs in anything that fsspec reaches, such as S3, by the same names as in a folder.

A write appears whole or not at all where the back-end promises so. Object stores do: a blob is one PUT, or one
multipart upload that counts once it is completed; what a crash leaves of the latter nobody can read, but it is billed
until a lifecycle rule removes it. Elsewhere a blob is written beside its name and moved there, which is as good as the
back-end's move. No back-end is trusted for what it gives back: the digest says whether it is the blob.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, final

import fsspec

from caduceus.canon import digest_bytes
from caduceus.edges.blob import MOST_BYTES, checked, refuse_long
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest

T = TypeVar("T")

_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "oss", "oci", "memory"})
"""Back-ends of which a put appears whole or not at all."""

_NOTHING = digest_bytes(b"")
_PLACE = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})\Z")


@final
class ObjectStore:
    """A content-addressed store behind an fsspec URL: `ab/abcdef...` under it, one object per blob. Thread-safe."""

    def __init__(
        self,
        location: str,
        options: Mapping[str, object] | None = None,
        *,
        most: int = MOST_BYTES,
        tries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """location  such as s3://bucket/prefix
        options   the back-end's own, such as endpoint_url; secrets are better left to its environment
        most      bytes of the longest blob
        tries     how often one call is made before the back-end counts as unavailable

        Raises Refused if there is no such back-end, or what it needs is not installed.
        """
        self._shown = _without_secrets(location)
        self._most, self._tries, self._sleep = most, tries, sleep
        try:
            # Other writers' blobs must be seen: a listing that was kept would hide them.
            self._fs, root = fsspec.core.url_to_fs(location, **{"use_listings_cache": False, **(options or {})})
        except ImportError as problem:
            raise Refused(f"{self._shown}: install what this back-end needs ({problem})") from None
        except (ValueError, TypeError) as problem:
            raise Refused(f"{self._shown}: no store can be opened there ({type(problem).__name__})") from None
        self._root = str(root).rstrip("/")
        spoken = self._fs.protocol
        self._is_whole = not _WHOLE.isdisjoint((spoken,) if isinstance(spoken, str) else spoken)

    def put(self, blob: bytes) -> Digest:
        """Store a blob and return its name; storing it again changes nothing.

        Raises Refused if it is too long, or there is nothing to put it in; Unavailable if the back-end does not take
        it: then put it again.
        """
        refuse_long(self._shown, len(blob), self._most)
        name = digest_bytes(blob)
        if self._size(name) == len(blob):
            return name
        try:
            self._ask("write", name, lambda: self._write(self._path(name), blob))
        except FileNotFoundError:
            raise Refused(f"{self._shown}: there is no such bucket or folder; make it first") from None
        if self._size(name) != len(blob):
            raise Unavailable(f"{self._shown}: blob {name.hex()} was written and is not there whole; put it again")
        return name

    def get(self, digest: Digest) -> bytes:
        """Read a blob and check it against its name.

        Raises Refused if it is missing, too long, or if its bytes are not what the name promises; Unavailable if the
        back-end does not answer.
        """
        where = f"{self._shown}: blob {digest.hex()}"
        if digest == _NOTHING:  # a range of no bytes cannot be asked for
            blob = b"" if self.has(digest) else None
        else:
            blob = self._read(digest)
            if blob is not None and len(blob) <= self._most and digest_bytes(blob) != digest:
                blob = self._read(digest)  # a transfer may be cut; a blob that was altered stays so
        if blob is None:
            raise Refused(f"{where} is missing")
        refuse_long(where, len(blob), self._most)
        return checked(where, digest, blob)

    def has(self, digest: Digest) -> bool:
        """Whether there is a blob of that name; whether it is the right one `get` finds out."""
        return self._size(digest) is not None

    def names(self) -> Iterator[Digest]:
        """Every blob in the store, sorted; whatever else lies there is passed over."""
        try:
            found = self._ask("list", None, lambda: self._fs.find(self._root))
        except FileNotFoundError:
            return
        for path in sorted(map(str, found)):
            if match := _PLACE.search(path):
                yield Digest(bytes.fromhex(match[1]))

    def _read(self, digest: Digest) -> bytes | None:
        """Its bytes, at most one more than are taken; None if there is none."""
        path = self._path(digest)
        try:
            return bytes(self._ask("read", digest, lambda: self._fs.cat_file(path, start=0, end=self._most + 1)))
        except FileNotFoundError:
            return None

    def _size(self, digest: Digest) -> int | None:
        path = self._path(digest)
        try:
            size = self._ask("look for", digest, lambda: self._fs.info(path)["size"])
        except FileNotFoundError:
            return None
        return -1 if size is None else int(size)

    def _write(self, path: str, blob: bytes) -> None:
        if self._is_whole:
            self._fs.pipe_file(path, blob)
            return
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        part = f"{path}.{secrets.token_hex(8)}.part"
        self._fs.pipe_file(part, blob)
        self._fs.mv(part, path)

    def _ask(self, what: str, digest: Digest | None, call: Callable[[], T]) -> T:
        """Call the back-end, again if it fails; raises FileNotFoundError as it comes, Refused, or Unavailable."""
        about = f"{self._shown}: cannot {what} {'its blobs' if digest is None else digest.hex()}"
        for attempt in range(self._tries):
            try:
                return call()
            except FileNotFoundError:
                raise
            except PermissionError:
                raise Refused(f"{about}: the back-end does not permit it; see to the credentials") from None
            except Exception as problem:  # noqa: BLE001  (back-ends have no common root for "did not answer")
                why = type(problem).__name__  # its text may hold credentials
            if attempt + 1 < self._tries:
                self._sleep(0.2 * 4**attempt)
        raise Unavailable(f"{about} ({why}, {self._tries} times)")

    def _path(self, digest: Digest) -> str:
        name = digest.hex()
        return f"{self._root}/{name[:2]}/{name}"


def _without_secrets(location: str) -> str:
    """A URL as it may be shown: no user, password or query."""
    scheme, separator, rest = location.partition("://")
    place = rest.partition("?")[0]
    authority, slash, path = place.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
