"""An engine inside the test's process: two queues for each peer, delivered when the test says so, with faults."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from caduceus.crypto.sign import Signer
from caduceus.edges.switchboard.hub import SwitchHub
from caduceus.edges.switchboard.spoke import SwitchSpoke
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId

DOMAIN = b"d" * 32
JOB, OTHER_JOB = JobId(b"j" * 32), JobId(b"k" * 32)


def key_of(name: str) -> Signer:
    """The key that signs a party's frames."""
    return Signer(sha256(name.encode()).digest())


def account_of(name: str) -> Address:
    """A party's account."""
    return Signer(sha256(f"{name}/account".encode()).digest()).address


class MemoryStore:
    """Implements `ports.Store`."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}

    def put(self, blob: bytes) -> Digest:
        digest = Digest(sha256(blob).digest())
        self.blobs[digest] = blob
        return digest

    def get(self, digest: Digest) -> bytes:
        if digest not in self.blobs:
            raise Refused(f"no blob {digest.hex()}")
        return self.blobs[digest]

    def has(self, digest: Digest) -> bool:
        return digest in self.blobs


@dataclass
class Wire:
    """Frames under way, in the order posted; everything that was ever posted is kept, as an eavesdropper would.

    cut  peers that nothing can be posted to or from
    drop says of a frame whether it is lost on the way
    """

    queue: deque[tuple[str, str, bytes]] = field(default_factory=deque)
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    hub: Callable[[str, bytes], None] | None = None
    spokes: dict[str, Callable[[bytes], None]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    drop: Callable[[str, str, bytes], bool] = lambda _to, _peer, _frame: False
    changed: threading.Condition = field(default_factory=threading.Condition)
    taking: threading.Lock = field(default_factory=threading.Lock)

    def post(self, peer: str, frame: bytes) -> None:
        """The hub's engine."""
        self._put("spoke", peer, frame)

    def _put(self, to: str, peer: str, frame: bytes) -> None:
        if peer in self.cut:
            raise Unavailable(f"{peer} is not connected")
        with self.changed:
            self.queue.append((to, peer, frame))
            self.seen.append((to, peer, frame))
            self.changed.notify_all()

    def outward(self, peer: str) -> Any:
        """A spoke's engine."""
        wire = self

        class Outward:
            def post(self, frame: bytes) -> None:
                wire._put("hub", peer, frame)

        return Outward()

    def step(self) -> bool:
        """Deliver one frame; whether there was one."""
        with self.taking:
            with self.changed:
                if not self.queue:
                    return False
                to, peer, frame = self.queue.popleft()
            if peer in self.cut or self.drop(to, peer, frame):
                return True
            if to == "hub":
                if self.hub is not None:
                    self.hub(peer, frame)
            elif peer in self.spokes:
                self.spokes[peer](frame)
            return True

    def flow(self) -> None:
        """Deliver until nothing is under way."""
        while self.step():
            pass

    def flow_until(self, is_so: Callable[[], object], seconds: float = 60.0) -> None:
        """Deliver until something is so, which other threads may bring about; fails if it never is."""
        end = time.monotonic() + seconds
        while not is_so():
            if not self.step():
                with self.changed:
                    if not self.queue:
                        self.changed.wait(0.01)
            assert time.monotonic() < end, "it never came to that"


@dataclass
class Office:
    """One hub and its spokes.

    members  the keys that the chain knows, by account
    told     what operators see: who is told, about whom or which job, why, and whether the other side refused
    asked    every question to the chain
    """

    wire: Wire = field(default_factory=Wire)
    store: MemoryStore = field(default_factory=MemoryStore)
    members: dict[Address, Address] = field(default_factory=dict)
    told: list[tuple[str, Any, str, bool]] = field(default_factory=list)
    bugs: list[BaseException] = field(default_factory=list)
    asked: list[Address] = field(default_factory=list)
    processes: int = 0

    def __post_init__(self) -> None:
        self.join("hub")
        self.hub = self.start_hub()

    def join(self, name: str, key: str | None = None) -> None:
        """Register a member."""
        self.members[account_of(name)] = key_of(key or name).address

    def session(self) -> bytes:
        self.processes += 1
        return self.processes.to_bytes(16)

    def signer_of(self, account: Address) -> Address | None:
        self.asked.append(account)
        return self.members.get(account)

    def start_hub(self) -> SwitchHub:
        """A new process of the hub."""
        hub = self.hub = SwitchHub(
            self.wire,
            account=account_of("hub"),
            signer=key_of("hub"),
            domain=DOMAIN,
            signer_of=self.signer_of,
            store=self.store,
            session=self.session(),
            on_refusal=lambda who, job, why, theirs: self.told.append(("hub", who, why, theirs)),
        )
        self.wire.hub = hub.arrived
        return hub

    def start(
        self, name: str, *, peer: str | None = None, key: str | None = None, hub: str = "hub", joins: bool = True
    ) -> SwitchSpoke:
        """A new process of a party, which has not said hello."""
        if joins and account_of(name) not in self.members:
            self.join(name)
        place = peer or f"peer of {name}"
        spoke = SwitchSpoke(
            self.wire.outward(place),
            account=account_of(name),
            signer=key_of(key or name),
            domain=DOMAIN,
            hub=account_of(hub),
            hub_signer=lambda: self.signer_of(account_of("hub")),
            session=self.session(),
            on_refusal=lambda job, why, theirs: self.told.append((name, job, why, theirs)),
            on_bug=self.bugs.append,
            patience=60.0,
        )
        self.wire.spokes[place] = spoke.arrived
        return spoke

    def connect(self, name: str, **choices: Any) -> SwitchSpoke:
        """A new process of a party that has shaken hands."""
        spoke = self.start(name, **choices)
        self.meet(spoke)
        return spoke

    def meet(self, *spokes: SwitchSpoke) -> None:
        """Let them say hello, and what comes of it."""
        for spoke in spokes:
            spoke.greet()
        self.wire.flow()

    def whys(self, name: str, *, theirs: bool | None = None) -> list[str]:
        """Why something was refused, as one side's operator sees it."""
        return [why for who, _, why, said in self.told if who == name and theirs in (None, said)]

    def background(self) -> Pump:
        """Deliver in a thread of its own, until left."""
        return Pump(self.wire)


class Pump:
    """Delivers frames in a thread, as an engine does."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.stop = wire, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pump:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _run(self) -> None:
        while not self.stop.is_set():
            if not self.wire.step():
                with self.wire.changed:
                    if not self.wire.queue:
                        self.wire.changed.wait(0.02)


@dataclass
class Echo:
    """Implements `ports.Reactor`: answers what it is told, and remembers it."""

    heard: list[bytes] = field(default_factory=list)

    def react(self, body: bytes) -> list[bytes]:
        self.heard.append(body)
        return [b"re: " + body]
