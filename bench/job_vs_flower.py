"""A complete private, audited job beside a plain Flower simulation of the same training, in the same run.

    python bench/job_vs_flower.py [--times N]

Ten sites, twenty rounds of federated averaging, logistic regression. Ours is everything: a fresh process, its
imports, a chain made from nothing, contracts, enrolment, secure rounds, settlement, payment, and the audit, which
must pass. Flower's is its simulation (Ray, the default) of the same model on the same rows in the same batches,
without any of that. Both are whole processes with all their children. A third arm is our own training with
plain sums. The final weights are compared, so that nobody trains less. Writes bench/results/job_vs_flower.json.

Flower lives in a virtual environment of its own, named by CADUCEUS_FLOWER_PYTHON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus.edges.federation import example, open_federation, read_sites
from caduceus.edges.tabular import load_schema, read_text
from caduceus.kinds import Floats
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.fedavg import Course
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.program import build_task
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES
from instruments.record import ROOT, environment, keep, load, provenance, show
from instruments.usage import Usage, run

FLOWER = "CADUCEUS_FLOWER_PYTHON"
INSTALL = f"""Flower is not here, and a comparison needs its peer. Install it apart from everything else, and say where:
    python3 -m venv flower-venv
    flower-venv/bin/pip install 'flwr[simulation]==1.41.0'
    {FLOWER}=flower-venv/bin/python python bench/job_vs_flower.py"""

JOB = ROOT / "bench" / "jobs" / "breast-averaging.toml"
FEDERATION = example("breast", file="federation-10.toml")
WORKERS = ROOT / "bench" / "workers"
OURS, OPEN, PEER = "caduceus: private job and audit", "caduceus: plain sums only", "Flower simulation"
PATIENCE = 900.0
SAME = 20 * 10 * 0.5 * 2**-17  # rounds, sites, and half a step of our fixed point: what rounding can add up to
TARGET = 0.2
KEYS = ("wall", "processor", "peak", "processes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="how often; medians are shown (default 3)")
    times = parser.parse_args(arguments).times
    flower = flower_python()
    if flower is None:
        print(INSTALL, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        course = work / "course"
        rounds = write_course(course)
        warm(flower)
        about = provenance(seed=1) | {"flower": version(flower), "rounds": rounds}
        runs: dict[str, list[dict[str, object]]] = {PEER: [], OURS: [], OPEN: []}
        for turn in range(times):
            at = work / str(turn)
            at.mkdir()
            for arm, command in commands(flower, course, at).items():
                before = load()
                usage = run(command, environment=environment(), log=at / "log", timeout=PATIENCE)
                runs[arm].append(asdict(usage) | {"load": before})
                print(f"{turn + 1}/{times}  {arm:<32} {line(usage)}  load {before[0]}", flush=True)
            apart = difference(course / "weights.npy", at / "private.npy", at / "open.npy")
            stages = json.loads((at / "private.json").read_text())["stages"]
    medians = {
        arm: {key: median(float(run[key]) for run in all_runs) for key in KEYS} for arm, all_runs in runs.items()
    }  # type: ignore[arg-type]
    report(medians, apart)
    record = about | {"runs": runs, "medians": medians, "weights_apart": apart, "stages_of_last": stages}
    keep("job_vs_flower", record)
    return 0


def flower_python() -> str | None:
    """The interpreter that has Flower, if there is one."""
    python = os.environ.get(FLOWER)
    if python is None:
        return None
    found = subprocess.run([python, "-c", "import flwr, ray"], capture_output=True, check=False).returncode == 0
    return python if found else None


def version(flower: str) -> str:
    """Which Flower, Ray and numpy."""
    code = "import importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in ('flwr', 'ray', 'numpy')), sep=', ')"
    return subprocess.run([flower, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def warm(flower: str) -> None:
    """Both sides' imports once, so that bytecode is written and files are in memory."""
    for python, code in ((flower, "import flwr.simulation, ray"), (sys.executable, "import caduceus.wiring.play")):
        subprocess.run([python, "-c", code], env=environment(), check=True, capture_output=True)


def commands(flower: str, course: Path, at: Path) -> dict[str, list[str]]:
    """What each arm runs, in turn."""
    us = [sys.executable, str(WORKERS / "private_job.py"), str(at / "run"), str(JOB), str(FEDERATION), str(at)]
    plain = [sys.executable, str(WORKERS / "open_run.py"), str(JOB), str(FEDERATION), str(at), str(at / "open.npy")]
    peer = [flower, str(WORKERS / "flower_simulation.py"), str(course)]
    return {PEER: peer, OURS: [*us, str(at / "private.json")], OPEN: plain}


