"""A lineage as an RO-Crate: a folder of files with metadata that archives and workflow registries read.

Sources: RO-Crate 1.1 (Soiland-Reyes et al. 2022, Data Science 5:2); Workflow Run Crate 0.5 (Leo et al. 2024, PLoS ONE
19:9), of which this takes the profiles Process Run and Workflow Run: the job's specification is the workflow, one
action is its execution. Rounds are in the PROV file beside it, which says more of them than the third profile could.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caduceus.data.policy import show_micro
from caduceus.kinds import PICO, Address
from caduceus.protocol.provenance import Lineage, Use, in_ranges
from caduceus.protocol.provenance_words import say_terms, shown

METADATA = "ro-crate-metadata.json"
SPECIFICATION = "specification.cbor"

_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}

Entity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CrateFile:
    """A file in the crate.

    name    in the folder
    media   its media type
    about   what it is, for people
    result  whether it is what the job made
    """

    name: str
    data: bytes
    media: str
    about: str
    result: bool = False


def crate_metadata(lineage: Lineage, files: Sequence[CrateFile], *, chain_id: int, published: str) -> str:
    """The metadata file of a crate, as JSON-LD.

    files      everything in the folder but the metadata, the specification among them as `SPECIFICATION`
    published  ISO 8601, as of when the chain was read
    """
    graph = [
        _descriptor(),
        _root(lineage, files, published),
        *(_file(lineage, one) for one in files),
        *_software(lineage),
        _action(lineage, files, chain_id),
        *(_dataset(use, chain_id) for use in lineage.sources),
        *_agents(lineage, chain_id),
        *({"@id": url, "@type": "CreativeWork", "name": name} for url, name in _PROFILES.items()),
    ]
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [
            {"@id": "https://w3id.org/ro/crate/1.1"},
            {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
        ],
    }


def _root(lineage: Lineage, files: Sequence[CrateFile], published: str) -> Entity:
    licences = "; ".join(sorted({use.card.licence for use in lineage.sources if use.card.licence}))
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Provenance of: {lineage.spec.title}",
        "description": (
            f"A model that {len(lineage.sources)} data sets trained in {len(lineage.steps)} rounds under secure "
            "aggregation, and everything that the chain and the transcript say of where it comes from."
        ),
        "datePublished": published,
        "license": f"The record names no licence of the model; those of the data: {licences or 'none stated'}",
        "conformsTo": [{"@id": url} for url in _PROFILES],
        "hasPart": [*({"@id": one.name} for one in files), *({"@id": _name(use)} for use in lineage.sources)],
        "mainEntity": {"@id": SPECIFICATION},
        "mentions": [{"@id": "#run"}],
    }


def _file(lineage: Lineage, one: CrateFile) -> Entity:
    told: Entity = {
        "@id": one.name,
        "@type": "File",
        "name": one.about,
        "encodingFormat": one.media,
        "contentSize": str(len(one.data)),
    }
    if one.name == SPECIFICATION:
        told |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "identifier": f"sha256:{lineage.entry.spec.hex()}",
            "name": lineage.spec.title,
            "description": f"The purpose: {lineage.spec.purpose}",
            "programmingLanguage": {"@id": "#language"},
        }
    if one.result:
        told |= {"identifier": f"sha256:{lineage.state.hex()}"}
    return told


def _software(lineage: Lineage) -> list[Entity]:
    return [
        {
            "@id": "#language",
            "@type": "ComputerLanguage",
            "name": "Caduceus job specification",
            "identifier": {"@id": "https://www.rfc-editor.org/rfc/rfc8949#section-4.2"},
        },
        {
            "@id": "#program",
            "@type": "SoftwareApplication",
            "name": "Caduceus",
            "softwareVersion": f"sha256:{lineage.spec.code.hex()}",
            "description": "The digest covers everything between a site's records and the bytes that leave the site.",
        },
    ]


def _action(lineage: Lineage, files: Sequence[CrateFile], chain_id: int) -> Entity:
    entry, privacy = lineage.entry, lineage.spec.privacy
    told = f"{lineage.sums} sums in {len(lineage.steps)} rounds under head {entry.head.hex()}"
    if privacy is not None:
        told += f"; epsilon {show_micro(privacy.epsilon_micro)}, delta {privacy.delta_pico / PICO:g}"
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Training: {lineage.spec.title}",
        "description": told,
        "identifier": f"urn:x-caduceus:job:{entry.id.hex()}",
        "instrument": [{"@id": SPECIFICATION}, {"@id": "#program"}],
        "agent": {"@id": _account(entry.coordinator, chain_id)},
        "participant": [
            {"@id": account}
            for account in dict.fromkeys(
                [_account(entry.buyer, chain_id)] + [_account(use.dataset.steward, chain_id) for use in lineage.sources]
            )
        ],
        "object": [{"@id": _name(use)} for use in lineage.sources],
        "result": [{"@id": one.name} for one in files if one.result],
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }


def _dataset(use: Use, chain_id: int) -> Entity:
    entry = use.dataset
    told: Entity = {
        "@id": _name(use),
        "@type": "Dataset",
        "name": use.card.title,
        "description": f"{use.card.description} Rows: {use.card.rows_text}. In rounds {in_ranges(use.rounds)}.".strip(),
        "version": str(use.version),
        "identifier": [shown(entry.id), f"sha256:{entry.commitment.hex()}"],
        "usageInfo": "; ".join(say_terms(use.terms)),
        "creator": {"@id": _account(entry.steward, chain_id)},
    }
    told |= {"license": use.card.licence} if use.card.licence else {}
    told |= {"citation": use.card.citation} if use.card.citation else {}
    if len(use.versions) > 1:
        told["isBasedOn"] = [f"urn:x-caduceus:dataset:{older.id.hex()}" for older in use.versions[1:]]
    return told


def _agents(lineage: Lineage, chain_id: int) -> list[Entity]:
    entry = lineage.entry
    roles: dict[Address, list[str]] = {entry.coordinator: ["coordinator"]}
    roles.setdefault(entry.buyer, []).append("buyer")
    for use in lineage.sources:
        roles.setdefault(use.dataset.steward, []).append("steward")
    return [
        {
            "@id": _account(account, chain_id),
            "@type": "Organization",
            "name": f"{', '.join(dict.fromkeys(parts))} {shown(account)}",
        }
        for account, parts in roles.items()
    ]


def _name(use: Use) -> str:
    return f"urn:x-caduceus:dataset:{use.dataset.id.hex()}"


def _account(account: Address, chain_id: int) -> str:
    return f"did:pkh:eip155:{chain_id}:{shown(account)}"
