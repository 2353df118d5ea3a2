"""What stands between a site's records and a job: its own objections, and few words about its own troubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from caduceus.edges.code import code_digest, digest_on_disk
from caduceus.edges.federation import SiteTable
from caduceus.errors import Error, PeerFault, Refused
from caduceus.market.specification import JobSpec
from caduceus.market.work import work_of
from caduceus.ports import Reactor
from caduceus.wiring.node.loop import in_words
from caduceus.wiring.node.party import Opened


def objections(opened: Opened, spec: JobSpec) -> Sequence[str]:
    """What a site's own policy has against the program that a job wants run on its records."""
    here, allowed = code_digest(), opened.file.allowed
    found = []
    if spec.code != here:
        found.append(f"the job is for program {spec.code.hex()[:16]}, and this site runs {here.hex()[:16]}")
    if spec.code not in allowed:
        found.append(f"this site's steward has not allowed program {spec.code.hex()[:16]}")
    if digest_on_disk() != here:
        found.append("this site's program was exchanged under the process that runs; it has to start again")
    return found


UNFIT = "this site's records do not fit the job"
"""All that is said to others; why, which may hang on one patient, is in the site's own log."""


def site_objections(opened: Opened, records: SiteTable, spec: JobSpec) -> Sequence[str]:
    """What a site has against a job: its program, and then whether the records can be used at all.

    Asked where the terms have said yes, and before the site enrols: a site that cannot answer would be charged for the
    job's whole privacy budget all the same.
    """
    if found := objections(opened, spec):
        return found
    try:
        work_of(spec).ready(records.table, records.name)
    except Refused as problem:
        opened.lookout.problem(problem)
        return (UNFIT,)
    return ()


@final
@dataclass(frozen=True, slots=True)
class Discreet:
    """A reactor whose troubles reach the other side without this side's words, which may name its disks.

    What the other side did wrong, and what a rule refuses, it is told as it is: those texts name rounds, sizes and
    identifiers. Whoever runs the site has all in the log.
    """

    inner: Reactor

    def react(self, body: bytes) -> Sequence[bytes]:
        """As the reactor within; what the disk, the chain's node or this program had is only said to be there."""
        try:
            return self.inner.react(body)
        except (PeerFault, Refused):
            raise
        except (Error, OSError) as problem:
            told = in_words(problem)
            raise type(told)("this party could not answer; its own log says why") from None
