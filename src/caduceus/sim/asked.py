"""The jobs that are played: real training, as short as it goes, with deadlines of minutes."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from caduceus.data.policy import Terms
from caduceus.kinds import MICRO, PICO, Digest, Visibility
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import JobSpec
from caduceus.sim.people import SCHEMA


class Variant(StrEnum):
    """What is asked for."""

    EXACT = "exact"
    PRIVATE = "private"
    COHORT = "cohort"


_MODEL = {
    Variant.EXACT: 'rounds = 4\ntolerance = 0.05\nC = 0.05\n[evaluation]\nmethod = "none"\n',
    Variant.PRIVATE: "rounds = 2\n[privacy]\nepsilon = 2.0\ndelta = 1e-6\nmissing = 34\n",
    Variant.COHORT: 'rounds = 3\ntolerance = 0.05\nC = 0.05\n[evaluation]\nmethod = "none"\n',
}

_FILE = """
[job]
title = "Who is ill"
schema = "schema.toml"
{visibility}
[task]
target = "ill"
[model]
kind = "logistic"
{model}
[sites]
min = {least}
max = {most}
spare_rounds = 3
[money]
price = 100_003
fee = 5_000
stake = 2_000
bond = 10_000
[deadlines]
enrol = "240s"
train = "900s"
challenge = "150s"
exchange = "30s"
"""

_ANY_TERMS = Terms(
    buyers=None,
    purposes=None,
    most_open=Visibility.COHORT,
    aggregators=None,
    min_other_sites=2,
    price_floor=0,
    budget_micro=0,
    delta_pico=0,
    missing_percent=0,
    exact_sums=True,
    withheld=(),
)


@lru_cache(maxsize=64)
def specification(variant: Variant, least: int, most: int) -> JobSpec:
    """What the buyer asks for; its nonce and the seed of the training are the same in every world."""
    visibility = 'visibility = "cohort"\ncohort = 3' if variant is Variant.COHORT else ""
    text = _FILE.format(visibility=visibility, model=_MODEL[variant], least=least, most=most)
    return specify(read_job_file(text, where="job.toml"), SCHEMA, nonce=bytes(16), where="job.toml", code=_CODE)


_CODE = Digest(b"\x0c" * 32)


def terms(variant: Variant) -> Terms:
    """On which terms a site takes part."""
    if variant is not Variant.PRIVATE:
        return _ANY_TERMS
    return replace(_ANY_TERMS, budget_micro=3 * MICRO, delta_pico=PICO // 10**5, missing_percent=20, exact_sums=False)
