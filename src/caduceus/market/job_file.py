"""The job TOML: what a person writes, and the specification that it asks for."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from caduceus.data.document import Document, read_document
from caduceus.data.schema import Schema
from caduceus.data.use_file import RequestFile
from caduceus.errors import Refused
from caduceus.kinds import MICRO, PICO, Digest, Readiness, Tokens, Visibility
from caduceus.learn.inquiry.program import plan_spending as plan_answers
from caduceus.learn.inquiry.queries import Analysis
from caduceus.learn.inquiry.queries import check as check_questions
from caduceus.learn.judged.rows import Stratum
from caduceus.learn.private.logistic import ROUNDS
from caduceus.learn.private.program import plan_spending
from caduceus.learn.spec import Averaging, Descent, Evaluation, Learning, Logistic, check
from caduceus.market.queries_file import AnalysisFile, ConditionFile, QueryFile, query_of
from caduceus.market.specification import UNSTATED, Deadlines, JobSpec, Judging, Money, Privacy
from caduceus.market.work import rules_for

Duration = Annotated[str, Field(pattern=r"^\d+(s|m|h|d)$")]
Amount = Annotated[int, Field(ge=0, lt=2**96)]
_EXACT_ROUNDS = 20
_LEAST_JUDGED = 4  # of fewer, the first round opens no sum: it would show them
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Job(Document):
    """The `[job]` table. A job of kind train has `[task]` and `[model]`; of kind analysis, queries and `[privacy]`."""

    kind: Literal["train", "analysis"] = "train"
    title: Annotated[str, Field(min_length=1, max_length=200)]
    purpose: Annotated[str, Field(min_length=1, max_length=200)] = "research"
    schema_file: Annotated[str, Field(min_length=1, alias="schema")]
    visibility: Literal["sum", "cohort", "gram"] = "sum"
    readiness: Literal["unstated", "conditional", "ready"] = "unstated"
    cohort: Annotated[int, Field(ge=3, le=512)] | None = None


class _Task(Document):
    """The `[task]` table: what is predicted from what. Without `features`, from all the schema has."""

    target: str
    features: tuple[str, ...] = ()
    missing_indicators: tuple[str, ...] = ()


class _Logistic(Document):
    """`[model] kind = "logistic"`: by federated Newton.

    rounds  at most; with differential privacy exactly so many, because each is paid for. Absent: 20, or a few
    """

    kind: Literal["logistic"]
    C: float = 1.0
    tolerance: float = 1e-4
    rounds: int | None = None


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


class _Descent(Document):
    """`[model] kind = "dp-sgd"`: gradient descent with differential privacy, one step per round; see `Descent`."""

    kind: Literal["dp-sgd"]
    hidden: tuple[int, ...] = (16,)
    activation: Literal["relu", "tanh"] = "tanh"
    rounds: int = 100
    sampling: float = 0.1
    rate: float = 1.0
    momentum: float = 0.0
    penalty: float = 1.0
    clip: float = 1.0


class _Privacy(Document):
    """The `[privacy]` table: differential privacy of everything that the job opens.

    epsilon, delta  what the whole run spends of every data set's budget
    missing         per cent of the sites whose noise may be missing from a sum
    """

    epsilon: Annotated[float, Field(gt=0.001, le=100)]
    delta: Annotated[float, Field(ge=1e-12, le=0.01)] = 1e-5
    missing: Annotated[int, Field(ge=0, le=90)] = 20


class _Stratum(Document):
    """A `[[judging.stratum]]`: patients whom the job looks at apart; a row meets all of `where`."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    where: Annotated[tuple[ConditionFile, ...], Field(min_length=1)]


class _Judging(Document):
    """The `[judging]` table, with visibility "gram": how updates that nobody sees are judged."""

    stratum: tuple[_Stratum, ...] = ()


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
    use: RequestFile | None = None
    task: _Task | None = None
    model: Annotated[_Logistic | _Perceptron | _Descent, Field(discriminator="kind")] | None = None
    analysis: AnalysisFile = AnalysisFile()
    query: tuple[QueryFile, ...] = ()
    privacy: _Privacy | None = None
    judging: _Judging | None = None
    evaluation: _Evaluation = _Evaluation()
    sites: _Sites = _Sites()
    money: _Money
    deadlines: _Deadlines = _Deadlines()
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _fits_together(self) -> JobFile:
        given = self.model_fields_set
        wanted, other = {"task", "model"}, {"query", "analysis"}
        if self.job.kind == "analysis":
            wanted, other = {"query", "privacy"}, {"task", "model", "evaluation", "seed"}
        if missing := sorted(wanted - given):
            raise ValueError(f"a job of kind '{self.job.kind}' needs [{missing[0]}]")
        if wrong := sorted(other & given):
            raise ValueError(f"a job of kind '{self.job.kind}' has no '{wrong[0]}'")
        return self


