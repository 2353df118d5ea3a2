"""A buyer's daemon: sees a posted job to its end, and takes back what nobody earned."""

from __future__ import annotations

from typing import final

from caduceus.agents.buyer import Buyer
from caduceus.agents.duties import GRACE, Docket, Event, Happened, OnEvent, end_if_overdue, see_out
from caduceus.kinds import JobId, Stage
from caduceus.market.job import FINAL
from caduceus.ports import Journal


@final
class BuyerDuties:
    """One buyer, in all jobs that it posted."""

    def __init__(self, buyer: Buyer, journal: Journal, *, on_event: OnEvent) -> None:
        self._role, self._on_event = buyer, on_event
        self._docket = Docket(journal, "buyer", buyer.wallet.account)

    def jobs(self) -> list[JobId]:
        """The jobs that this buyer may still have to attend to."""
        return self._docket.left(self._role.chain.jobs())

    def attend(self, job: JobId) -> None:
        """Do what is next to do about a job, if anything is.

        Raises Refused, Unavailable or Uncertain as its parts do; it may be called again.
        """
        chain, wallet = self._role.chain, self._role.wallet
        entry = chain.job(job)
        if entry is None or not self._docket.is_own(job, entry.buyer):
            return
        if end_if_overdue(chain, wallet, entry, 0):
            self._on_event(Event(Happened.EXPIRED, job))
        elif entry.stage is Stage.SETTLING:
            # A complaint that nobody answered is the buyer's to uphold at once; completing is the coordinator's first.
            grace = 0 if chain.omissions(job) else GRACE
            ended = see_out(chain, wallet, entry, grace)
            if ended is Happened.FAULT:
                self._on_event(Event(ended, job, why="a complaint was not answered; the job is rejected"))
            elif ended is not None:
                self._on_event(Event(ended, job))
        elif entry.stage in FINAL:
            self._role.collect(job)
            self._docket.close(job)
            self._on_event(Event(Happened.COLLECTED, job, why=entry.stage.name.lower()))
