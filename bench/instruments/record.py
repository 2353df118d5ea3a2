"""Where, on what and from which commit figures were taken, and how they are kept and shown."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results"


def load() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes: other people's work makes wall times longer."""
    return [round(value, 2) for value in os.getloadavg()]


def provenance(*, seed: object) -> dict[str, object]:
    """What has to be known about a measurement besides its figures."""
    head = _git("rev-parse", "HEAD")
    changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": head + ("+changes" if changed else ""),
        "seed": seed,
        "machine": {
            "processor": names[0].partition(":")[2].strip() if names else platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
            "load": load(),
        },
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stdout.strip()


def keep(name: str, record: Mapping[str, object]) -> Path:
    """Write a record as bench/results/NAME.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nwritten: {path.relative_to(ROOT)}")
    return path


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))


def environment() -> dict[str, str]:
    """The environment that every measured process gets: one thread per process for linear algebra, bytecode kept.

    Small matrices are slower with more threads, and waiting threads count as processor time; the peer gets the same.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | threads
