"""How long clinical records take to become a table, and how much memory: made-up patients, a cohort of 23 columns.

    python bench/cohort.py [--patients 1000 10000 100000]

Every patient has a hundred events under 500 codes over 25 years; four codes are the index, each row is an index event
with a year observed before and no target in it. Each size is a process of its own, measured from outside; making the
records up is a size of its own with nothing built. Writes bench/results/cohort.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from caduceus.data.records import EVENTS, PEOPLE, Records
from caduceus.data.schema_file import read_schema_file
from caduceus.edges.cohort import build
from instruments.record import environment, keep, load, provenance, show
from instruments.usage import Usage, run

EVENTS_EACH, CODES, SEED = 100, 500, 0
FIRST_DAY, LAST_DAY = 10_000, 19_000


def schema() -> str:
    """The cohort: age, sex, whether any of ten codes was recorded (19 times), a mean, and a target within a year."""
    ten = ("[" + ", ".join(f'"SNOMED:{10 * i + j}"' for j in range(10)) + "]" for i in range(1, 20))
    columns = [f'{{ name = "c{i}", codes = {codes}, when = ["ever", 0] }}' for i, codes in enumerate(ten)]
    mean = 'take = "mean", unit = "mg/dL", range = [0, 100]'
    columns += ['{ name = "age", from = "age" }', '{ name = "sex", from = "sex" }']
    columns += [f'{{ name = "mean", codes = ["SNOMED:300"], when = ["ever", 0], {mean} }}']
    columns += ['{ name = "t", role = "target", codes = ["SNOMED:400", "SNOMED:401"], when = [1, 365] }']
    index = ", ".join(f'"SNOMED:{one}"' for one in range(1, 5))
    cohort = f'cohort = {{ index = [{index}], which = "every", prior_observation = 365, washout = 365 }}'
    return f'title = "made up"\nfile = {{ format = "omop" }}\n{cohort}\ncolumn = [{", ".join(columns)}]\n'


def made_up(patients: int) -> Records:
    """Records of as many patients."""
    chance = np.random.default_rng(SEED)
    count = patients * EVENTS_EACH
    names = pa.array([f"{one:09d}" for one in range(patients)])

    def same(value: str) -> pa.Array:
        return pa.array([value]).take(pa.array(np.zeros(count, np.int32)))

    def days(numbers: np.ndarray) -> pa.Array:
        return pa.array(numbers.astype("datetime64[D]"), pa.date32())

    sexes = pa.array(np.where(chance.random(patients) < 0.5, "male", "female"))
    born, begun = days(chance.integers(-20_000, 8_000, patients)), days(np.full(patients, FIRST_DAY))
    ended = days(np.full(patients, LAST_DAY))
    people = [names, born, pa.nulls(patients, pa.date32()), sexes, begun, ended]
    codes = pa.array([f"SNOMED:{one}" for one in range(CODES)])
    start = (chance.integers(FIRST_DAY, LAST_DAY, count) * 86_400_000_000).astype("datetime64[us]")
    events = [
        names.take(pa.array(chance.integers(0, patients, count))),
        same("measurement"),
        codes.take(pa.array(chance.integers(0, CODES, count))),
        pa.array(start),
        pa.nulls(count, pa.timestamp("us")),
        pa.array(100 * chance.random(count)),
        same("mg/dL"),
        pa.nulls(count, pa.string()),
    ]
    return Records(pa.table(people, schema=PEOPLE), pa.table(events, schema=EVENTS))


def arm(patients: int, *, empty: bool) -> None:
    """Make records up, and a table of them unless it is the floor."""
    records = made_up(patients)
    if not empty:
        print(build(records, read_schema_file(schema(), where="bench").public(), where="bench").table.rows)


def measure(patients: int, scratch: Path, *, empty: bool) -> tuple[Usage, str]:
    """One size as a process of its own: what it took, and the rows of its table."""
    log = scratch / f"{patients}-{empty}.log"
    command = [sys.executable, __file__, "--arm", str(patients), *(["--empty"] if empty else [])]
    return run(command, environment=environment(), log=log, timeout=900), log.read_text().strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--arm", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--empty", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.arm:
        arm(chosen.arm, empty=chosen.empty)
        return 0
    before, rows, figures = load(), [], []
    with tempfile.TemporaryDirectory() as name:
        for patients in chosen.patients:
            floor, _ = measure(patients, Path(name), empty=True)
            used, made = measure(patients, Path(name), empty=False)
            took = used.processor - floor.processor
            sizes = [f"{patients:,}", f"{patients * EVENTS_EACH:,}", f"{int(made):,}"]
            rows.append([*sizes, f"{used.wall - floor.wall:.1f}", f"{took:.1f}", f"{used.peak / 1e6:.0f}"])
            one = {"patients": patients, "rows": int(made), "processor": took, "wall": used.wall - floor.wall}
            figures.append(one | {"peak": used.peak, "peak without the table": floor.peak})
    show("a cohort of 23 columns", ["patients", "events", "rows", "wall s", "processor s", "peak MB"], rows)
    print(f"load before {before[0]}, after {load()[0]}")
    keep("cohort", {**provenance(seed=SEED), "sizes": figures})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
