"""On which terms a data set may be used, and whether a job meets them.

Terms are public; their digest stands on the chain beside the data set. The verdict is a function of
terms and job alone, so a buyer can ask before paying and a stranger can check afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caduceus import canon
from caduceus.data.use import UseTerms
from caduceus.data.use_request import UseRequest
from caduceus.data.use_seen import NOTHING_SEEN, Seen
from caduceus.data.use_verdict import Outcome, judge_use
from caduceus.errors import Refused
from caduceus.kinds import MICRO, PICO, Address, Tokens, Visibility


@canon.record("data/terms/4")
class Terms:
    """What a steward asks for.

    buyers           accounts that may use the data; None is anyone
    purposes         what it may be used for, as jobs state it; None is anything
    most_open        the most that a job may let anyone see of this site's updates; sums over all sites always may
    aggregators      accounts of which all must be that hold shares of updates, where they are judged; None is anyone.
                     Two of the three together see every update
    min_other_sites  how many other sites must take part at least, so that a sum hides this one
    price_floor      least pay per seat, whole units: (price - fee) // most sites
    budget_micro     lifetime privacy budget in millionths of epsilon; 0 if none is set, and then no job spends any
    delta_pico       lifetime privacy budget in millionths of a millionth of delta; 0 if none is set
    missing_percent  a private job must bear that the noise of so many per cent of its sites is missing: nobody sees
                     whether a stranger adds any
    exact_sums       whether sums without differential privacy may be opened; never where there is a budget
    withheld         columns that no job may use
    minimum_here     fewest records that this site must have to take part, so that a sum does not stand for a handful
    minimum_cohort   fewest records under the smallest sum that a job opens, as the sites' cards have them
    use              what it may be used for in the words of the Data Use Ontology; None: see purposes alone
    """

    buyers: tuple[bytes, ...] | None
    purposes: tuple[str, ...] | None
    most_open: Visibility
    aggregators: tuple[bytes, ...] | None
    min_other_sites: int
    price_floor: int
    budget_micro: int
    delta_pico: int
    missing_percent: int
    exact_sums: bool
    withheld: tuple[str, ...]
    minimum_here: int = 0
    minimum_cohort: int = 0
    use: UseTerms | None = None


TERMS_MOST = 1 << 20
"""Bytes of terms that anybody reads."""


def read_terms(blob: bytes) -> Terms:
    """Terms, from anybody.

    Raises Refused if they are longer than `TERMS_MOST`, or none.
    """
    if len(blob) > TERMS_MOST:
        raise Refused(f"terms of {len(blob)} bytes; at most {TERMS_MOST} are read")
    try:
        return canon.unpack(Terms, blob)
    except RecursionError:
        raise Refused("terms whose use is nested without end") from None


@dataclass(frozen=True, slots=True)
class Ask:
    """What the terms need to know of a job.

    aggregators    accounts that hold shares of updates, where updates are judged; else nobody
    columns        schema columns that it uses, features and target
    min_sites      fewest sites that it trains with, this one among them; where sums are over groups, fewest of a group
    max_sites      most seats among which the pay is split
    epsilon_micro, delta_pico  what it spends of each site's budget; 0 if it opens exact sums
    missing_percent            the noise of so many per cent of its sites may be missing
    use            what it says of its use; None if nothing
    """

    buyer: Address
    purpose: str
    visibility: Visibility
    aggregators: tuple[Address, ...]
    columns: tuple[str, ...]
    min_sites: int
    max_sites: int
    price: Tokens
    fee: Tokens
    epsilon_micro: int
    delta_pico: int
    missing_percent: int
    use: UseRequest | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a job meets the terms.

    reasons      every rule that it breaks, in words for the buyer; none if it is allowed
    obligations  what the buyer takes on by a job that is allowed: to publish, to collaborate, to return data
    until        when the verdict may be another although nobody does anything, Unix seconds; None: never
    """

    reasons: tuple[str, ...]
    obligations: tuple[str, ...] = ()
    until: int | None = None

    @property
    def allowed(self) -> bool:
        """Whether no rule is broken."""
        return not self.reasons

    def enforce(self) -> None:
        """Raise Refused with the reasons, unless the job is allowed."""
        if self.reasons:
            raise Refused("the data set's terms do not allow this job: " + "; ".join(self.reasons))


