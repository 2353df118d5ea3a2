"""A complete job in a fresh process: chain, contracts, enrolment, secure rounds, settlement, payment, audit.

    python bench/workers/private_job.py WORKSPACE JOB FEDERATION DATA_ROOT RESULT [--parts]

Writes where its own time went to RESULT (JSON), and the final weights beside it (NumPy).
"""

from __future__ import annotations

import time

BEGAN = time.process_time(), time.monotonic()

import json  # noqa: E402
import sys  # noqa: E402
from itertools import pairwise  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from caduceus.edges.workspace import Workspace  # noqa: E402
from caduceus.errors import Error  # noqa: E402
from caduceus.learn.state import State  # noqa: E402
from caduceus.protocol.round_record import RoundRecord  # noqa: E402
from caduceus.protocol.secagg_session import Session  # noqa: E402
from caduceus.wiring import audit, order, play  # noqa: E402

IMPORTED = time.process_time(), time.monotonic()


class Stages:
    """Notes when each part of a run begins, and that no site found fault."""

    def __init__(self) -> None:
        self.rounds = 0
        self.began: list[tuple[str, float, float]] = []

    def begin(self, what: str, steps: int) -> None:
        self.began.append((what, time.process_time(), time.monotonic()))

    def step(self, text: str) -> None:
        """Not of interest here."""

    def round(self, record: RoundRecord, state: State, session: Session) -> None:
        if record.failure:
            raise SystemExit(f"round {record.round} failed: {record.failure}")
        self.rounds += 1

    def fault(self, who: str, problem: Error) -> None:
        raise SystemExit(f"{who}: {problem}")


def main() -> None:
    """Play, audit, write."""
    root, job, federation, data_root, result = map(Path, sys.argv[1:6])
    parts = None
    if "--parts" in sys.argv[6:]:
        from parts_clock import PartsClock  # beside this file; only a run that is taken apart pays for it

        parts = PartsClock()
        parts.install()
    stages = Stages()
    workspace = Workspace(root)
    played = play.play(workspace, order.Order(job, federation, data_root), stages)
    stages.begin("Audit", 0)
    audits = audit.audit_run(root / "transcript", chain=workspace.chain, url=None)
    stages.begin("end", 0)
    if not audits or not all(one.passes for one in audits):
        raise SystemExit("the audit does not pass")
    model = played.state.averaged or played.state.newton
    assert model is not None
    np.save(result.with_suffix(".npy"), model.weights[0])
    began = [("Import", *BEGAN), ("Start", *IMPORTED), *stages.began]
    spans = {
        what: (cpu_after - cpu, wall_after - wall) for (what, cpu, wall), (_, cpu_after, wall_after) in pairwise(began)
    }
    record = {
        "rounds": stages.rounds,
        "training_wall": played.seconds_training,
        "stages": {what: {"processor": cpu, "wall": wall} for what, (cpu, wall) in spans.items()},
        "parts": parts.table() if parts is not None else {},
        "processor": time.process_time(),
    }
    result.write_text(json.dumps(record))


if __name__ == "__main__":
    main()
