"""Which disease is a kind of which, as far as the steward's file says.

The whole of MONDO is not in this program. A steward names a file, an excerpt of MONDO as OBO or as CSV; what concerns
the diseases of the terms becomes part of the terms, so that everybody judges by the same pairs.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable

from caduceus import canon
from caduceus.errors import Refused

MOST_PAIRS = 10_000
"""Pairs that terms may hold."""

_DISEASE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,19}:[A-Za-z0-9_.-]{1,40}")


@canon.record("data/diseases/1")
class Diseases:
    """An excerpt of a hierarchy of diseases.

    source  where it is from, for people
    pairs   child and parent, sorted, all different
    """

    source: str
    pairs: tuple[tuple[str, str], ...]


def check_disease(text: str) -> str:
    """A disease's identifier such as "MONDO:0005098", as it came. Raises Refused if it has another form."""
    if not _DISEASE.fullmatch(text):
        raise Refused(f"'{text[:40]}' is no identifier of a disease such as MONDO:0005098")
    return text


def is_kind_of(diseases: Diseases | None, disease: str, wanted: Iterable[str]) -> bool:
    """Whether a disease is one of those wanted, or a descendant of one; without a hierarchy, only the former."""
    goals, seen, ahead = set(wanted), {disease}, [disease]
    parents: dict[str, list[str]] = {}
    for child, parent in () if diseases is None else diseases.pairs:
        parents.setdefault(child, []).append(parent)
    while ahead:
        one = ahead.pop()
        if one in goals:
            return True
        ahead += [parent for parent in parents.get(one, ()) if parent not in seen]
        seen.update(ahead)
    return False


def excerpt(diseases: Diseases, wanted: Iterable[str]) -> Diseases:
    """The pairs below the diseases wanted, which are all that matters for judging by them."""
    children: dict[str, list[str]] = {}
    for child, parent in diseases.pairs:
        children.setdefault(parent, []).append(child)
    found, ahead = set(wanted), list(wanted)
    while ahead:
        fresh = [child for child in children.get(ahead.pop(), ()) if child not in found]
        found.update(fresh)
        ahead += fresh
    return Diseases(diseases.source, tuple(one for one in diseases.pairs if one[0] in found and one[1] in found))


def read_diseases(text: str, *, where: str) -> Diseases:
    """Read OBO ("[Term]", "id:", "is_a:"), or CSV with the columns child and parent.

    where  the file's name, for the message; it becomes the source

    Raises Refused, naming the file and line, if it is neither.
    """
    lines = text.splitlines()
    if lines and lines[0].startswith("format-version:"):
        pairs = _obo(lines)
    elif lines and [one.strip() for one in lines[0].split(",")] == ["child", "parent"]:
        pairs = _csv(lines, where)
    else:
        raise Refused(f"{where}: neither OBO (it begins with 'format-version:') nor CSV with the columns child,parent")
    for number, child, parent in pairs:
        if not (_DISEASE.fullmatch(child) and _DISEASE.fullmatch(parent)):
            raise Refused(f"{where}, line {number}: expected identifiers such as MONDO:0005098")
    return Diseases(where, tuple(sorted({(child, parent) for _, child, parent in pairs})))


def _obo(lines: list[str]) -> list[tuple[int, str, str]]:
    pairs, term, gone = list[tuple[int, str, str]](), "", False
    for number, line in enumerate(lines, 1):
        if line.startswith("["):
            term, gone = "", line.strip() != "[Term]"
        elif line.startswith("id:") and not gone:
            term = line.removeprefix("id:").strip()
        elif line.startswith("is_a:") and term:
            # What follows an exclamation mark is a label, what stands in braces qualifies.
            pairs.append((number, term, re.split(r"[!{]", line.removeprefix("is_a:"))[0].strip()))
    return pairs


def _csv(lines: list[str], where: str) -> list[tuple[int, str, str]]:
    pairs = []
    for number, row in enumerate(csv.reader(lines[1:]), 2):
        if len(row) != 2:
            raise Refused(f"{where}, line {number}: expected a child and a parent")
        pairs.append((number, row[0].strip(), row[1].strip()))
    return pairs
