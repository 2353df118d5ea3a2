"""How well models predict: each site alone, all sites together in a private job, and all rows in one place.

    python bench/clinical.py [heart] [stroke] [--seeds 1 2 3]

Every federated figure comes from a whole job: chain, enrolment, secure aggregation, settlement, audit. The pooled
arm is scikit-learn's logistic regression with its own imputation and standardisation, so it shares no code with
ours; the weights are compared for every fit. The local arms train each site on its own rows only, with the job's
C and with a stronger penalty, which suits small sites. All arms have the
same splits. A seed decides the splits; every seed that is run is shown. Writes bench/results/clinical.json.

CADUCEUS_DATA names the folder of the data (see src/caduceus/examples).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instruments.record import environment, keep, provenance, show

os.environ.update({name: value for name, value in environment().items() if name.endswith("_THREADS")})

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from caduceus.edges.federation import DATA_ROOT, EXAMPLES
from caduceus.edges.workspace import Workspace
from caduceus.errors import Error
from caduceus.kinds import Floats
from caduceus.learn import metrics
from caduceus.learn.control import local
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.rows import SiteData
from caduceus.learn.state import State
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_session import Session
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order
from caduceus.wiring.play import Played, play

REFERENCE = {
    "heart": {
        "local": {"site_auroc": 0.773, "auroc": 0.884},
        "federated": {"site_auroc": 0.801, "auroc": 0.888},
        "pooled": {"site_auroc": 0.801, "auroc": 0.888},
    },
    "stroke": {
        "local, C = 0.1": {"site_auroc": 0.702, "brier": 0.084},
        "federated": {"site_auroc": 0.797, "brier": 0.077},
        "pooled": {"site_auroc": 0.797, "brier": 0.077},
    },
}
"""What reference scripts, written before this package and apart from it, reached on the same tasks (November 2026):
small numpy programs with other splits. Where they gave no figure, none stands here."""

FIGURES = {"site_auroc": "AUROC, mean of sites", "auroc": "AUROC, all rows", "brier": "Brier, all rows"}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train, judged: each figure per repeat."""

    site_auroc: Floats
    auroc: Floats
    brier: Floats


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", help="heart, stroke (default: both)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the splits (default 1 2 3)")
    chosen = parser.parse_args(arguments)
    tasks = chosen.tasks or list(REFERENCE)
    if unknown := set(tasks) - REFERENCE.keys():
        parser.error(f"unknown task {', '.join(unknown)}; there are {', '.join(REFERENCE)}")
    if not os.environ.get(DATA_ROOT):
        print(f"set {DATA_ROOT} to the folder of the clinical data", file=sys.stderr)
        return 2
    about = provenance(seed=chosen.seeds)
    record = {task: {seed: one(task, seed) for seed in chosen.seeds} for task in tasks}
    keep("clinical", about | {"reference": REFERENCE, "tasks": record})
    return 0


def one(task: str, seed: int) -> dict[str, object]:
    """One task under one seed: play it, audit it, train the other arms, show the table."""
    with tempfile.TemporaryDirectory() as folder:
        job = _job_with_seed(task, seed, Path(folder))
        workspace = Workspace(Path(folder) / "run")
        began = time.process_time()
        played = play(workspace, Order(job, EXAMPLES / task), Quiet())
        processor = time.process_time() - began
        audits = audit_run(workspace.root / "transcript", chain=workspace.chain, url=None)
        if not audits or not all(audit.passes for audit in audits):
            raise SystemExit(f"{task}, seed {seed}: the audit does not pass")
    sites = list(played.sites.values())
    fitted = [_fit_pooled(played, sites, fit) for fit in range(played.task.fits)]
    arms = {
        "local": _judge(sites, [local(played.task, site) for site in sites]),
        "local, C = 0.1": _judge(sites, [local(played.task, site, strength=0.1) for site in sites]),
        "federated": _judge(sites, [played.task.judged(played.state, site) for site in sites]),
        "pooled": _judge(sites, [_pooled_scores(fitted, played, site) for site in sites]),
    }
    newton, quality = played.state.newton, played.state.quality
    assert newton is not None
    assert quality is not None
    ours = np.abs(newton.weights - np.stack([weights for weights, _ in fitted])).max(axis=1)
    told = {
        "site_auroc": np.abs(quality.site_auroc - arms["federated"].site_auroc).max(),
        "auroc": np.abs(quality.auroc - arms["federated"].auroc).max(),
        "brier": np.abs(quality.brier - arms["federated"].brier).max(),
    }
    _report(task, seed, played, arms, ours)
    print(
        f"the job's own figures, from secure sums, differ from these by at most {max(told.values()):.0e}; "
        f"training {played.seconds_training:.1f} s, whole job {processor:.1f} processor seconds, {os.cpu_count()} cores"
    )
    return {
        "sites": len(sites),
        "rows": sum(site.rows for site in sites),
        "rounds": played.state.round,
        "newton_rounds": newton.rounds,
        "fits": played.task.fits,
        "weights_apart_final": float(ours[0]),
        "weights_apart_any_fit": float(ours.max()),
        "published_apart": {name: float(value) for name, value in told.items()},
        "training_wall": played.seconds_training,
        "job_processor": processor,
        "arms": {
            name: {figure: getattr(arm, figure).round(5).tolist() for figure in FIGURES} for name, arm in arms.items()
        },
    }


