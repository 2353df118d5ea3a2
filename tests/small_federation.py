"""Three small hospitals with files of their own, and a job for them: a whole run takes about a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caduceus.learn.folds import permutation

SITES = {"North": 60, "East": 45, "South": 30}

SCHEMA = """
title = "Small clinic"

[[column]]
name = "patient"
role = "identifier"

[[column]]
name = "age"
kind = "integer"
unit = "a"
range = [0, 120]
required = true

[[column]]
name = "chol"
kind = "number"
unit = "mg/dL"
range = [10, 1000]

[[column]]
name = "dead"
kind = "boolean"
role = "target"
positive = ["yes"]
negative = ["no"]
required = true
"""

FEDERATION = """
[federation]
title = "Three small hospitals"
description = "Invented patients, for tests."
licence = "CC0"
data = "{data}"
schema = "schema.toml"
"""

JOB = """
seed = 3

[job]
title = "Death in a small clinic"
purpose = "research"
schema = "schema.toml"

[task]
target = "dead"
missing_indicators = ["chol"]

[model]
kind = "logistic"
C = 1.0
tolerance = 1e-6
rounds = 20

[evaluation]
method = "cross"
repeats = 2
folds = 3

[sites]
min = 3
max = 8

[money]
price = 100_001
fee = 5_000
stake = 700
bond = 900
"""

TERMS = """
purposes = ["research"]
exact_sums = true
price_floor = 1_000
"""


@dataclass(frozen=True, slots=True)
class Small:
    """The files, each of which a test may spoil."""

    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "job.toml"

    @property
    def federation(self) -> Path:
        return self.folder / "federation.toml"

    @property
    def schema(self) -> Path:
        return self.folder / "schema.toml"

    @property
    def terms(self) -> Path:
        return self.folder / "terms.toml"

    def csv(self, site: str) -> Path:
        return self.folder / "data" / f"{site.lower()}.csv"


def write_small(folder: Path) -> Small:
    """Write the schema, federation, job, terms and every site's file."""
    small = Small(folder)
    (folder / "data").mkdir(parents=True)
    entries = "".join(f'\n[[site]]\nname = "{name}"\nfile = "{name.lower()}.csv"\n' for name in SITES)
    small.schema.write_text(SCHEMA)
    small.federation.write_text(FEDERATION.format(data=folder / "data") + entries)
    small.job.write_text(JOB)
    small.terms.write_text(TERMS)
    for name, rows in SITES.items():
        small.csv(name).write_text("patient,age,chol,dead\n" + "".join(_row(name, i, rows) for i in range(rows)))
    return small


def _row(site: str, i: int, rows: int) -> str:
    """Older patients with more cholesterol die more often, with noise; some have no cholesterol."""
    age, chol, luck = (int(permutation(rows, what, site, 0)[i]) * 60 // rows for what in ("age", "chol", "luck"))
    dead = age + chol // 2 + luck > 75
    shown = "" if i % 11 == 7 else f"{150 + 2 * chol}"
    return f"{site[0]}{i},{30 + age},{shown},{'yes' if dead else 'no'}\n"
