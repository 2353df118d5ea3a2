"""Whether a patient is in a data set, shown to that patient alone: a second tree under a commitment, sorted by tag.

A patient holds a token of 32 random bytes that the steward issued, one for all of the patient's rows and all versions
of the data set. SHA-256 of it is the patient's tag. The tree has a leaf per patient, in the order of tags: the tag, and
a salted digest of the patient's rows. So there is a place for every token: a leaf there shows which rows are the
patient's, all of them; two leaves side by side with the tag between them show that there are none.

Sources: Kocher, "On certificate revocation and validation", Financial Cryptography 1998 (a sorted Merkle tree whose
adjacent leaves prove absence); RFC 9162, section 2.1 (apart domains for leaves and nodes); Halevi and Micali, CRYPTO
1996 (a salted hash as a commitment). What neighbours' leaves show is a random tag and a digest under a blind of 32
random bytes, and neither says anything about a patient.

What this does not show: that the steward wrote the rows under the right token. A steward that gives out a token and
commits under another one is not found out by these proofs; a stranger who checks all openings would be the one to see.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest

TOKEN_BYTES = 32
BLIND_BYTES = 32

_TAG, _ROWS, _NAMES = b"caduceus/patient-tag", b"caduceus/patient-rows", b"caduceus/patient-names"
_LEAST, _MOST = bytes(32), b"\xff" * 32
"""Tags of the leaves at both ends, which are nobody's: every other tag has a neighbour on either side."""

Bytes = npt.NDArray[np.uint8]


@canon.record("data/roots/1")
class Roots:
    """The two trees of a commitment; the digest of this is what is published.

    records   over the rows, in the order of the table
    patients  over the patients, in the order of their tags
    """

    records: Digest
    patients: Digest


@canon.record("data/holders/1")
class Holders:
    """What a steward keeps, and keeps secret, of whose rows they are; patients in the order of their tags.

    owners  int64[rows], whose row it is: a place in the arrays below; -1 where that was forgotten
    key     32 bytes, under which the site's own identifiers of patients are hashed
    marks   uint8[patients, 32], HMAC-SHA-256 of each identifier; zeros where forgotten. A file that is found by
            somebody else has no identifier to be read in it, though whoever guesses one can try it
    tokens  uint8[patients, 32]; zeros where forgotten
    blinds  uint8[patients, 32]; zeros where forgotten
    tags    uint8[patients, 32], strictly ascending
    inners  uint8[patients, 32], the salted digests of their rows
    """

    owners: npt.NDArray[np.int64]
    key: bytes
    marks: Bytes
    tokens: Bytes
    blinds: Bytes
    tags: Bytes
    inners: Bytes

    @property
    def arrays(self) -> tuple[Bytes, ...]:
        """All that have 32 bytes for each patient."""
        return self.marks, self.tokens, self.blinds, self.tags, self.inners

    def tree(self) -> merkle.Tree:
        """The tree of patients, with a leaf that is nobody's at either end."""
        leaves = [leaf(tag, inner) for tag, inner in zip(_rows(self.tags), _rows(self.inners), strict=True)]
        return merkle.Tree([leaf(_LEAST, bytes(32)), *leaves, leaf(_MOST, bytes(32))])

    def find(self, name: str) -> int | None:
        """The place of a patient by the site's own identifier; None if there is none, or it was forgotten."""
        marks, sought = _rows(self.marks), mark(self.key, name)
        return marks.index(sought) if sought in marks else None

    def place_of(self, tag: bytes) -> int | None:
        """The place of a tag among the patients; None if there is none."""
        tags = _rows(self.tags)
        return tags.index(tag) if tag in tags else None

    def rows_of(self, place: int) -> tuple[int, ...]:
        """The rows of the patient at a place, ascending; none if that was forgotten."""
        return tuple(np.flatnonzero(self.owners == place).tolist())


