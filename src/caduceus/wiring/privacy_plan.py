"""What differential privacy would take and cost, before a job is written: noise, price, and how well it predicts.

A plan is made from a job file as a buyer would write it, so its noise and its price are those of the job. What it costs
in quality is played: made-up patients, the job's own steps, and each site's own share of the noise in the ring. Only
the masks are left out; they cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from caduceus.data.schema import Schema
from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO, PICO, Floats
from caduceus.learn import metrics, simulated
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.folds import keystream
from caduceus.learn.private.program import PrivateProgram
from caduceus.learn.program import build_task
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import Logistic
from caduceus.learn.state import OPENING, Phase, State
from caduceus.market.costs import Costs
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES, JobSpec, Privacy
from caduceus.market.terms import costs_of
from caduceus.market.work import work_of
from caduceus.privacy import accountant
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending
from caduceus.privacy.mechanisms import Release, blur, noisy_sites
from caduceus.protocol.encoding import decode, encode

LOGISTIC, DP_SGD = "logistic", "dp-sgd"
"""Kinds of models, as a job file calls them."""

JUDGED_ROWS = 10_000
"""Made-up patients to judge a model on: fresh ones, so nothing of the AUROC is learned by heart."""

_EXACT = Logistic(C=1.0, tolerance=1e-4, max_rounds=20)  # what a report compares private models with
_RUNS_BITS = 20  # runs of one base seed have seeds of their own


@dataclass(frozen=True, slots=True)
class Shape:
    """A job without its epsilon.

    model     `LOGISTIC` or `DP_SGD`
    rows      patients over all sites, one row each
    sites     all of them take part
    missing   per cent of the sites whose noise may be missing
    features  columns
    rate      share of patients with the outcome, in (0, 1)
    rounds    of training; None: as many as a job file that does not say
    sampling  chance of a patient to be in a step of `DP_SGD`; None: as a job file that does not say
    """

    model: str
    delta: float
    rows: int
    sites: int
    missing: int
    features: int
    rate: float
    rounds: int | None = None
    sampling: float | None = None

    @property
    def noisy(self) -> int:
        """How many sites' noise makes the stated one."""
        return noisy_sites(self.sites, self.missing)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of every site: as even as can be."""
        least, more = divmod(self.rows, self.sites)
        return tuple(least + (index < more) for index in range(self.sites))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A job with its noise.

    epsilon     what was asked for, and what the contract reserves
    spent       what is opened is worth this much; less than `epsilon` where that asks for less noise than is stated
    multiplier  of the one release that is as private as all of them together
    """

    shape: Shape
    epsilon: float
    spent: float
    multiplier: float
    schema: Schema
    spec: JobSpec
    task: PrivateProgram

    @property
    def privacy(self) -> Privacy:
        """What the job's specification says of privacy."""
        if self.spec.privacy is None:
            raise Misuse("a plan is for a job with privacy")
        return self.spec.privacy

    def costs(self) -> Costs:
        """What the contract reserves, and charges for a job that ends early; takes seconds where patients are sampled.

        Raises Refused as `market.terms.costs_of`.
        """
        costs = costs_of(self.spec)
        if costs is None:
            raise Misuse("a plan is for a job with privacy")
        return costs


@dataclass(frozen=True, slots=True)
class Opened:
    """A sum that the job opens.

    number   from 1
    phase    which kind of sum
    release  its size and noise
    """

    number: int
    phase: Phase
    release: Release


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """AUROC on fresh patients, over runs that differ in patients, disease and noise.

    best   float64[runs], of whoever knew every patient's true risk
    exact  float64[runs], of logistic regression from exact sums
    noisy  float64[plans, runs]
    """

    best: Floats
    exact: Floats
    noisy: Floats


def epsilon_of(multiplier: float, delta: float) -> float:
    """What one release with such noise spends.

    multiplier  standard deviation of its noise over what one patient can change, > 0

    Raises Refused above `accountant.MOST_EPSILON`.
    """
    spending = Spending((Part((Event(DISCRETE_GAUSSIAN, multiplier, 1.0, 1),)),))
    return accountant.epsilon_micro(spending, round(delta * PICO)) / MICRO


def plan(shape: Shape, epsilon: float) -> Plan:
    """The job that spends so much.

    Raises Refused, naming the key of the job file, if there is none.
    """
    made_up = simulated.schema(shape.features)
    file = read_job_file(job_text(shape, epsilon), where="plan")
    spec = specify(file, made_up, nonce=bytes(NONCE_BYTES), where="plan")
    task = _task(spec)
    delta = round(shape.delta * PICO) / PICO
    spent = accountant.epsilon(task.spending, delta)
    return Plan(shape, epsilon, spent, accountant.multiplier(spent, delta), made_up, spec, task)


def with_missing(plan: Plan, percent: int) -> Plan:
    """The same job with the same stated noise, where that of another share of the sites may be missing."""
    privacy = replace(plan.privacy, missing_percent=percent)
    spec = replace(plan.spec, privacy=privacy)
    return replace(plan, shape=replace(plan.shape, missing=percent), spec=spec, task=_task(spec))


