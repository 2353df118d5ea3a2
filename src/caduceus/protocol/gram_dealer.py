"""A site's or an evaluator's half of a round of judged updates: it deals its rows once, and may leave.

Sans I/O: bytes in, bytes out. What it decides it first hands to `remember`, which refuses a second, different decision
for the same round, so that a dealer that starts again after a crash repeats itself and never deals other rows.
"""

from __future__ import annotations

from hashlib import sha256
from typing import final

import numpy as np

from caduceus import canon
from caduceus.crypto import projections, rss, sign
from caduceus.crypto.entropy import Entropy
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol import gram_boxes as boxes
from caduceus.protocol import gram_upload as uploads
from caduceus.protocol.envelope import read_signed
from caduceus.protocol.gram_messages import Dealing, GramUpload
from caduceus.protocol.gram_session import GramPlan, Ring
from caduceus.protocol.secagg_messages import Receipt
from caduceus.protocol.secagg_reading import COORDINATOR
from caduceus.protocol.secagg_setup_site import Remember


@canon.record("gram/dealt/1")
class Dealt:
    """What a dealer decided on in a round; kept in its own memory.

    upload   what it signs
    dealing  the packed `Dealing`: its boxes cannot be made again
    """

    upload: GramUpload
    dealing: bytes


@final
class GramDealer:
    """One site or evaluator in one round.

    plan      as the dealer itself put it together from the chain and the public state
    dealer    its number
    remember  keeps decisions: "session", then "upload", in this order
    kept      what was remembered as "upload" for this round before; b"" if nothing was

    Raises Misuse if the parts do not fit together.
    """

    def __init__(
        self, plan: GramPlan, dealer: int, *, signer: Signer, entropy: Entropy, remember: Remember, kept: bytes = b""
    ) -> None:
        if dealer not in plan.dealers or plan.ground.signer_of(dealer) != signer.address:
            raise Misuse(f"gram: party {dealer} deals nothing in this round, or has another key")
        self.receipt: Receipt | None = None
        self._plan, self._dealer, self._signer, self._entropy = plan, dealer, signer, entropy
        self._remember, self._kept = remember, kept
        self._leaf = Digest(b"")

    @property
    def round(self) -> int:
        """The round's number."""
        return self._plan.session.round

    def upload(self, rows: Ring, report: tuple[int, ...] = ()) -> bytes:
        """The signed upload.

        rows    uint64[rows, length], encoded; each within the session's bound, or the dealer will be found out
        report  what is said in public

        Seeds and blinding are made of the dealer's entropy, the session and the rows: the same rows give the same
        bytes, and no two tables of rows are ever covered by the same keystream.

        Raises Misuse if the rows are of another shape than the session's, Refused if the dealer was in this round
        before under another session, or with other rows or another report.
        """
        plan, count = self._plan, self._plan.session.length
        if rows.shape != (plan.rows_of(self._dealer), count) or rows.dtype != np.uint64:
            raise Misuse(f"gram: {rows.dtype}{rows.shape} rows; the session asks for {plan.session}")
        if len(report) != plan.session.report:
            raise Misuse(f"gram: a report of {len(report)} numbers; the session asks for {plan.session.report}")
        self._remember("session", plan.id)
        about = sha256(np.ascontiguousarray(rows).tobytes()).digest()
        seeds = tuple(self._secret(f"gram/seed/{k}", about) for k in range(rss.PARTIES))
        tail = canon.pack(self._dealing(seeds, report))
        message, place = uploads.blank(plan, self._dealer, tail)
        place[:, :count] = rows
        for row in range(len(rows)):
            place[row, count:] = projections.blind(self._secret(f"gram/blinding/{row}", about)).view(np.uint64)
        rss.cover(place, (seeds[0], seeds[1], seeds[2]))
        correction = canon.digest_bytes(uploads.correction_of(message, plan, self._dealer))
        record = GramUpload(plan.id, self._dealer, canon.digest_bytes(tail), correction)
        dealt = canon.pack(Dealt(record, tail))
        self._remember("upload", dealt)
        self._kept = dealt
        signed = uploads.finish(message, record, plan, self._signer)
        self._leaf = uploads.leaf(signed, plan, self._dealer)
        return bytes(message)

    def _secret(self, label: str, about: bytes) -> bytes:
        return self._entropy.derive(label, self._plan.id, about, size=rss.SEED_BYTES)

    def _dealing(self, seeds: tuple[bytes, ...], report: tuple[int, ...]) -> Dealing:
        """The dealing; where one was kept, its boxes, since an encapsulation cannot be made again."""
        one, two, three = (rss.commit(seed) for seed in seeds)
        if self._kept:
            earlier = canon.unpack(Dealing, canon.unpack(Dealt, self._kept).dealing)
            if earlier.commitments != (one, two, three):
                raise Refused("other rows were dealt in this round before")
            return Dealing(earlier.commitments, earlier.boxes, report)
        first, second, third = (
            boxes.write(
                b"".join(seeds[component] for component in rss.holds(k)),
                self._plan.ground.aggregators[k].kem,
                context=self._plan.id,
                sender=self._dealer,
                receiver=self._plan.aggregators[k],
            )
            for k in range(rss.PARTIES)
        )
        return Dealing((one, two, three), (first, second, third), report)

    def react(self, data: bytes) -> list[bytes]:
        """Take the coordinator's receipt; nothing is answered.

        Raises PeerFault if it is none, or one for something else than this dealer's upload.
        """
        ground = self._plan.ground
        receipt = read_signed(Receipt, data, signer=ground.coordinator, domain=ground.domain, who=COORDINATOR)
        struct = sign.Receipt(ground.job, self.round, self._dealer, self._leaf or Digest(bytes(32)))
        is_signed = sign.verify(ground.coordinator, sign.digest(ground.domain, struct), receipt.signature)
        if not self._leaf or receipt.leaf != self._leaf or not is_signed or receipt.session != self._plan.id:
            raise PeerFault(COORDINATOR, "sent a receipt for something else than this upload", evidence=data)
        self.receipt = receipt
        return []
