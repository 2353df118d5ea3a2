"""The processes of a Flower deployment on one machine: what a supervisor starts, and in which order.

Between organisations each process runs on its owner's machine; docs/decisions/flower-edge.md has the commands.
Nothing is started here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caduceus.edges.flower.app import PACKAGE, write_app
from caduceus.edges.flower.credentials import Credentials
from caduceus.errors import Refused

CONNECTION = "caduceus"
"""The name of the SuperLink's connection in Flower's configuration."""

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
"""Environment that keeps Flower from calling out: telemetry, update checks, installing packages at run time."""
BRISK = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1"}
"""For sites with Flower's own runner: seconds between its looks for a task; 1 by default. Each look costs the
SuperNode some milliseconds; the SuperLink, which starts one task per run, keeps the default."""


@dataclass(frozen=True)
class Process:
    """One process: what to run, and with which environment.

    name  unique in its deployment
    argv  the command; argv[0] is an absolute path
    env   the whole environment, nothing is inherited
    once  it ends by itself with status 0 (a registration); the others stay until they are stopped
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    once: bool = False


@dataclass(frozen=True)
class Deployment:
    """A SuperLink, its SuperNodes and the run of the bridge, on loopback.

    python       the interpreter of Flower's environment (flwr 1.41.0 installed)
    folder       for configuration, the app and Flower's own files; created
    credentials  TLS certificate of the SuperLink and key pairs of the SuperNodes
    port         of the SuperLink; its SuperNodes' runtime ports are `site_ports`
    hub_socket   where the coordinator's process listens
    site_sockets where each site's process listens, one per SuperNode
    resident     sites run the bridge's own runner, which stays up; False: Flower's, a process per message
    """

    python: Path
    folder: Path
    credentials: Credentials
    port: int
    hub_socket: Path
    site_sockets: Sequence[Path]
    site_ports: Sequence[int]
    resident: bool = True
    extra_env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises Refused if Flower's commands are not there or the lists differ in length."""
        if not self._tool("flower-superlink").exists():
            raise Refused(f"{self.python}: no flower-superlink beside it; pip install flwr==1.41.0 there")
        if not len(self.site_sockets) == len(self.site_ports) <= len(self.credentials.node_keys):
            raise Refused("a deployment wants one socket, one port and one key per site")

    def write(self) -> None:
        """Write the app and Flower's configuration; the SuperLink's connection is in it."""
        for home in [self._home("hub"), *(self._home(f"site-{index}") for index in range(len(self.site_ports)))]:
            home.mkdir(parents=True, exist_ok=True)
        write_app(self.folder / "app", hub_socket=self.hub_socket)
        (self._home("hub") / "config.toml").write_text(
            f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\naddress = "127.0.0.1:{self.port}"\n'
            f'root-certificates = "{self.credentials.authority}"\n'
        )

    def superlink(self) -> Process:
        """The SuperLink, with TLS and SuperNode authentication; a file keeps its state."""
        argv = (
            *(str(self._tool("flower-superlink")), "--host", "127.0.0.1", "--port", str(self.port)),
            *("--ssl-certfile", str(self.credentials.certificate), "--ssl-keyfile", str(self.credentials.key)),
            *("--ssl-ca-certfile", str(self.credentials.authority), "--enable-supernode-auth"),
            *("--database", str(self._home("hub") / "link.db"), "--disable-runtime-dependency-installation"),
        )
        return Process("superlink", argv, self._env("hub"))

    def registrations(self) -> list[Process]:
        """Tell the SuperLink each SuperNode's public key; once per key, when the SuperLink answers."""
        return [
            Process(
                f"register-{index}",
                (
                    *(str(self._tool("flwr")), "supernode", "register"),
                    *(str(self.credentials.node_keys[index].with_suffix(".pub")), CONNECTION, "--format", "json"),
                ),
                self._env("hub"),
                once=True,
            )
            for index in range(len(self.site_ports))
        ]

    def run(self) -> Process:
        """Submit the bridge's run and follow its log; it ends when the run does, and is then started again."""
        argv = (str(self._tool("flwr")), "run", str(self.folder / "app"), CONNECTION, "--stream")
        return Process("run", argv, self._env("hub"))

    def supernode(self, index: int) -> Process:
        """One site's SuperNode."""
        argv = (
            *(str(self._tool("flower-supernode")), "--superlink", f"127.0.0.1:{self.port}"),
            *("--root-certificates", str(self.credentials.authority)),
            *("--auth-supernode-private-key", str(self.credentials.node_keys[index])),
            *("--host", "127.0.0.1", "--port", str(self.site_ports[index])),
            *("--node-config", f'caduceus-socket="{self.site_sockets[index]}"'),
            *("--isolation", "process" if self.resident else "subprocess"),
            *(("--superexec-auth-secret-file", str(self.credentials.secret)) if self.resident else ()),
        )
        brisk = {} if self.resident else BRISK
        return Process(f"supernode-{index}", argv, {**self._env(f"site-{index}"), **brisk})

    def runner(self, index: int) -> Process | None:
        """One site's resident runner; None where the SuperNode starts Flower's own."""
        if not self.resident:
            return None
        argv = (
            *(str(self.python), "-m", f"{PACKAGE}.resident", "--runtime-api-address"),
            *(f"127.0.0.1:{self.site_ports[index]}", "--socket", str(self.site_sockets[index])),
            *("--superexec-auth-secret-file", str(self.credentials.secret)),
        )
        return Process(f"runner-{index}", argv, {**self._env(f"site-{index}"), "PYTHONPATH": str(self.folder / "app")})

    def processes(self) -> list[Process]:
        """Everything, in the order of starting; each may be started again by itself."""
        sites = [process for index in range(len(self.site_ports)) for process in self._site(index)]
        return [self.superlink(), *self.registrations(), *sites, self.run()]

    def _site(self, index: int) -> list[Process]:
        runner = self.runner(index)
        return [self.supernode(index), *([runner] if runner else [])]

    def _home(self, name: str) -> Path:
        return self.folder / name

    def _tool(self, name: str) -> Path:
        return self.python.parent / name

    def _env(self, name: str) -> dict[str, str]:
        path = f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        home = str(self._home(name))
        return {"PATH": path, "HOME": home, "FLWR_HOME": home, **QUIET, **self.extra_env}
