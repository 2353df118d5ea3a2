"""How fast masks are put on a vector: the keystream alone, the whole sum, threads, and a GPU where there is one.

    python bench/masks.py

Rows are (entries of 32 bits, keys). "bare" draws the same bytes into one buffer and throws them away, opening of the
keys included. Arms take turns; figures are medians, in GB of masks per second. Writes bench/results/masks.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import product

import numpy as np

from caduceus.crypto import keystream
from caduceus.edges import gpu_masks
from instruments.record import keep, load, provenance, show

ENTRIES = (10_000, 100_000, 1_000_000)
KEYS = (1, 10, 100)
PIECE = 1 << 17
TURNS = (5, 101)  # at least and at most
SECONDS = 2.0  # for a row's arms together, about

Arm = Callable[[], None]


def bare(opening: keystream.Opening, size: int, keys: Sequence[bytes]) -> None:
    """Draw `size` bytes of every key's stream and use none."""
    zeros, buffer = memoryview(bytes(PIECE)), bytearray(PIECE + keystream.BLOCK_BYTES)
    for stream in opening(keys, 0):
        for start in range(0, size, PIECE):
            stream.update_into(zeros[: size - start], buffer)


def arms(vector: np.typing.NDArray[np.uint32], keys: list[bytes], cores: int) -> dict[str, Arm]:
    """What is measured in one row; masks are added by half the keys and taken by the others."""
    plus, minus = keys[::2], keys[1::2]
    found: dict[str, Arm] = {}
    for name in keystream.available():
        opening = keystream.CIPHERS[name]
        found[f"{name}: bare"] = lambda opening=opening: bare(opening, vector.nbytes, keys)
        for threads in sorted({1, cores}):
            found[f"{name}: {threads} thread{'s' * (threads > 1)}"] = lambda threads=threads, name=name: (
                keystream.apply(vector, plus, minus, threads=threads, cipher=name)
            )
    if device := gpu_masks.best_device():
        found[device] = lambda: gpu_masks.apply_on(device, vector, plus, minus)
    return found


def measure(entries: int, count: int, cores: int) -> dict[str, float | int]:
    """The rates of a row's arms, in GB/s."""
    keys = [sha256(f"mask {i}".encode()).digest() for i in range(count)]
    vector = np.zeros(entries, np.uint32)
    row = arms(vector, keys, cores)
    began = time.perf_counter()
    for arm in row.values():
        arm()  # first calls, and how long a turn takes
    turns = min(max(round(SECONDS / (time.perf_counter() - began)), TURNS[0]), TURNS[1])
    took: dict[str, list[float]] = {name: [] for name in row}
    for _ in range(turns):
        for name, arm in row.items():
            began = time.perf_counter()
            arm()
            took[name].append(time.perf_counter() - began)
    rates = {name: round(vector.nbytes * count / statistics.median(seconds) / 1e9, 2) for name, seconds in took.items()}
    return {"entries": entries, "keys": count, "turns": turns, **rates}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )
    cores = len(os.sched_getaffinity(0))
    before = load()
    rows = [measure(entries, count, cores) for entries, count in product(ENTRIES, KEYS)]
    names = [name for name in rows[0] if name not in ("entries", "keys", "turns")]
    show(
        "GB of masks per second",
        ["entries x keys", *names],
        [[f"{row['entries']:,} x {row['keys']}", *(f"{row[name]:.2f}" for name in names)] for row in rows],
    )
    print(f"\nload before {before[0]}, after {load()[0]}; {cores} cores")
    if gpu_masks.best_device() is None:
        print("no GPU was measured: torch sees no CUDA device here")
    keep("masks", {**provenance(seed="keys are hashes of their numbers"), "rows": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
