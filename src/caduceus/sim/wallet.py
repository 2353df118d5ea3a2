"""Acting on the ledger as one account: the `Wallet` port through one party's node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from caduceus.crypto import head, sign
from caduceus.errors import Misuse, Refused, Uncertain
from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Seat, Tokens
from caduceus.market.costs import Cost
from caduceus.market.ledger import Anchor, JobTerms
from caduceus.market.slashing import Equivocation
from caduceus.market.standing import Showing
from caduceus.ports import Sent
from caduceus.sim.clock import VirtualClock
from caduceus.sim.ledger import Run
from caduceus.sim.node import LedgerNode
from caduceus.sim.rules import disputes, members, money, offers, paying, recording, standing, taking_part, words

_LEAST_WAIT = 0.5
"""Virtual seconds between two looks at a node that does not say when the next block comes."""


def _unwatched(_where: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Waiting:
    """How an account waits for its transactions, in virtual time.

    advance        lets so many seconds go by; may raise, and then the waiting is over
    patience       seconds after which the fate of a transaction is called unknown
    confirmations  a transaction counts once its block is the newest of so many; 1 for as soon as it is in a block
    estimate       try each transaction out first, so that one that would be refused is not sent
    at             told before and after each sending, by name: a crash point
    """

    clock: VirtualClock
    advance: Callable[[float], None]
    patience: float = 120.0
    confirmations: int = 1
    estimate: bool = True
    at: Callable[[str], None] = _unwatched


@final
class LedgerWallet:
    """See `ports.Wallet`.

    Every method that sends raises Refused (as `Reverted`, with the contract's reason) if a contract refuses,
    Unavailable if nothing was sent, and Uncertain if a transaction was sent and its fate is unknown.
    """

    def __init__(self, node: LedgerNode, account: Address, waiting: Waiting) -> None:
        self._node = node
        self._account = account
        self._waiting = waiting

    @property
    def account(self) -> Address:
        """The address that acts and holds money."""
        return self._account

    # ------------------------------------------------------------ members and data sets

    def register_member(self, roles: Role, signer: Address, agreement_key: bytes, profile: Digest) -> Sent:
        """Join, with the keys that sign protocol messages and agree on shares."""
        words.word(profile)
        return self.invoke(
            "Members.register", lambda tables, call: members.register(tables, call, roles, signer, agreement_key)
        )

    def register_dataset(
        self, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int
    ) -> Sent:
        """Offer a data set with a lifetime privacy budget; both 0 set none."""
        budget = budget_micro, delta_pico
        return self.invoke(
            "Datasets.register", lambda tables, call: offers.offer(tables, call, commitment, card, terms, budget)
        )

    def dataset_id(self, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int) -> Digest:
        """The identifier that `register_dataset` by this account gives."""
        return words.dataset_id(self._account, commitment, card, terms, (budget_micro, delta_pico))

    def supersede_dataset(self, previous: Digest, commitment: Digest, card: Digest, terms: Digest) -> Sent:
        """Offer a newer version of a data set, with the same privacy budget."""
        return self.invoke(
            "Datasets.supersede",
            lambda tables, call: offers.supersede(tables, call, previous, commitment, card, terms),
        )

    def superseding_id(
        self, previous: Digest, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int
    ) -> Digest:
        """The identifier that `supersede_dataset` by this account gives; the budget is the previous version's."""
        return words.dataset_id(self._account, commitment, card, terms, (budget_micro, delta_pico), previous)

    def state_readiness(self, dataset: Digest, report: Digest, verdict: Readiness) -> Sent:
        """State whether a data set is ready to be lent, with the digest of the report."""
        return self.invoke(
            "Datasets.stateReadiness",
            lambda tables, call: offers.state_readiness(tables, call, dataset, report, verdict),
        )

    def publish_status(self, root: Digest) -> Sent:
        """Say which of this issuer's status lists counts from now on."""
        return self.invoke("Statuses.publish", lambda tables, call: members.publish(tables, call, root))

    def withdraw_dataset(self, dataset: Digest) -> Sent:
        """Take a data set off the market, for ever."""
        return self.invoke("Datasets.withdraw", lambda tables, call: offers.withdraw(tables, call, dataset))

    def release_budget(self, job: JobId, seat: Seat, terms: JobTerms, cost: Cost, siblings: Sequence[Digest]) -> Sent:
        """Give this account's data set back what a job that is over reserved beyond `cost`; once."""
        return self.invoke(
            "Jobs.releaseBudget",
            lambda tables, call: paying.release_budget(tables, call, job, seat, terms, cost, siblings),
        )

    def vouch(self, account: Address, entity: Digest) -> Sent:
        """Say, as an attester, which legal entity an account is."""
        return self.invoke("Vouches.vouch", lambda tables, call: members.vouch(tables, call, account, entity))

    def revoke_vouch(self, account: Address) -> Sent:
        """Take back what this attester said of an account."""
        return self.invoke("Vouches.revoke", lambda tables, call: members.revoke(tables, call, account))

    def burn_standing(self, entity: Digest) -> Sent:
        """Revoke the standing that an entity has in this attester's word."""
        return self.invoke("Standing.burn", lambda tables, call: standing.burn(tables, call, entity))

    # ------------------------------------------------------------ money

    def transfer(self, token: Address, to: Address, amount: Tokens) -> Sent:
        """Pay an ERC-20 to someone."""
        return self.invoke("DemoToken.transfer", lambda tables, call: money.transfer(tables, call, token, to, amount))

    def approve(self, token: Address, amount: Tokens) -> Sent:
        """Allow the Jobs contract to take `amount` of `token` from this account."""
        return self.invoke("DemoToken.approve", lambda tables, call: money.approve(tables, call, token, amount))

    def claim(self, job: JobId, amount: Tokens, index: int, siblings: Sequence[Digest]) -> Sent:
        """Pull a reward together with this account's stake or bond; amount 0 needs no proof."""
        return self.invoke("Jobs.claim", lambda tables, call: paying.claim(tables, call, job, amount, index, siblings))

    def withdraw(self, token: Address) -> Sent:
        """Pull whatever the Jobs contract owes this account beyond claims (refunds, forfeits)."""
        return self.invoke("Jobs.withdraw", lambda tables, call: money.withdraw(tables, call, token))

    # ------------------------------------------------------------ a job's life

    def job_id(self, terms: JobTerms) -> JobId:
        """The identifier that `open_job` by this account gives these terms."""
        return words.job_id(self._account, terms)

    def open_job(self, terms: JobTerms) -> Sent:
        """Open and fund in one transaction."""
        return self.invoke("Jobs.openAndFund", lambda tables, call: taking_part.open_and_fund(tables, call, terms))

    def cancel(self, job: JobId) -> Sent:
        """Take back a job that nobody has accepted."""
        return self.invoke("Jobs.cancel", lambda tables, call: taking_part.cancel(tables, call, job))

    def accept(self, job: JobId) -> Sent:
        """Take a funded job, as its coordinator, and put down the bond."""
        return self.invoke("Jobs.accept", lambda tables, call: taking_part.accept(tables, call, job))

    def enrol(self, job: JobId, dataset: Digest) -> Sent:
        """Take a seat with one's own data set, reserve its privacy budget for the whole run, put down the stake."""
        return self.invoke("Jobs.enrol", lambda tables, call: taking_part.enrol(tables, call, job, dataset))

    def start(self, job: JobId) -> Sent:
        """Close the roster and begin."""
        return self.invoke("Jobs.start", lambda tables, call: taking_part.start(tables, call, job))

    def anchor(self, job: JobId, anchors: Sequence[Anchor]) -> Sent:
        """Record one round or several; the contract refuses any but the next rounds in order."""
        rounds = [anchor.round for anchor in anchors]
        if not rounds or rounds != list(range(rounds[0], rounds[0] + len(rounds))):
            raise Misuse(f"anchor: rounds are recorded in order and without gaps, got {rounds}")
        entries = [(anchor.root, anchor.model, anchor.record) for anchor in anchors]
        return self.invoke(
            "Jobs.anchorMany" if len(entries) > 1 else "Jobs.anchor",
            lambda tables, call: recording.anchor(tables, call, job, rounds[0], entries),
        )

    def settle(
        self,
        job: JobId,
        claims: Digest,
        payout: Tokens,
        signatures: Sequence[tuple[Seat, bytes]],
        slashed: Sequence[Seat] = (),
    ) -> Sent:
        """Propose how the price is shared and who loses a stake, with the signatures of more than two thirds."""
        what, ordered = recording.settlement(job, claims, payout, slashed), sorted(signatures)
        return self.invoke("Jobs.settle", lambda tables, call: recording.settle(tables, call, what, ordered))

    def complete(self, job: JobId) -> Sent:
        """Make a settlement final once its window is over."""
        return self.invoke("Jobs.complete", lambda tables, call: recording.complete(tables, call, job))

    def expire(self, job: JobId) -> Sent:
        """End a job whose stage ran out."""
        return self.invoke("Jobs.expire", lambda tables, call: taking_part.expire(tables, call, job))

    def record_standing(self, job: JobId, seat: Seat, entity: Digest, shown: Showing) -> Sent:
        """Enter in a site's standing what a completed job showed of it; once a seat."""
        return self.invoke(
            "Jobs.recordStanding",
            lambda tables, call: paying.record_standing(tables, call, job, seat, entity, shown),
        )

    # ------------------------------------------------------------ disputes

    def slash_equivocation(self, found: Equivocation) -> Sent:
        """Show that a seat signed two uploads for one round."""
        return self.invoke("Jobs.slashEquivocation", lambda tables, call: disputes.slash(tables, found))

    def dispute_leaf(
        self, job: JobId, round: int, seat: Seat, leaf_data: bytes, signature: bytes, siblings: Sequence[Digest]
    ) -> Sent:
        """Show that a round holds something in a seat's place that the seat did not sign."""
        proof, shown = self._round_proof(job, round), (leaf_data, signature, siblings)
        return self.invoke(
            "Jobs.disputeLeaf", lambda tables, call: disputes.dispute_leaf(tables, call, job, seat, proof, shown)
        )

    def challenge_omission(self, job: JobId, round: int, seat: Seat, leaf: Digest, receipt: bytes) -> Sent:
        """Complain, as the seat's site, that a round leaves out the upload that `receipt` promises."""
        promised = sign.Receipt(job, round, seat, leaf)
        return self.invoke(
            "Jobs.challengeOmission", lambda tables, call: disputes.challenge(tables, call, job, promised, receipt)
        )

    def answer_omission(self, job: JobId, round: int, seat: Seat, leaf: Digest, siblings: Sequence[Digest]) -> Sent:
        """Show a challenged leaf in its place."""
        proof = self._round_proof(job, round)
        return self.invoke(
            "Jobs.answerOmission",
            lambda tables, call: disputes.answer(tables, call, job, seat, leaf, proof, siblings),
        )

    def uphold_omission(self, job: JobId, seat: Seat) -> Sent:
        """Reject a job whose coordinator left a challenge unanswered."""
        return self.invoke("Jobs.upholdOmission", lambda tables, call: disputes.uphold(tables, call, job, seat))

    def _round_proof(self, job: JobId, round: int) -> disputes.RoundProof:
        """The head before a round, and every entry from the round on."""
        tables = self._node.read()
        entry = tables.jobs.get(job)
        entries = [(one.root, one.model, one.record) for one in tables.anchored.of(job)]
        if entry is None or not 0 <= round < len(entries):
            raise Refused(f"job 0x{job.hex()} has no round {round} on the chain; it has {len(entries)}")
        return disputes.RoundProof(head.fold(head.start(job, entry.sites), entries[:round]), entries[round:])

    # ------------------------------------------------------------ sending

    def invoke(self, what: str, run: Run) -> Sent:
        """Send any transaction and see it through.

        what  the contract's function, such as "Jobs.anchor"
        """
        waiting, node = self._waiting, self._node
        waiting.at(f"before sending {what}")
        name = node.send(self._account, what, run, estimate=waiting.estimate)
        waiting.at(f"after sending {what}")
        end = waiting.clock.monotonic() + waiting.patience
        while (receipt := node.receipt(name, waiting.confirmations)) is None:
            if waiting.clock.monotonic() >= end:
                raise Uncertain(
                    f"{what}: sent as 0x{name.hex()}, and not seen in a block after {waiting.patience:g} s; "
                    "look on the chain before repeating it"
                )
            waiting.advance(max(node.ledger.until_next(), _LEAST_WAIT))
        waiting.at(f"after seeing {what}")
        if receipt.refusal is not None:
            raise receipt.refusal
        return Sent(transaction=name, block=receipt.block, gas=0, what=what)
