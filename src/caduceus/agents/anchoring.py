"""Anchors rounds on the chain beside the training, in order, whatever the chain's mood.

Training never waits for a block: a round is handed over and the next one begins. A chain that does not
answer is asked again, and what it missed is back-filled in one transaction. What the chain has is looked
up before anything is sent, so no round is anchored twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Self

from caduceus.errors import Unavailable, Uncertain
from caduceus.kinds import JobId
from caduceus.ports import Anchor, Chain, Sent, Wallet

OnSent = Callable[[Sent, Sequence[Anchor]], None]


class Anchoring:
    """A queue of rounds, and one thread that anchors them.

    rounds    what has been done so far, oldest first; the chain may have less
    patience  seconds between two tries at a chain that does not answer
    pause     without a thread: waits so many seconds. Each round is then tried once when it is added, and what is left
              until it is done, at the end; so a caller with a clock of its own sees the same order every time
    """

    def __init__(
        self,
        chain: Chain,
        wallet: Wallet,
        job: JobId,
        rounds: Sequence[Anchor],
        *,
        on_sent: OnSent,
        patience: float = 2.0,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self._pause, self._known = pause, -1
        self._chain, self._wallet, self._job = chain, wallet, job
        self._rounds = list(rounds)
        self._on_sent = on_sent
        self._patience = patience
        self._changed = threading.Condition()
        self._closing = False
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="anchoring", daemon=True)

    def add(self, anchor: Anchor) -> None:
        """Hand over the next round; raises what ended the anchoring, if something did."""
        self._raise()
        with self._changed:
            self._rounds.append(anchor)
            self._changed.notify()
        if self._pause is not None:
            self._try()

    def __enter__(self) -> Self:
        if self._pause is None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until the chain has every round; after an error, stop at once."""
        if self._pause is not None:
            while kind is None and not self._try():
                self._pause(self._patience)
            return
        with self._changed:
            self._closing = True
            if kind is not None:
                self._rounds.clear()
            self._changed.notify()
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _try(self) -> bool:
        """One try without a thread; returns whether the chain has every round."""
        if self._known < 0:
            try:
                self._known = self._anchored()
            except Unavailable:
                return False
        missing = self._rounds[self._known :]
        if missing:
            try:
                self._on_sent(self._wallet.anchor(self._job, missing), missing)
                self._known += len(missing)
            except (Unavailable, Uncertain):
                self._known = -1
                return False
        return True

    def _run(self) -> None:
        try:
            known = self._first_look()
            while (missing := self._missing(known)) is not None:
                known = self._send(missing, known)
        except BaseException as problem:  # noqa: BLE001  (handed to the thread that waits, which raises it)
            self._problem = problem

    def _first_look(self) -> int:
        """How many rounds the chain has; asked until it answers, for rounds do not wait for it."""
        while True:
            try:
                return self._anchored()
            except Unavailable:
                with self._changed:
                    self._changed.wait(self._patience)
                    if self._closing and not self._rounds:
                        return 0

    def _anchored(self, otherwise: int = 0) -> int:
        """How many rounds the chain has, or something else where it has no such job.

        Raises Unavailable if it does not answer.
        """
        entry = self._chain.job(self._job)
        return entry.rounds if entry is not None else otherwise

    def _missing(self, known: int) -> list[Anchor] | None:
        """The rounds that the chain lacks, once there are any; None when all is done."""
        with self._changed:
            while len(self._rounds) <= known and not self._closing:
                self._changed.wait()
            return self._rounds[known:] or None

    def _send(self, missing: list[Anchor], known: int) -> int:
        try:
            self._on_sent(self._wallet.anchor(self._job, missing), missing)
            return known + len(missing)
        except (Unavailable, Uncertain):
            with self._changed:
                self._changed.wait(self._patience)
            try:
                return self._anchored(known)
            except Unavailable:
                return known
