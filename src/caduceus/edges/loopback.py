"""A channel inside one process: sites are reactors, served by a few threads or by the one that listens.

For trying out, for tests and for simulation. It carries bytes exactly as a network edge does, so
everything above it is the code that runs between hospitals. One thing is known here that a network can only
guess: when no site is at work and nothing is on its way, nobody will say more, and nobody is waited for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import Self

from caduceus.errors import Error, Unavailable
from caduceus.kinds import Address
from caduceus.ports import Envelope, Reactor

OnFault = Callable[[Address, Error], None]
"""Told when a site refuses a message or finds a fault in it."""


def _ignore(_site: Address, _problem: Error) -> None:
    return


class Loopback:
    """Carries messages between one coordinator and the reactors of a job's sites.

    Each site handles one message at a time, in the order sent. With workers, different sites run side by side; without,
    they take turns while the coordinator listens, which is cheaper where a message takes less than waking a thread.
    """

    def __init__(self, sites: Mapping[Address, Reactor], *, workers: int = 2, on_fault: OnFault = _ignore) -> None:
        """sites     reactors by account
        workers   threads that serve them, which pays where sites train for long with the interpreter's lock released;
                  0 serves them in `receive`
        on_fault  called, from where the site is served, with what it raised; the site then stays silent
        """
        self._sites = dict(sites)
        self._inbox: deque[Envelope | BaseException] = deque()
        self._waiting: dict[Address, deque[bytes]] = {site: deque() for site in sites}
        self._busy: set[Address] = set()
        self._changed = Condition()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="site") if workers else None
        self._turns: deque[Address] = deque()
        self._on_fault = on_fault

    def send(self, site: Address, body: bytes) -> None:
        """Hand a message to a site's thread; see `ports.Channel`."""
        if site not in self._sites:
            raise Unavailable(f"no site 0x{site.hex()} on this channel")
        with self._changed:
            self._waiting[site].append(body)
            if site in self._busy:
                return
            self._busy.add(site)
        if self._pool is None:
            self._turns.append(site)
            return
        self._pool.submit(self._serve, site).add_done_callback(self._surface)

    def receive(self, *, timeout: float) -> Envelope | None:
        """The next message from any site; see `ports.Channel`. Raises what a bug in a site's code raised."""
        while not self._inbox and self._turns:
            self._serve(self._turns.popleft())
        with self._changed:
            self._changed.wait_for(lambda: self._inbox or not self._busy, max(timeout, 0.0))
            if not self._inbox:
                return None
            item = self._inbox.popleft()
        if isinstance(item, BaseException):
            raise item  # a bug in a site's code is this process's bug: it is not hidden in a thread
        return item

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self, site: Address) -> None:
        while (body := self._next(site)) is not None:
            try:
                replies = self._sites[site].react(body)
            except Error as problem:
                self._on_fault(site, problem)
                continue
            self._deliver(Envelope(site, reply) for reply in replies)

    def _next(self, site: Address) -> bytes | None:
        """The message that a site handles next; without one, the site is at rest."""
        with self._changed:
            if self._waiting[site]:
                return self._waiting[site].popleft()
            self._busy.discard(site)
            self._changed.notify()
            return None

    def _deliver(self, items: Iterable[Envelope | BaseException]) -> None:
        with self._changed:
            self._inbox.extend(items)
            self._changed.notify()

    def _surface(self, done: Future[None]) -> None:
        if not done.cancelled() and (problem := done.exception()) is not None:
            self._deliver([problem])
