"""The chain node of a network on one machine: anvil."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caduceus.edges.evm_rpc import HttpNode
from caduceus.errors import Refused, Unavailable
from caduceus.wiring.cluster.places import Places
from caduceus.wiring.cluster.supervisor import Job

ANVIL = "CADUCEUS_ANVIL"
"""The environment variable that names the anvil program."""

CHAIN = "chain"
"""What the node is called among the processes."""

_BLOCK = 1
"""Seconds between two blocks."""


def anvil_program() -> str:
    """Where anvil is: CADUCEUS_ANVIL, the contracts' folder of a checkout, or the PATH.

    Raises Refused if it is nowhere.
    """
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "amd64"
    system = "darwin" if sys.platform == "darwin" else "linux"
    modules = Path(__file__).parents[4] / "contracts" / "node_modules" / "@foundry-rs"
    native = modules / f"anvil-{system}-{machine}" / "bin" / "anvil"
    for candidate in (os.environ.get(ANVIL), str(native), "anvil"):
        if candidate and (found := shutil.which(candidate)):
            return found
    raise Refused(f"anvil is not on this machine: `npm install` in contracts/, or set {ANVIL} to the program")


def state_file(places: Places) -> Path:
    """Where the node keeps the chain."""
    return places.chain / "state.json"


def chain_job(places: Places, port: int) -> Job:
    """The chain node: a block every second, its state on disk once a second and at its end."""
    places.chain.mkdir(parents=True, exist_ok=True)
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--chain-id": 1337,
        "--block-time": _BLOCK,
        "--state": state_file(places).resolve(),
        "--state-interval": 1,
    }
    given = (str(part) for pair in options.items() for part in pair)
    argv = (anvil_program(), *given, "--silent", "--preserve-historical-states")
    command = lambda: (argv, dict(os.environ), places.chain)  # noqa: E731
    return Job(CHAIN, command, places.logs / f"{CHAIN}.log", ends_last=True)


def url_at(port: int) -> str:
    """The node's address."""
    return f"http://127.0.0.1:{port}"


def free_port() -> int:
    """A port of the loopback network that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback network."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_for_chain(url: str, patience: float = 30.0) -> None:
    """Return once the node answers.

    Raises Unavailable if it does not in time.
    """
    end = time.monotonic() + patience
    with HttpNode(url, timeout=2.0) as node:
        while True:
            try:
                node.request("eth_blockNumber", [])
            except Unavailable:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return


@contextmanager
def mining_at_once(url: str) -> Iterator[None]:
    """Meanwhile every transaction has a block of its own at once; blocks of one second share its timestamp."""
    with HttpNode(url) as node:
        node.request("evm_setAutomine", [True])
        try:
            yield
        finally:
            node.request("evm_setAutomine", [False])
            node.request("evm_setIntervalMining", [_BLOCK])
