"""Ports that tell a lookout what passes: wrap them, and nothing above or below knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from caduceus.canon import digest_bytes
from caduceus.edges.watching.audit_line import Kind
from caduceus.edges.watching.detail import Detail, message_of
from caduceus.edges.watching.lookout import Lookout
from caduceus.edges.watching.metrics import Metrics, Way
from caduceus.kinds import Address, JobId
from caduceus.ports import Channel, Envelope, Hub, Journal, Reactor


@final
class WatchedReactor:
    """A site's end of one job, with every question and every answer in its audit log before the answer leaves."""

    def __init__(self, inner: Reactor, lookout: Lookout, job: JobId, coordinator: Address) -> None:
        """coordinator  who asks, as the audit log names it"""
        self._inner, self._lookout, self._job, self._coordinator = inner, lookout, job, coordinator

    def react(self, body: bytes) -> Sequence[bytes]:
        """As the reactor within. Raises Unavailable as well, if the audit log cannot be written: nothing leaves then.

        Digests of messages are plain: the other side has seen them, and what was uploaded is found by them in the
        transcript.
        """
        asked = self._detail(body)
        self._lookout.message(Way.IN, asked)
        self._lookout.note(Kind.ASKED, asked, at_once=False)
        try:
            replies = self._inner.react(body)
        except BaseException as problem:
            about = Detail(job=self._job, peer=self._coordinator, message=asked.message, reason=problem)
            self._lookout.note(Kind.REFUSED, about)
            self._lookout.problem(problem, about)
            raise
        left = [self._detail(one) for one in replies]
        for detail in left:
            self._lookout.note(Kind.LEFT, detail, at_once=False)
        allowed = Detail(job=self._job, peer=self._coordinator, message=asked.message, count=len(left))
        self._lookout.note(Kind.ALLOWED, allowed)
        for detail in left:
            self._lookout.message(Way.OUT, detail)
        return replies

    def _detail(self, body: bytes) -> Detail:
        return Detail(
            job=self._job,
            peer=self._coordinator,
            message=message_of(body),
            size=len(body),
            digest=digest_bytes(body),
        )


@final
class WatchedChannel:
    """A coordinator's line to a job's sites, with its messages counted and logged."""

    def __init__(self, inner: Channel, lookout: Lookout, job: JobId) -> None:
        self._inner, self._lookout, self._job = inner, lookout, job

    def send(self, site: Address, body: bytes) -> None:
        """As the channel within."""
        self._inner.send(site, body)
        self._tell(Way.OUT, site, body)

    def receive(self, *, timeout: float) -> Envelope | None:
        """As the channel within."""
        envelope = self._inner.receive(timeout=timeout)
        if envelope is not None:
            self._tell(Way.IN, envelope.sender, envelope.body)
        return envelope

    def _tell(self, way: Way, site: Address, body: bytes) -> None:
        detail = Detail(job=self._job, peer=site, message=message_of(body), size=len(body))
        self._lookout.message(way, detail)


@final
class WatchedHub:
    """A coordinator's end of the network, every line of it watched."""

    def __init__(self, inner: Hub, lookout: Lookout) -> None:
        self._inner, self._lookout = inner, lookout

    def open(self, job: JobId, signers: Mapping[Address, Address]) -> WatchedChannel:
        """As the hub within."""
        return WatchedChannel(self._inner.open(job, signers), self._lookout, job)

    def shut(self, job: JobId) -> None:
        """As the hub within."""
        self._inner.shut(job)


@final
class WatchedJournal:
    """A journal whose writes are counted."""

    def __init__(self, inner: Journal, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics

    def get(self, key: str) -> bytes | None:
        """As the journal within."""
        return self._inner.get(key)

    def put_once(self, key: str, value: bytes) -> None:
        """As the journal within."""
        self._inner.put_once(key, value)
        self._metrics.journal_written()

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        """As the journal within."""
        self._inner.put_all(entries, at_once=at_once)
        self._metrics.journal_written()

    def keys(self, prefix: str) -> Sequence[str]:
        """As the journal within."""
        return self._inner.keys(prefix)
