"""The Data Use Ontology of GA4GH: what a data set may be used for, as terms that everybody means alike.

A permission says for what; modifiers narrow it down, and one of them, CC, widens it. The numbers are the ontology's
own: `Permission.HMB` is DUO:0000006.

Source: Data Use Ontology, https://github.com/EBISPOT/DUO, commit 81f5c3d9, CC BY 4.0; Lawson et al., "The Data Use
Ontology to streamline responsible access to human biomedical datasets", Cell Genomics 1 (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Permission(IntEnum):
    """What data may be used for (children of DUO:0000001, data use permission)."""

    NRES = 4
    HMB = 6
    DS = 7
    POA = 11
    GRU = 42


class Modifier(IntEnum):
    """Under what further conditions (children of DUO:0000017, data use modifier)."""

    RS = 12
    NMDS = 15
    GSO = 16
    NPUNCU = 18
    PUB = 19
    COL = 20
    IRB = 21
    GS = 22
    MOR = 24
    TS = 25
    US = 26
    PS = 27
    IS = 28
    RTN = 29
    CC = 43
    NPOA = 44
    NPU = 45
    NCU = 46


ROOTS: Mapping[int, str] = {1: "data use permission", 17: "data use modifier"}
"""The two terms that only gather the others."""

LABELS: Mapping[Permission | Modifier, str] = {
    Permission.NRES: "no restriction",
    Permission.GRU: "general research use",
    Permission.HMB: "health or medical or biomedical research",
    Permission.DS: "disease specific research",
    Permission.POA: "population origins or ancestry research only",
    Modifier.IRB: "ethics approval required",
    Modifier.PUB: "publication required",
    Modifier.US: "user specific restriction",
    Modifier.NPOA: "population origins or ancestry research prohibited",
    Modifier.COL: "collaboration required",
    Modifier.NCU: "non-commercial use only",
    Modifier.NPUNCU: "not for profit, non commercial use only",
    Modifier.RS: "research specific restrictions",
    Modifier.TS: "time limit on use",
    Modifier.NPU: "not for profit organisation use only",
    Modifier.MOR: "publication moratorium",
    Modifier.GSO: "genetic studies only",
    Modifier.RTN: "return to database or resource",
    Modifier.CC: "clinical care use",
    Modifier.NMDS: "no general methods research",
    Modifier.IS: "institution specific restriction",
    Modifier.GS: "geographical restriction",
    Modifier.PS: "project specific restriction",
}
"""The ontology's labels."""

VALUED = frozenset((Modifier.RS, Modifier.GS, Modifier.MOR, Modifier.TS, Modifier.US, Modifier.PS, Modifier.IS))
"""Modifiers that say nothing without a value: which type, where, until when, who."""

BARE = frozenset(Modifier) - VALUED
"""Modifiers that stand for themselves."""


def duo_id(term: int) -> str:
    """How the ontology writes a term, such as "DUO:0000006"."""
    return f"DUO:{int(term):07}"
