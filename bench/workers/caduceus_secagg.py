"""Rounds of our secure aggregation in a fresh process: every party is played in turn, each with a clock of its own.

    python bench/workers/caduceus_secagg.py '{"sites": 10, "length": 1000, "vectors": "FILE.npy", "clip": 1.0,
                                              "vanish": 1, "neighbours": 8, "rounds": 3}'

The question comes as the argument or on standard input; one line of JSON goes to standard output. Options:

- "neighbours" (even, or sites - 1) and a committee of neighbours + 1; absent: the plan that `secagg_plan` computes.
- "assume": [corrupt, dropout, adaptive] for that plan, shares in permille; absent: the default for so many sites.
- "rounds": how many rounds are played on the one set-up (1); "prepare": for how many it is made ("rounds").
- "vectors": a .npy float32[sites, length]; absent: one row is made and every site sends it, shifted.
- "shared": true keeps what one party has verified for the others in this process: for sizes that would take hours.
- "spill": a folder for uploads, where they do not fit in memory.

What is counted is processor time of all threads: encoding, masks, signatures and their checks, serialisation, the
server's sums. What has been verified by one party is forgotten before the next one's turn, so each pays for itself.
Not counted: imports, loading the vectors, a first small set-up and round, comparing the sums. Sums are compared with
the plain ones bit for bit, and the round is replayed from its public record.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import keystream
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer, domain_separator, recover
from caduceus.kinds import Address, Digest, JobId
from caduceus.protocol import secagg_reading
from caduceus.protocol.encoding import encode, encode_into
from caduceus.protocol.secagg_client import Client
from caduceus.protocol.secagg_plan import Assumptions, Family, Plan, default_assumptions, plan, threshold_for
from caduceus.protocol.secagg_replay import replay
from caduceus.protocol.secagg_server import Server
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import SUITE, Layout, Party, Setup, quorum_for
from caduceus.protocol.secagg_setup_server import SetupServer
from caduceus.protocol.secagg_setup_site import SetupSite
from caduceus.protocol.secagg_unmask import add_groups

T = TypeVar("T")

DOMAIN = domain_separator(1337, Address(bytes(range(20))))
COORDINATOR = "coordinator"


def secret(*parts: object) -> bytes:
    """32 bytes that are the same in every run."""
    return sha256("/".join(map(str, parts)).encode()).digest()


@dataclass
class Clock:
    """Processor seconds by party."""

    shared: bool
    spent: defaultdict[Any, float] = field(default_factory=lambda: defaultdict(float))

    def run(self, party: object, call: Callable[[], T]) -> T:
        """A party's turn, in which it profits from nobody else's work."""
        if not self.shared:
            secagg_reading.forget()
            recover.cache_clear()
        began = time.process_time()
        try:
            return call()
        finally:
            self.spent[party] += time.process_time() - began

    def take(self) -> dict[Any, float]:
        """What was spent since the last time."""
        spent, self.spent = dict(self.spent), defaultdict(float)
        return spent


class Spilled(MutableMapping[int, bytes]):
    """Uploads as files."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seats = folder, set[int]()

    def __setitem__(self, seat: int, data: bytes) -> None:
        (self._folder / str(seat)).write_bytes(data)
        self._seats.add(seat)

    def __getitem__(self, seat: int) -> bytes:
        if seat not in self._seats:
            raise KeyError(seat)
        return (self._folder / str(seat)).read_bytes()

    def __delitem__(self, seat: int) -> None:
        self._seats.remove(seat)
        (self._folder / str(seat)).unlink()

    def __iter__(self) -> Iterator[int]:
        return iter(self._seats)

    def __len__(self) -> int:
        return len(self._seats)


class Cast:
    """The parties, with keys that are the same in every run."""

    def __init__(self, sites: int) -> None:
        self.coordinator = Signer(secret(COORDINATOR))
        self.signers = [Signer(secret("signer", seat)) for seat in range(sites)]
        self.identities = [Identity(secret("identity", seat)) for seat in range(sites)]

    def parties(self) -> tuple[Party, ...]:
        """The sites as they enrolled."""
        vouchers = [Digest(sha256(one.public).digest()) for one in self.identities]
        return tuple(Party(seat, self.signers[seat].address, vouchers[seat]) for seat in range(len(vouchers)))


