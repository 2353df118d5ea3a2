"""Colours by role, for light and for dark rooms; charts and styles name roles only.

The three arms differ by shape as well as by colour (filled disc, ring, diamond), and so do verdicts
(mark and word), so that nothing rests on colour alone. A test holds every text colour to WCAG 2.2's
contrast of 4.5 and keeps the arms apart under simulated colour blindness.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#f8f7f3",
        "card": "#ffffff",
        "sunk": "#f0eee7",
        "line": "#dedad0",
        "grid": "#e9e6de",
        "ink": "#1a2027",
        "soft": "#58616b",
        "federated": "#0a5c9e",
        "local": "#c05a0c",
        "pooled": "#6a7480",
        "good": "#00694f",
        "good-wash": "#e0f0ea",
        "bad": "#a8320c",
        "bad-wash": "#fae6dd",
        "open": "#7a5800",
        "open-wash": "#f6ecd3",
        "signed": "#46568c",
        "buyer": "#b8860b",
        "site": "#0f6e84",
        "fee": "#8e5bc4",
        "chain": "#e4ebf2",
        "chain-line": "#b4c5d6",
        "link": "#0a5c9e",
        "up": "#a8473a",
        "down": "#4f63b5",
        "moments": "#8793a1",
        "training": "#0a5c9e",
        "evaluation": "#b8860b",
    }
)
"""For bright rooms and for paper."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#12161b",
        "card": "#191f26",
        "sunk": "#222a33",
        "line": "#313b46",
        "grid": "#28313a",
        "ink": "#e9ebee",
        "soft": "#a3aeb9",
        "federated": "#62b3f2",
        "local": "#f2a35c",
        "pooled": "#a7b0ba",
        "good": "#5ec8a4",
        "good-wash": "#16332b",
        "bad": "#f58f68",
        "bad-wash": "#3a2018",
        "open": "#dfb64f",
        "open-wash": "#33290f",
        "signed": "#a3b3ec",
        "buyer": "#d9b653",
        "site": "#58bfd6",
        "fee": "#9b7ff0",
        "chain": "#1e2a36",
        "chain-line": "#3c5064",
        "link": "#7cc0f5",
        "up": "#f09a80",
        "down": "#8fa4f2",
        "moments": "#76828f",
        "training": "#62b3f2",
        "evaluation": "#e6c75a",
    }
)
"""For dark rooms; the same roles, one by one."""
