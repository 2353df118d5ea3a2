"""The coordinator's conversation with the sites of a job: set-ups, and the rounds that stand on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from caduceus import canon
from caduceus.agents.conversation import Conversation
from caduceus.agents.taken_in import TakenIn
from caduceus.crypto.sign import Signer
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.ports import Channel, Clock, Journal, Store
from caduceus.protocol.envelope import Signed, sign_record
from caduceus.protocol.job_messages import Call, Prepare
from caduceus.protocol.round import Done, finish
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_messages import Endorse, Endorsed
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord
from caduceus.protocol.secagg_setup_server import SetupServer
from caduceus.protocol.secagg_unmask import Device
from caduceus.protocol.session_for import Grounds, rounds_at_once, session_for

_INCOMPLETE = 4
"""Rounds on a set-up that some enrolled sites missed, before they are asked again."""


@dataclass(frozen=True, slots=True)
class Past:
    """What has become of the rounds so far.

    number    of the coming round
    sums      how many rounds came to a sum
    failed    whether the last round did not
    revealed  the groups over which sums were opened; empty where there is one sum
    """

    number: int
    sums: int
    failed: bool
    revealed: tuple[frozenset[int], ...]

    def after(self, exchange: Exchange, groups: tuple[tuple[int, ...], ...], *, failed: bool, cohort: int) -> Past:
        """What has become of them after one more round.

        groups  the ready sites by group
        """
        alive = frozenset(exchange.survivors)
        # Also where the round failed: its openings may have been under way.
        opened = tuple(frozenset(groups[at]) & alive for at in exchange.groups) if cohort else ()
        return Past(self.number + 1, self.sums + (not failed), failed, self.revealed + opened)


@final
class Rounds:
    """Runs set-ups and rounds of one job.

    patience    seconds that a site may take to answer one message
    most_rounds of the job, failed ones among them
    threads     how many may work on the masks
    device      hardware to take them off on instead
    """

    def __init__(
        self,
        grounds: Grounds,
        task: Task[Any],
        channel: Channel,
        *,
        signer: Signer,
        store: Store,
        journal: Journal,
        clock: Clock,
        patience: float,
        most_rounds: int,
        threads: int = 1,
        device: Device | None = None,
    ) -> None:
        self._grounds, self._task = grounds, task
        self._signer, self._store, self._journal = signer, store, journal
        self._most, self._threads = most_rounds, threads
        self._device = device
        self._sites: Mapping[int, Address] = {one.seat: one.site for one in grounds.enrolments}
        self._lines = Conversation(channel, clock, self._sites, patience)
        self._standing: Foundation | None = None
        self._silent: frozenset[int] = frozenset()

    def recall(self, past: Past, record: RoundRecord) -> tuple[Session, Past]:
        """A round that an earlier process did: its session, and what has become of the rounds with it."""
        exchange, cohort = canon.unpack(Exchange, self._store.get(record.exchange)), self._grounds.spec.cohort
        groups: tuple[tuple[int, ...], ...] = ()
        if cohort:
            setup = canon.unpack(SetupRecord, self._store.get(record.setup))
            groups = Layout(setup.setup).groups_in(record.round)
        return exchange.session, past.after(exchange, groups, failed=bool(record.failure), cohort=cohort)

    def run(self, past: Past, state: State) -> tuple[Done, Session, Past]:
        """One round, with a set-up before it where one is due.

        Raises Refused if a set-up fails: nothing was sent by anybody, and it may be tried again.
        """
        foundation = self._foundation(past)
        session = session_for(past.number, ready=foundation.ready_id, task=self._task, state=state)
        uploads = TakenIn(self._store, self._journal, self._grounds.job, session.digest)
        server = Server(
            session,
            foundation,
            self._signer,
            revealed=past.revealed,
            threads=self._threads,
            device=self._device,
            uploads=uploads,
        )
        # Where an earlier process took in an upload, it stands, whatever its site says now: the site holds a receipt.
        known = {seat for seat, upload in uploads.earlier() if server.receive(seat, upload)}
        # And where it told a survivor list, there is no other: whoever was silent then is not called again.
        list_told = self._journal.get(_list_key(self._grounds.job, session))
        seats = foundation.ready.seats if list_told is None else canon.unpack(_Told, list_told).seats
        call = Call(self._grounds.job, past.number, foundation.ready_id, canon.pack(state))
        failure = ""
        for seat in self._silent.intersection(seats):  # perhaps it has never heard that the set-up ended
            self._lines.remind(seat)
        try:
            self._lines.hold(server, dict.fromkeys(seats, self._say(call)), known, lambda: self._write_down(server))
        except Refused as problem:
            failure = str(problem)
        done = finish(server, self._task, state, failure, uploads.digests)
        exchange, cohort = server.exchange(), foundation.layout.setup.cohort
        self._silent = frozenset(foundation.ready.seats).difference(exchange.survivors)
        return done, session, past.after(exchange, server.by_group, failed=bool(done.record.failure), cohort=cohort)

    def _write_down(self, server: Server) -> None:
        """Keep a survivor list before anybody hears of it."""
        if server.phase is Phase.CONSENT:
            key = _list_key(self._grounds.job, server.session)
            self._journal.put_once(key, canon.pack(_Told(server.survivors)))

    def _foundation(self, past: Past) -> Foundation:
        """The set-up for the coming round: the one at hand or in the journal if it will do, else a new one.

        Written down before anybody uploads under it: a coordinator that starts again goes on with the same.
        """
        if self._standing is None:
            kept = self._recall(past.number)
            if kept is not None and self._will_do(kept, past):
                self._stand_on(kept)
                for seat in kept.ready.seats:  # an earlier process may have ended before every site had heard of it
                    self._lines.remind(seat)
        if self._standing is None or not self._will_do(self._standing, past):
            self._stand_on(self._prepare(past))
        assert self._standing is not None
        return self._standing

    def _stand_on(self, foundation: Foundation) -> None:
        """Use a set-up from now on, and have its outcome told to whoever may have missed it."""
        self._standing = foundation
        said = [canon.unpack(Endorse, canon.unpack(Signed, one).body) for one in foundation.record.endorses]
        ready, members = self._say(foundation.ready), tuple(one.seat for one in said)
        places = {seat: at for at, seat in enumerate(foundation.ready.seats)}

        def outcome(seat: int) -> bytes | None:
            if seat not in places:
                return None
            return canon.pack(Endorsed(ready, members, np.stack([one.tags[places[seat]] for one in said])))

        self._lines.begin_with(outcome)

    def _will_do(self, foundation: Foundation, past: Past) -> bool:
        setup = foundation.layout.setup
        used = past.number - setup.first
        is_complete = len(foundation.ready.seats) == len(setup.parties)
        return used < setup.rounds and (used == 0 or not (past.failed or (used >= _INCOMPLETE and not is_complete)))

    def _prepare(self, past: Past) -> Foundation:
        first, draw = past.number, past.sums
        rounds = rounds_at_once(len(self._sites), max(1, self._most - first))
        self._lines.begin_with(lambda _seat: None)
        server = SetupServer(Layout(self._grounds.setup(first=first, rounds=rounds, draw=draw)), self._signer)
        prepare = self._say(Prepare(self._grounds.job, first, rounds, draw))
        self._lines.hold(server, dict.fromkeys(self._sites, prepare))
        foundation = server.foundation()
        self._journal.put_once(_key(self._grounds.job, first), foundation.blob)
        return foundation

    def _recall(self, number: int) -> Foundation | None:
        """The newest set-up in the journal that began with this round or an earlier one."""
        keys = [key for key in self._journal.keys(_prefix(self._grounds.job)) if key <= _key(self._grounds.job, number)]
        return self._read(self._journal.get(keys[-1]) or b"") if keys else None

    def _read(self, kept: bytes) -> Foundation:
        record = canon.unpack(SetupRecord, kept)
        return Foundation(Layout(record.setup), record)

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._grounds.domain, record)


@canon.record("coordinator/list/1")
class _Told:
    """The survivor list of a round, as it was told."""

    seats: tuple[int, ...]


def _list_key(job: JobId, session: Session) -> str:
    return f"{job.hex()}/list/{session.digest.hex()}"


def _prefix(job: JobId) -> str:
    return f"{job.hex()}/setup/"


def _key(job: JobId, first: int) -> str:
    return f"{_prefix(job)}{first:05}"
