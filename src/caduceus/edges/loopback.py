"""A channel inside one process: sites are reactors served by a few threads.

For trying out, for tests and for simulation. It carries bytes exactly as a network edge does, so
everything above it is the code that runs between hospitals.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
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

    Each site handles one message at a time, in the order sent; different sites run side by side.
    """

    def __init__(self, sites: Mapping[Address, Reactor], *, workers: int = 2, on_fault: OnFault = _ignore) -> None:
        """sites     reactors by account
        workers   threads that serve them; numpy and the ciphers release the interpreter's lock
        on_fault  called, from a worker, with what a site raised; the site then stays silent
        """
        self._sites = dict(sites)
        self._inbox: queue.SimpleQueue[Envelope | BaseException] = queue.SimpleQueue()
        self._waiting: dict[Address, deque[bytes]] = {site: deque() for site in sites}
        self._busy: set[Address] = set()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="site")
        self._on_fault = on_fault

    def send(self, site: Address, body: bytes) -> None:
        if site not in self._sites:
            raise Unavailable(f"no site 0x{site.hex()} on this channel")
        with self._lock:
            self._waiting[site].append(body)
            if site in self._busy:
                return
            self._busy.add(site)
        self._pool.submit(self._serve, site).add_done_callback(self._surface)

    def receive(self, *, timeout: float) -> Envelope | None:
        try:
            item = self._inbox.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item  # a bug in a site's code is this process's bug: it is not hidden in a thread
        return item

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self, site: Address) -> None:
        while True:
            with self._lock:
                if not self._waiting[site]:
                    self._busy.discard(site)
                    return
                body = self._waiting[site].popleft()
            try:
                replies = self._sites[site].react(body)
            except Error as problem:
                self._on_fault(site, problem)
                continue
            for reply in replies:
                self._inbox.put(Envelope(site, reply))

    def _surface(self, done: Future[None]) -> None:
        if not done.cancelled() and (problem := done.exception()) is not None:
            self._inbox.put(problem)
