"""What happened to a job on the chain, step by step, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caduceus.kinds import Address, Stage
from caduceus.report.facts import Step
from caduceus.wiring.transactions import Transaction

_Said = Callable[[tuple[Any, ...]], str]


def _lost(seats: Sequence[int]) -> str:
    return f"; the stakes of seats {', '.join(map(str, seats))} are forfeited" if seats else ""


_WORDS: Mapping[str, _Said] = {
    "Members.MemberRegistered": lambda _: "became a member",
    "Members.MemberRekeyed": lambda _: "changed keys",
    "Datasets.DatasetRegistered": lambda _: "registered a data set",
    "Datasets.DatasetWithdrawn": lambda _: "withdrew a data set",
    "Jobs.JobOpened": lambda _: "posted the job",
    "Jobs.JobFunded": lambda _: "locked the price",
    "Jobs.JobAccepted": lambda _: "accepted the job, with a bond",
    "Jobs.SiteEnrolled": lambda values: f"enrolled in seat {values[1]}, with a stake",
    "Jobs.JobStarted": lambda values: f"closed the enrolment at {values[1]} sites",
    "Jobs.RoundAnchored": lambda values: f"anchored round {values[1]}",
    "Jobs.JobSettled": lambda values: f"proposed the settlement, with {values[4]} sites' signatures{_lost(values[5])}",
    "Jobs.OmissionChallenged": lambda values: f"said that round {values[2]} leaves out an upload of seat {values[1]}",
    "Jobs.OmissionAnswered": lambda values: f"showed the upload of seat {values[1]} in round {values[2]}",
    "Jobs.OmissionUpheld": lambda values: f"ended the job over the upload of seat {values[1]} in round {values[2]}",
    "Jobs.LeafDisputed": lambda values: f"showed a forged upload of seat {values[1]} in round {values[2]}",
    "Jobs.JobRejected": lambda _: "had the job rejected; its price goes back",
    "Jobs.JobCompleted": lambda _: "made the settlement final",
    "Jobs.JobExpired": lambda values: f"ended the job, which was {Stage(values[1]).name.lower()}",
    "Jobs.SeatEquivocated": lambda values: f"showed that seat {values[1]} signed two uploads for round {values[2]}",
    "Jobs.StandingRecorded": lambda values: f"entered the job in the standing of seat {values[1]}",
    "Jobs.Claimed": lambda values: f"pulled {values[2]} and a deposit of {values[3]}",
    "Jobs.Withdrawn": lambda values: f"pulled {values[2]} that the escrow owed",
}


def chronicle(transactions: Sequence[Transaction], names: Mapping[Address, str]) -> tuple[Step, ...]:
    """The steps of a job, oldest first; what one transaction did stands in one step, rounds in one each.

    transactions  those of one job
    names         parties by account
    """
    steps = []
    for one in transactions:
        said = [_WORDS[event.name](event.values) for event in one.events if event.name in _WORDS]
        parts = said if one.what == "Jobs.anchorMany" else [" and ".join(said)] if said else []
        who = names.get(one.sender, f"0x{one.sender.hex()}")
        steps += [Step(one.block, one.time, who, part, f"0x{one.hash.hex()}") for part in parts]
    return tuple(steps)
