"""A site's half of a set-up.

Sans I/O: bytes in, bytes out. What the site may do next is `SETUP_STEPS`. A set-up may be begun again with others: each
roster has secrets of its own. For one roster a site confirms once and a member stands by one outcome; both it hands to
`remember` first, so that neither a crash nor a coordinator that begins again with an old roster gets a second answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from hashlib import sha256
from typing import TypeVar, final

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle, shamir, xwing
from caduceus.crypto.entropy import Entropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer
from caduceus.errors import Error, Misuse, PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol import secagg_parcel as parcels
from caduceus.protocol import secagg_seeds as seeds
from caduceus.protocol.envelope import open_envelope, read_signed, sign_record, vouch
from caduceus.protocol.secagg_ground import Ground
from caduceus.protocol.secagg_messages import (
    KINDS,
    Advertise,
    Bytes,
    Confirm,
    Deal,
    Delivery,
    Endorse,
    Endorsed,
    Header,
    Inbox,
    Ready,
    Roster,
    RosterFor,
    commitment,
    deal_leaf,
    pair_check,
    parcel_bytes,
    share_digests,
)
from caduceus.protocol.secagg_parcel import Contents
from caduceus.protocol.secagg_reading import COORDINATOR, passed_on
from caduceus.protocol.secagg_setup import Layout, Present, ascending
from caduceus.protocol.secagg_setup_reading import SetupReader, deal_tree

Remember = Callable[[str, bytes], None]
"""`remember(what, digest)` keeps a decision durably; raises Refused if it was decided differently before."""


class SetupStep(Enum):
    """Where the site stands: what it has done last."""

    NEW = "nothing yet"
    ADVERTISED = "advertised"
    DEALT = "dealt"
    CONFIRMED = "confirmed"
    ENDORSED = "endorsed"
    READY = "got ready"
    STOPPED = "given up"


Told = RosterFor | Inbox | Ready | Endorsed
"""What a coordinator may send."""

SETUP_STEPS: Mapping[SetupStep, tuple[type[Told], ...]] = {
    SetupStep.ADVERTISED: (RosterFor,),
    SetupStep.DEALT: (Inbox,),
    SetupStep.CONFIRMED: (Ready, Endorsed),
    SetupStep.ENDORSED: (Endorsed,),
}
"""The coordinator's messages that are welcome at each step; any other is refused."""

M = TypeVar("M", RosterFor, Endorsed)
S = TypeVar("S", Roster, Inbox, Ready)


