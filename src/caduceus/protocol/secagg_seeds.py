"""A site's secrets of a set-up, all from its root, and what two sites make of their common secret.

Everything is bound to the set-up and to its roster, so that another set-up, or the same one begun again with
others, has nothing in common with this one. Per-round values are slices of one AES-256-CTR keystream each: Flamingo's
per-round seeds (section 4), with the keystream as the pseudorandom function of the round's number.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import numpy as np

from caduceus.crypto import keystream
from caduceus.crypto.entropy import Entropy, expand, tagged
from caduceus.kinds import Digest
from caduceus.protocol.secagg_messages import KINDS, SECRET_BYTES, Bytes


def context_of(setup: Digest, roster: Digest) -> bytes:
    """What every secret of a set-up is bound to."""
    return tagged("secagg/setup", setup, roster)


def kem_seed(entropy: Entropy, setup: Digest) -> bytes:
    """The seed of a site's X-Wing key for a set-up: needed before there is a roster."""
    return entropy.derive("secagg/kem", setup, size=SECRET_BYTES)


def own_secrets(entropy: Entropy, context: bytes, rounds: int) -> Bytes:
    """uint8[2, rounds, 32]: self-mask seeds and recovery keys of a site, by round (see `KINDS`)."""
    keys = [entropy.derive(f"secagg/{kind}", context, size=SECRET_BYTES) for kind in KINDS]
    return np.stack([_slices(key, rounds) for key in keys])


def pair_root(entropy: Entropy, context: bytes) -> bytes:
    """What the secrets are made of that a site deals to others, see `pair_secret`."""
    return entropy.derive("secagg/pairs", context, size=SECRET_BYTES)


def pair_secret(root: bytes, receiver: int) -> bytes:
    """The secret that the dealing site has in common with a receiver."""
    return expand(root, "secagg/pair-secret/1", receiver.to_bytes(4))


def pair_seeds(secret: bytes, rounds: int) -> Bytes:
    """uint8[rounds, 32]: the seeds of the mask between two sites, by round."""
    return _slices(expand(secret, "secagg/mask/2"), rounds)


def stream_key(seed: bytes, session: Digest) -> bytes:
    """The key of the mask that a seed of the round gives in a session: self-mask or pair.

    Bound to the session, so that sites which were told different states, groups or lengths share no masks: sums of what
    they send stay masked.
    """
    return expand(seed, "secagg/stream/1", session)


def tag_key(secret: bytes) -> bytes:
    """The key with which two sites assure one another of what they saw."""
    return expand(secret, "secagg/tag/1")


def tag(key: bytes, *, about: Digest, sender: int, recipient: int) -> bytes:
    """What assures the recipient that the sender stands by `about`; HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, about + sender.to_bytes(4) + recipient.to_bytes(4), "sha256")


def is_tag(given: bytes, key: bytes, *, about: Digest, sender: int, recipient: int) -> bool:
    """Whether a tag is the one that `tag` makes, compared in constant time."""
    return hmac.compare_digest(given, tag(key, about=about, sender=sender, recipient=recipient))


def pads(recovery: bytes, checks: Bytes) -> Bytes:
    """uint8[neighbours, 32]: what hides a site's pair seeds of one round until its recovery key is opened.

    checks  uint8[neighbours, 32]: the `pair_check`s that are published beside them. They decide the seeds, so other
            seeds are never hidden by the same pads, also where a site is led to confirm twice
    """
    return _slices(expand(recovery, "secagg/recovery/2", sha256(checks.tobytes()).digest()), len(checks))


def _slices(key: bytes, count: int) -> Bytes:
    return keystream.words(key, count * SECRET_BYTES // 4).view(np.uint8).reshape(count, SECRET_BYTES)
