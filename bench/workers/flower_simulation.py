"""A plain Flower simulation in a fresh process, with Flower's own interpreter: it needs flwr and numpy only.

    python bench/workers/flower_simulation.py FOLDER

FOLDER holds `course.json` and, per site, `site-N.npz` with a standardised matrix, targets, and the batches of every
round. Flower gets the easier work: standardised data lie ready, nothing is masked, signed, paid or checked. Writes
`weights.npy`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
from flower_site import COURSE, client
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

FOLDER = Path(sys.argv[1])
os.environ[COURSE] = str(FOLDER)
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # for Ray's processes

server = ServerApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Federated averaging over all sites."""
    course = json.loads((FOLDER / "course.json").read_text())
    strategy = FedAvg(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=course["sites"],
        min_available_nodes=course["sites"],
    )
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(course["parameters"])]),
        num_rounds=course["rounds"],
        train_config=ConfigRecord({"rate": course["rate"], "ridge": course["ridge"]}),
    )
    np.save(FOLDER / "weights.npy", result.arrays.to_numpy_ndarrays()[0])


if __name__ == "__main__":
    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    sites = json.loads((FOLDER / "course.json").read_text())["sites"]
    run_simulation(server_app=server, client_app=client, num_supernodes=sites, backend_config=resources)
