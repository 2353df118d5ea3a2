"""Starts the anvil node for tests that compare with a real one; shared by every suite that needs it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from caduceus.edges.evm_rpc import HttpNode

CHAIN_ID = 1337
_MODULES = Path(__file__).parent.parent / "contracts" / "node_modules"

_WATCH = """
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
print(child.pid, flush=True)
def listen():
    for line in child.stdout:
        if line.startswith(b"Listening on "):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    sys.stdout.close()
threading.Thread(target=listen, daemon=True).start()
sys.stdin.read()
os.killpg(child.pid, signal.SIGKILL)
child.wait()
"""
"""Ends the node when the pipe to the tests closes, so that it never outlives them, however they end."""


@dataclass(frozen=True, slots=True)
class AnvilNode:
    """A running node."""

    url: str
    node: HttpNode
    pid: int
    """Of the node's own process."""
    chain_id: int = CHAIN_ID

    def fund(self, account: bytes, wei: int) -> None:
        """Set an account's balance."""
        self.node.request("anvil_setBalance", ["0x" + account.hex(), hex(wei)])


def command() -> str | None:
    """The anvil program: CADUCEUS_ANVIL, the one that contracts/ installs, or one on the PATH."""
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "amd64"
    system = "darwin" if sys.platform == "darwin" else "linux"
    native = _MODULES / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"
    for candidate in (os.environ.get("CADUCEUS_ANVIL"), str(native), str(_MODULES / ".bin" / "anvil")):
        if candidate and Path(candidate).is_file():
            return candidate
    return shutil.which("anvil")


@contextmanager
def running(*arguments: str) -> Iterator[AnvilNode]:
    """A fresh node on a free port of this machine, gone at the end."""
    program = command()
    if program is None:
        raise FileNotFoundError("anvil is not installed")
    options = ["--port", "0", "--host", "127.0.0.1", "--chain-id", str(CHAIN_ID), "--hardfork", "prague"]
    options += ["--accounts", "1", "--gas-limit", "30000000", "--base-fee", str(10**9)]
    watched = [sys.executable, "-c", _WATCH, program, *options, *arguments]
    with subprocess.Popen(watched, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pid = int(process.stdout.readline())
            line = next((line for line in process.stdout if line.startswith("Listening on ")), None)
            assert line is not None, "anvil ended before it listened"
            url = "http://" + line.removeprefix("Listening on ").strip()
            with HttpNode(url, timeout=60) as node:
                yield AnvilNode(url, node, pid)
        finally:
            process.stdin.close()


def require_anvil() -> None:
    """Skip the test where anvil is not installed: it needs a real node, which comes with npm and not with pip."""
    if command() is None:
        pytest.skip("anvil is not installed: run `npm install` in contracts/, or set CADUCEUS_ANVIL")


@pytest.fixture
def anvil() -> Iterator[AnvilNode]:
    """A fresh anvil node; the test is skipped where anvil is not installed."""
    require_anvil()
    with running() as node:
        yield node
