"""What the buyer takes away: the final model as JSON that any program can use, in the units of the data."""

from __future__ import annotations

import json
from typing import Any

from caduceus import canon
from caduceus.errors import Misuse
from caduceus.kinds import JobId
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.private.program import PrivateProgram
from caduceus.learn.program import Program
from caduceus.learn.state import Moments, State

Trained = Program | PrivateProgram | JudgedProgram

FORMAT = "caduceus-model-1"

HOW_TO_USE = (
    "Build one number per input: the column's value; for an input with a level, 1 if the category has that level and "
    "0 otherwise; for an input with 'absent', 1 if the column is missing and 0 otherwise. Fill a missing value with "
    "'mean'. Subtract 'mean' and divide by 'deviation'. Through each layer: multiply by 'weights' (a row per output), "
    "add 'intercepts', and between layers apply 'activation'. The last number is the log-odds of the target."
)


def model_json(task: Trained, state: State, job: JobId) -> str:
    """The final model of a job.

    state  with a trained model; its digest in the file is the one that the chain anchored
    job    the job that made it

    Raises Misuse if nothing is trained, or the model is no perceptron and no logistic regression.

    Reveals: what the anchored state reveals: pooled means, deviations and weights.
    """
    if state.moments is None:
        raise Misuse("model: nothing is trained yet")
    return json.dumps(
        {
            "format": FORMAT,
            "job": job.hex(),
            "state": canon.digest(state).hex(),
            "schema": task.schema.digest().hex(),
            "target": task.design.target,
            "rows": int(state.moments.rows[0]),
            "how_to_use": HOW_TO_USE,
            "inputs": _inputs(task, state.moments),
            **_network(task, state),
        },
        indent=2,
        ensure_ascii=False,
    )


def _inputs(task: Trained, known: Moments) -> list[dict[str, Any]]:
    design = task.design
    inputs: list[dict[str, Any]] = []
    for i, name in enumerate(design.names):
        mean, deviation = float(known.mean[0, i]), float(known.deviation[0, i])
        if i < design.measured:
            center, half = float(design.center[i]), float(design.half[i])
            said: dict[str, Any] = {"name": name, "column": design.source[i]}
            if design.level[i]:
                said["level"] = task.schema.column(design.source[i]).levels[design.level[i]]
            inputs.append(said | {"mean": center + half * mean, "deviation": half * deviation})
        else:
            column = design.source[design.indicators[i - design.measured]]
            inputs.append({"name": name, "column": column, "absent": True, "mean": mean, "deviation": deviation})
    return inputs


def _network(task: Trained, state: State) -> dict[str, Any]:
    if state.newton is not None:
        weights = state.newton.weights[0]
        layer = {"weights": [weights[:-1].tolist()], "intercepts": [float(weights[-1])]}
        return {"activation": None, "layers": [layer]}
    if state.noisy is not None:
        weights = state.noisy.weights
        return {
            "activation": None,
            "layers": [{"weights": [weights[:-1].tolist()], "intercepts": [float(weights[-1])]}],
        }
    flat = None if state.averaged is None else state.averaged.weights[0]
    flat = flat if state.descended is None else state.descended.weights
    flat = flat if state.judged is None else state.judged.weights
    if flat is not None and isinstance(task.network, Perceptron):
        layers = task.network.layers(flat, task.design.width)
        return {
            "activation": task.network.activation if len(layers) > 1 else None,
            "layers": [{"weights": matrix.tolist(), "intercepts": bias.tolist()} for matrix, bias in layers],
        }
    raise Misuse("model: only a logistic regression or a perceptron has a file of its own")
