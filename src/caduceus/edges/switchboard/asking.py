"""What a spoke has asked the hub for, and waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from typing import final

from caduceus.edges.switchboard.frames import Kind, Refusal
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest

Answer = bytes | Refusal | None
"""What came, why nothing comes, or None if the hub that was asked is gone."""


@final
class Asking:
    """Questions by kind (ask or put) and digest; several threads may wait for the same answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[Kind, bytes], list[Future[Answer]]] = {}

    @contextmanager
    def question(self, kind: Kind, digest: Digest) -> Iterator[Future[Answer]]:
        """Somebody waits from now on, until this is left."""
        future: Future[Answer] = Future()
        with self._lock:
            self._waiting.setdefault((kind, digest), []).append(future)
        try:
            yield future
        finally:
            with self._lock:
                left = [one for one in self._waiting.get((kind, digest), ()) if one is not future]
                if left:
                    self._waiting[kind, digest] = left
                else:
                    self._waiting.pop((kind, digest), None)

    def answer(self, kind: Kind, digest: bytes, what: Answer) -> bool:
        """Give everybody who asked their answer; whether anybody did."""
        with self._lock:
            futures = self._waiting.pop((kind, digest), [])
        for future in futures:
            future.set_result(what)
        return bool(futures)

    def drop(self) -> None:
        """Nobody will answer any more."""
        with self._lock:
            questions = list(self._waiting)
        for kind, digest in questions:
            self.answer(kind, digest, None)


def await_answer(future: Future[Answer], patience: float, what: str) -> bytes:
    """What came, within `patience` seconds.

    what  that was asked, for people

    Raises Refused if the hub refused it; Unavailable if it could not answer, or has not in time.
    """
    try:
        answer = future.result(patience)
    except TooLate:
        raise Unavailable(f"{what}: the coordinator has not answered in {patience:g} s; try again") from None
    if answer is None:
        raise Unavailable(f"{what}: the coordinator started again before it answered; try again")
    if isinstance(answer, Refusal):
        raise (Unavailable if answer.kind == Unavailable.__name__ else Refused)(answer.why)
    return answer
