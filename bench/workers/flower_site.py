"""What a site does in a Flower simulation; a module of its own, because Ray's processes import it."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

COURSE = "BENCH_COURSE"
"""The environment variable that names the folder with the sites' data."""

client = ClientApp()


@functools.cache
def site(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A site's data; read once per process."""
    held = np.load(Path(os.environ[COURSE]) / f"site-{number}.npz")
    return held["matrix"], held["target"], held["batches"]


@client.train()
def train(message: Message, context: Context) -> Message:
    """One epoch of gradient descent on a site's rows."""
    weights = message.content["arrays"].to_numpy_ndarrays()[0].copy()
    config = message.content["config"]
    matrix, target, batches = site(int(context.node_config["partition-id"]))
    extended = np.hstack([matrix, np.ones((len(matrix), 1))])
    shrink = np.full(len(weights), config["rate"] * config["ridge"])
    shrink[-1] = 0.0
    for batch in batches[int(config["server-round"]) - 1]:
        chosen = batch[batch >= 0]
        rows = extended[chosen]
        error = 1.0 / (1.0 + np.exp(-(rows @ weights))) - target[chosen]
        weights -= config["rate"] / len(chosen) * (error @ rows) + shrink * weights
    content = {"arrays": ArrayRecord([weights]), "metrics": MetricRecord({"num-examples": len(matrix)})}
    return Message(content=RecordDict(content), reply_to=message)
