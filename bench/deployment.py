"""Rounds between real processes: our private, paid, audited job beside FLARE's and Flower's plain averaging.

    python bench/deployment.py [--sites N] [--rounds N] [--arms NAME ...]

All processes are on one machine and speak over loopback and TLS; arms run one after the other. Arms:

- `ours`: the network of `caduceus cluster up` (FLARE carries our frames; anvil is the chain, a block every second):
  secure aggregation, every round anchored, payment, and the audit, which must pass.
- `outage`: the same, with the chain node stopped when the round of moments is done, and started again when the last
  round is done. All rounds must then come to the chain. (It cannot be stopped much earlier: before the set-up everybody
  reads from the chain who takes part.)
- `scatter`, `fedavg`: FLARE 2.9 as its provisioner and consoles make it, with its ScatterAndGather and its FedAvg
  workflow; tasks are polled, processes stay.
- `flower`: Flower 1.41, a SuperLink, SuperNodes and `flwr run`, with FedAvg; polls, and a new process per message.

The same in all arms: sites, rows, model, batches, step length, penalty, number of rounds, float64 at the sites. Final
weights are compared; ours may differ by its fixed point. Not the same: ours protects, signs and anchors what it sums,
keeps a journal, and finds the moments with which it standardises in a round of its own (round 0, not counted); the
peers' data lie standardised and split into batches, and nothing of theirs is hidden from the server, signed or paid.
FLARE's clients and our sites show certificates; Flower's SuperNodes show none here.

A steady round is the time between the ends of two rounds, without the first two (connections, imports, key agreement).
Processor seconds are those of every process of the arm, chain node included, without the script that starts them.

Targets: our private, anchored round takes at most as long as FLARE's plain one (the quicker of the two workflows), and
less than a fifth of Flower's. Peers count with the median of their steady rounds; ours with the larger of two figures,
that median, and the mean when the wait for the last anchor is spread over the steady rounds. Writes
bench/results/deployment.json (deployment_N.json for N sites, if not 3), and leaves out the arms of what is not
installed. Flower lives in a virtual environment of its own, named by CADUCEUS_FLOWER_PYTHON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from caduceus.edges.federation import example
from caduceus.errors import Refused
from caduceus.wiring.cluster.chain import anvil_program
from instruments.averaging_course import Plan, differences, prepare
from instruments.meter import Meter
from instruments.record import ROOT, environment, keep, load, provenance, show
from job_vs_flower import FLOWER

JOB = ROOT / "bench" / "jobs" / "breast-deployed.toml"
FEDERATION = example("breast", file="federation-10.toml")
WORKERS = ROOT / "bench" / "workers"
PATIENCE = 900.0
SITES = 3
SKIPPED = 2
"""First rounds that are not steady."""

OURS, OUTAGE, SCATTER, FEDAVG, PEER = "ours", "outage", "scatter", "fedavg", "flower"
NAMES = {
    OURS: "ours: private, anchored, paid, audited",
    OUTAGE: "ours, chain node away in training",
    SCATTER: "FLARE, plain ScatterAndGather",
    FEDAVG: "FLARE, plain FedAvg",
    PEER: "Flower, plain FedAvg",
}
FLOWER_SHARE = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the arms, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=SITES, help="3 to 10; the first of the federation (default 3)")
    parser.add_argument("--rounds", type=int, default=10, help="of averaging, at least 4 (default 10)")
    parser.add_argument("--arms", nargs="+", choices=list(NAMES), default=list(NAMES))
    chosen = parser.parse_args(arguments)
    if chosen.rounds < SKIPPED + 2 or not 3 <= chosen.sites <= 10:
        parser.error("at least 4 rounds and 3 to 10 sites")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything that was started is ended
    about = provenance(seed=1) | {"sites": chosen.sites, "rounds": chosen.rounds, "load_before": load()}
    arms: dict[str, dict[str, Any]] = {}
    absent: dict[str, str] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="deployment-") as made:
        plan = prepare(Path(made), JOB, FEDERATION, chosen.sites, chosen.rounds)
        for name in chosen.arms:
            if missing := lacks(name):
                absent[name] = missing
                print(f"{NAMES[name]}: left out, {missing}", flush=True)
                continue
            try:
                arms[name] = run(name, plan)
            except (RuntimeError, subprocess.TimeoutExpired) as problem:
                failed[name] = str(problem)
                print(f"{NAMES[name]}: FAILED: {problem}", flush=True)
            else:
                print(line(name, arms[name]), flush=True)
        ours = [name for name in (OURS, OUTAGE) if name in arms]
        apart = differences(plan, ours, [name for name in arms if name not in ours])
    targets = report(arms, apart, chosen.sites, chosen.rounds)
    record = about | {"load_after": load(), "arms": arms, "left_out": absent, "failed": failed}
    name = "deployment" if chosen.sites == SITES else f"deployment_{chosen.sites}"
    keep(name, record | {"weights_apart": apart, "targets": targets})
    return 1 if failed else 0


def lacks(name: str) -> str:
    """What an arm needs and this machine has not; empty if it can run."""
    if name != PEER and importlib.util.find_spec("nvflare") is None:
        return "nvflare is not installed: pip install 'caduceus[flare]'"
    if name in (OURS, OUTAGE):
        try:
            anvil_program()
        except Refused as problem:
            return str(problem)
    if name == PEER:
        python = os.environ.get(FLOWER)
        if python is None:
            return f"{FLOWER} does not name the interpreter of an environment with flwr 1.41"
        if subprocess.run([python, "-c", "import flwr"], capture_output=True, check=False).returncode:
            return f"{python}, named by {FLOWER}, has no flwr"
    return ""


# ---------------------------------------------------------------- one arm


def run(name: str, plan: Plan) -> dict[str, Any]:
    """Run an arm to its end and say what a steady round costs; ends all its processes."""
    result = plan.work / f"{name}.json"
    common = {"folder": str(plan.work / f"arm-{name}"), "result": str(result)}
    script, question = QUESTIONS[name](plan)
    command = [sys.executable, str(WORKERS / script), json.dumps(common | question)]
    log = plan.work / f"{name}.log"
    before = load()
    with Meter(command, environment=environment(), log=log) as meter:
        if code := meter.wait(PATIENCE):
            raise RuntimeError(f"exit code {code}\n{log.read_text(errors='replace')[-3000:]}")
    found: dict[str, Any] = json.loads(result.read_text())
    marks = found.pop("marks")[-plan.rounds :]
    steady = marks[SKIPPED - 1 :]
    end = max(steady[-1], *found.pop("anchored_marks", [0.0]))
    return found | {
        "rounds_wall": [round(after - before, 3) for before, after in pairwise(marks)],
        "wall": median(after - before for before, after in pairwise(steady)),
        "wall_mean": (steady[-1] - steady[0]) / (len(steady) - 1),
        "wall_mean_anchored": (end - steady[0]) / (len(steady) - 1),
        "processor": meter.between(steady[0], steady[-1]) / (len(steady) - 1),
        "processes_seen": meter.processes,
        "load": [before, load()],
    }


def _ours(plan: Plan, *, outage: bool) -> tuple[str, dict[str, object]]:
    question = {"job": str(plan.job), "federation": str(FEDERATION), "sites": plan.sites, "rounds": plan.rounds + 1}
    return "deployed_caduceus.py", question | {"outage": outage}


def _flare(plan: Plan, workflow: str) -> tuple[str, dict[str, object]]:
    return "deployed_flare.py", {"course": str(plan.course), "workflow": workflow}


def _flower(plan: Plan) -> tuple[str, dict[str, object]]:
    return "deployed_flower.py", {"course": str(plan.course), "python": os.environ[FLOWER]}


QUESTIONS: dict[str, Callable[[Plan], tuple[str, dict[str, object]]]] = {
    OURS: lambda plan: _ours(plan, outage=False),
    OUTAGE: lambda plan: _ours(plan, outage=True),
    SCATTER: lambda plan: _flare(plan, "ScatterAndGather"),
    FEDAVG: lambda plan: _flare(plan, "FedAvg"),
    PEER: _flower,
}


# ---------------------------------------------------------------- the table


def line(name: str, arm: Mapping[str, Any]) -> str:
    """One arm in words."""
    loads = " to ".join(str(one[0]) for one in arm["load"])
    return f"{NAMES[name]:<40} {arm['wall']:6.2f} s a round, {arm['processor']:6.2f} s processor, load {loads}"


def report(
    arms: Mapping[str, Mapping[str, Any]], apart: Mapping[str, float], sites: int, rounds: int
) -> dict[str, Any]:
    """Show the table and whether the targets are met; returns the targets."""
    head = [
        "per steady round",
        "wall s",
        "with anchors",
        "longest",
        "processor s",
        "all rounds s",
        "processes",
        "load, 1 minute",
    ]
    rows = [
        [
            NAMES[name],
            f"{arm['wall']:.2f}",
            f"{arm['wall_mean_anchored']:.2f}" if "anchors" in arm else "",
            f"{max(arm['rounds_wall'][SKIPPED - 1 :]):.2f}",
            f"{arm['processor']:.2f}",
            f"{whole(arm):.1f}",
            str(arm["processes_seen"]),
            " to ".join(f"{one[0]:.1f}" for one in arm["load"]),
        ]
        for name, arm in arms.items()
    ]
    show(f"{sites} sites, {rounds} rounds of averaging, logistic regression, real processes on loopback", head, rows)
    print(
        "with anchors: mean until the last round's anchor; all rounds: from posting or submitting to the last one's end"
    )
    if OUTAGE in arms:
        arm = arms[OUTAGE]
        print(
            f"chain node away for {arm['chain_away']:.1f} s: {arm['rounds_done_while_away']} of {rounds} rounds done "
            f"meanwhile; with that of moments {arm['rounds_anchored_before_release']} were on the chain when it came "
            f"back, and {arm['anchors']} {arm['back_to_last_anchor']:.1f} s later"
        )
    if apart:
        print("final weights differ by at most " + ", ".join(f"{value:.1e} ({pair})" for pair, value in apart.items()))
    return targets(arms)


def whole(arm: Mapping[str, Any]) -> float:
    """Seconds from handing in the job to the end of its rounds."""
    return float(arm.get("posted_to_last_anchor", arm.get("submitted_to_last_round", float("nan"))))


def targets(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Say of each target whether it is met, missed, or cannot be said."""
    flare = [arms[name]["wall"] for name in (SCATTER, FEDAVG) if name in arms]
    limits = {
        "at most FLARE's plain round": min(flare, default=None),
        "under a fifth of Flower's plain round": FLOWER_SHARE * arms[PEER]["wall"] if PEER in arms else None,
    }
    said: dict[str, Any] = {}
    for what, limit in limits.items():
        if limit is None or OURS not in arms:
            said[what] = "not measured"
        else:
            wall = max(arms[OURS]["wall"], arms[OURS]["wall_mean_anchored"])
            word = "met" if (wall <= limit if "FLARE" in what else wall < limit) else "missed"
            said[what] = {"ours": wall, "limit": limit, "is": word}
        verdict = said[what]
        shown = (
            verdict
            if isinstance(verdict, str)
            else f"{verdict['is']} ({verdict['ours']:.2f} s, limit {verdict['limit']:.2f} s)"
        )
        print(f"target, our private, anchored round {what}: {shown}")
    return said


if __name__ == "__main__":
    sys.exit(main())
