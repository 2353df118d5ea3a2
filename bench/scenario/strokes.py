"""The same scenario on the International Stroke Trial: strokes of the posterior circulation are the minority.

Chosen by looking for the subgroup for which a model of all others is worst beside a model of its own: logistic
regression, every two-valued baseline feature and the tails of the others, 200 to 3500 patients, death within 14 days.
Two share the first place (AUROC .03 better with a model of their own): patients whose visual field could not be
assessed, and posterior strokes, the clinically plausible one: face, arm and speech say less about a brainstem or a
cerebellum. No baseline subgroup of this trial has a law that is really different: nature is milder than `hospitals`.

Two worlds. `as_they_are`: the twenty largest hospitals, the one with the largest share of posterior strokes (about a
quarter; a tenth is usual) in seat 0. `referral`: the nineteen largest, and in seat 0 a centre to which the thirty
smaller ones refer posterior strokes: real patients, a made-up referral. The anchor's patients come from smaller
hospitals and train nothing. Sites draw records with replacement, so that all have arrays of one size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.edges.federation import example, open_federation
from caduceus.learn.design import plan
from scenario.hospitals import ANCHOR, ANCHOR_SHARE, CENTRE_SHARE, HELD, RECORDS, SITES, Records, World, stack
from worlds.stroke import TARGET, Trial, read

MINORITY = "subtype=POCS"
TESTED, EVALUATED = 0.3, 0.2
"""Parts of every hospital's patients: for the figures, and of the rest for evaluating at the site."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Patients to draw from, with replacement; implements `hospitals.Source`."""

    trial: Records
    rows: Rows

    def draw(
        self, generator: np.random.Generator, records: int, share: float, shift: npt.NDArray[np.float64] | float = 0.0
    ) -> Records:
        """As `Source.draw`; real patients are not shifted."""
        rare = self.trial.rare[self.rows]
        wanted = generator.random(records) < share
        found = np.where(
            wanted, generator.choice(self.rows[rare], records), generator.choice(self.rows[~rare], records)
        )
        return self.trial.of(found)

    def some(self, generator: np.random.Generator, records: int) -> Records:
        """Patients as they come."""
        return self.trial.of(generator.choice(self.rows, records))


def referral(seed: int) -> World:
    """The world of a seed with a referral centre."""
    trial = read()
    return _build(seed, trial, list(range(SITES - 1)), refers=True)


def as_they_are(seed: int) -> World:
    """The world of a seed with hospitals as they are."""
    trial = read()
    rare = _minority(trial)
    share = [float(rare[trial.hospital == k].mean()) for k in range(SITES)]
    first = int(np.argmax(share))
    return _build(seed, trial, [first, *(k for k in range(SITES) if k != first)], refers=False)


def _build(seed: int, trial: Trial, seats: list[int], *, refers: bool) -> World:
    generator = np.random.default_rng(seed)
    tested = np.zeros(len(trial.death), dtype=bool)
    for k in np.unique(trial.hospital):
        rows = generator.permutation(np.flatnonzero(trial.hospital == k))
        tested[rows[: round(TESTED * len(rows))]] = True
    every = _scaled(trial, ~tested)
    rest = generator.permutation(np.flatnonzero(~tested & ~np.isin(trial.hospital, seats)))
    half = len(rest) // 2
    smaller, apart = Pool(every, rest[:half]), Pool(every, rest[half:])
    training, held = [], []
    if refers:
        cut = round(EVALUATED * half)
        training.append(Pool(every, rest[cut:half]).draw(generator, RECORDS, CENTRE_SHARE))
        held.append(Pool(every, rest[:cut]).draw(generator, HELD, CENTRE_SHARE))
    for k in seats:
        rows = generator.permutation(np.flatnonzero(~tested & (trial.hospital == k)))
        cut = round(EVALUATED * len(rows))
        training.append(Pool(every, rows[cut:]).some(generator, RECORDS))
        held.append(Pool(every, rows[:cut]).some(generator, HELD))
    usual = float(every.rare[~tested].mean())
    return World(
        smaller,
        stack(training),
        stack(held),
        apart.draw(generator, ANCHOR, usual),
        apart.draw(generator, ANCHOR, ANCHOR_SHARE),
        every.of(np.flatnonzero(tested & ~every.rare)),
        every.of(np.flatnonzero(tested & every.rare)),
    )


def _scaled(trial: Trial, used: npt.NDArray[np.bool_]) -> Records:
    mean, spread = np.nanmean(trial.features[used], axis=0), np.nanstd(trial.features[used], axis=0)
    features = np.nan_to_num((trial.features - mean) / np.where(spread > 0.0, spread, 1.0))
    return Records(features.astype(np.float32), trial.death.astype(np.float32), _minority(trial))


def _minority(trial: Trial) -> npt.NDArray[np.bool_]:
    federation = open_federation(example("stroke"))
    schema = federation.public_schema
    names = list(plan(schema, schema.features, (), TARGET).names)
    return np.asarray(trial.features[:, names.index(MINORITY)] == 1.0)
