"""What a report says of a job, gathered from the chain, the transcript, the sites' own folders and the audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from caduceus import canon
from caduceus.agents.payment import card_of
from caduceus.data.card import Card
from caduceus.edges.gateway.suite import TOKEN
from caduceus.edges.network import Network
from caduceus.edges.store import FolderStore
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.inquiry.queries import columns as asked_columns
from caduceus.learn.state import State
from caduceus.protocol.audit import Audit
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_for import AnySession
from caduceus.protocol.round_record import RoundRecord, read_record
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_session import Session
from caduceus.report.facts import (
    CalibrationPoint,
    CheckFacts,
    Coefficient,
    Flow,
    GasFacts,
    JobFacts,
    Quality,
    RoundFacts,
    SiteFacts,
)
from caduceus.wiring.answer_facts import analysis_facts
from caduceus.wiring.arms import NOTHING, Arms, Compared, compare
from caduceus.wiring.chronicle import chronicle
from caduceus.wiring.flows import ESCROW, flows_of
from caduceus.wiring.judging_facts import judging_facts
from caduceus.wiring.privacy_facts import privacy_facts
from caduceus.wiring.recall import Recalled
from caduceus.wiring.remembered import Times
from caduceus.wiring.transactions import Transaction
from caduceus.wiring.wording import describe_model, notes_on, privacy_of

_NO_ARMS = Arms(NOTHING, NOTHING, NOTHING)


def facts_of(
    job: Recalled,
    network: Network,
    store: FolderStore,
    transactions: Sequence[Transaction],
    audit: Audit | None,
    times: Times,
) -> JobFacts:
    """Everything that one report says about one job.

    transactions  all of the chain's, see `read_transactions`
    audit         the auditor's checks, None if nobody has audited

    Raises Refused if a record or a card is missing or altered, PeerFault if the money does not add up.
    """
    own = [one for one in transactions if one.job == job.entry.id]
    records = [read_record(anchor, job.entry.id, store.get) for anchor in job.anchors]
    flows = flows_of(job.entry, network, own, job.names)
    compared = compare(job.task, job.state, job.sites)
    spec, entry = job.spec, job.entry
    (token,) = network.node.call(entry.token, TOKEN["symbol"])
    quality = job.state.quality
    return JobFacts(
        title=spec.title,
        purpose=spec.purpose,
        job=f"0x{entry.id.hex()}",
        chain=network.name,
        model=describe_model(job.task),
        target="" if spec.learning is None else spec.learning.target,
        features=_columns(job),
        visibility=spec.visibility.name.lower(),
        price=entry.price,
        fee=spec.money.fee,
        stake=entry.stake,
        bond=entry.bond,
        token=str(token),
        spec=entry.spec.hex(),
        data_title=job.about.title,
        data_source="; ".join(part for part in (job.about.citation, job.about.licence) if part),
        seconds_training=times.training,
        seconds_total=times.total,
        sites=_sites(job, network, store, records, flows, compared),
        rounds=_rounds(job, store, records, own),
        gas=_gas(own),
        flows=flows,
        steps=chronicle(own, job.names),
        checks=()
        if audit is None
        else tuple(CheckFacts(one.claim, one.word, one.holds, one.detail, one.breaks) for one in audit.checks),
        pooled=NOTHING if quality is None else Quality(float(quality.auroc.mean()), float(quality.brier.mean())),
        auroc_error=None if quality is None else float(quality.auroc_error.mean()),
        calibration=_calibration(job.state),
        coefficients=_coefficients(job),
        privacy=privacy_facts(job, network.chain, sum(not record.failure for record in records)),
        analysis=analysis_facts(job),
        judging=judging_facts(job, store, records),
        protection=privacy_of(job),
        notes=(*notes_on(job), *compared.notes),
    )


def _columns(job: Recalled) -> tuple[str, ...]:
    """What the job reads of a record: a model's features, or what the questions are about."""
    spec = job.spec
    if spec.learning is not None:
        return spec.learning.features
    return () if spec.analysis is None else asked_columns(spec.analysis)


