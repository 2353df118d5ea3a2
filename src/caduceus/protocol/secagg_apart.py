"""No two revealed sums differ by few sites: or their difference would say what those sites sent."""

from __future__ import annotations

from collections.abc import Iterable


def are_apart(revealed: Iterable[frozenset[int]], proposed: frozenset[int], least: int) -> bool:
    """Whether a sum over `proposed` may be revealed beside sums over these sites, of later or earlier states.

    least  by how many sites two sums must differ, unless they are over the same sites

    Sums from one and the same state are held to more: they are over the same sites or have none in common, which
    the one partition and the one survivor list per state see to. Whatever is added to or taken from what else, a
    combination of those is a combination of whole groups.
    """
    return all(earlier == proposed or len(earlier ^ proposed) >= least for earlier in revealed)
