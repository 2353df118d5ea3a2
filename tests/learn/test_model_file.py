"""The buyer's file gives the same predictions to a program that knows nothing of this package."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import small_hospitals as small

from caduceus import canon
from caduceus.data.table import Table
from caduceus.errors import Misuse
from caduceus.kinds import JobId
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.model_file import model_json
from caduceus.learn.program import build_task

JOB = JobId(b"j" * 32)


def read_and_predict(text: str, table: Table) -> list[float]:
    """A stranger's program: follows `how_to_use` with nothing but JSON and arithmetic."""
    model = json.loads(text)
    levels = {column.name: column.levels for column in table.schema.columns}
    probabilities = []
    for row in range(table.rows):
        values = []
        for entry in model["inputs"]:
            raw = float(table.column(entry["column"])[row])
            missing = math.isnan(raw)
            if "absent" in entry:
                value = float(missing)
            elif missing:
                value = entry["mean"]
            elif "level" in entry:
                value = float(levels[entry["column"]][int(raw)] == entry["level"])
            else:
                value = raw
            values.append((value - entry["mean"]) / entry["deviation"])
        for number, layer in enumerate(model["layers"]):
            if number:
                values = [max(x, 0.0) if model["activation"] == "relu" else math.tanh(x) for x in values]
            values = [
                sum(w * x for w, x in zip(weights, values, strict=True)) + intercept
                for weights, intercept in zip(layer["weights"], layer["intercepts"], strict=True)
            ]
        probabilities.append(1 / (1 + math.exp(-values[0])))
    return probabilities


@pytest.mark.parametrize("hidden", [None, (), (4, 3)])
def test_a_stranger_predicts_what_the_task_predicts(hidden):
    averaging = None if hidden is None else replace(small.AVERAGING, hidden=hidden, rounds=2)
    task = build_task(small.learning(averaging=averaging), small.SCHEMA)
    sites = small.sites(task, (40, 60))
    state = unsafe_open_run(task, sites)
    table = small.table(30, seed=99)
    expected = task.predict(state, task.ready(table, "elsewhere"))
    text = model_json(task, state, JOB)
    np.testing.assert_allclose(read_and_predict(text, table), expected, rtol=1e-9)
    assert json.loads(text)["state"] == canon.digest(state).hex()


def test_there_is_no_file_before_there_is_a_model():
    task = build_task(small.learning(), small.SCHEMA)
    with pytest.raises(Misuse, match="nothing is trained"):
        model_json(task, task.opening(), JOB)
