"""What attacks on the shipped code find out, beside the epsilon that it claims.

    python bench/privacy_audit.py [--runs 200000] [--jobs 1000] [--canaries 1024] [--claims 8 3 1 0.3]

The adversary knows every record but the one in question, chooses that one, sees every opened sum and all coins but its
own, and owns a site that adds no noise. Sums come about as a site makes them: contribute, encode, blur, add, decode,
combine; the state that is trained on is the one that the noisy sums gave.

    one run    many records of the adversary's, each in by a coin, in a single job; guesses by theorem 5.2 of Steinke,
               Nasr and Jagielski 2023
    many runs  one record, runs with and without it, error rates alone
    shape      the same runs; supposes that the mechanism is the stated one, a Gaussian or sampled Gaussians, but for
               the size of its noise
    black box  likewise, from the final model alone, by how well it predicts the record

Each number is a lower bound on epsilon at delta = 1e-6, too high with a chance of at most 1e-4. Above the claim it
would be a defect, and the script ends with 1. Writes bench/results/privacy_audit.json.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from caduceus.crypto.entropy import KeyedEntropy
from caduceus.data.patients import Patients
from caduceus.data.schema import BOOLEAN, FEATURE, NUMBER, TARGET, Column, Schema
from caduceus.data.table import Table
from caduceus.kinds import Floats
from caduceus.learn import dp_sgd
from caduceus.learn.inquiry.cells import Axis
from caduceus.learn.inquiry.program import Inquiry, build_inquiry
from caduceus.learn.inquiry.program import plan_spending as plan_inquiry
from caduceus.learn.inquiry.queries import Analysis, Histogram, Mean, Query
from caduceus.learn.private.program import PrivateProgram, build_private, plan_spending
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import HOLDOUT, NONE, Descent, Evaluation, Learning, Logistic
from caduceus.learn.state import Phase, State
from caduceus.privacy import accountant, attack
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending
from caduceus.privacy.mechanisms import Crowd, blur, noisy_sites
from caduceus.protocol.encoding import decode, encode_into
from instruments.record import keep, load, provenance, show

DELTA, DOUBT = 1e-6, 1e-4
CLAIMS = (8.0, 3.0, 1.0, 0.3)
CROWD = Crowd(0, 40)
"""Of three sites the noise of one may be missing: the adversary's."""

ROWS, COLUMNS = 1000, 4
UNJUDGED, JUDGED = Evaluation(NONE, 0, 0, 0.0), Evaluation(HOLDOUT, 1, 0, 0.5)
LOGISTIC = Logistic(1.0, 0.0, 4)
DESCENT = Descent((), "relu", 8, 1.0, 0.5, 0.0, 0.0, 1.0)
SAMPLED = replace(DESCENT, sampling=0.25)

Task = PrivateProgram | Inquiry
Computes = Callable[..., Floats]
Booleans = npt.NDArray[np.bool_]


# ---------------------------------------------------------------- data


def schema(columns: int) -> Schema:
    """Numbers in [-1, 1] and a target."""
    numbers = [Column(f"x{i}", NUMBER, FEATURE, "", "", -1.0, 1.0, (), False, None) for i in range(columns)]
    return Schema("audit", (*numbers, Column("ill", BOOLEAN, TARGET, "", "", 0.0, 1.0, (), True, None)))


def records(values: Floats, targets: Floats, names: Sequence[str] | None = None) -> Table:
    """A table.

    values   float64[rows, columns]
    targets  float64[rows]
    names    whose row each is; none: every row is a patient
    """
    columns = np.column_stack([values, targets]).T
    if names is None:
        return Table(schema(values.shape[1]), columns)
    return Table(schema(values.shape[1]), columns, {"who": np.array(names)}, "who")


def ordinary(columns: int, rows: int = ROWS) -> tuple[Table, ...]:
    """Three sites whose patients lie near the middle and tend to be ill where the sum of a row is large.

    Named patients, so that whoever is added may have several rows. The last site is the adversary's.
    """
    draw = np.random.default_rng(columns)
    tables = []
    for site, count in enumerate((rows, rows, 2)):
        values = draw.uniform(-0.3, 0.3, (count, columns))
        risk = values.sum(axis=1) + 0.1 * math.sqrt(columns) * draw.normal(size=count)
        tables.append(records(values, (risk > 0).astype(float), [f"{site}/{i:06}" for i in range(count)]))
    return tuple(tables)


