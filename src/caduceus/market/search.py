"""Search over cards by what their columns mean: words, their synonyms, and codes, ranked by BM25.

A card is a text of weighted fields: a word in a title or a column's name counts more than one in a description. Beside
words there are concepts (`search_concepts`): "heart attack" finds a column that only says SNOMED:22298006.

Source: Robertson, Zaragoza and Taylor, "Simple BM25 extension to multiple weighted fields", CIKM 2004; constants as
usual, with little punishment for length, because a card with many columns is no worse.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from caduceus.data.card import Card
from caduceus.data.schema import Column
from caduceus.kinds import Floats
from caduceus.market.search_concepts import CONCEPTS, thesaurus
from caduceus.market.search_words import terms, words

K1, B = 1.2, 0.3

TITLE, NAME, CODE, TEXT, UNIT, LEVEL = "title", "name", "code", "description", "unit", "level"
"""The fields of a card."""

_WEIGHTS = {TITLE: 3.0, NAME: 2.5, CODE: 3.0, TEXT: 1.0, UNIT: 1.0, LEVEL: 1.0}
_SYNONYM = 0.7
"""A concept of a field counts so much of the field's own words: who says the same word is nearer."""

_SPOKEN = 0.5
"""A word that is part of a concept's name counts so much: "heart" of "heart attack" is not what is asked for."""

_PREFIXES = 20
_SHORTEST_PREFIX = 4
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]*:[A-Za-z0-9][A-Za-z0-9.\-/]*\Z")

Term = tuple[str, str]
"""What is looked up: ("word", a stemmed word), ("unit", in small letters), ("code", SYSTEM:CODE in capitals) or
("concept", its name)."""

_THESAURUS = thesaurus()


