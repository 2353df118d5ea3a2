"""A site's signature on a settlement: given to figures that it computed itself, and to rounds as it knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from caduceus import canon
from caduceus.agents.payment import settlement_of
from caduceus.crypto import sign
from caduceus.crypto.sign import Signer
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import JobId, Seat, Stage
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, Enrolment, JobEntry, Journal, Store
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.job_messages import Accord
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_client import Revealed
from caduceus.protocol.secagg_messages import Receipt
from caduceus.protocol.secagg_reading import COORDINATOR

_DIGEST_BYTES = 32


def receipts(journal: Journal, job: JobId) -> tuple[tuple[int, Receipt], ...]:
    """The receipts for uploads that a site holds, by round."""
    prefix = f"{job.hex()}/receipt/"
    return tuple(
        (int(key.removeprefix(prefix)), canon.unpack(Receipt, journal.get(key) or b"")) for key in journal.keys(prefix)
    )


def receipt_key(job: JobId, round: int) -> str:
    """Where a site's journal has the receipt for its upload."""
    return f"{job.hex()}/receipt/{round:05}"


def beacon_key(job: JobId) -> str:
    """Where a site's journal has the beacon of the set-ups under which it sent something."""
    return f"{job.hex()}/beacon"


def _summed(agreed: bytes) -> tuple[int, ...]:
    """The sites in the sums that a site agreed to open."""
    return tuple(sorted(seat for group in canon.unpack(Revealed, agreed).groups for seat in group))


def _refuse_stakes(records: Sequence[RoundRecord]) -> None:
    """No round that is summed by one coordinator takes anybody's stake."""
    if taken := [record.round for record in records if record.faults]:
        raise PeerFault(COORDINATOR, f"takes stakes by round {taken[0]}, which shows no such thing")


@final
@dataclass(frozen=True, slots=True)
class Consent:
    """One site's consent to one job's settlement.

    entry    the job as it was when the site sat down
    journal  the site's own memory of the rounds
    recheck  does the rounds again, where what they say of others counts; raises what is wrong with them
    """

    entry: JobEntry
    seat: Seat
    chain: Chain
    store: Store
    journal: Journal
    signer: Signer
    spec: JobSpec
    enrolments: Sequence[Enrolment]
    recheck: Callable[[Sequence[RoundRecord]], None] = _refuse_stakes

    def sign(self) -> bytes:
        """Compute the settlement from public facts, check this site's own part in it, and sign it."""
        entry = self.chain.job(self.entry.id)
        if entry is None or entry.stage is not Stage.TRAINING:
            raise Refused("the job is not in training any more; its settlement is not signed again")
        begun = self.journal.get(beacon_key(self.entry.id))
        if begun is not None and begun != self.chain.beacon(self.entry.id):
            raise Refused(
                "the chain undid the block in which the enrolment closed, and rounds stand on it that no auditor would "
                "find there; the settlement is not signed, and the job ends by its deadline"
            )
        settled, records = settlement_of(entry, self.spec, self.enrolments, self.chain, self.store)
        for record in records:
            self._check_own_part(record)
        self.recheck(records)
        struct = sign.Settlement(self.entry.id, entry.head, settled.root, settled.payout, settled.slashed)
        signature = self.signer.sign(sign.digest(self.chain.domain, struct))
        accord = Accord(self.entry.id, entry.head, settled.root, settled.payout, settled.slashed, signature)
        return sign_record(self.signer, self.chain.domain, accord)

    def _check_own_part(self, record: RoundRecord) -> None:
        """Compare a round as it was anchored with what this site remembers of it.

        A site that fell silent on the way is still in the sum if its upload was, and out of it if not: both are
        fine. What it trained from, what it agreed to and what it has a receipt for must be as anchored.

        Raises PeerFault if the round is not the one that this site took part in.
        """
        took, agreed = self._recall(record.round, "session"), self._recall(record.round, "survivors")
        if took is not None and took[_DIGEST_BYTES:] != record.before:
            raise PeerFault(COORDINATOR, f"called to round {record.round} with another state than it anchored")
        if record.failure:
            return
        is_in = self.seat in record.survivors
        if is_in and self._recall(record.round, "upload") is None:
            raise PeerFault(COORDINATOR, f"counts this site in round {record.round}, to which it sent nothing")
        if agreed is not None and _summed(agreed) != record.survivors:
            raise PeerFault(COORDINATOR, f"anchored round {record.round} with other survivors than it showed")
        if not is_in and self.journal.get(receipt_key(self.entry.id, record.round)) is not None:
            raise PeerFault(COORDINATOR, f"left out of round {record.round} an upload that it gave a receipt for")

    def _recall(self, round: int, what: str) -> bytes | None:
        return self.journal.get(f"{self.entry.id.hex()}/round/{round:05}/{what}")
