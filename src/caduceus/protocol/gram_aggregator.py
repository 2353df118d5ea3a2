"""An aggregator's half of a round of judged updates.

Sans I/O: bytes in, bytes out. It holds two of three components of every row, which say nothing. What it decides it
first hands to `remember`: one session, pledge, list, set of dealers and set of products per round, one vector of
weights per state. So an aggregator that starts again after a crash repeats itself, and a coordinator that asks the same
question with another answer in mind gets none. The weights it computes itself, by the public rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import TypeVar, final

import numpy as np

from caduceus import canon
from caduceus.crypto import rss
from caduceus.crypto.entropy import Entropy
from caduceus.crypto.sign import Signer
from caduceus.crypto.xwing import Decapsulator
from caduceus.errors import Error, Misuse, PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol import gram_boxes as boxes
from caduceus.protocol import gram_keys as keys
from caduceus.protocol import gram_upload as uploads
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.gram_held import Drawn, Held, PairKeys, Seeds, hold
from caduceus.protocol.gram_messages import (
    COIN_BYTES,
    Accepted,
    Agreed,
    Begin,
    Coin,
    Coins,
    GramShare,
    GramSum,
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
    coin_digest,
    first_beacon,
    gathered,
    second_beacon,
    words_digest,
)
from caduceus.protocol.gram_opening import judge_by, multiply_out, require_agreement
from caduceus.protocol.gram_reading import GramReader, Rejections
from caduceus.protocol.gram_session import GramPlan, Judge
from caduceus.protocol.gram_upload import Told
from caduceus.protocol.secagg_reading import COORDINATOR, passed_on
from caduceus.protocol.secagg_setup_site import Remember
from caduceus.protocol.secagg_upload import HEAD_BYTES

T = TypeVar("T")


class Step(IntEnum):
    """Where the aggregator stands: what it has done last."""

    NEW = 0
    PLEDGED = 1
    ACCEPTED = 2
    MULTIPLIED = 3
    FIXED = 4
    VOUCHED = 5
    CHECKED = 6
    SUMMED = 7
    STOPPED = 8


@dataclass(frozen=True, slots=True)
class AggregatorSecrets:
    """The keys of one aggregator.

    signer   of its messages
    opener   of boxes that are sealed for it
    entropy  for its coins and its key with the aggregator before it
    """

    signer: Signer
    opener: Decapsulator
    entropy: Entropy


@dataclass(frozen=True, slots=True, repr=False)
class _Listed:
    """What a list told: the pledges of the three, the uploads without corrections, and this aggregator's seeds."""

    digest: Digest
    dealers: tuple[int, ...]
    pledges: tuple[Pledge, ...]
    told: Mapping[int, Told]
    seeds: Mapping[int, Seeds | None]
    keys: PairKeys


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What the three accepted."""

    digest: Digest
    rejections: Rejections
    coins: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The products that the three opened."""

    digest: Digest
    shares: tuple[GramShare, ...]