def outlier(columns: int = COLUMNS, rows: int = 1, name: str = "z") -> Table:
    """A patient at the end of every range, who by the look of it is ill and is not. Sorts behind all others."""
    return records(np.ones((rows, columns)), np.zeros(rows), [name] * rows)


def crowd(count: int) -> Table:
    """As many patients as columns, at right angles to each other in the features (Sylvester's matrix), no two alike."""
    signs = np.ones((1, 1))
    while len(signs) < count:
        signs = np.block([[signs, signs], [signs, -signs]])
    return records(signs, np.arange(count) % 2.0, [f"z{i:06}" for i in range(count)])


def some(table: Table, rows: Booleans | slice) -> Table:
    """Some rows of a table."""
    return Table(table.schema, table.values[:, rows], {"who": table.labels["who"][rows]}, "who")


def joined(one: Table, other: Table) -> Table:
    """Both tables' rows."""
    who = np.concatenate([one.labels["who"], other.labels["who"]])
    return Table(one.schema, np.hstack([one.values, other.values]), {"who": who}, "who")


# ---------------------------------------------------------------- tasks


def learning(columns: int, model: Logistic | Descent, evaluation: Evaluation = UNJUDGED) -> Learning:
    """A specification."""
    names = tuple(f"x{i}" for i in range(columns))
    logistic, descent = (model, None) if isinstance(model, Logistic) else (None, model)
    return Learning(names, (), "ill", logistic, None, descent, evaluation, seed=5)


def trained(columns: int, model: Logistic | Descent, claim: float, evaluation: Evaluation = UNJUDGED) -> PrivateProgram:
    """A job that spends a claim."""
    spec = learning(columns, model, evaluation)
    spending = plan_spending(spec, epsilon_micro=round(claim * 1e6), delta_pico=round(DELTA * 1e12))
    return build_private(spec, schema(columns), spending, CROWD)


def first_only(columns: int, claim: float) -> PrivateProgram:
    """A job that spends a claim on its moments, and on its one step of training next to nothing."""
    events = [Event(DISCRETE_GAUSSIAN, noise, 1.0, 1) for noise in (accountant.multiplier(claim, DELTA), 1e4)]
    spec = learning(columns, replace(LOGISTIC, max_rounds=1))
    return build_private(spec, schema(columns), Spending((Part(tuple(events)),)), CROWD)


def asked(columns: int, claim: float, *, bins: int = 0) -> Inquiry:
    """An analysis that spends a claim: on one histogram of so many bins, or on three questions."""
    fine = Query("fine", (), 1.0, None, Histogram(Axis("x0", bins or 8, ()), False), None, None, None)
    count = Query("count", (), 1.0, None, None, None, None, None)
    mean = Query("mean", (), 2.0, Mean("x0", True), None, None, None, None)
    spending = plan_inquiry(epsilon_micro=round(claim * 1e6), delta_pico=round(DELTA * 1e12))
    return build_inquiry(Analysis((fine,) if bins else (fine, count, mean), 5), schema(columns), spending, CROWD)


def claimed(part: Part, delta: float = DELTA) -> float:
    """What the accountant says."""
    return accountant.epsilon(Spending((part,)), delta)


# ---------------------------------------------------------------- sums, as sites and coordinator make them


def key(root: KeyedEntropy, what: str, *numbers: int) -> bytes:
    """32 secret bytes for one purpose."""
    return root.derive(what, *(number.to_bytes(8) for number in numbers), size=32)