_WITHIN: Mapping[Visibility, frozenset[Visibility]] = {
    Visibility.OPEN: frozenset(Visibility),
    Visibility.COHORT: frozenset({Visibility.COHORT, Visibility.SUM}),
    Visibility.GRAM: frozenset({Visibility.GRAM, Visibility.SUM}),
    Visibility.SUM: frozenset({Visibility.SUM}),
}
"""What shows no more than a visibility: sums over groups and inner products show different things, so neither allows
the other."""


def show_micro(epsilon_micro: int) -> str:
    """Epsilon as people read it, every digit of it."""
    return f"{epsilon_micro / MICRO:.6f}".rstrip("0").rstrip(".")


def judge(
    terms: Terms, ask: Ask, *, spent_micro: int = 0, spent_delta_pico: int = 0, seen: Seen = NOTHING_SEEN
) -> Verdict:
    """Whether a job meets the terms of a data set.

    spent_micro, spent_delta_pico  what earlier jobs have spent of the privacy budget
    seen                           time, credentials and numbers of records, where they are known
    """
    left = (terms.budget_micro - spent_micro, terms.delta_pico - spent_delta_pico)
    use = Outcome(()) if terms.use is None else judge_use(terms.use, ask.use, ask.buyer, seen)
    reasons = (
        *_who_and_what(terms, ask),
        *use.reasons,
        *_what_is_seen(terms, ask),
        *_how_many(terms, seen),
        *_spending(terms, ask, left),
        *_pay(terms, ask),
    )
    return Verdict(reasons, () if reasons else use.obligations, use.until)


def _who_and_what(terms: Terms, ask: Ask) -> list[str]:
    reasons = []
    if terms.buyers is not None and ask.buyer not in terms.buyers:
        reasons.append("this buyer is not among those admitted")
    if terms.purposes is not None and ask.purpose not in terms.purposes:
        reasons.append(f"the purpose is '{ask.purpose}', allowed are {', '.join(terms.purposes) or 'none'}")
    withheld = [name for name in ask.columns if name in terms.withheld]
    if withheld:
        reasons.append(f"the job uses withheld columns: {', '.join(withheld)}")
    return reasons


def _what_is_seen(terms: Terms, ask: Ask) -> list[str]:
    reasons = []
    if ask.visibility not in _WITHIN[terms.most_open]:
        reasons.append(f"visibility {ask.visibility.name} shows more than {terms.most_open.name}")
    strangers = [one for one in ask.aggregators if terms.aggregators is not None and one not in terms.aggregators]
    if strangers:
        reasons.append(f"aggregator 0x{strangers[0].hex()} is not among those admitted")
    if ask.min_sites - 1 < terms.min_other_sites:
        reasons.append(
            f"it may train with {max(ask.min_sites - 1, 0)} other sites, at least {terms.min_other_sites} are asked for"
        )
    return reasons


def _how_many(terms: Terms, seen: Seen) -> list[str]:
    reasons = []
    if seen.here is not None and seen.here < terms.minimum_here:
        reasons.append(f"fewer than {terms.minimum_here} records are at this site")
    if seen.records is not None and seen.records < terms.minimum_cohort:
        reasons.append(
            f"the sites' cards do not show that a sum is over {terms.minimum_cohort} records, as is asked for"
        )
    return reasons


def _spending(terms: Terms, ask: Ask, left: tuple[int, int]) -> list[str]:
    """Whether the budget bears the job; exact sums have no epsilon, so no budget bears them."""
    if not ask.epsilon_micro:
        if terms.budget_micro:
            return ["it opens exact sums, and a data set with a privacy budget takes part in private jobs only"]
        if not terms.exact_sums:
            return ["it opens exact sums, and only sums with differential privacy are allowed"]
        return []
    if not terms.budget_micro:
        return ["it spends epsilon, and no privacy budget is set"]
    reasons = []
    if ask.epsilon_micro > left[0]:
        reasons.append(f"it spends epsilon {show_micro(ask.epsilon_micro)}, and {show_micro(max(left[0], 0))} is left")
    if ask.missing_percent < terms.missing_percent:
        reasons.append(
            f"its noise bears {ask.missing_percent} % of the sites adding none, {terms.missing_percent} % are asked for"
        )
    if ask.delta_pico > left[1]:
        reasons.append(f"it spends delta {ask.delta_pico / PICO:g}, and {max(left[1], 0) / PICO:g} is left")
    return reasons


def _pay(terms: Terms, ask: Ask) -> list[str]:
    per_seat = max(ask.price - ask.fee, 0) // max(ask.max_sites, 1)
    if per_seat < terms.price_floor:
        return [f"it pays {per_seat} per seat, the floor is {terms.price_floor}"]
    return []