class Quiet:
    """Watches a run and stops it if anything is not as it should be."""

    def begin(self, what: str, steps: int) -> None:
        """Not of interest here."""

    def step(self, text: str) -> None:
        """Not of interest here."""

    def round(self, record: RoundRecord, state: State, session: Session) -> None:
        if record.failure:
            raise SystemExit(f"round {record.round} failed: {record.failure}")

    def fault(self, who: str, problem: Error) -> None:
        raise SystemExit(f"{who}: {problem}")


def _job_with_seed(task: str, seed: int, folder: Path) -> Path:
    """The example's job, as it is but for the seed."""
    example = EXAMPLES / task
    text, changed = re.subn(r"^seed = \d+$", f"seed = {seed}", (example / "job.toml").read_text(), flags=re.MULTILINE)
    assert changed == 1
    (folder / "job.toml").write_text(text)
    (folder / "schema.toml").write_bytes((example / "schema.toml").read_bytes())
    return folder / "job.toml"


# ---------------------------------------------------------------- the pooled arm, by scikit-learn


Fitted = tuple[Floats, "Columns"]


@dataclass(frozen=True, slots=True)
class Columns:
    """scikit-learn's preparation of one fit's matrix."""

    imputer: SimpleImputer
    scaler: StandardScaler
    indicators: tuple[int, ...]

    def raw(self, features: Floats) -> Floats:
        """Gaps filled and indicators of absence appended."""
        return np.hstack([self.imputer.transform(features), np.isnan(features[:, self.indicators])])


def _fit_pooled(played: Played, sites: Sequence[SiteData], fit: int) -> Fitted:
    """Weights (the intercept last) on the pooled training rows of a fit."""
    features = np.concatenate([site.features[site.learning[fit]] for site in sites])
    target = np.concatenate([site.target[site.learning[fit]] for site in sites])
    columns = Columns(SimpleImputer().fit(features), StandardScaler(), played.task.design.indicators)
    matrix = columns.scaler.fit_transform(columns.raw(features))
    assert played.spec.learning.logistic is not None
    model = LogisticRegression(C=played.spec.learning.logistic.C, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(matrix, target)
    return np.append(model.coef_[0], model.intercept_[0]), columns


def _pooled_scores(fitted: Sequence[Fitted], played: Played, site: SiteData) -> Floats:
    """Log-odds of a site's judged rows, each from the fit that did not learn from it."""
    score = np.full(site.judging.shape, np.nan)
    for fit in range(1, played.task.fits):
        repeat, row = np.nonzero(site.judging == fit)
        if len(row):
            weights, columns = fitted[fit]
            score[repeat, row] = columns.scaler.transform(columns.raw(site.features[row])) @ weights[:-1] + weights[-1]
    return score


# ---------------------------------------------------------------- figures


def _judge(sites: Sequence[SiteData], scores: Sequence[Floats]) -> Arm:
    """Figures per repeat; sites without both classes among their judged rows are not in the mean over sites."""
    site_auroc, auroc, brier = [], [], []
    for repeat in range(len(scores[0])):
        judged = [~np.isnan(score[repeat]) for score in scores]
        parts = [
            (site.target[rows], score[repeat, rows]) for site, score, rows in zip(sites, scores, judged, strict=True)
        ]
        own = [area for area in (metrics.auroc(*part) for part in parts) if area is not None]
        target, log_odds = (np.concatenate(column) for column in zip(*parts, strict=True))
        whole = metrics.auroc(target, log_odds)
        assert whole is not None
        site_auroc.append(float(np.mean(own)))
        auroc.append(whole)
        brier.append(metrics.brier(target, sigmoid(log_odds)))
    return Arm(np.array(site_auroc), np.array(auroc), np.array(brier))


def _report(task: str, seed: int, played: Played, arms: dict[str, Arm], apart: Floats) -> None:
    rows = []
    for name, arm in arms.items():
        cells = []
        for figure in FIGURES:
            values, reference = getattr(arm, figure), REFERENCE[task].get(name, {}).get(figure)
            cells += [f"{values.mean():.3f} +- {values.std(ddof=1):.3f}", f"{reference:.3f}" if reference else "-"]
        rows.append([name, *cells])
    judged = played.spec.learning.evaluation
    split = f"{judged.folds}-fold" if judged.folds else f"{judged.fraction:.0%} held out"
    patients = sum(site.rows for site in played.sites.values())
    title = f"{task}: {len(played.sites)} sites, {patients} patients, {judged.repeats} x {split}, seed {seed}"
    show(title, ["arm", *(head for name in FIGURES.values() for head in (name, "reference"))], rows)
    print(f"max |w - scikit-learn|: {apart[0]:.1e} final model, {apart.max():.1e} any of {len(apart)} fits")


if __name__ == "__main__":
    sys.exit(main())
