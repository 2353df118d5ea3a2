"""A lineage as W3C PROV, in its JSON form.

Sources: PROV-DM and PROV-O (W3C Recommendations, 30 April 2013); PROV-JSON (W3C Member Submission, 24 April 2013).
Blobs are named by RFC 6920 (`ni:///sha-256;...`), accounts by the DID method pkh over CAIP-10, jobs and data sets by
URNs of ours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from caduceus.data.policy import show_micro
from caduceus.kinds import PICO, Address, Digest
from caduceus.protocol.provenance import Lineage, Step, Use
from caduceus.protocol.provenance_words import readiness, say_terms, shown

VOCABULARY = "urn:x-caduceus:terms#"
BLOB = "ni:///sha-256;"

_Tree = dict[str, dict[str, Any]]


def prov_json(lineage: Lineage, *, chain_id: int) -> str:
    """The lineage as a PROV-JSON document.

    Every round is an activity that used the state before it and the data sets in its sum, and generated the state
    after it; the model is revised from state to state, and derived from every data set version behind it.
    """
    return json.dumps(_Document(lineage, chain_id).write(), indent=1, ensure_ascii=False)


class _Document:
    """A PROV-JSON document that is being written."""

    def __init__(self, lineage: Lineage, chain_id: int) -> None:
        self.lineage, self.chain_id = lineage, chain_id
        self.tree: _Tree = {
            "prefix": {
                "cad": VOCABULARY,
                "blob": BLOB,
                "account": f"did:pkh:eip155:{chain_id}:",
                "job": "urn:x-caduceus:job:",
                "round": "urn:x-caduceus:round:",
                "dataset": "urn:x-caduceus:dataset:",
                "code": "urn:x-caduceus:code:",
            }
        }
        self._count = 0

    def write(self) -> Mapping[str, Any]:
        lineage = self.lineage
        job, code = f"job:{lineage.entry.id.hex()}", f"code:{lineage.spec.code.hex()}"
        self._agents(code)
        self._plan(job, code)
        for use in lineage.uses:
            self._dataset(use)
        states = {lineage.steps[0].record.before}
        self.add("entity", _blob(lineage.steps[0].record.before), {"prov:type": _name("cad:State")})
        for step in lineage.steps:
            self._round(step, job, code, states)
        model = _blob(lineage.state)
        self.tree["entity"][model] |= {
            "prov:type": [_name("cad:State"), _name("cad:Model")],
            "prov:label": lineage.spec.title,
            "cad:sha256": lineage.state.hex(),
        }
        for use in lineage.sources:
            self.relate(
                "wasDerivedFrom",
                {"prov:generatedEntity": model, "prov:usedEntity": _dataset(use.dataset.id)},
                {"prov:type": _name("prov:PrimarySource"), "cad:rounds": len(use.rounds)},
            )
        self.relate("wasAttributedTo", {"prov:entity": model, "prov:agent": self._account(lineage.entry.coordinator)})
        return self.tree

    def _agents(self, code: str) -> None:
        entry = self.lineage.entry
        self.add("agent", self._account(entry.buyer), {"prov:type": _name("cad:Buyer")})
        self.add("agent", self._account(entry.coordinator), {"prov:type": _name("cad:Coordinator")})
        self.add("agent", code, {"prov:type": _name("prov:SoftwareAgent"), "cad:sha256": code[5:]})
        for use in self.lineage.uses:
            self.add("agent", self._account(use.dataset.steward), {"prov:type": _name("cad:Steward")})

    def _plan(self, job: str, code: str) -> None:
        entry, spec = self.lineage.entry, self.lineage.spec
        plan = _blob(entry.spec)
        self.add(
            "entity",
            plan,
            {
                "prov:type": _name("prov:Plan"),
                "prov:label": spec.title,
                "cad:purpose": spec.purpose,
                "cad:visibility": spec.visibility.name.lower(),
                "cad:schema": spec.schema.digest().hex(),
            },
        )
        told: dict[str, Any] = {
            "prov:type": _name("cad:Job"),
            "prov:label": spec.title,
            "cad:head": entry.head.hex(),
            "cad:stage": entry.stage.name.lower(),
        }
        if spec.privacy is not None:
            told |= {
                "cad:epsilon": _decimal(show_micro(spec.privacy.epsilon_micro)),
                "cad:delta": spec.privacy.delta_pico / PICO,
            }
        self.add("activity", job, told)
        self.relate("wasAttributedTo", {"prov:entity": plan, "prov:agent": self._account(entry.buyer)})
        self.relate("used", {"prov:activity": job, "prov:entity": plan})
        for agent in (self._account(entry.coordinator), code):
            self.relate("wasAssociatedWith", {"prov:activity": job, "prov:agent": agent, "prov:plan": plan})

    def _dataset(self, use: Use) -> None:
        for place, entry in enumerate(use.versions):
            told: dict[str, Any] = {
                "prov:type": _name("cad:DatasetVersion"),
                "cad:commitment": entry.commitment.hex(),
                "cad:version": len(use.versions) - place,
            }
            if place == 0:
                told |= {
                    "prov:label": use.card.title,
                    "cad:licence": use.card.licence,
                    "cad:rows": use.card.rows_text,
                    "cad:obliges": list(say_terms(use.terms)),
                    "cad:epsilonCharged": _decimal(show_micro(use.epsilon_micro)),
                    "cad:deltaCharged": use.delta_pico / PICO,
                    **{f"cad:{name}": value for name, value in readiness(use).items() if value},
                }
            self.add("entity", _dataset(entry.id), told)
            whose = self._account(entry.steward)
            self.relate("wasAttributedTo", {"prov:entity": _dataset(entry.id), "prov:agent": whose})
        for newer, older in zip(use.versions, use.versions[1:], strict=False):
            self.relate(
                "wasDerivedFrom",
                {"prov:generatedEntity": _dataset(newer.id), "prov:usedEntity": _dataset(older.id)},
                {"prov:type": _name("prov:Revision")},
            )
        for digest, kind in ((use.dataset.card, "cad:Card"), (use.dataset.terms, "cad:Terms")):
            self.add("entity", _blob(digest), {"prov:type": _name(kind), "cad:sha256": digest.hex()})
            self.relate(
                "wasInfluencedBy", {"prov:influencee": _dataset(use.dataset.id), "prov:influencer": _blob(digest)}
            )

    def _round(self, step: Step, job: str, code: str, states: set[Digest]) -> None:
        record = step.record
        name = f"round:{self.lineage.entry.id.hex()}-{record.round}"
        told: dict[str, Any] = {"prov:type": _name("cad:Round"), "cad:round": record.round}
        if record.failure:
            told |= {"cad:failure": record.failure}
        self.add("activity", name, told)
        self.add("entity", _blob(step.digest), {"prov:type": _name("cad:RoundRecord"), "cad:sha256": step.digest.hex()})
        self.relate("wasStartedBy", {"prov:activity": name, "prov:starter": job})
        self.relate("wasAssociatedWith", {"prov:activity": name, "prov:agent": code})
        self.relate("used", {"prov:activity": name, "prov:entity": _blob(record.before)})
        self.relate("wasGeneratedBy", {"prov:entity": _blob(step.digest), "prov:activity": name})
        for seat in record.survivors:
            dataset = self.lineage.uses[seat].dataset.id
            self.relate("used", {"prov:activity": name, "prov:entity": _dataset(dataset)})
        if record.after not in states:  # a state that came before is another round's, and an entity is made once
            states.add(record.after)
            self.add("entity", _blob(record.after), {"prov:type": _name("cad:State")})
            self.relate("wasGeneratedBy", {"prov:entity": _blob(record.after), "prov:activity": name})
            self.relate(
                "wasDerivedFrom",
                {
                    "prov:generatedEntity": _blob(record.after),
                    "prov:usedEntity": _blob(record.before),
                    "prov:activity": name,
                },
                {"prov:type": _name("prov:Revision")},
            )

    def add(self, kind: str, name: str, attributes: Mapping[str, Any]) -> None:
        """One more entity, activity or agent; of an account with several parts the types add up."""
        known = self.tree.setdefault(kind, {}).setdefault(name, {})
        if known and "prov:type" in known and known["prov:type"] != attributes.get("prov:type"):
            types = known["prov:type"] if isinstance(known["prov:type"], list) else [known["prov:type"]]
            if attributes["prov:type"] not in types:
                known["prov:type"] = [*types, attributes["prov:type"]]
            return
        known |= attributes

    def relate(self, kind: str, ends: Mapping[str, str], attributes: Mapping[str, Any] | None = None) -> None:
        """One more relation."""
        self._count += 1
        self.tree.setdefault(kind, {})[f"_:r{self._count}"] = {**ends, **(attributes or {})}

    def _account(self, account: Address) -> str:
        return f"account:{shown(account)}"


def _name(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _decimal(number: str) -> dict[str, str]:
    return {"$": number, "type": "xsd:decimal"}


def _dataset(identifier: Digest) -> str:
    return f"dataset:{identifier.hex()}"


def _blob(digest: Digest) -> str:
    return f"blob:{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
