"""What a buyer asks for: the job's specification, and the TOML file that a person writes.

The specification is a public record; its digest is in the job's identifier on the chain, so nobody can
later claim that something else was asked for. It holds the schema and everything that decides what is
learned: whoever has it, the anchored sums and the chain can re-execute the job.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from caduceus.canon import record
from caduceus.data.document import Document, read_document
from caduceus.data.schema import Schema
from caduceus.errors import Refused
from caduceus.kinds import Tokens, Visibility
from caduceus.learn.spec import Averaging, Evaluation, Learning, Logistic, check

NONCE_BYTES = 16
"""Random bytes that make two otherwise equal specifications different jobs."""


@record("job/money/1")
class Money:
    """Whole units of the token that the job is paid in.

    price  what the buyer locks; what no site earns goes back
    fee    the coordinator's part of the price
    stake  what each site deposits when it enrols
    bond   what the coordinator deposits; forfeited to a site that it provably wronged
    """

    price: Tokens
    fee: Tokens
    stake: Tokens
    bond: Tokens


@record("job/deadlines/1")
class Deadlines:
    """Seconds.

    enrol      from funding until the coordinator must have started
    train      from the start until the settlement must be on the chain
    challenge  how long a settlement can be disputed
    exchange   how long a site may take to answer one message of a round
    """

    enrol: int
    train: int
    challenge: int
    exchange: int


@record("job/spec/1")
class JobSpec:
    """A job as its buyer posted it.

    title         for people
    purpose       what the model is for; stewards' terms judge it
    nonce         random, `NONCE_BYTES`
    visibility    what the job lets anyone see of single updates
    cohort        least sites of a group whose sum is opened; 0 unless the visibility is COHORT
    schema        what the tables mean
    learning      what is learned from them
    min_sites     fewer sites than this, and nothing is trained
    max_sites     more are not enrolled
    spare_rounds  rounds that may fail (too many sites silent) before the job gives up
    """

    title: str
    purpose: str
    nonce: bytes
    visibility: Visibility
    cohort: int
    schema: Schema
    learning: Learning
    min_sites: int
    max_sites: int
    spare_rounds: int
    money: Money
    deadlines: Deadlines


# ---------------------------------------------------------------- the file that a person writes

Duration = Annotated[str, Field(pattern=r"^\d+(s|m|h|d)$")]
Amount = Annotated[int, Field(ge=0, lt=2**96)]
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Job(Document):
    """The `[job]` table."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    purpose: Annotated[str, Field(min_length=1, max_length=200)] = "research"
    schema_file: Annotated[str, Field(min_length=1, alias="schema")]
    visibility: Literal["sum", "cohort"] = "sum"
    cohort: Annotated[int, Field(ge=3, le=512)] | None = None


class _Task(Document):
    """The `[task]` table: what is predicted from what. Without `features`, from all the schema has."""

    target: str
    features: tuple[str, ...] = ()
    missing_indicators: tuple[str, ...] = ()


class _Logistic(Document):
    """`[model] kind = "logistic"`: by federated Newton."""

    kind: Literal["logistic"]
    C: float = 1.0
    tolerance: float = 1e-4
    rounds: int = 20


class _Perceptron(Document):
    """`[model] kind = "mlp"`: by federated averaging."""

    kind: Literal["mlp"]
    hidden: tuple[int, ...] = (16,)
    activation: Literal["relu", "tanh"] = "relu"
    rounds: int = 20
    epochs: int = 1
    batch: int = 32
    rate: float = 0.1
    decay: float = 0.0
    penalty: float = 1.0
    weighting: Literal["rows", "equal"] = "rows"
    cap: int = 2**20
    clip: float = 8.0


class _Evaluation(Document):
    """The `[evaluation]` table."""

    method: Literal["none", "cross", "holdout"] = "none"
    repeats: int = 0
    folds: int = 0
    fraction: float = 0.0


