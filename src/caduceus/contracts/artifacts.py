"""Committed compiler output, so that users need no compiler.

`contracts/build.mjs` writes the files; a test rebuilds them and compares byte for byte where the compiler
is installed, and another compares the sources' digests where it is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from caduceus.errors import Misuse

SUITE = ("DemoToken", "Members", "Vouches", "Datasets", "Standing", "Jobs", "Statuses")
"""The contracts of a network, in the order in which they are deployed."""

NAMES = (*SUITE, "Heads")
"""Every deployable contract: `Heads` is on a chain of its own, where private networks record their blocks."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    compiler: str
    settings: Mapping[str, Any]
    sources: Mapping[str, str]
    """SHA-256, in hex, of every source file that went into it, by the name under which it is imported."""
    abi: Sequence[Mapping[str, Any]]
    bytecode: bytes
    """Creation code, without constructor arguments."""
    deployed: bytes
    """Code at the contract's address, with immutable values left zero."""
    immutables: Sequence[tuple[int, int]]
    """Where `deployed` holds values that the constructor sets: start and length in bytes, in order."""

    def matches(self, code: bytes) -> bool:
        """Whether `code`, read from a chain, is this contract's, whatever its immutable values are."""
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(len(masked[start : start + length]))
        return bytes(masked) == self.deployed


@cache
def load(name: str) -> Artifact:
    """The artifact of one of `NAMES`.

    Raises Misuse for any other name.
    """
    if name not in NAMES:
        raise Misuse(f"no contract is called {name!r}; there are {', '.join(NAMES)}")
    text = resources.files("caduceus.contracts").joinpath("artifacts", f"{name}.json").read_text("utf-8")
    tree = json.loads(text)
    return Artifact(
        name=tree["name"],
        compiler=tree["compiler"],
        settings=tree["settings"],
        sources=tree["sources"],
        abi=tree["abi"],
        bytecode=bytes.fromhex(tree["bytecode"]),
        deployed=bytes.fromhex(tree["deployedBytecode"]),
        immutables=tuple((start, length) for start, length in tree["immutables"]),
    )
