"""One party's way to the chain: its own node, which may not answer, or take a transaction and not say so."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import final

from caduceus.errors import Unavailable, Uncertain
from caduceus.kinds import Address
from caduceus.sim.chance import happens
from caduceus.sim.ledger import Ledger, Receipt, Run
from caduceus.sim.rules.tables import Tables


@dataclass(frozen=True, slots=True)
class NodeFaults:
    """What may go wrong with one request.

    silent     probability that a read or a send finds no answer
    uncertain  probability that a send without an answer did reach the node
    taken      probability that the node then took it
    """

    silent: float = 0.0
    uncertain: float = 0.5
    taken: float = 0.5


GOOD = NodeFaults()
"""A node that answers whenever it is up."""


@final
class LedgerNode:
    """A node.

    down    during an outage: nothing is answered; may be changed at any time
    faults  as of now; may be replaced at any time
    """

    def __init__(self, ledger: Ledger, chance: Random, faults: NodeFaults = GOOD) -> None:
        self.ledger = ledger
        self.faults = faults
        self.down = False
        self._chance = chance

    def read(self) -> Tables:
        """The newest state.

        Raises Unavailable if the node does not answer.
        """
        if self._is_silent():
            raise Unavailable("the chain node does not answer; ask again later")
        self.ledger.newest()
        return self.ledger.tables

    def receipt(self, transaction: bytes, confirmations: int) -> Receipt | None:
        """What became of a transaction once its block is the newest of so many, or None."""
        if self._is_silent():
            return None
        receipt = self.ledger.receipt(transaction)
        deep = receipt is not None and self.ledger.newest().number - receipt.block + 1 >= confirmations
        return receipt if deep or self.ledger.pace.interval is None else None

    def send(self, sender: Address, what: str, run: Run, *, estimate: bool) -> bytes:
        """Send a transaction; its name.

        Raises Reverted if it is tried out first and a contract refuses, Unavailable if the node did not get it, and
        Uncertain if nobody knows whether the node took it.
        """
        if self._is_silent():
            self._lose(sender, what, run)
        if estimate:
            self.ledger.try_out(sender, what, run)
        return self.ledger.send(sender, what, run)

    def _lose(self, sender: Address, what: str, run: Run) -> None:
        reached = happens(self._chance, self.faults.uncertain)
        taken = happens(self._chance, self.faults.taken)
        if not reached:
            raise Unavailable(f"{what}: the chain node does not answer; nothing was sent")
        if taken:
            self.ledger.send(sender, what, run)
        raise Uncertain(f"{what}: sent, and the chain node has not said whether it took it; look before repeating it")

    def _is_silent(self) -> bool:
        return happens(self._chance, self.faults.silent) or self.down
