"""What the facts amount to: the audit's verdict, means over sites, and whether the money adds up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from caduceus.kinds import Evidence
from caduceus.market.mechanism.verdict import Lane
from caduceus.report.facts import CalibrationPoint, CheckFacts, Flow, JobFacts, JudgingFacts, Quality, SiteFacts
from caduceus.report.words import known


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit found.

    passes   None if nothing was checked
    holding  claims found true
    broken   claims found false, in the order of the audit
    open     claims that nobody checked
    """

    passes: bool | None
    holding: int
    broken: tuple[CheckFacts, ...]
    open: int

    @property
    def claims(self) -> int:
        """How many claims there are, checked or not."""
        return self.holding + len(self.broken) + self.open


def judge(checks: Sequence[CheckFacts]) -> Verdict:
    """One broken claim breaks the audit; a claim that was not checked never counts as held."""
    broken = tuple(check for check in checks if check.holds is False)
    holding = sum(held(check) for check in checks)
    passes = False if broken else (True if holding else None)
    return Verdict(passes, holding, broken, len(checks) - holding - len(broken))


def held(check: CheckFacts) -> bool:
    """Whether a claim was checked and found true; a check without evidence is not one."""
    return check.holds is True and check.word is not Evidence.NOT_CHECKED


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the sites that have the figure; None if none has."""

    value: float | None
    sites: int


def mean(values: Iterable[float | None]) -> Mean:
    """The plain mean of what is known."""
    sound = [value for value in values if value is not None and known(value)]
    return Mean(sum(sound) / len(sound) if sound else None, len(sound))


def figures(
    sites: Sequence[SiteFacts], arm: Callable[[SiteFacts], Quality], what: Callable[[Quality], float | None]
) -> list[float | None]:
    """One figure of one arm for every site."""
    return [what(arm(site)) for site in sites]


def pick_local(site: SiteFacts) -> Quality:
    """The control arm that learns from the site's own rows."""
    return site.local


def pick_federated(site: SiteFacts) -> Quality:
    """The job's model."""
    return site.federated


def pick_pooled(site: SiteFacts) -> Quality:
    """The control arm that learns from all rows in one place."""
    return site.pooled


def auroc(quality: Quality) -> float | None:
    """AUROC, higher is better."""
    return quality.auroc


def brier(quality: Quality) -> float | None:
    """Brier score, lower is better."""
    return quality.brier


def gain(site: SiteFacts) -> float | None:
    """AUROC that the job's model adds at a site to a model of its own; None if either is not known."""
    own, joint = site.local.auroc, site.federated.auroc
    return joint - own if own is not None and joint is not None and known(own) and known(joint) else None


@dataclass(frozen=True, slots=True)
class InTheLarge:
    """Over all groups of predictions: how many rows, the mean risk, the share that came true, the mean distance."""

    rows: int
    predicted: float
    observed: float
    distance: float


def in_the_large(points: Sequence[CalibrationPoint]) -> InTheLarge | None:
    """Calibration over all rows; None without any.

    `distance` is the mean over rows of |predicted - observed| of their group (expected calibration error).
    """
    sound = [p for p in points if known(p.predicted) and known(p.observed) and p.rows > 0]
    rows = sum(p.rows for p in sound)
    if not rows:
        return None
    return InTheLarge(
        rows,
        sum(p.rows * p.predicted for p in sound) / rows,
        sum(p.rows * p.observed for p in sound) / rows,
        sum(p.rows * abs(p.predicted - p.observed) for p in sound) / rows,
    )


@dataclass(frozen=True, slots=True)
class Account:
    """One party's money: what it put into the hub, what it got out of it."""

    name: str
    put: int
    got: int


@dataclass(frozen=True, slots=True)
class Books:
    """Who paid what to whom through the contract that held it.

    hub       the party that most flows pass; "" without flows
    accounts  everyone else, in the order of their first flow
    inward, outward  flows into and out of the hub
    aside     flows that did not pass the hub
    """

    hub: str
    accounts: tuple[Account, ...]
    inward: tuple[Flow, ...]
    outward: tuple[Flow, ...]
    aside: tuple[Flow, ...]

    @property
    def put(self) -> int:
        """All that went into the hub."""
        return sum(flow.amount for flow in self.inward)

    @property
    def got(self) -> int:
        """All that came out of it."""
        return sum(flow.amount for flow in self.outward)


def balance(flows: Sequence[Flow]) -> Books:
    """Sort flows by what they do to the party that holds the money."""
    degree = Counter(name for flow in flows for name in {flow.source: 0, flow.target: 0})
    hub = degree.most_common(1)[0][0] if degree else ""
    inward = tuple(flow for flow in flows if flow.target == hub != flow.source)
    outward = tuple(flow for flow in flows if flow.source == hub != flow.target)
    aside = tuple(flow for flow in flows if hub not in (flow.source, flow.target))
    put: defaultdict[str, int] = defaultdict(int)
    got: defaultdict[str, int] = defaultdict(int)
    for flow in inward:
        put[flow.source] += flow.amount
    for flow in outward:
        got[flow.target] += flow.amount
    names = dict.fromkeys(
        name for flow in flows for name in (flow.source, flow.target) if flow not in aside and name != hub
    )
    return Books(hub, tuple(Account(name, put[name], got[name]) for name in names), inward, outward, aside)


@dataclass(frozen=True, slots=True)
class Spent:
    """What the job cost its buyer, and who earned it; deposits that came back do not count.

    buyer  what the buyer paid in the end; None if no flow names a buyer
    sites, coordinator, others  what each kind of party earned, negative if it lost a deposit
    """

    buyer: int | None
    sites: int
    coordinator: int
    others: int


def spent(facts: JobFacts, books: Books) -> Spent:
    """Net amounts by kind of party."""
    names = {site.name for site in facts.sites}
    net: defaultdict[str, int] = defaultdict(int)
    for account in books.accounts:
        net[party(account.name, names)] += account.got - account.put
    return Spent(-net["buyer"] if "buyer" in net else None, net["site"], net["fee"], net["other"])


def party(name: str, sites: frozenset[str] | set[str]) -> str:
    """Which kind of party a name is: "site", "buyer", "fee" (the coordinator), or "other"."""
    if name in sites:
        return "site"
    said = name.lower()
    return "buyer" if "buyer" in said else "fee" if "coordinator" in said else "other"


def gas_total(facts: JobFacts) -> int:
    """Gas of all transactions: count times mean, summed over kinds."""
    return sum(kind.count * kind.mean for kind in facts.gas)


def mostly(lanes: Sequence[Lane]) -> Lane:
    """Where a site's updates went most often, of equals the latest; absent if no round was judged."""
    often = Counter(lanes)
    return max(reversed(lanes), key=lambda lane: often[lane]) if lanes else Lane.ABSENT


def lanes_of(judging: JudgingFacts, seat: int) -> tuple[Lane, ...]:
    """Where one site's updates went, in the rounds that were judged."""
    lanes = (one.sites[seat].lane for one in judging.rounds if one.sites and not one.rolls_back)
    return tuple(lane for lane in lanes if lane is not Lane.VOID)
