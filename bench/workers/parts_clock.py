"""Where a job's processor time goes, by part: a clock that stops while a part that it calls runs.

Each thread has its own processor clock and its own stack of parts, so time is counted once and waiting is not counted.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

PARTS = {
    "data: read and prepare": ("caduceus.wiring.play:read_order", "caduceus.learn.program:Program.ready"),
    "chain: execute and store": ("caduceus.edges.evm_embedded.rpc:Node.request",),
    "chain: encode, sign, read": (
        "caduceus.edges.gateway.account:Account.invoke",
        "caduceus.edges.gateway.chain:GatewayChain.job",
        "caduceus.edges.gateway.chain:GatewayChain.enrolments",
        "caduceus.edges.gateway.chain:GatewayChain.dataset",
        "caduceus.edges.gateway.chain:GatewayChain.anchors",
        "caduceus.edges.gateway.chain:GatewayChain.claims",
    ),
    "site: learn": ("caduceus.learn.program:Program.contribute",),
    "site, set-up: advertise": ("caduceus.protocol.secagg_setup_site:SetupSite.advertise",),
    "site, set-up: read the roster": ("caduceus.protocol.secagg_setup_site:SetupSite._take_roster",),
    "site, set-up: share and seal": (
        "caduceus.protocol.secagg_setup_site:SetupSite._share",
        "caduceus.protocol.secagg_setup_site:SetupSite._deal",
    ),
    "site, set-up: open parcels": ("caduceus.protocol.secagg_setup_site:SetupSite._take_inbox",),
    "site, set-up: confirm": ("caduceus.protocol.secagg_setup_site:SetupSite._confirm",),
    "site, set-up: endorse, and stand": (
        "caduceus.protocol.secagg_setup_site:SetupSite._endorse",
        "caduceus.protocol.secagg_setup_site:SetupSite._take_endorsed",
    ),
    "site 1: mask and upload": ("caduceus.protocol.secagg_client:Client.upload",),
    "site 2: check survivors": ("caduceus.protocol.secagg_client:Client._consent",),
    "site 3: open shares": ("caduceus.protocol.secagg_client:Client._open",),
    "site: the rest of a message": ("caduceus.agents.seat:SeatedSite.react",),
    "coordinator, set-up: read and check": ("caduceus.protocol.secagg_setup_server:SetupServer.receive",),
    "coordinator, set-up: pass on": ("caduceus.protocol.secagg_setup_server:SetupServer.advance",),
    "coordinator, set-up: record": ("caduceus.protocol.secagg_setup_server:SetupServer.foundation",),
    "coordinator: read and check": ("caduceus.protocol.secagg_server:Server.receive",),
    "coordinator: pass on": ("caduceus.protocol.secagg_server:Server.advance",),
    "coordinator: unmask": ("caduceus.protocol.secagg_server:Server._unmask",),
    "coordinator: combine": ("caduceus.learn.program:Program.combine",),
    "coordinator: record": ("caduceus.protocol.round:finish", "caduceus.agents.coordinator:Coordinator._keep"),
    "settlement: compute": ("caduceus.agents.payment:settlement_of",),
    "channel: hand over": ("caduceus.edges.loopback:Loopback.send", "caduceus.edges.loopback:Loopback._serve"),
    "disk: journals": ("caduceus.edges.journal:SqliteJournal.put_all", "caduceus.edges.journal:SqliteJournal.get"),
    "disk: blobs": ("caduceus.edges.store:FolderStore.put", "caduceus.edges.store:FolderStore.get"),
    "audit: the chain's file": ("caduceus.wiring.audit:verify_file",),
    "audit: execute blocks again": ("caduceus.wiring.audit:replay",),
    "audit: sums and the rest": ("caduceus.wiring.audit:audit_run",),
    "coordinator: drive the rounds": ("caduceus.agents.coordinator:Coordinator.train",),
    "the rest of a run": ("caduceus.wiring.play:play",),
}
"""What is timed under which name: `module:path`. In an audit the learning is combined again, and counts there."""


class PartsClock:
    """Puts a clock around the functions of `PARTS`."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._mine = threading.local()

    def install(self) -> None:
        """Wrap every function; raises AttributeError if one of them is no longer there."""
        for part, places in PARTS.items():
            for place in places:
                module, _, path = place.partition(":")
                owner: Any = importlib.import_module(module)
                *outer, name = path.split(".")
                for step in outer:
                    owner = getattr(owner, step)
                function = getattr(owner, name)
                timed = self._timed(part, function)
                setattr(owner, name, timed)
                if not outer:
                    _replace_everywhere(name, function, timed)

    def table(self) -> dict[str, dict[str, float]]:
        """Processor seconds and calls by part."""
        return {part: {"processor": self._spent[part], "calls": self._calls[part]} for part in PARTS}

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            stack = self._mine.__dict__.setdefault("stack", [])
            self._switch(stack)
            stack.append(part)
            try:
                return function(*arguments, **named)
            finally:
                self._switch(stack)
                stack.pop()
                with self._lock:
                    self._calls[part] += 1

        return timed

    def _switch(self, stack: list[str]) -> None:
        """Give the time since the last switch to the part that was running."""
        now = time.thread_time()
        if stack:
            with self._lock:
                self._spent[stack[-1]] += now - self._mine.since
        self._mine.since = now


def _replace_everywhere(name: str, function: object, timed: object) -> None:
    """Modules that imported a function by its name hold it too."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("caduceus.") and getattr(module, name, None) is function:
            setattr(module, name, timed)
