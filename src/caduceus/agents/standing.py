"""What a site's rounds stand on: set-ups that it took part in, also after a restart.

What a set-up leaves is derived again from the site's root and from three messages that its journal keeps as they came,
sealed or public. Nothing secret is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from caduceus import canon
from caduceus.crypto.entropy import Entropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Seat
from caduceus.ports import Journal
from caduceus.protocol.envelope import Signed, read_signed
from caduceus.protocol.job_messages import Prepare
from caduceus.protocol.secagg_ground import Ground
from caduceus.protocol.secagg_messages import Endorsed, Inbox, Ready, RosterFor
from caduceus.protocol.secagg_reading import COORDINATOR
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_site import SetupSite, SetupStep
from caduceus.protocol.session_for import Grounds

_ROSTER, _INBOX, _READY, _ENDORSED = (canon.tag_of(kind) for kind in (RosterFor, Inbox, Ready, Endorsed))

SETUP_KINDS = frozenset((_ROSTER, _INBOX, _READY, _ENDORSED))
"""The coordinator's messages in a set-up, by tag."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a site signs, vouches and masks with; never printed.

    identity  seed of its ML-DSA-65 key, 32 bytes
    """

    signer: Signer
    identity: bytes
    entropy: Entropy

    def __repr__(self) -> str:
        return f"Secrets({self.signer!r})"


@canon.record("seat/confirmed/1")
class _Confirmed:
    """What a site keeps of a set-up that it confirmed: with the outcome it stands on it, also after a restart.

    Messages as received.
    """

    call: Prepare
    roster: bytes
    inbox: bytes


@dataclass(slots=True)
class _Preparing:
    """A set-up under way.

    roster  the coordinator's message with it, as received
    """

    call: Prepare
    site: SetupSite
    roster: bytes = b""


@final
class Standing:
    """The set-ups of one site in one job.

    grounds  what the chain says
    journal  the site's own memory
    """

    def __init__(self, grounds: Grounds, seat: Seat, *, journal: Journal, secrets: Secrets) -> None:
        self._grounds, self._seat, self._journal, self._secrets = grounds, seat, journal, secrets
        self._identity = Identity(secrets.identity)
        self._preparing: _Preparing | None = None
        self._ground: Ground | None = None

    def prepare(self, call: Prepare) -> bytes:
        """Begin a set-up: the advertisement.

        Raises Refused if what the coordinator calls to is not a sound set-up of this job.
        """
        site = self._new(call)
        self._preparing = _Preparing(call, site)
        return site.advertise()

    def react(self, kind: str | None, body: bytes) -> Sequence[bytes]:
        """Answer a message of the set-up under way.

        Raises PeerFault if the coordinator broke the protocol, Refused if the site may not answer.
        """
        under_way = self._preparing
        if kind == _ENDORSED and (under_way is None or under_way.site.step is SetupStep.READY):
            return self._hear_again(body)
        if under_way is None:
            # Nobody's fault: this process may have started since it was called, or could not answer the call.
            raise Refused("this site has no call to the set-up at hand; it waits for the next one")
        replies = under_way.site.react(body)
        if kind == _ROSTER:
            under_way.roster = body
        elif kind == _INBOX:
            confirmed = _Confirmed(under_way.call, under_way.roster, body)
            self._keep(f"confirmed/{_roster_in(under_way.roster).hex()}", canon.pack(confirmed))
        elif kind == _ENDORSED and under_way.site.ground is not None:
            self._ground = under_way.site.ground
            self._keep(f"standing/{self._ground.ready.hex()}", body)
        return replies

    def on(self, ready: Digest) -> Ground:
        """What this site has of a set-up, from memory or, after a restart, from its journal.

        Raises Refused if it has nothing: it took no part, or lost its journal.
        """
        if self._ground is None or self._ground.ready != ready:
            endorsed = self._journal.get(self._key(f"standing/{ready.hex()}"))
            if endorsed is None:
                raise Refused("called to a round of a set-up in which this site has no part; it waits for the next one")
            self._ground = self._restore(endorsed)
        return self._ground

    def _new(self, call: Prepare) -> SetupSite:
        return SetupSite(
            Layout(self._grounds.setup(first=call.first, rounds=call.rounds, draw=call.draw)),
            self._seat,
            signer=self._secrets.signer,
            identity=self._identity,
            entropy=self._secrets.entropy,
            remember=self._keep,
        )

    def _hear_again(self, endorsed: bytes) -> Sequence[bytes]:
        """The outcome of a set-up whose end this process did not see: it or the coordinator has started again."""
        key = f"standing/{canon.digest(self._outcome(endorsed)).hex()}"
        if self._journal.get(self._key(key)) is None:
            self._ground = self._restore(endorsed)
            self._keep(key, endorsed)
        return []

    def _outcome(self, endorsed: bytes) -> Ready:
        """The outcome of a set-up, as the coordinator signed it."""
        try:
            said = canon.unpack(Endorsed, endorsed)
        except Refused as problem:
            raise PeerFault(COORDINATOR, f"sent something unreadable: {problem}", evidence=endorsed) from None
        signer, domain = self._grounds.coordinator_signer, self._grounds.domain
        return read_signed(Ready, said.ready, signer=signer, domain=domain, who=COORDINATOR)

    def _restore(self, endorsed: bytes) -> Ground:
        kept = self._journal.get(self._key(f"confirmed/{self._outcome(endorsed).roster.hex()}"))
        if kept is None:
            raise Refused("told the outcome of a set-up that this site did not confirm; it waits for the next one")
        confirmed = canon.unpack(_Confirmed, kept)
        return self._new(confirmed.call).restore(confirmed.roster, confirmed.inbox, endorsed)

    def _keep(self, what: str, value: bytes) -> None:
        """Write down what outlives this process; the upload that follows makes it outlast a power cut."""
        self._journal.put_all({self._key(what): value}, at_once=False)

    def _key(self, what: str) -> str:
        return f"{self._grounds.job.hex()}/{what}"


def _roster_in(message: bytes) -> Digest:
    """The digest of the roster in a message that a site has answered."""
    return canon.digest_bytes(canon.unpack(Signed, canon.unpack(RosterFor, message).roster).body)
