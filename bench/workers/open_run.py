"""The same learning with plain sums in a fresh process: no chain, no keys, no masks, no audit.

    python bench/workers/open_run.py JOB FEDERATION DATA_ROOT RESULT

Beside a private job it shows what privacy, payment and proof cost.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from caduceus.data.schema import Schema
from caduceus.edges.federation import open_federation, read_sites
from caduceus.edges.tabular import load_schema, read_text
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.program import build_task
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES


def main() -> None:
    """Read, train, write the final weights."""
    job, federation, data_root, result = map(Path, sys.argv[1:5])
    file = read_job_file(read_text(job), where=job.name)
    schema: Schema = load_schema(job.parent / file.job.schema_file).public()
    task = build_task(specify(file, schema, nonce=bytes(NONCE_BYTES), where=job.name).learning, schema)
    sites = read_sites(open_federation(federation), data_root=data_root, target=file.task.target)
    state = unsafe_open_run(task, [task.ready(one.table, one.name) for one in sites])
    model = state.averaged or state.newton
    assert model is not None
    np.save(result, model.weights[0])


if __name__ == "__main__":
    main()
