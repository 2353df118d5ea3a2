"""Parties' folders as `init` makes them, a chain that they reach over HTTP, and an engine in this process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from caduceus.crypto.sign import Signer
from caduceus.edges import keyring
from caduceus.edges.code import code_digest
from caduceus.edges.network import Network, open_embedded
from caduceus.edges.rpc import Request, RpcError
from caduceus.kinds import Tokens
from caduceus.wiring.node.file import NODE_FILE
from caduceus.wiring.node.loop import Running
from caduceus.wiring.node.party import DEPLOYMENT, KEYS
from caduceus.wiring.node.roles import attach_hub, attach_spoke
from edges.switchboard.switchboard_engine import Wire
from small_federation import SITES, Small

HUB, BUYER = "hub", "pharma"
EVERYBODY = (HUB, BUYER, *SITES)


@contextmanager
def served(request: Request) -> Iterator[str]:
    """A node's URL on loopback for a chain in this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
            try:
                reply["result"] = request(asked["method"], asked["params"])
            except RpcError as problem:
                reply["error"] = {"code": problem.code, "message": problem.text, "data": problem.data}
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class NodeTown:
    """One chain, and everybody's folder under `folder`.

    treasury  the key of whoever hands out tokens
    """

    folder: Path
    treasury: bytes
    small: Small
    network: Network
    url: str
    wire: Wire = field(default_factory=Wire)
    running: dict[str, Running] = field(default_factory=dict)

    def place(self, name: str) -> Path:
        return self.folder / name

    def give(self, name: str, tokens: int) -> None:
        self.network.wallet(self.treasury).transfer(self.network.deployment.token, self.account(name), Tokens(tokens))

    def account(self, name: str) -> Any:
        return Signer(keyring.load(self.place(name) / KEYS).account).address

    def start(self, name: str) -> Running:
        """A party's process, as an engine starts it."""
        if name == HUB:
            running = attach_hub(self.place(name), _AtHub(self.wire))
        else:
            running = attach_spoke(self.place(name), _AtSpoke(self.wire, name))
        self.running[name] = running
        return running

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.running):
            self.running.pop(name).stop()

    def log(self, name: str) -> str:
        return (self.place(name) / "log.jsonl").read_text()


@dataclass
class _AtHub:
    wire: Wire

    def post(self, peer: str, frame: bytes) -> None:
        self.wire.post(peer, frame)

    def listen(self, arrived: Callable[[str, bytes], None]) -> None:
        self.wire.hub = arrived


@dataclass
class _AtSpoke:
    wire: Wire
    name: str

    def post(self, frame: bytes) -> None:
        self.wire.outward(self.name).post(frame)

    def listen(self, arrived: Callable[[bytes], None]) -> None:
        self.wire.spokes[self.name] = arrived


@contextmanager
def node_town(folder: Path, small: Small) -> Iterator[NodeTown]:
    """Folders, keys and gas for everybody; nobody runs yet, and everybody who does is stopped at the end."""
    with ExitStack() as stack:
        rings = {name: keyring.load_or_make(folder / name / KEYS) for name in EVERYBODY}
        treasury = keyring.load_or_make(folder / "treasury").account
        accounts = {name: Signer(ring.account).address for name, ring in rings.items()}
        network = stack.enter_context(
            open_embedded(folder / "chain" / "chain.sqlite", folder / "deployment", treasury, accounts)
        )
        url = stack.enter_context(served(network.node.request))
        town = NodeTown(folder, treasury, small, network, url)
        for name in EVERYBODY:
            _fill(town, name, accounts[HUB].hex())
        try:
            yield town
        finally:
            town.stop()


def _fill(town: NodeTown, name: str, hub: str) -> None:
    role = {HUB: "coordinator", BUYER: "buyer"}.get(name, "site")
    place = town.place(name)
    place.chmod(0o700)
    (place / DEPLOYMENT).write_bytes((town.folder / "deployment").read_bytes())
    lines = [
        f'store = "{"transcript/blobs" if name == HUB else "blobs"}"',
        f'[party]\nname = "{name}"\nrole = "{role}"',
        f'[chain]\nurl = "{town.url}"\nconfirmations = 0\npoll = 0.1',
    ]
    if name != HUB:
        lines.append(f'[coordinator]\naccount = "0x{hub}"')
    if role == "site":
        lines.append(f'[data]\nfederation = "{town.small.federation}"')
        lines.append(f'[policy]\ncode = ["{code_digest().hex()}"]')
    (place / NODE_FILE).write_text("\n\n".join(lines) + "\n")


def until(is_so: Callable[[], object], story: Callable[[], Sequence[str]] = lambda: (), seconds: float = 60.0) -> None:
    """Wait for something that other threads bring about; fails with the story if it never comes to that."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "\n".join(("it never came to that", *story()))
        time.sleep(0.02)
