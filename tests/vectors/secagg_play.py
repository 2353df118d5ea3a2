"""A set-up of secure aggregation and its rounds, played by both sides with none of the package's code.

Every site masks with every other and sits in the committee, and everybody is honest but for what a case asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cbor2
from secagg_again import (
    DOMAIN,
    KINDS,
    SUITE,
    Chance,
    Kem,
    address,
    array,
    commitment,
    consent_digest,
    derive,
    digest,
    eip712,
    expand,
    leaf,
    levels,
    masked,
    mldsa_public,
    pack,
    pads,
    pair_check,
    parcel,
    share,
    share_digest,
    siblings,
    signed,
    signed_digest,
    slices,
    statement,
    survivors_digest,
    table,
    tag,
    tagged,
    threshold_for,
    xor,
)

JOB, STATE, BEACON = (digest(what.encode()) for what in ("job of vectors", "state of vectors", "beacon of vectors"))
COORDINATOR = digest(b"coordinator of vectors")
ROOM = 512


def secret(what: str, seat: int) -> bytes:
    """A secret of a site: public here, and the same every time."""
    return digest(f"{what} of seat {seat} of vectors".encode())


def party(seat: int) -> list:
    voucher = digest(mldsa_public(secret("identity", seat)))
    return ["secagg/party/2", seat, address(secret("signer", seat)), voucher]


def setup_record(sites: int, rounds: int, cohort: int = 0) -> list:
    threshold = threshold_for(sites)
    plan = ["secagg/plan/1", sites, sites - 1, sites, threshold, 0]
    parties = [party(seat) for seat in range(sites)]
    who, drawn = [SUITE, DOMAIN, JOB, address(COORDINATOR), parties], [BEACON, "aes-256-ctr"]
    return ["secagg/setup/1", *who, plan, threshold, cohort, *drawn, 0, rounds, 0]


@dataclass
class Lies:
    """What a case has sites do wrong.

    committed  instead of a secret, by seat, round and kind: committed to
    hidden     instead of the seed with another, by seat, round and other: under the recovery key
    sealed     instead of what belongs in a parcel, by dealer and receiver
    """

    committed: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    hidden: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    sealed: dict[tuple[int, int], bytes] = field(default_factory=dict)


class Prepared:
    """A set-up from beginning to end."""

    def __init__(self, sites: int, rounds: int, chance: Chance, lies: Lies | None = None, name: str = "") -> None:
        self.sites, self.rounds, self.chance, self.lies, self.name = sites, rounds, chance, lies or Lies(), name
        self.seats, self.threshold = list(range(sites)), threshold_for(sites)
        self.setup = setup_record(sites, rounds)
        self.id = digest(pack(self.setup))
        self.kems = [Kem(derive(self.root(seat), "secagg/kem", self.id)) for seat in self.seats]
        self.advertisements = [self.advertise(seat) for seat in self.seats]
        heard = [digest(one) for one in self.advertisements]
        self.roster = ["secagg/roster/2", self.id, self.seats, table((sites, 32), heard)]
        self.roster_id = digest(pack(self.roster))
        self.context = tagged("secagg/setup", self.id, self.roster_id)
        self.own = [
            [slices(derive(self.root(seat), f"secagg/{kind}", self.context), rounds) for kind in KINDS]
            for seat in self.seats
        ]
        self.shares = [self._share(seat) for seat in self.seats]
        self.deals = [self._deal(seat) for seat in self.seats]
        self.headers = [one[1] for one in self.deals]
        self.confirms = [self.confirm(seat) for seat in self.seats]
        bound = [signed_digest(self.headers), signed_digest(self.confirms)]
        self.ready = ["secagg/ready/1", self.id, self.roster_id, self.seats, *bound]
        self.ready_id = digest(pack(self.ready))
        self.endorses = [self.endorse(seat) for seat in self.seats]

    @staticmethod
    def root(seat: int) -> bytes:
        return secret("root", seat)

    def vouch(self, what: str, seat: int, record: list) -> bytes:
        return self.chance.vouch(f"{self.name}{what}/{seat}", secret("identity", seat), record)

    def say(self, seat: int, record: list) -> bytes:
        return statement(secret("signer", seat), record)

    # ------------------------------------------------------------ dealing

    def advertise(self, seat: int) -> bytes:
        identity = mldsa_public(secret("identity", seat))
        return self.vouch("advertise", seat, ["secagg/advertise/2", self.id, seat, identity, self.kems[seat].public])

    def _share(self, seat: int) -> list[list[bytes]]:
        """By holder, the shares of the secrets in the order of rounds and kinds."""
        secrets = [self.own[seat][kind][at] for at in range(self.rounds) for kind in (0, 1)]
        by_secret = share(secrets, self.threshold, self.sites, self.root(seat), self.context)
        return [[one[holder] for one in by_secret] for holder in self.seats]

    def pair_secret(self, one: int, other: int) -> bytes:
        low, high = min(one, other), max(one, other)
        return expand(derive(self.root(low), "secagg/pairs", self.context), "secagg/pair-secret/1", high.to_bytes(4))

    def pair_seed(self, one: int, other: int, at: int) -> bytes:
        return slices(expand(self.pair_secret(one, other), "secagg/mask/2"), at + 1)[at]

    def digests(self, dealer: int, holder: int) -> list[bytes]:
        return [share_digest(dealer, holder, KINDS[at % 2], one) for at, one in enumerate(self.shares[dealer][holder])]

    def sealed(self, dealer: int, receiver: int) -> bytes:
        if dealer == receiver:
            return b""
        pairs = derive(self.root(dealer), "secagg/pairs", self.context)
        given = expand(pairs, "secagg/pair-secret/1", receiver.to_bytes(4))
        contents = self.lies.sealed.get((dealer, receiver), given + b"".join(self.shares[dealer][receiver]))
        ciphertext, key = self.chance.encapsulate(f"{self.name}parcel/{dealer}/{receiver}", self.kems[receiver])
        return parcel(ciphertext, key, self.context, dealer, receiver, contents)

    def committed(self, seat: int) -> list[bytes]:
        return [
            commitment(KINDS[kind], self.lies.committed.get((seat, at, kind), self.own[seat][kind][at]))
            for at in range(self.rounds)
            for kind in (0, 1)
        ]

    def _deal(self, seat: int) -> list:
        parcels = [self.sealed(seat, receiver) for receiver in self.seats]
        sealed = [digest(one) if one else bytes(32) for one in parcels]
        leaves = [leaf(one + b"".join(self.digests(seat, at))) for at, one in enumerate(sealed)]
        commitments = self.committed(seat)
        bound = [digest(*commitments), levels(leaves)[-1][0]]
        header = self.vouch("header", seat, ["secagg/header/2", self.id, self.roster_id, seat, *bound])
        digests = [one for holder in self.seats for one in self.digests(seat, holder)]
        return [
            "secagg/deal/1",
            header,
            table((self.rounds, 2, 32), commitments),
            table((self.sites, self.rounds, 2, 32), digests),
            table((self.sites, 32), sealed),
            parcels,
        ]

    def without_parcels(self, seat: int) -> bytes:
        return pack([*self.deals[seat][:5], []])

    # ------------------------------------------------------------ agreeing

    def confirm(self, seat: int, **changes: object) -> bytes:
        others, entries = [one for one in self.seats if one != seat], []
        checks = [[self.check(seat, other, at) for other in others] for at in range(self.rounds)]
        hiding = [pads(key, those) for key, those in zip(self.own[seat][1], checks, strict=True)]
        missing = changes.get("missing", [])
        for place, other in enumerate(others):
            for at in range(self.rounds):
                seed = self.pair_seed(seat, other, at)
                hidden = self.lies.hidden.get((seat, at, other), seed)
                entries += [checks[at][place], xor(hidden, hiding[at][place])]
        shape = changes.get("shape", (len(others), self.rounds, 2, 32))
        return self.say(
            changes.get("signer", seat),
            ["secagg/confirm/1", self.id, changes.get("roster", self.roster_id), seat, missing, table(shape, entries)],
        )

    def check(self, one: int, other: int, at: int) -> bytes:
        return pair_check(min(one, other), max(one, other), self.pair_seed(one, other, at))

    def tag_key(self, one: int, other: int) -> bytes:
        return expand(self.pair_secret(one, other), "secagg/tag/1")

    def tags(self, about: bytes, sender: int) -> list[bytes]:
        return [
            bytes(32) if one == sender else tag(self.tag_key(sender, one), about, sender, one) for one in self.seats
        ]

    def endorse(self, seat: int) -> bytes:
        tags = table((self.sites, 32), self.tags(self.ready_id, seat))
        return self.say(seat, ["secagg/endorse/1", self.ready_id, seat, tags])

    # ------------------------------------------------------------ what the coordinator says

    def roster_for(self) -> bytes:
        """To any site: where everybody masks with everybody, all are told the same."""
        return pack(["secagg/roster-for/1", statement(COORDINATOR, self.roster), self.advertisements])

    def delivery(self, dealer: int, receiver: int) -> list:
        sealed = self.deals[dealer][4][2]
        leaves = [leaf(sealed[32 * at : 32 * at + 32] + b"".join(self.digests(dealer, at))) for at in self.seats]
        proof = siblings(leaves, receiver)
        return [
            "secagg/delivery/1",
            dealer,
            self.headers[dealer],
            table((self.rounds, 2, 32), self.digests(dealer, receiver)),
            self.deals[dealer][5][receiver],
            table((len(proof), 32), proof),
        ]

    def inbox(self, receiver: int) -> list:
        deliveries = [self.delivery(dealer, receiver) for dealer in self.seats if dealer != receiver]
        return ["secagg/inbox/2", self.id, self.roster_id, deliveries]

    def endorsed(self, receiver: int, members: list[int]) -> bytes:
        tags = [self.tags(self.ready_id, member)[receiver] for member in members]
        return pack(["secagg/endorsed/1", statement(COORDINATOR, self.ready), members, table((len(members), 32), tags)])

    @cached_property
    def record(self) -> list:
        """What is published: a threshold of endorsements, and no parcels."""
        deals = [self.without_parcels(seat) for seat in self.seats]
        endorses = self.endorses[: self.threshold]
        said = [self.advertisements, deals, self.confirms, self.ready, endorses, [], []]
        return ["secagg/setup-record/1", self.setup, self.roster, *said]


class Round:
    """A round on a set-up; whoever is silent sends nothing.

    length, bits  of the vectors
    """

    def __init__(self, ground: Prepared, at: int, silent: list[int], length: int = 5, bits: int = 64) -> None:
        self.ground, self.at, self.length, self.bits = ground, at, length, bits
        self.survivors = [seat for seat in ground.seats if seat not in silent]
        self.silent = silent
        self.session = ["secagg/session/2", ground.ready_id, at, STATE, length, bits]
        self.id = digest(pack(self.session))
        self.uploads = {seat: self.upload(seat) for seat in self.survivors}
        self.agreed = survivors_digest(self.survivors, [self.survivors])
        self.told = ["secagg/survivors/2", self.id, self.survivors, [0]]
        self.consents = {seat: self.consent(seat) for seat in self.survivors}
        self.openings = {seat: self.opening(seat) for seat in self.survivors}

    def vector(self, seat: int) -> list[int]:
        words = digest(f"vector {self.at} of seat {seat}".encode()) * self.length
        size = self.bits // 8
        return [int.from_bytes(words[at * size : at * size + size], "little") for at in range(self.length)]

    def keys(self, seat: int) -> tuple[list[bytes], list[bytes]]:
        """The keys of a site's masks: those that are added, and those that are taken."""
        plus, minus = [self.ground.own[seat][0][self.at]], []
        for other in self.ground.seats:
            if other != seat:
                (plus if seat < other else minus).append(self.ground.pair_seed(seat, other, self.at))
        return tuple([expand(seed, "secagg/stream/1", self.id) for seed in those] for those in (plus, minus))

    def masked(self, seat: int) -> list[int]:
        return masked(self.vector(seat), self.bits, *self.keys(seat))

    def upload(
        self, seat: int, *, signer: int | None = None, vector: list[int] | None = None, **changes: object
    ) -> bytes:
        words = self.masked(seat) if vector is None else vector
        data = b"".join(one.to_bytes(self.bits // 8, "little") for one in words)
        named = changes.get("named", digest(data))
        body = pack(["secagg/upload/2", changes.get("session", self.id), changes.get("whose", seat), named])
        key = secret("signer", seat if signer is None else signer)
        head = signed(body, "eip712-secp256k1", eip712(key, "Upload", JOB, self.at, seat, digest(body)))
        return (len(head).to_bytes(4) + head).ljust(ROOM, b"\0") + data

    def leaf(self, seat: int) -> bytes:
        """The leaf of the round's tree: over the body's digest and the signature's."""
        size = int.from_bytes(self.uploads[seat][:4])
        body, signature = unsigned(self.uploads[seat][4 : 4 + size])
        return leaf(JOB + self.at.to_bytes(32) + seat.to_bytes(32) + digest(body) + digest(signature))

    def receipt(self, seat: int) -> list:
        one = self.leaf(seat)
        return ["secagg/receipt/1", self.id, seat, one, eip712(COORDINATOR, "Receipt", JOB, self.at, seat, one)]

    def consent(self, seat: int, *, agreed: bytes | None = None, signer: int | None = None) -> bytes:
        agreed = self.agreed if agreed is None else agreed
        tags = self.ground.tags(consent_digest(self.id, agreed), seat)
        record = ["secagg/consent/2", self.id, seat, agreed, table((self.ground.sites, 32), tags)]
        return self.ground.say(seat if signer is None else signer, record)

    def consents_for(self, receiver: int) -> list:
        about = consent_digest(self.id, self.agreed)
        tags = [self.ground.tags(about, sender)[receiver] for sender in self.survivors]
        return ["secagg/consents/2", self.id, self.survivors, table((len(tags), 32), tags)]

    def share(self, owner: int, holder: int, kind: int) -> bytes:
        return self.ground.shares[owner][holder][2 * self.at + kind]

    def opening(self, seat: int, owners: list[int] | None = None, shares: list[bytes] | None = None) -> bytes:
        owners = self.ground.seats if owners is None else owners
        if shares is None:
            shares = [self.share(owner, seat, int(owner in self.silent)) for owner in owners]
        opened = array("<u4", (len(owners), 9), b"".join(shares))
        return self.ground.say(seat, ["secagg/opening/2", self.id, seat, owners, opened])

    def total(self) -> list[int]:
        """The sum that the round opens, from the plain vectors."""
        columns = zip(*(self.vector(seat) for seat in self.survivors), strict=True)
        return [sum(column) % 2**self.bits for column in columns]

    def exchange(self) -> list:
        said = [[*self.consents.values()], [*self.openings.values()]]
        return ["secagg/exchange/2", self.session, self.survivors, [0], *said, []]


def unsigned(head: bytes) -> tuple[bytes, bytes]:
    """Body and signature of an envelope."""
    _, body, _, signature = cbor2.loads(head)
    return body, signature