# ---------------------------------------------------------------- the same training for both


@final
class Recorder:
    """A network that notes what each site trains on, and otherwise is the job's own."""

    def __init__(self, network: Perceptron) -> None:
        self._network = network
        self.calls: list[tuple[Floats, Floats, Course]] = []

    def parameters(self, inputs: int) -> int:
        return self._network.parameters(inputs)

    def opening(self, inputs: int, seed: int) -> Floats:
        return self._network.opening(inputs, seed)

    def train(self, weights: Floats, matrix: Floats, target: Floats, course: Course) -> Floats:
        self.calls.append((matrix, target, course))
        return self._network.train(weights, matrix, target, course)

    def log_odds(self, weights: Floats, matrix: Floats) -> Floats:
        return self._network.log_odds(weights, matrix)


def write_course(folder: Path) -> int:
    """What Flower's sites train on: our rows, standardised, and our batches; returns the number of rounds."""
    file = read_job_file(read_text(JOB), where=JOB.name)
    schema = load_schema(JOB.parent / file.job.schema_file).public()
    learning = specify(file, schema, nonce=bytes(NONCE_BYTES), where=JOB.name).learning
    assert learning.averaging is not None
    recorder = Recorder(Perceptron(learning.averaging.hidden, learning.averaging.activation))
    task = build_task(learning, schema, recorder)
    tables = read_sites(open_federation(FEDERATION), target=learning.target)
    sites = len(tables)
    unsafe_open_run(task, [task.ready(one.table, one.name) for one in tables])
    folder.mkdir()
    for number in range(sites):
        calls = recorder.calls[number::sites]  # one per round
        batches = padded([course.batches for _, _, course in calls])
        np.savez(folder / f"site-{number}.npz", matrix=calls[0][0], target=calls[0][1], batches=batches)
    rounds, first = len(recorder.calls) // sites, recorder.calls[0][2]
    parameters = recorder.parameters(task.design.width)
    about = {"sites": sites, "rounds": rounds, "parameters": parameters, "rate": first.rate, "ridge": first.ridge}
    (folder / "course.json").write_text(json.dumps(about))
    return rounds


def padded(rounds: Sequence[Sequence[npt.NDArray[np.int64]]]) -> npt.NDArray[np.int64]:
    """int64[rounds, steps, rows of the longest batch]: positions of rows, -1 where a batch is shorter."""
    longest = max(len(batch) for steps in rounds for batch in steps)
    pad = [[np.pad(batch, (0, longest - len(batch)), constant_values=-1) for batch in steps] for steps in rounds]
    return np.array(pad)


def difference(peer: Path, private: Path, plain: Path) -> dict[str, float]:
    """By how much final weights differ at most: fixed point and summing order, not another training."""
    theirs, ours, bare = (np.load(path) for path in (peer, private, plain))
    apart = {
        "private to Flower": float(np.abs(ours - theirs).max()),
        "plain to Flower": float(np.abs(bare - theirs).max()),
    }
    if max(apart.values()) > SAME:
        raise SystemExit(f"not the same training: weights differ by {apart}")
    return apart


# ---------------------------------------------------------------- the table


def line(usage: Usage) -> str:
    """One run in words."""
    return f"{usage.wall:6.1f} s wall  {usage.processor:6.1f} s processor  {usage.peak / 2**20:6.0f} MiB"


def report(medians: Mapping[str, Mapping[str, float]], apart: Mapping[str, float]) -> None:
    """The medians, and ours as shares of Flower's."""
    peer = medians[PEER]
    rows = [
        [
            arm,
            f"{one['wall']:.1f}",
            f"{one['processor']:.1f}",
            f"{one['peak'] / 2**20:.0f}",
            f"{one['processes']:.0f}",
            f"{one['wall'] / peer['wall']:.3f}",
            f"{one['processor'] / peer['processor']:.3f}",
        ]
        for arm, one in medians.items()
    ]
    head = ["medians", "wall s", "processor s", "peak MiB", "processes", "wall/Flower", "processor/Flower"]
    show("Ten sites, twenty rounds, logistic regression by federated averaging", head, rows)
    print("final weights differ by at most " + ", ".join(f"{value:.1e} ({who})" for who, value in apart.items()))
    reached = all(medians[OURS][key] < TARGET * peer[key] for key in ("wall", "processor"))
    print(f"target, under {TARGET} of Flower's wall and processor time: {'reached' if reached else 'missed'}")


if __name__ == "__main__":
    sys.exit(main())
