"""What a round of judged updates costs an aggregator and a site, and what a sketch does to a cosine.

    python bench/gram_round.py [--quick] [--repeat N]

Complete rounds over the real protocol, in fresh processes, one thread: every message of every party, signed, checked
and timed by the party that handles it. Rows are sites x entries. An aggregator may take 1 s of processor time for
100 x 100,000 and 3 s for 50 x 1,000,000, a site 50 ms. Figures of an aggregator are of the one that takes longest;
"best" is the best of the repeats, for the machine is shared.

Beside it, in turn in the same run:

- the same inner products and weighted sum of the same rows in plain float32, protected from nobody;
- the inner products without a sketch, on whole shares, which have to be exact to the last step;
- CrypTen's (MIT) replicated secret sharing among three processes, the only library found that has that, installs from
  the package index and runs offline: inner products and weighted sum, without bounds, checks, sketch or signatures.
  It is no dependency of ours: pip install --no-deps --target FOLDER crypten==0.4.1 pyyaml omegaconf
  antlr4-python3-runtime==4.9.3, and name the folder in CADUCEUS_CRYPTEN. It is given the smaller sizes only.

Writes bench/results/gram_round.json; ends with 1 where something is not exact or a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from instruments.record import environment, keep, load, provenance, show

WORKERS = Path(__file__).parent / "workers"
SIZES = ((100, 100_000), (50, 1_000_000))
QUICK = ((10, 4_000), (20, 20_000))
UNSKETCHED = ((100, 4_096),)
WHOLE = ((100, 100_000),)
CRYPTEN = ((20, 20_000), (100, 100_000))
BUCKETS = 4096
TARGETS = {(100, 100_000): 1.0, (50, 1_000_000): 3.0}
SITE_TARGET = 0.05
STAGES = {
    "gram/listing/1": "boxes",
    "gram/begin/1": "pass, products",
    "gram/coins/1": "vouch, claim",
    "gram/vouches/1": "check",
    "gram/verdicts/1": "sum",
}

Answer = dict[str, Any]


def ask(question: Mapping[str, Any]) -> Any:
    """One question to one fresh process."""
    command = [sys.executable, str(WORKERS / "gram_round.py"), json.dumps(question)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        raise SystemExit(f"{question} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def crypten(folder: str, sites: int, length: int) -> Answer | None:
    """The longest-working of CrypTen's three parties; None where it does not run."""
    question = json.dumps({"sites": sites, "length": length})
    with tempfile.TemporaryDirectory() as place:
        common = environment() | {
            "PYTHONPATH": folder,
            "WORLD_SIZE": "3",
            "RENDEZVOUS": f"file://{place}/meeting",
            "DISTRIBUTED_BACKEND": "gloo",
        }
        command = [sys.executable, str(WORKERS / "crypten_gram.py"), question]
        parties = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=common | {"RANK": str(rank)},
            )
            for rank in range(3)
        ]
        said = [party.communicate() for party in parties]
    if any(party.returncode for party in parties):
        print(f"CrypTen failed at {sites} x {length:,}: {said[0][1][-300:]}")
        return None
    answers: list[Answer] = [json.loads(out.splitlines()[-1]) for out, _ in said]
    return max(answers, key=lambda one: float(one["share"] + one["products"] + one["sum"] + one["open"]))


def round_row(sites: int, length: int, rounds: Sequence[Answer]) -> Answer:
    """What is told of the repeated rounds of one size."""
    slowest = [max(sum(one.values()) for one in answer["aggregators"]) for answer in rounds]
    best = rounds[slowest.index(min(slowest))]
    stages = max(best["aggregators"], key=lambda one: sum(one.values()))
    return {
        "sites": sites,
        "length": length,
        "aggregator": {"best": min(slowest), "median": median(slowest)},
        "stages": {name: stages[tag] for tag, name in STAGES.items()},
        "site": {
            "best": min(answer["site"]["median"] for answer in rounds),
            "median": median(answer["site"]["median"] for answer in rounds),
        },
        "coordinator": min(answer["coordinator"] for answer in rounds),
        "plain float32": min(answer["plain float32"] for answer in rounds),
        "cosine": {
            "rms error": best["error of a cosine"]["rms"],
            "largest error": best["error of a cosine"]["most"],
            "mean": best["mean cosine"],
        },
        "sum is exact": all(answer["sum is exact"] for answer in rounds),
        "products are exact": all(answer["products are exact"] for answer in rounds),
        "rows within": min(answer["rows within"] for answer in rounds),
    }


