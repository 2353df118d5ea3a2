"""Where the time of a whole job goes, by number of sites: processor seconds of one process.

    python bench/parts.py [--sites 4 10 49]

Each job is real data through the private, audited path: 4 and 49 sites are the clinical examples (heart, stroke),
10 are the job of bench/job_vs_flower.py. The table's parts exclude each other. The clocks themselves cost a few per
cent, so whole times are those of bench/job_vs_flower.py and bench/clinical.py. Writes bench/results/parts.json.

CADUCEUS_DATA names the folder of the clinical data.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from caduceus.edges.federation import DATA_ROOT, example
from instruments.record import ROOT, environment, keep, load, provenance, show
from instruments.usage import run

WORKER = ROOT / "bench" / "workers" / "private_job.py"
JOBS = {
    4: (example("heart", file="job.toml"), example("heart")),
    10: (ROOT / "bench" / "jobs" / "breast-averaging.toml", example("breast", file="federation-10.toml")),
    49: (example("stroke", file="job.toml"), example("stroke")),
}
PATIENCE = 900.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, nargs="+", choices=JOBS, default=list(JOBS))
    chosen: list[int] = parser.parse_args(arguments).sites
    if not os.environ.get(DATA_ROOT):
        print(f"set {DATA_ROOT} to the folder of the clinical data", file=sys.stderr)
        return 2
    about = provenance(seed=1)
    measured = {}
    for sites in chosen:
        before = load()
        measured[sites] = measure(sites) | {"load": before}
    report(measured)
    keep("parts", about | {"jobs": measured})
    return 0


def measure(sites: int) -> dict[str, object]:
    """One job, taken apart."""
    job, federation = JOBS[sites]
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        result = at / "result.json"
        command = [sys.executable, str(WORKER), str(at / "run"), str(job), str(federation), os.environ[DATA_ROOT]]
        run([*command, str(result), "--parts"], environment=environment(), log=at / "log", timeout=PATIENCE)
        record: dict[str, object] = json.loads(result.read_text())
        transcript = [path.stat().st_size for path in (at / "run" / "transcript").rglob("*") if path.is_file()]
        record["transcript_bytes"] = sum(transcript)
        record["chain_bytes"] = sum(path.stat().st_size for path in (at / "run" / "chain").iterdir())
    return record


def report(measured: dict[int, dict[str, object]]) -> None:
    """Parts as rows, sites as columns: seconds and share of the whole."""
    rows: dict[str, list[str]] = {}
    for record in measured.values():
        whole = float(record["processor"])  # type: ignore[arg-type]
        stages, parts = record["stages"], record["parts"]
        spent = {"import": stages["Import"]["processor"]}  # type: ignore[index]
        spent |= {part: row["processor"] for part, row in parts.items()}  # type: ignore[attr-defined]
        spent["not in any part"] = whole - sum(spent.values())
        for part, seconds in spent.items():
            rows.setdefault(part, []).append(f"{seconds:7.2f} s {100 * seconds / whole:3.0f} %")
        rows.setdefault("all", []).append(f"{whole:7.2f} s    ")
        rows.setdefault("rounds", []).append(str(record["rounds"]))
        rows.setdefault("transcript, MiB", []).append(f"{record['transcript_bytes'] / 2**20:.1f}")  # type: ignore[operator]
        rows.setdefault("chain file, MiB", []).append(f"{record['chain_bytes'] / 2**20:.1f}")  # type: ignore[operator]
        rows.setdefault("training, s wall", []).append(f"{record['training_wall']:.1f}")
    head = ["processor seconds", *(f"{sites} sites" for sites in measured)]
    show("A whole private, audited job", head, [[part, *cells] for part, cells in rows.items()])


if __name__ == "__main__":
    sys.exit(main())
