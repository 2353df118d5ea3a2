"""One training for our job and for peers: our rows, standardised, in our batches; and whether all came to the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caduceus.edges.federation import open_federation, read_sites
from caduceus.edges.tabular import load_schema, read_text
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.program import build_task
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES
from caduceus.wiring.cluster.places import slug
from job_vs_flower import Recorder, padded


@dataclass(frozen=True, slots=True)
class Plan:
    """What all arms are given.

    work    folder of this run
    job     a job file with its schema beside it
    course  what the peers' sites train on
    """

    work: Path
    job: Path
    course: Path
    sites: int
    rounds: int


def prepare(work: Path, source: Path, federation: Path, sites: int, rounds: int) -> Plan:
    """The job's folder, and what the peers' sites train on: our rows, standardised, in our batches.

    source      a job file by averaging; `rounds` replaces its own number
    federation  whose first sites are taken
    """
    file = read_job_file(read_text(source), where=source.name)
    columns = source.parent / file.job.schema_file
    job = work / "job" / "job.toml"
    job.parent.mkdir()
    (job.parent / "schema.toml").write_bytes(columns.read_bytes())
    text = re.sub(r"(?m)^schema = .*$", 'schema = "schema.toml"', source.read_text())
    job.write_text(re.sub(r"(?m)^rounds = \d+$", f"rounds = {rounds}", text))
    file = read_job_file(read_text(job), where=job.name)
    schema = load_schema(columns).public()
    learning = specify(file, schema, nonce=bytes(NONCE_BYTES), where=job.name).learning
    assert learning is not None
    assert learning.averaging is not None
    recorder = Recorder(Perceptron(learning.averaging.hidden, learning.averaging.activation))
    task = build_task(learning, schema, recorder)  # type: ignore[arg-type]  # it only trains
    tables = read_sites(open_federation(federation), target=learning.target)[:sites]
    unsafe_open_run(task, [task.ready(one.table, one.name) for one in tables])
    folder = work / "course"
    folder.mkdir()
    for number in range(sites):
        calls = recorder.calls[number::sites]
        batches = padded([course.batches for _, _, course in calls])
        np.savez(folder / f"site-{number}.npz", matrix=calls[0][0], target=calls[0][1], batches=batches)
    first = recorder.calls[0][2]
    about = {
        "sites": sites,
        "names": [slug(one.name) for one in tables],
        "rounds": rounds,
        "parameters": recorder.parameters(task.design.width),
        "rate": first.rate,
        "ridge": first.ridge,
    }
    (folder / "course.json").write_text(json.dumps(about))
    return Plan(work, job, folder, sites, rounds)


def differences(plan: Plan, ours: Sequence[str], theirs: Sequence[str]) -> dict[str, float]:
    """By how much our final weights differ from the peers' at most; more than rounding ends the process."""
    weights = {name: np.load(plan.work / f"{name}.npy") for name in (*ours, *theirs)}
    same = plan.rounds * plan.sites * 0.5 * 2**-17  # half a step of our fixed point, per site and round
    pairs = ((us, name) for us in ours for name in theirs)
    apart = {f"{us} to {name}": float(np.abs(weights[us] - weights[name]).max()) for us, name in pairs}
    if apart and max(apart.values()) > same:
        raise SystemExit(f"not the same training: weights differ by {apart}, rounding explains {same:.1e}")
    return apart
