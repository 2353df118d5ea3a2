"""What a transaction costs in processor time, here and on a node beside it.

    python bench/chain.py [--calls N]

The same signed calls of the demo token go to the embedded chain (in a file, durable before each answer) and to
anvil over HTTP, in the same run; anvil's own processor time counts. Then one account's logs are asked for over all
blocks, and the chain file is verified and re-executed. Writes bench/results/chain.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # where anvil is found and started

from eth_abi import encode  # noqa: E402
from eth_account import Account  # noqa: E402
from eth_hash.auto import keccak  # noqa: E402
from eth_utils import to_checksum_address  # noqa: E402

from anvil_node import CHAIN_ID, AnvilNode, command, running  # noqa: E402
from caduceus.contracts import load  # noqa: E402
from caduceus.edges.evm_embedded import Node, create  # noqa: E402
from caduceus.edges.evm_embedded.replay import replay  # noqa: E402
from caduceus.edges.evm_embedded.verify import verify_file  # noqa: E402
from caduceus.edges.rpc import Request  # noqa: E402

SEED = 2026
WHO = Account.from_key(sha256(b"bench/chain").digest())
SUPPLY, WEI = 10**15, 10**21
TRANSFER, BALANCE = (keccak(text)[:4] for text in (b"transfer(address,uint256)", b"balanceOf(address)"))
TOPIC = "0x" + keccak(b"Transfer(address,address,uint256)").hex()

Clock = Callable[[], float]
"""Processor seconds used so far, by everyone who does the work."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="signed calls per row (default 300)")
    calls = parser.parse_args(arguments).calls
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.db"
        rows = {"embedded": embedded(path, calls)}
        started = time.process_time()
        verified = verify_file(path)
        rows["embedded"]["verify the file, ms per block"] = 1e3 * (time.process_time() - started) / verified.blocks
        started = time.process_time()
        replayed = replay(path)
        rows["embedded"]["re-execute, ms per transaction"] = 1e3 * (time.process_time() - started) / calls
        assert verified.whole
        assert replayed.problem is None
        rows["embedded"]["bytes of file per transaction"] = path.stat().st_size / verified.transactions
    if command() is None:
        print("anvil is not installed (npm ci in contracts/): measured without it")
    else:
        with running() as anvil:
            anvil.fund(bytes.fromhex(WHO.address[2:]), WEI)
            rows["anvil over HTTP"] = workload(anvil.node.request, clock_with(anvil), calls)
    show(rows)
    write(rows, calls)
    return 0


def embedded(path: Path, calls: int) -> dict[str, float]:
    """The workload on our own chain, in a file."""
    balances = {bytes.fromhex(WHO.address[2:]): WEI}
    with create(path, chain_id=CHAIN_ID, balances=balances, clock=lambda: int(time.time())) as chain:  # type: ignore[arg-type]
        return workload(Node(chain).request, time.process_time, calls)


def clock_with(anvil: AnvilNode) -> Clock:
    """Our processor time and the node's."""
    ticks = os.sysconf("SC_CLK_TCK")

    def clock() -> float:
        fields = Path(f"/proc/{anvil.pid}/stat").read_text().rpartition(")")[2].split()
        return time.process_time() + (int(fields[11]) + int(fields[12])) / ticks

    return clock


def workload(request: Request, clock: Clock, calls: int) -> dict[str, float]:
    """Processor milliseconds of each kind of work on one node."""
    token = deploy(request)
    signed = [
        sign(1 + i, to=token, data=TRANSFER + encode(["address", "uint256"], [person(i), i + 1])) for i in range(calls)
    ]

    def send_all() -> None:
        for raw in signed:
            assert receipt(request, request("eth_sendRawTransaction", [raw]))["status"] == "0x1"

    def ask_all() -> None:
        for i in range(calls):
            data = "0x" + (BALANCE + encode(["address"], [person(i)])).hex()
            assert int(request("eth_call", [{"to": token, "data": data}, "latest"]), 16) == i + 1

    def logs_of_one() -> None:
        topics = [TOPIC, None, "0x" + encode(["address"], [person(calls // 2)]).hex()]
        for _ in range(100):
            assert len(request("eth_getLogs", [{"fromBlock": "0x0", "address": token, "topics": topics}])) == 1

    def logs_of_all() -> None:
        for _ in range(10):
            assert len(request("eth_getLogs", [{"fromBlock": "0x0", "address": token, "topics": [TOPIC]}])) == calls + 1

    return {
        "signed call in a block of its own, ms": timed(clock, send_all) / calls,
        "eth_call, ms": timed(clock, ask_all) / calls,
        f"logs of one account over {calls} blocks, ms": timed(clock, logs_of_one) / 100,
        f"all {calls} logs, ms": timed(clock, logs_of_all) / 10,
    }


def deploy(request: Request) -> str:
    """The demo token's address."""
    artifact = load("DemoToken")
    inputs = next((part["inputs"] for part in artifact.abi if part["type"] == "constructor"), [])
    values = [SUPPLY if one["type"].startswith("uint") else WHO.address for one in inputs]
    data = artifact.bytecode + encode([one["type"] for one in inputs], values)
    made = receipt(request, request("eth_sendRawTransaction", [sign(0, data=data, gas=3_000_000)]))
    return to_checksum_address(made["contractAddress"])


def sign(nonce: int, **fields: Any) -> str:
    """A signed transaction as hex."""
    fees = {"maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 10**9}
    transaction = {"chainId": CHAIN_ID, "nonce": nonce, "gas": 100_000, "value": 0} | fees | fields
    return "0x" + bytes(WHO.sign_transaction(transaction).raw_transaction).hex()


def receipt(request: Request, key: str) -> Any:
    """A receipt, asked for until it is there: anvil answers before it mines."""
    while (found := request("eth_getTransactionReceipt", [key])) is None:
        pass
    return found


def person(i: int) -> str:
    """Somebody who is paid."""
    return "0x" + sha256(f"{SEED}/{i}".encode()).digest()[:20].hex()


def timed(clock: Clock, work: Callable[[], None]) -> float:
    """Processor milliseconds of some work."""
    started = clock()
    work()
    return 1e3 * (clock() - started)


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    print(f"{'processor time':<46}" + "".join(f"{who:>20}" for who in rows))
    for name in names:
        cells = (f"{row[name]:>20,.2f}" if name in row else f"{'':>20}" for row in rows.values())
        print(f"{name:<46}" + "".join(cells))


def write(rows: dict[str, dict[str, float]], calls: int) -> None:
    """Keep the figures with what they were taken on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    machine = {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    record = {"commit": commit.stdout.strip(), "seed": SEED, "calls": calls, "machine": machine, "rows": rows}
    (results / "chain.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
