"""Acting on the suite as one account: the `Wallet` port over any node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from caduceus.crypto import head
from caduceus.edges.gateway import suite
from caduceus.edges.gateway.account import Account
from caduceus.edges.gateway.chain import GatewayChain
from caduceus.edges.gateway.deployment import Deployment
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Seat, Tokens
from caduceus.market.costs import Cost
from caduceus.market.ledger import Anchor, JobTerms
from caduceus.market.slashing import Equivocation
from caduceus.market.standing import Showing
from caduceus.ports import Sent


@final
class GatewayWallet:
    """One account's hands on the suite.

    account     signs and sends
    chain       reads, for the proofs that the contract asks for
    deployment  where the contracts are

    Every method that sends returns once the transaction is included. It raises Refused (as `Reverted`, with the
    contract's reason, if a contract reverted), Unavailable if nothing was sent, and Uncertain if a transaction was
    sent and its fate is unknown.
    """

    def __init__(self, account: Account, chain: GatewayChain, deployment: Deployment) -> None:
        self._account = account
        self._chain = chain
        self._at = deployment

    def mend(self) -> None:
        """See to transactions that an earlier process left without knowing their fate; before anything is decided.

        Raises Unavailable if the node does not answer.
        """
        self._account.mend()

    @property
    def account(self) -> Address:
        """The address that acts and holds money."""
        return self._account.address

    # ------------------------------------------------------------ members and data sets

    def register_member(self, roles: Role, signer: Address, agreement_key: bytes, profile: Digest) -> Sent:
        """Join, with the keys that sign protocol messages and agree on shares."""
        function = suite.MEMBERS["register"]
        return self._account.invoke(self._at.members, function, int(roles), signer, agreement_key, profile)

    def register_dataset(
        self, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int
    ) -> Sent:
        """Offer a data set with a lifetime privacy budget; both 0 set none."""
        return self._datasets("register", commitment, card, terms, budget_micro, delta_pico)

    def dataset_id(self, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int) -> Digest:
        """The identifier that `register_dataset` by this account gives."""
        return suite.dataset_id(self.account, commitment, card, terms, budget_micro, delta_pico)

    def supersede_dataset(self, previous: Digest, commitment: Digest, card: Digest, terms: Digest) -> Sent:
        """Offer a newer version of a data set, with the same privacy budget."""
        return self._datasets("supersede", previous, commitment, card, terms)

    def superseding_id(
        self, previous: Digest, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int
    ) -> Digest:
        """The identifier that `supersede_dataset` by this account gives; the budget is the previous version's."""
        return suite.dataset_id(self.account, commitment, card, terms, budget_micro, delta_pico, previous)

    def state_readiness(self, dataset: Digest, report: Digest, verdict: Readiness) -> Sent:
        """State whether a data set is ready to be lent, with the digest of the report."""
        return self._datasets("stateReadiness", dataset, report, int(verdict))

    def publish_status(self, root: Digest) -> Sent:
        """Say which of this issuer's status lists counts from now on."""
        return self._account.invoke(self._at.statuses, suite.STATUSES["publish"], root)

    def withdraw_dataset(self, dataset: Digest) -> Sent:
        """Take a data set off the market, for ever."""
        return self._datasets("withdraw", dataset)

    def release_budget(self, job: JobId, seat: Seat, terms: JobTerms, cost: Cost, siblings: Sequence[Digest]) -> Sent:
        """Give this account's data set back what a job that is over reserved beyond `cost`; once."""
        stated = (cost.sums, cost.epsilon_micro, cost.delta_pico)
        return self._jobs("releaseBudget", job, seat, suite.terms_tuple(terms), stated, siblings)

    def vouch(self, account: Address, entity: Digest) -> Sent:
        """Say, as an attester, which legal entity an account is."""
        return self._account.invoke(self._at.vouches, suite.VOUCHES["vouch"], account, entity)

    def revoke_vouch(self, account: Address) -> Sent:
        """Take back what this attester said of an account."""
        return self._account.invoke(self._at.vouches, suite.VOUCHES["revoke"], account)

    def burn_standing(self, entity: Digest) -> Sent:
        """Revoke the standing that an entity has in this attester's word."""
        return self._account.invoke(self._at.standing, suite.STANDING["burn"], entity)

    # ------------------------------------------------------------ money

    def transfer(self, token: Address, to: Address, amount: Tokens) -> Sent:
        """Pay an ERC-20 to someone."""
        return self._account.invoke(token, suite.TOKEN["transfer"], to, amount)

    def approve(self, token: Address, amount: Tokens) -> Sent:
        """Allow the Jobs contract to take `amount` of `token` from this account."""
        return self._account.invoke(token, suite.TOKEN["approve"], self._at.jobs, amount)

    def claim(self, job: JobId, amount: Tokens, index: int, siblings: Sequence[Digest]) -> Sent:
        """Pull a reward together with this account's stake or bond; amount 0 needs no proof."""
        return self._jobs("claim", job, amount, index, siblings)

    def withdraw(self, token: Address) -> Sent:
        """Pull whatever the Jobs contract owes this account beyond claims (refunds, forfeits)."""
        return self._jobs("withdraw", token)

    # ------------------------------------------------------------ a job's life

    def job_id(self, terms: JobTerms) -> JobId:
        """The identifier that `open_job` by this account gives these terms."""
        return suite.job_id(self.account, suite.terms_tuple(terms))

    def open_job(self, terms: JobTerms) -> Sent:
        """Open and fund in one transaction."""
        return self._jobs("openAndFund", suite.terms_tuple(terms))

    def cancel(self, job: JobId) -> Sent:
        """Take back a job that nobody has accepted."""
        return self._jobs("cancel", job)

    def accept(self, job: JobId) -> Sent:
        """Take a funded job, as its coordinator, and put down the bond."""
        return self._jobs("accept", job)

    def enrol(self, job: JobId, dataset: Digest) -> Sent:
        """Take a seat with one's own data set, reserve its privacy budget for the whole run, put down the stake."""
        return self._jobs("enrol", job, dataset)

    def start(self, job: JobId) -> Sent:
        """Close the roster and begin."""
        return self._jobs("start", job)

    def anchor(self, job: JobId, anchors: Sequence[Anchor]) -> Sent:
        """Record one round or several; the contract refuses any but the next rounds in order."""
        rounds = [anchor.round for anchor in anchors]
        if not rounds or rounds != list(range(rounds[0], rounds[0] + len(rounds))):
            raise Misuse(f"anchor: rounds are recorded in order and without gaps, got {rounds}")
        first, *later = ((anchor.root, anchor.model, anchor.record) for anchor in anchors)
        if later:
            return self._jobs("anchorMany", job, anchors[0].round, [first, *later])
        return self._jobs("anchor", job, anchors[0].round, *first)

    def settle(
        self,
        job: JobId,
        claims: Digest,
        payout: Tokens,
        signatures: Sequence[tuple[Seat, bytes]],
        slashed: Sequence[Seat] = (),
    ) -> Sent:
        """Propose how the price is shared and who loses a stake, with the signatures of more than two thirds."""
        ordered = sorted(signatures)
        seats = [seat for seat, _ in ordered]
        return self._jobs("settle", job, claims, payout, slashed, seats, [signature for _, signature in ordered])

    def complete(self, job: JobId) -> Sent:
        """Make a settlement final once its window is over."""
        return self._jobs("complete", job)

    def expire(self, job: JobId) -> Sent:
        """End a job whose stage ran out."""
        return self._jobs("expire", job)

    def record_standing(self, job: JobId, seat: Seat, entity: Digest, shown: Showing) -> Sent:
        """Enter in a site's standing what a completed job showed of it; once a seat."""
        seen = shown.observation
        return self._jobs("recordStanding", job, seat, entity, seen.good, seen.bad, shown.index, shown.siblings)

    # ------------------------------------------------------------ disputes

    def slash_equivocation(self, found: Equivocation) -> Sent:
        """Show that a seat signed two uploads for one round."""
        (one, other), (one_signed, other_signed) = found.bodies, found.signatures
        return self._jobs("slashEquivocation", found.job, found.seat, found.round, one, one_signed, other, other_signed)

    def dispute_leaf(
        self, job: JobId, round: int, seat: Seat, leaf_data: bytes, signature: bytes, siblings: Sequence[Digest]
    ) -> Sent:
        """Show that a round holds something in a seat's place that the seat did not sign."""
        proof = self._round_proof(job, round)
        return self._jobs("disputeLeaf", job, seat, proof, leaf_data, signature, siblings)

    def challenge_omission(self, job: JobId, round: int, seat: Seat, leaf: Digest, receipt: bytes) -> Sent:
        """Complain, as the seat's site, that a round leaves out the upload that `receipt` promises."""
        return self._jobs("challengeOmission", job, round, seat, leaf, receipt)

    def answer_omission(self, job: JobId, round: int, seat: Seat, leaf: Digest, siblings: Sequence[Digest]) -> Sent:
        """Show a challenged leaf in its place."""
        return self._jobs("answerOmission", job, seat, leaf, self._round_proof(job, round), siblings)

    def uphold_omission(self, job: JobId, seat: Seat) -> Sent:
        """Reject a job whose coordinator left a challenge unanswered."""
        return self._jobs("upholdOmission", job, seat)

    def _round_proof(self, job: JobId, round: int) -> tuple[Digest, list[head.Entry]]:
        """The head before a round, and every entry from the round on."""
        entry = self._chain.job(job)
        entries = [(anchor.root, anchor.model, anchor.record) for anchor in self._chain.anchors(job)]
        if entry is None or not 0 <= round < len(entries):
            raise Refused(f"job 0x{job.hex()} has no round {round} on the chain; it has {len(entries)}")
        before = head.fold(head.start(job, entry.sites), entries[:round])
        return before, entries[round:]

    def _datasets(self, function: str, *arguments: object) -> Sent:
        return self._account.invoke(self._at.datasets, suite.DATASETS[function], *arguments)

    def _jobs(self, function: str, *arguments: object) -> Sent:
        return self._account.invoke(self._at.jobs, suite.JOBS[function], *arguments)
