"""The end of a round at the coordinator: from the server's result to a record, its blobs and the next state."""

from __future__ import annotations

from dataclasses import dataclass

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.protocol.encoding import decode
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_server import Server


@dataclass(frozen=True, slots=True)
class Done:
    """A round that is over.

    record  what is anchored, by its digest
    root    Merkle root over the seats' uploads
    state   what the next round starts from
    blobs   everything that the record names
    """

    record: RoundRecord
    root: Digest
    state: State
    blobs: tuple[bytes, ...]


def finish(server: Server, task: Task, before: State, failure: str) -> Done:
    """Combine the sum, or keep the state if there is none, and write everything down.

    failure  why the server stopped early; "" if it did not
    """
    after = before
    if server.total is not None:
        try:
            total = decode(server.total, scale=task.scale(before))
            after = task.combine(before, total, len(server.survivors))
        except Refused as problem:
            failure = f"the sum cannot be used: {problem}"
    uploads = server.uploads()
    exchange, state = canon.pack(server.exchange()), canon.pack(after)
    record = RoundRecord(
        job=server.session.job,
        round=server.session.round,
        before=canon.digest(before),
        after=canon.digest_bytes(state),
        failure=failure,
        survivors=() if failure else server.survivors,
        exchange=canon.digest_bytes(exchange),
        uploads=tuple(canon.digest_bytes(uploads[seat]) if seat in uploads else None for seat in server.session.seats),
    )
    return Done(record, merkle.root(server.leaves()), after, (exchange, state, *uploads.values()))
