"""The seal of a closed chain file: a digest per piece, so that any changed byte is found and placed.

A seal guards against damage and against quiet edits of the file alone. It is no signature: who can write
the file can write its seal too, which is why an audit also re-executes the chain and compares the head with
what others know of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from caduceus import canon
from caduceus.edges.evm_embedded.store import FORMAT
from caduceus.errors import Refused

PIECE = 65_536


@canon.record("chain/seal/1")
class Seal:
    """What a closed chain file held."""

    format: int
    chain_id: int
    genesis: bytes
    """Hash of block 0."""
    number: int
    """Of the newest block."""
    head: bytes
    """Hash of the newest block."""
    size: int
    """Of the file, in bytes."""
    pieces: tuple[bytes, ...]
    """SHA-256 of each 64 KiB of the file; the last piece may be shorter."""


@canon.record("chain/sealed/1")
class _Enveloped:
    seal: bytes
    digest: bytes
    """SHA-256 of `seal`, so that damage to the seal itself is not blamed on the file."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit, and where."""

    file: Path
    what: str
    start: int | None = None
    """First byte of the range in which the file differs from its seal, if that is how it was found."""
    end: int | None = None
    """Byte after the range."""

    def __str__(self) -> str:
        place = "" if self.start is None else f", bytes {self.start} to {self.end}"
        return f"{self.file}{place}: {self.what}"


def seal_name(path: Path) -> Path:
    """The seal's file beside a chain file."""
    return path.with_name(path.name + ".seal")


def write_seal(path: Path, *, chain_id: int, genesis: bytes, number: int, head: bytes) -> None:
    """Seal a closed chain file; the seal appears whole or not at all."""
    pieces = tuple(_pieces(path))
    seal = Seal(FORMAT, chain_id, genesis, number, head, path.stat().st_size, pieces)
    body = canon.pack(seal)
    name = seal_name(path)
    draft = name.with_name(name.name + ".new")
    with draft.open("wb") as file:
        file.write(canon.pack(_Enveloped(body, sha256(body).digest())))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(name)


def remove_seal(path: Path) -> None:
    """Break the seal, before the first byte of the file changes."""
    seal_name(path).unlink(missing_ok=True)


def read_seal(path: Path) -> Seal | None:
    """The seal of a chain file, or None if it has none.

    Raises Refused, naming the seal's file, if the seal is damaged.
    """
    name = seal_name(path)
    try:
        data = name.read_bytes()
    except FileNotFoundError:
        return None
    try:
        enveloped = canon.unpack(_Enveloped, data)
        if sha256(enveloped.seal).digest() != enveloped.digest:
            raise Refused("it does not match its own digest")
        seal = canon.unpack(Seal, enveloped.seal)
    except Refused as refusal:
        raise Refused(f"{name}: the seal itself is damaged ({refusal})") from None
    if seal.format != FORMAT:
        raise Refused(f"{name}: seals a file of format {seal.format}; this version reads format {FORMAT}")
    return seal


def check_pieces(path: Path, seal: Seal) -> list[Problem]:
    """Every range in which the file is not what was sealed."""
    problems = []
    size = path.stat().st_size
    if size != seal.size:
        problems.append(Problem(path, f"has {size} bytes, sealed with {seal.size}", min(size, seal.size), size))
    for i, (found, sealed) in enumerate(zip(_pieces(path), seal.pieces, strict=False)):
        if found != sealed:
            end = min((i + 1) * PIECE, size)
            problems.append(Problem(path, "not what was sealed", i * PIECE, end))
    return problems


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield sha256(piece).digest()
