"""Strays: messages that say that they are of another set-up or round than the one at hand.

On a network that delays and repeats, honest messages arrive late: of a set-up that was begun again, of a round that is
over. Others may put them there. So nobody is named for one, and nothing else comes of it: its sender counts as silent
until it says what is due. Nothing is verified therefore (elsewhere a site may have had another key), and no more is
read than the names at the head of a record.

That gives nobody a way out. Who sends strays and nothing else is as silent as who sends nothing; and a message that is
of this set-up or round by its own word names its sender if anything in it is wrong.
"""

from __future__ import annotations

from caduceus import canon
from caduceus.errors import PeerFault
from caduceus.kinds import Digest
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.envelope import Signed
from caduceus.protocol.secagg_messages import Advertise, Confirm, Consent, Deal, Endorse, Header, Opening, Upload

_SIGNED, _DEAL = canon.tag_of(Signed), canon.tag_of(Deal)
_OF_A_SETUP, _OF_AN_OUTCOME = canon.tag_of(Advertise), canon.tag_of(Endorse)
_OF_A_ROSTER = tuple(canon.tag_of(kind) for kind in (Header, Confirm))
_OF_A_ROUND = tuple(canon.tag_of(kind) for kind in (Upload, Consent, Opening))

_NAME_BYTES = 32


def is_stray(data: bytes, own: Digest, *, roster: Digest | None = None, ready: Digest | None = None) -> bool:
    """Whether a message says that it is of something else than the set-up or round at hand.

    own            digest of the set-up, or of the session of the round
    roster, ready  of the set-up, once they stand; before, nothing can be of them, and what is of a roster or an
                   outcome is of a set-up that was begun before
    """
    body = _body(data)
    kind = canon.peek_tag(body)
    if kind in (_OF_A_SETUP, *_OF_A_ROUND):
        due: tuple[Digest | None, ...] = (own,)
    elif kind in _OF_A_ROSTER:
        due = (own, roster)
    elif kind == _OF_AN_OUTCOME:
        due = (ready,)
    else:
        return False
    said = canon.peek_bytes(body, len(due))
    return [len(one) for one in said] == [_NAME_BYTES] * len(due) and said != due


def _body(data: bytes) -> bytes:
    """The signed record in a message, unchecked; b"" if there is none."""
    if uploads.is_framed(data):
        try:
            return uploads.envelope(data[: uploads.HEAD_BYTES], who="").body
        except PeerFault:
            return b""
    signed = _first(data) if canon.peek_tag(data) == _DEAL else data
    return _first(signed) if canon.peek_tag(signed) == _SIGNED else b""


def _first(data: bytes) -> bytes:
    return b"".join(canon.peek_bytes(data, 1))
