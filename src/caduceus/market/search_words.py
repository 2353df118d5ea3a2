"""Texts as search terms: words in small letters, compounds apart, and endings off.

A name such as `sysBP_mean2` gives itself and its parts: who writes it so finds it, and so does who means it in words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:[-'.][^\W_]+)*")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SPELLINGS = (("haem", "hem"), ("aemia", "emia"), ("oedema", "edema"), ("oestr", "estr"), ("paed", "ped"))
"""British and American, at any place in a word (medical spellings, such as haemoglobin and anaemia)."""

_LONGEST = 60
"""Letters of a word that are looked at."""

STOP = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "is", "it", "its", "no"),
        *("not", "of", "on", "or", "per", "than", "that", "the", "their", "this", "to", "was", "were", "when", "where"),
        *("whether", "which", "who", "with", "without"),
    )
)
"""Words that tell nothing apart."""


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A word in small letters, spelt one way, without its ending in the plural.

    Source: Harman, "How effective is suffixing?", JASIS 42 (1991): the S stemmer, which confuses few words.
    """
    word = word.casefold()
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    if len(word) > 4 and word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1] if not word.endswith(("sses", "xes", "ches", "shes")) else word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("us", "ss", "is")):
        return word[:-1]
    return word


def _fold(text: str) -> str:
    """A text without accents, and with underscores as spaces."""
    apart = unicodedata.normalize("NFKD", text.replace("_", " ").replace("ß", "ss"))
    return "".join(one for one in apart if not unicodedata.combining(one))


@lru_cache(maxsize=1 << 16)
def _split(word: str) -> tuple[str, ...]:
    """A word without underscores: itself, and its parts if it has several of a letter or more."""
    whole = word.replace("-", "").replace("'", "").replace(".", "")
    parts = [part for piece in re.split(r"[-'.]", word) for part in _PARTS.findall(piece)]
    terms = [whole] if len(parts) < 2 else [whole, *(part for part in parts if len(part) > 1)]
    return tuple(dict.fromkeys(stem(term) for term in terms if term))


def words(text: str) -> list[str]:
    """A text's words in order, each once where it stands, stemmed and not split: for looking names up."""
    found = (stem(one[:_LONGEST].replace("-", " ").replace("'", "")) for one in _WORD.findall(_fold(text)))
    return [part for one in found for part in one.split(" ") if part and part not in STOP]


def terms(text: str) -> list[str]:
    """A text's search terms: its words and their parts, in order, with repetitions."""
    found = [term for one in _WORD.findall(_fold(text)) for term in _split(one[:_LONGEST])]
    return [term for term in found if term not in STOP]
