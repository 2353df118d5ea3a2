"""Searching ten thousand cards: how long it takes and what is found first, beside SQLite's and scikit-learn's search.

    python bench/search.py                    # 10,000 cards
    python bench/search.py --cards 1000

Cards are made up: columns are drawn from clinical ones that sites name in their own way (a name, an abbreviation, or a
code alone). Each question asks for a concept in one of its ways; the right cards are those with a column of that
concept, however it is named. Precision is the share of right cards among the first ten; recall at R is the share of
the R right cards that are among the first R. The peers get a card's whole text, codes among it, and know no synonyms:
what they miss shows what the table of concepts adds, and no other merit of ours. Writes bench/results/search.json.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from caduceus.data.card import Card, CardColumn
from caduceus.data.schema import Column, Schema
from caduceus.market.search import Index
from caduceus.market.search_concepts import CONCEPTS
from instruments.record import keep, provenance, show

SEED, FIRST = 2026, 10
_PLACES = ("Ash", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple", "Oak", "Pine")
_STUDIES = ("registry", "cohort", "trial", "admissions", "outpatients", "screening", "biobank", "follow up")

Search = Callable[[str], list[int]]
"""From a question to the first cards, best first: as many as there are right ones, and ten at least."""


@dataclass(frozen=True, slots=True)
class Question:
    """How it is asked, and which cards are right."""

    text: str
    right: frozenset[int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, search, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(SEED)
    cards, holds = made_up(options.cards, rng)
    questions = ask(holds, options.questions, rng)
    most = max(max(len(one.right) for one in questions), FIRST)
    rows = [
        run(name, build, questions)
        for name, build in (
            ("caduceus", lambda: ours(cards, most)),
            ("SQLite FTS5 (BM25)", lambda: by_sqlite(cards, most)),
            ("scikit-learn TF-IDF", lambda: by_sklearn(cards, most)),
        )
    ]
    columns = ("search", "build s", "median ms", "worst ms", "precision@10", "recall@R")
    show(
        f"{len(cards)} cards, {len(questions)} questions", columns, [[str(row[one]) for one in columns] for row in rows]
    )
    keep(
        "search",
        {"provenance": provenance(seed=SEED), "cards": len(cards), "questions": len(questions), "found": rows},
    )
    return 0


def made_up(count: int, rng: np.random.Generator) -> tuple[list[Card], list[frozenset[int]]]:
    """Cards with 6 to 25 columns, and which concepts each holds."""
    cards, holds = [], []
    usable = [number for number, concept in enumerate(CONCEPTS) if concept.codes]
    for number in range(count):
        picked = rng.choice(usable, int(rng.integers(6, 26)), replace=False).tolist()
        columns = tuple(column(one, place, rng) for place, one in enumerate(picked))
        title = f"{rng.choice(_PLACES)} {rng.choice(_STUDIES)} {number}"
        schema = Schema(title, columns)
        entries = tuple(CardColumn(one, None) for one in columns)
        cards.append(Card(title, "Routine records.", "", "", schema.digest(), entries, 100, bytes(32)))
        holds.append(frozenset(picked))
    return cards, holds


def column(number: int, place: int, rng: np.random.Generator) -> Column:
    """A column of a concept: named by one of its names, or by nothing but a code."""
    concept = CONCEPTS[number]
    name = str(rng.choice(concept.names)).replace(" ", "_").replace("-", "_").replace("'", "")
    code: tuple[str, ...] = (str(rng.choice(concept.codes)),)
    way = rng.integers(3)
    if way == 0:
        name, code = f"var{place}", code
    elif way == 1:
        code = ()
    return Column(name, "number", "feature", "", "", 0.0, 1.0, (), False, None, code)


def ask(holds: list[frozenset[int]], count: int, rng: np.random.Generator) -> list[Question]:
    """Questions in the concepts' names, each concept about equally often."""
    asked = []
    for turn in range(count):
        number = sorted({one for held in holds for one in held})[turn % len({one for held in holds for one in held})]
        text = str(rng.choice(CONCEPTS[number].names))
        asked.append(Question(text, frozenset(i for i, held in enumerate(holds) if number in held)))
    return asked


def run(name: str, build: Callable[[], Search], questions: list[Question]) -> dict[str, object]:
    """Build once, ask everything once; times are of one thread."""
    start = time.perf_counter()
    search = build()
    built = time.perf_counter() - start
    seconds, precision, recall = [], [], []
    search(questions[0].text)
    for question in questions:
        start = time.perf_counter()
        found = search(question.text)
        seconds.append(time.perf_counter() - start)
        precision.append(sum(one in question.right for one in found[:FIRST]) / FIRST)
        recall.append(len(question.right & set(found[: len(question.right)])) / len(question.right))
    return {
        "search": name,
        "build s": round(built, 2),
        "median ms": round(1000 * statistics.median(seconds), 2),
        "worst ms": round(1000 * max(seconds), 2),
        "precision@10": round(statistics.mean(precision), 3),
        "recall@R": round(statistics.mean(recall), 3),
    }


def text_of(card: Card) -> str:
    """What a peer gets of a card: every word of it, names apart."""
    parts = [card.title, card.description]
    for entry in card.columns:
        parts += [entry.column.name.replace("_", " "), entry.column.description, *entry.column.codes]
    return " ".join(parts)


def ours(cards: list[Card], most: int) -> Search:
    """This project's."""
    index = Index(cards)
    return lambda query: [hit.card for hit in index.search(query, most=most)]


def by_sqlite(cards: list[Card], most: int) -> Search:
    """SQLite's FTS5: BM25 over Porter's stems; any word of the question may match."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE cards USING fts5(text, tokenize = 'porter unicode61')")
    database.executemany("INSERT INTO cards(rowid, text) VALUES (?, ?)", enumerate(map(text_of, cards)))
    found = "SELECT rowid FROM cards WHERE cards MATCH ? ORDER BY bm25(cards), rowid LIMIT ?"

    def search(query: str) -> list[int]:
        said = " OR ".join(f'"{word}"' for word in query.replace('"', " ").split())
        return [int(row[0]) for row in database.execute(found, (said, most)).fetchall()]

    return search


def by_sklearn(cards: list[Card], most: int) -> Search:
    """Cosine of TF-IDF vectors, English stop words."""
    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    matrix = vectors.fit_transform([text_of(card) for card in cards]).tocsr()

    def search(query: str) -> list[int]:
        scores = (matrix @ vectors.transform([query]).T).toarray().ravel()
        best = np.argsort(-scores, kind="stable")[:most]
        return [int(one) for one in best if scores[one] > 0]

    return search


if __name__ == "__main__":
    raise SystemExit(main())
