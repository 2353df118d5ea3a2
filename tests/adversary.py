"""Parties that misbehave on script, and the stage on which they do it.

`Play` runs one round of secure aggregation between a real server and real clients. A test puts a *mischief*
between them: a function that sees each message on its way and hands on what it likes. Mischief of a site
stands between that site and the server; mischief of the coordinator between the server and one site. Whoever
must sign what it forges is given the signer. `until` stops before a phase is closed, for scripts in which the
coordinator follows no protocol at all and speaks to the sites through `told_by_coordinator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TypeVar

import numpy as np

from caduceus import canon
from caduceus.crypto.agree import Agreement
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.sign import Signer, Upload, digest, domain_separator
from caduceus.errors import Refused
from caduceus.kinds import Residues
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.envelope import SCHEME, Signed, sign_record
from caduceus.protocol.secagg_client import Client
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_messages import Header, Shares
from caduceus.protocol.secagg_replay import replay
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_session import SUITE, Party, Session, threshold_for

DOMAIN = domain_separator(31337, bytes(range(20)))
JOB = sha256(b"the job under test").digest()
STATE = sha256(b"the state under test").digest()

T = TypeVar("T")

Mischief = Callable[[Phase, int, bytes], Iterable[bytes]]
"""`mischief(phase, seat, message)` gives what travels instead: nothing, one message, or several."""


def secret(*parts: object) -> bytes:
    """32 bytes that are the same in every run."""
    return sha256("/".join(map(str, parts)).encode()).digest()


def signer_of(seat: int) -> Signer:
    """A site's signer in every play."""
    return Signer(secret("signer", seat))


@cache
def agreement_of(seat: int) -> Agreement:
    """A site's agreement key in every play."""
    return Agreement(secret("agreement", seat))


COORDINATOR = Signer(secret("coordinator"))


def a_session(sites: int, *, length: int = 5, bits: int = 64, round: int = 0, state: bytes = STATE) -> Session:
    """A session of so many sites with keys that are the same in every play."""
    return Session(
        suite=SUITE,
        domain=DOMAIN,
        job=JOB,
        round=round,
        coordinator=COORDINATOR.address,
        parties=tuple(Party(seat, signer_of(seat).address, agreement_of(seat).public) for seat in range(sites)),
        threshold=threshold_for(sites),
        state=state,
        length=length,
        bits=bits,
    )


def a_vector(session: Session, seat: int) -> Residues:
    """A site's vector: uniform over the ring, the same in every play."""
    generator = np.random.default_rng([session.round, seat])  # test data, no secret
    dtype = DTYPES[session.bits]
    return generator.integers(0, 2**session.bits, session.length, dtype=dtype.type)


class Memory(dict[str, bytes]):
    """A site's journal for one round: the first decision stands."""

    def remember(self, what: str, value: bytes) -> None:
        """Keep a decision; raises Refused if another was kept before."""
        if self.setdefault(what, value) != value:
            raise Refused(f"{what} was decided differently before")


def a_client(session: Session, seat: int, memory: Memory | None = None, vector: Residues | None = None) -> Client:
    """A site; built again with the same memory it is the same site after a crash."""
    return Client(
        session,
        seat,
        a_vector(session, seat) if vector is None else vector,
        signer=signer_of(seat),
        agreement=agreement_of(seat),
        entropy=KeyedEntropy(secret("entropy", seat)),
        remember=(Memory() if memory is None else memory).remember,
    )


