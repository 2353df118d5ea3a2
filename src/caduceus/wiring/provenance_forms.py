"""What was found out about a model, in the forms that people and programs read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from caduceus import canon
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.model_file import model_json
from caduceus.protocol.provenance import Lineage
from caduceus.protocol.provenance_crate import METADATA, SPECIFICATION, CrateFile, crate_metadata
from caduceus.protocol.provenance_prov import prov_json
from caduceus.protocol.provenance_words import summary
from caduceus.report.model_card import model_card_html, model_card_json
from caduceus.report.model_card_parts import card_parts
from caduceus.wiring.provenance import Provenance
from caduceus.wiring.wording import describe_model


def one_of(found: Provenance) -> Lineage:
    """The lineage to write down.

    Raises Refused if several jobs gave the same state: each has a lineage of its own.
    """
    if len(found.lineages) > 1:
        jobs = ", ".join(f"0x{one.entry.id.hex()}" for one in found.lineages)
        raise Refused(
            f"{len(found.lineages)} jobs gave this very state ({jobs}); ask with a model file, which names one"
        )
    return found.lineages[0]


def as_json(found: Provenance) -> str:
    """Every lineage as plain values, for programs; a list, with what was checked."""
    at = found.deployment
    told = [summary(one, chain_id=at.chain_id, contract=at.jobs) for one in found.lineages]
    document = {"checked": list(found.checked), "as_of": as_of(found), "lineages": told}
    return json.dumps(document, indent=1, ensure_ascii=False)


def as_prov(found: Provenance) -> str:
    """The lineage as PROV-JSON."""
    return prov_json(one_of(found), chain_id=found.deployment.chain_id)


def as_card(found: Provenance) -> tuple[str, str]:
    """The model card, as HTML and as JSON."""
    one = one_of(found)
    kind, chain_id = describe_model(one.work), found.deployment.chain_id
    parts = card_parts(one, kind=kind, chain_id=chain_id, as_of=as_of(found))
    return model_card_html(parts), model_card_json(parts)


def as_of(found: Provenance) -> str:
    """When the chain was read: the time of its newest block, ISO 8601."""
    return datetime.fromtimestamp(found.now, UTC).isoformat().replace("+00:00", "Z")


def write_crate(found: Provenance, folder: Path) -> Sequence[Path]:
    """Write an RO-Crate: the model, its specification, its lineage in every form, and the metadata.

    folder   made; must be absent or empty
    returns  the files

    Raises Refused if something else is in the folder.
    """
    one = one_of(found)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder}: not empty; choose another folder for the crate")
    files = _crate_files(found, one)
    metadata = crate_metadata(one, files, chain_id=found.deployment.chain_id, published=as_of(found))
    wanted = {file.name: file.data for file in files} | {METADATA: metadata.encode()}
    for name, data in wanted.items():
        write_whole(folder / name, data)
    return [folder / name for name in wanted]


def _crate_files(found: Provenance, one: Lineage) -> tuple[CrateFile, ...]:
    card, card_json = as_card(found)
    model = CrateFile("state.cbor", canon.pack(one.model), "application/cbor", "The anchored state itself", True)
    if not isinstance(one.work, Inquiry) and one.model.moments is not None:
        data = model_json(one.work, one.model, one.entry.id).encode()
        model = CrateFile("model.json", data, "application/json", "The model", True)
    return (
        model,
        CrateFile(SPECIFICATION, canon.pack(one.spec), "application/cbor", "What the buyer asked for"),
        CrateFile("provenance.json", as_json(found).encode(), "application/json", "The lineage as plain values"),
        CrateFile("prov.json", as_prov(found).encode(), "application/json", "The lineage as W3C PROV-JSON"),
        CrateFile("model-card.html", card.encode(), "text/html", "The model card"),
        CrateFile("model-card.json", card_json.encode(), "application/json", "The model card for programs"),
    )
