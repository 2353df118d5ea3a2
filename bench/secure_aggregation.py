"""Secure aggregation beside Flower's SecAgg+: processor time of all parties and of the server, on the same vectors.

    python bench/secure_aggregation.py [--quick] [--large] [--repeat N]

Both arms run in fresh processes, in turn, protocol only. Rows are sites x entries - vanished sites. The main table
gives both the same number of neighbours, Flower's 2 ceil(log2 n), and ours a threshold of two thirds where Flower's
is half. Flower sets up its keys in every round; ours are set up once for a job, here of 20 rounds, and a twentieth is
counted with each. Further tables: our own plans; what ML-KEM adds; `--large`: a thousand and ten thousand sites.

Flower is no dependency of ours and lives in an environment of its own (see README.md); without it that arm is left
out, and the script ends with 2. Writes bench/results/secure_aggregation.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil, log2
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from caduceus.crypto import xwing
from instruments.record import keep, load, provenance, show

WORKERS = Path(__file__).parent / "workers"
SITES, LENGTHS, DROPPED = (10, 50, 100), (10_000, 100_000, 1_000_000), (0.0, 0.1)
QUICK = ((10, 10_000), (10, 1_000_000), (50, 10_000))
JOB_ROUNDS = 20
LARGE: tuple[dict[str, Any], ...] = (
    {"sites": 1000, "length": 1_000_000, "vanish": 50, "assume": [100, 50, False], "threads": 2},
    {"sites": 10_000, "length": 10_000, "vanish": 500, "assume": [50, 50, False], "threads": 2},
)

Answer = dict[str, Any]


def ask(python: str, worker: str, question: Mapping[str, Any]) -> Answer:
    """One question to one fresh process."""
    done = subprocess.run(
        [python, str(WORKERS / worker), json.dumps(question)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{worker} failed on {question}:\n{done.stderr[-2000:]}")
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def pairs(repeat: int, sizes: Sequence[tuple[int, int]], flower: str | None, folder: Path) -> list[Answer]:
    """Both arms on the same vectors, in turn, as often as asked."""
    found = []
    for sites, length in sizes:
        path = folder / "vectors.npy"
        rows = np.random.default_rng(sites).uniform(-1.0, 1.0, (sites, length)).astype(np.float32)
        np.save(path, rows)
        del rows
        for share in DROPPED:
            vanish, neighbours = round(sites * share), min(sites - 1, 2 * ceil(log2(sites)))
            question: dict[str, Any] = {
                "sites": sites,
                "length": length,
                "vanish": vanish,
                "neighbours": neighbours,
                "threshold": neighbours // 2 + 1,
                "vectors": str(path),
                "clip": 1.0,
            }
            ours, theirs = [], []
            for _ in range(repeat):
                if flower is not None:
                    theirs.append(ask(flower, "flower_secagg.py", question))
                ours.append(ask(sys.executable, "caduceus_secagg.py", question | {"rounds": 3, "prepare": JOB_ROUNDS}))
            found.append({"question": question, "ours": ours, "flower": theirs, "load": load()})
            print(".", end="", flush=True)
    return found


def shown(rows: Sequence[Answer]) -> None:
    """The tables of both arms."""
    head = ("sites x entries - gone", "neighbours", "ours: round", "+ set-up", "server", "Flower", "server")
    head += ("all / Flower", "server / Flower", "replay", "client / bare")
    lines = []
    for row in rows:
        question = row["question"]
        best = _medians(row)
        lines.append(
            (
                f"{question['sites']} x {question['length']:,} - {question['vanish']}",
                str(question["neighbours"]),
                *(f"{best[name]:.3f}" for name in ("round", "job", "server")),
                *(f"{best[name]:.2f}" if name in best else "-" for name in ("flower", "flower_server")),
                f"1 / {best['flower'] / best['job']:.1f}" if "flower" in best else "-",
                f"1 / {best['flower_server'] / best['server']:.1f}" if "flower" in best else "-",
                f"{best['replay']:.3f}",
                f"{best['client'] / best['bare']:.2f}",
            )
        )
    show("Processor seconds of all parties, medians; ours counts a twentieth of a set-up for 20 rounds", head, lines)


def _medians(row: Answer) -> dict[str, float]:
    ours, theirs = row["ours"], row["flower"]
    found = {
        "round": median(one["round"]["processor"] for one in ours),
        "job": median(one["round"]["processor"] + one["setup"]["processor"] / JOB_ROUNDS for one in ours),
        "server": median(one["round"]["server"] + one["setup"]["server"] / JOB_ROUNDS for one in ours),
        "replay": median(one["round"]["replay"] for one in ours),
        "client": median(one["round"]["client_median"] for one in ours),
        "bare": median(one["bare_client"] for one in ours),
    }
    if theirs:
        found["flower"] = median(one["processor"] for one in theirs)
        found["flower_server"] = median(one["processor_server"] for one in theirs)
    return found


def planned(sites: Sequence[int]) -> list[Answer]:
    """Our own plans: what safety asks for, instead of the peer's number of neighbours."""
    found = []
    for count in sites:
        question = {
            "sites": count,
            "length": 100_000,
            "clip": 1.0,
            "rounds": 2,
            "prepare": JOB_ROUNDS,
            "vanish": count // 10,
        }
        found.append({"question": question, "ours": ask(sys.executable, "caduceus_secagg.py", question)})
    head = (
        "sites",
        "neighbours",
        "committee",
        "threshold",
        "set-up, CPU s",
        "round, CPU s",
        "per site, CPU ms",
        "replay",
    )
    lines = [
        (
            str(one["question"]["sites"]),
            *(str(one["ours"]["plan"][name]) for name in ("degree", "committee", "threshold")),
            f"{one['ours']['setup']['processor']:.2f}",
            f"{one['ours']['round']['processor']:.3f}",
            f"{one['ours']['round']['client_median'] * 1e3:.1f}",
            f"{one['ours']['round']['replay']:.3f}",
        )
        for one in found
    ]
    show("Our own plans, 100,000 entries, a tenth of the sites gone", head, lines)
    return found