def _task(spec: JobSpec) -> PrivateProgram:
    task = work_of(spec)
    if not isinstance(task, PrivateProgram):
        raise Misuse("a plan is for a job that trains a model with privacy")
    return task


def job_text(shape: Shape, epsilon: float) -> str:
    """The job file of a plan: what decides noise and price, and nothing else that matters."""
    model = [f'kind = "{shape.model}"']
    if shape.rounds is not None:
        model.append(f"rounds = {shape.rounds}")
    if shape.sampling is not None:
        model.append(f"sampling = {float(shape.sampling)!r}")
    return "\n".join(
        (
            '[job]\ntitle = "A plan"\nschema = "made-up"',
            f'[task]\ntarget = "{simulated.OUTCOME}"',
            "[model]",
            *model,
            f"[privacy]\nepsilon = {float(epsilon)!r}\ndelta = {float(shape.delta)!r}\nmissing = {shape.missing}",
            f"[sites]\nmin = {shape.sites}\nmax = {shape.sites}",
            "[money]\nprice = 0",
        )
    )


def opened(plan: Plan) -> tuple[Opened, ...]:
    """Every sum that a plan's job opens, in order."""
    task = plan.task
    states = (replace(OPENING, round=number, phase=task.phase_of(number)) for number in range(task.max_rounds))
    return tuple(Opened(state.round + 1, state.phase, task.release(state)) for state in states)


def epsilon_with_all(plan: Plan) -> float:
    """What the job spends at its delta where the noise of every site is in every sum."""
    more = plan.shape.sites / plan.shape.noisy
    parts = (
        Part(tuple(Event(e.mechanism, e.multiplier * more**0.5, e.rate, e.count) for e in part.events))
        for part in plan.privacy.spending.parts
    )
    return accountant.epsilon(Spending(tuple(parts)), plan.shape.delta)


# ---------------------------------------------------------------- playing it


def play(plans: Sequence[Plan], seed: int, runs: int, told: Callable[[], None]) -> Scores:
    """Play every plan on the same made-up patients, several times over.

    plans  at least one; they differ in epsilon and in `missing` at most
    seed   from 0 to 2^40 - 1; other seeds have other patients and other noise
    runs   >= 1
    told   called after every model

    Raises Misuse for other arguments, Refused as the job would.
    """
    if not plans or runs < 1 or not 0 <= seed < 1 << 40 or runs >= 1 << _RUNS_BITS:
        raise Misuse(f"play: {len(plans)} plans, {runs} runs, seed {seed}")
    columns = [_play_once(plans, seed << _RUNS_BITS | run, told) for run in range(runs)]
    best, exact, *noisy = np.array(columns).T
    return Scores(best, exact, np.array(noisy))


def _play_once(plans: Sequence[Plan], seed: int, told: Callable[[], None]) -> list[float]:
    first = plans[0]
    shape, task = first.shape, first.task
    population = simulated.Population(shape.features, shape.rate, seed)
    made = simulated.make(population, shape.sizes, JUDGED_ROWS)
    target, features = task.design.labels(made.judging), task.design.features(made.judging)
    scores = [_auroc(target, made.truth)]

    exact = build_task(replace(task.spec, logistic=_EXACT, descent=None), first.schema)
    state = unsafe_open_run(exact, [exact.ready(table, f"{i}") for i, table in enumerate(made.hospitals)])
    scores.append(_auroc(target, exact.log_odds(state, features)))
    told()

    sites = [task.ready(table, f"{i}") for i, table in enumerate(made.hospitals)]
    for number, one in enumerate(plans):
        scores.append(_auroc(target, one.task.log_odds(rehearse(one, sites, seed, number), features)))
        told()
    return scores


def rehearse(plan: Plan, sites: Sequence[SiteData], seed: int, number: int = 0) -> State:
    """A whole job: what every site computes, encodes and blurs, added up in the ring and read.

    sites         as many as the plan's, from `plan.task.ready`
    seed, number  decide the keys of sampling and noise, which are public here and secret in a job
    returns       the finished state
    """
    task, state = plan.task, plan.task.opening()
    while not task.finished(state):
        release = task.release(state)
        total = np.zeros(release.length, np.uint64)
        for place, site in enumerate(sites):
            keys = keystream(8, "plan", plan.shape.model, seed, number, state.round, place).astype("<u8").tobytes()
            vector = task.contribute(state, site, keys[:32])
            encoded = encode(vector, scale=release.scale, bits=64, parties=len(sites))
            blur(encoded, keys[32:], release, plan.shape.noisy)
            total += encoded
        state = task.combine(state, decode(total, scale=release.scale), len(sites))
    return state


def _auroc(target: Floats, score: Floats) -> float:
    area = metrics.auroc(target, score)
    if area is None:
        raise Refused("plan: none, or all, of the patients to judge on have the outcome; choose another rate")
    return area