class _Sites(Document):
    """The `[sites]` table."""

    min: Annotated[int, Field(ge=3, le=1024)] = 3
    max: Annotated[int, Field(ge=3, le=1024)] = 1024
    spare_rounds: Annotated[int, Field(ge=0, le=100)] = 8


class _Money(Document):
    """The `[money]` table, in whole units of the token."""

    price: Amount
    fee: Amount = 0
    stake: Amount = 0
    bond: Amount = 0


class _Deadlines(Document):
    """The `[deadlines]` table: a number and s, m, h or d."""

    enrol: Duration = "1h"
    train: Duration = "6h"
    challenge: Duration = "1h"
    exchange: Duration = "30s"


class JobFile(Document):
    """A job TOML."""

    job: _Job
    task: _Task
    model: Annotated[_Logistic | _Perceptron, Field(discriminator="kind")]
    evaluation: _Evaluation = _Evaluation()
    sites: _Sites = _Sites()
    money: _Money
    deadlines: _Deadlines = _Deadlines()
    seed: Annotated[int, Field(ge=0)] = 0


def read_job_file(text: str, *, where: str) -> JobFile:
    """Read a job TOML.

    text   the whole file
    where  its name, for the message

    Raises Refused, naming `where` and the first key that is unknown, absent or wrong.
    """
    return read_document(text, JobFile, where=where)


def specify(file: JobFile, schema: Schema, *, nonce: bytes, where: str) -> JobSpec:
    """The specification that a job file asks for.

    schema  the one that the file names, already read
    nonce   `NONCE_BYTES` random bytes

    Raises Refused, naming `where` and the key, if the parts do not fit together.
    """
    try:
        money = Money(*(Tokens(n) for n in (file.money.price, file.money.fee, file.money.stake, file.money.bond)))
        _require(money.fee <= money.price, "money.fee", "at most the price")
        _require(file.sites.min <= file.sites.max, "sites.min", "at most sites.max")
        cohort = file.job.cohort or 0
        _require(
            bool(cohort) == (file.job.visibility == "cohort"), "job.cohort", 'given with visibility = "cohort" only'
        )
        _require(2 * cohort <= file.sites.min, "sites.min", "at least twice job.cohort, so that there can be groups")
        learning = _learning(file, schema)
        check(learning)
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None
    times = file.deadlines
    return JobSpec(
        title=file.job.title,
        purpose=file.job.purpose,
        nonce=nonce,
        visibility=Visibility[file.job.visibility.upper()],
        cohort=cohort,
        schema=schema,
        learning=learning,
        min_sites=file.sites.min,
        max_sites=file.sites.max,
        spare_rounds=file.sites.spare_rounds,
        money=money,
        deadlines=Deadlines(*(_seconds(text) for text in (times.enrol, times.train, times.challenge, times.exchange))),
    )


def _learning(file: JobFile, schema: Schema) -> Learning:
    for name in (*file.task.features, *file.task.missing_indicators, file.task.target):
        schema.position(name)
    logistic = averaging = None
    match file.model:
        case _Logistic(C=strength, tolerance=tolerance, rounds=rounds):
            logistic = Logistic(C=strength, tolerance=tolerance, max_rounds=rounds)
        case _Perceptron() as model:
            averaging = Averaging(**model.model_dump(exclude={"kind"}), bits=32)
    judged = file.evaluation
    return Learning(
        features=file.task.features or schema.features,
        missing_indicators=file.task.missing_indicators,
        target=file.task.target,
        logistic=logistic,
        averaging=averaging,
        evaluation=Evaluation(judged.method, judged.repeats, judged.folds, judged.fraction),
        seed=file.seed,
    )


def _seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()  # type: ignore[union-attr]  # checked by Duration
    return int(number) * _SECONDS[unit]


def _require(holds: bool, key: str, wanted: str) -> None:
    if not holds:
        raise Refused(f"{key}: {wanted}")
