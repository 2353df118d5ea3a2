"""The blocks of many files, worked on by several processes, with results in the order of the files."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from typing import TypeVar

from caduceus.edges.fhir.files import Block
from caduceus.errors import Unavailable

T = TypeVar("T")

WORTH = 1 << 26
"""With fewer bytes than this, starting processes takes longer than the work."""
_AHEAD = 2
"""Blocks that wait or are worked on, for each process: what is in memory at once."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_blocks(work: Callable[[Block], T], blocks: Iterable[Block], *, processes: int | None = None) -> Iterator[T]:
    """What `work` makes of each block, in order.

    work       can be pickled, as a function of a module with some arguments bound
    processes  how many work at once; None for one a core. The results are the same for any number
    """
    many = cores() if processes is None else processes
    ahead = iter(blocks)
    first, size = list[Block](), 0
    while size < WORTH and (block := next(ahead, None)) is not None:
        first.append(block)
        size += len(block.data)
    if size < WORTH or many < 2:
        yield from map(work, chain(first, ahead))
        return
    with ProcessPoolExecutor(many, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for block in _emptied(first, ahead):
                waiting.append(pool.submit(work, block))
                if len(waiting) >= many * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise Unavailable("a process that reads FHIR ended early, probably for want of memory; try again") from None
        finally:
            for left in waiting:
                left.cancel()


def _emptied(first: list[Block], ahead: Iterator[Block]) -> Iterator[Block]:
    """First the ones, which are let go of one by one, then the others."""
    first.reverse()
    while first:
        yield first.pop()
    yield from ahead
