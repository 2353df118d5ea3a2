"""Flower's deployment with its plain federated averaging, as real processes.

    python bench/workers/deployed_flower.py '{"folder": "DIR", "course": "DIR", "python": "FLOWER'S", "result": "FILE"}'

A SuperLink, a SuperNode per site and `flwr run`, all with Flower's defaults: TLS, polls every three seconds, a new
process for every message. What is not default makes it lighter or keeps it on this machine: no package is installed
when an app starts, no telemetry, no check for updates, no keys of SuperNodes. Ends all its processes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from caduceus.edges.flower.credentials import Credentials, write_trial_credentials

HERE = Path(__file__).parent
PATIENCE = 540.0
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "plain-averaging"
version = "1.0.0"
description = "Federated averaging of a logistic regression."
license = "Apache-2.0"
dependencies = ["flwr==1.41.0"]

[tool.hatch.build.targets.wheel]
packages = ["plain"]

[tool.flwr.app]
publisher = "bench"

[tool.flwr.app.components]
serverapp = "plain.flower_plain:server"
clientapp = "plain.flower_plain:client"

[tool.flwr.app.config]
course = {course}
result = {result}
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be run.

    folder  new; the federation's
    course  folder with the sites' data, batches and `course.json`
    python  the interpreter of Flower's environment
    result  JSON file that is written; the weights go beside it
    """

    folder: str
    course: str
    python: str
    result: str


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write_app(folder: Path, question: Question) -> Path:
    """The Flower App, with everything that its processes import."""
    package = folder / "app" / "plain"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in ("averaging_step.py", "flower_plain.py"):
        shutil.copy(HERE / name, package / name)
    course, result = (json.dumps(str(Path(path).resolve())) for path in (question.course, question.result))
    text = PROJECT.format(course=course, result=result)
    (folder / "app" / "pyproject.toml").write_text(text)
    return folder / "app"


class Office:
    """Starts Flower's programs, each with a home of its own, and ends them."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.tools = folder, python.parent
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, home: str, tool: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program in a group of its own."""
        place = self.folder / home
        place.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        path = f"{self.tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        env = kept | QUIET | {"FLWR_HOME": str(place), "HOME": str(place), "PATH": path}
        with (self.folder / f"{home}-{tool}.log").open("wb") as out:
            command = [str(self.tools / tool), *arguments]
            process = subprocess.Popen(command, env=env, cwd=place, stdout=out, stderr=out, start_new_session=True)
        self.started.append(process)
        return process

    def close(self) -> None:
        """End everybody with all that they have started."""
        for sign in (15, 9):
            for process in self.started:
                try:
                    os.killpg(process.pid, sign)
                except ProcessLookupError:
                    continue
            end = time.monotonic() + 5.0
            for process in self.started:
                try:
                    process.wait(max(0.1, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue


@contextmanager
def deployed(folder: Path, question: Question, sites: int) -> Iterator[tuple[Office, str]]:
    """Meanwhile the SuperLink and its SuperNodes run; yields who starts programs, and the connection's name."""
    credentials: Credentials = write_trial_credentials(folder / "keys", sites=sites, now=datetime.now(UTC))
    port = free_port()
    address = f"127.0.0.1:{port}"
    office = Office(folder, Path(question.python))
    try:
        home = folder / "link"
        home.mkdir()
        connection = f'address = "{address}"\nroot-certificates = "{credentials.authority}"\n'
        (home / "config.toml").write_text(f'[superlink]\ndefault = "bench"\n\n[superlink.bench]\n{connection}')
        office.start(
            "link",
            "flower-superlink",
            [
                *("--host", "127.0.0.1", "--port", str(port), "--ssl-certfile", str(credentials.certificate)),
                *("--ssl-keyfile", str(credentials.key), "--ssl-ca-certfile", str(credentials.authority)),
                "--disable-runtime-dependency-installation",
            ],
        )
        wait_for_port(port)
        for number in range(sites):
            office.start(
                f"site-{number}",
                "flower-supernode",
                [
                    *("--superlink", address, "--root-certificates", str(credentials.authority)),
                    *("--host", "127.0.0.1", "--port", str(free_port()), "--node-config", f"number={number}"),
                ],
            )
        yield office, "bench"
    finally:
        office.close()


def wait_for_port(port: int) -> None:
    """Return once somebody listens there."""
    end = time.monotonic() + 120.0
    while time.monotonic() < end:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("Flower's SuperLink does not listen")


def main() -> None:
    """Run, and write what was found."""
    question = Question(**json.loads(sys.argv[1]))
    about = json.loads((Path(question.course) / "course.json").read_text())
    folder, result = Path(question.folder).resolve(), Path(question.result)
    folder.mkdir(parents=True)
    app = write_app(folder, question)
    with deployed(folder, question, about["sites"]) as (office, connection):
        submitted = time.time()
        asked = office.start("link", "flwr", ["run", str(app), connection])
        if asked.wait(120.0):
            raise SystemExit((folder / "link-flwr.log").read_text()[-3000:])
        end = time.monotonic() + PATIENCE
        while not result.exists():
            if time.monotonic() > end:
                raise SystemExit((folder / "link-flower-superlink.log").read_text()[-3000:])
            time.sleep(0.2)
    answer = json.loads(result.read_text())
    answer["submitted_to_last_round"] = answer["marks"][-1] - submitted
    result.write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
