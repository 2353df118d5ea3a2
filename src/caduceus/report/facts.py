"""What a report says, before it is a page. Every figure comes from the chain, the transcript or a site's own folder.

Figures that only exist because one machine holds every site's data (control arms) are marked as such;
a real job has no such party.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.kinds import Evidence
from caduceus.market.mechanism.verdict import Lane


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

    phase      moments, training, evaluation, questions; or why it failed
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
class ReleaseFacts:
    """Sums one after the other, with the same noise.

    first, last  numbers of the sums, from 1
    part         no patient is in sums of two parts; from 1
    multiplier   standard deviation of the noise in each entry, over the norm of what one patient can change
    rate         each patient's chance to be in such a sum, in (0, 1]
    """

    first: int
    last: int
    part: int
    multiplier: float
    rate: float


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """A data set's privacy budget around one job: epsilon in millionths, delta in millionths of a millionth.

    epsilon, delta  the lifetime budget; 0 if none was set
    before          what other jobs had spent or reserved when this one enrolled
    spent           by this job: what it reserved, less what it gave back
    """

    site: str
    epsilon: int
    delta: int
    epsilon_before: int
    delta_before: int
    epsilon_spent: int
    delta_spent: int

    @property
    def epsilon_left(self) -> int:
        """What this job left for later ones."""
        return self.epsilon - self.epsilon_before - self.epsilon_spent

    @property
    def delta_left(self) -> int:
        """What this job left for later ones."""
        return self.delta - self.delta_before - self.delta_spent


@dataclass(frozen=True, slots=True)
class PrivacyFacts:
    """Differential privacy of a job.

    epsilon          of a whole run, in millionths
    delta            of a whole run, in millionths of a millionth
    missing_percent  share of the sites whose noise may be missing from a sum
    opened           sums that were opened
    releases         the noise of every sum of a whole run, in order
    costs            epsilon in millionths spent once 0, 1, 2, ... sums were opened, up to a whole run
    budgets          one per enrolled data set, by seat
    """

    epsilon: int
    delta: int
    missing_percent: int
    opened: int
    releases: tuple[ReleaseFacts, ...]
    costs: tuple[int, ...]
    budgets: tuple[BudgetFacts, ...]


@dataclass(frozen=True, slots=True)
class FigureFacts:
    """One published number, or the blank where one would stand.

    at         where it stands on a scale of times or quantile levels; None if there is none
    value      None where withheld, or where the sum gave none
    error      standard error from the noise alone; None likewise, or where the number has none
    low, high  95 % interval; None likewise
    withheld   whether too few patients are behind it, or it would tell another such number
    """

    label: str
    at: float | None
    value: float | None
    error: float | None
    low: float | None
    high: float | None
    withheld: bool


@dataclass(frozen=True, slots=True)
class NumbersFacts:
    """Numbers of one kind.

    what    such as patients, mean or survival
    covers  what the intervals cover: noise, or noise and sampling
    """

    what: str
    unit: str
    covers: str
    figures: tuple[FigureFacts, ...]


@dataclass(frozen=True, slots=True)
class AxisFacts:
    """A column cut into cells; labels in order."""

    column: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """One question and its answer.

    kind     count, mean, histogram, quantiles, table or survival
    asks     what is asked, in words
    axes     of a histogram, a table: the cells; the first numbers have one figure per combination, the last axis
             fastest. Of survival: times, then groups
    numbers  the answer; of survival, a group's curve is "survival, GROUP", or "survival" if there is one
    """

    name: str
    kind: str
    asks: str
    axes: tuple[AxisFacts, ...]
    numbers: tuple[NumbersFacts, ...]


@dataclass(frozen=True, slots=True)
class AnalysisFacts:
    """What a job asked, and what came of it.

    questions     how many
    minimum_cell  no number about fewer patients than this is published
    deviation     of the noise in every entry of the opened sum; None before there are answers
    answers       in the order of the questions; none before there are answers
    """

    questions: int
    minimum_cell: int
    deviation: float | None
    answers: tuple[AnswerFacts, ...]


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """What a judged round decided about one site.

    lane    where its update went
    weight  what part of the move it decided, 0 to 1
    pay     what part of the round's pot it earned, 0 to 1; nothing if the round's move was taken back later
    fault   what it broke, if its rows came and were put out; else ""
    """

    lane: Lane
    weight: float
    pay: float
    fault: str


@dataclass(frozen=True, slots=True)
class JudgedRoundFacts:
    """One round of training whose updates were judged.

    number      as anchored
    failure     why nothing was judged, or why it cannot be done again; "" if all is well
    rolls_back  the move before had done harm, and was taken back: nothing else was decided, nor paid
    sites       by seat; none if the round failed
    """

    number: int
    failure: str
    rolls_back: bool
    sites: tuple[LaneFacts, ...]


@dataclass(frozen=True, slots=True)
class JudgedSiteFacts:
    """What the judged rounds together say of one site; None where nobody could say.

    effects    per stratum: cosine of its updates with what helps the stratum's held-out patients, over the rounds
    support    likeness with the others, in spreads from the median
    net        effect on all strata together, in spreads
    novelty    what of an update the move before does not explain, 0 to 1; mean over the rounds
    earned     part of the whole pot, 0 to 1
    dishonest  what the run made it do, for trying out; "" if nothing
    reason     why it was kept or not, as a sentence
    """

    name: str
    effects: tuple[float | None, ...]
    support: float | None
    net: float | None
    novelty: float | None
    earned: float
    dishonest: str
    reason: str


@dataclass(frozen=True, slots=True)
class StratumFacts:
    """Patients who are looked at apart.

    voice      what part of a move they decide; of the first stratum, the consensus decides with it
    budget     what part of the pay helping them can earn
    median     of the sites' effects on them; None if nothing was judged, as the next two
    floor      an effect below it takes a site out of the consensus
    bar        an effect above it re-admits a site that is far from the others; None for the first stratum
    rows       held-out rows that the last model was judged on
    quality    of the last model on them
    """

    name: str
    voice: float
    budget: float
    median: float | None
    floor: float | None
    bar: float | None
    rows: int
    quality: Quality


@dataclass(frozen=True, slots=True)
class JudgingFault:
    """A party that broke the protocol of a judged round.

    forfeits  whether its stake is lost by it
    evidence  digest of the public blob that shows it
    """

    round: int
    who: str
    why: str
    forfeits: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class JudgingFacts:
    """How updates that nobody sees were judged.

    strata         everyone else first
    rounds         of training, in order
    sites          by seat
    evaluators     who judged by records of their own, besides the sites
    aggregators    who multiplied shares
    faults         in the order of the rounds
    least_support  in spreads: less likeness with the others takes a site out of the consensus
    least_net      in spreads: less effect on all strata together is a veto
    sketched       whether what was multiplied are sketches of the updates, because these are long
    """

    strata: tuple[StratumFacts, ...]
    rounds: tuple[JudgedRoundFacts, ...]
    sites: tuple[JudgedSiteFacts, ...]
    evaluators: tuple[str, ...]
    aggregators: tuple[str, ...]
    faults: tuple[JudgingFault, ...]
    least_support: float
    least_net: float
    sketched: bool


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Everything one report says about one job.

    chain       "embedded chain 1337" or the node's URL
    target      what is predicted; "" of an analysis
    features    the columns that a model learns from, or that the questions are about
    pooled      AUROC and Brier of the job's model over all sites' rows together, from secure sums
    auroc_error half-width of what the histogram, and the noise in it, leaves open about that AUROC
    privacy     what the job spent of its data sets' budgets; None if its sums are exact
    analysis    questions and answers; None if the job trains a model
    judging     how updates were judged; None if they were not
    protection  what is and is not protected, one sentence each
    notes       what a reader should know before believing a figure, such as who assigned rows to sites
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
    privacy: PrivacyFacts | None
    analysis: AnalysisFacts | None
    judging: JudgingFacts | None
    protection: tuple[str, ...]
    notes: tuple[str, ...]
