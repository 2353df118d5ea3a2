"""The coordinator's half of a round of judged updates.

Sans I/O: messages in, messages out. The coordinator holds no share of anything: it lists who is in, relays what the
aggregators say, and adds up what they open. A dealer that is silent by the end of the first phase is absent. An
aggregator that is silent, or breaks the protocol, or objects, ends the round: nothing more is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from hashlib import sha256
from typing import Any, TypeVar, final

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle, product_check, projections, rss, sign
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol import gram_upload as uploads
from caduceus.protocol import secagg_upload as framed
from caduceus.protocol.envelope import Signed, kind_of, sign_record
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_messages import (
    Accepted,
    Agreed,
    Begin,
    Coin,
    Coins,
    GramList,
    GramShare,
    GramSum,
    GramUpload,
    Listing,
    Loan,
    Objection,
    Pledge,
    Shares,
    Verdict,
    Verdicts,
    Vouch,
    VouchBy,
    Vouches,
    gathered,
)
from caduceus.protocol.gram_opening import Judged, Products, add_up, blamed, judge_by, multiply_out
from caduceus.protocol.gram_reading import TWO_REJECTED, GramReader, Rejections
from caduceus.protocol.gram_session import GramPlan, Judge, Ring
from caduceus.protocol.gram_upload import DEALING_BYTES, Told
from caduceus.protocol.secagg_intake import SECOND, Fault, Outgoing, Shelf
from caduceus.protocol.secagg_messages import Receipt
from caduceus.protocol.secagg_upload import HEAD_BYTES

T = TypeVar("T")


class Phase(IntEnum):
    """What the coordinator is waiting for."""

    DEAL = 0
    ACCEPT = 1
    LEND = 2
    SHARE = 3
    COIN = 4
    VOUCH = 5
    CHECK = 6
    SUM = 7
    DONE = 8


EXPECTS: Mapping[Phase, str] = {
    Phase.DEAL: canon.tag_of(Pledge),
    Phase.ACCEPT: canon.tag_of(Accepted),
    Phase.LEND: canon.tag_of(Loan),
    Phase.SHARE: canon.tag_of(GramShare),
    Phase.COIN: canon.tag_of(Coin),
    Phase.VOUCH: canon.tag_of(VouchBy),
    Phase.CHECK: canon.tag_of(Verdict),
    Phase.SUM: canon.tag_of(GramSum),
}
"""The kind of message that is due from every aggregator in each phase. In the first, dealers upload as well; the third
is passed over where no loan is due. An `Objection` may take the place of any."""

_RECORDS: Mapping[str, type[Any]] = {
    canon.tag_of(kind): kind for kind in (Pledge, Accepted, Loan, GramShare, Coin, Vouch, Verdict, GramSum, Objection)
}
"""What aggregators sign; each names its session."""

_OBJECTION = canon.tag_of(Objection)
_UPLOAD = canon.tag_of(GramUpload)
_ROOM = 1 << 14


@final
class GramServer:
    """One round.

    plan      what everybody agrees on
    signer    the coordinator's
    judge     the public rule, in that state
    listed    the only dealers that may be in, where an earlier process has told a list; everyone if None
    shelf     where uploads are kept, if not in memory: the server itself looks at each twice

    Raises Misuse if the signer is not the ground's.
    """

    def __init__(
        self,
        plan: GramPlan,
        signer: Signer,
        judge: Judge,
        *,
        listed: Iterable[int] | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        if signer.address != plan.ground.coordinator:
            raise Misuse("gram: the session names another coordinator")
        self.phase = Phase.DEAL
        self.faults: list[Fault] = []
        """Who broke the protocol, and how."""
        self.products: Products | None = None
        """The inner products, once they are opened; not yet checked before the phase SUM."""
        self.judged: Judged | None = None
        """What followed from them, once they are checked."""
        self.total: Ring | None = None
        """uint64[length], the weighted sum of the sites' first rows, once the round is done."""
        self.dealers: tuple[int, ...] = ()
        """Who is on the list, once it is told."""
        self._plan, self._signer, self._judge = plan, signer, judge
        self._reader = GramReader(plan)
        self._dealers = set(plan.dealers if listed is None else listed)
        self._uploads: Shelf = {} if shelf is None else shelf
        self._told: dict[int, Told] = {}
        self._receipts: dict[int, bytes] = {}
        self._dropped: set[int] = set()
        self._taken: list[dict[int, bytes]] = [{} for _ in EXPECTS]
        self._said: list[dict[int, object]] = [{} for _ in EXPECTS]
        self._objections: list[bytes] = []
        self._why = ""
        self._list = b""
        self._rejections = Rejections((), (), {})
        self._evaluators: dict[int, Digest] = {}

    @property
    def plan(self) -> GramPlan:
        """What everybody agrees on."""
        return self._plan

    @property
    def is_over(self) -> bool:
        """Whether the round is done."""
        return self.phase is Phase.DONE

    @property
    def ready(self) -> bool:
        """Whether everyone who is still expected has answered in this phase, or nothing can come of it any more."""
        if self.is_over:
            return False
        if self._why:
            return True
        waiting = self._dealers - self._told.keys() - self._dropped if self.phase is Phase.DEAL else ()
        return not waiting and len(self._taken[self.phase]) == rss.PARTIES

    @property
    def summed(self) -> tuple[int, ...]:
        """The seats whose rows were present where the weights were found, ascending; none before the sum is known."""
        if self.total is None or self.products is None:
            return ()
        return tuple(dealer for dealer in self.products.present if dealer < self._plan.sites)

    # ------------------------------------------------------------ in

    def receive(self, party: int, data: bytes) -> list[bytes]:
        """Take in a message that the channel says came from a party; returns what to send back to it at once.

        Nothing is raised for what a party sends: it is named, and counts as silent. Of two different messages the
        first stands, since it may have been answered already. A message that came late is passed over.
        """
        if self.is_over:
            return []
        if party in self._plan.aggregators:
            return self._hear(party - self._plan.aggregators[0], data)
        return self._take_upload(party, data) if party in self._dealers else []

    def _take_upload(self, dealer: int, data: bytes) -> list[bytes]:
        if dealer in self._told:
            if self._uploads[dealer] == data:
                return [self._receipts[dealer]]
            if framed.is_framed(data) and framed.kind_of(data) == _UPLOAD and not self._is_late(data):
                self._name(dealer, _UPLOAD, SECOND, data[:HEAD_BYTES])
            return []
        if self.phase is not Phase.DEAL or dealer in self._dropped or self._is_late(data):
            return []
        try:
            most = HEAD_BYTES + uploads.correction_bytes(self._plan, dealer) + DEALING_BYTES
            if len(data) > most:
                raise PeerFault("", f"sent {len(data)} bytes, at most {most} are due", evidence=data[:HEAD_BYTES])
            received = uploads.read(data, self._plan, dealer)
        except PeerFault as problem:
            self._name(dealer, _UPLOAD, problem.why, problem.evidence)
            self._dropped.add(dealer)
            return []
        self._told[dealer] = received.told
        self._uploads[dealer] = data
        if dealer >= self._plan.sites:
            self._evaluators[dealer - self._plan.sites] = canon.digest_bytes(data)
        ground, round_ = self._plan.ground, self._plan.session.round
        leaf = uploads.leaf(received.told.signed, self._plan, dealer)
        struct = sign.Receipt(ground.job, round_, dealer, leaf)
        signature = self._signer.sign(sign.digest(ground.domain, struct))
        self._receipts[dealer] = self._say(Receipt(self._plan.id, dealer, leaf, signature))
        return [self._receipts[dealer]]

    def _hear(self, k: int, data: bytes) -> list[bytes]:
        kind = canon.peek_tag(data)
        kind = kind if kind == EXPECTS[Phase.VOUCH] else kind_of(data)
        phase = next((at for at, due in EXPECTS.items() if due == kind), None)
        if phase is not None and phase <= self.phase and k in self._taken[phase]:
            if self._taken[phase][k] == data:
                return self._again(phase, k)
            if self._is_of_another_round(kind, data):
                return []
            self._name(self._plan.aggregators[k], EXPECTS[phase], SECOND, data[: self._largest(phase)])
            return []
        if self._why or (phase is not None and phase < self.phase) or self._is_of_another_round(kind, data):
            return []
        if k in self._taken[self.phase]:
            self._name(self._plan.aggregators[k], EXPECTS[self.phase], SECOND, data[: self._largest(self.phase)])
            return []
        try:
            if kind == _OBJECTION:
                self._take_objection(k, data)
                return []
            if phase is not self.phase or len(data) > self._largest(self.phase):
                raise PeerFault("", "sent something else than was due", evidence=data[: self._largest(self.phase)])
            self._said[phase][k] = self._read(k, data)
        except PeerFault as problem:
            party = self._plan.aggregators[k]
            self._name(party, EXPECTS[self.phase], problem.why, problem.evidence)
            self._why = self._why or f"{self._reader.name(k)} {problem.why}"
            return []
        self._taken[phase][k] = data
        return []

    def _is_late(self, data: bytes) -> bool:
        """The same of an upload."""
        try:
            said = canon.unpack(GramUpload, framed.envelope(data, who="").body)
        except (Refused, PeerFault):
            return False
        return said.session != self._plan.id

    def _is_of_another_round(self, kind: str | None, data: bytes) -> bool:
        """Whether it is a late answer from a round that ended early: that is nobody's fault."""
        try:
            signed = canon.unpack(VouchBy, data).vouch if kind == EXPECTS[Phase.VOUCH] else data
            said = canon.unpack(_RECORDS[kind_of(signed) or ""], canon.unpack(Signed, signed).body)
        except (Refused, KeyError):
            return False
        return bool(said.session != self._plan.id)

    def _take_objection(self, k: int, data: bytes) -> None:
        said = self._reader.objection(data, k)
        self._objections.append(data)
        about = "" if said.about < 0 else f"{self._plan.ground.name_of(said.about)} "
        self._why = f"{self._reader.name(k)} stopped: {about}{said.why}"

    def _read(self, k: int, data: bytes) -> object:
        """An aggregator's message of the phase, checked."""
        reader = self._reader
        match self.phase:
            case Phase.DEAL:
                return reader.pledge(data, k)
            case Phase.ACCEPT:
                told = canon.digest(self._gram_list())
                return reader.accepted(data, k, told, self.dealers, self._all(Phase.DEAL, Pledge)[k])
            case Phase.LEND:
                return reader.loan(data, k, self._gathered(Phase.ACCEPT), self._rejections.due(k))
            case Phase.SHARE:
                return reader.share(data, k, self._gathered(Phase.ACCEPT))
            case Phase.COIN:
                return reader.coin(data, k, self._gathered(Phase.SHARE), self._all(Phase.DEAL, Pledge)[k])
            case Phase.VOUCH:
                return self._read_vouch(k, data)
            case Phase.CHECK:
                return reader.verdict(data, k, gathered(one.vouch for one in self._all(Phase.VOUCH, VouchBy)))
            case _:
                assert self.judged is not None
                return reader.sum(data, k, self._gathered(Phase.CHECK), self.judged.weights)

    def _read_vouch(self, k: int, data: bytes) -> VouchBy:
        try:
            said = canon.unpack(VouchBy, data)
        except Refused as problem:
            raise PeerFault("", f"sent something unreadable: {problem}", evidence=data) from None
        vouch = self._reader.vouch(said.vouch, k, self._gathered(Phase.COIN))
        if sha256(said.sealed).digest() != vouch.sealed:
            raise PeerFault("", "vouched with something else than it signed", evidence=said.vouch)
        return said

    def _again(self, phase: Phase, k: int) -> list[bytes]:
        """What an aggregator was told when a phase closed, so that one that starts again catches up."""
        return [self._after(phase, k)] if phase < self.phase and self._after_is_told(phase) else []

    def _after_is_told(self, phase: Phase) -> bool:
        return phase is not Phase.SUM and not self._why

    # ------------------------------------------------------------ out

    def advance(self) -> Mapping[int, bytes]:
        """Close the phase with whoever has answered.

        returns  what to send to whom; nothing once the sum is known

        Raises Refused if the round has failed: an aggregator is missing or at odds with another, or too few sites are
        left. Asked again, it says the same.
        """
        phase = self.phase
        if self.is_over:
            raise Misuse("gram: the round is over")
        if not self._why:
            missing = [k for k in range(rss.PARTIES) if k not in self._taken[phase]]
            if missing:
                what = EXPECTS[phase].split("/")[1]
                self._why = f"{self._reader.name(missing[0])} did not answer with {what}"
            else:
                self._close()
        if self._why:
            raise Refused(f"no sum can be opened: {self._why}")
        told = () if phase is Phase.SUM else self._plan.aggregators
        return Outgoing(told, lambda party: self._after(phase, party - self._plan.aggregators[0]))

    def _close(self) -> None:
        match self.phase:
            case Phase.DEAL:
                self._require_quorum(self._told, "dealt")
                if not self._why:
                    self.dealers = tuple(sorted(self._told))
                    self._list = self._say(self._gram_list())
            case Phase.ACCEPT:
                self._settle_rejections()
            case Phase.SHARE:
                self._open()
            case Phase.CHECK:
                self._weigh()
            case Phase.SUM:
                self._add_up()
        if not self._why:
            lends = self.phase is Phase.ACCEPT and self._rejections.borrowers
            skips = self.phase is Phase.ACCEPT and not lends
            self.phase = Phase(self.phase + (2 if skips else 1))

    def _gram_list(self) -> GramList:
        heads = gathered(self._told[dealer].head for dealer in self.dealers)
        return GramList(self._plan.id, self.dealers, heads, self._gathered(Phase.DEAL))

    def _require_quorum(self, dealers: Iterable[int], did: str) -> None:
        sites, needed = sum(dealer < self._plan.sites for dealer in dealers), self._plan.session.quorum
        if sites < needed:
            self._why = f"only {sites} sites {did}, {needed} are needed"

    def _settle_rejections(self) -> None:
        accepted = self._all(Phase.ACCEPT, Accepted)
        self._rejections = self._reader.rejections(accepted, self.dealers)
        for dealer in self._rejections.out:
            evidence = canon.pack(Agreed(self._messages(Phase.ACCEPT)))
            self._name(dealer, _UPLOAD, TWO_REJECTED, evidence)
        self._require_quorum(self._rejections.inside, "dealt what aggregators can open")

    def _open(self) -> None:
        shares, evidence = self._all(Phase.SHARE, GramShare), canon.pack(Shares(self._messages(Phase.SHARE)))
        if self._blame(shares, GramShare, evidence):
            return
        try:
            self.products = multiply_out(self._plan, self._rejections.inside, shares)
        except Refused as problem:
            self._why = str(problem)

    def _weigh(self) -> None:
        """Now that the products are checked, who broke its bounds is known, and what everybody weighs."""
        assert self.products is not None
        for dealer, why in self.products.outside.items():
            self._name(dealer, _UPLOAD, why, canon.pack(Shares(self._messages(Phase.SHARE))))
        reports = {dealer: self._told[dealer].dealing.report for dealer in self.products.present}
        try:
            self.judged = judge_by(self._plan, self.products, reports, self._judge)
        except Refused as problem:
            self._why = str(problem)

    def _add_up(self) -> None:
        sums = self._all(Phase.SUM, GramSum)
        if self._blame(sums, GramSum, b""):
            return
        assert self.products is not None
        assert self.judged is not None
        try:
            self.total = add_up(self._plan, self.products, self.judged.weights, sums, self._correction)
        except Refused as problem:
            self._why = str(problem)

    def _blame(self, parts: Sequence[GramShare] | Sequence[GramSum], kind: type[object], evidence: bytes) -> bool:
        """Name aggregators that do not agree; returns whether there are any."""
        found = blamed(self._plan, parts)
        for party, why in found:
            self._name(party, canon.tag_of(kind), why, evidence)
            self._why = self._why or f"{self._plan.ground.name_of(party)} {why}"
        return bool(found)

    def _correction(self, dealer: int) -> Ring:
        data, plan = self._uploads[dealer], self._plan
        return np.frombuffer(uploads.correction_of(data, plan, dealer), "<u8").reshape(plan.shape(dealer))

    def _after(self, phase: Phase, k: int) -> bytes:
        """What an aggregator is told when a phase closes."""
        match phase:
            case Phase.DEAL:
                told = [self._told[dealer] for dealer in self.dealers]
                heads, tails = tuple(one.head for one in told), tuple(one.tail for one in told)
                return canon.pack(Listing(self._list, self._messages(Phase.DEAL), heads, tails))
            case Phase.ACCEPT if self._rejections.borrowers:
                return canon.pack(Agreed(self._messages(Phase.ACCEPT)))
            case Phase.ACCEPT | Phase.LEND:
                return self._beginning(k)
            case Phase.SHARE:
                return canon.pack(Shares(self._messages(Phase.SHARE)))
            case Phase.COIN:
                return canon.pack(Coins(self._messages(Phase.COIN)))
            case Phase.VOUCH:
                given = self._all(Phase.VOUCH, VouchBy)
                return canon.pack(Vouches(tuple(one.vouch for one in given), given[(k + 1) % rss.PARTIES].sealed))
            case _:
                return canon.pack(Verdicts(self._messages(Phase.CHECK)))

    def _beginning(self, k: int) -> bytes:
        inside = self._rejections.inside if 0 in rss.holds(k) else ()
        begin = Begin(self._messages(Phase.ACCEPT), self._loans())
        kept = {dealer: self._uploads[dealer] for dealer in inside}
        return uploads.begin(begin, [uploads.correction_of(data, self._plan, dealer) for dealer, data in kept.items()])

    def _loans(self) -> tuple[bytes, ...]:
        """The loans of those who owe one."""
        return tuple(data for k, data in sorted(self._taken[Phase.LEND].items()) if self._rejections.due(k))

    # ------------------------------------------------------------ for the record

    def uploads(self) -> Mapping[int, bytes]:
        """The signed uploads by dealer, as received: each a public blob of its own."""
        return self._uploads

    def leaves(self) -> list[Digest]:
        """The leaves of the round's Merkle tree by seat; empty where there is no upload."""
        return [
            uploads.leaf(self._told[seat].signed, self._plan, seat) if seat in self._told else merkle.EMPTY
            for seat in range(self._plan.sites)
        ]

    def exchange(self) -> GramExchange:
        """Everything else that an outsider needs to repeat the round, or to see why it failed."""
        evaluators = range(len(self._plan.ground.evaluators))
        vouches = (canon.unpack(VouchBy, data).vouch for data in self._messages(Phase.VOUCH))
        return GramExchange(
            session=self._plan.session,
            pledges=self._messages(Phase.DEAL),
            told=self._list,
            accepted=self._messages(Phase.ACCEPT),
            loans=self._loans(),
            shares=self._messages(Phase.SHARE),
            coins=self._messages(Phase.COIN),
            vouches=tuple(vouches),
            verdicts=self._messages(Phase.CHECK),
            sums=self._messages(Phase.SUM),
            objections=tuple(self._objections),
            faults=tuple(self.faults),
            evaluators=tuple(self._evaluators.get(at) for at in evaluators),
        )

    # ------------------------------------------------------------ in common

    def _messages(self, phase: Phase) -> tuple[bytes, ...]:
        """What was taken in a phase, by aggregator."""
        return tuple(data for _, data in sorted(self._taken[phase].items()))

    def _gathered(self, phase: Phase) -> Digest:
        return gathered(self._messages(phase))

    def _all(self, phase: Phase, kind: type[T]) -> tuple[T, ...]:
        """What the three said in a phase that is closed."""
        said = tuple(one for _, one in sorted(self._said[phase].items()) if isinstance(one, kind))
        assert len(said) == rss.PARTIES
        return said

    def _largest(self, phase: Phase) -> int:
        """Bytes that no message of an honest aggregator exceeds."""
        plan, dealers = self._plan, len(self._dealers)
        width = min(plan.session.length, plan.session.buckets)
        return _ROOM + {
            Phase.ACCEPT: 8 * dealers,
            Phase.LEND: 64 * dealers,
            Phase.SHARE: 8 * (plan.rows**2 + plan.dealt_rows * projections.COUNT),
            Phase.VOUCH: 8 * product_check.DEGREE * (2 * width + 2),
            Phase.SUM: 8 * (plan.session.length + plan.sites),
        }.get(phase, 0)

    def _name(self, party: int, due: str, why: str, evidence: bytes) -> None:
        """Write down that a party broke the protocol, once."""
        if all((one.seat, one.due, one.why) != (party, due, why) for one in self.faults):
            self.faults.append(Fault(party, due, why, evidence))

    def _say(self, record: object) -> bytes:
        return sign_record(self._signer, self._plan.ground.domain, record)
