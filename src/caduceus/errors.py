"""Who is at fault.

Every error that this package raises is one of five kinds, and the kind answers the reader's first
question: is this my bug, a rule, somebody's misbehaviour, or the weather? Messages say what was
wrong, where, and what to do next. Text that can leave a site names sizes, columns and identifiers,
never values computed from records.
"""

from __future__ import annotations


class Error(Exception):
    """Root; raised only through one of the kinds below."""


class Misuse(Error):
    """Our own caller broke a stated precondition: a bug on this side."""


class Refused(Error):
    """A rule said no: a malformed input, a policy, a budget, a stage. Nobody misbehaved."""


class PeerFault(Error):
    """A named party broke the protocol.

    who       the party at fault, as the reader knows it: a site's name, an address
    why       what it did, in a sentence
    evidence  bytes that convince a stranger (a signed message, as received); empty if the fault
              is one that leaves none, such as silence or an unreadable message
    """

    def __init__(self, who: str, why: str, *, evidence: bytes = b"") -> None:
        super().__init__(f"{who}: {why}")
        self.who = who
        self.why = why
        self.evidence = evidence


class Unavailable(Error):
    """Something outside did not answer and nothing happened: retry."""


class Uncertain(Error):
    """It may have happened (a sent transaction): look before repeating."""
