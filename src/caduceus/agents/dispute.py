"""Uploads that were left out of rounds: complaints, answers, and what comes of a complaint that nobody answers.

A site holds the coordinator's signed receipt for every upload that was taken in. If a round on the chain leaves
one out, the site shows the receipt there; the coordinator shows the leaf in its place, or the job is rejected:
the buyer has the price back, the sites their stakes, and the complaining site the coordinator's bond.
"""

from __future__ import annotations

from caduceus.agents.consent import receipts
from caduceus.crypto.merkle import Tree
from caduceus.kinds import JobId, Stage
from caduceus.ports import Chain, Journal, Wallet
from caduceus.protocol.round_record import ShownOf


def complain(job: JobId, chain: Chain, wallet: Wallet, journal: Journal, shown_of: ShownOf) -> int | None:
    """Complain about the first round that leaves out an upload of this account's site.

    A round that failed is passed over: it has no sum and pays nobody, and a coordinator that crashed in it may
    have lost what it had taken in.

    journal   the site's own memory, with its receipts
    shown_of  an anchored round as the public transcript shows it
    returns   the round, or None if there is nothing to complain about, or the site has complained already
    """
    entry = chain.job(job)
    own = [one.seat for one in chain.enrolments(job) if one.site == wallet.account]
    if entry is None or entry.stage is not Stage.SETTLING or not own:
        return None
    seat = own[0]
    if any(omission.seat == seat for omission in chain.omissions(job)):
        return None
    anchors = chain.anchors(job)
    for round_, receipt in receipts(journal, job):
        if round_ < len(anchors):
            shown = shown_of(anchors[round_])
            has_failed = shown.record is not None and shown.record.failure
            if not has_failed and (shown.leaves is None or shown.leaves[seat] != receipt.leaf):
                wallet.challenge_omission(job, round_, seat, receipt.leaf, receipt.signature)
                return round_
    return None


def answer(job: JobId, chain: Chain, wallet: Wallet, shown_of: ShownOf) -> None:
    """Show the leaves that sites complain about in their places, where they are there; anyone may."""
    anchors = chain.anchors(job)
    for omission in chain.omissions(job):
        leaves = shown_of(anchors[omission.round]).leaves
        if leaves is not None and leaves[omission.seat] == omission.leaf:
            siblings = Tree(leaves).proof(omission.seat)
            wallet.answer_omission(job, omission.round, omission.seat, omission.leaf, siblings)


def uphold(job: JobId, chain: Chain, wallet: Wallet) -> None:
    """Reject a job with a complaint that was not answered in time; anyone may.

    Raises Refused with the contract's reason if the time for an answer has not run out.
    """
    entry, waiting = chain.job(job), chain.omissions(job)
    if entry is not None and entry.stage is Stage.SETTLING and waiting:
        wallet.uphold_omission(job, waiting[0].seat)
