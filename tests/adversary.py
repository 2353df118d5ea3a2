"""Parties that misbehave on script, and the stages on which they do it.

`SetupPlay` sets up secure aggregation between a real server and real sites, `Play` runs a round of it. A test puts a
*mischief* between them: a function that sees each message on its way and hands on what it likes. Mischief of a site
stands between that site and the server; mischief of the coordinator between the server and one site. Whoever must
sign what it forges is given the keys. `until` stops before a phase is closed, for scripts in which the coordinator
follows no protocol at all and speaks to the sites through `told_by_coordinator`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np

from caduceus import canon
from caduceus.crypto import keystream
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer, Upload, digest, domain_separator
from caduceus.errors import Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import SCHEME, Signed, sign_record, vouch
from caduceus.protocol.secagg_client import Client
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_ground import Ground
from caduceus.protocol.secagg_messages import Deal, Header
from caduceus.protocol.secagg_plan import Family, Plan, threshold_for
from caduceus.protocol.secagg_replay import replay
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import SUITE, Layout, Party, Setup, quorum_for
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord
from caduceus.protocol.secagg_setup_server import SetupPhase, SetupServer
from caduceus.protocol.secagg_setup_site import SetupSite

DOMAIN = domain_separator(31337, bytes(range(20)))
JOB = sha256(b"the job under test").digest()
STATE = sha256(b"the state under test").digest()
BEACON = Digest(sha256(b"the beacon under test").digest())

T = TypeVar("T")

Mischief = Callable[[Any, int, bytes], Iterable[bytes]]
"""`mischief(phase, seat, message)` gives what travels instead: nothing, one message, or several."""


def secret(*parts: object) -> bytes:
    """32 bytes that are the same in every run."""
    return sha256("/".join(map(str, parts)).encode()).digest()


@cache
def signer_of(seat: int) -> Signer:
    """A site's signer in every play."""
    return Signer(secret("signer", seat))


@cache
def identity_of(seat: int) -> Identity:
    """A site's ML-DSA-65 key in every play."""
    return Identity(secret("identity", seat))


def entropy_of(seat: int) -> KeyedEntropy:
    """A site's secrets in every play."""
    return KeyedEntropy(secret("entropy", seat))


@cache
def party_of(seat: int) -> Party:
    """A site as it enrolled, in every play."""
    return Party(seat, signer_of(seat).address, Digest(sha256(identity_of(seat).public).digest()))


COORDINATOR = Signer(secret("coordinator"))


def full(sites: int) -> Plan:
    """Everybody masks with everybody and sits in the committee."""
    return Plan(sites, sites - 1, sites, threshold_for(sites), Family.FULL)


def a_setup(
    sites: int,
    *,
    rounds: int = 2,
    first: int = 0,
    draw: int | None = None,
    cohort: int = 0,
    plan: Plan | None = None,
    silent: int = 0,
) -> Setup:
    """A set-up of so many sites with keys that are the same in every play.

    plan    the full graph if None
    silent  for how many silent sites a sparse plan was made
    """
    plan = plan or full(sites)
    return Setup(
        suite=SUITE,
        domain=DOMAIN,
        job=JOB,
        coordinator=COORDINATOR.address,
        parties=tuple(party_of(seat) for seat in range(sites)),
        plan=plan,
        quorum=quorum_for(plan, silent),
        cohort=cohort,
        beacon=BEACON,
        cipher=keystream.CIPHER,
        first=first,
        rounds=rounds,
        draw=first if draw is None else draw,
    )


class Memory(dict[str, bytes]):
    """A site's journal: the first decision stands."""

    def remember(self, what: str, value: bytes) -> None:
        """Keep a decision; raises Refused if another was kept before."""
        if self.setdefault(what, value) != value:
            raise Refused(f"{what} was decided differently before")