def large(folder: Path) -> list[Answer]:
    """A thousand and ten thousand sites."""
    found = []
    for size in LARGE:
        spill = folder / "uploads"
        spill.mkdir(exist_ok=True)
        question = size | {"clip": 1.0, "rounds": 1, "shared": True, "spill": str(spill)}
        found.append({"question": question, "ours": ask(sys.executable, "caduceus_secagg.py", question)})
        print(".", end="", flush=True)
    head = ("sites x entries - gone", "graph", "neighbours", "committee", "set-up, wall s", "CPU s")
    head += ("round, wall s", "CPU s", "replay, CPU s", "peak MB")
    lines = []
    for one in found:
        asked, ours = one["question"], one["ours"]
        lines.append(
            (
                f"{asked['sites']:,} x {asked['length']:,} - {asked['vanish']}",
                ours["family"],
                *(str(ours["plan"][name]) for name in ("degree", "committee")),
                *(f"{ours['setup'][name]:.0f}" for name in ("wall", "processor")),
                *(f"{ours['round'][name]:.0f}" for name in ("wall", "processor", "replay")),
                f"{ours['peak_mb']:,}",
            )
        )
    show("Large: every party in one process, which checks a signature once for all", head, lines)
    return found


def keys() -> Answer:
    """What ML-KEM adds to the agreement of a pair: X-Wing beside X25519 alone, microseconds."""
    one, private = xwing.Decapsulator(bytes(32)), X25519PrivateKey.generate()
    encapsulation, _ = xwing.encapsulate(one.public)
    public = X25519PrivateKey.generate().public_key().public_bytes_raw()

    def classical() -> None:
        private.exchange(X25519PublicKey.from_public_bytes(public))

    found = {
        "X-Wing: generate": _micro(lambda: xwing.Decapsulator(bytes(32))),
        "X-Wing: encapsulate": _micro(lambda: xwing.encapsulate(one.public)),
        "X-Wing: decapsulate": _micro(lambda: one.decapsulate(encapsulation)),
        "X25519: agree, each end": _micro(classical),
    }
    pair = found["X-Wing: encapsulate"] + found["X-Wing: decapsulate"] - 2 * found["X25519: agree, each end"]
    found["ML-KEM adds per neighbour pair and set-up"] = pair
    found["... per round of a job of 20"] = pair / JOB_ROUNDS
    show("Keys", ("", "microseconds"), [(name, f"{value:.0f}") for name, value in found.items()])
    return found


def _micro(call: Callable[[], object], count: int = 300) -> float:
    call()
    best = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(count):
            call()
        best.append((time.process_time() - began) / count * 1e6)
    return min(best)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three sizes only")
    parser.add_argument(
        "--large", action="store_true", help="also 1,000 and 10,000 sites: an hour, over 3 GB, 4 GB of disk"
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of either arm per row (default: 1)")
    asked = parser.parse_args(arguments)
    flower = os.environ.get("CADUCEUS_FLOWER_PYTHON")
    sizes = QUICK if asked.quick else tuple((sites, length) for length in LENGTHS for sites in SITES)
    with tempfile.TemporaryDirectory() as name:
        rows = pairs(asked.repeat, sizes, flower, Path(name))
        shown(rows)
        plans = planned((10, 49) if asked.quick else (10, 49, 100))
        sizes_large = large(Path(name)) if asked.large else []
    record = {
        **provenance(seed="vectors: numpy default_rng(sites)"),
        "rows": rows,
        "plans": plans,
        "large": sizes_large,
    }
    keep("secure_aggregation", record | {"keys": keys()})
    if flower is None:
        print("CADUCEUS_FLOWER_PYTHON names no interpreter with flwr: the peer was left out", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
