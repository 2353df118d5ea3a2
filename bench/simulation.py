"""Whole systems in virtual time, with faults drawn from a seed: thousands of schedules, each checked against its laws.

    python bench/simulation.py --seed N            one schedule; prints what led to a law that does not hold
    python bench/simulation.py --runs N --workers 2 [--seed FIRST]

A coordinator, a buyer and three to seven sites run a job each: the product's own daemons, protocol and cryptography,
on a simulated chain, network, disk and clock. Machines die at every point of every write, with and without their
power; messages are lost, late, doubled and out of order; the chain undoes its last blocks and falls silent. Then all is
well again, and the job must end as it should. Writes bench/results/simulation.json.

A schedule is a function of its seed; what led to a broken law is shown by --seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from caduceus.sim.play import Played, planned, play
from instruments.record import keep, load, provenance, show

CHUNK = 25
MOST_SHOWN = 40


@dataclass(frozen=True)
class Told:
    """What is kept of a schedule."""

    seed: int
    variant: str
    sites: int
    is_calm: bool
    ended: str
    broken: tuple[str, ...]
    crashes: int
    faults: int
    undone: int
    rounds: int
    failed: int
    repeats: int
    seconds: float


def main() -> int:
    """Run, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the schedule; with --runs, the first")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--notes", type=int, default=120, help="how many of the last notes are printed")
    parser.add_argument("--no-record", action="store_true", help="do not write the results")
    chosen = parser.parse_args()
    if chosen.runs == 1:
        return one(chosen.seed, chosen.notes)
    return many(chosen)


def one(seed: int, notes: int) -> int:
    """One schedule, with what happened last."""
    print(planned(seed))
    played = play(seed, kept=max(notes, 1))
    print("\n".join(played.last[-notes:]))
    print(f"\nseed {seed}: {played.ended}; {played.crashes} crashes, {played.undone} reorganisations, "
          f"{played.notes} notes, trace {played.trace[:16]}")  # fmt: skip
    for law in played.broken:
        print(f"BROKEN: {law}")
    return 1 if played.broken else 0


def many(chosen: argparse.Namespace) -> int:
    """Many schedules, in processes."""
    about = provenance(seed=[chosen.seed, chosen.seed + chosen.runs - 1])
    starts = range(chosen.seed, chosen.seed + chosen.runs, CHUNK)
    chunks = [range(start, min(start + CHUNK, chosen.seed + chosen.runs)) for start in starts]
    told: list[Told] = []
    began = time.monotonic()
    with ProcessPoolExecutor(chosen.workers) as pool:
        for part in pool.map(some, chunks):
            told += part
            broken = sum(bool(each.broken) for each in told)
            print(f"{len(told)} schedules, {broken} with a broken law, {time.monotonic() - began:.0f} s", flush=True)
            for each in part:
                if each.broken:
                    print(f"  seed {each.seed} ({each.variant}): {each.broken[0].splitlines()[-1][:200]}", flush=True)
    return report(about, told, chosen)


def some(seeds: range) -> list[Told]:
    """A few schedules in a row."""
    return [told(seed) for seed in seeds]


def told(seed: int) -> Told:
    """One schedule and its price in seconds of a processor."""
    began = time.process_time()
    played: Played = play(seed)
    shape = played.plan.shape
    return Told(
        seed,
        shape.variant.value,
        shape.sites,
        played.plan.is_calm,
        played.ended,
        played.broken,
        played.crashes,
        played.faults,
        played.undone,
        played.rounds,
        played.failed,
        played.repeats,
        time.process_time() - began,
    )


def report(about: dict[str, object], told: list[Told], chosen: argparse.Namespace) -> int:
    """The table and the file."""
    rows, figures = [], {}
    groups = {name: [each for each in told if each.variant == name] for name in sorted({each.variant for each in told})}
    for name, part in {**groups, "all": told}.items():
        ended = Counter(each.ended for each in part)
        figures[name] = {
            "schedules": len(part),
            "calm": sum(each.is_calm for each in part),
            "ended": dict(sorted(ended.items())),
            "crashes": sum(each.crashes for each in part),
            "reorganisations": sum(each.undone for each in part),
            "errors met": sum(each.faults for each in part),
            "rounds": sum(each.rounds for each in part),
            "rounds that failed": sum(each.failed for each in part),
            "uploads sent again": sum(each.repeats for each in part),
            "with a broken law": sum(bool(each.broken) for each in part),
            "seconds of a processor each": round(sum(each.seconds for each in part) / max(1, len(part)), 3),
        }
        figure = figures[name]
        rows.append(
            (
                name,
                *(str(figure[key]) for key in ("schedules", "calm")),
                *(str(ended.get(key, 0)) for key in ("completed", "expired", "rejected", "absent")),
                *(str(figure[key]) for key in ("crashes", "reorganisations", "errors met", "rounds")),
                *(str(figure[key]) for key in ("rounds that failed", "with a broken law")),
                f"{figure['seconds of a processor each']}",
            )
        )
    show(
        f"{len(told)} schedules",
        ("variant", "seeds", "calm", "completed", "expired", "rejected", "absent", "crashes", "reorgs", "errors",
         "rounds", "failed", "BROKEN", "s"),
        rows,
    )  # fmt: skip
    found = [each for each in told if each.broken]
    for each in found[:MOST_SHOWN]:
        print(f"python bench/simulation.py --seed {each.seed}    # {each.broken[0].splitlines()[-1][:160]}")
    print(f"\nload before {about['machine']['load'][0]}, after {load()[0]}")  # type: ignore[index]
    if not chosen.no_record:
        broken = [{"seed": each.seed, "laws": list(each.broken)} for each in found]
        keep("simulation", about | {"workers": chosen.workers, "figures": figures, "broken": broken})
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
