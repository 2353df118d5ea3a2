"""FLARE's processes for tests, as a supervisor would run them, on the loopback network and ports that are free."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import psutil
from flare_roles import KEY

from caduceus.edges.flare.policy import LOG, equip
from caduceus.edges.flare.process import start

HERE = Path(__file__).parent
PATIENCE = 90.0
"""Seconds after which something that should happen has not: far beyond what it takes on a busy machine."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(happened: Callable[[], Any], what: str) -> Any:
    """What `happened` returns once it is true."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = happened()
        if result:
            return result
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.05)


class Process:
    """One kit's process and the way to its role."""

    def __init__(self, name: str, kit: Path, home: Path) -> None:
        self.name = name
        self.kit = kit
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._logged = 0

    def equip(self, role: str, *, console: bool = False) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        equip(self.kit, entry=f"flare_roles:{role}", folder=self.home, console=console)

    def launch(self, *, uid: str = "") -> None:
        """Start the process; with `uid`, under a name that is not the certificate's."""
        how = start(self.kit, environment={**os.environ, "PYTHONPATH": str(HERE)})
        argv = [f"uid={uid}" if uid and word.startswith("uid=") else word for word in how.argv]
        (self.home / "socket").unlink(missing_ok=True)
        self._line = None
        self._logged = len(self._whole_log())
        with (self.home / "output").open("wb") as output:
            self.process = subprocess.Popen(argv, env=how.env, cwd=how.cwd, stdout=output, stderr=output)

    def tell(self, verb: str, *arguments: Any) -> Any:
        """Have the role do something; its answer. Raises RuntimeError with what it raised."""
        if self._line is None:
            path = self.home / "socket"
            until(lambda: path.exists() or self._ended(), f"the role of {self.name} starts: {self.log()[-2000:]}")
            self._line = Client(str(path), "AF_UNIX", authkey=KEY)
        self._line.send((verb, arguments))
        worked, result = self._line.recv()
        if not worked:
            raise RuntimeError(result)
        return result

    def _ended(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended: {self.output()[-3000:]}"
        return False

    def kill(self) -> None:
        """kill -9, and nothing said."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def end(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def log(self) -> str:
        """What FLARE and the role have logged since the last launch."""
        return self._whole_log()[self._logged :]

    def _whole_log(self) -> str:
        path = self.kit / LOG
        return path.read_text() if path.exists() else ""

    def output(self) -> str:
        """What the process has printed since the last launch."""
        path = self.home / "output"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """End the process and whatever it started."""
        if self.process is None:
            return
        started = []
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait(10)
        for child in started:
            with suppress(psutil.NoSuchProcess):
                child.kill()


class Federation:
    """A folder with kits, and the processes started from them; short of name, as sockets' names are."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fl"))
        self.processes: dict[str, Process] = {}

    def add(self, kits: dict[str, Path]) -> None:
        for name, kit in kits.items():
            self.processes[name] = Process(name, kit, self.folder / "homes" / name)

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    def close(self) -> None:
        for process in self.processes.values():
            process.close()
        shutil.rmtree(self.folder)