def _sites(
    job: Recalled,
    network: Network,
    store: FolderStore,
    records: Sequence[RoundRecord],
    flows: Sequence[Flow],
    compared: Compared,
) -> tuple[SiteFacts, ...]:
    got: defaultdict[tuple[str, str], int] = defaultdict(int)
    for flow in flows:
        if flow.source == ESCROW:
            got[flow.target, "back" if flow.why == "stake returned" else "paid"] += flow.amount
    found = []
    for enrolment in job.enrolments:
        name = job.name(enrolment.site)
        card = card_of(enrolment.dataset, network.chain, store)
        arms = compared.sites.get(name, _NO_ARMS)
        found.append(
            SiteFacts(
                name=name,
                seat=enrolment.seat,
                account=f"0x{enrolment.site.hex()}",
                rows_shown=card.rows_text,
                missing_shown=_missing(card),
                dataset=f"0x{enrolment.dataset.hex()}",
                rounds=sum(enrolment.seat in record.survivors for record in records),
                paid=got[name, "paid"],
                returned=got[name, "back"],
                local=arms.local,
                federated=arms.federated,
                pooled=arms.pooled,
            )
        )
    return tuple(found)


def _missing(card: Card) -> str:
    """What a card says of missing values; "" if it says nothing, because it has too few rows."""
    shares = [(one.missing_percent, one.column.name) for one in card.columns if one.missing_percent is not None]
    if not shares:
        return ""
    most, name = max(shares, key=lambda pair: pair[0])
    return f"up to {most} % ({name})" if most else "at most 2.5 % in any column"


def _rounds(
    job: Recalled, store: FolderStore, records: Sequence[RoundRecord], own: Sequence[Transaction]
) -> tuple[RoundFacts, ...]:
    names = {enrolment.seat: job.name(enrolment.site) for enrolment in job.enrolments}
    anchored = _anchored(own)
    found = []
    for anchor, record in zip(job.anchors, records, strict=True):
        before = canon.unpack(State, store.get(record.before))
        session = _session(store.get(record.exchange), is_judged=job.spec.judging is not None)
        gas, block = anchored[anchor.round]
        found.append(
            RoundFacts(
                number=anchor.round,
                phase=record.failure or before.phase.name.lower(),
                invited=len(record.uploads),
                survivors=len(record.survivors),
                silent=tuple(names[seat] for seat in names if seat not in record.survivors),
                entries=session.length,
                bits=session.bits if isinstance(session, Session) else 64,
                gas=gas,
                block=block,
                root=anchor.root.hex(),
                model=anchor.model.hex(),
            )
        )
    return tuple(found)


def _session(exchange: bytes, *, is_judged: bool) -> AnySession:
    if is_judged:
        return canon.unpack(GramExchange, exchange).session
    return canon.unpack(Exchange, exchange).session


def _anchored(own: Sequence[Transaction]) -> dict[int, tuple[int, int]]:
    """By round: its part of the gas of the transaction that anchored it, and the block."""
    found: dict[int, tuple[int, int]] = {}
    for one in own:
        rounds = [event.values[1] for event in one.events if event.name == "Jobs.RoundAnchored"]
        found |= {number: (one.gas // len(rounds), one.block) for number in rounds}
    return found


def _gas(own: Sequence[Transaction]) -> tuple[GasFacts, ...]:
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for one in own:
        kinds[one.what].append(one.gas)
    return tuple(
        GasFacts(what, len(gas), min(gas), round(sum(gas) / len(gas)), max(gas)) for what, gas in kinds.items()
    )


def _calibration(state: State) -> tuple[CalibrationPoint, ...]:
    """Means over the repeats; parts of [0, 1] in which no prediction fell are left out."""
    if state.quality is None:
        return ()
    table = np.asarray(state.quality.calibration)
    rows = table[:, :, 0].sum(axis=0)
    predicted, observed = ((table[:, :, 0] * table[:, :, i]).sum(axis=0) / np.maximum(rows, 1.0) for i in (1, 2))
    return tuple(
        CalibrationPoint(max(round(float(n) / len(table)), 1), float(p), float(o))
        for n, p, o in zip(rows, predicted, observed, strict=True)
        if n > 0
    )


def _coefficients(job: Recalled) -> tuple[Coefficient, ...]:
    newton, noisy = job.state.newton, job.state.noisy
    if isinstance(job.task, Inquiry) or (newton is None and noisy is None):
        return ()
    flat = newton.weights[0] if newton is not None else noisy.weights  # type: ignore[union-attr]  # one of them is there
    weights = flat[:-1].tolist()
    return tuple(Coefficient(name, weight) for name, weight in zip(job.task.design.names, weights, strict=True))
