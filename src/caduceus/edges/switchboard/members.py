"""The keys that members sign with, asked of the chain now and then instead of for every frame."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import final

from caduceus.edges.switchboard.frames import Frame, check
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address

REMEMBERED = 60.0
"""Seconds that a key is taken for a member's without asking: so long a key that was replaced is still heard."""
AGAIN = 2.0
"""Seconds between two questions about an account whose frame the remembered key did not sign, or that is no member."""
_MOST = 8192


@final
class Members:
    """Remembers keys by account.

    ask  the chain; None for an account that is no member
    now  seconds from an arbitrary start
    """

    def __init__(
        self, ask: Callable[[Address], Address | None], *, domain: bytes, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._domain, self._now = ask, domain, now
        self._lock = threading.Lock()
        self._known: OrderedDict[Address, tuple[Address | None, float]] = OrderedDict()

    def check(self, frame: Frame) -> None:
        """Make sure that a frame is signed by the key that its sender has registered.

        Raises Refused if it is not; Unavailable if the chain does not answer and the account was never asked about.
        """
        signer, age = self._signer_of(frame.header.sender, REMEMBERED)
        try:
            check(frame, signer, self._domain)
        except Refused:
            if age < AGAIN:
                raise
            check(frame, self._signer_of(frame.header.sender, AGAIN)[0], self._domain)

    def _signer_of(self, account: Address, most: float) -> tuple[Address | None, float]:
        """An account's key, and how long ago it was asked for: `most` seconds at most, if the chain answers."""
        now = self._now()
        with self._lock:
            known = self._known.get(account)
        if known is not None and now - known[1] < most:
            return known[0], now - known[1]
        try:
            signer = self._ask(account)
        except Unavailable:
            if known is None:
                raise
            signer = known[0]  # the chain is away: what was true is taken for true
        with self._lock:
            self._known[account] = (signer, now)
            self._known.move_to_end(account)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return signer, 0.0
