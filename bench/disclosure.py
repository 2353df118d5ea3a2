"""How long the readiness rules take: the search for columns that single persons out beside pandas, and every rule.

    python bench/disclosure.py [--rows 1000000]

The search groups 100,000 records by all sets of up to three of 20 columns; the peer does the same sets with
`DataFrame.groupby(...).size()` where pandas is installed, and has to count the same records. The rules look at a table
of 1,000,000 records and 30 columns. Seconds are of the processor, so that other work on the machine does not count.
Writes bench/results/disclosure.json.
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations

import numpy as np
import pyarrow as pa

from caduceus.data.readiness.coded import Coded
from caduceus.data.readiness.declaration import Declared
from caduceus.data.readiness.rule import Context
from caduceus.data.readiness.sheet import TABLE, Leaf, Sheet
from caduceus.data.readiness.statistical import RULES
from caduceus.data.readiness.uniqueness import exposure, search
from instruments.record import keep, provenance, show

LEVELS = (90, 2, 5, 3, 50, 12, 31, 8, 4, 2, 2, 3, 6, 20, 100, 2, 2, 7, 10, 15)
ROWS = 100_000
K, LIMIT, LARGEST = 11, 0.05, 3


def columns(rows: int, seed: int) -> list[Coded]:
    """Columns as a hospital's table has them: few levels in most, skewed."""
    rng = np.random.default_rng(seed)
    return [
        Coded(f"c{i}", (levels * rng.random(rows) ** 1.5).astype(np.int64), levels) for i, levels in enumerate(LEVELS)
    ]


def by_pandas(table: list[Coded]) -> tuple[float, int, float, dict[tuple[str, ...], tuple[int, int]]] | None:
    """Seconds, sets, seconds a set, and the smallest bad sets with unique and small records; None without pandas."""
    try:
        import pandas as pd
    except ImportError:
        return None
    frame = pd.DataFrame({one.name: one.codes for one in table})
    bad: dict[frozenset[str], tuple[int, int]] = {}
    started, sets = time.process_time(), 0
    for size in range(1, LARGEST + 1):
        for some in combinations(frame.columns, size):
            if any(one < set(some) for one in bad):
                continue
            sets += 1
            sizes = frame.groupby(list(some), sort=False).size().to_numpy()
            small = int(sizes[sizes < K].sum())
            if small > LIMIT * len(frame):
                bad[frozenset(some)] = int((sizes == 1).sum()), small
    seconds = time.process_time() - started
    return seconds, sets, seconds / sets, {tuple(sorted(names)): counts for names, counts in bad.items()}


def wide(rows: int, seed: int) -> Context:
    """A table of 30 columns: numbers, categories, dates, a site, and a target."""
    rng = np.random.default_rng(seed)
    made: dict[str, pa.Array] = {
        "age": pa.array(rng.integers(18, 100, rows)),
        "sex": pa.array(["f", "m"]).take(pa.array(rng.integers(0, 2, rows))),
        "site": pa.array(rng.integers(0, 40, rows)),
        "admission_date": pa.array(rng.integers(15_000, 18_000, rows).astype(np.int32)).cast(pa.date32()),
        "region": pa.array([f"r{i}" for i in range(50)]).take(pa.array(rng.integers(0, 50, rows))),
        "glucose": pa.array(rng.lognormal(4.6, 0.3, rows)),
        "cholesterol": pa.array(rng.normal(200, 40, rows)),
        "sick": pa.array(rng.integers(0, 2, rows)),
    }
    for i in range(22):
        made[f"x{i}"] = pa.array(rng.normal(0, 1, rows).round(2) if i % 2 else rng.integers(0, 12, rows))
    sheet = Sheet("wide", TABLE, rows, {name: Leaf(name, values) for name, values in made.items()})
    roles = {f"wide.{name}": "feature" for name in made} | {"wide.sick": "target", "wide.site": "site"}
    return Context((sheet,), roles, None, Declared())


def main() -> None:
    """Measure, show and keep."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    table = columns(ROWS, given.seed)
    times = []
    for _ in range(3):
        started = time.process_time()
        found = search(table, k=K, limit=LIMIT, largest=LARGEST)
        times.append(time.process_time() - started)
    ours = sorted(times)[1]
    result: dict[str, object] = {
        "rows": ROWS,
        "columns": len(LEVELS),
        "search_s": round(ours, 3),
        "sets": found.examined,
        "minimal": len(found.minimal),
    }
    if (peer := by_pandas(table)) is not None:
        seconds, sets, each, bad = peer
        if bad != {one.columns: (one.unique, one.small) for one in found.minimal}:
            raise SystemExit("bench/disclosure: pandas counts other records; one of the two is wrong")
        result |= {"pandas_s": round(seconds, 3), "pandas_sets": sets, "pandas_s_per_set": round(each, 5)}
    started = time.process_time()
    exposure(table, k=K)
    result["whole_s"] = round(time.process_time() - started, 3)

    context = wide(given.rows, given.seed)
    rules = {}
    for rule in RULES:
        if TABLE in rule.sources:
            started = time.process_time()
            made = len(list(rule.look(context)))
            rules[rule.name] = {"s": round(time.process_time() - started, 3), "yielded": made}
    show(
        f"search of {ROWS:,} records x {len(LEVELS)} columns",
        ["what", "figure"],
        [[n, str(v)] for n, v in result.items()],
    )
    show(
        f"rules on {given.rows:,} records x 30 columns",
        ["rule", "seconds", "yielded"],
        [[name, f"{figures['s']:.2f}", str(figures["yielded"])] for name, figures in rules.items()],
    )
    keep("disclosure", {**provenance(seed=given.seed), "search": result, "rules": rules, "rules_rows": given.rows})


if __name__ == "__main__":
    main()
