"""Flower's plain federated averaging as a Flower App; copied into one beside `averaging_step.py`.

Its run configuration names the course's folder. Writes the times at which rounds were done, and the final weights.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from .averaging_step import course, step

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    """One epoch on the site's rows."""
    folder, number = str(context.run_config["course"]), int(context.node_config["number"])
    weights = message.content["arrays"].to_numpy_ndarrays()[0]
    round = int(message.content["config"]["server-round"]) - 1
    trained, rows = step(folder, number, round, weights)
    content = {"arrays": ArrayRecord([trained]), "metrics": MetricRecord({"num-examples": rows})}
    return Message(content=RecordDict(content), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Federated averaging over all sites, with nothing evaluated."""
    about = course(str(context.run_config["course"]))
    began = time.time()
    marks: list[float] = []

    def note(round: int, arrays: ArrayRecord) -> None:
        """Called by the strategy before the first round and after each; evaluates nothing."""
        if round:
            marks.append(time.time())

    strategy = FedAvg(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=about["sites"],
        min_available_nodes=about["sites"],
    )
    opening = ArrayRecord([np.zeros(about["parameters"])])
    result = strategy.start(grid=grid, initial_arrays=opening, num_rounds=about["rounds"], evaluate_fn=note)
    answer = Path(str(context.run_config["result"]))
    np.save(answer.with_suffix(".npy"), result.arrays.to_numpy_ndarrays()[0])
    part = answer.with_suffix(".part")
    part.write_text(json.dumps({"marks": marks, "server_app_to_last_round": marks[-1] - began}))
    part.replace(answer)
