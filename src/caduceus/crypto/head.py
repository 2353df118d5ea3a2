"""A job's history in one word, as the chain keeps it.

The low 16 bits count the rounds anchored so far; the upper 240 bits are a hash chain over their entries, so
whoever holds the entries can show each of them under the head, and nobody can show another. The same bytes as
`contracts/src/RollingHead.sol`.
"""

from __future__ import annotations

from collections.abc import Iterable

from caduceus.crypto.sign import keccak
from caduceus.errors import Misuse
from caduceus.kinds import Digest, JobId

MOST_ROUNDS = 0xFFFF
"""What the count has room for."""

Entry = tuple[Digest, Digest, Digest]
"""One round: Merkle root over the seats' leaves, digest of the state after it, digest of its record."""


def start(job: JobId, sites: int) -> Digest:
    """The head of a job that has `sites` seats and in which nothing has been anchored."""
    return _word(keccak(job + sites.to_bytes(32)), 0)


def push(head: Digest, entry: Entry) -> Digest:
    """The head after one more round.

    Raises Misuse if the count is full, or a word is not 32 bytes.
    """
    words = (head, *entry)
    if any(len(word) != 32 for word in words):
        raise Misuse("head: a head and the three words of an entry are 32 bytes each")
    if count(head) == MOST_ROUNDS:
        raise Misuse(f"head: a job has at most {MOST_ROUNDS} rounds")
    return _word(keccak(b"".join(words)), count(head) + 1)


def fold(head: Digest, entries: Iterable[Entry]) -> Digest:
    """The head after several more rounds, in order."""
    for entry in entries:
        head = push(head, entry)
    return head


def count(head: Digest) -> int:
    """How many rounds a head covers."""
    return int.from_bytes(head[30:])


def _word(link: bytes, rounds: int) -> Digest:
    return Digest(link[:30] + rounds.to_bytes(2))
