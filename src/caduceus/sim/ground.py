"""Everything that one simulated world stands on, made from one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import final

from caduceus.kinds import Address, Tokens
from caduceus.sim.chain import LedgerChain
from caduceus.sim.chance import stream
from caduceus.sim.clock import VirtualClock
from caduceus.sim.host import Host
from caduceus.sim.ledger import Ledger, Pace
from caduceus.sim.network import CALM, LineFaults, Network
from caduceus.sim.node import GOOD, LedgerNode, NodeFaults
from caduceus.sim.rules.tables import Deployed
from caduceus.sim.schedule import Schedule
from caduceus.sim.store import MemoryStore
from caduceus.sim.trace import Trace
from caduceus.sim.wallet import LedgerWallet, Waiting


@dataclass(frozen=True, slots=True)
class Setting:
    """How a world is when nothing is wrong.

    at        where the contracts are
    holdings  who holds what of which token at the beginning
    pace      of the chain
    line      of the network
    node      of everybody's chain node
    """

    at: Deployed
    holdings: Mapping[Address, Mapping[Address, Tokens]]
    pace: Pace = field(default_factory=lambda: Pace(interval=12.0, delay=(0.0, 15.0)))
    line: LineFaults = CALM
    node: NodeFaults = GOOD


@final
class Ground:
    """A clock, a schedule, a chain, a network, a store, and a machine and a chain node for each party.

    Parties are named by whoever builds the world on it; a name's machine, node and chance are the same at every call.
    """

    def __init__(self, seed: int, setting: Setting) -> None:
        self.seed = seed
        self.setting = setting
        self.clock = VirtualClock()
        self.trace = Trace(self.clock)
        self.schedule = Schedule(self.clock, self.trace, self.chance("schedule"))
        self.ledger = Ledger(
            self.clock,
            setting.at,
            setting.holdings,
            pace=setting.pace,
            chance=self.chance("ledger"),
            watch=self.trace.note,
        )
        self.network = Network(self.schedule, self.trace, self.chance("network"), setting.line)
        self.store = MemoryStore()
        self.hosts: dict[str, Host] = {}
        self.nodes: dict[str, LedgerNode] = {}

    def chance(self, name: str) -> Random:
        """A stream of its own, from its beginning."""
        return stream(self.seed, name)

    def host(self, name: str) -> Host:
        """A party's machine."""
        if name not in self.hosts:
            self.hosts[name] = Host(name, self.schedule, self.trace)
        return self.hosts[name]

    def node(self, name: str) -> LedgerNode:
        """A party's chain node."""
        if name not in self.nodes:
            self.nodes[name] = LedgerNode(self.ledger, self.chance(f"node of {name}"), self.setting.node)
        return self.nodes[name]

    def chain(self, name: str) -> LedgerChain:
        """What a party reads of the chain."""
        return LedgerChain(self.node(name))

    def wallet(
        self, name: str, account: Address, *, patience: float = 120.0, confirmations: int = 1, estimate: bool = True
    ) -> LedgerWallet:
        """A party's hands on the chain: waits on the party's machine, which may die before, while or after it sends."""
        host = self.host(name)
        waiting = Waiting(self.clock, host.pause, patience, confirmations, estimate, host.point)
        return LedgerWallet(self.node(name), account, waiting)

    def store_of(self, name: str) -> MemoryStore:
        """The common store, with crash points of a party's machine."""
        return self.store.seen_from(self.host(name).point)
