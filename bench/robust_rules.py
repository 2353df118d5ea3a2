"""Robust rules beside ByzFL's and Flower's, on the same float32 updates: processor time of one thread, and memory.

    pip install --no-deps byzfl flwr numba
    python bench/robust_rules.py            # 10 to 20 minutes
    python bench/robust_rules.py --quick    # the two small sizes

A rule is measured whole: from the matrix of updates to the aggregate. ByzFL gets the updates as a numpy array and as a
torch tensor, and the faster of the two counts; Flower gets one layer per site. Arms of a rule run in turns; medians of
the turns, or the only turn of an arm that takes longer than LONG. Memory is the input plus the largest sum of numpy
allocations during the rule (tracemalloc), as a multiple of the input; torch's are not seen.

Same work? (Multi-)Krum, mixing, centred clipping, median, trimmed mean, MDA: the same definition, except that ByzFL's
Krum sums one neighbour more. Geometric median: ours is converged, ByzFL's makes its three default steps. Bulyan:
Flower's. Where the definitions agree the aggregates are compared. "interpreted" is ours without numba.

Of both packages only the files with the rules are loaded; nothing else of them has to be installed.
Writes bench/results/robust_rules.json.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)  # before numpy is loaded

import argparse
import importlib
import importlib.util
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import torch

from caduceus.kinds import Visibility
from caduceus.learn.aggregate import coordinates
from caduceus.learn.aggregate import gram as inner
from caduceus.learn.aggregate.gram import Rows, gram, mixed_rows
from caduceus.learn.aggregate.mixing import neighbours
from caduceus.learn.aggregate.rules import Setting, aggregate, rule_named
from instruments.record import keep, load, provenance, show

SIZES = tuple((n, d) for d in (100_000, 1_000_000) for n in (10, 50, 100))
QUICK = ((10, 100_000), (50, 100_000))
TURNS = 5
LONG = 1.5  # seconds
ROOM = 12e9  # bytes that a peer may need: ByzFL's mixing copies n - f rows for each of n
WORK = 2e11  # n^3 d up to which Flower's Bulyan is run: it computes all distances again for every choice
SEED = 6

GRAM_RULES = ("krum", "multi-krum", "smallest-diameter", "geometric-median", "centred-clipping")
COORDINATES = ("median", "trimmed-mean", "mean-around-median")

Arm = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """One size, its data in every form that an arm wants."""

    rows: Rows
    f: int
    tensor: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensor", torch.from_numpy(self.rows))

    @property
    def quarter(self) -> int:
        """Faults that Bulyan stands."""
        return min(self.f, (len(self.rows) - 3) // 4)

    def flower(self) -> list[tuple[list[Rows], int]]:
        """What Flower's functions take; some empty the list, so it is made anew."""
        return [([row], 1) for row in self.rows]


