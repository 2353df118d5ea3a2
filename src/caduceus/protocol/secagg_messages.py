"""What a coordinator and the sites say to one another in a round of secure aggregation.

Bonawitz et al. 2017 (CCS), figure 4, with the consistency check against a lying coordinator. Every message
names the session, so none means anything in another round; all but parcels travel in a `Signed` envelope.
Where a site answers for more than itself it also signs the digests of what it was shown: the roster, and the
dealing. So whoever was shown something else says so itself, and nobody answers for what it never saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus.canon import record
from caduceus.crypto import merkle, seal, shamir
from caduceus.crypto.entropy import tagged
from caduceus.kinds import Digest, JobId, Residues

PARCEL_BYTES = 2 * shamir.SHARE_BYTES + seal.TAG_BYTES
"""A self-mask share and a mask-key share, sealed."""


@record("secagg/advertise/1")
class Advertise:
    """1, site to coordinator: I am here, and masks with me are agreed on under this key.

    mask_key  X25519 public key made for this round, 32 bytes

    Reveals: that the site takes part.
    """

    session: Digest
    seat: int
    mask_key: bytes


@record("secagg/roster/1")
class Roster:
    """2, coordinator to sites: these are here.

    seats           ascending
    advertisements  their signed advertisements

    Reveals: to each site, who else takes part.
    """

    session: Digest
    seats: tuple[int, ...]
    advertisements: tuple[bytes, ...]


@record("secagg/header/1")
class Header:
    """3a, site to coordinator, public: what I shared, without what it is.

    roster           digest of the roster that was answered
    seed_commitment  see `seed_commitment`
    share_root       Merkle root over `share_leaf` of every holder, by position in the roster

    Reveals: nothing: the committed values are uniform and 32 bytes or more.
    """

    session: Digest
    roster: Digest
    seat: int
    seed_commitment: Digest
    share_root: Digest


@record("secagg/shares/1")
class Shares:
    """3, site to coordinator: my header, and a sealed parcel for every other site.

    header   signed `Header`
    digests  uint8[holders, 3, 32]: `share_digest` of the self-mask share and of the mask-key share of every
             holder, and SHA-256 of its parcel, by position in the roster; their leaves give the header's root
    parcels  uint8[holders, PARCEL_BYTES]: sealed parcels (see `secagg_parcel`) by position in the roster, zeros
             at the sender's own; uint8[0, PARCEL_BYTES] in what is kept for the record

    Reveals: to the coordinator nothing; parcels open at their recipients only.
    """

    header: bytes
    digests: npt.NDArray[np.uint8]
    parcels: npt.NDArray[np.uint8]


@record("secagg/inbox/1")
class Inbox:
    """4, coordinator to one site: the parcels for you, from everyone who shared.

    senders   seats, ascending; the recipient among them
    headers   their signed headers
    digests   uint8[senders, 2, 32]: the share digests at the recipient's position
    parcels   uint8[senders, PARCEL_BYTES]: what each sealed for the recipient
    siblings  uint8[senders, depth, 32]: proof that digests and parcel stand under each header's root

    Reveals: to the site, who shared.
    """

    session: Digest
    senders: tuple[int, ...]
    headers: tuple[bytes, ...]
    digests: npt.NDArray[np.uint8]
    parcels: npt.NDArray[np.uint8]
    siblings: npt.NDArray[np.uint8]


@record("secagg/upload/1")
class Upload:
    """5, site to coordinator: my vector under my own mask and those with every sender of a parcel.

    dealing  digest of the headers that came with the parcels (see `dealing_digest`)

    Signed as an EIP-712 `Upload`, so that a contract can check it.

    Reveals: nothing: the vector is uniform to whoever misses the self-mask seed or any one pairwise key.
    """

    session: Digest
    roster: Digest
    dealing: Digest
    seat: int
    vector: Residues


@record("secagg/receipt/1")
class Receipt:
    """6a, coordinator to one site, at once: your upload will be at your seat of the round's tree.

    leaf       the leaf over the upload's digest and signature (see `upload_leaf_data`)
    signature  EIP-712 `Receipt` by the coordinator: with it the site can prove an omission on the chain

    Reveals: nothing new.
    """

    session: Digest
    seat: int
    leaf: Digest
    signature: bytes


@record("secagg/survivors/1")
class Survivors:
    """6, coordinator to sites: these uploads are in.

    seats  ascending

    Reveals: who sent an upload.
    """

    session: Digest
    seats: tuple[int, ...]


@record("secagg/consent/1")
class Consent:
    """7, site to coordinator: I have seen this roster, dealing and list, and will open for no other.

    Reveals: nothing new.
    """

    session: Digest
    roster: Digest
    dealing: Digest
    seat: int
    survivors: tuple[int, ...]


@record("secagg/consents/1")
class Consents:
    """8, coordinator to sites: this many have seen the same list.

    seats     ascending
    consents  their signed `Consent`s

    Reveals: who consented.
    """

    session: Digest
    seats: tuple[int, ...]
    consents: tuple[bytes, ...]


@record("secagg/opening/1")
class Opening:
    """9, site to coordinator: for each sender, the one share that the list calls for.

    owners  seats whose share this site has to open, ascending
    shares  uint32[owners, 9]: of the self-mask seed where the owner is a survivor, else of its mask key;
            never both

    Reveals: with a threshold of such openings, the self-mask seeds of survivors and the mask keys of those
    who sent nothing: the sum of the survivors' vectors, and nothing else (Bonawitz et al. 2017, theorem 6.5).
    """

    session: Digest
    seat: int
    owners: tuple[int, ...]
    shares: npt.NDArray[np.uint32]


# ---------------------------------------------------------------- what is committed to, and where


def seed_commitment(seed: bytes) -> Digest:
    """Binds a site to its self-mask seed; hides it because the seed is uniform."""
    return Digest(sha256(tagged("secagg/seed/1", seed)).digest())


def share_digest(owner: int, holder: int, kind: str, share: bytes) -> bytes:
    """Binds a site to a share that it gave away; hides it because a share is uniform, 9 words of 31 bits.

    kind  "self" for the self-mask seed, "key" for the mask key
    """
    return sha256(_SHARE_TAGS[kind] + owner.to_bytes(4) + holder.to_bytes(4) + share).digest()


_SHARE_TAGS = {kind: tagged("secagg/share/1", kind.encode()) for kind in ("self", "key")}


def share_tree(digests: npt.NDArray[np.uint8]) -> merkle.Tree:
    """The tree over every holder's digests, uint8[holders, 3, 32]."""
    flat = digests.tobytes()
    return merkle.Tree([merkle.leaf(flat[start : start + 96]) for start in range(0, len(flat), 96)])


def dealing_digest(headers: Iterable[bytes]) -> Digest:
    """Binds a site to the signed headers that it was shown, ascending by seat: who shared, and what."""
    return Digest(sha256(tagged("secagg/dealing/1", *headers)).digest())


def survivors_digest(seats: Iterable[int]) -> Digest:
    """What a site remembers of a survivor list: the same for the same sites, whatever the round."""
    return Digest(sha256(tagged("secagg/survivors/1", *(seat.to_bytes(4) for seat in seats))).digest())


def upload_leaf_data(job: JobId, round: int, seat: int, body: Digest, signature: bytes) -> bytes:
    """What the leaf of an upload is the hash of: abi.encode(job, round, seat, body, sha256(signature))."""
    return job + round.to_bytes(32) + seat.to_bytes(32) + body + sha256(signature).digest()
