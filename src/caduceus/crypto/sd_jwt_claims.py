"""Claims behind digests: what a disclosure is, and how disclosures are put back where their digests stand.

Source: RFC 9901, sections 4.2 and 7.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from caduceus.crypto.sd_jwt_keys import Json, decode, encode, read_json
from caduceus.errors import Refused

DIGESTS, ALGORITHM, ELEMENT = "_sd", "_sd_alg", "..."
"""Names that mean digests, and are nobody's claims."""

_MOST_DEEP = 12


def digest(text: str) -> str:
    """SHA-256 of text as it stands in a token, in base64url."""
    return encode(sha256(text.encode()).digest())


def parts_of(disclosure: str) -> list[Any]:
    """Salt, name and value of a disclosure; salt and value if it is of an element of a list.

    Raises Refused if it is none, or has a reserved name.
    """
    parts = read_json(decode(disclosure, "a disclosure"), "a disclosure")
    if not isinstance(parts, list) or len(parts) not in (2, 3) or not all(isinstance(one, str) for one in parts[:-1]):
        raise Refused("a disclosure: not a salt, a name and a value, or a salt and a value")
    if len(parts) == 3 and parts[1] in (DIGESTS, ELEMENT):
        raise Refused("a disclosure: its name is reserved")
    return parts


@dataclass(slots=True)
class _Unfolding:
    """Disclosures by digest, the digests met so far, and the disclosures put back."""

    given: Mapping[str, list[Any]]
    met: set[str]
    used: set[str]

    def meet(self, digest: object) -> list[Any] | None:
        """The disclosure behind a digest, which may stand in one place only."""
        if not isinstance(digest, str) or digest in self.met:
            raise Refused("the credential: a digest stands twice, or is none")
        self.met.add(digest)
        found = self.given.get(digest)
        if found is not None:
            self.used.add(digest)
        return found


def unfold(payload: Json, disclosures: Sequence[str]) -> tuple[Json, frozenset[str]]:
    """The claims of a token with its disclosures put back, and the names of top-level claims that were hidden.

    Digests without a disclosure are left out: what was not shown, and decoys, look alike.

    Raises Refused if a digest stands twice, if a disclosure has no place or a wrong one, or if a name is reserved.
    """
    if payload.get(ALGORITHM, "sha-256") != "sha-256":
        raise Refused("the credential: digests are SHA-256 here")
    given = {digest(one): parts_of(one) for one in disclosures}
    if len(given) < len(disclosures):
        raise Refused("the presentation: a disclosure stands twice")
    unfolding = _Unfolding(given, set(), set())
    claims = _unfold({name: value for name, value in payload.items() if name != ALGORITHM}, unfolding, 1)
    if len(unfolding.used) < len(given):
        raise Refused("the presentation: a disclosure belongs to no digest of the credential")
    return claims, frozenset(claims) - frozenset(payload)


def _unfold(tree: Any, unfolding: _Unfolding, depth: int) -> Any:
    if depth > _MOST_DEEP:
        raise Refused(f"the credential: more than {_MOST_DEEP} levels")
    if isinstance(tree, list):
        return [item for one in tree for item in _element(one, unfolding, depth)]
    if not isinstance(tree, dict):
        return tree
    if ELEMENT in tree or (ALGORITHM in tree):
        raise Refused("the credential: a reserved name stands where it means nothing")
    found = {name: _unfold(value, unfolding, depth + 1) for name, value in tree.items() if name != DIGESTS}
    digests = tree.get(DIGESTS, [])
    if not isinstance(digests, list):
        raise Refused("the credential: _sd is no list of digests")
    for digest in digests:
        parts = unfolding.meet(digest)
        if parts is None:
            continue
        if len(parts) != 3 or parts[1] in found:
            raise Refused("the credential: a disclosure stands in the wrong place, or names a claim that is there")
        found[parts[1]] = _unfold(parts[2], unfolding, depth + 1)
    return found


def _element(one: Any, unfolding: _Unfolding, depth: int) -> list[Any]:
    if not isinstance(one, dict) or ELEMENT not in one:
        return [_unfold(one, unfolding, depth + 1)]
    if len(one) != 1:
        raise Refused("the credential: a digest in a list stands alone")
    parts = unfolding.meet(one[ELEMENT])
    if parts is None:
        return []
    if len(parts) != 2:
        raise Refused("the credential: a disclosure stands in the wrong place")
    return [_unfold(parts[1], unfolding, depth + 1)]
