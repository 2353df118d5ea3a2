"""The end of a round at the coordinator: from the server's result to a record, its blobs and the next state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.protocol.encoding import decode
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_server import Server
from caduceus.protocol.secagg_unmask import add_groups


@dataclass(frozen=True, slots=True)
class Done:
    """A round that is over.

    record  what is anchored, by its digest
    root    Merkle root over the seats' uploads
    state   what the next round starts from
    blobs   everything that the record names, uploads aside
    """

    record: RoundRecord
    root: Digest
    state: State
    blobs: tuple[bytes, ...]


def finish(server: Server, task: Task[Any], before: State, failure: str, uploads: Mapping[int, Digest]) -> Done:
    """Combine the sum, or keep the state if there is none, and write everything down.

    failure  why the server stopped early; "" if it did not
    uploads  digests of the uploads that were taken in, which are kept already
    """
    after = before
    if server.totals:
        try:
            total = decode(add_groups(server.totals), scale=task.scale(before))
            after = task.combine(before, total, len(server.summed))
        except Refused as problem:
            failure = f"the sum cannot be used: {problem}"
    exchange, state = canon.pack(server.exchange()), canon.pack(after)
    record = RoundRecord(
        job=server.foundation.layout.setup.job,
        round=server.session.round,
        before=canon.digest(before),
        after=canon.digest_bytes(state),
        failure=failure,
        setup=canon.digest_bytes(server.foundation.blob),
        survivors=() if failure else server.summed,
        exchange=canon.digest_bytes(exchange),
        uploads=tuple(uploads.get(seat) for seat in server.foundation.layout.seats),
    )
    blobs = (server.foundation.blob, exchange, state)
    return Done(record, merkle.root(server.leaves()), after, blobs)
