"""FLARE's own deployment with its plain federated averaging, as real processes.

    python bench/workers/deployed_flare.py '{"folder": "DIR", "course": "DIR", "workflow": "ScatterAndGather",
                                             "result": "FILE.json"}'

FLARE's own provisioner and settings (mutual TLS, its default transport, its default policy); only the folders in which
the server keeps jobs and snapshots are moved, from /tmp into the run's own. A server and a client per site, and a job
that is submitted through FLARE's console. Its tasks are polled and its processes stay. Writes the times at which
rounds began, by the job's own log, and the final weights beside the result. Ends all its processes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.fuel.flare_api.flare_api import Session, new_secure_session
from nvflare.lighter.constants import CtxKey
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.cert import CertBuilder
from nvflare.lighter.impl.signature import SignatureBuilder
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner

HERE = Path(__file__).parent
ADMINISTRATOR, ORGANISATION = "admin@bench.org", "bench"
SCATTER, FEDAVG = "ScatterAndGather", "FedAvg"
PATIENCE = 300.0
_LINE = r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) [^\n]*(?:\n[-=]+\n *)?"  # FedAvg frames what it says
ROUND = re.compile(_LINE + r"Round (\d+) started", re.MULTILINE)
END = re.compile(_LINE + r"Finished (?:ScatterAndGather Training|FedAvg)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be run.

    folder    new; the federation's
    course    folder with the sites' data, batches and `course.json`
    workflow  FLARE's: ScatterAndGather or FedAvg
    result    JSON file that is written; the weights go beside it
    """

    folder: str
    course: str
    workflow: str
    result: str


