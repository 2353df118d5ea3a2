"""A whole job under lookouts: each site can say alone what it was asked and what left it, and no record is in that."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from io import StringIO

import pytest
from theatre import Theatre

from caduceus import canon
from caduceus.edges.loopback import Loopback, OnFault
from caduceus.edges.store import FolderStore
from caduceus.edges.watching.audit_check import verify
from caduceus.edges.watching.detail import Who
from caduceus.edges.watching.event_log import listening
from caduceus.edges.watching.lookout import AUDIT_FOLDER, Lookout
from caduceus.edges.watching.watched import WatchedReactor
from caduceus.kinds import Address, Digest, Stage
from caduceus.ports import Reactor
from caduceus.protocol.secagg_messages import Upload
from caduceus.wiring import play as wiring

HUB = Address(b"h" * 20)


def lookouts(theatre: Theatre, stack: ExitStack) -> list[Lookout]:
    """Put every site under a lookout of its own; they are open until the stack is left."""
    made: list[Lookout] = []

    def loopback(seated: Mapping[Address, Reactor], workers: int, on_fault: OnFault) -> Loopback:
        for name in theatre.sites:
            made.append(stack.enter_context(Lookout(theatre.folder / "lookouts" / name, Who("site", name))))
        watched = {
            account: WatchedReactor(site, lookout, theatre.job, HUB)
            for (account, site), lookout in zip(seated.items(), made, strict=True)
        }
        return Loopback(watched, workers=workers, on_fault=on_fault)

    theatre.patch.setattr(wiring, "Loopback", loopback)
    return made


def lines(lookout: Lookout) -> list[dict[str, object]]:
    (file,) = verify(lookout.audit.folder).files
    return [json.loads(line) for line in file.read_bytes().splitlines()]


@pytest.fixture
def watched(theatre: Theatre) -> tuple[Theatre, list[Lookout], str]:
    """A job that was played under lookouts, and what was logged."""
    stream = StringIO()
    with listening(stream, least=logging.DEBUG), ExitStack() as stack:
        made = lookouts(theatre, stack)
        assert theatre.play().stage is Stage.COMPLETED
    return theatre, made, stream.getvalue()


def test_each_sites_log_has_every_question_and_what_left_it_is_in_the_transcript(watched):
    theatre, made, _ = watched
    theatre.assert_audit_passes()
    store = FolderStore(theatre.workspace.blobs)
    for lookout in made:
        head = verify(
            theatre.folder / "lookouts" / lookout.log.who.party / AUDIT_FOLDER, head=lookout.audit.head().digest
        )
        assert head.fault is None
        assert head.found == head.head.lines - 1
        said = lines(lookout)
        kinds = Counter(one["kind"] for one in said)
        assert kinds["asked"] == kinds["allowed"] > 5
        assert kinds["refused"] == 0
        assert {one["message"] for one in said if one["kind"] == "asked"}.isdisjoint({"unreadable"})
        uploads = [one for one in said if one["kind"] == "left" and one["message"] == canon.tag_of(Upload)]
        assert len(uploads) == len(theatre.told.rounds)
        assert all(store.has(Digest(bytes.fromhex(str(one["digest"])))) for one in uploads)


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
"""Seconds with their fractions look like measurements."""


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"[0-9.]+", _TIME.sub("", text)))


def _ours(text: str) -> str:
    """Figures without those of the process itself, such as its processor time."""
    return "\n".join(line for line in text.splitlines() if line.startswith("caduceus_"))


def test_no_value_of_a_record_is_in_log_status_figures_or_audit_log(watched):
    theatre, made, logged = watched
    texts = [logged, *(_ours(lookout.metrics.text()) for lookout in made)]
    texts += [
        path.read_text() for path in (theatre.folder / "lookouts").rglob("*") if path.name[-4:] in ("json", ".log")
    ]
    assert len(texts) == 1 + 3 * len(made)  # the log, and of each site figures, status and audit log
    for name in theatre.sites:
        records = (theatre.folder / "asked" / f"{name}.csv").read_text()
        values = {value for value in _numbers(records) if "." in value and len(value) >= 6}
        assert len(values) > 500
        for text in texts:
            assert values.isdisjoint(_numbers(text))