def subject(n: int, d: int) -> Subject:
    """Updates with a common part; a fifth may be faulty, and one in twenty is far off."""
    draw = np.random.default_rng([SEED, n, d])
    rows = draw.standard_normal((n, d), dtype=np.float32)
    rows *= 0.01
    rows += 0.02 * draw.standard_normal(d, dtype=np.float32)
    rows[:: max(n // 3, 1)] *= -2.0
    return Subject(rows, n // 5)


def ours(name: str, s: Subject) -> Arm:
    """A rule by its name, from rows to aggregate."""
    rule = rule_named(name)
    reference = 0 if name in ("centred-clipping", "fltrust") else None
    setting = Setting(s.quarter if name == "bulyan" else s.f, reference=reference, radius=1.0)
    return lambda: aggregate(rule, s.rows, setting, Visibility.OPEN)


def mixed(s: Subject) -> Rows:
    """The mixed updates themselves, as ByzFL returns them."""
    return mixed_rows(neighbours(gram(s.rows), s.f), s.rows)


def arms(s: Subject, byzfl: ModuleType | None, flower: ModuleType | None) -> dict[str, dict[str, Arm]]:
    """Per rule, who does it."""
    found: dict[str, dict[str, Arm]] = {}
    for name in GRAM_RULES:
        found[name] = {"caduceus": ours(name, s), "interpreted": interpreted(ours(name, s))}
    found |= {name: {"caduceus": ours(name, s)} for name in ("fltrust", "foolsgold", "flame")}
    found["mixing"] = {"caduceus": lambda: mixed(s), "interpreted": interpreted(lambda: mixed(s))}
    found["mixing+krum"] = {"caduceus": ours("mixing+krum", s)}
    for name in (*COORDINATES, "bulyan"):
        found[name] = {"caduceus": ours(name, s), "interpreted": interpreted(ours(name, s))}
    if byzfl is not None:
        add_byzfl(found, s, byzfl)
    if flower is not None:
        add_flower(found, s, flower)
    return found


def interpreted(arm: Arm) -> Arm:
    """The same without compiled code."""

    def run() -> object:
        with patch.object(coordinates, "kernel", lambda: None), patch.object(inner, "_products", lambda: None):
            return arm()

    return run


def add_byzfl(found: dict[str, dict[str, Arm]], s: Subject, byzfl: ModuleType) -> None:
    """ByzFL's rules; what a peer can't do at this size is left out."""
    n, d = s.rows.shape
    peers: dict[str, Callable[[], Callable[[object], object]]] = {
        "krum": lambda: byzfl.Krum(s.f),
        "multi-krum": lambda: byzfl.MultiKrum(s.f),
        "geometric-median": lambda: byzfl.GeometricMedian(),
        "centred-clipping": lambda: byzfl.CenteredClipping(None, 5, 1.0),
        "median": lambda: byzfl.Median(),
        "trimmed-mean": lambda: byzfl.TrMean(s.f),
        "mean-around-median": lambda: byzfl.Meamed(s.f),
    }
    if n <= 10:  # it tries all subsets
        peers["smallest-diameter"] = lambda: byzfl.MDA(s.f)
    if n * (n - s.f) * d * 4 <= ROOM:
        peers["mixing"] = lambda: byzfl.NNM(s.f)
    for name, make in peers.items():
        found[name]["ByzFL, numpy"] = lambda make=make: make()(s.rows)  # type: ignore[misc]
        found[name]["ByzFL, torch"] = lambda make=make: make()(s.tensor)  # type: ignore[misc]


def add_flower(found: dict[str, dict[str, Arm]], s: Subject, flower: ModuleType) -> None:
    """Flower's rules."""
    n = len(s.rows)
    found["krum"]["Flower"] = lambda: flower.aggregate_krum(s.flower(), s.f, 0)
    found["multi-krum"]["Flower"] = lambda: flower.aggregate_krum(s.flower(), s.f, n - s.f)
    found["median"]["Flower"] = lambda: flower.aggregate_median(s.flower())
    found["trimmed-mean"]["Flower"] = lambda: flower.aggregate_trimmed_avg(s.flower(), s.f / n)
    if n * n * s.rows.size <= WORK:
        found["bulyan"]["Flower"] = lambda: flower.aggregate_bulyan(
            s.flower(), s.quarter, flower.aggregate_krum, to_keep=0
        )


def clock(row: dict[str, Arm]) -> dict[str, float]:
    """Processor milliseconds of each arm."""
    took: dict[str, list[float]] = {name: [] for name in row}
    for turn in range(-1, TURNS):  # the first compiles and touches memory, and counts for those it takes LONG only
        for name, arm in row.items():
            if took[name] and took[name][0] > LONG:
                continue
            began = time.process_time()
            arm()
            seconds = time.process_time() - began
            if turn >= 0 or (seconds > LONG and name not in ("caduceus", "interpreted")):
                took[name].append(seconds)
    return {name: round(statistics.median(seconds) * 1e3, 3) for name, seconds in took.items()}


def memory(arm: Arm, size: int) -> float:
    """The input and what numpy allocates on top at most, as a multiple of the input."""
    tracemalloc.start()
    arm()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round((size + peak) / size, 2)


def same(row: dict[str, Arm], rule: str) -> float | None:
    """By how much our aggregate and a peer's differ at most, relative to the peer's largest entry."""
    peer = {"multi-krum": "Flower", "mixing": "ByzFL, numpy"}.get(rule, "ByzFL, torch")
    if rule in ("geometric-median", "centred-clipping") or peer not in row:
        return None
    mine, other = (np.asarray(row[name]()) for name in ("caduceus", peer))
    other = other.reshape(mine.shape)
    return float(f"{np.abs(mine - other).max() / np.abs(other).max():.1e}")


def measure(s: Subject, byzfl: ModuleType | None, flower: ModuleType | None) -> list[dict[str, object]]:
    """All rules at one size."""
    n, d = s.rows.shape
    found = []
    for rule, row in arms(s, byzfl, flower).items():
        times = clock(row)
        peers = {name: value for name, value in times.items() if name not in ("caduceus", "interpreted")}
        best = min(peers, key=peers.__getitem__, default=None)
        used = {
            name: memory(arm, s.rows.nbytes)
            for name, arm in row.items()
            if name in ("caduceus", "interpreted") or ("torch" not in name and times[name] < LONG * 1e3)
        }
        found.append(
            {
                "rule": rule,
                "n": n,
                "d": d,
                "ms": times,
                "best peer": best,
                "times faster": round(peers[best] / times["caduceus"], 2) if best else None,
                "memory": used,
                "differs": same(row, rule) if max(times.values()) < LONG * 1e3 else None,
            }
        )
        print(line(found[-1]), flush=True)
    return found


def line(row: dict[str, object]) -> str:
    """One measured rule, as it comes."""
    return f"{row['n']:>4} x {row['d']:<8} {row['rule']:<20} {row['ms']} x{row['times faster']} memory {row['memory']}"


def wanted(rule: str, n: int, d: int, compiled_too: bool) -> float | None:
    """How many times faster than the best peer a rule ought to be."""
    if rule in GRAM_RULES:
        return 8.0 if (n, d) == (50, 1_000_000) else 2.0
    if rule in ("mixing", "bulyan"):
        return None if n < 50 else 40.0 if rule == "mixing" else 50.0
    return (10.0 if compiled_too else 3.0) if rule in ("median", "trimmed-mean") else None


def byzfl_rules() -> ModuleType | None:
    """ByzFL's aggregators without the rest of it, which wants torchvision and more."""
    spec = importlib.util.find_spec("byzfl")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = ModuleType("byzfl")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["byzfl"] = package
    return importlib.import_module("byzfl.aggregators")


def flower_rules() -> ModuleType | None:
    """Flower's aggregation functions without the rest of it; their types are only names."""
    spec = importlib.util.find_spec("flwr")
    if spec is None or not spec.submodule_search_locations:
        return None
    for name in ("flwr", "flwr.common", "flwr.server", "flwr.server.client_proxy"):
        sys.modules[name] = ModuleType(name)
    for name in ("FitRes", "NDArray", "NDArrays", "parameters_to_ndarrays"):
        setattr(sys.modules["flwr.common"], name, object)
    sys.modules["flwr.server.client_proxy"].ClientProxy = object  # type: ignore[attr-defined]
    path = Path(spec.submodule_search_locations[0]) / "server" / "strategy" / "aggregate.py"
    found = importlib.util.spec_from_file_location("flower_aggregate", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def package(name: str) -> str | None:
    """A package's version."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small sizes; the record is kept apart")
    quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    before, has_numba = load(), coordinates.kernel() is not None
    byzfl, flower = byzfl_rules(), flower_rules()
    rows = [row for n, d in (QUICK if quick else SIZES) for row in measure(subject(n, d), byzfl, flower)]
    cells, missed = [], []
    for row in rows:
        times, faster = row["ms"], row["times faster"]
        assert isinstance(times, dict)
        goal = wanted(str(row["rule"]), int(str(row["n"])), int(str(row["d"])), has_numba)
        peers = {name: value for name, value in times.items() if name not in ("caduceus", "interpreted")}
        best = f"{row['best peer']} {min(peers.values()):,.1f}" if peers else ""
        plain = f"{times['interpreted']:,.1f}" if "interpreted" in times else ""
        factor = f"{faster}" if faster is not None else ""
        used = row["memory"]
        assert isinstance(used, dict)
        where = f"{row['rule']} {row['n']} x {row['d']:,}"
        cells.append([where, f"{times['caduceus']:,.1f}", plain, best, factor, str(goal or ""), str(used["caduceus"])])
        if goal is not None and faster is not None and float(str(faster)) < goal:
            missed.append(f"{where}: {faster} times, wanted {goal}")
        if used["caduceus"] > 2:
            missed.append(f"{where}: memory {used['caduceus']} times the input")
    head = ["rule", "caduceus", "interpreted", "best peer", "times", "wanted", "memory"]
    show("processor milliseconds, one thread", head, cells)
    print(f"\nload before {before[0]}, after {load()[0]}\nmissed: {'; '.join(missed) or 'none'}")
    versions = {name: package(name) for name in ("byzfl", "flwr", "numba", "numpy", "torch")}
    record = {**provenance(seed=SEED), "versions": versions, "turns": TURNS, "missed": missed, "rows": rows}
    keep("robust_rules_quick" if quick else "robust_rules", record)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