@canon.record("data/row-proof/1")
class RowProof:
    """One row of a patient under the tree of records.

    position  in the table
    leaf      32 bytes
    salt      32 bytes; b"" with an empty record
    record    its canonical bytes; b"" if the site no longer has the row as it was
    siblings  from the bottom up
    """

    position: int
    leaf: bytes
    salt: bytes
    record: bytes
    siblings: tuple[bytes, ...]


@canon.record("data/present/1")
class Present:
    """Shows that a patient's rows, and which, stand under a published root.

    place     of the patient's leaf in the tree of patients
    blind     32 bytes
    siblings  from the bottom up
    rows      all of the patient's

    Reveals: to whoever has it and the token, how many rows the patient has, where, and what they say; of the others,
    between which powers of two their number is.
    """

    roots: Roots
    place: int
    blind: bytes
    siblings: tuple[bytes, ...]
    rows: tuple[RowProof, ...]


@canon.record("data/neighbour/1")
class Neighbour:
    """A leaf beside the place where a tag would stand: a random tag, and a digest under a blind that stays secret."""

    tag: bytes
    inner: bytes
    siblings: tuple[bytes, ...]


@canon.record("data/absent/1")
class Absent:
    """Shows that no row stands under a token's tag.

    place  of the leaf before the gap; the other is right behind it

    Reveals: two random tags; and between which powers of two the number of patients is.
    """

    roots: Roots
    place: int
    before: Neighbour
    behind: Neighbour


def tag_of(token: bytes) -> bytes:
    """The tag of a token: SHA-256 of a label and the token.

    Raises Misuse if the token is not 32 bytes.
    """
    if len(token) != TOKEN_BYTES:
        raise Misuse(f"membership: a token is {TOKEN_BYTES} bytes, got {len(token)}")
    return sha256(_TAG + token).digest()


def leaf(tag: bytes, inner: bytes) -> Digest:
    """A leaf of the tree of patients."""
    return merkle.leaf(tag + inner)


def inner_of(blind: bytes, rows: Sequence[tuple[int, bytes]]) -> bytes:
    """The salted digest of a patient's rows.

    blind  32 fresh random bytes
    rows   position and leaf of each, ascending
    """
    body = b"".join(position.to_bytes(8, "big") + of for position, of in rows)
    return sha256(_ROWS + blind + len(rows).to_bytes(8, "big") + body).digest()


def mark(key: bytes, name: str) -> bytes:
    """What stands for a site's own identifier of a patient in what the site keeps."""
    return hmac.digest(key, name.encode(), "sha256")


def marks_of(key: bytes, names: Sequence[str]) -> Bytes:
    """uint8[names, 32], the `mark` of each."""
    return _array([mark(key, name) for name in names])


def name_patients(table: Table) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """What the site calls its patients, and whose row each row is.

    returns  names, all different; int64[rows], places among them

    Where the schema names no column of role patient every row is a patient: then a label that repeats nobody names it,
    and where there is none, the number of the row.
    """
    label = _label(table)
    if label is None:
        return tuple(f"row {row + 1}" for row in range(table.rows)), np.arange(table.rows, dtype=np.int64)
    names, index = np.unique(label, return_inverse=True)
    return tuple(str(name) for name in names.tolist()), index.astype(np.int64)


def are_named(table: Table) -> bool:
    """Whether patients have names that mean the same in the next version of the table, not numbers of rows."""
    return _label(table) is not None


def _label(table: Table) -> npt.NDArray[np.str_] | None:
    if table.patients is not None:
        return table.patients
    return next((one for one in table.labels.values() if len(set(one.tolist())) == table.rows), None)


