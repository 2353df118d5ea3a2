"""What a preflight on a run's chain has answered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caduceus import canon
from caduceus.data.schema import Schema
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.learn.state import State
from caduceus.market.preflight import Sums, sums_of
from caduceus.market.specification import read_spec
from caduceus.wiring.recall import entry_of, look_at
from caduceus.wiring.remembered import Memory


@dataclass(frozen=True, slots=True, eq=False)
class Preflown:
    """An answered preflight: its title, what the columns mean, and the published sums."""

    title: str
    schema: Schema
    sums: tuple[Sums, ...]


def preflown(folder: Path, label: str | None) -> Preflown:
    """The answers of a preflight.

    label  of the job in the run: its file's name; None takes the run's only one, or the one called preflight

    Raises Refused if there is none, if it has no answers yet, or if it asked something else.
    """
    workspace = Workspace(folder)
    orders = {one.label: one for one in Memory(workspace).orders()}
    label = label or (next(iter(orders)) if len(orders) == 1 else "preflight")
    if label not in orders:
        raise Refused(f"{folder}: no job '{label}'; there are {', '.join(orders)}")
    store = FolderStore(workspace.blobs)
    with look_at(workspace, orders[label].url or None) as network:
        entry = entry_of(workspace, network, label)
        anchors = network.chain.anchors(entry.id)
    spec = read_spec(store.get(entry.spec))
    answers = canon.unpack(State, store.get(anchors[-1].model)).answers if anchors else None
    if spec.analysis is None or answers is None:
        raise Refused(f"{folder}: job '{label}' has answered no questions; run a preflight first")
    if [one.name for one in spec.analysis.queries][:1] != ["preflight"]:
        raise Refused(
            f"{folder}: job '{label}' asks something else; `caduceus preflight questions` writes one that fits"
        )
    return Preflown(spec.title, spec.schema, sums_of(spec.analysis, answers, spec.schema))
