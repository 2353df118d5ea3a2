"""The buyer: posts a job, locks the money, and takes back what nobody earned.

Every step looks at the chain first, so that a buyer that crashed anywhere simply starts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus import canon
from caduceus.agents.payment import withdraw_credit
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId, Role, Stage
from caduceus.market.job import FINAL
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, JobTerms, Store, Wallet


@dataclass(frozen=True, slots=True)
class Buyer:
    """Acts for whoever asks and pays."""

    chain: Chain
    wallet: Wallet
    store: Store

    def join(self, signer: Address, agreement_key: bytes) -> None:
        """Be a member of the network with the role of a buyer."""
        join(self.chain, self.wallet, Role.BUYER, signer, agreement_key)

    def post(self, spec: JobSpec, terms: JobTerms, enclosed: Sequence[bytes] = ()) -> JobId:
        """Publish the specification, lock the price and open the job; once, however often it is called.

        enclosed  what the specification names by digest, such as credentials that are presented with the job

        Raises Refused if the account holds less than the price.
        """
        for blob in enclosed:
            self.store.put(blob)
        self.store.put(canon.pack(spec))
        job = self.wallet.job_id(terms)
        if self.chain.job(job) is None:
            held = self.chain.balance(terms.token, self.wallet.account)
            if held < terms.price:
                raise Refused(f"the job costs {terms.price} and the buyer's account holds {held}; fund it first")
            self.wallet.approve(terms.token, terms.price)
            self.wallet.open_job(terms)
        return job

    def collect(self, job: JobId) -> None:
        """Pull back what the job has left for its buyer, once it has ended."""
        entry = self.chain.job(job)
        if entry is not None and entry.stage in FINAL:
            withdraw_credit(self.chain, self.wallet, entry)

    def reclaim(self, job: JobId) -> None:
        """End a job whose stage has run out, so that everybody can pull what they put in; anyone may.

        Raises Refused with the contract's reason if the stage has not run out.
        """
        entry = self.chain.job(job)
        if entry is not None and Stage.OPEN <= entry.stage <= Stage.TRAINING:
            self.wallet.expire(job)


def join(chain: Chain, wallet: Wallet, role: Role, signer: Address, agreement_key: bytes) -> None:
    """Register an account as a member, unless it is one with these roles and keys already."""
    member = chain.member(wallet.account)
    if member is None or role not in member.roles or (member.signer, member.agreement_key) != (signer, agreement_key):
        wallet.register_member(role, signer, agreement_key, canon.digest_bytes(b""))
