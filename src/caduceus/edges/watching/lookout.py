"""One party's log, figures, status and audit log, told together, so that none of them is forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self, final

from caduceus.edges.watching.audit_line import Head, Kind
from caduceus.edges.watching.audit_log import AuditLog
from caduceus.edges.watching.detail import NOTHING, Detail, Who, class_of
from caduceus.edges.watching.event_log import FAULTS, Event, EventLog
from caduceus.edges.watching.metrics import Metrics, Way, find_client
from caduceus.edges.watching.status import Connection
from caduceus.edges.watching.status_file import StatusFile
from caduceus.errors import Unavailable
from caduceus.kinds import Digest, JobId, Stage, Tokens
from caduceus.ports import BudgetMove, Sent

AUDIT_FOLDER = "audit-log"
"""In a party's folder."""

_CONNECTED: dict[Connection, Event] = {"connected": Event.CONNECTED, "disconnected": Event.DISCONNECTED}


def _of(sent: Sent, job: JobId | None) -> Detail:
    return Detail(job=job, call=sent.what, transaction=sent.transaction, block=sent.block, gas=sent.gas)


@final
class Lookout:
    """What an operator of this party's process can see. Any thread may tell it."""

    def __init__(self, folder: Path, who: Who) -> None:
        """folder  the party's own: gets `status.json` and `audit-log/`

        Raises Refused if another process runs this party, or its audit log was altered.
        """
        self.log = EventLog(who)
        self.metrics = Metrics(who, find_client())
        self.status = StatusFile(folder, who, on_problem=self._unwritten)
        try:
            self.audit = AuditLog(folder / AUDIT_FOLDER, who)
        except BaseException:
            self.status.close()
            raise
        self.note(Kind.STARTED)
        self.log.say(Event.STARTED)
        if not self.metrics.is_on:
            self.log.say(Event.METRICS_OFF)

    def note(self, kind: Kind, detail: Detail = NOTHING, *, at_once: bool = True) -> Head:
        """Add a line to the audit log; see `AuditLog.note`. The status has the head of what was waited for."""
        head = self.audit.note(kind, detail, at_once=at_once)
        if at_once:
            self.metrics.audit_log(head.lines)
            self.status.audit_log(head)
        return head

    def problem(self, problem: BaseException, detail: Detail = NOTHING) -> None:
        """Something was refused, or failed; `detail` says in which job and round, and of which party's message."""
        about = Detail(job=detail.job, round=detail.round, peer=detail.peer, message=detail.message, reason=problem)
        self.log.say(FAULTS[class_of(problem)], about)
        self.metrics.problem(problem)
        self.status.refused(problem, detail.job)

    def _unwritten(self, problem: Unavailable) -> None:
        """The status could not be written: said elsewhere."""
        self.log.say(Event.UNAVAILABLE, Detail(reason=problem))
        self.metrics.problem(problem)

    def connection(self, state: Connection) -> None:
        """The line to the other parties has changed."""
        if state in _CONNECTED and self.status.now().connection != state:
            self.log.say(_CONNECTED[state])
        self.status.connection(state)

    def message(self, way: Way, detail: Detail) -> None:
        """A message came or went; `detail.size` in bytes."""
        self.log.say(Event.MESSAGE_IN if way is Way.IN else Event.MESSAGE_OUT, detail)
        self.metrics.message(way, detail.size or 0)

    def chain(self, height: int, lag: float) -> None:
        """The newest block that was seen, and how many seconds old it is."""
        self.metrics.chain(height, lag)
        self.status.chain(height, lag)

    def outbox(self, waiting: int) -> None:
        """How many messages wait to be sent."""
        self.metrics.outbox(waiting)
        self.status.outbox(waiting)

    def stage(self, job: JobId, stage: Stage) -> None:
        """A job has reached a stage."""
        self.log.say(Event.STAGE_REACHED, Detail(job=job, stage=stage))
        self.status.job(job, stage, Event.STAGE_REACHED)

    def round_done(self, job: JobId, round: int, seconds: float, *, unanchored: int) -> None:
        """A round ended with a sum; `unanchored` rounds are not on the chain yet."""
        self.log.say(Event.ROUND_DONE, Detail(job=job, round=round, seconds=seconds, count=unanchored))
        self.metrics.round_done(seconds)
        self.metrics.unanchored(unanchored)
        self.status.job(job, Stage.TRAINING, Event.ROUND_DONE, round=round, unanchored=unanchored)

    def round_failed(self, job: JobId, round: int, problem: BaseException) -> None:
        """A round ended without one."""
        self.log.say(Event.ROUND_FAILED, Detail(job=job, round=round, reason=problem))
        self.metrics.round_failed()
        self.status.job(job, Stage.TRAINING, Event.ROUND_FAILED, round=round)

    # ------------------------------------------------------------ money and budget

    def sent(self, sent: Sent, job: JobId | None = None) -> None:
        """A transaction that this party signed is on the chain."""
        detail = _of(sent, job)
        self.note(Kind.SIGNED, detail)
        self.log.say(Event.TRANSACTION_INCLUDED, detail)

    def paid(self, sent: Sent, job: JobId, tokens: Tokens) -> None:
        """A job's reward has come to this party's account, by this transaction."""
        detail = replace(_of(sent, job), tokens=tokens)
        self.note(Kind.PAID, detail)
        self.log.say(Event.PAID, detail)

    def budget(self, dataset: Digest, move: BudgetMove) -> None:
        """A job took something of a data set's privacy budget, or gave it back."""
        detail = Detail(job=move.job, dataset=dataset, epsilon_micro=move.epsilon_micro, delta_pico=move.delta_pico)
        self.note(Kind.RELEASED if move.released else Kind.RESERVED, detail)
        self.log.say(Event.BUDGET_RELEASED if move.released else Event.BUDGET_RESERVED, detail)

    def budget_reserved(self, dataset: Digest, epsilon_micro: int, delta_pico: int) -> None:
        """How much of a data set's budget jobs have reserved in all, as the chain says."""
        self.metrics.budget(dataset, epsilon_micro, delta_pico)

    def close(self) -> None:
        """Say that the process stops, and let go of the files."""
        try:
            self.log.say(Event.STOPPED)
            self.note(Kind.STOPPED)
        finally:
            self.status.close()
            self.audit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
