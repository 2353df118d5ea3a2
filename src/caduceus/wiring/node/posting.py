"""Giving a buyer's process a job to post: its file and its schema, put into the buyer's folder."""

from __future__ import annotations

from pathlib import Path

from caduceus.edges.code import code_digest
from caduceus.edges.tabular import load_schema, read_text
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES
from caduceus.wiring.node.ordering import ANSWERS, JOBS, MODELS


def give_job(buyer: Path, job: Path, *, text: str | None = None) -> str:
    """Put a job where the buyer's process looks for what to post; each is posted once.

    buyer    the buyer's folder
    job      the TOML file, whose schema lies beside it
    text     what the job file is to say instead, for a copy that was changed
    returns  what the job is called in the buyer's folder; giving the same again gives the same name

    Raises Refused, naming file and field, if it is no job, or another of that name is there.
    """
    if not job.stem.startswith("job"):
        raise Refused(f"{job.name}: the name of a job's file begins with 'job'")
    said = read_text(job) if text is None else text
    file = read_job_file(said, where=job.name)
    schema = job.parent / file.job.schema_file
    specify(file, load_schema(schema).public(), nonce=bytes(NONCE_BYTES), where=job.name, code=code_digest())
    folder = buyer / JOBS / (job.resolve().parent.name or "job")
    place = folder / job.name
    if place.exists() and read_text(place) != said:
        raise Refused(
            f"{place}: another job of this name was given before; a job is posted once, so rename the new one"
        )
    # The job comes last: with it the process looks for its schema.
    write_whole(folder / file.job.schema_file, schema.read_bytes())
    write_whole(place, said.encode())
    return f"{folder.name}-{job.stem}"


def result_of(buyer: Path, label: str) -> Path | None:
    """What a job came to, a model or answers; None if it has not yet."""
    for place in (buyer / MODELS / f"{label}.json", buyer / ANSWERS / f"{label}.json"):
        if place.exists():
            return place
    return None