def a_setup_site(layout: Layout, seat: int, memory: Memory | None = None) -> SetupSite:
    """A site; built again with the same memory it is the same site after a crash."""
    return SetupSite(
        layout,
        seat,
        signer=signer_of(seat),
        identity=identity_of(seat),
        entropy=entropy_of(seat),
        remember=(Memory() if memory is None else memory).remember,
    )


# ---------------------------------------------------------------- stages


@dataclass
class Stage(ABC):
    """What both plays have in common: who speaks, who is silent, and who alters what on the way.

    silent  seats that say nothing from a phase on
    sites   mischief of sites, by seat
    lies    mischief of the coordinator: what reaches a site instead of what the server said
    order   in which order sites answer in a phase; ascending if None
    absent  seats that are enrolled and not played
    """

    silent: Mapping[Any, frozenset[int]] = field(default_factory=dict)
    sites: Mapping[int, Mischief] = field(default_factory=dict)
    lies: Mischief | None = None
    order: Callable[[Any, list[int]], list[int]] | None = None
    absent: frozenset[int] = frozenset()
    memories: dict[int, Memory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gone: set[int] = set()
        self.problems: dict[int, Exception] = {}
        """Why a site stopped answering, by seat."""
        self.heard: list[tuple[IntEnum, int, bytes]] = []
        """Everything that reached the server."""
        self.told: list[tuple[IntEnum, int, bytes]] = []
        """Everything that reached a site."""

    server: Any = field(init=False)
    actors: dict[int, Any] = field(init=False)

    @abstractmethod
    def opening(self) -> dict[int, list[bytes]]:
        """What the sites say first."""

    def until(self, phase: IntEnum) -> None:
        """Play until the server has heard everyone in a phase, which stays open."""
        self._answer(self.opening())
        while self.server.phase < phase:
            self._answer(self.close())

    def close(self) -> dict[int, list[bytes]]:
        """Close the phase; returns what the sites answer."""
        phase = self.server.phase
        return {seat: self._hear(phase, seat, body) for seat, body in self.server.advance().items()}

    def _answer(self, spoken: Mapping[int, list[bytes]]) -> None:
        phase = self.server.phase
        self._gone |= self.silent.get(phase, frozenset())
        seats = [seat for seat in sorted(spoken) if seat not in self._gone]
        for seat in seats if self.order is None else self.order(phase, seats):
            self._speak(phase, seat, spoken[seat])

    def _speak(self, phase: IntEnum, seat: int, messages: list[bytes]) -> None:
        for message in messages:
            for body in self.sites[seat](phase, seat, message) if seat in self.sites else [message]:
                self.heard.append((phase, seat, body))
                for reply in self.server.receive(seat, body):
                    self._hear(phase, seat, reply)

    def _hear(self, phase: IntEnum, seat: int, body: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for told in [body] if self.lies is None else self.lies(phase, seat, body):
            self.told.append((phase, seat, told))
            try:
                answers += self.actors[seat].react(told)
            except Exception as problem:  # noqa: BLE001  (whatever it is, the site says no more; tests look at it)
                self.problems[seat] = problem
        return answers

    def faults(self) -> list[tuple[int, str]]:
        """Whom the server caught, and at what."""
        return [(fault.seat, fault.why) for fault in self.server.faults]


@dataclass
class SetupPlay(Stage):
    """A set-up on stage.

    make  makes each site
    """

    setup: Setup = field(default_factory=lambda: a_setup(4))
    make: Callable[[Layout, int, Memory], SetupSite] = a_setup_site

    def __post_init__(self) -> None:
        super().__post_init__()
        self.layout = Layout(self.setup)
        self.server = SetupServer(self.layout, COORDINATOR)
        self.actors = {
            seat: self.make(self.layout, seat, self.memories.setdefault(seat, Memory()))
            for seat in self.layout.seats
            if seat not in self.absent
        }

    def opening(self) -> dict[int, list[bytes]]:
        return {seat: [site.advertise()] for seat, site in self.actors.items()}

    def run(self) -> Prepared:
        """Play the set-up to its end; raises what the server raises if it fails."""
        spoken = self.opening()
        while self.server.phase is not SetupPhase.DONE:
            self._answer(spoken)
            spoken = self.close()
        return self.prepared()

    def prepared(self) -> Prepared:
        """What rounds stand on; the record read again as a stranger would."""
        record = canon.unpack(SetupRecord, canon.pack(self.server.record()))
        grounds = {seat: site.ground for seat, site in self.actors.items() if site.ground is not None}
        return Prepared(Foundation(Layout(self.setup), record), grounds)


@dataclass(frozen=True)
class Prepared:
    """A set-up that is done: its public record, and every ready site's secrets."""

    foundation: Foundation
    grounds: dict[int, Ground]

    def session(self, *, length: int = 5, bits: int = 64, round: int = 0, state: bytes = STATE) -> Session:
        """A session of a round on this set-up."""
        ready = self.foundation.ready_id
        return Session(ready, round, Digest(state), length, bits)


@cache
def prepared(
    sites: int,
    *,
    rounds: int = 2,
    first: int = 0,
    draw: int | None = None,
    cohort: int = 0,
    plan: Plan | None = None,
    silent: int = 0,
) -> Prepared:
    """A set-up in which nothing went wrong, made once."""
    setup = a_setup(sites, rounds=rounds, first=first, draw=draw, cohort=cohort, plan=plan, silent=silent)
    return SetupPlay(setup=setup).run()


def a_vector(session: Session, seat: int) -> Residues:
    """A site's vector: uniform over the ring, the same in every play."""
    generator = np.random.default_rng([session.round, seat])  # test data, no secret
    dtype = DTYPES[session.bits]
    return generator.integers(0, 2**session.bits, session.length, dtype=dtype.type)


def a_client(session: Session, ground: Ground, memory: Memory | None = None) -> Client:
    """A site; built again with the same memory it is the same site after a crash."""
    remember = (Memory() if memory is None else memory).remember
    return Client(session, ground, signer=signer_of(ground.seat), remember=remember)


@dataclass
class Play(Stage):
    """One round on stage.

    stage    the set-up
    session  the first round of it if None
    make     makes each site's client
    vector   gives each site's vector
    """

    stage: Prepared = field(default_factory=lambda: prepared(4))
    session: Session | None = None  # type: ignore[assignment]
    make: Callable[[Session, Ground, Memory], Client] = a_client
    vector: Callable[[Session, int], Residues] = a_vector
    revealed: tuple[frozenset[int], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.session: Session = self.session or self.stage.session()
        self.server = Server(self.session, self.stage.foundation, COORDINATOR, revealed=self.revealed)
        self.actors = {
            seat: self.make(self.session, ground, self.memories.setdefault(seat, Memory()))
            for seat, ground in self.stage.grounds.items()
            if seat not in self.absent
        }

    @property
    def clients(self) -> dict[int, Client]:
        """The sites' halves, by seat."""
        return self.actors

    def opening(self) -> dict[int, list[bytes]]:
        return {seat: [client.upload(self.vector(self.session, seat))] for seat, client in self.actors.items()}

    def run(self) -> Residues:
        """Play the round to its end; raises what the server raises if it fails.

        returns  the sum over all groups
        """
        spoken = self.opening()
        while self.server.phase is not Phase.DONE:
            self._answer(spoken)
            spoken = self.close()
        return sum_of(self.server.totals)

    def plain_sum(self, seats: Iterable[int]) -> list[int]:
        """What the sum of these sites' vectors is, in whole numbers mod 2**bits."""
        vectors = [self.vector(self.session, seat).tolist() for seat in seats]
        return [sum(column) % 2**self.session.bits for column in zip(*vectors, strict=True)]

    def replayed(self) -> Mapping[int, Residues]:
        """What a stranger makes of the record, by group."""
        exchange = canon.unpack(Exchange, canon.pack(self.server.exchange()))
        return replay(exchange, self.stage.foundation, self.server.uploads().__getitem__)


def sum_of(totals: Mapping[int, Residues]) -> Residues:
    """The sum over the groups."""
    return np.sum(np.stack([*totals.values()]), axis=0, dtype=next(iter(totals.values())).dtype)


# ---------------------------------------------------------------- ready-made mischief


def told_by_coordinator(record: object) -> bytes:
    """Anything, signed by the coordinator."""
    return sign_record(COORDINATOR, DOMAIN, record)


def said_by(seat: int, record: object) -> bytes:
    """Anything, signed by a site."""
    return sign_record(signer_of(seat), DOMAIN, record)


def vouched_by(seat: int, record: object) -> bytes:
    """Anything, signed by a site with its ML-DSA-65 key."""
    return vouch(identity_of(seat), record)


def reads(kind: type[T], message: bytes) -> T:
    """The record in a signed message."""
    return canon.unpack(kind, canon.unpack(Signed, message).body)


def only(phase: IntEnum, change: Callable[[bytes], Iterable[bytes]]) -> Mischief:
    """Mischief in one phase; honest in the others."""
    return lambda now, seat, message: change(message) if now is phase else [message]


def altered(signer: Signer, kind: type, /, **fields: object) -> Callable[[bytes], Iterable[bytes]]:
    """The message with other fields, signed again by `signer`, so that only its content is wrong."""

    def change(message: bytes) -> Iterable[bytes]:
        yield sign_record(signer, DOMAIN, with_fields(reads(kind, message), **fields))

    return change


def altered_vouched(seat: int, kind: type, /, **fields: object) -> Callable[[bytes], Iterable[bytes]]:
    """As `altered`, for messages under an ML-DSA-65 key."""

    def change(message: bytes) -> Iterable[bytes]:
        yield vouched_by(seat, with_fields(reads(kind, message), **fields))

    return change


def altered_deal(
    seat: int, *, header: Mapping[str, object] | None = None, **fields: object
) -> Callable[[bytes], Iterable[bytes]]:
    """As `altered`, for deals, whose header alone is signed."""

    def change(message: bytes) -> Iterable[bytes]:
        deal = canon.unpack(Deal, message)
        changed = with_fields(reads(Header, deal.header), **(header or {}))
        yield canon.pack(with_fields(deal, header=vouched_by(seat, changed), **fields))

    return change


def altered_upload(
    session: Session, signer: Signer, /, *, vector: Residues | None = None, **fields: object
) -> Callable[[bytes], Iterable[bytes]]:
    """As `altered`, for uploads, which are signed as a struct of their own; another vector is named by its digest."""

    def change(message: bytes) -> Iterable[bytes]:
        if vector is not None:
            message = message[: uploads.HEAD_BYTES] + vector.tobytes()
        record = canon.unpack(upload_kind(), uploads.envelope(message, who="").body)
        named = {"vector": uploads.vector_digest(message), **fields}
        body = canon.pack(with_fields(record, **named))
        struct = Upload(JOB, session.round, record.seat, canon.digest_bytes(body))
        yield framed(Signed(body, SCHEME, signer.sign(digest(DOMAIN, struct))), message[uploads.HEAD_BYTES :])

    return change


def upload_kind() -> type:
    """The record of an upload; the signed struct has the same name."""
    from caduceus.protocol.secagg_messages import Upload as Record

    return Record


def framed(signed: Signed, vector: bytes) -> bytes:
    """An upload's bytes from its envelope and its vector."""
    head = canon.pack(signed)
    return (len(head).to_bytes(4) + head).ljust(uploads.HEAD_BYTES, b"\0") + vector


def with_fields(record: object, /, **fields: object) -> object:
    """A record with some fields replaced; a function is given the old value."""
    names = type(record).__slots__  # type: ignore[attr-defined]
    values = {name: getattr(record, name) for name in names}
    for name, value in fields.items():
        values[name] = value(values[name]) if callable(value) else value
    return type(record)(**values)
