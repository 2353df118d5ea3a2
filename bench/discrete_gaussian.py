"""How fast exact discrete Gaussian noise is drawn, beside OpenDP's exact sampler and numpy's inexact normal.

    pip install opendp
    python bench/discrete_gaussian.py

Million samples per second of processor time, one thread, arms in turn, medians. OpenDP adds its noise to a vector of
zeros (make_gaussian on 64-bit integers), one sample after the other. numpy's figures are rounded floats from a
generator that is no cipher: for orientation, no noise to protect anybody with. Without OpenDP its column stays empty.
Writes bench/results/discrete_gaussian.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import version

import numpy as np

from caduceus.privacy.discrete_gaussian import draw
from instruments.record import keep, load, provenance, show

try:
    import opendp.prelude as opendp
except ImportError:
    opendp = None

LOG_SIGMAS = (0, 2, 4, 10, 20, 40)
SIZES = {"caduceus": 4_000_000, "OpenDP": 20_000, "numpy, inexact": 4_000_000}
TURNS = 7
SEED = "discrete gaussian bench"

Arm = Callable[[], object]


def arms(log_sigma: int) -> dict[str, Arm]:
    """What is measured for one sigma."""
    key, sigma = sha256(f"{SEED} {log_sigma}".encode()).digest(), 2.0**log_sigma
    generator = np.random.default_rng(log_sigma)

    def inexact() -> object:
        return np.rint(generator.normal(0.0, sigma, SIZES["numpy, inexact"])).astype(np.int64)

    found: dict[str, Arm] = {
        "caduceus": lambda: draw(key, SIZES["caduceus"], variance=4**log_sigma),
        "numpy, inexact": inexact,
    }
    if opendp is not None:
        opendp.enable_features("contrib")
        domain = opendp.vector_domain(opendp.atom_domain(T="i64"))
        measured = opendp.m.make_gaussian(domain, opendp.l2_distance(T=float), scale=sigma)
        zeros = [0] * SIZES["OpenDP"]
        found["OpenDP"] = lambda: measured(zeros)
    return found


def measure(log_sigma: int) -> dict[str, float | int]:
    """The rates of one sigma's arms, in million samples per processor second."""
    row = arms(log_sigma)
    took: dict[str, list[float]] = {name: [] for name in row}
    for arm in row.values():
        arm()  # first calls make tables and touch memory
    for _ in range(TURNS):
        for name, arm in row.items():
            began = time.process_time()
            arm()
            took[name].append(time.process_time() - began)
    rates = {name: SIZES[name] / statistics.median(seconds) / 1e6 for name, seconds in took.items()}
    return {"log2 sigma": log_sigma, "turns": TURNS, **{name: float(f"{rate:.4g}") for name, rate in rates.items()}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )
    before = load()
    rows = [measure(log_sigma) for log_sigma in LOG_SIGMAS]
    cells = []
    for row in rows:
        shown = [f"{row[name]:.4g}" if name in row else "" for name in SIZES]
        times = f"{row['caduceus'] / row['OpenDP']:,.0f}" if "OpenDP" in row else ""
        cells.append([f"2^{row['log2 sigma']}", *shown, times])
    show("million samples per processor second", ["sigma", *SIZES, "times OpenDP"], cells)
    print(f"\nload before {before[0]}, after {load()[0]}; samples a turn: {SIZES}")
    if opendp is None:
        print("OpenDP was not measured: pip install opendp")
    peer = version("opendp") if opendp is not None else None
    keep("discrete_gaussian", {**provenance(seed=SEED), "opendp": peer, "sizes": SIZES, "rows": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
