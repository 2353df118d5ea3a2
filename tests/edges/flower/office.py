"""A post office in memory: each node answers its letters one after the other, through the bridge's own visit."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from caduceus.edges.flower.bridge.exchange import Arrival, Exchange
from caduceus.edges.flower.bridge.lanes import Pace
from caduceus.edges.flower.bridge.letters import Answer, Letter
from caduceus.edges.flower.bridge.visit import visit

PACE = Pace(wait=0.05, per_site=0.0, quiet_wait=0.2, busy=30.0, patience=0.5)


class Gathered:
    """What arrived, in order; `expect` waits for it."""

    def __init__(self) -> None:
        self.items: list[tuple[str, bytes]] = []
        self._news = threading.Condition()

    def __call__(self, peer: str, frame: bytes) -> None:
        with self._news:
            self.items.append((peer, frame))
            self._news.notify_all()

    def from_hub(self, frame: bytes) -> None:
        self("hub", frame)

    def expect(self, count: int, *, within: float = 30.0) -> list[tuple[str, bytes]]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.items) >= count, within), f"{len(self.items)} of {count} came"
            return list(self.items[:count])

    def frames(self, peer: str) -> list[bytes]:
        return [frame for name, frame in self.items if name == peer]


class Office:
    """Stands in for Flower's Grid: `nodes` maps each node that is online to its site's socket."""

    def __init__(self, nodes: dict[int, Path]) -> None:
        self.online = dict(nodes)
        self._places = dict(nodes)
        self.spoil: Callable[[Arrival], Arrival | None] = lambda arrival: arrival
        self.pushed: list[tuple[int, Letter]] = []
        self._names = map(str, itertools.count(1))
        self._mail: dict[int, queue.SimpleQueue[tuple[str, Letter]]] = {}
        self._ready: list[Arrival] = []
        self._guard = threading.Lock()

    def nodes(self) -> Iterable[int]:
        return list(self.online)

    def push(self, node: int, letter: Letter) -> str | None:
        if node not in self.online:
            return None
        name = next(self._names)
        self.pushed.append((node, letter))
        if node not in self._mail:
            self._mail[node] = queue.SimpleQueue()
            threading.Thread(target=self._answer, args=(node,), daemon=True).start()
        self._mail[node].put((name, letter))
        return name

    def pull(self, messages: set[str]) -> Iterable[Arrival]:
        with self._guard:
            found = [arrival for arrival in self._ready if arrival.message in messages]
            self._ready = [arrival for arrival in self._ready if arrival.message not in messages]
        return found

    def _answer(self, node: int) -> None:
        while True:
            name, letter = self._mail[node].get()
            answer: Answer = visit(self._places[node], letter)
            arrival = self.spoil(Arrival(name, node, answer))
            if arrival is not None:
                with self._guard:
                    self._ready.append(arrival)


def forged(arrival: Arrival) -> Arrival:
    """The same reply by somebody who has not read the letter."""
    assert arrival.answer is not None
    return replace(arrival, answer=replace(arrival.answer, nonce=bytes(32)))


@contextlib.contextmanager
def running(office: Office, hub_socket: Path, notes: list[str], pace: Pace = PACE) -> Iterator[threading.Thread]:
    """The bridge of the hub, at work."""
    stop = threading.Event()
    thread = threading.Thread(target=Exchange(office, hub_socket, pace, notes.append).run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
