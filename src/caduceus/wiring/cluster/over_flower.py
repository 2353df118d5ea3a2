"""The same network with Flower carrying its frames: kits, and Flower's own processes beside the parties'."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from caduceus.edges.flower.credentials import Credentials, write_trial_credentials
from caduceus.edges.flower.deployment import Deployment, Process
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused, Unavailable
from caduceus.wiring.cluster.chain import free_port
from caduceus.wiring.cluster.places import BUYER, COORDINATOR, Places, slug
from caduceus.wiring.cluster.supervisor import Job, Supervisor
from caduceus.wiring.node.alone import KIT_FILE

FLOWER_PYTHON = "CADUCEUS_FLOWER_PYTHON"
"""The environment variable that names the interpreter of Flower's environment."""

_LONGEST_SOCKET = 100
_PATIENCE = 60.0


def flower_kits(places: Places, names: Sequence[str]) -> dict[str, Path]:
    """A kit for each party: which end it is, and its socket; the hub's under "server".

    Raises Refused if the folder's path is too long for sockets.
    """
    made = {}
    for end, name, key in [("hub", COORDINATOR, "server"), *(("site", one, slug(one)) for one in (BUYER, *names))]:
        kit, line = places.kits / "kits" / key, _line(places, name)
        if len(str(line).encode()) > _LONGEST_SOCKET:
            raise Refused(f"{line}: too long for a socket; choose a folder with a shorter path")
        text = f'name = "{slug(name)}"\nend = "{end}"\nsocket = "{line}"\n'
        write_whole(kit / KIT_FILE, text.encode())
        made[key] = kit
    line.parent.mkdir(mode=0o700, exist_ok=True)
    return made


def deployment_of(places: Places, names: Sequence[str]) -> Deployment:
    """Flower's side of a network: a SuperLink, a SuperNode for everybody but the coordinator, and the bridge's run.

    Raises Refused if there is no environment with Flower in it.
    """
    given = os.environ.get(FLOWER_PYTHON)
    if not given:
        raise Refused(f"Flower lives in an environment of its own: name its interpreter in {FLOWER_PYTHON}")
    folder, parties = places.root / "flower", (BUYER, *names)
    keys = folder / "credentials"
    if not (keys / "authority.pem").exists():
        found = write_trial_credentials(keys, sites=len(parties), now=datetime.now(UTC))
    else:
        nodes = tuple(keys / f"site-{index}" for index in range(len(parties)))
        found = Credentials(
            keys / "authority.pem", keys / "superlink.pem", keys / "superlink.key", keys / "runner.secret", nodes
        )
    return Deployment(
        python=Path(given),
        folder=folder,
        credentials=found,
        port=free_port(),
        hub_socket=_line(places, COORDINATOR),
        site_sockets=[_line(places, one) for one in parties],
        site_ports=[free_port() for _ in parties],
    )


def start_flower(places: Places, deployment: Deployment, supervisor: Supervisor) -> None:
    """Start Flower's processes in their order, and keep them alive.

    Raises Unavailable if the SuperLink does not take the SuperNodes' keys in a minute.
    """
    deployment.write()
    for process in deployment.processes():
        if process.once:
            _wait_for(deployment.port)  # a registration that nobody hears ends well all the same
            _run_once(process, deployment.folder)
        else:
            supervisor.keep(Job(process.name, partial(_command, process, deployment.folder), _log(places, process)))


def _command(process: Process, folder: Path) -> tuple[Sequence[str], dict[str, str], Path]:
    return process.argv, dict(process.env), folder


def _log(places: Places, process: Process) -> Path:
    return places.logs / f"flower-{process.name}.log"


def _wait_for(port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError as problem:
            if time.monotonic() > end:
                raise Unavailable(f"Flower's SuperLink does not answer on port {port}: {problem}") from None
            time.sleep(0.2)
        else:
            return


def _run_once(process: Process, folder: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        done = subprocess.run(  # noqa: S603  (our own command)
            process.argv, env=dict(process.env), cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        if time.monotonic() > end:
            raise Unavailable(f"{process.name}: Flower's SuperLink has not taken it: {done.stderr.strip()[-500:]}")
        time.sleep(1.0)


def _line(places: Places, name: str) -> Path:
    return places.root.resolve() / "sockets" / slug(name)
