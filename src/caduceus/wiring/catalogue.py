"""All data sets that can be looked at from here, with their cards and terms, and searching them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from caduceus.data.card_reading import CARD_MOST, read_card
from caduceus.edges.network import Network, join_url
from caduceus.edges.store import FolderStore, open_store
from caduceus.edges.tabular import load_schema, read_text
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.search import Index, Match, explain
from caduceus.market.search_fit import TERMS_MOST, Job, Listing, Wish, misfits, read_listing
from caduceus.market.specification import NONCE_BYTES
from caduceus.market.terms import ask_of
from caduceus.wiring.recall import look_at
from caduceus.wiring.remembered import Memory

_MOST_READ = max(CARD_MOST, TERMS_MOST)
_LINES = 6
"""Lines of an explanation."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Data sets, and what could not be read.

    name    of where they are, for people
    ids     of each listing, for people and programs: the data set's identifier, or the file's name
    broken  what was left out, and why
    now     the chain's time, Unix seconds; None where there is no chain
    """

    name: str
    listings: tuple[Listing, ...]
    ids: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    now: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A data set that was found.

    matches  what of the query stands where on its card
    misfits  why it is not what is wished for; empty if it is
    """

    id: str
    listing: Listing
    score: float
    matches: tuple[Match, ...]
    misfits: tuple[str, ...]

    @property
    def why(self) -> tuple[str, ...]:
        """The matches in lines: where, and what was asked for."""
        by_where: dict[str, list[str]] = {}
        for one in self.matches:
            said = by_where.setdefault(one.where, [])
            if one.asked not in said:
                said.append(one.asked)
        lines = [f"{where}: {', '.join(said)}" for where, said in by_where.items()]
        return (*lines[:_LINES], *([f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []))


@dataclass(frozen=True, slots=True)
class Result:
    """What was found: what fits first, each part by score."""

    found: tuple[Found, ...]


def from_run(folder: Path) -> Catalogue:
    """The data sets on a run's chain.

    Raises Refused if there is no such run, or its chain is not the one that it says.
    """
    workspace = Workspace(folder)
    if not workspace.pointers.parent.is_dir():
        raise Refused(f"{folder}: not the folder of a run; `caduceus run` and `caduceus demo` make one")
    orders = Memory(workspace).orders()
    with look_at(workspace, orders[0].url or None) as network:
        return _of(network, FolderStore(workspace.blobs, most=_MOST_READ).get)


def from_node(url: str, deployment: Path, blobs: str) -> Catalogue:
    """The data sets on a node's chain.

    blobs  where cards and terms are; see `edges.store.open_store`

    Raises Refused as `join_url` and `open_store`, Unavailable if the node does not answer.
    """
    with join_url(url, deployment) as network:
        return _of(network, open_store(blobs, most=_MOST_READ).get)


def _of(network: Network, get: Callable[[Digest], bytes]) -> Catalogue:
    listings, ids, broken = [], [], []
    for entry in network.chain.datasets():
        name = f"0x{entry.id.hex()}"
        try:
            listings.append(read_listing(entry, get))
            ids.append(name)
        except Refused as problem:
            broken.append((name, str(problem)))
    return Catalogue(network.name, tuple(listings), tuple(ids), tuple(broken), network.chain.now())


def from_folder(folder: Path) -> Catalogue:
    """Cards that somebody collected, one file each; other files are named and left out.

    Raises Refused if there is no such folder.
    """
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder of cards")
    listings, ids, broken = [], [], []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = str(path.relative_to(folder))
        try:
            if path.stat().st_size > CARD_MOST:
                raise Refused(f"longer than {CARD_MOST} bytes")
            listings.append(Listing(read_card(path.read_bytes()), None, None))
            ids.append(name)
        except Refused as problem:
            broken.append((name, str(problem)))
    return Catalogue(str(folder), tuple(listings), tuple(ids), tuple(broken), None)


def asked_by(path: Path, buyer: str | None) -> Job:
    """What a job file asks of every data set.

    buyer  who asks, 0x and 40 hex digits; None leaves out whom terms name

    Raises Refused, naming file and field.
    """
    file = read_job_file(read_text(path), where=path.name)
    schema = load_schema(path.parent / file.job.schema_file).public()
    spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=path.name)
    account = Address(bytes(20)) if buyer is None else _account(buyer)
    return Job(ask_of(spec, account), schema, names_buyer=buyer is not None)


def look_up(catalogue: Catalogue, query: str, wish: Wish, *, most: int) -> Result:
    """Search a catalogue; what fits the wish comes first.

    most  how many data sets are given back
    """
    index = Index(one.card for one in catalogue.listings)
    hits = index.search(query, wish.codes, most=max(index.size, 1))
    fits: list[Found] = []
    others: list[Found] = []
    for hit in hits:
        listing = catalogue.listings[hit.card]
        reasons = misfits(listing, wish)
        if reasons and (len(others) >= most or len(fits) >= most):
            continue
        found = Found(catalogue.ids[hit.card], listing, hit.score, (), reasons)
        (others if reasons else fits).append(found)
        if len(fits) >= most:
            break
    shown = (*fits, *others)[:most]
    return Result(tuple(replace(one, matches=explain(one.listing.card, query, wish.codes)) for one in shown))


def _account(text: str) -> Address:
    try:
        account = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        account = b""
    if len(account) != 20:
        raise Refused(f"'{text}' is no account: 0x and 40 hex digits")
    return Address(account)
