"""Private gradient descent at one site: DP-SGD (Abadi et al. 2016, algorithm 1) of any torch module.

A step: coins choose patients, each with the same chance (Poisson sampling); their clipped gradients are added up
(`clipped`); the sum is rounded to a grid, and exact discrete Gaussian noise is added in whole steps of it; the module
moves along the result. No floating-point number is ever drawn as noise, so none can give a record away by its low bits
(Mironov 2012).

**What one patient can change in a sum**, in steps of the grid: all of a patient's rows together have weight 1, so the
exact sum of clipped gradients moves by at most `clip`; each computed sum is off by at most `slack` of that (Casacuberta
et al. 2022), and rounding moves an entry by at most half a step:

    clip * (1 + 2 * slack) / step + sqrt(parameters)                                                             (1)

The noise is made larger by as much, and the multiplier that comes back is what there is, rounded down.

**What the bound rests on.** The slack depends on how many rows a step adds up, and no more than stated may be. That
coins choose more than `Course.most` patients has a chance below 2**-100 per step (Chernoff 1952, for at most
`Course.patients` patients); it would be refused, and its chance is far below what the accountant rounds delta by. The
grid is so fine (2**30 steps in a standard deviation) that discrete noise costs no more epsilon than continuous noise:
`privacy.mechanisms` shows it.

How many patients there are is taken as public: the sum is divided by rate * patients, never by how many were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from caduceus.crypto.entropy import expand
from caduceus.crypto.keystream import KEY_BYTES
from caduceus.errors import Misuse, Refused
from caduceus.learn.book_keeping import Loss, log_loss
from caduceus.learn.clipped import ClippedSum, slack
from caduceus.privacy.coins import toss
from caduceus.privacy.discrete_gaussian import Integers, draw
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event

GRID_BITS = 30
"""The noise has a standard deviation of 2**30 to 2**31 steps of the grid, and what discreteness costs more."""

_AHEAD = 1 << 18  # noise is drawn for so many entries at once: short draws are slower per entry
_SAFE = 2.0**-40  # relative: more than the few float64 operations of (1) can be off by
_TAIL = 100 * math.log(2)  # see `Course.most`


@dataclass(frozen=True, slots=True)
class Course:
    """A private training, decided beforehand from public numbers.

    steps       >= 1
    rate        each patient is in a step with this chance, in (0, 1]
    clip        norm of what a patient adds to a sum, at most
    multiplier  standard deviation of the noise, divided by what one patient can change, > 0
    patients    the site's table has no more; a public number
    length      of a step along the mean gradient, > 0
    momentum    in [0, 1): share of the step before that is taken again
    each        no patient has more rows; a public number
    """

    steps: int
    rate: float
    clip: float
    multiplier: float
    patients: int
    length: float
    momentum: float = 0.0
    each: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.patients < 1 or self.each < 1:
            raise Refused(f"{self.steps} steps, {self.patients} patients, {self.each} rows each: wanted 1 or more")
        if not 0 < self.rate <= 1:
            raise Refused(f"a sampling rate is in (0, 1], got {self.rate}")
        if not (1e-3 <= self.multiplier <= 1e3 and 1e-6 <= self.clip <= 1e6):
            raise Refused(f"multiplier {self.multiplier}, clip {self.clip}: wanted 1e-3 to 1e3 and 1e-6 to 1e6")
        if not (0 < self.length < math.inf and 0 <= self.momentum < 1):
            raise Refused(f"length {self.length}, momentum {self.momentum}: wanted > 0, and in [0, 1)")

    @property
    def most(self) -> int:
        """Patients in a step: more are chosen with a chance below 2**-100.

        P[Binomial(n, q) >= k] <= exp(-n KL(k/n || q)) for k > n q (Chernoff 1952).
        """
        least, most = math.floor(self.rate * self.patients), self.patients
        while least < most:  # the divergence grows with k
            k = (least + most) // 2
            if self.patients * _divergence((k + 1) / self.patients, self.rate) > _TAIL:
                most = k
            else:
                least = k + 1
        return most


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A site's rows for training.

    inputs    [rows, ...]
    targets   [rows, ...]
    patients  int64[rows], whose each row is, numbered from 0 without gaps; None if each row is a patient of its own
    """

    inputs: Tensor
    targets: Tensor
    patients: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What an accountant needs to know of a training that was done; the module has the weights.

    multiplier  standard deviation of the noise in each entry of a step's sum, divided by the Euclidean norm of what one
                patient can change in it, rounding included; at least what the course asked for
    rate        each patient was in a step with this chance, independently
    steps       how many sums were opened
    """

    multiplier: float
    rate: float
    steps: int

    @property
    def event(self) -> Event:
        """What the accountant adds up."""
        return Event(DISCRETE_GAUSSIAN, self.multiplier, self.rate, self.steps)


@dataclass(frozen=True, slots=True)
class Noise:
    """How a sum is blurred.

    step        of the grid, in units of the gradient; a power of two, so that to divide by it rounds nothing
    variance    of the noise, in steps squared
    multiplier  as in `Trained`
    """

    step: float
    variance: int
    multiplier: float


def noise(course: Course, parameters: int, dtype: torch.dtype) -> Noise:
    """The noise of a course for a module of so many trained parameters.

    Raises Refused if sums cannot be bounded well in such a dtype.
    """
    off = slack(course.most * course.each, dtype, shares=course.most)
    if off > 0.25:
        raise Refused(f"up to {course.most} patients in a step are too many to add up in {dtype}; use float64")
    step = 2.0 ** (math.floor(math.log2(course.clip * course.multiplier)) - GRID_BITS)
    change = (course.clip * (1 + 2 * off) / step + math.sqrt(parameters)) * (1 + _SAFE)  # (1)
    variance = math.ceil((course.multiplier * change) ** 2 * (1 + 4 * _SAFE))
    return Noise(step, variance, math.sqrt(variance) / change * (1 - _SAFE))


def train(module: nn.Module, table: Table, course: Course, key: bytes, *, loss: Loss = log_loss) -> Trained:
    """Train a module privately, in place.

    module   parameters are all float32 or all float64, on the table's device; see `clipped`
    key      32 uniform secret bytes, used for one training only: who knows them takes the noise off again. The same
             key gives the same weights on one machine
    loss     of one record

    Reveals, through the module: `course.steps` noisy sums, as the result says. Nothing else of the table may leave the
    site; an error that this raises depends on the table too.

    Raises Refused if the table has more patients or rows per patient than the course states, Misuse if it or the key is
    malformed; and as `clipped` does.
    """
    if len(key) != KEY_BYTES:
        raise Misuse(f"dp-sgd: a key is {KEY_BYTES} bytes, got {len(key)}")
    summing = ClippedSum(module, loss)
    blur = noise(course, summing.parameters, summing.dtype)
    most, (count, weights) = course.most, _patients(table, course)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    device = table.inputs.device
    flat = nn.utils.parameters_to_vector(trained).detach()
    opened, velocity = torch.zeros((2, summing.parameters), dtype=torch.float64, device=device)
    nn.utils.vector_to_parameters(flat, trained)  # they are views of `flat` from here on
    module.train()
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        torch.random.manual_seed(int.from_bytes(_key(key, "the module's own", 0)[:8]) >> 1)
        for number, steps in enumerate(_noise(key, course.steps, summing.parameters, blur.variance)):
            coins = torch.from_numpy(toss(_key(key, "coins", number), count, rate=course.rate))
            if int(coins.sum()) > most:
                raise Refused("more patients were chosen than the noise is made for; train again with another key")
            coins = coins.to(device)
            rows = (coins if table.patients is None else coins[table.patients]).nonzero().squeeze(1)
            total = summing(
                table.inputs[rows],
                table.targets[rows],
                clip=course.clip,
                weights=None if weights is None else weights[rows],
            ).total
            opened.copy_(torch.from_numpy(steps)).add_(total.mul_(1 / blur.step).round_())  # whole, below 2**53: exact
            if course.momentum:
                velocity.mul_(course.momentum).add_(opened)
            flat.sub_(
                velocity if course.momentum else opened,
                alpha=course.length * blur.step / (course.rate * course.patients),
            )
    for parameter in trained:
        parameter.data = parameter.data.clone()  # each has memory of its own again
    return Trained(blur.multiplier, course.rate, course.steps)


def _noise(key: bytes, steps: int, size: int, variance: int) -> Iterator[Integers]:
    """The noise of every step, in its order: int64[size]. The next is drawn while a step is made."""
    group = max(_AHEAD // size, 1)
    with ThreadPoolExecutor(1) as pool:

        def begin(first: int) -> Future[Integers]:
            count = min(group, steps - first)
            return pool.submit(draw, _key(key, "noise", first), count * size, variance=variance)

        drawing = begin(0)
        for first in range(0, steps, group):
            drawn = drawing.result()
            if first + group < steps:
                drawing = begin(first + group)
            yield from drawn.reshape(-1, size)


def _key(key: bytes, purpose: str, number: int) -> bytes:
    return expand(key, f"dp-sgd: {purpose}", number.to_bytes(8))


def _patients(table: Table, course: Course) -> tuple[int, Tensor | None]:
    """How many patients there are, and the weight of each row, so that a patient's rows have 1 together."""
    if len(table.targets) != len(table.inputs):
        raise Misuse(f"{len(table.inputs)} rows of inputs, {len(table.targets)} of targets")
    if table.patients is None:
        count, most, weights = len(table.inputs), 1, None
    else:
        if table.patients.shape != (len(table.inputs),) or table.patients.dtype != torch.int64:
            raise Misuse(f"patients: {table.patients.dtype}{tuple(table.patients.shape)} for {len(table.inputs)} rows")
        if len(table.patients) and int(table.patients.min()) < 0:
            raise Misuse("patients are numbered from 0")
        sizes = torch.bincount(table.patients)
        count, most = len(sizes), int(sizes.max()) if len(sizes) else 0
        weights = 1.0 / sizes[table.patients].double()
    if count > course.patients or most > course.each:
        raise Refused(
            f"the table has {count} patients with up to {most} rows, the course is made for {course.patients} with "
            f"up to {course.each}"
        )
    return count, weights


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats; infinite for a chance above 1."""
    if p > 1 or q == 1:
        return math.inf if p > q else 0.0
    return p * math.log(p / q) + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)
