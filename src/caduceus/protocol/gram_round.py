"""The end of a judged round at the coordinator: from what was opened to a record, its blobs and the next state."""

from __future__ import annotations

from collections.abc import Mapping

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State
from caduceus.protocol.gram_for import opened, total_of
from caduceus.protocol.gram_server import GramServer
from caduceus.protocol.round import Done
from caduceus.protocol.round_record import RoundRecord, broken


def finish(server: GramServer, task: JudgedProgram, before: State, failure: str, uploads: Mapping[int, Digest]) -> Done:
    """Make the next state of what was opened, or keep the state if there is no sum, and write everything down.

    failure  why the server stopped early; "" if it did not
    uploads  digests of the uploads that were taken in, by dealer, which are kept already
    """
    after, plan, judged = before, server.plan, server.judged
    if server.total is not None and judged is not None:
        try:
            said = opened(task, before, judged.gram, judged.reports, judged.present, sites=plan.sites)
            after = task.combine(before, said, total_of(server.total, plan.session.scale))
        except Refused as problem:
            failure = f"the sum cannot be used: {problem}"
    ground, exchange, state = canon.pack(plan.ground), canon.pack(server.exchange()), canon.pack(after)
    # Of a round that came to nothing the record does not hold enough for a stranger to see who broke a bound.
    outside = () if server.products is None or failure else server.products.outside
    over = [seat for seat in outside if seat < plan.sites]
    record = RoundRecord(
        job=plan.ground.job,
        round=plan.session.round,
        before=canon.digest(before),
        after=canon.digest_bytes(state),
        failure=failure,
        setup=canon.digest_bytes(ground),
        survivors=() if failure else server.summed,
        exchange=canon.digest_bytes(exchange),
        uploads=tuple(uploads.get(seat) for seat in range(plan.sites)),
        faults=broken(plan.session.round, over, canon.digest_bytes(exchange)),
    )
    return Done(record, merkle.root(server.leaves()), after, (ground, exchange, state))
