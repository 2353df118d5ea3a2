"""What differential privacy costs in accuracy: the stroke trial, 49 hospitals, death within 14 days.

    python bench/private_clinical.py [--epsilons 8 3 1 0.3] [--seeds 10] [--model logistic] [--no-job]

Every figure is of the shipped job (`examples/stroke/job-private.toml`) at that epsilon, delta 1e-5, with everything
that is opened in the budget: moments, gradients and the histogram that judges. What sites compute, encode and blur is
added up in the ring and read, as in a job; masks are left out, because they cancel. One whole job with chain, secure
aggregation and audit is played besides, and must come to a model of the same kind. A seed decides who is held back
(a quarter) and the noise. *No noise* is exact logistic regression on the same patients, judged on the same ones.
Intervals are 95 % of the mean over seeds (Student's t); the loss is paired by seed. Writes bench/results/.

CADUCEUS_DATA names the folder of the data.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from instruments.record import environment, keep, provenance, show

os.environ.update({name: value for name, value in environment().items() if name.endswith("_THREADS")})

import numpy as np
from scipy.stats import t as student

from caduceus.edges.federation import DATA_ROOT, EXAMPLES
from caduceus.edges.workspace import Workspace
from caduceus.errors import Error
from caduceus.kinds import Floats
from caduceus.learn import metrics
from caduceus.learn.control import unsafe_pooled
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.private.program import PrivateProgram
from caduceus.learn.program import build_task
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import Logistic
from caduceus.learn.state import State
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_session import Session
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order, read_order
from caduceus.wiring.play import play
from caduceus.wiring.privacy_plan import Plan, Shape, rehearse

STROKE = EXAMPLES / "stroke"
JOBS = {"logistic": STROKE / "job-private.toml", "dp-sgd": STROKE / "job-dp-sgd.toml"}
FEDERATION = STROKE / "federation-private.toml"
FIGURES = ("AUROC, all patients", "AUROC, mean of sites", "Brier")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epsilons", type=float, nargs="+", default=[8.0, 3.0, 1.0, 0.3])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--model", choices=list(JOBS), default="logistic")
    parser.add_argument("--no-job", action="store_true", help="leave out the whole job")
    chosen = parser.parse_args(arguments)
    if not os.environ.get(DATA_ROOT):
        print(f"set {DATA_ROOT} to the folder of the clinical data", file=sys.stderr)
        return 2
    about = provenance(seed=list(range(chosen.seeds)))
    found: dict[str, list[Floats]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for epsilon in chosen.epsilons:
            for seed in range(chosen.seeds):
                plan, tables = prepared(chosen.model, epsilon, seed, Path(folder))
                sites = [plan.task.ready(one.table, one.name) for one in tables]
                state = rehearse(plan, sites, seed, round(epsilon * 1000))
                found.setdefault(f"epsilon {epsilon:g}", []).append(judged(plan.task, state, sites))
                if epsilon == chosen.epsilons[0]:
                    found.setdefault("no noise", []).append(without_noise(plan.task, sites))
        told = None if chosen.no_job else whole_job(chosen.model, Path(folder))
    rows = [(name, *line(figures, found["no noise"])) for name, figures in found.items()]
    show(f"stroke, {chosen.model}", ("", *FIGURES, "loss of AUROC, all patients"), rows)
    if told is not None:
        show("a whole job, epsilon as in its file", ("", *FIGURES), [("audited job", *(f"{x:.3f}" for x in told))])
    record = {name: np.array(figures).tolist() for name, figures in found.items()}
    keep(f"private_clinical_{chosen.model}", about | {"figures": FIGURES, "by_seed": record, "whole_job": told})
    return 0


def prepared(model: str, epsilon: float, seed: int, folder: Path) -> tuple[Plan, Sequence[object]]:
    """The shipped job at another epsilon and seed, and the sites' records."""
    text = (
        JOBS[model].read_text().replace("seed = 0", f"seed = {seed}").replace("epsilon = 1.0", f"epsilon = {epsilon}")
    )
    for name in ("schema.toml", "terms-private.toml", "federation-private.toml"):
        (folder / name).write_text((STROKE / name).read_text().replace("epsilon = 3.0", "epsilon = 100.0"))
    (folder / "job.toml").write_text(text)
    _, spec, task, tables, _ = read_order(Order(folder / "job.toml", folder / "federation-private.toml"))
    assert isinstance(task, PrivateProgram)
    assert spec.privacy is not None
    shape = Shape(model, 1e-5, 0, len(tables), spec.privacy.missing_percent, 0, 0.5)
    return Plan(shape, epsilon, epsilon, 0.0, spec.schema, spec, task), tables


def judged(task: PrivateProgram, state: State, sites: Sequence[SiteData]) -> Floats:
    """The figures on the patients who were held back."""
    return _figures([site.target[site.judging[0] == 0] for site in sites], _held_scores(task, state, sites))


def _held_scores(task: PrivateProgram, state: State, sites: Sequence[SiteData]) -> list[Floats]:
    return [task.judged(state, site)[0, site.judging[0] == 0] for site in sites]


def without_noise(task: PrivateProgram, sites: Sequence[SiteData]) -> Floats:
    """Exact logistic regression from the same patients."""
    spec = replace(task.spec, logistic=Logistic(1.0, 1e-4, 30), descent=None)
    exact = build_task(spec, task.schema)
    alike = [
        replace(
            site, learning=np.vstack([site.learning] * 2), judging=np.where(site.judging == 0, 1, -1), patients=None
        )
        for site in sites
    ]
    state = unsafe_pooled(exact, alike)
    held = [site.judging[0] == 0 for site in sites]
    scores = [exact.log_odds(state, site.features[kept]) for site, kept in zip(sites, held, strict=True)]
    return _figures([site.target[kept] for site, kept in zip(sites, held, strict=True)], scores)


def _figures(target: Sequence[Floats], score: Sequence[Floats]) -> Floats:
    own = [metrics.auroc(y, s) for y, s in zip(target, score, strict=True)]
    every, scores = np.concatenate(target), np.concatenate(score)
    area = metrics.auroc(every, scores)
    assert area is not None
    mean = float(np.mean([one for one in own if one is not None]))
    return np.array([area, mean, metrics.brier(every, sigmoid(scores))])


def line(figures: list[Floats], exact: list[Floats]) -> list[str]:
    """Means with intervals, and the loss of AUROC against no noise."""
    table = np.array(figures)
    cells = [interval(table[:, column]) for column in range(len(FIGURES))]
    return [*cells, interval(np.array(exact)[:, 0] - table[:, 0])]


def interval(values: Floats) -> str:
    """Mean and half-width of its 95 % interval."""
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return f"{values.mean():.3f} +- {half:.3f}"


def whole_job(model: str, folder: Path) -> list[float]:
    """One job with everything, audited; its figures."""
    workspace = Workspace(folder / "run")
    played = play(workspace, Order(JOBS[model], FEDERATION), Quiet())
    audits = audit_run(workspace.root / "transcript", chain=workspace.chain, url=None)
    if not audits or not all(audit.passes for audit in audits):
        raise SystemExit("the audit does not pass")
    assert isinstance(played.task, PrivateProgram)
    return judged(played.task, played.state, list(played.sites.values())).tolist()  # type: ignore[arg-type]


class Quiet:
    """Implements `watch.Watch`: says nothing, unless something is wrong."""

    def begin(self, what: str, steps: int) -> None: ...

    def step(self, text: str) -> None: ...

    def round(self, record: RoundRecord, state: State, session: Session) -> None: ...

    def fault(self, who: str, problem: Error) -> None:
        print(f"{who}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