def opened(
    task: Task, state: State, vectors: Sequence[Floats], keys: Sequence[bytes], *, runs: int = 1, noisy: int = 0
) -> Floats:
    """The opened sum of the sites' vectors, the noise drawn again for every run: float64[runs, length].

    keys   one for each site that adds noise; the others add none
    noisy  how many sites' noise each site believes to make the stated one; as many as the specification says unless
           stated

    Many runs are blurred as one release that is as many times longer. Its noise is larger by as much as rounding to the
    ring adds with the square root of the length, a few millionths.
    """
    release = task.release(state)
    many = replace(release, length=runs * release.length)
    total = np.zeros(many.length, np.uint64)
    for i, vector in enumerate(vectors):
        place = np.empty(release.length, np.uint64)
        encode_into(place, vector, scale=task.scale(state), parties=len(vectors))
        places = np.tile(place, runs)
        if i < len(keys):
            blur(places, keys[i], many, noisy or noisy_sites(len(vectors), CROWD.missing_percent))
        total += places
    return decode(total, scale=task.scale(state)).reshape(runs, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A task, the sites without the record, the first site with it, and the record alone, ready for the task."""

    task: Any
    others: tuple[Any, ...]
    with_it: Any
    alone: Any

    @property
    def noisy(self) -> int:
        """How many sites add noise."""
        return noisy_sites(len(self.others), CROWD.missing_percent)


def case(task: Task, canary: Table, tables: Sequence[Table] | None = None) -> Case:
    """The record at the first of three sites.

    tables  of the sites; ordinary ones unless stated
    """
    tables = tables or ordinary(canary.values.shape[0] - 1)
    others = tuple(task.ready(table, f"site {i}") for i, table in enumerate(tables))
    return Case(task, others, task.ready(joined(tables[0], canary), "site 0"), task.ready(canary, "canary"))


def one_by_one(task: Any, canaries: Table) -> list[Any]:
    """Each patient of a table alone, ready for the task."""
    if isinstance(task, Inquiry):
        return [task.ready(some(canaries, slice(i, i + 1)), "canary") for i in range(canaries.rows)]
    # The same as above, without scaling a thousand columns a thousand times.
    every, alone = task.ready(canaries, "canaries"), Patients(1, np.zeros(1, np.int64), np.ones(1))
    return [
        SiteData(
            "canary",
            every.features[i : i + 1],
            every.target[i : i + 1],
            every.learning[:, i : i + 1],
            every.judging[:, i : i + 1],
            alone,
        )
        for i in range(every.rows)
    ]


def certain(task: Any) -> Any:
    """The same task without sampling: what a patient adds if drawn."""
    if isinstance(task, PrivateProgram) and task.spec.descent is not None:
        return replace(task, spec=replace(task.spec, descent=replace(task.spec.descent, sampling=1.0)))
    return task


def rate(task: Any, state: State) -> float:
    """A patient's chance to be in the coming sum."""
    return float(task.spending.event(state.round).rate)


def reached(task: PrivateProgram, phase: Phase) -> State:
    """The first state of a phase, as one job without the record reached it."""
    root, sites = KeyedEntropy(bytes(range(32))), case(task, outlier()).others
    state = task.opening()
    while state.phase is not phase:
        keys = [key(root, "noise", state.round, i) for i in range(2)]
        vectors = [task.contribute(state, site, bytes(32)) for site in sites]
        state = task.combine(state, opened(task, state, vectors, keys)[0], len(sites))
    return state


# ---------------------------------------------------------------- attacks


def release_scores(
    about: Case,
    state: State,
    root: KeyedEntropy,
    *,
    runs: int,
    contribute: Computes | None = None,
    noisy: int = 0,
    draws: int = 1,
) -> attack.Scores:
    """Attack one release whose state does not depend on the record: log-likelihood ratios, as for the stated noise.

    contribute  what sites compute; the task's own unless stated
    noisy       as in `opened`
    draws       how often the release is opened with noise of its own; the adversary takes the mean
    """
    task = about.task
    part, secret = contribute or task.contribute, bytes(32)  # nobody is sampled
    rest = [part(state, site, secret) for site in about.others]
    own = part(state, about.alone, secret)
    variance, middle = task.release(state).deviation ** 2, np.sum(rest, axis=0) + own / 2
    found = []
    for world, first in enumerate((rest[0], part(state, about.with_it, secret))):
        sums = [
            opened(
                task,
                state,
                [first, *rest[1:]],
                [key(root, "noise", world, i, draw) for i in range(about.noisy)],
                runs=runs,
                noisy=noisy,
            )
            for draw in range(draws)
        ]
        found.append((np.mean(sums, axis=0) - middle) @ own / variance)
    return attack.Scores(*found)


def job_scores(about: Case, root: KeyedEntropy, *, jobs: int, noisy: int = 0) -> tuple[attack.Scores, attack.Scores]:
    """Attack whole jobs: log-likelihood ratios of all opened sums, and how well the final model predicts the record."""
    white: tuple[list[float], list[float]] = ([], [])
    black: tuple[list[float], list[float]] = ([], [])
    for world in range(2):
        for job in range(jobs):
            ratio, state = _job(about, root, (world, job), noisy)
            white[world].append(ratio)
            odds = float(about.task.log_odds(state, about.alone.features)[0])
            black[world].append(odds if about.alone.target[0] else -odds)
    return attack.Scores(*map(np.array, white)), attack.Scores(*map(np.array, black))


def _job(about: Case, root: KeyedEntropy, which: tuple[int, int], noisy: int) -> tuple[float, State]:
    task, sure = about.task, certain(about.task)
    state, ratio = task.opening(), 0.0
    while not task.finished(state):
        keys = [key(root, "noise", *which, state.round, i) for i in range(about.noisy)]
        secrets = [key(root, "sampling", *which, state.round, i) for i in range(len(about.others))]
        # The record's patient sorts last, so the coins of the others are the same with it and without.
        vectors = [task.contribute(state, site, secret) for site, secret in zip(about.others, secrets, strict=True)]
        rest = np.sum(vectors, axis=0)
        if which[0]:
            vectors[0] = task.contribute(state, about.with_it, secrets[0])
        total = opened(task, state, vectors, keys, noisy=noisy)[0]
        own = sure.contribute(state, about.alone, secrets[0])
        q = rate(task, state)
        one = float((total - rest - own / 2) @ own) / task.release(state).deviation ** 2
        ratio += one if q == 1 else math.log1p(q * math.expm1(min(one, 500.0)))
        state = task.combine(state, total, len(vectors))
    return ratio, state


def crowd_scores(task: Any, canaries: Table, present: Booleans, root: KeyedEntropy, *, noisy: int = 0) -> Floats:
    """Attack one job with many records, each in or out: float64[canaries].

    Each record's own contribution, as far as it differs from the others', times what the sums have too much.
    """
    tables = ordinary(canaries.values.shape[0] - 1)
    others = [task.ready(table, f"site {i}") for i, table in enumerate(tables)]
    with_them = task.ready(joined(tables[0], some(canaries, present)), "site 0")
    alone = one_by_one(task, canaries)
    sure, state, scores = certain(task), task.opening(), np.zeros(canaries.rows)
    while not task.finished(state):
        keys = [key(root, "noise", state.round, i) for i in range(2)]
        secrets = [key(root, "sampling", state.round, i) for i in range(3)]
        vectors = [task.contribute(state, site, secret) for site, secret in zip(others, secrets, strict=True)]
        own = np.stack([sure.contribute(state, one, secrets[0]) for one in alone])
        expected = np.sum(vectors, axis=0) + rate(task, state) / 2 * own.sum(axis=0)
        vectors[0] = task.contribute(state, with_them, secrets[0])
        total = opened(task, state, vectors, keys, noisy=noisy)[0]
        scores += (own - own.mean(axis=0)) @ (total - expected) / task.release(state).deviation ** 2
        state = task.combine(state, total, len(vectors))
    return scores


def local_scores(course: dp_sgd.Course, present: Booleans, secret: bytes) -> tuple[Floats, dp_sgd.Trained]:
    """Attack one private training at a site by its final weights: float64[canaries], above 0 for "in".

    Every canary has a weight of its own, and a loss that never ends to pull at it, so each is a run for itself.
    """
    count = len(present)
    module = nn.Linear(count, 1, bias=False)
    nn.init.zeros_(module.weight)
    inputs = torch.eye(count)[torch.from_numpy(present)] * 10 * course.clip
    table = dp_sgd.Table(inputs, torch.zeros(len(inputs)))
    done = dp_sgd.train(module, table, course, secret, loss=lambda output, _: output.sum())
    moved = -module.weight.detach().double().numpy()[0] * course.rate * course.patients / course.length
    return moved - course.steps * course.rate * course.clip / 2, done


def local_course(claim: float, sampling: float, patients: int, steps: int = 8) -> dp_sgd.Course:
    """A training at a site that spends a claim."""
    if sampling < 1:
        noise = accountant.sampled_multiplier(claim, DELTA, rate=sampling, count=steps)
    else:
        noise = accountant.multiplier(claim, DELTA) * math.sqrt(steps)
    return dp_sgd.Course(steps, sampling, 1.0, noise, patients, 1.0)


def coins(count: int, seed: int) -> Booleans:
    """Who is in: the adversary's coins, no secret of anybody's."""
    return np.random.default_rng(seed).random(count) < 0.5


def guesses_for(claim: float, count: int) -> int:
    """How many guesses promise most, if every canary is in a Gaussian release of its own: decided without any run."""
    draw = np.random.default_rng(1)
    shift = 1 / accountant.multiplier(claim, DELTA)
    present = coins(count, 2)
    scores = draw.normal(size=count) + shift * present
    sizes = [2 * max(round(count * part / 2), 1) for part in (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)]
    return max(sizes, key=lambda made: attack.one_run(attack.guess(scores, present, made), delta=DELTA, doubt=DOUBT))


# ---------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Row:
    """One mechanism at one claim; None where a bound does not apply.

    claimed   epsilon by the accountant
    canaries  of the one run
    runs      with the record, and as many without
    seconds   of processor time
    """

    mechanism: str
    claimed: float
    one_run: float | None
    many_runs: float
    shape: float
    black_box: float | None
    canaries: int
    runs: int
    seconds: float

    @property
    def best(self) -> float:
        """The highest bound."""
        return max(one for one in (self.one_run, self.many_runs, self.shape, self.black_box) if one is not None)


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard is tried.

    runs      of a release, with the record and without
    jobs      whole ones, with the record and without
    canaries  of one run; a power of two
    """

    runs: int
    jobs: int
    canaries: int


def by_crowd(task: Any, claim: float, canaries: Table) -> float:
    """The bound from one run."""
    present = coins(canaries.rows, 3)
    scores = crowd_scores(task, canaries, present, KeyedEntropy(bytes([7] * 32)))
    made = guesses_for(claim, canaries.rows)
    return attack.one_run(attack.guess(scores, present, made), delta=DELTA, doubt=DOUBT)


def bounds(scores: attack.Scores, part: Part) -> tuple[float, float]:
    """By error rates alone at the threshold that half of the runs chose, and by the noise's shape at 0."""
    many = attack.best(scores, attack.many_runs, delta=DELTA, doubt=DOUBT)
    return many, by_shape(scores.errors(0.0), part)


def by_shape(errors: attack.Errors, part: Part) -> float:
    """Gaussian where nobody is sampled; else the stated events, with noise of another size."""
    if all(event.rate == 1 for event in part.events):
        return attack.gaussian(errors, DELTA, DOUBT)
    return attack.of_shape(errors, part, DELTA, DOUBT)


def moments(claim: float, effort: Effort) -> Row:
    """Counts and means, alone."""
    task = first_only(COLUMNS, claim)
    about = case(task, outlier())
    part = Part(task.spending.parts[0].events[:1])
    many, shape = bounds(release_scores(about, task.opening(), KeyedEntropy(bytes(32)), runs=effort.runs), part)
    one = by_crowd(first_only(effort.canaries, claim), claim, crowd(effort.canaries))
    return Row("moments", claimed(part), one, many, shape, None, effort.canaries, effort.runs, 0.0)


def histogram(claim: float, effort: Effort) -> Row:
    """The histogram of predictions for patients who were held back."""
    task = trained(COLUMNS, LOGISTIC, claim, JUDGED)
    names = (f"z{i}" for i in range(64))
    about = next(one for name in names if (one := case(task, outlier(name=name))).alone.judging[0, 0] == 0)
    scores = release_scores(about, reached(task, Phase.EVALUATION), KeyedEntropy(bytes(32)), runs=effort.runs)
    part = task.spending.parts[1]
    many, shape = bounds(scores, part)
    return Row("evaluation", claimed(part), None, many, shape, None, 0, effort.runs, 0.0)


def analysis(claim: float, effort: Effort) -> Row:
    """Three questions; one fine histogram for the one run."""
    task = asked(COLUMNS, claim)
    about = case(task, outlier())
    (part,) = task.spending.parts
    many, shape = bounds(release_scores(about, task.opening(), KeyedEntropy(bytes(32)), runs=effort.runs), part)
    places = ((np.arange(effort.canaries) + 0.5) / effort.canaries * 2 - 1)[:, None]
    canaries = records(places, np.zeros(len(places)), [f"z{i:06}" for i in range(len(places))])
    one = by_crowd(asked(1, claim, bins=effort.canaries), claim, canaries)
    return Row("analysis", claimed(part), one, many, shape, None, effort.canaries, effort.runs, 0.0)


def job(name: str, model: Logistic | Descent, claim: float, effort: Effort) -> Row:
    """A whole job."""
    task = trained(COLUMNS, model, claim)
    white, black = job_scores(case(task, outlier()), KeyedEntropy(bytes(32)), jobs=effort.jobs)
    (part,) = task.spending.parts
    many, shape = bounds(white, part)
    one = by_crowd(trained(effort.canaries, model, claim), claim, crowd(effort.canaries))
    choosing, judging = black.halves()
    middle = float(np.median(np.concatenate([choosing.without, choosing.present])))
    blind = by_shape(judging.errors(middle), part)
    return Row(name, claimed(part), one, many, shape, blind, effort.canaries, effort.jobs, 0.0)


def trainings(course: dp_sgd.Course, count: int) -> tuple[Floats, Booleans, dp_sgd.Trained]:
    """Scores and truth of several trainings; what is left in one canary's weight has nothing to do with another's."""
    present = [coins(course.patients, 4 + number) for number in range(count)]
    found = [local_scores(course, one, bytes([9, number] * 16)) for number, one in enumerate(present)]
    return np.concatenate([scores for scores, _ in found]), np.concatenate(present), found[0][1]


def local(name: str, sampling: float, claim: float, effort: Effort) -> Row:
    """Trainings at a site: all together are one run with so many canaries, and each canary is a run of its own."""
    scores, there, done = trainings(local_course(claim, sampling, 2 * effort.canaries), 8)
    part = Part((Event(DISCRETE_GAUSSIAN, done.multiplier, done.rate, done.steps),))
    many, shape = bounds(attack.Scores(scores[~there], scores[there]), part)
    guessed = attack.guess(scores, there, guesses_for(claim, len(there)))
    one = attack.one_run(guessed, delta=DELTA, doubt=DOUBT)
    return Row(name, claimed(part), one, many, shape, None, len(there), int(there.sum()), 0.0)


ARMS: tuple[Callable[[float, Effort], Row], ...] = (
    moments,
    histogram,
    analysis,
    lambda claim, effort: job("logistic job", LOGISTIC, claim, effort),
    lambda claim, effort: job("descent job", DESCENT, claim, effort),
    lambda claim, effort: job("descent job, 1/4 sampled", SAMPLED, claim, effort),
    lambda claim, effort: local("DP-SGD at a site", 1.0, claim, effort),
    lambda claim, effort: local("DP-SGD at a site, 1/4 sampled", 0.25, claim, effort),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--canaries", type=int, default=1024)
    parser.add_argument("--claims", type=float, nargs="+", default=CLAIMS)
    chosen = parser.parse_args(arguments)
    effort, before = Effort(chosen.runs, chosen.jobs, chosen.canaries), load()
    torch.set_num_threads(1)
    rows = []
    for arm in ARMS:
        for claim in chosen.claims:
            began = time.process_time()
            rows.append(replace(arm(claim, effort), seconds=round(time.process_time() - began, 1)))
            print(".", end="", flush=True)
    kinds = ["one run", "many runs", "shape", "black box"]
    head = ["mechanism", "claim", *kinds, "best / claim", "canaries", "runs", "seconds"]
    cells = []
    for row in rows:
        found = [row.one_run, row.many_runs, row.shape, row.black_box]
        shown = ["" if one is None else f"{one:.3f}" for one in found]
        sizes = [str(row.canaries or ""), str(row.runs), f"{row.seconds:.1f}"]
        cells.append([row.mechanism, f"{row.claimed:.3f}", *shown, f"{row.best / row.claimed:.2f}", *sizes])
    show(f"lower bounds on epsilon at delta {DELTA:g}", head, cells)
    wrong = [row for row in rows if row.best > row.claimed]
    for row in wrong:
        print(f"BROKEN: {row.mechanism} claims {row.claimed:.3f} and leaks {row.best:.3f}")
    record = {"delta": DELTA, "doubt": DOUBT, "effort": asdict(effort), "load": before}
    keep("privacy_audit", {**provenance(seed="fixed keys"), **record, "rows": [asdict(row) for row in rows]})
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