@dataclass
class Play:
    """One round on stage.

    silent    seats that say nothing from a phase on
    sites     mischief of sites, by seat
    lies      mischief of the coordinator: what reaches a site instead of what the server said
    order     in which order sites answer in a phase; ascending if None
    make      makes each site's client
    absent    seats that are invited and not played
    """

    session: Session
    silent: Mapping[Phase, frozenset[int]] = field(default_factory=dict)
    sites: Mapping[int, Mischief] = field(default_factory=dict)
    lies: Mischief | None = None
    order: Callable[[Phase, list[int]], list[int]] | None = None
    memories: dict[int, Memory] = field(default_factory=dict)
    absent: frozenset[int] = frozenset()
    make: Callable[[Session, int, Memory], Client] = a_client

    def __post_init__(self) -> None:
        self.server = Server(self.session, COORDINATOR)
        self.clients = {
            seat: self.make(self.session, seat, self.memories.setdefault(seat, Memory()))
            for seat in self.session.seats
            if seat not in self.absent
        }
        self._gone: set[int] = set()
        self.problems: dict[int, Exception] = {}
        """Why a site stopped answering, by seat."""
        self.heard: list[tuple[Phase, int, bytes]] = []
        """Everything that reached the server."""
        self.told: list[tuple[Phase, int, bytes]] = []
        """Everything that reached a site when a phase closed."""

    def run(self) -> Residues:
        """Play the round to its end; raises what the server raises if it fails."""
        spoken: dict[int, list[bytes]] = {seat: [client.advertise()] for seat, client in self.clients.items()}
        while self.server.phase is not Phase.DONE:
            self._answer(spoken)
            spoken = self.close()
        assert self.server.total is not None
        return self.server.total

    def until(self, phase: Phase) -> None:
        """Play until the server has heard everyone in a phase, which stays open."""
        spoken: dict[int, list[bytes]] = {seat: [client.advertise()] for seat, client in self.clients.items()}
        self._answer(spoken)
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

    def _speak(self, phase: Phase, seat: int, messages: list[bytes]) -> None:
        for message in messages:
            for body in self.sites[seat](phase, seat, message) if seat in self.sites else [message]:
                self.heard.append((phase, seat, body))
                for reply in self.server.receive(seat, body):
                    self._hear(phase, seat, reply)

    def _hear(self, phase: Phase, seat: int, body: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for told in [body] if self.lies is None else self.lies(phase, seat, body):
            self.told.append((phase, seat, told))
            try:
                answers += self.clients[seat].react(told)
            except Exception as problem:  # noqa: BLE001  (whatever it is, the site says no more; tests look at it)
                self.problems[seat] = problem
        return answers

    def plain_sum(self, seats: Iterable[int]) -> list[int]:
        """What the sum of these sites' vectors is, in whole numbers mod 2**bits."""
        vectors = [a_vector(self.session, seat).tolist() for seat in seats]
        return [sum(column) % 2**self.session.bits for column in zip(*vectors, strict=True)]

    def replayed(self) -> Residues:
        """What a stranger makes of the record."""
        exchange = canon.unpack(Exchange, canon.pack(self.server.exchange()))
        uploads = self.server.uploads()
        return replay(exchange, lambda seat: uploads[seat])

    def faults(self) -> list[tuple[int, Phase, str]]:
        """Whom the server caught, when, and at what."""
        return [(fault.seat, Phase(fault.phase), fault.why) for fault in self.server.faults]


# ---------------------------------------------------------------- ready-made mischief


def told_by_coordinator(record: object) -> bytes:
    """Anything, signed by the coordinator."""
    return sign_record(COORDINATOR, DOMAIN, record)


def said_by(seat: int, record: object) -> bytes:
    """Anything, signed by a site."""
    return sign_record(signer_of(seat), DOMAIN, record)


def reads(kind: type[T], message: bytes) -> T:
    """The record in a signed message."""
    return canon.unpack(kind, canon.unpack(Signed, message).body)


def only(phase: Phase, change: Callable[[bytes], Iterable[bytes]]) -> Mischief:
    """Mischief in one phase; honest in the others."""
    return lambda now, seat, message: change(message) if now is phase else [message]


def altered(signer: Signer, kind: type, /, **fields: object) -> Callable[[bytes], Iterable[bytes]]:
    """The message with other fields, signed again by `signer`, so that only its content is wrong."""

    def change(message: bytes) -> Iterable[bytes]:
        record = canon.unpack(kind, canon.unpack(Signed, message).body)
        yield sign_record(signer, DOMAIN, with_fields(record, **fields))

    return change


def altered_shares(
    signer: Signer, *, header: Mapping[str, object] | None = None, **fields: object
) -> Callable[[bytes], Iterable[bytes]]:
    """As `altered`, for shares, whose header alone is signed."""

    def change(message: bytes) -> Iterable[bytes]:
        shares = canon.unpack(Shares, message)
        changed = with_fields(reads(Header, shares.header), **(header or {}))
        yield canon.pack(with_fields(shares, header=sign_record(signer, DOMAIN, changed), **fields))

    return change


def altered_upload(
    session: Session, signer: Signer, kind: type, /, **fields: object
) -> Callable[[bytes], Iterable[bytes]]:
    """As `altered`, for uploads, which are signed as a struct of their own."""

    def change(message: bytes) -> Iterable[bytes]:
        record = reads(kind, message)
        body = canon.pack(with_fields(record, **fields))
        struct = Upload(session.job, session.round, record.seat, canon.digest_bytes(body))
        yield canon.pack(Signed(body, SCHEME, signer.sign(digest(DOMAIN, struct))))

    return change


def with_fields(record: object, /, **fields: object) -> object:
    """A record with some fields replaced; a function is given the old value."""
    names = type(record).__slots__  # type: ignore[attr-defined]
    values = {name: getattr(record, name) for name in names}
    for name, value in fields.items():
        values[name] = value(values[name]) if callable(value) else value
    return type(record)(**values)