def hold(leaves: Bytes, table: Table, tokens: Sequence[bytes], blinds: Sequence[bytes]) -> Holders:
    """Whose rows they are, committed to.

    leaves  uint8[rows, 32], of the tree of records
    tokens  one per patient, in the order of `name_patients`
    blinds  likewise, fresh

    Raises Misuse if a token or blind is missing, repeated or not 32 bytes.
    """
    names, index = name_patients(table)
    for secret, size, what in ((tokens, TOKEN_BYTES, "token"), (blinds, BLIND_BYTES, "blind")):
        if len(secret) != len(names) or len(set(secret)) < len(names) or any(len(one) != size for one in secret):
            raise Misuse(f"membership: {what}s are one per patient, all different, of {size} bytes")
    tags = [tag_of(token) for token in tokens]
    order = sorted(range(len(names)), key=lambda one: tags[one])
    places = np.empty(len(names), dtype=np.int64)
    places[order] = np.arange(len(names))
    owners = places[index] if len(names) else np.zeros(0, dtype=np.int64)
    rows, key = _rows(leaves), sha256(_NAMES + b"".join(blinds)).digest()
    by_place: list[list[tuple[int, bytes]]] = [[] for _ in names]
    for position, place in enumerate(owners.tolist()):
        by_place[place].append((position, rows[position]))
    return Holders(
        owners=owners,
        key=key,
        marks=marks_of(key, [names[one] for one in order]),
        tokens=_array([tokens[one] for one in order]),
        blinds=_array([blinds[one] for one in order]),
        tags=_array([tags[one] for one in order]),
        inners=_array([inner_of(blinds[one], by_place[place]) for place, one in enumerate(order)]),
    )


def prove_absent(holders: Holders, records: Digest, token: bytes) -> Absent:
    """The proof that nobody stands under a token.

    records  root of the tree of records

    Raises Refused if somebody does.
    """
    tag = tag_of(token)
    tags = [_LEAST, *_rows(holders.tags), _MOST]
    inners = [bytes(32), *_rows(holders.inners), bytes(32)]
    place = sum(one < tag for one in tags) - 1
    if tags[place + 1] == tag:
        raise Refused("membership: there are rows under this token; there is no proof of the contrary")
    tree = holders.tree()
    sides = [Neighbour(tags[one], inners[one], tree.proof(one)) for one in (place, place + 1)]
    return Absent(Roots(records, tree.root), place, *sides)


def verify_absent(root: bytes, token: bytes, proof: Absent) -> bool:
    """Whether a published root has no row under a token.

    root  what the chain and the card call the data set's commitment
    """
    if canon.digest(proof.roots) != root or not proof.before.tag < tag_of(token) < proof.behind.tag:
        return False
    return all(
        len(one.tag) == len(one.inner) == 32
        and merkle.verify(proof.roots.patients, leaf(one.tag, one.inner), position=place, siblings=one.siblings)
        for one, place in ((proof.before, proof.place), (proof.behind, proof.place + 1))
    )


def verify_present(root: bytes, token: bytes, proof: Present) -> bool:
    """Whether a published root has, under a token, exactly the rows of a proof.

    root  what the chain and the card call the data set's commitment
    """
    if canon.digest(proof.roots) != root or len(proof.blind) != BLIND_BYTES or not proof.rows:
        return False
    places = [row.position for row in proof.rows]
    if places != sorted(set(places)) or places[0] < 0 or any(len(row.leaf) != 32 for row in proof.rows):
        return False
    inner = inner_of(proof.blind, [(row.position, row.leaf) for row in proof.rows])
    own = leaf(tag_of(token), inner)
    if not merkle.verify(proof.roots.patients, own, position=proof.place, siblings=proof.siblings):
        return False
    return all(_verify_row(proof.roots.records, row) for row in proof.rows)


def _verify_row(records: bytes, row: RowProof) -> bool:
    if row.record and (len(row.salt) != 32 or merkle.leaf(row.salt + row.record) != row.leaf):
        return False
    return merkle.verify(records, row.leaf, position=row.position, siblings=row.siblings)


def _rows(array: Bytes) -> list[bytes]:
    data, width = array.tobytes(), array.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]


def _array(rows: Sequence[bytes]) -> Bytes:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), 32)
