"""What a coordinator and the sites say to one another in secure aggregation.

The shape is that of Flamingo (Ma et al., IEEE S&P 2023): one set-up for many rounds, then per round one upload of
every site, and a committee that agrees on who is in the sum and opens it. Every message names the set-up or the round,
so none means anything in another. What a site must not be deceived about it learns under post-quantum keys: peers'
keys and dealings by ML-DSA-65 signatures, the outcome of the set-up and survivor lists by tags under keys from X-Wing.
What strangers must be able to check carries an EIP-712 signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus.canon import record
from caduceus.crypto import merkle, seal, shamir, xwing
from caduceus.crypto.entropy import tagged
from caduceus.kinds import Digest, JobId

SECRET_BYTES = 32
TAG_BYTES = 32

Bytes = npt.NDArray[np.uint8]


def parcel_bytes(rounds: int, *, to_member: bool) -> int:
    """The length of a parcel: encapsulation, sealed pair secret, and for a member two sealed shares per round."""
    shares = 2 * shamir.SHARE_BYTES * rounds if to_member else 0
    return xwing.CIPHERTEXT_BYTES + SECRET_BYTES + shares + seal.TAG_BYTES


# ---------------------------------------------------------------- the set-up


@record("secagg/advertise/2")
class Advertise:
    """1, site to coordinator: I am here, and this is the key to encapsulate to; signed with ML-DSA-65.

    verifier  ML-DSA-65 public key, whose SHA-256 the site enrolled with
    kem_key   X-Wing public key, made for this set-up

    Reveals: that the site takes part.
    """

    setup: Digest
    seat: int
    verifier: bytes
    kem_key: bytes


@record("secagg/roster/2")
class Roster:
    """2, coordinator to all sites: these are here.

    digests  uint8[sites, 32]: SHA-256 of their signed advertisements, ascending by seat

    Reveals: to each site, who else takes part.
    """

    setup: Digest
    seats: tuple[int, ...]
    digests: Bytes


@record("secagg/roster-for/1")
class RosterFor:
    """2, to one site: the signed roster, and the advertisements of the site's peers, ascending by seat.

    Bare: the roster's digests bind the advertisements.
    """

    roster: bytes
    advertisements: tuple[bytes, ...]


@record("secagg/header/2")
class Header:
    """3a, site to coordinator, public: what I dealt, without what it is; signed with ML-DSA-65.

    roster       digest of the roster that was answered
    commitments  digest of `Deal.commitments`
    deal_root    Merkle root over `deal_leaf` of every receiver, ascending by seat

    Reveals: nothing: what is committed to is uniform and 32 bytes or more.
    """

    setup: Digest
    roster: Digest
    seat: int
    commitments: Digest
    deal_root: Digest


@record("secagg/deal/1")
class Deal:
    """3, site to coordinator: my header, and a parcel for everyone that I deal to.

    header       signed `Header`
    commitments  uint8[rounds, 2, 32]: to the self-mask seed and to the recovery key of every round
    digests      uint8[members, rounds, 2, 32]: `share_digest` of either share of every committee member
    sealed       uint8[receivers, 32]: SHA-256 of every parcel; zeros for the site itself
    parcels      per receiver: encapsulation and what is sealed under it (see `secagg_parcel`); b"" for the site
                 itself, and () in what is kept for the record

    Reveals: to the coordinator nothing; parcels open at their receivers only.
    """

    header: bytes
    commitments: Bytes
    digests: Bytes
    sealed: Bytes
    parcels: tuple[bytes, ...]


@record("secagg/delivery/1")
class Delivery:
    """4a: what one site dealt to the recipient.

    header    the dealer's, signed
    digests   uint8[rounds, 2, 32] of the recipient's shares; uint8[0, 2, 32] for one that is no member
    siblings  uint8[depth, 32]: proof that digests and parcel stand under the header's root
    """

    dealer: int
    header: bytes
    digests: Bytes
    parcel: bytes
    siblings: Bytes


@record("secagg/inbox/2")
class Inbox:
    """4, coordinator to one site: the parcels for you, ascending by dealer.

    Reveals: to the site, who dealt.
    """

    setup: Digest
    roster: Digest
    deliveries: tuple[Delivery, ...]


@record("secagg/confirm/1")
class Confirm:
    """5, site to coordinator, public: what I have in common with my neighbours, in a form that opens with one key.

    missing  dealers whose parcel held nothing usable, ascending
    tables   uint8[neighbours, rounds, 2, 32], neighbours in the roster ascending: `pair_check` of the round's pair
             seed, which both ends publish alike, and the seed itself under the round's recovery key of this site; for
             a neighbour that dealt nothing usable zeros, and zeros under that key

    Reveals: nothing before a recovery key is opened; that opens this site's pair seeds of one round (the recovery key
    is shared and the rest published: Krawczyk, "Secret Sharing Made Short", CRYPTO 1993).
    """

    setup: Digest
    roster: Digest
    seat: int
    missing: tuple[int, ...]
    tables: Bytes


@record("secagg/ready/1")
class Ready:
    """6, coordinator to the committee: these sites are ready, every two neighbours among them agree.

    headers   digest of their signed headers (see `signed_digest`), ascending by seat
    confirms  digest of their signed confirmations

    Reveals: who is ready.
    """

    setup: Digest
    roster: Digest
    seats: tuple[int, ...]
    headers: Digest
    confirms: Digest


@record("secagg/endorse/1")
class Endorse:
    """7, member to coordinator: this is the one outcome of the set-up that I stand by.

    tags  uint8[seats, 32]: for every ready site a tag that only it can check; zeros where there is no common secret

    Reveals: nothing new.
    """

    ready: Digest
    seat: int
    tags: Bytes


@record("secagg/endorsed/1")
class Endorsed:
    """8, coordinator to one site: the outcome, and the members that stand by it.

    ready    signed `Ready`
    members  ascending
    tags     uint8[members, 32]: theirs for this site

    Bare: the tags bind it.
    """

    ready: bytes
    members: tuple[int, ...]
    tags: Bytes


# ---------------------------------------------------------------- a round


@record("secagg/upload/2")
class Upload:
    """1, site to coordinator: my vector under my own mask and those with my neighbours.

    vector  SHA-256 of the masked vector, which travels behind the signed record (see `secagg_upload`)

    Signed as an EIP-712 `Upload`, so that a contract can check it.

    Reveals: nothing: the vector is uniform to whoever misses the self-mask seed or the seed with any one neighbour.
    """

    session: Digest
    seat: int
    vector: Digest


@record("secagg/receipt/1")
class Receipt:
    """2a, coordinator to one site, at once: your upload will be at your seat of the round's tree.

    leaf       the leaf over the upload's digest and signature (see `upload_leaf_data`)
    signature  EIP-712 `Receipt` by the coordinator: with it the site can prove an omission on the chain

    Reveals: nothing new.
    """

    session: Digest
    seat: int
    leaf: Digest
    signature: bytes


@record("secagg/survivors/2")
class Survivors:
    """2, coordinator to the committee: these uploads are in, and these groups have a sum.

    seats   ascending
    groups  places of the groups whose sums are to be opened, ascending; (0,) where there is one sum

    Reveals: who sent an upload.
    """

    session: Digest
    seats: tuple[int, ...]
    groups: tuple[int, ...]


@record("secagg/consent/2")
class Consent:
    """3, member to coordinator: I have seen this list, and will open for no other.

    survivors  see `survivors_digest`
    tags       uint8[members, 32], members of the ready sites ascending: for every other a tag that only it can check

    Reveals: nothing new.
    """

    session: Digest
    seat: int
    survivors: Digest
    tags: Bytes


@record("secagg/consents/2")
class Consents:
    """4, coordinator to one member: these have seen the same list.

    seats  ascending
    tags   uint8[seats, 32]: theirs for this member

    Reveals: who consented.
    """

    session: Digest
    seats: tuple[int, ...]
    tags: Bytes


@record("secagg/opening/2")
class Opening:
    """5, member to coordinator: for each site in a group whose sum is opened, the one share that the list calls for.

    owners  seats whose share this member has to open, ascending
    shares  uint32[owners, 9]: of the self-mask seed where the owner is a survivor, else of its recovery key; never both

    Reveals: with a threshold of such openings, the self-mask seeds of survivors and this round's pair seeds of those
    who sent nothing: the sums over the survivors of each group, and nothing else.
    """

    session: Digest
    seat: int
    owners: tuple[int, ...]
    shares: npt.NDArray[np.uint32]


# ---------------------------------------------------------------- what is committed to, and where

_COMMITMENT_TAGS = {kind: tagged("secagg/commitment/1", kind.encode()) for kind in ("self", "recovery")}
_SHARE_TAGS = {kind: tagged("secagg/share/2", kind.encode()) for kind in ("self", "recovery")}
_PAIR_TAG = tagged("secagg/pair/1")

KINDS = ("self", "recovery")
"""The two secrets of a site in a round, in the order of every table."""


def commitment(kind: str, secret: bytes) -> bytes:
    """Binds a site to a secret of a round; hides it because it is uniform."""
    return sha256(_COMMITMENT_TAGS[kind] + secret).digest()


def share_digest(owner: int, holder: int, kind: str, share: bytes) -> bytes:
    """Binds a site to a share that it gave away; hides it because a share is uniform, 9 words of 31 bits."""
    return sha256(_SHARE_TAGS[kind] + owner.to_bytes(4) + holder.to_bytes(4) + share).digest()


def share_digests(owner: int, holder: int, shares: bytes) -> bytes:
    """`share_digest` of all shares that a holder has of an owner: by round, one of each kind."""
    names, size = owner.to_bytes(4) + holder.to_bytes(4), shamir.SHARE_BYTES
    heads = [_SHARE_TAGS[kind] + names for kind in KINDS] * (len(shares) // size // 2)
    starts = range(0, len(shares), size)
    return b"".join([sha256(head + shares[at : at + size]).digest() for head, at in zip(heads, starts, strict=True)])


def pair_check(low: int, high: int, seed: bytes) -> bytes:
    """Binds two sites to the seed of their mask in a round; both publish the same."""
    return sha256(_PAIR_TAG + low.to_bytes(4) + high.to_bytes(4) + seed).digest()


def deal_leaf(sealed: bytes, digests: bytes) -> Digest:
    """What a dealer answers for towards one receiver: its parcel and the digests of its shares."""
    return merkle.leaf(sealed + digests)


def signed_digest(messages: Iterable[bytes]) -> Digest:
    """Binds to signed messages in their order."""
    return Digest(sha256(tagged("secagg/signed/1", *(sha256(one).digest() for one in messages))).digest())


def survivors_digest(seats: Iterable[int], groups: Iterable[Iterable[int]]) -> Digest:
    """What a site remembers of a survivor list: the same for the same sites in the same groups, whatever the round."""
    parts = [b"".join([seat.to_bytes(4) for seat in one]) for one in (seats, *groups)]
    return Digest(sha256(tagged("secagg/survivors/2", *parts)).digest())


def consent_digest(session: Digest, survivors: Digest) -> Digest:
    """What the tags of a consent assure of: this list, in this round."""
    return Digest(sha256(tagged("secagg/consent/2", session, survivors)).digest())


def upload_leaf_data(job: JobId, round: int, seat: int, body: Digest, signature: bytes) -> bytes:
    """What the leaf of an upload is the hash of: abi.encode(job, round, seat, body, sha256(signature))."""
    return job + round.to_bytes(32) + seat.to_bytes(32) + body + sha256(signature).digest()
