"""The truth table of data use: every case, its verdict and every word of its reason."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from caduceus.data.duo import Modifier, Permission
from caduceus.data.policy import Terms
from caduceus.data.terms.file import read_terms_file
from caduceus.data.use import grants
from caduceus.data.use_day import read_day, start_of
from caduceus.data.use_request import ORGANISATIONS, Organisation, Research, UseRequest
from caduceus.data.use_seen import Proof, Seen
from caduceus.data.use_verdict import Outcome, judge_use
from caduceus.kinds import Address

FOLDER = Path(__file__).parent / "truth"
NOW = start_of(read_day("2026-07-01"))
TABLE = [
    (number, *(part.strip() for part in line.split("|")))
    for number, line in enumerate((FOLDER / "cases.txt").read_text().splitlines(), 1)
    if line.strip() and not line.startswith("#")
]
TEXTS = {"types": "+", "proved": "+"}


@cache
def terms_by_name() -> dict[str, Terms]:
    blocks = (FOLDER / "terms.txt").read_text().split("=== ")[1:]
    return {
        name: read_terms_file(text, where=name, beside=lambda file: (FOLDER / file).read_text())
        for name, text in (block.split("\n", 1) for block in blocks)
    }


@dataclass
class Case:
    """What a line says."""

    request: UseRequest
    buyer: Address
    seen: Seen


def read(said: str) -> Case:
    words = [one.strip() for one in said.split(",") if one.strip()]
    given = dict(one.split("=", 1) for one in words if "=" in one)
    research = {Research[one.upper()] for one in words if "=" not in one}
    research |= {Research.DISEASE} if "disease" in given else set()
    flags = {"genetic", "publish", "collaborate", "give_back", "commercial"}
    kinds = {word: kind for kind, word in ORGANISATIONS.items()}
    plain = {"disease", "country", "user", "institution", "project", "ethics"}
    expires = start_of(read_day(given["expires"])) if "expires" in given else None
    begun = start_of(read_day(given["begun"])) if "begun" in given else None
    proved = [tuple(one.split(":", 1)) for one in given.get("proved", "").split("+") if one]
    known = flags | plain | {"organisation", "types", "months", "publish_from", "expires", "begun", "proved", "buyer"}
    assert set(given) <= known, said
    return Case(
        UseRequest(
            research=tuple(sorted(research)),
            types=tuple(one for one in given.get("types", "").split("+") if one),
            organisation=kinds[given["organisation"]] if "organisation" in given else Organisation.UNSTATED,
            months=int(given.get("months", 0)),
            publish_from=read_day(given["publish_from"]) if "publish_from" in given else 0,
            **{name: given[name] == "yes" for name in flags if name in given},
            **{name: given[name] for name in plain if name in given},
        ),
        Address(bytes([int(given.get("buyer", 1))]) * 20),
        Seen(now=NOW, begun=begun, proofs=(Proof("Consortium", tuple(proved), expires),)),
    )


def judged(name: str, said: str) -> Outcome:
    case, terms = read(said), terms_by_name()[name].use
    assert terms is not None
    return judge_use(terms, case.request, case.buyer, case.seen)


@pytest.mark.parametrize(("line", "name", "said", "verdict", "words"), TABLE, ids=[str(row[0]) for row in TABLE])
def test_a_case_of_the_table(line: int, name: str, said: str, verdict: str, words: str):
    found = judged(name, said)
    expected = tuple(one.strip() for one in words.split("&&") if one.strip())
    assert (found.reasons, found.obligations) == ((), expected) if verdict == "yes" else (expected, ()), line


def test_the_table_is_large_and_uses_every_term_both_ways():
    assert len(TABLE) >= 200
    verdicts: dict[object, set[str]] = {}
    for _, name, _, verdict, _ in TABLE:
        use = terms_by_name()[name].use
        assert use is not None
        for grant in grants(use.use):
            for term in (grant.permission, *grant.modifiers):
                verdicts.setdefault(term, set()).add(verdict)
    assert set(verdicts) == {*Permission, *Modifier}
    assert [term for term, found in verdicts.items() if found != {"yes", "no"}] == []


def test_no_terms_of_the_table_go_unused():
    assert set(terms_by_name()) == {row[1] for row in TABLE}
