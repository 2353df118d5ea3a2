"""What an account has signed, durably, from before it is sent until its fate is known.

After a crash or a lost answer the same bytes are sent again: a second copy of a transaction is the same
transaction, so nothing happens twice. Keys of the journal are written once:

    outbox/<chain>/<account>/<page>/<place>/<version>   the signed bytes; version 1 and on are replacements
    outbox/<chain>/<account>/<page>/<place>/settled     how it ended
    outbox/<chain>/<account>/full/<page>                all transactions of a page, and of those before, are settled

Opening reads the pages that are not full: how long the account's history is does not matter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from caduceus import canon
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.ports import Journal

PAGE = 64
"""Transactions per page."""

_SETTLED = "settled"


@canon.record("chain/outbox/1")
class _Written:
    raw: bytes
    what: str


@canon.record("chain/outbox/settled/1")
class _Settled:
    transaction: bytes
    """Hash of the version that the chain included; empty if it has none of them and never will."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A transaction whose fate was not known when the outbox was opened."""

    place: int
    what: str
    versions: tuple[bytes, ...]
    """Signed bytes, the newest last."""


@final
class Outbox:
    """One account's transactions on one chain.

    journal  remembers; one outbox per account and chain in it, and one process at a time

    Raises Refused if what the journal holds under this account's keys is damaged.
    """

    def __init__(self, journal: Journal, chain_id: int, account: Address) -> None:
        self._journal = journal
        self._root = f"outbox/{chain_id}/{account.hex()}"
        self._lock = threading.Lock()
        self._page = _first(lambda page: journal.get(self._full(page)) is None)
        self._next = self._page * PAGE
        self._open: dict[int, int] = {}
        self._kept = tuple(self._read())

    @property
    def kept(self) -> Sequence[Kept]:
        """What was unsettled at the opening, oldest first."""
        return self._kept

    def write(self, raw: bytes, what: str) -> int:
        """Keep a new transaction before it is sent; returns its place."""
        with self._lock:
            place = self._next
            self._journal.put_once(self._key(place, 0), canon.pack(_Written(raw, what)))
            self._next += 1
            self._open[place] = 1
            return place

    def replace(self, place: int, raw: bytes, what: str) -> None:
        """Keep another version of a transaction (the same nonce, a higher fee) before it is sent."""
        with self._lock:
            self._journal.put_once(self._key(place, self._open[place]), canon.pack(_Written(raw, what)))
            self._open[place] += 1

    def settle(self, place: int, transaction: bytes) -> None:
        """Note how a transaction ended.

        transaction  hash of the version that the chain included; empty if none will ever be

        Raises Unavailable if the journal cannot be written: it is then found out again at the next opening.
        """
        with self._lock:
            still_open = self._open.keys() - {place}
            entries = {self._settled(place): canon.pack(_Settled(transaction))}
            page = self._page
            while page < self._next // PAGE and not any(one // PAGE == page for one in still_open):
                entries[self._full(page)] = b""
                page += 1
            # A power cut that loses this costs one question to the node.
            self._journal.put_all(entries, at_once=False)
            self._page = page
            del self._open[place]

    def _read(self) -> list[Kept]:
        found: list[Kept] = []
        for page in range(self._page, 1 << 40):
            names = self._journal.keys(f"{self._root}/{page:010d}/")
            if not names:
                return found
            places = sorted({int(name.split("/")[4]) for name in names})
            known = set(names)
            for place in places:
                self._next = max(self._next, page * PAGE + place + 1)
                if self._settled(page * PAGE + place) not in known:
                    kept = self._one(page * PAGE + place)
                    self._open[kept.place] = len(kept.versions)
                    found.append(kept)
        return found

    def _one(self, place: int) -> Kept:
        written: list[_Written] = []
        while (data := self._journal.get(self._key(place, len(written)))) is not None:
            written.append(canon.unpack(_Written, data))
        if not written:
            raise Refused(f"{self._key(place, 0)}: missing from the journal; is it damaged?")
        return Kept(place, written[0].what, tuple(one.raw for one in written))

    def _key(self, place: int, version: int) -> str:
        return f"{self._root}/{place // PAGE:010d}/{place % PAGE:03d}/{version:04d}"

    def _settled(self, place: int) -> str:
        return f"{self._root}/{place // PAGE:010d}/{place % PAGE:03d}/{_SETTLED}"

    def _full(self, page: int) -> str:
        return f"{self._root}/full/{page:010d}"


def _first(is_so: Callable[[int], bool]) -> int:
    """The first number from 0 for which something is so, which it then is for all that follow."""
    below, above = -1, 0
    while not is_so(above):
        below, above = above, 2 * above + 1
    while above - below > 1:
        middle = (below + above) // 2
        if is_so(middle):
            above = middle
        else:
            below = middle
    return above