@final
class SetupSite:
    """One site in one set-up.

    layout    as the site itself put it together from the chain
    seat      its own
    identity  the ML-DSA-65 key that it enrolled with
    entropy   gives the set-up's secrets

    Raises Misuse if the keys are not those that the seat enrolled with.
    """

    def __init__(
        self,
        layout: Layout,
        seat: int,
        *,
        signer: Signer,
        identity: Identity,
        entropy: Entropy,
        remember: Remember,
    ) -> None:
        party = layout.party(seat)
        if party.signer != signer.address or party.voucher != sha256(identity.public).digest():
            raise Misuse(f"secagg: seat {seat} enrolled with other keys")
        self.step = SetupStep.NEW
        self.ground: Ground | None = None
        """What rounds need, once the site is ready."""
        self._layout, self._seat, self._reader = layout, seat, SetupReader(layout)
        self._signer, self._identity, self._entropy, self._remember = signer, identity, entropy, remember
        self._opener = xwing.Decapsulator(seeds.kem_seed(entropy, layout.id))
        self._answers: dict[bytes, list[bytes]] = {}
        self._present = layout.present(())
        self._roster = Digest(b"")
        self._context = b""
        self._adverts: dict[int, Advertise] = {}
        self._verifiers: dict[int, bytes] = {}
        self._secrets: Bytes = np.empty((0, 0, 0), np.uint8)
        self._pair_root = b""
        self._shares: Bytes = np.empty((0, 0), np.uint8)
        self._contents: dict[int, Contents | None] = {}

    # ------------------------------------------------------------ what it says

    def advertise(self) -> bytes:
        """1: the advertisement that opens the set-up for this site."""
        if self.step is not SetupStep.NEW:
            raise Misuse("secagg: advertises once")
        self.step = SetupStep.ADVERTISED
        said = Advertise(self._layout.id, self._seat, self._identity.public, self._opener.public)
        return vouch(self._identity, said)

    def react(self, data: bytes) -> list[bytes]:
        """Answer a message of the coordinator; the last message gets the same answer again, an earlier one none.

        returns  what to send back, possibly nothing

        Raises PeerFault if the coordinator broke the protocol; Refused if it asks for a second decision, or too few
        sites are left. If the message was due and signed by the coordinator as a whole, the site says nothing more in
        this set-up after either; anything else changes nothing.
        """
        name = sha256(data).digest()
        if name not in self._answers:
            message = self._read(data)
            try:
                answers = self._move(message)
                self._answers = {one: list[bytes]() for one in self._answers} | {name: answers}  # parcels are large
            except Error:
                if not isinstance(message, RosterFor | Endorsed):  # an altered one is not the coordinator's doing
                    self.step = SetupStep.STOPPED
                raise
        return self._answers[name]

    def forget(self) -> None:
        """Let go of the answers that are kept for messages that come again: where thousands of sites share a memory."""
        self._answers = {name: list[bytes]() for name in self._answers}

    def restore(self, roster: bytes, inbox: bytes, endorsed: bytes) -> Ground:
        """Be ready again after a restart, from the messages that made the site ready; says nothing.

        Raises PeerFault or Refused if they are not what they were.
        """
        self.step = SetupStep.ADVERTISED
        self._take_roster(self._bare(RosterFor, roster))
        self.step = SetupStep.DEALT
        self._take_inbox(self._signed(Inbox, inbox))
        self.ground = self._take_endorsed(self._bare(Endorsed, endorsed))
        self.step = SetupStep.READY
        return self.ground

    def _read(self, data: bytes) -> Told:
        welcome = SETUP_STEPS.get(self.step, ())
        bare = canon.peek_tag(data)
        if RosterFor in welcome and bare == canon.tag_of(RosterFor):
            return self._bare(RosterFor, data)
        if Endorsed in welcome and bare == canon.tag_of(Endorsed):
            return self._bare(Endorsed, data)
        said = canon.peek_tag(open_envelope(data, who=COORDINATOR).body)
        if Inbox in welcome and said == canon.tag_of(Inbox):
            return self._signed(Inbox, data)
        if Ready in welcome and said == canon.tag_of(Ready):
            return self._signed(Ready, data)
        raise PeerFault(COORDINATOR, f"sent something else to a site that has {self.step.value}", evidence=data)

    def _bare(self, kind: type[M], data: bytes) -> M:
        try:
            return canon.unpack(kind, data)
        except Refused as problem:
            raise PeerFault(COORDINATOR, f"sent something unreadable: {problem}", evidence=data) from None

    def _signed(self, kind: type[S], data: bytes) -> S:
        setup = self._layout.setup
        message = read_signed(kind, data, signer=setup.coordinator, domain=setup.domain, who=COORDINATOR)
        if message.setup != self._layout.id:
            raise PeerFault(COORDINATOR, "sent a message of another set-up or job", evidence=data)
        return message

    def _move(self, message: Told) -> list[bytes]:
        match message:
            case RosterFor():
                self._take_roster(message)
                self.step = SetupStep.DEALT
                dealt = self._deal()
                self._adverts = {}
                return [dealt]
            case Inbox():
                self._take_inbox(message)
                self.step = SetupStep.CONFIRMED
                return [self._confirm()]
            case Ready():
                answer = self._endorse(message)
                self.step = SetupStep.ENDORSED
                return [answer]
            case Endorsed():
                self.ground = self._take_endorsed(message)
                self.step = SetupStep.READY
                self._verifiers, self._contents = {}, {}
                return []

    # ------------------------------------------------------------ the roster, and what is dealt

    def _take_roster(self, message: RosterFor) -> None:
        roster = self._signed(Roster, message.roster)
        self._present = self._reader.roster(roster)
        if self._seat not in self._present:
            raise PeerFault(COORDINATOR, "sent a roster without this site")
        self._reader.enough(self._present, "here")
        wanted = sorted((*self._present.peers(self._seat), self._seat))
        self._adverts = self._reader.advertised(roster, wanted, message.advertisements)
        if self._adverts[self._seat].kem_key != self._opener.public:
            raise Refused("the roster holds another key of this site: it has lost the root that made it")
        self._verifiers = {seat: self._adverts[seat].verifier for seat in self._present.dealers(self._seat)}
        self._roster = canon.digest(roster)
        self._context = seeds.context_of(self._layout.id, self._roster)
        self._secrets = seeds.own_secrets(self._entropy, self._context, self._layout.setup.rounds)
        self._pair_root = seeds.pair_root(self._entropy, self._context)
        self._shares = self._share()

    def _share(self) -> Bytes:
        """uint8[members, rounds * 2 * SHARE_BYTES]: everybody's shares of this site's secrets, by round."""
        rounds, members = self._layout.setup.rounds, len(self._present.members)
        secrets = [self._secrets[kind, at].tobytes() for at in range(rounds) for kind in range(len(KINDS))]
        dealt = shamir.share(
            secrets,
            threshold=self._layout.setup.plan.threshold,
            holders=len(self._layout.committee),
            entropy=self._entropy,
            context=self._context,
        )
        places = [at for at, seat in enumerate(self._layout.committee) if seat in self._present]
        table = np.ascontiguousarray(dealt[:, places].transpose(1, 0, 2))
        return table.view(np.uint8).reshape(members, -1)

    def _deal(self) -> bytes:
        present, rounds = self._present, self._layout.setup.rounds
        receivers = present.receivers(self._seat)
        commitments = b"".join(
            [
                commitment(kind, self._secrets[row, at].tobytes())
                for at in range(rounds)
                for row, kind in enumerate(KINDS)
            ]
        )
        digests = b"".join(
            [share_digests(self._seat, member, self._shares[at].tobytes()) for at, member in enumerate(present.members)]
        )
        sealed = [self._parcel(receiver) for receiver in receivers]
        tables = (
            np.frombuffer(commitments, np.uint8).reshape(rounds, 2, 32),
            np.frombuffer(digests, np.uint8).reshape(len(present.members), rounds, 2, 32),
            np.frombuffer(b"".join([parcels.digest(one) if one else bytes(32) for one in sealed]), np.uint8).reshape(
                len(receivers), 32
            ),
        )
        tree = deal_tree(tables[2], tables[1], receivers, present.member_place)
        header = Header(self._layout.id, self._roster, self._seat, canon.digest_bytes(commitments), tree.root)
        return canon.pack(Deal(vouch(self._identity, header), *tables, tuple(sealed)))

    def _parcel(self, receiver: int) -> bytes:
        if receiver == self._seat:
            return b""
        place = self._present.member_place.get(receiver)
        shares = b"" if place is None else self._shares[place].tobytes()
        contents = Contents(seeds.pair_secret(self._pair_root, receiver), shares)
        key = self._adverts[receiver].kem_key
        return parcels.write(contents, key, context=self._context, dealer=self._seat, receiver=receiver)

    # ------------------------------------------------------------ the inbox, and what is in common

    def _take_inbox(self, inbox: Inbox) -> None:
        if inbox.roster != self._roster:
            raise PeerFault(COORDINATOR, "sent an inbox for another roster")
        dealers = tuple(one.dealer for one in inbox.deliveries)
        if not ascending(dealers) or not set(dealers) <= set(self._present.dealers(self._seat)):
            raise PeerFault(COORDINATOR, "sent an inbox that is not one parcel per site that deals to this one")
        self._contents = {one.dealer: self._receive(one) for one in inbox.deliveries}

    def _receive(self, delivery: Delivery) -> Contents | None:
        """What a dealer gave to this site; None if it is nothing usable, which is the dealer's doing.

        Raises PeerFault naming the coordinator if it is not what the dealer answers for.
        """
        dealer, rounds = delivery.dealer, self._layout.setup.rounds
        is_member = self._layout.is_member(self._seat)
        with passed_on():
            header = self._reader.header(delivery.header, dealer, roster=self._roster, verifier=self._verifiers[dealer])
        receivers = self._present.receivers(dealer)
        flat, digests = delivery.siblings.tobytes(), delivery.digests.tobytes()
        sound = (
            delivery.digests.shape == ((rounds if is_member else 0), 2, 32)
            and len(delivery.parcel) == parcel_bytes(rounds, to_member=is_member)
            and merkle.verify(
                header.deal_root,
                deal_leaf(parcels.digest(delivery.parcel), digests),
                position=receivers.index(self._seat),
                siblings=[flat[at : at + 32] for at in range(0, len(flat), 32)],
                size=len(receivers),
            )
        )
        if not sound:
            raise PeerFault(COORDINATOR, f"sent a parcel that seat {dealer} did not seal", evidence=delivery.header)
        return parcels.read(
            delivery.parcel,
            self._opener,
            context=self._context,
            dealer=dealer,
            receiver=self._seat,
            digests=digests,
        )

    def _secret_with(self, other: int) -> bytes | None:
        """The secret of a pair, if there is one."""
        dealer = self._layout.dealer(self._seat, other)
        if dealer == self._seat:
            return seeds.pair_secret(self._pair_root, other)
        contents = self._contents.get(other) if dealer == other else None
        return None if contents is None else contents.secret

    def _confirm(self) -> bytes:
        rounds, neighbours = self._layout.setup.rounds, self._present.neighbours(self._seat)
        missing = tuple(dealer for dealer, contents in sorted(self._contents.items()) if contents is None)
        tables = np.zeros((len(neighbours), rounds, 2, 32), np.uint8)
        hidden = np.zeros((len(neighbours), rounds, 32), np.uint8)
        for at, other in enumerate(neighbours):
            secret = self._secret_with(other)
            if secret is not None:
                found = seeds.pair_seeds(secret, rounds)
                low, high = min(self._seat, other), max(self._seat, other)
                flat = found.tobytes()
                checks = [pair_check(low, high, flat[start : start + 32]) for start in range(0, len(flat), 32)]
                tables[at, :, 0] = np.frombuffer(b"".join(checks), np.uint8).reshape(rounds, 32)
                hidden[at] = found
        for at in range(rounds):
            pads = seeds.pads(self._secrets[1, at].tobytes(), tables[:, at, 0])
            np.bitwise_xor(hidden[:, at], pads, out=tables[:, at, 1])
        confirm = Confirm(self._layout.id, self._roster, self._seat, missing, tables)
        # One inbox per roster is confirmed: what two sites have in common is not for the coordinator to choose twice.
        self._remember(f"confirm/{self._roster.hex()}", canon.digest(confirm))
        return self._say(confirm)

    # ------------------------------------------------------------ the outcome

    def _endorse(self, ready: Ready) -> bytes:
        if not self._layout.is_member(self._seat):
            raise PeerFault(COORDINATOR, "asked a site that is no member of the committee to endorse")
        self._read_ready(ready)
        about = self._stand_by(ready)
        tags = [self._tag(about, other) for other in ready.seats]
        table = np.frombuffer(b"".join(tags), np.uint8).reshape(len(tags), 32)
        return self._say(Endorse(about, self._seat, table))

    def _stand_by(self, ready: Ready) -> Digest:
        """A member's one decision per roster: kept before it is said, and before its own word is relied on."""
        about = canon.digest(ready)
        if self._layout.is_member(self._seat):
            self._remember(f"ready/{self._roster.hex()}", about)
        return about

    def _tag(self, about: Digest, other: int) -> bytes:
        secret = self._secret_with(other) if other != self._seat else None
        if secret is None:
            return bytes(32)
        return seeds.tag(seeds.tag_key(secret), about=about, sender=self._seat, recipient=other)

    def _take_endorsed(self, endorsed: Endorsed) -> Ground:
        ready = self._signed(Ready, endorsed.ready)
        present = self._read_ready(ready)
        about, members = canon.digest(ready), endorsed.members
        if not ascending(members) or not set(members) <= present.member_place.keys():
            raise PeerFault(COORDINATOR, "passed on the endorsement of a site that is no member, or one twice")
        if endorsed.tags.shape != (len(members), 32) or endorsed.tags.dtype.str != "|u1":
            raise PeerFault(COORDINATOR, "passed on endorsements that are not one tag per member")
        count = sum(self._is_endorsed(about, one, endorsed.tags[at].tobytes()) for at, one in enumerate(members))
        needed = self._layout.setup.plan.threshold
        if count < needed:
            raise Refused(f"only {count} members of the committee stand by the set-up's outcome, {needed} are needed")
        self._stand_by(ready)
        return self._make_ground(about, present)

    def _is_endorsed(self, about: Digest, member: int, given: bytes) -> bool:
        if member == self._seat:  # its own word needs no tag: its journal holds it
            return True
        secret = self._secret_with(member)
        return secret is not None and seeds.is_tag(
            given, seeds.tag_key(secret), about=about, sender=member, recipient=self._seat
        )

    def _read_ready(self, ready: Ready) -> Present:
        present = self._reader.ready(ready, roster=self._roster, present=self._present)
        if self._seat not in present:
            raise PeerFault(COORDINATOR, "sent an outcome without this site")
        return present

    def _make_ground(self, ready: Digest, present: Present) -> Ground:
        rounds, pair_seeds, tag_keys = self._layout.setup.rounds, {}, {}
        for other in present.neighbours(self._seat):
            secret = self._secret_with(other)
            if secret is None:
                raise Refused(f"seat {other} counts as ready, and this site has nothing in common with it")
            pair_seeds[other] = seeds.pair_seeds(secret, rounds)
        shares: dict[int, bytes] = {}
        if self._layout.is_member(self._seat):
            shares = {one: what.shares for one, what in self._contents.items() if what and one in present}
            shares[self._seat] = self._shares[self._present.member_place[self._seat]].tobytes()
            for other in present.members:
                secret = self._secret_with(other) if other != self._seat else None
                if secret is not None:
                    tag_keys[other] = seeds.tag_key(secret)
        return Ground(self._seat, ready, present, self._secrets[0], pair_seeds, tag_keys, shares)

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._layout.setup.domain, record)
