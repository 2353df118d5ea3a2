"""The International Stroke Trial: death within 14 days, by the hospitals as they are or sorted by what happened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from caduceus.edges.federation import example, open_federation, read_sites
from caduceus.learn import metrics
from caduceus.learn.design import plan
from worlds.shards import Shards, Singles, Whole, dealt

TARGET = "death_14_days"
HELD = 0.25
MISSING = 0.0
"""What a missing value is after scaling: the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """All hospitals of the example, the largest first: features [rows, inputs] with gaps, death and hospital [rows]."""

    features: Singles
    death: Whole
    hospital: Whole


@cache
def read() -> Trial:
    """The example's records. Raises Refused where CADUCEUS_DATA does not lead to them."""
    federation = open_federation(example("stroke"))
    schema = federation.public_schema
    design = plan(schema, schema.features, (), TARGET)
    sites = sorted(read_sites(federation, target=TARGET), key=lambda site: (-site.table.rows, site.name))
    return Trial(
        np.concatenate([design.features(site.table) for site in sites]).astype(np.float32),
        np.concatenate([design.labels(site.table) for site in sites]).astype(np.int64),
        np.repeat(np.arange(len(sites)), [site.table.rows for site in sites]),
    )


def build(seed: int, workers: int, *, natural: bool) -> Shards:
    """The trial of a seed: the largest hospitals, one per worker; or their patients in equal parts, sorted by outcome.

    Overall is the AUROC of death. On the minority: how many of the dead have a risk above the average one.
    """
    trial, generator = read(), np.random.default_rng(seed)
    ours = np.flatnonzero(trial.hospital < workers)
    rows = generator.permutation(ours)
    cut = round(HELD * len(rows))
    tested, rows = rows[:cut], rows[cut:]
    if natural:
        rows = rows[np.argsort(trial.hospital[rows], kind="stable")]
        sizes = np.bincount(trial.hospital[rows], minlength=workers)
    else:
        order, sizes = dealt(trial.death[rows], workers, generator, alike=False)
        rows = rows[order]
    mean, spread = np.nanmean(trial.features[rows], axis=0), np.nanstd(trial.features[rows], axis=0)
    scaled = np.nan_to_num((trial.features - mean) / np.where(spread > 0.0, spread, 1.0), nan=MISSING)
    truth, average = trial.death[tested], float(trial.death[rows].mean())

    def judge(scores: Singles) -> tuple[float, float]:
        odds = np.nan_to_num(scores[:, 1] - scores[:, 0]).astype(np.float64)
        area = metrics.auroc(truth.astype(np.float64), odds)
        assert area is not None
        return area, float((odds[truth == 1] > np.log(average / (1.0 - average))).mean())

    return Shards(
        scaled[rows].astype(np.float32), trial.death[rows], sizes, scaled[tested].astype(np.float32), judge, 2
    )