def name_of(row: Mapping[str, Any]) -> str:
    """How a size is shown."""
    return f"{row['sites']} x {row['length']:,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round each")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of every size (3)")
    options = parser.parse_args(arguments)
    before, folder = load(), os.environ.get("CADUCEUS_CRYPTEN", "")
    sizes, repeat = (QUICK, 1) if options.quick else ((*UNSKETCHED, *SIZES), options.repeat)
    rows, peers, wholes = [], [], []
    for sites, length in sizes:
        question = {"sites": sites, "length": length, "buckets": BUCKETS, "repeat": repeat}
        rows.append(round_row(sites, length, ask(question)))
    for sites, length in QUICK[1:] if options.quick else WHOLE:
        wholes.append({"sites": sites, "length": length, **ask({"sites": sites, "length": length, "whole": True})})
    for sites, length in CRYPTEN[:1] if options.quick else CRYPTEN:
        if folder and (answer := crypten(folder, sites, length)):
            peers.append({"sites": sites, "length": length, **answer})

    show(
        "processor seconds of one round",
        ["sites x entries", "aggregator: best", "median", *STAGES.values(), "site", "coordinator", "plain float32"],
        [
            [
                name_of(row),
                f"{row['aggregator']['best']:.2f}",
                f"{row['aggregator']['median']:.2f}",
                *(f"{seconds:.3f}" for seconds in row["stages"].values()),
                f"{1000 * row['site']['best']:.1f} ms",
                f"{row['coordinator']:.2f}",
                f"{row['plain float32']:.3f}",
            ]
            for row in rows
        ],
    )
    show(
        "what comes out",
        [
            "sites x entries",
            "rows within",
            "weighted sum",
            "inner products",
            "cosine: rms error",
            "largest",
            "mean cosine",
        ],
        [
            [
                name_of(row),
                str(row["rows within"]),
                "exact" if row["sum is exact"] else "WRONG",
                "exact" if row["products are exact"] else "sketched",
                f"{row['cosine']['rms error']:.4f}",
                f"{row['cosine']['largest error']:.4f}",
                f"{row['cosine']['mean']:.3f}",
            ]
            for row in rows
        ],
    )
    show(
        "inner products of whole shares, unsketched: processor seconds of a party",
        ["sites x entries", "seconds", "of which products", "inner products"],
        [
            [
                name_of(one),
                f"{max(one['aggregators']):.2f}",
                f"{max(one['products']):.2f}",
                "exact" if one["products are exact"] else "WRONG",
            ]
            for one in wholes
        ]
        + [
            [
                f"CrypTen {name_of(one)}",
                f"{one['share'] + one['products'] + one['sum'] + one['open']:.2f}",
                f"{one['products']:.2f}",
                f"off by {one['error of a cosine']:.4f}",
            ]
            for one in peers
        ],
    )
    print(f"\nload before {before[0]}, after {load()[0]}")
    if not folder:
        print("CrypTen was not measured: name its folder in CADUCEUS_CRYPTEN (see above)")
    missed = [
        name_of(row)
        for row in rows
        if row["aggregator"]["best"] > TARGETS.get((row["sites"], row["length"]), 1.0)
        or row["site"]["best"] > SITE_TARGET
    ]
    wrong = [name_of(row) for row in rows if not row["sum is exact"] or row["rows within"] != row["sites"]]
    wrong += [name_of(row) for row in rows if row["length"] <= BUCKETS and not row["products are exact"]]
    wrong += [name_of(one) for one in wholes if not one["products are exact"]]
    for what, names in (("target missed", missed), ("NOT EXACT", wrong)):
        for name in names:
            print(f"{what}: {name}")
    record = {"rounds": rows, "whole": wholes, "crypten": peers, "repeat": repeat, "buckets": BUCKETS}
    keep("gram_round", {**provenance(seed="rows by their sizes"), **record})
    return 1 if missed or wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
