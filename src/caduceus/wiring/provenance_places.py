"""What a blob is for: found out when it is damaged, so that the reader knows which round, seat or data set suffers."""

from __future__ import annotations

from collections.abc import Iterator

from caduceus.errors import Error
from caduceus.kinds import Digest, JobId
from caduceus.ports import Chain
from caduceus.protocol.round_record import Fetch, RoundRecord, read_record


def say_place(digest: Digest, chain: Chain, fetch: Fetch) -> str:
    """What a blob is for, in words: "it is the upload of seat 2 in round 5 of job 0x12...".

    Whatever is damaged besides is passed over.
    """
    for job in chain.jobs():
        for found, what in _named(job, chain, fetch):
            if found == digest:
                return f"it is {what}"
    for entry in chain.datasets():
        for found, what in ((entry.card, "card"), (entry.terms, "terms")):
            if found == digest:
                return f"it is the {what} of data set 0x{entry.id.hex()}"
    return "no job of this chain names it"


def _named(job: JobId, chain: Chain, fetch: Fetch) -> Iterator[tuple[Digest, str]]:
    entry, of = chain.job(job), f"of job 0x{job.hex()}"
    if entry is None:
        return
    yield entry.spec, f"the specification {of}"
    anchors = chain.anchors(job)
    for anchor in anchors:
        yield anchor.record, f"the record of round {anchor.round} {of}"
    for anchor in anchors:
        try:
            record = read_record(anchor, job, fetch)
        except Error:
            record = None
        if record is not None:
            yield from _in_round(record, f"round {anchor.round} {of}")
        yield anchor.model, f"the model after round {anchor.round} {of}"


def _in_round(record: RoundRecord, of: str) -> Iterator[tuple[Digest, str]]:
    yield record.before, f"the model before {of}"
    yield record.setup, f"the set-up of {of}"
    yield record.exchange, f"the exchange of {of}"
    for seat, upload in enumerate(record.uploads):
        if upload is not None:
            yield upload, f"the upload of seat {seat} in {of}"
