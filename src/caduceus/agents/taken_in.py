"""The uploads of a round as the coordinator takes them in: each goes to the store at once, and into the journal.

So no more than one is in memory, and a coordinator that crashes after it gave a receipt still has what it was for.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import final

from caduceus.errors import Misuse
from caduceus.kinds import Digest, JobId
from caduceus.ports import Journal, Store


@final
class TakenIn(MutableMapping[int, bytes]):
    """Uploads by seat, in the store.

    session  digest of the round's session: another session of the same round has uploads of its own
    """

    def __init__(self, store: Store, journal: Journal, job: JobId, session: Digest) -> None:
        self._store, self._journal = store, journal
        self._prefix = f"{job.hex()}/upload/{session.hex()}/"
        self.digests: dict[int, Digest] = {}
        """What has been taken in in this process, by seat."""

    def earlier(self) -> Iterator[tuple[int, bytes]]:
        """What an earlier process took in, by seat."""
        for key in self._journal.keys(self._prefix):
            yield int(key.removeprefix(self._prefix)), self._store.get(Digest(self._journal.get(key) or b""))

    def __setitem__(self, seat: int, upload: bytes) -> None:
        digest = self._store.put(upload)
        # Waited for: a receipt follows. If what it promises were lost with the power, and the site then silent, the
        # round would leave out an upload that the coordinator has to answer for with its bond.
        self._journal.put_once(f"{self._prefix}{seat:05}", digest)
        self.digests[seat] = digest

    def __getitem__(self, seat: int) -> bytes:
        return self._store.get(self.digests[seat])

    def __delitem__(self, seat: int) -> None:
        raise Misuse("uploads: what was taken in stays")

    def __contains__(self, seat: object) -> bool:
        return seat in self.digests

    def __iter__(self) -> Iterator[int]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)