def a_setup(question: Mapping[str, Any], cast: Cast) -> Setup:
    """The set-up that is asked for."""
    sites = question["sites"]
    if "neighbours" in question:
        degree, silent = min(question["neighbours"], sites - 1), question.get("vanish", 0)
        family = Family.FULL if degree == sites - 1 else Family.RING
        sizes = Plan(sites, degree, degree + 1, threshold_for(degree + 1), family)
    else:
        assumptions = default_assumptions(sites)
        if "assume" in question:
            corrupt, dropout, adaptive = question["assume"]
            assumptions = Assumptions(corrupt, dropout, 40, 20, adaptive)
        sizes, silent = plan(sites, assumptions), assumptions.silent(sites)
    return Setup(
        suite=SUITE,
        domain=DOMAIN,
        job=JobId(secret("job")),
        coordinator=cast.coordinator.address,
        parties=cast.parties(),
        plan=sizes,
        quorum=quorum_for(sizes, silent),
        cohort=0,
        beacon=Digest(secret("beacon", question.get("beacon", 0))),
        cipher=keystream.CIPHER,
        first=0,
        rounds=question.get("prepare", question.get("rounds", 1)),
        draw=0,
    )


def converse(
    server: Any, sites: Mapping[int, Any], first: Mapping[int, Callable[[], list[bytes]]], clock: Clock
) -> None:
    """Let the server and the sites talk until the server is done; a site that is not in `first` stays silent."""

    def hear(seat: int, messages: list[bytes]) -> None:
        for message in messages:
            for reply in clock.run(COORDINATOR, lambda message=message: server.receive(seat, message)):
                clock.run(seat, lambda reply=reply: sites[seat].react(reply))

    for seat, speak in first.items():
        hear(seat, clock.run(seat, speak))
    while not server.is_over:
        outgoing = clock.run(COORDINATOR, server.advance)
        for seat in outgoing:
            if seat in first:
                told = clock.run(COORDINATOR, lambda seat=seat, outgoing=outgoing: outgoing[seat])
                hear(seat, clock.run(seat, lambda seat=seat, told=told: sites[seat].react(told)))
                if clock.shared and isinstance(server, SetupServer):
                    sites[seat].forget()


def prepare(setup: Setup, cast: Cast, clock: Clock) -> tuple[Any, dict[int, Any]]:
    """A set-up; returns its foundation and every site's ground."""
    layout = Layout(setup)
    server = SetupServer(layout, cast.coordinator)

    def make(seat: int) -> SetupSite:
        return SetupSite(
            layout,
            seat,
            signer=cast.signers[seat],
            identity=cast.identities[seat],
            entropy=KeyedEntropy(secret("entropy", seat)),
            remember=lambda _what, _value: None,
        )

    sites = {seat: clock.run(seat, lambda seat=seat: make(seat)) for seat in layout.seats}
    converse(server, sites, {seat: (lambda site=site: [site.advertise()]) for seat, site in sites.items()}, clock)
    foundation = clock.run(COORDINATOR, server.foundation)
    return foundation, {seat: site.ground for seat, site in sites.items()}


def scale_of(clip: float, sites: int, bits: int) -> int:
    """The finest power of two at which a sum of so many entries within `clip` does not wrap."""
    room = min(((1 << bits) - 1) / (2 * sites), float(1 << 53))  # float64 counts no further one by one
    return 1 << int(np.floor(np.log2(room / clip)))