@final
class GramAggregator:
    """One aggregator in one round.

    plan      as the aggregator itself put it together from the chain and the public state
    k         0, 1 or 2
    secrets   its keys
    judge     the public rule, in that state
    remember  keeps decisions: "session", "pledge", "list", "dealers", "products" of this round, in this order, and
              "weights", of which a caller should allow one per state: packed `Weights`, whatever the round
    kept      what was remembered as "pledge" for this round before; b"" if nothing was

    Raises Misuse if the parts do not fit together.
    """

    def __init__(
        self,
        plan: GramPlan,
        k: int,
        secrets: AggregatorSecrets,
        *,
        judge: Judge,
        remember: Remember,
        kept: bytes = b"",
    ) -> None:
        registered = plan.ground.aggregators[k]
        if (registered.signer, registered.kem) != (secrets.signer.address, secrets.opener.public):
            raise Misuse(f"gram: aggregator {k} has other keys than this round asks for")
        self.step = Step.NEW
        self._plan, self._k, self._party = plan, k, plan.aggregators[k]
        self._reader, self._id = GramReader(plan), plan.id
        self._secrets, self._judge = secrets, judge
        self._remember, self._kept = remember, kept
        self._answers: dict[Digest, bytes] = {}
        self._listed: _Listed | None = None
        self._agreed: _Agreed | None = None
        self._held: Held | None = None
        self._fixed: _Fixed | None = None
        self._drawn: Drawn | None = None
        self._vouches = Digest(b"")
        self._pledged: Pledge | None = None

    # ------------------------------------------------------------ what it says

    def pledge(self) -> bytes:
        """1: that it takes part, under coins that it has decided on.

        Raises Refused if it was in this round before under another session.
        """
        self._remember("session", self._id)
        said = canon.unpack(Pledge, self._kept) if self._kept else self._make_pledge()
        packed = canon.pack(said)
        self._remember("pledge", packed)
        self._kept = packed
        self._pledged, self.step = said, max(self.step, Step.PLEDGED)
        return self._say(said)

    def _make_pledge(self) -> Pledge:
        before = (self._k - 1) % rss.PARTIES
        box = boxes.write(
            self._own_key,
            self._plan.ground.aggregators[before].kem,
            context=self._id,
            sender=self._party,
            receiver=self._plan.aggregators[before],
        )
        first, second = (coin_digest(place, self._coin(place)) for place in (0, 1))
        return Pledge(self._id, self._party, (first, second), box)

    def _coin(self, place: int) -> bytes:
        return self._secrets.entropy.derive(f"gram/coin/{place}", self._id, size=COIN_BYTES)

    @property
    def _own_key(self) -> bytes:
        """The key that it shares with the aggregator before it."""
        return self._secrets.entropy.derive("gram/key", self._id, size=keys.KEY_BYTES)

    def react(self, data: bytes) -> list[bytes]:
        """Answer a message of the coordinator; the same message gets the same answer again.

        returns  what to send back

        Raises PeerFault if somebody broke the protocol; Refused if a second decision is asked for, or too few sites
        are left. Where a second decision was asked for it says nothing more in this round; else nothing is changed.
        """
        if uploads.is_begin(data):
            begin, corrections = uploads.read_begin(data)
            return [self._begin(begin, corrections)]
        match canon.peek_tag(data):
            case "gram/listing/1":
                return [self._accept(self._read(Listing, data))]
            case "gram/agreed/1":
                return [self._lend(self._read(Agreed, data))]
            case "gram/shares/1":
                return [self._fix(self._read(Shares, data))]
            case "gram/coins/1":
                return [self._vouch(self._read(Coins, data))]
            case "gram/vouches/1":
                return [self._check(self._read(Vouches, data))]
            case "gram/verdicts/1":
                return [self._sum(self._read(Verdicts, data))]
            case _:
                raise PeerFault(COORDINATOR, "sent something else than is due", evidence=data[:HEAD_BYTES])

    def _read(self, kind: type[T], data: bytes) -> T:
        try:
            return canon.unpack(kind, data)
        except Refused as problem:
            raise PeerFault(COORDINATOR, f"sent something unreadable: {problem}", evidence=data) from None

    def _once(self, step: Step, about: Digest, answer: Callable[[], object]) -> bytes:
        """What is said at a step: to the same question the same again; to another nothing."""
        if about not in self._answers:
            self._require_step(Step(step - 1))
            said = answer()
            if isinstance(said, Objection):
                self.step = Step.STOPPED
                return self._say(said)
            self._answers[about] = canon.pack(said) if isinstance(said, VouchBy) else self._say(said)
            self.step = step
        return self._answers[about]

    def _require_step(self, step: Step) -> None:
        if self.step is not step:
            raise self._not_due()

    def _not_due(self) -> PeerFault | Refused:
        """What is wrong with a message that is not due at the step where the aggregator stands."""
        if self.step is Step.STOPPED:
            return Refused("this aggregator has stopped in this round")
        return PeerFault(COORDINATOR, f"sent what is not due to an aggregator at step {self.step.name}")

    def _decide(self, what: str, value: bytes) -> None:
        """Write a decision down; whoever asks for another one gets no more answers in this round."""
        try:
            self._remember(what, value)
        except Error:
            self.step = Step.STOPPED
            raise

    # ------------------------------------------------------------ who is in

    def _accept(self, listing: Listing) -> bytes:
        told = canon.digest_bytes(listing.told)
        return self._once(Step.ACCEPTED, told, lambda: self._accepted(listing))

    def _accepted(self, listing: Listing) -> Accepted | Objection:
        if len(listing.pledges) != rss.PARTIES or len(listing.heads) != len(listing.dealings):
            raise PeerFault(COORDINATOR, "sent a list with something missing", evidence=listing.told)
        said = self._reader.told(listing.told, listing.heads, listing.pledges)
        if len(said.dealers) != len(listing.heads):
            raise PeerFault(COORDINATOR, "sent a list with something missing", evidence=listing.told)
        with passed_on():
            pledges = tuple(self._reader.pledge(data, k) for k, data in enumerate(listing.pledges))
            told = {
                dealer: uploads.read_told(head, tail, self._plan, dealer)
                for dealer, head, tail in zip(said.dealers, listing.heads, listing.dealings, strict=True)
            }
        if pledges[self._k] != self._pledged:
            raise PeerFault(COORDINATOR, "listed another pledge than this aggregator's", evidence=listing.told)
        following = (self._k + 1) % rss.PARTIES
        key = self._open(pledges[following].box, self._plan.aggregators[following])
        seeds = {dealer: self._seeds(one) for dealer, one in told.items()}
        digest = canon.digest(said)
        self._decide("list", digest)
        if key is None or len(key) != keys.KEY_BYTES:
            why = "sealed no key for the aggregator before it"
            return self._object(self._plan.aggregators[following], digest, why)
        self._listed = _Listed(digest, said.dealers, pledges, told, seeds, PairKeys(self._own_key, key))
        rejected = tuple(dealer for dealer in said.dealers if seeds[dealer] is None)
        return Accepted(self._id, self._party, digest, self._coin(0), rejected)

    def _open(self, box: bytes, sender: int) -> bytes | None:
        return boxes.read(box, self._secrets.opener, context=self._id, sender=sender, receiver=self._party)

    def _seeds(self, told: Told) -> Seeds | None:
        """The two seeds in a dealer's box; None if they are not those that it committed to."""
        opened = self._open(told.dealing.boxes[self._k], told.upload.seat) or b""
        seeds = opened[: rss.SEED_BYTES], opened[rss.SEED_BYTES :]
        due = tuple(told.dealing.commitments[component] for component in rss.holds(self._k))
        is_due = all(len(seed) == rss.SEED_BYTES for seed in seeds) and tuple(map(rss.commit, seeds)) == due
        return seeds if is_due else None

    def _read_accepted(self, accepted: tuple[bytes, ...]) -> _Agreed:
        listed = self._require(self._listed)
        if len(accepted) != rss.PARTIES:
            raise PeerFault(COORDINATOR, "passed on fewer than three that accepted the list")
        with passed_on():
            said = tuple(
                self._reader.accepted(data, k, listed.digest, listed.dealers, listed.pledges[k])
                for k, data in enumerate(accepted)
            )
        mine = tuple(dealer for dealer in listed.dealers if listed.seeds[dealer] is None)
        if said[self._k].rejected != mine:
            raise PeerFault(COORDINATOR, "passed on another answer than this aggregator's")
        rejections = self._reader.rejections(said, listed.dealers)
        self._reader.require_quorum(rejections.inside)
        return _Agreed(gathered(accepted), rejections, tuple(one.coin for one in said))

    def _lend(self, message: Agreed) -> bytes:
        agreed = self._read_accepted(message.accepted)
        about = Digest(sha256(b"loan" + agreed.digest).digest())
        if about not in self._answers:
            self._require_step(Step.ACCEPTED)
            self._decide("dealers", agreed.digest)
            self._answers[about] = self._say(self._loan(agreed))
        return self._answers[about]

    def _loan(self, agreed: _Agreed) -> Loan:
        listed = self._require(self._listed)
        due = agreed.rejections.due(self._k)
        sealed = []
        for dealer in due:
            borrower = agreed.rejections.borrowers[dealer]
            component, seeds = self._shared_with(borrower), listed.seeds[dealer]
            assert seeds is not None  # the borrower alone rejected it
            seed = seeds[rss.holds(self._k).index(component)]
            key = self._key_of(component)
            sealed.append(keys.lend(key, seed, accepted=agreed.digest, dealer=dealer, borrower=borrower))
        return Loan(self._id, self._party, agreed.digest, due, tuple(sealed))

    def _shared_with(self, other: int) -> int:
        """The component, and key, that it has in common with another aggregator."""
        (common,) = set(rss.holds(self._k)) & set(rss.holds(other))
        return common

    def _key_of(self, component: int) -> bytes:
        pair = self._require(self._listed).keys
        return pair.own if component == self._k else pair.following

    # ------------------------------------------------------------ products

    def _begin(self, begin: Begin, corrections: memoryview) -> bytes:
        agreed = self._read_accepted(begin.accepted)
        return self._once(Step.MULTIPLIED, agreed.digest, lambda: self._multiply(agreed, begin.loans, corrections))

    def _multiply(self, agreed: _Agreed, loans: tuple[bytes, ...], corrections: memoryview) -> GramShare | Objection:
        plan, listed, inside = self._plan, self._require(self._listed), agreed.rejections.inside
        needs = 0 in rss.holds(self._k)
        given = uploads.split(corrections, plan, inside if needs else ())
        with passed_on():
            for dealer, data in given.items():
                uploads.check_correction(data, listed.told[dealer], plan)
            lent = self._read_loans(agreed, loans)
        self._decide("dealers", agreed.digest)
        seeds = dict[int, Seeds]()
        for dealer in inside:
            found = listed.seeds[dealer] or self._borrowed(agreed, dealer, lent)
            if isinstance(found, Objection):
                return found
            seeds[dealer] = found
        self._agreed = agreed
        self._held = hold(
            plan,
            self._k,
            listed.keys,
            seeds=seeds,
            corrections=given,
            accepted=agreed.digest,
            beacon=first_beacon(listed.digest, agreed.coins),
        )
        own, following = self._held.projected
        products = self._held.products()
        return GramShare(self._id, self._party, agreed.digest, products, own, words_digest(following))

    def _read_loans(self, agreed: _Agreed, loans: tuple[bytes, ...]) -> Mapping[int, Loan]:
        due = {k: agreed.rejections.due(k) for k in range(rss.PARTIES)}
        lenders = [k for k, dealers in due.items() if dealers]
        if len(loans) != len(lenders):
            raise PeerFault(COORDINATOR, f"passed on {len(loans)} loans, {len(lenders)} are due")
        return {k: self._reader.loan(data, k, agreed.digest, due[k]) for k, data in zip(lenders, loans, strict=True)}

    def _borrowed(self, agreed: _Agreed, dealer: int, lent: Mapping[int, Loan]) -> Seeds | Objection:
        """The seeds that the two others lend it of a dealer whose box did not open here."""
        listed, found = self._require(self._listed), dict[int, bytes]()
        for k in (other for other in range(rss.PARTIES) if other != self._k):
            loan, component = lent[k], self._shared_with(k)
            sealed = loan.sealed[loan.dealers.index(dealer)]
            key = self._key_of(component)
            try:
                seed = keys.borrow(key, sealed, accepted=agreed.digest, dealer=dealer, borrower=self._k)
            except Refused:
                seed = b""
            if len(seed) != rss.SEED_BYTES or rss.commit(seed) != listed.told[dealer].dealing.commitments[component]:
                return self._object(self._plan.aggregators[k], agreed.digest, f"lent another seed of party {dealer}")
            found[component] = seed
        own, following = rss.holds(self._k)
        return found[own], found[following]

    def _fix(self, message: Shares) -> bytes:
        return self._once(Step.FIXED, gathered(message.shares), lambda: self._fixed_by(message.shares))

    def _fixed_by(self, given: tuple[bytes, ...]) -> Coin:
        accepted = self._require(self._agreed).digest
        shares = self._three(given, lambda data, k: self._reader.share(data, k, accepted))
        with passed_on():
            require_agreement(self._plan, shares, canon.pack(Shares(given)))
        digest = gathered(given)
        self._decide("products", digest)
        self._fixed = _Fixed(digest, shares)
        return Coin(self._id, self._party, digest, self._coin(1))

    def _three(self, given: tuple[bytes, ...], read: Callable[[bytes, int], T]) -> tuple[T, ...]:
        """One message of each aggregator, as the coordinator passes them on."""
        if len(given) != rss.PARTIES:
            raise PeerFault(COORDINATOR, "passed on fewer than three")
        with passed_on():
            return tuple(read(data, k) for k, data in enumerate(given))

    # ------------------------------------------------------------ the check, and the sum

    def _vouch(self, message: Coins) -> bytes:
        return self._once(Step.VOUCHED, gathered(message.coins), lambda: self._vouched(message.coins))

    def _vouched(self, given: tuple[bytes, ...]) -> VouchBy:
        """What it says for its own products, and for the next aggregator's to the one before it."""
        held, listed, fixed = self._require(self._held), self._require(self._listed), self._require(self._fixed)
        said = self._three(given, lambda data, k: self._reader.coin(data, k, fixed.digest, listed.pledges[k]))
        drawn = Drawn(gathered(given), second_beacon(fixed.digest, [one.coin for one in said]))
        sealed = held.vouch(drawn)
        vouch = Vouch(self._id, self._party, drawn.coins, held.claim(drawn), Digest(sha256(sealed).digest()))
        self._drawn = drawn
        return VouchBy(self._say(vouch), sealed)

    def _check(self, message: Vouches) -> bytes:
        return self._once(Step.CHECKED, gathered(message.vouches), lambda: self._checked(message))

    def _checked(self, message: Vouches) -> Verdict | Objection:
        held, fixed, drawn = self._require(self._held), self._require(self._fixed), self._require(self._drawn)
        vouches = self._three(message.vouches, lambda data, k: self._reader.vouch(data, k, drawn.coins))
        prover, first = (self._k - 1) % rss.PARTIES, (self._k + 1) % rss.PARTIES
        if sha256(message.sealed).digest() != vouches[first].sealed:
            raise PeerFault(COORDINATOR, "passed on something else than an aggregator vouched with")
        if not held.is_satisfied(drawn, fixed.shares[prover].products, message.sealed, vouches[prover]):
            about = self._plan.aggregators[prover]
            return self._object(about, fixed.digest, "opened products that failed the check")
        self._vouches = gathered(message.vouches)
        return Verdict(self._id, self._party, self._vouches)

    def _sum(self, message: Verdicts) -> bytes:
        return self._once(Step.SUMMED, gathered(message.verdicts), lambda: self._summed(message.verdicts))

    def _summed(self, given: tuple[bytes, ...]) -> GramSum:
        plan, fixed, held = self._plan, self._require(self._fixed), self._require(self._held)
        inside = self._require(self._agreed).rejections.inside
        self._three(given, lambda data, k: self._reader.verdict(data, k, self._vouches))
        products = multiply_out(plan, inside, fixed.shares)
        told = self._require(self._listed).told
        reports = {dealer: told[dealer].dealing.report for dealer in products.present}
        weights = judge_by(plan, products, reports, self._judge).weights
        self._decide("weights", canon.pack(Weights(weights)))
        own, following = (held.part(weights, which) for which in (0, 1))
        return GramSum(self._id, self._party, gathered(given), weights, own, words_digest(following))

    # ------------------------------------------------------------ in common

    def _object(self, about: int, answers: Digest, why: str) -> Objection:
        return Objection(self._id, self._party, about, answers, why)

    def _require(self, known: T | None) -> T:
        """What it knows from an earlier step; raises PeerFault naming the coordinator if that was skipped."""
        if known is None:
            raise self._not_due()
        return known

    def _say(self, record: object) -> bytes:
        return sign_record(self._secrets.signer, self._plan.ground.domain, record)


@canon.record("gram/weights/1")
class Weights:
    """What an aggregator opened a sum with; kept in its own memory.

    weights  int64[sites]
    """

    weights: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
