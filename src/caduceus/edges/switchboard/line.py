"""The coordinator's line to the parties of one job."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import final

from caduceus.errors import Refused
from caduceus.kinds import Address, JobId
from caduceus.ports import Envelope

MESSAGES_WAITING, BYTES_WAITING = 256, 1 << 28
"""Of one party, that nobody has read yet; one message may be longer."""


@final
class Line:
    """Implements `ports.Channel` for one job.

    post     sends a body to a party; raises Unavailable if there is no way to it
    signers  by account, who is heard
    """

    def __init__(
        self, job: JobId, post: Callable[[Address, JobId, bytes], None], signers: Mapping[Address, Address]
    ) -> None:
        self.signers = dict(signers)
        self._job, self._post = job, post
        self._inbox: deque[Envelope] = deque()
        self._messages: Counter[Address] = Counter()
        self._bytes: Counter[Address] = Counter()
        self._changed = threading.Condition()

    def send(self, site: Address, body: bytes) -> None:
        """Hand a message over for delivery; see `ports.Channel`."""
        if site not in self.signers:
            raise Refused(f"0x{site.hex()} has no part in job 0x{self._job.hex()[:8]}")
        self._post(site, self._job, body)

    def receive(self, *, timeout: float) -> Envelope | None:
        """The next message from any party; see `ports.Channel`."""
        with self._changed:
            self._changed.wait_for(lambda: self._inbox, max(timeout, 0.0))
            if not self._inbox:
                return None
            envelope = self._inbox.popleft()
            if envelope.body:
                self._messages[envelope.sender] -= 1
                self._bytes[envelope.sender] -= len(envelope.body)
            return envelope

    def deliver(self, sender: Address, body: bytes) -> None:
        """Put a message where `receive` finds it.

        Raises Refused if it says nothing, or if too much of this party waits already.
        """
        if not body:
            raise Refused("an empty message")
        with self._changed:
            count, size = self._messages[sender], self._bytes[sender]
            if count and (count >= MESSAGES_WAITING or size + len(body) > BYTES_WAITING):
                raise Refused(f"{count} messages of this party, {size} bytes, wait to be read; no more are taken")
            self._messages[sender] += 1
            self._bytes[sender] += len(body)
            self._inbox.append(Envelope(sender, body))
            self._changed.notify()

    def returned(self, party: Address) -> None:
        """Say that a party may have lost what was sent to it, if it has a part in the job; once until that is read."""
        if party not in self.signers:
            return
        with self._changed:
            if not any(one.sender == party and not one.body for one in self._inbox):
                self._inbox.append(Envelope(party, b""))
                self._changed.notify()
