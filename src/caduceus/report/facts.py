"""What a report says, before it is a page. Every figure comes from the chain, the transcript or a site's own folder.

Figures that only exist because one machine holds every site's data (control arms) are marked as such;
a real job has no such party.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.kinds import Evidence


@dataclass(frozen=True, slots=True)
class Quality:
    """AUROC and Brier score on rows that the model did not learn from; None where it cannot be told."""

    auroc: float | None
    brier: float | None


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """One site: its card, its part in the work, its pay, and how well models serve its patients.

    rows_shown  as the public card says it, such as "300" or "fewer than 20"
    local       a model from this site's rows alone; a control arm
    federated   the job's model, judged at the site
    pooled      a model from all rows in one place; a control arm
    """

    name: str
    seat: int
    account: str
    rows_shown: str
    missing_shown: str
    dataset: str
    rounds: int
    paid: int
    returned: int
    local: Quality
    federated: Quality
    pooled: Quality


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """One round as anchored.

    phase      moments, training, evaluation; or why it failed
    survivors  how many uploads are in the sum
    silent     names of the invited sites that are not
    entries    length of the summed vector
    bits       ring of the sum
    gas        of the transaction that anchored it, divided by the rounds in it
    """

    number: int
    phase: str
    invited: int
    survivors: int
    silent: tuple[str, ...]
    entries: int
    bits: int
    gas: int
    block: int
    root: str
    model: str


@dataclass(frozen=True, slots=True)
class GasFacts:
    """Gas of one kind of transaction, from receipts."""

    what: str
    count: int
    least: int
    mean: int
    most: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Money that moved; parties by name."""

    source: str
    target: str
    amount: int
    why: str


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """One claim of the audit.

    holds   whether it was found true; None if it was not checked
    breaks  which parties together could make it false without being found out
    """

    claim: str
    word: Evidence
    holds: bool | None
    detail: str
    breaks: str


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """Predictions near one another: how many, their mean, and the share that came true."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One weight of a linear model, per standard deviation of the feature."""

    feature: str
    weight: float


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to the job on the chain, in order."""

    block: int
    time: int
    who: str
    what: str
    transaction: str


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Everything one report says about one job.

    chain      "embedded chain 1337" or the node's URL
    pooled     AUROC and Brier of the job's model over all sites' rows together, from secure sums
    auroc_error  half-width of what the histogram leaves open about that AUROC
    privacy    what is and is not protected, one sentence each
    notes      what a reader should know before believing a figure, such as who assigned rows to sites
    """

    title: str
    purpose: str
    job: str
    chain: str
    model: str
    target: str
    features: tuple[str, ...]
    visibility: str
    price: int
    fee: int
    stake: int
    bond: int
    token: str
    spec: str
    data_title: str
    data_source: str
    seconds_training: float
    seconds_total: float
    sites: tuple[SiteFacts, ...]
    rounds: tuple[RoundFacts, ...]
    gas: tuple[GasFacts, ...]
    flows: tuple[Flow, ...]
    steps: tuple[Step, ...]
    checks: tuple[CheckFacts, ...]
    pooled: Quality
    auroc_error: float | None
    calibration: tuple[CalibrationPoint, ...]
    coefficients: tuple[Coefficient, ...]
    privacy: tuple[str, ...]
    notes: tuple[str, ...]
