"""Reading the messages of a round, hostile until proven otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar, final

from caduceus import canon
from caduceus.crypto import merkle, shamir
from caduceus.errors import PeerFault
from caduceus.kinds import Digest
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.secagg_messages import KINDS, Consent, Opening, share_digest, upload_leaf_data
from caduceus.protocol.secagg_reading import COORDINATOR, fits, name_of, statement
from caduceus.protocol.secagg_session import Session, check
from caduceus.protocol.secagg_setup import Present, ascending
from caduceus.protocol.secagg_setup_record import Foundation

T = TypeVar("T", Consent, Opening)


@final
class RoundReader:
    """Reads messages of one round.

    Raises Refused if the session is not a sound one under the set-up (see `secagg_session.check`).
    """

    __slots__ = ("groups", "id", "present", "round", "session", "setup")

    def __init__(self, session: Session, present: Present) -> None:
        check(session, present.layout.setup)
        self.session, self.present, self.setup = session, present, present.layout.setup
        self.id = session.digest
        self.round = session.round - self.setup.first
        """The round's place in the set-up."""
        self.groups = tuple(
            tuple(seat for seat in group if seat in present) for group in present.layout.groups_in(session.round)
        )
        """The ready sites by group, ascending; one group where there is one sum."""

    def upload(self, data: bytes, seat: int) -> uploads.Received:
        """What a seat uploaded; raises PeerFault as `secagg_upload.read` does, or if it is of another round."""
        session, setup = self.session, self.setup
        received = uploads.read(
            data,
            signer=self.present.layout.party(seat).signer,
            domain=setup.domain,
            job=setup.job,
            round=session.round,
            seat=seat,
            length=session.length,
            bits=session.bits,
        )
        if (received.upload.session, received.upload.seat) != (self.id, seat):
            evidence = data[: uploads.HEAD_BYTES]
            raise PeerFault(name_of(seat), "sent an upload of another round or from another seat", evidence=evidence)
        return received

    def survivors(self, seats: Sequence[int], groups: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """The survivors of each group whose sum is opened.

        Raises PeerFault naming the coordinator if the list is malformed, too short, names one that is not ready, or
        opens a group with too few survivors.
        """
        if not ascending(seats) or not all(seat in self.present for seat in seats):
            raise PeerFault(COORDINATOR, "sent a survivor list with a site that is not ready, or one twice")
        if len(seats) < self.setup.quorum:
            raise PeerFault(COORDINATOR, f"sent a survivor list of {len(seats)}, {self.setup.quorum} are needed")
        if not groups or not ascending(groups) or not 0 <= groups[0] <= groups[-1] < len(self.groups):
            raise PeerFault(COORDINATOR, "sent a survivor list for groups that there are not")
        found = self.alive_in(seats, groups)
        if any(len(group) < self.setup.cohort for group in found):
            raise PeerFault(COORDINATOR, f"would open a sum over fewer than {self.setup.cohort} sites")
        return found

    def alive_in(self, seats: Iterable[int], groups: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """The survivors of some groups, ascending in each."""
        alive = frozenset(seats)
        return tuple(tuple(seat for seat in self.groups[group] if seat in alive) for group in groups)

    def leaf(self, received: uploads.Received) -> Digest:
        """The leaf of an upload in the round's tree."""
        signed, setup = received.signed, self.setup
        body, seat = canon.digest_bytes(signed.body), received.upload.seat
        return merkle.leaf(upload_leaf_data(setup.job, self.session.round, seat, body, signed.signature))

    def due(self, groups: Sequence[int]) -> tuple[int, ...]:
        """Whose shares are opened: the ready sites of the groups that have a sum, ascending."""
        return tuple(sorted(seat for group in groups for seat in self.groups[group]))

    def consent(self, data: bytes, seat: int, survivors: Digest) -> Consent:
        """A member's consent to a survivor list; raises PeerFault if it is malformed, or to another."""
        said = self._statement(Consent, data, seat)
        if said.survivors != survivors or not fits(said.tags, (len(self.present.members), 32)):
            raise PeerFault(name_of(seat), "consented to another survivor list", evidence=data)
        return said

    def opening(
        self, data: bytes, seat: int, foundation: Foundation, due: Sequence[int], survivors: frozenset[int]
    ) -> Opening:
        """A member's opening: of each owner the one share that is due, as the owner committed to it.

        due        whose shares are opened: the sites of the opened groups, ascending
        survivors  of those the ones whose uploads are in

        Raises PeerFault if it is malformed, not the member's own, opens what is not due, or another share than the
        one that the member was given.
        """
        said, who = self.opening_in_form(data, seat, due), name_of(seat)
        opened, size, place = said.shares.tobytes(), shamir.SHARE_BYTES, foundation.holder_place(seat)
        for at, owner in enumerate(said.owners):
            kind = 0 if owner in survivors else 1
            given = share_digest(owner, seat, KINDS[kind], opened[at * size : (at + 1) * size])
            if given != foundation.dealt[owner].digests[place, self.round, kind].tobytes():
                raise PeerFault(who, f"opened a share of seat {owner} that is not the one it was given", evidence=data)
        return said

    def opening_in_form(self, data: bytes, seat: int, due: Sequence[int]) -> Opening:
        """A member's opening, its shares not held to anything; raises PeerFault as `opening` does otherwise."""
        said, who = self._statement(Opening, data, seat), name_of(seat)
        owners = said.owners
        if said.shares.shape != (len(owners), shamir.LIMBS) or said.shares.dtype.str != "<u4":
            raise PeerFault(who, f"opened shares of shape {said.shares.shape} for {len(owners)} owners", evidence=data)
        if not ascending(owners) or not set(owners) <= set(due):
            raise PeerFault(who, "opened shares of sites that are not due, or one twice", evidence=data)
        return said

    def _statement(self, kind: type[T], data: bytes, seat: int) -> T:
        signer, domain = self.present.layout.party(seat).signer, self.setup.domain
        said = statement(kind, data, signer=signer, domain=domain, seat=seat)
        if (said.session, said.seat) != (self.id, seat):
            raise PeerFault(name_of(seat), "sent a message of another round or from another seat", evidence=data)
        return said
