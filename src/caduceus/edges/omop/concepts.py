"""Concepts of OMOP vocabularies as codes, and which are kinds of which.

A database's vocabularies have millions of concepts; only those that a cohort names or that its records hold are read.
"""

# ruff: noqa: S608  (codes are quoted by `text`; the rest is numbers and names of the model)
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from caduceus.data.records import Descendants
from caduceus.edges.cohort_engine import text
from caduceus.edges.omop.model import ANCESTOR, CONCEPT
from caduceus.edges.omop.source import Source

UNLISTED = "OMOP"
"""System of the codes of concepts that the database's own table of concepts lacks: the code is the concept's number."""

_AT_ONCE = 5_000

_T = TypeVar("_T")


def code_of(concept: str, number: str) -> str:
    """SQL for the code of a concept.

    concept  the alias of the table of concepts, joined from the left
    number   SQL for the concept's number
    """
    return (
        f"coalesce({concept}.vocabulary_id || ':' || {concept}.concept_code, "
        f"'{UNLISTED}:' || cast({number} as varchar))"
    )


def concept_table(source: Source) -> str:
    """The table of concepts, for a query."""
    return source.table("concept", CONCEPT)


def find(source: Source, codes: Collection[str]) -> frozenset[int]:
    """The concepts that codes stand for, and all kinds of them.

    codes  SYSTEM:code
    """
    unlisted = {int(one.partition(":")[2]) for one in codes if _is_unlisted(one)}
    found = set(unlisted)
    for some in _in_parts(sorted(codes)):
        pairs = ", ".join(
            f"({text(system)}, {text(code)})" for system, _, code in (one.rpartition(":") for one in some)
        )
        query = f"select concept_id from {concept_table(source)} c where (vocabulary_id, concept_code) in ({pairs})"
        found |= set(source.fetch(query)["concept_id"].to_pylist())
    for numbers in _in_parts(sorted(found)) if source.columns("concept_ancestor") else ():
        query = (
            f"select distinct descendant_concept_id as concept_id from {source.table('concept_ancestor', ANCESTOR)} a "
            f"where ancestor_concept_id in ({_numbers(numbers)})"
        )
        found |= set(source.fetch(query)["concept_id"].to_pylist())
    return frozenset(found - {0, None})


def descendants(source: Source, present: Collection[int]) -> Descendants:
    """Which codes are kinds of which, among the concepts that the records hold.

    present  their numbers
    """
    kinds: dict[str, set[str]] = {}
    if source.columns("concept_ancestor"):
        ancestors, concepts = source.table("concept_ancestor", ANCESTOR), concept_table(source)
        for some in _in_parts(sorted(present)):
            query = (
                f"select {code_of('k', 'a.ancestor_concept_id')} as ancestor, "
                f"{code_of('d', 'a.descendant_concept_id')} as descendant from {ancestors} a "
                f"left join {concepts} k on k.concept_id = a.ancestor_concept_id "
                f"left join {concepts} d on d.concept_id = a.descendant_concept_id "
                f"where a.descendant_concept_id in ({_numbers(some)})"
            )
            found = source.fetch(query)
            for above, below in zip(found["ancestor"].to_pylist(), found["descendant"].to_pylist(), strict=True):
                kinds.setdefault(above, set()).add(below)

    def of(codes: Iterable[str]) -> frozenset[str]:
        said = frozenset(codes)
        return said.union(*(kinds.get(one, ()) for one in said))

    return of


def _is_unlisted(code: str) -> bool:
    system, _, number = code.partition(":")
    return system == UNLISTED and number.isascii() and number.isdigit() and len(number) < 19


def _numbers(some: Iterable[int]) -> str:
    return ", ".join(str(int(one)) for one in some)


def _in_parts(items: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
