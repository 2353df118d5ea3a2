"""Reading what the parties signed: the same checks at the coordinator, at sites, and at an auditor.

A PeerFault names the seat that a message was taken from. Whoever reads what the coordinator only passed on does so
inside `passed_on`: an honest coordinator passes on nothing that fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Address
from caduceus.protocol.envelope import Signed, read_signed, read_vouched

T = TypeVar("T")

COORDINATOR = "the coordinator"

_STATEMENTS_REMEMBERED = 4096
_MOST_REMEMBERED = 1 << 16
"""Bytes of a message that is remembered; longer ones are few, and together they could fill the memory."""


def name_of(seat: int) -> str:
    """How a site is called in faults."""
    return f"seat {seat}"


@contextmanager
def passed_on() -> Iterator[None]:
    """Faults found inside are the coordinator's: it passed on, or wrote down, what it had to refuse."""
    try:
        yield
    except PeerFault as problem:
        why = f"let a message pass that it had to refuse: {problem.who} {problem.why}"
        raise PeerFault(COORDINATOR, why, evidence=problem.evidence) from None


def statement(kind: type[T], data: bytes, *, signer: Address, domain: bytes, seat: int) -> T:
    """A record that a seat signed as an EIP-712 statement.

    Raises PeerFault if it is malformed, another record, or another's.
    """
    try:
        read = _signed if len(data) <= _MOST_REMEMBERED else _signed.__wrapped__
        return cast(T, read(cast(Any, kind), data, signer, domain))
    except PeerFault as problem:
        raise PeerFault(name_of(seat), problem.why, evidence=data) from None


def vouched(kind: type[T], data: bytes, *, verifier: bytes, seat: int) -> T:
    """A record that a seat signed with its ML-DSA-65 key.

    Raises PeerFault as `statement` does.
    """
    try:
        return cast(T, _vouched(cast(Any, kind), data, verifier))
    except PeerFault as problem:
        raise PeerFault(name_of(seat), problem.why, evidence=data) from None


def vouched_by_itself(kind: type[T], data: bytes, *, voucher: bytes, seat: int) -> T:
    """A record that brings the key that signed it, in `verifier`, and is a seat's if the key's SHA-256 is its voucher.

    Raises PeerFault as `statement` does.
    """
    try:
        return cast(T, _vouched_by_itself(cast(Any, kind), data, voucher))
    except PeerFault as problem:
        raise PeerFault(name_of(seat), problem.why, evidence=data) from None


def fits(array: npt.NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Whether a table of bytes has the shape that is due."""
    return array.shape == shape and bool(array.dtype == np.uint8)


def peek_seat(kind: type[Any], data: bytes) -> int:
    """The seat that a message says it is from, unchecked; -1 if it cannot be read. For looking up the key only."""
    try:
        return int(canon.unpack(kind, canon.unpack(Signed, data).body).seat)
    except Refused:
        return -1


def forget() -> None:
    """Forget which signatures were checked: for measuring what one party alone has to do."""
    for remembered in (_signed, _vouched, _vouched_by_itself):
        remembered.cache_clear()


# Public values in and out. Where several parties run in one process they read the same messages.


@lru_cache(maxsize=_STATEMENTS_REMEMBERED)
def _signed(kind: type[object], data: bytes, signer: Address, domain: bytes) -> object:
    return read_signed(kind, data, signer=signer, domain=domain, who="")


@lru_cache(maxsize=_STATEMENTS_REMEMBERED)
def _vouched(kind: type[object], data: bytes, verifier: bytes) -> object:
    return read_vouched(kind, data, verifier=lambda _: verifier, who="")


@lru_cache(maxsize=_STATEMENTS_REMEMBERED)
def _vouched_by_itself(kind: type[Any], data: bytes, voucher: bytes) -> object:
    def verifier(said: Any) -> bytes:
        if sha256(said.verifier).digest() != voucher:
            raise PeerFault("", "signed with another key than it enrolled with", evidence=data)
        return bytes(said.verifier)

    return read_vouched(kind, data, verifier=verifier, who="")
