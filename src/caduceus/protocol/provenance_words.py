"""What a lineage says in words and in plain values: for people, and for every form that programs read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from caduceus.data.policy import Terms, show_micro
from caduceus.data.use import say_use
from caduceus.kinds import PICO, Address, Evidence
from caduceus.market.specification import JobSpec
from caduceus.protocol.provenance import Lineage, Use, in_ranges

FORMAT = "caduceus-provenance-1"

CLAIMS: Sequence[tuple[str, Evidence, str]] = (
    (
        "The rounds and the model are those under the head that the chain keeps of the job",
        Evidence.RE_EXECUTED,
        "the head was folded again from every round",
    ),
    (
        "Specification, cards, terms, records and model are those that the chain names",
        Evidence.RE_EXECUTED,
        "every blob was hashed again",
    ),
    (
        "Each data set's updates are in the sums of the rounds that are named",
        Evidence.NOT_CHECKED,
        "the anchored records say so; `caduceus audit` computes every sum again",
    ),
    (
        "The sites used the records that they committed to",
        Evidence.NOT_CHECKED,
        "only the site knows",
    ),
)
"""What is claimed, how strongly, and why."""

_KNOWN_TERMS = frozenset(
    (
        *("buyers", "purposes", "most_open", "aggregators", "min_other_sites", "price_floor", "budget_micro"),
        *("delta_pico", "missing_percent", "exact_sums", "withheld", "minimum_here", "minimum_cohort", "use"),
    )
)


def say_terms(terms: Terms) -> tuple[str, ...]:
    """What a steward's terms oblige to, a sentence each without its full stop."""
    purposes = "any purpose" if terms.purposes is None else ", ".join(terms.purposes) or "no purpose"
    buyers = "any buyer" if terms.buyers is None else f"{len(terms.buyers)} named buyers only"
    said = [
        *([] if terms.use is None else [f"use as in the Data Use Ontology: {say_use(terms.use.use)}"]),
        f"for {purposes}",
        f"for {buyers}",
        f"together with at least {terms.min_other_sites} other sites",
        f"nobody may see more of single updates than visibility {terms.most_open.name.lower()} shows",
        "exact sums may be opened" if terms.exact_sums else "only sums with differential privacy may be opened",
    ]
    if terms.budget_micro:
        said.append(
            f"all jobs together spend at most epsilon {show_micro(terms.budget_micro)} and delta "
            f"{terms.delta_pico / PICO:g}"
        )
    if terms.minimum_here:
        said.append(f"only with at least {terms.minimum_here} records of this site")
    if terms.minimum_cohort:
        said.append(f"no sum over fewer than {terms.minimum_cohort} records")
    if terms.withheld:
        said.append(f"without the columns {', '.join(terms.withheld)}")
    if terms.aggregators is not None:
        said.append(f"shares of updates are held by {len(terms.aggregators)} named aggregators only")
    extra = plain(terms)
    said += [f"{name.replace('_', ' ')}: {extra[name]}" for name in extra if name not in _KNOWN_TERMS and extra[name]]
    return tuple(said)


def plain(value: Any) -> Any:
    """A record as values that JSON knows: bytes in hexadecimal, enums by name."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def shown(identifier: bytes) -> str:
    """An account, job or data set as the chain writes it: 0x and hexadecimal."""
    return f"0x{identifier.hex()}"


def summary(lineage: Lineage, *, chain_id: int, contract: Address) -> Mapping[str, Any]:
    """All of a lineage as plain values: the answer to "who trained it?".

    chain_id, contract  the chain, and where its Jobs contract is
    """
    entry, spec = lineage.entry, lineage.spec
    return {
        "format": FORMAT,
        "model": {"state": lineage.state.hex(), "round": lineage.steps[-1].record.round, "sums": lineage.sums},
        "job": {
            "id": shown(entry.id),
            "title": spec.title,
            "purpose": spec.purpose,
            "stage": entry.stage.name.lower(),
            "buyer": shown(entry.buyer),
            "coordinator": shown(entry.coordinator),
            "visibility": spec.visibility.name.lower(),
            "specification": entry.spec.hex(),
            "head": entry.head.hex(),
        },
        "environment": environment(spec) | {"chain": chain_id, "contract": shown(contract)},
        "privacy": _privacy(spec),
        "datasets": [dataset(use) for use in lineage.sources],
        "enrolled_without_part": [dataset(use) for use in lineage.idle],
        "rounds": [
            {
                "round": step.record.round,
                "record": step.digest.hex(),
                "before": step.record.before.hex(),
                "after": step.record.after.hex(),
                "seats": list(step.record.survivors),
                **({"failure": step.record.failure} if step.record.failure else {}),
            }
            for step in lineage.steps
        ],
        "evidence": [{"claim": claim, "word": word.word, "why": why} for claim, word, why in CLAIMS],
    }


def environment(spec: JobSpec) -> dict[str, Any]:
    """What the record knows of the program that ran: its code and what its tables mean."""
    return {
        "code": spec.code.hex(),
        "schema": spec.schema.digest().hex(),
        "not_recorded": "Python and the packages beneath, which every site pins by itself",
    }


def _privacy(spec: JobSpec) -> Mapping[str, Any] | None:
    if spec.privacy is None:
        return None
    return {
        "epsilon": show_micro(spec.privacy.epsilon_micro),
        "delta": spec.privacy.delta_pico / PICO,
        "unit": "a patient, with all rows at one site",
        "noise_that_may_be_missing_percent": spec.privacy.missing_percent,
    }


def dataset(use: Use) -> dict[str, Any]:
    """One data set version and its part, as plain values."""
    entry = use.dataset
    told: dict[str, Any] = {
        "seat": use.seat,
        "title": use.card.title,
        "dataset": shown(entry.id),
        "version": use.version,
        "replaces": [shown(older.id) for older in use.versions[1:]],
        "steward": shown(entry.steward),
        "commitment": entry.commitment.hex(),
        "card": entry.card.hex(),
        "terms": entry.terms.hex(),
        "obliges": list(say_terms(use.terms)),
        "licence": use.card.licence,
        "citation": use.card.citation,
        "rows": use.card.rows_text,
        "active": entry.active,
        "rounds": in_ranges(use.rounds),
        "sums": len(use.rounds),
        "epsilon_charged": show_micro(use.epsilon_micro),
        "delta_charged": use.delta_pico / PICO,
        "epsilon_budget": show_micro(entry.budget_micro) if entry.budget_micro else None,
        "epsilon_spent_in_all": show_micro(entry.epsilon_spent_micro),
    }
    return told | readiness(use)


def readiness(use: Use) -> dict[str, Any]:
    """The steward's verdict on the data: as of enrolling, and as it stands with the digest of its report."""
    entry = use.dataset
    return {
        "readiness_when_enrolled": plain(use.readiness),
        "readiness_now": plain(entry.readiness),
        "readiness_report": None if entry.report is None else entry.report.hex(),
    }