def play(
    question: Mapping[str, Any], foundation: Any, grounds: Mapping[int, Any], cast: Cast, clock: Clock, number: int
) -> dict[str, Any]:
    """One round, its sum checked bit for bit, and its replay."""
    sites, length, bits = question["sites"], question["length"], question.get("bits", 32)
    row_of = rows(question)
    scale = scale_of(question["clip"], sites, bits)
    threads = question.get("threads", 1)
    session = Session(foundation.ready_id, number, Digest(secret("state", number)), length, bits)
    shelf: MutableMapping[int, bytes] = Spilled(Path(question["spill"])) if "spill" in question else {}
    server = Server(session, foundation, cast.coordinator, threads=threads, uploads=shelf)
    clients = {
        seat: Client(session, ground, signer=cast.signers[seat], remember=lambda _what, _value: None)
        for seat, ground in grounds.items()
    }
    sent: dict[int, int] = {}
    gone = set(np.random.default_rng(number).permutation(sites)[: question.get("vanish", 0)].tolist())

    def speak(seat: int) -> list[bytes]:
        client = clients[seat]
        message, place = client.blank()
        encode_into(place, row_of(seat), scale=scale, parties=sites)
        upload = client.upload(place, message=message, threads=threads)
        sent[seat] = len(upload)
        return [upload]

    first = {seat: (lambda seat=seat: speak(seat)) for seat in clients if seat not in gone}
    began = time.perf_counter()
    converse(server, clients, first, clock)
    wall = time.perf_counter() - began
    spent = clock.take()
    total = add_groups(server.totals)
    plain = np.zeros_like(total)
    for seat in first:
        plain += encode(row_of(seat), scale=scale, bits=bits, parties=sites)
    assert np.array_equal(total, plain), "the secure sum is not the plain sum"
    secagg_reading.forget()
    recover.cache_clear()
    began = time.process_time()
    again = replay(server.exchange(), foundation, shelf.__getitem__, threads=threads)
    replayed = time.process_time() - began
    assert np.array_equal(add_groups(again), total), "the replay gives another sum"
    clients_spent = [seconds for party, seconds in spent.items() if party != COORDINATOR and party not in gone]
    return {
        "processor": sum(spent.values()),
        "server": spent[COORDINATOR],
        "client_median": median(clients_spent),
        "client_max": max(clients_spent),
        "wall": wall,
        "replay": replayed,
        "up": max(sent.values()),
        "streams": len(grounds[next(iter(first))].pair_seeds) + 1,
    }


def rows(question: Mapping[str, Any]) -> Callable[[int], npt.NDArray[np.float32]]:
    """Every site's vector."""
    if "vectors" in question:
        table = np.load(question["vectors"])
        return lambda seat: np.asarray(table[seat])
    generator = np.random.default_rng(0)
    row = generator.uniform(-question["clip"], question["clip"], question["length"]).astype(np.float32)
    return lambda seat: np.roll(row, seat)


def bare(streams: int, bytes_each: int) -> float:
    """Processor seconds of the keystreams alone, in one reused buffer: the least that a client can take."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    zeros, buffer = memoryview(bytes(1 << 17)), np.empty((1 << 17) + 16, np.uint8)
    began = time.process_time()
    for stream in range(streams):
        encryptor = Cipher(AES256(secret("bare", stream)), CTR(bytes(16))).encryptor()
        for start in range(0, bytes_each, 1 << 17):
            encryptor.update_into(zeros[: min(1 << 17, bytes_each - start)], buffer.data)
    return time.process_time() - began


def peak_mb() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> int:
    """Answer one question."""
    question = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
    warm = {"sites": 4, "length": 1000, "clip": 1.0}
    clock = Clock(shared=bool(question.get("shared")))
    cast = Cast(max(question["sites"], 4))
    small = Cast(4)
    foundation, grounds = prepare(a_setup(warm, small), small, clock)
    play(warm, foundation, grounds, small, clock, 0)
    clock.take()
    setup = a_setup(question, cast)
    began = time.perf_counter()
    foundation, grounds = prepare(setup, cast, clock)
    wall = time.perf_counter() - began
    spent = clock.take()
    played = [play(question, foundation, grounds, cast, clock, number) for number in range(question.get("rounds", 1))]
    best = {name: median(one[name] for one in played) for name in played[0]}
    streams = int(best["streams"])
    least = min(bare(streams, question["length"] * question.get("bits", 32) // 8) for _ in range(3))
    answer = {
        "plan": {name: int(getattr(setup.plan, name)) for name in ("sites", "degree", "committee", "threshold")},
        "family": setup.plan.family.name.lower(),
        "setup": {
            "processor": sum(spent.values()),
            "server": spent[COORDINATOR],
            "site_median": median(seconds for party, seconds in spent.items() if party != COORDINATOR),
            "wall": wall,
            "record": len(canon.pack(foundation.record)),
            "rounds": setup.rounds,
        },
        "round": best,
        "bare_client": least,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