@dataclass(frozen=True, slots=True)
class Match:
    """Why a card was found.

    asked  the word, the code, or the concept's name that was asked for
    where  title, description, or a column's name
    field  which field of it
    """

    asked: str
    where: str
    field: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A card that was found: its place among the cards that were indexed, and its score, > 0."""

    card: int
    score: float


class Index:
    """Cards to be searched.

    cards  in any order; hits name them by their place
    """

    __slots__ = ("_docs", "_lengths", "_scores", "_vocabulary", "size")

    def __init__(self, cards: Iterable[Card]) -> None:
        docs: defaultdict[Term, list[int]] = defaultdict(list)
        counts: defaultdict[Term, list[float]] = defaultdict(list)
        lengths: list[float] = []
        for number, card in enumerate(cards):
            weighed = _weigh(card)
            lengths.append(math.fsum(weighed.values()))
            for term, weight in weighed.items():
                docs[term].append(number)
                counts[term].append(weight)
        self.size = len(lengths)
        self._lengths = np.array(lengths) / max(float(np.mean(lengths)) if lengths else 1.0, 1e-9)
        self._docs = {term: np.array(found, np.int32) for term, found in docs.items()}
        self._scores = {term: self._score(self._docs[term], np.array(found)) for term, found in counts.items()}
        self._vocabulary = sorted(term for kind, term in docs if kind == "word")

    def _score(self, docs: npt.NDArray[np.int32], counts: Floats) -> Floats:
        idf = math.log1p((self.size - len(docs) + 0.5) / (len(docs) + 0.5))
        found: Floats = idf * counts * (K1 + 1) / (counts + K1 * (1 - B + B * self._lengths[docs]))
        return found

    def search(self, query: str, codes: Sequence[str] = (), *, most: int = 20) -> list[Hit]:
        """The best cards, best first; cards of the same score in their order.

        query  words, and codes as SYSTEM:code
        codes  more codes
        most   how many hits
        """
        scores = np.zeros(self.size)
        for term, weight in self._asked(query, codes):
            found = self._docs.get(term)
            if found is not None:
                scores[found] += weight * self._scores[term]
        best = np.argsort(-scores, kind="stable")[:most]
        return [Hit(int(one), float(scores[one])) for one in best if scores[one] > 0]

    def _asked(self, query: str, codes: Sequence[str]) -> list[tuple[Term, float]]:
        """The terms of a query; a word that no card has stands for those that begin with it."""
        asked: list[tuple[Term, float]] = []
        for term, weight in query_terms(query, codes):
            asked.append((term, weight))
            kind, word = term
            if kind == "word" and term not in self._docs and len(word) >= _SHORTEST_PREFIX:
                start = bisect_left(self._vocabulary, word)
                near = self._vocabulary[start : start + _PREFIXES]
                asked += [(("word", one), weight / 2) for one in near if one.startswith(word)]
        return asked


def query_terms(query: str, codes: Sequence[str] = ()) -> list[tuple[Term, float]]:
    """What a query asks for, each with its weight."""
    said = query.split()
    codes = (*codes, *(one for one in said if _CODE.match(one)))
    text = " ".join(one for one in said if not _CODE.match(one))
    plain = words(text)
    concepts = _THESAURUS.in_words(plain)
    spoken = {word for number in concepts for name in CONCEPTS[number].names for word in words(name)}
    asked = {("word", term): _SPOKEN if term in spoken else 1.0 for term in terms(text)}
    asked |= {("unit", one.lower()): 1.0 for one in said}
    asked |= {("concept", CONCEPTS[number].name): 1.0 for number in concepts}
    for code in codes:
        asked["code", code.upper()] = 1.5
        asked |= {("concept", CONCEPTS[number].name): 1.0 for number in _THESAURUS.of_code(code)}
    return list(asked.items())


def explain(card: Card, query: str, codes: Sequence[str] = ()) -> tuple[Match, ...]:
    """Which of a query's terms stand in which fields of a card, each once, in the card's order."""
    asked = dict(query_terms(query, codes))
    found: dict[Match, None] = {}
    for where, field, text in _fields(card):
        present = {term for term, _ in _field_terms(field, text)}
        for kind, term in present:
            hit = (kind, term) in asked or (
                kind == "word"
                and any(
                    one == "word" and len(word) >= _SHORTEST_PREFIX and term.startswith(word) for one, word in asked
                )
            )
            if hit:
                found[Match(term, where, field)] = None
    return tuple(found)


def _fields(card: Card) -> list[tuple[str, str, str]]:
    """Where, field and text."""
    said = [("title", TITLE, card.title), ("description", TEXT, card.description)]
    return said + [
        (entry.column.name, field, text) for entry in card.columns for field, text in _column_fields(entry.column)
    ]


def _column_fields(column: Column) -> list[tuple[str, str]]:
    return [
        (NAME, column.name),
        (TEXT, column.description),
        (UNIT, column.unit),
        *((LEVEL, level) for level in column.levels),
        *((CODE, code) for code in column.codes),
    ]


@lru_cache(maxsize=1 << 16)  # sites of a network have the same columns
def _field_terms(field: str, text: str) -> tuple[tuple[Term, float], ...]:
    """A field's terms, weighed."""
    weight = _WEIGHTS[field]
    if field == CODE:
        concepts = _THESAURUS.of_code(text)
        return ((("code", text.upper()), weight), *((("concept", CONCEPTS[one].name), weight) for one in concepts))
    if field == UNIT:
        return ((("unit", text.lower()), weight),) if text else ()
    found: defaultdict[Term, float] = defaultdict(float)
    for term in terms(text):
        found["word", term] += weight
    for one in _THESAURUS.in_words(words(text)):
        found["concept", CONCEPTS[one].name] += weight * _SYNONYM
    return tuple(found.items())


def _weigh(card: Card) -> dict[Term, float]:
    """The weighed counts of a card's terms."""
    found: defaultdict[Term, float] = defaultdict(float)
    for _, field, text in _fields(card):
        for term, weight in _field_terms(field, text):
            found[term] += weight
    return found