def provision(folder: Path, names: list[str]) -> Path:
    """FLARE's kits for a server, sites and an administrator; returns their folder."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    project = Project("plain", "", props={"api_version": 3})
    project.set_server("localhost", ORGANISATION, {"fed_learn_port": port})
    for name in names:
        project.add_client(name, ORGANISATION, {})
    project.add_admin(ADMINISTRATOR, ORGANISATION, {"role": "project_admin"})
    builders = [WorkspaceBuilder(), StaticFileBuilder(config_folder="config"), CertBuilder(), SignatureBuilder()]
    made = Provisioner(str(folder / "authority"), builders).provision(project)
    if made.get(CtxKey.BUILD_ERROR):
        raise SystemExit("FLARE's provisioner failed")
    kits = Path(made[CtxKey.CURRENT_PROD_DIR])
    move_stores(kits / "localhost")
    return kits


def move_stores(kit: Path) -> None:
    """Have the server keep jobs and snapshots in its kit, not in the machine's /tmp."""
    local = kit / "local"
    settings: dict[str, Any] = json.loads((local / "resources.json.default").read_text())
    settings["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = str(kit / "snapshots")
    for component in settings["components"]:
        if component["id"] == "job_manager":
            component["args"]["uri_root"] = str(kit / "jobs")
    (local / "resources.json").write_text(json.dumps(settings))


@contextmanager
def running(kits: Path, names: list[str]) -> Iterator[None]:
    """Meanwhile the server and the clients run, by what their start.sh runs at last; then they are ended."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("localhost", *names):
            kit = kits / name
            role, uid = ("server", []) if name == "localhost" else ("client", [f"uid={name}"])
            (kit / "transfer").mkdir(exist_ok=True)
            module = f"nvflare.private.fed.app.{role}.{role}_train"
            options = ["-m", str(kit), "-s", f"fed_{role}.json"]
            settings = ["--set", "secure_train=true", *uid, f"org={ORGANISATION}", "config_folder=config"]
            with (kit / "output").open("wb") as out:
                command = [sys.executable, "-u", "-m", module, *options, *settings]
                started.append(subprocess.Popen(command, cwd=kit, stdout=out, stderr=out, env=environment()))
        yield
    finally:
        for process in started:
            process.terminate()
        end = time.monotonic() + 10.0
        for process in started:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment() -> dict[str, str]:
    """As start.sh has it; nothing of FLARE's from outside."""
    return {key: value for key, value in os.environ.items() if not key.startswith("NVF")} | {"MALLOC_ARENA_MAX": "4"}


def write_job(folder: Path, question: Question, about: dict[str, Any]) -> Path:
    """The job as FLARE's console takes it: its own workflow and components, and our local step."""
    common = "nvflare.app_common"
    if question.workflow == SCATTER:
        path = f"{common}.workflows.scatter_and_gather.ScatterAndGather"
        chosen: dict[str, Any] = {"min_clients": about["sites"], "persistor_id": "persistor"}
        chosen |= {"shareable_generator_id": "generator", "aggregator_id": "aggregator"}
    else:
        path, chosen = f"{common}.workflows.fedavg.FedAvg", {"num_clients": about["sites"]}
    generator = f"{common}.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator"
    aggregator = f"{common}.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator"
    opening = {"model": [0.0] * about["parameters"]}
    server = {
        "format_version": 2,
        "workflows": [{"id": "rounds", "path": path, "args": {"num_rounds": about["rounds"], **chosen}}],
        "components": [
            {"id": "persistor", "path": f"{common}.np.np_model_persistor.NPModelPersistor", "args": opening},
            {"id": "generator", "path": generator},
            {"id": "aggregator", "path": aggregator, "args": {"expected_data_kind": "WEIGHTS"}},
        ],
    }
    executor = {"path": "flare_executor.LocalStep", "args": {"folder": question.course}}
    client = {"format_version": 2, "executors": [{"tasks": ["train"], "executor": executor}]}
    meta = {"name": "job", "min_clients": about["sites"], "resource_spec": {}, "deploy_map": {"app": ["@ALL"]}}
    config, custom = folder / "job" / "app" / "config", folder / "job" / "app" / "custom"
    config.mkdir(parents=True)
    custom.mkdir()
    (folder / "job" / "meta.json").write_text(json.dumps(meta))
    (config / "config_fed_server.json").write_text(json.dumps(server))
    (config / "config_fed_client.json").write_text(json.dumps(client))
    for name in ("averaging_step.py", "flare_executor.py"):
        shutil.copy(HERE / name, custom / name)
    return folder / "job"


def connected(session: Session, sites: int) -> None:
    """Return once all sites are there."""
    end = time.monotonic() + PATIENCE
    while len(session.get_system_info().client_info) < sites:
        if time.monotonic() > end:
            raise SystemExit("FLARE's clients do not connect")
        time.sleep(0.2)


def seconds(text: str) -> float:
    """A log's time, local, in seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def main() -> None:
    """Run, and write what was found."""
    question = Question(**json.loads(sys.argv[1]))
    about = json.loads((Path(question.course) / "course.json").read_text())
    folder = Path(question.folder)
    kits = provision(folder, about["names"])
    with running(kits, about["names"]):
        session = new_secure_session(ADMINISTRATOR, str(kits / ADMINISTRATOR), timeout=60.0)
        try:
            connected(session, about["sites"])
            submitted = time.time()
            job = session.submit_job(str(write_job(folder, question, about)))
            session.monitor_job(job, timeout=PATIENCE, poll_interval=0.5)
            status = session.get_job_status(job)
            if status != "FINISHED:COMPLETED":
                raise SystemExit(f"FLARE's job ended as {status}")
            ended = time.time()
            result = Path(session.download_job_result(job))
        finally:
            session.close()
        log = next(iter(result.rglob("log.txt")), None) or kits / "localhost" / job / "log.txt"
        text = log.read_text()
        shutil.copy(next(result.rglob("server.npy")), Path(question.result).with_suffix(".npy"))
    marks = [seconds(when) for when, _ in ROUND.findall(text)] + [seconds(when) for when in END.findall(text)[:1]]
    if len(marks) != about["rounds"] + 1:
        raise SystemExit(f"{log}: {len(marks)} marks where {about['rounds']} rounds and an end are due")
    answer = {
        "marks": marks[1:],  # a round ends where the next one begins
        "submitted_to_last_round": marks[-1] - submitted,
        "submitted_to_ended": ended - submitted,
        "dtype": str(np.load(Path(question.result).with_suffix(".npy")).dtype),
    }
    Path(question.result).write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