def enclosed(file: JobFile) -> tuple[bytes, ...]:
    """What a job's buyer publishes with it: the credentials that are presented, and lists of those revoked."""
    return () if file.use is None else file.use.blobs()


def read_job_file(text: str, *, where: str) -> JobFile:
    """Read a job TOML.

    text   the whole file
    where  its name, for the message

    Raises Refused, naming `where` and the first key that is unknown, absent or wrong.
    """
    return read_document(text, JobFile, where=where)


def specify(file: JobFile, schema: Schema, *, nonce: bytes, where: str, code: Digest = UNSTATED) -> JobSpec:
    """The specification that a job file asks for.

    schema  the one that the file names, already read
    nonce   `NONCE_BYTES` random bytes; a file whose credentials were presented for a nonce says itself which
    code    digest of the program that sites are to run; unstated where nothing is posted

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
        learning = None if file.task is None else _learning(file, file.task, schema)
        analysis = None
        if learning is not None:
            check(learning)
        else:
            analysis = Analysis(tuple(query_of(one) for one in file.query), file.analysis.minimum_cell)
            check_questions(analysis, schema)
        privacy = _private(file.privacy, learning)
        use = None if file.use is None else file.use.request()
        _require(
            (file.judging is not None) == (file.job.visibility == "gram"), "judging", 'given with visibility = "gram"'
        )
        _require(
            file.judging is None or file.sites.min >= _LEAST_JUDGED, "sites.min", "at least 4 where updates are judged"
        )
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None
    times = file.deadlines
    return JobSpec(
        title=file.job.title,
        purpose=file.job.purpose,
        nonce=nonce if file.use is None or file.use.nonce is None else bytes.fromhex(file.use.nonce),
        code=code,
        visibility=Visibility[file.job.visibility.upper()],
        readiness=Readiness[file.job.readiness.upper()],
        cohort=cohort,
        schema=schema,
        learning=learning,
        analysis=analysis,
        privacy=privacy,
        judging=None if file.judging is None else _judging(file.judging),
        min_sites=file.sites.min,
        max_sites=file.sites.max,
        spare_rounds=file.sites.spare_rounds,
        money=money,
        deadlines=Deadlines(*(_seconds(text) for text in (times.enrol, times.train, times.challenge, times.exchange))),
        use=use,
    )


def _learning(file: JobFile, task: _Task, schema: Schema) -> Learning:
    for name in (*task.features, *task.missing_indicators, task.target):
        schema.position(name)
    logistic = averaging = descent = None
    match file.model:
        case _Logistic(C=strength, tolerance=tolerance, rounds=rounds):
            usual = _EXACT_ROUNDS if file.privacy is None else ROUNDS
            logistic = Logistic(C=strength, tolerance=tolerance, max_rounds=usual if rounds is None else rounds)
        case _Perceptron() as model:
            averaging = Averaging(**model.model_dump(exclude={"kind"}), bits=32)
        case _Descent() as model:
            descent = Descent(**model.model_dump(exclude={"kind"}))
    judged = file.evaluation
    return Learning(
        features=task.features or schema.features,
        missing_indicators=task.missing_indicators,
        target=task.target,
        logistic=logistic,
        averaging=averaging,
        descent=descent,
        evaluation=Evaluation(judged.method, judged.repeats, judged.folds, judged.fraction),
        seed=file.seed,
    )


def _judging(file: _Judging) -> Judging:
    """As a record; who aggregates and who evaluates is known once there are keys."""
    strata = tuple(Stratum(one.name, tuple(each.condition() for each in one.where)) for one in file.stratum)
    return Judging((), (), strata, rules_for(len(strata)))


def _private(file: _Privacy | None, learning: Learning | None) -> Privacy | None:
    """The noise that makes a job spend what its file says.

    Raises Refused, naming the key, if the two do not fit together.
    """
    if file is None:
        _require(
            learning is None or learning.descent is None,
            "model.kind",
            "'dp-sgd' needs a [privacy] table; 'mlp' goes without",
        )
        return None
    micro, pico = round(file.epsilon * MICRO), round(file.delta * PICO)
    if learning is None:
        spending = plan_answers(epsilon_micro=micro, delta_pico=pico)
    else:
        spending = plan_spending(learning, epsilon_micro=micro, delta_pico=pico)
    return Privacy(micro, pico, file.missing, spending)


def _seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()  # type: ignore[union-attr]  # checked by Duration
    return int(number) * _SECONDS[unit]


def _require(holds: bool, key: str, wanted: str) -> None:
    if not holds:
        raise Refused(f"{key}: {wanted}")
