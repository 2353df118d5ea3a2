"""What is to be played: read whole and checked whole, before anything is written or paid."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from caduceus import canon
from caduceus.data.card import ROWS_STEP
from caduceus.data.policy import Terms, judge
from caduceus.data.schema import Schema, did_you_mean
from caduceus.data.terms.file import TermsFile, read_terms_file
from caduceus.edges.code import code_digest
from caduceus.edges.federation import Federation, SiteTable, open_federation, read_sites
from caduceus.edges.tabular import load_schema, read_text
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.learn.inquiry.plan import check_cells
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.judged.dishonest import Deed
from caduceus.learn.judged.program import JudgedProgram
from caduceus.market.job_file import enclosed, read_job_file, specify
from caduceus.market.specification import NONCE_BYTES, JobSpec
from caduceus.market.terms import ask_of
from caduceus.market.work import Work, target_of, work_of
from caduceus.ports import Journal
from caduceus.wiring.parties import AGGREGATORS, BUYER, COORDINATOR, TREASURY


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be played.

    job         the job TOML
    federation  the federation TOML, or its folder
    data_root   folder under which data lie; None takes it from the environment
    url         a node; None is the embedded chain
    dishonest   for trying out: what some sites do instead of their part, by name; see `learn.judged.dishonest`
    """

    job: Path
    federation: Path
    data_root: Path | None = None
    url: str | None = None
    dishonest: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Brief:
    """Everything that a run is made of, read and checked.

    spec        with an empty nonce, and without the keys of whoever judges
    sites       who trains
    evaluators  who judges by records of its own; nobody where updates are not judged
    enclosed    what the buyer publishes with the job
    """

    federation: Federation
    spec: JobSpec
    task: Work
    sites: tuple[SiteTable, ...]
    evaluators: tuple[SiteTable, ...]
    terms: Terms
    enclosed: tuple[bytes, ...] = ()


def read_order(order: Order) -> Brief:
    """Everything that a run is made of.

    Raises Refused, naming file and field.
    """
    federation = open_federation(order.federation)
    file = read_job_file(read_text(order.job), where=order.job.name)
    schema: Schema = load_schema(order.job.parent / file.job.schema_file).public()
    spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=order.job.name, code=code_digest())
    task = work_of(spec)
    tables = read_sites(federation, data_root=order.data_root, target=target_of(task))
    check_names(federation.path.name, [one.name for one in tables])
    judges = federation.file.federation.evaluators
    if missing := sorted(set(judges) - {one.name for one in tables}):
        raise Refused(f"{federation.path.name}: federation.evaluators: there is no '{missing[0]}' among the sites")
    sites = tuple(one for one in tables if one.name not in judges)
    evaluators = tuple(one for one in tables if one.name in judges) if isinstance(task, JudgedProgram) else ()
    terms = terms_for(federation)
    check_fits(order.job.name, spec, len(sites), terms)
    if isinstance(task, Inquiry):
        _check_cells(order.job.name, task, sites)
    _check_dishonest(order, task, sites)
    return Brief(federation, spec, task, sites, evaluators, terms, enclosed(file))


def check_names(where: str, names: Sequence[str]) -> None:
    """Refuse sites that would have the folder, and so the keys, of another party.

    Raises Refused, naming the site.
    """
    taken = {_folder(name) for name in (TREASURY, BUYER, COORDINATOR, *AGGREGATORS)}
    for name in names:
        if _folder(name) in taken:
            raise Refused(f"{where}: a site called '{name}' would have another party's keys; call it something else")
        taken.add(_folder(name))


def _folder(name: str) -> str:
    return name.replace(" ", "_").lower()  # some disks do not tell capitals apart


def _check_dishonest(order: Order, task: Work, sites: Sequence[SiteTable]) -> None:
    for name, deed in order.dishonest:
        if not isinstance(task, JudgedProgram):
            raise Refused(f"{order.job.name}: sites are dishonest for trying out where updates are judged, not here")
        if name not in [one.name for one in sites]:
            raise Refused(f"no site '{name}' to be dishonest{did_you_mean(name, tuple(one.name for one in sites))}")
        Deed.named(deed)


def _check_cells(where: str, task: Inquiry, sites: Sequence[SiteTable]) -> None:
    """Refuse questions that every site would refuse, going by the rows on the cards."""
    try:
        check_cells(task.plan, sum(max(site.table.rows // ROWS_STEP * ROWS_STEP, ROWS_STEP) for site in sites))
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None


def terms_for(federation: Federation) -> Terms:
    """On which terms a federation's sites lend their data.

    Raises Refused, naming the file and key.
    """
    path = federation.path.parent / federation.file.federation.terms_file
    if not path.exists():
        return TermsFile().terms()
    return read_terms_file(read_text(path), where=path.name, beside=lambda name: read_text(path.parent / name))


def check_fits(where: str, spec: JobSpec, sites: int, terms: Terms) -> None:
    """Refuse what could only fail later, with money locked: every party is at this machine and can be asked now.

    Raises Refused, naming the job file and what does not fit.
    """
    if sites < spec.min_sites:
        raise Refused(f"{where}: sites.min is {spec.min_sites}, and the federation has {sites} sites")
    if sites > spec.max_sites:
        raise Refused(f"{where}: sites.max is {spec.max_sites}, and the federation has {sites} sites")
    anyone = replace(terms, buyers=None)  # who buys is known once there are keys; the steward judges it then
    try:
        judge(anyone, ask_of(spec, Address(bytes(20)))).enforce()
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None


def with_nonce(spec: JobSpec, journal: Journal, label: str) -> JobSpec:
    """The specification with the nonce that this run gave it, drawn once; credentials bring the one they were made for.

    Raises Refused if the job file says something else than when the run began.
    """
    if journal.get(f"{label}/nonce") is None:
        given = spec.nonce if any(spec.nonce) else secrets.token_bytes(NONCE_BYTES)
        journal.put_once(f"{label}/nonce", given)
    spec = replace(spec, nonce=journal.get(f"{label}/nonce") or b"")
    try:
        journal.put_once(f"{label}/spec", canon.digest(spec))
    except Refused:
        raise Refused(
            f"{label}.toml, its schema or this program has changed since this run began; put it back, or start a new "
            "run elsewhere"
        ) from None
    return spec
