"""Facts for the report's tests: a whole job, one of any size, one where every figure is missing, and hostile ones."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from caduceus.kinds import Evidence
from caduceus.report.facts import (
    CalibrationPoint,
    CheckFacts,
    Coefficient,
    Flow,
    GasFacts,
    JobFacts,
    Quality,
    RoundFacts,
    SiteFacts,
    Step,
)

PHASES = ("moments", "training", "evaluation", "questions")
KINDS = ("count", "mean", "histogram", "quantiles", "table", "survival", "survival, alert", "survival, drowsy")
KEPT = frozenset((*PHASES, *KINDS))
"""Words that decide what the page draws; `with_text` leaves them."""

PRICE, FEE, STAKE, BOND = 100_000, 10_000, 500, 2_000


def digest(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def quality(seat: int, arm: int) -> Quality:
    return Quality(0.62 + 0.31 * ((seat * 37 + arm * 11) % 97) / 97, 0.05 + 0.1 * ((seat * 53 + arm * 7) % 89) / 89)


def site(seat: int, name: str, pay: int, rounds: int) -> SiteFacts:
    return SiteFacts(
        name=name,
        seat=seat,
        account="0x" + digest("account", seat)[:40],
        rows_shown=str(100 + 10 * seat) if seat % 5 else "fewer than 20",
        missing_shown=f"{seat % 7}.{seat % 10} %",
        dataset=digest("dataset", seat),
        rounds=rounds,
        paid=pay,
        returned=STAKE,
        local=quality(seat, 0),
        federated=quality(seat, 1),
        pooled=quality(seat, 2),
    )


def flows(sites: tuple[SiteFacts, ...]) -> tuple[Flow, ...]:
    left = PRICE - FEE - sum(one.paid for one in sites)
    return (
        Flow("buyer", "escrow", PRICE, "price locked"),
        *(Flow(one.name, "escrow", STAKE, "stake") for one in sites),
        Flow("coordinator", "escrow", BOND, "bond"),
        *(Flow("escrow", one.name, one.paid, "pay") for one in sites),
        *(Flow("escrow", one.name, one.returned, "stake returned") for one in sites),
        Flow("escrow", "coordinator", FEE, "fee"),
        Flow("escrow", "coordinator", BOND, "bond returned"),
        Flow("escrow", "buyer", left, "not earned"),
    )


CHECKS = (
    CheckFacts("Every upload is signed", Evidence.SIGNED, True, "48 uploads", "a site that lends out its key"),
    CheckFacts("The operators vouch for their machines", Evidence.ATTESTED, True, "", "an operator"),
    CheckFacts("Every sum is right", Evidence.RE_EXECUTED, True, "12 sums", "nobody without breaking SHA-256"),
    CheckFacts("The range proof holds", Evidence.PROVEN, True, "", ""),
    CheckFacts("Sites used their records", Evidence.NOT_CHECKED, None, "no enclave", "any site"),
)


def job(sites: int = 4, rounds: int = 9) -> JobFacts:
    """A job in which everything there is to tell has happened."""
    names = ("Cleveland", "Budapest", "Zurich and Basel", "Long Beach VA")
    pay = (PRICE - FEE - 7) // sites
    seats = tuple(
        site(seat, names[seat] if sites <= len(names) else f"Hospital {seat + 1}", pay - seat % 2, rounds)
        for seat in range(sites)
    )
    silent = seats[-1].name
    return JobFacts(
        title="Coronary heart disease at angiography",
        purpose="research into early referral",
        job=digest("job", sites),
        chain="embedded chain 1337",
        model="logistic regression (federated Newton, C = 1)",
        target="narrowing above 50 %",
        features=("age", "sex", "cholesterol"),
        visibility="sum",
        price=PRICE,
        fee=FEE,
        stake=STAKE,
        bond=BOND,
        token="DEMO",
        spec=digest("spec"),
        data_title="Four hospitals",
        data_source="see https://archive.example/dataset/45",
        seconds_training=3.84,
        seconds_total=9.71,
        sites=seats,
        rounds=tuple(round_of(number, rounds, sites, silent) for number in range(1, rounds + 1)),
        gas=(
            GasFacts("Jobs.anchor", rounds, 29_512, 31_355, 46_101),
            GasFacts("Datasets.register", sites, 118_204, 119_311, 120_410),
        ),
        flows=flows(seats),
        steps=(
            Step(3, 1_732_276_000, "buyer", "posted the job", "0x" + digest("post")),
            *(Step(4 + s, 1_732_276_002 + s, seats[s].name, "enrolled", "0x" + digest(s)) for s in range(sites)),
            *(
                Step(900 + r, 1_732_277_000 + r, "coordinator", f"anchored round {r + 1}", "0x" + digest("a", r))
                for r in range(rounds)
            ),
        ),
        checks=CHECKS,
        pooled=Quality(0.888, 0.135),
        auroc_error=0.0021,
        calibration=tuple(CalibrationPoint(400 - 35 * i, 0.05 + 0.09 * i, 0.06 + 0.088 * i) for i in range(10)),
        coefficients=tuple(Coefficient(f"feature {i}", (-1) ** i * (0.9 - 0.035 * i)) for i in range(25)),
        privacy=None,
        analysis=None,
        judging=None,
        protection=("Nobody sees a single update.", "Counts on cards are public."),
        notes=("One machine played every site.",),
    )


def round_of(number: int, rounds: int, sites: int, silent: str) -> RoundFacts:
    phase = "moments" if number == 1 else "evaluation" if number == rounds else "training"
    absent = (silent,) if number == 4 else ()
    return RoundFacts(
        number=number,
        phase="too few sites answered in time" if number == 5 else phase,
        invited=sites,
        survivors=0 if number == 5 else sites - len(absent),
        silent=absent,
        entries=0 if number == 5 else 741,
        bits=64,
        gas=46_101 if number == 1 else 29_512,
        block=900 + number,
        root="" if number == 5 else digest("root", number),
        model="" if number == 5 else digest("model", number),
    )


def bare_job() -> JobFacts:
    """A job of which every figure that may be missing is missing."""
    none = Quality(None, None)
    full = job()
    sites = tuple(
        dataclasses.replace(one, local=none, federated=none, pooled=none, rows_shown="", missing_shown="")
        for one in full.sites
    )
    return dataclasses.replace(
        full,
        sites=sites,
        pooled=none,
        auroc_error=None,
        calibration=(),
        coefficients=(),
        checks=(),
        gas=(),
        flows=(),
        steps=(),
        rounds=(),
        protection=(),
        notes=(),
        features=(),
        data_source="",
    )


def empty_job() -> JobFacts:
    """Nobody came."""
    return dataclasses.replace(bare_job(), sites=())


def with_text(value: Any, change: Any) -> Any:
    """The same facts with every text replaced by `change(text)`; words of our own stay."""
    if isinstance(value, str):
        return value if value in KEPT else change(value)
    if isinstance(value, tuple):
        return tuple(with_text(item, change) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: with_text(getattr(value, f.name), change) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
