"""A tiny protocol on the simulated network, with a journal and a chain: what the tests of the ground drive.

The coordinator asks every site to count to `goal`, one number at a time, and asks again what was not answered. A site
remembers each number before it answers it, so whatever is lost or crashes, no number is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.sim.chance import happens, stream
from caduceus.sim.clock import VirtualClock
from caduceus.sim.host import Crash, Host
from caduceus.sim.journal import MemoryJournal
from caduceus.sim.network import LineFaults, Network
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace


def site_at(number: int) -> Address:
    return Address(bytes([number + 1]) * 20)


class Counter:
    """A site: built from its journal, it goes on where it was."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.next = len(journal.keys("count/"))

    def react(self, body: bytes) -> Sequence[bytes]:
        number = int(body)
        if number > self.next:
            raise Refused(f"{number} comes after {self.next}")
        if number == self.next:
            self.journal.put_once(f"count/{number:04}", body)
            self.next += 1
        return [body]


@dataclass
class Ground:
    """The coordinator's host, and those of the sites."""

    trace: Trace
    schedule: Schedule
    network: Network
    coordinator: Host
    sites: dict[Address, Host]
    chance: Random
    crashes: int = 0
    faults: int = 0

    def build(self, site: Address) -> None:
        host = self.sites[site]
        self.network.attach(site, host, Counter(host.journal()))

    def died(self, host: Host, _crash: Crash) -> None:
        """Somebody starts the machine again a little later."""
        self.crashes += 1
        if happens(self.chance, 0.3):
            host.disk.cut_power()
        site = next(one for one, its in self.sites.items() if its is host)

        def again() -> None:
            host.restart()
            self.build(site)

        self.schedule.after(self.chance.uniform(0.1, 2.0), f"{host.name} is repaired", again)

    def faulty(self, *_: object) -> None:
        self.faults += 1


def ground(seed: int, *, sites: int = 3, faults: LineFaults, crashes: float = 0.0) -> Ground:
    """Hosts on a network; a site dies at a crash point with the given probability."""
    clock = VirtualClock()
    trace = Trace(clock)
    schedule = Schedule(clock, trace, stream(seed, "schedule"))
    network = Network(schedule, trace, stream(seed, "network"), faults)
    hosts = {site_at(number): Host(f"site-{number}", schedule, trace) for number in range(sites)}
    made = Ground(trace, schedule, network, Host("coordinator", schedule, trace), hosts, stream(seed, "ground"))
    network.on_fault = made.faulty
    for site, host in hosts.items():
        host.plan = lambda _where: happens(made.chance, crashes)
        host.on_crash = made.died
        made.build(site)
    return made


def count(made: Ground, goal: int) -> dict[Address, int]:
    """The coordinator's part, on its host; how far each site came."""
    channel = made.network.connect(made.coordinator)
    reached = dict.fromkeys(made.sites, 0)
    while min(reached.values()) < goal:
        for site, number in reached.items():
            if number < goal:
                channel.send(site, str(number).encode())
        while (envelope := channel.receive(timeout=0.5)) is not None:
            if int(envelope.body) == reached[envelope.sender]:
                reached[envelope.sender] += 1
                if reached[envelope.sender] < goal:
                    channel.send(envelope.sender, str(reached[envelope.sender]).encode())
    return reached


if __name__ == "__main__":
    made = ground(11, faults=LineFaults(delay=(0.0, 0.4), lost=0.2, doubled=0.2), crashes=0.05)
    made.coordinator.run(lambda: count(made, 20))
    print(made.trace.digest.hex(), made.trace.count, made.crashes)
