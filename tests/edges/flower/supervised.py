"""A real Flower deployment under test: starts its processes, kills them, and leaves none behind."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from caduceus.edges.flower.credentials import write_trial_credentials
from caduceus.edges.flower.deployment import Deployment, Process


def flower_python() -> Path:
    """The interpreter of a Flower environment, or a skip that says how to get one."""
    named = os.environ.get("CADUCEUS_FLOWER_PYTHON")
    if not named:
        pytest.skip("no Flower: python -m venv F; F/bin/pip install flwr==1.41.0; CADUCEUS_FLOWER_PYTHON=F/bin/python")
    if not (Path(named).parent / "flower-superlink").exists():
        pytest.skip(f"no Flower: CADUCEUS_FLOWER_PYTHON={named} has no flower-superlink beside it")
    return Path(named)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Supervised:
    """The deployment, and what of it runs. Output goes to `<name>.log` in its folder."""

    def __init__(self, place: Path, sites: int, *, resident: bool, python: Path) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.place = place
        self.deployment = Deployment(
            python=python,
            folder=place / "flower",
            credentials=write_trial_credentials(place / "keys", sites=sites, now=now),
            port=free_port(),
            hub_socket=place / "hub",
            site_sockets=[place / str(index) for index in range(sites)],
            site_ports=[free_port() for _ in range(sites)],
            resident=resident,
        )
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, process: Process) -> subprocess.Popen[bytes]:
        with (self.place / f"{process.name}.log").open("ab") as log:
            started = subprocess.Popen(
                process.argv,
                env=dict(process.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running[process.name] = started
        return started

    def start_all(self) -> None:
        self.deployment.write()
        self.start(self.deployment.superlink())
        _answers(self.deployment.port)
        for process in self.deployment.processes()[1:]:
            started = self.start(process)
            if process.once:
                assert started.wait(120) == 0, self.log(process.name)

    def keep(self, process: Process, says: str, *, tries: int = 40) -> None:
        """Start a process again, as a supervisor does, until it writes to its log what it says once it stands."""
        for _ in range(tries):
            already = self.log(process.name).count(says)
            started = self.start(process)
            while started.poll() is None:
                if self.log(process.name).count(says) > already:
                    return
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.wait(0.5)
        raise AssertionError(self.log(process.name)[-2000:])

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        """As the system does when it is out of memory: no warning, and children by their own devices."""
        self.running[name].kill()
        self.running.pop(name).wait(30)

    def stop(self) -> None:
        """Kill everything that was started here, and what that started."""
        for name in list(self.running):
            self.kill(name)
        mark = f"FLWR_HOME={self.deployment.folder}/".encode()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if mark in (entry / "environ").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)


def _answers(port: int) -> None:
    pause = threading.Event()
    for _ in range(600):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        pause.wait(0.1)
    raise AssertionError("the SuperLink does not listen")
