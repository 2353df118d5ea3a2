"""A card with what stands beside it: terms, verdict, place on the chain, and who holds the data."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass

from caduceus.data.card import Card
from caduceus.data.duo import Permission
from caduceus.data.policy import Terms, show_micro
from caduceus.data.use import grants, say_use
from caduceus.kinds import PICO, Address, Digest, Readiness


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set is registered.

    chain     the chain's number (EIP-155)
    registry  the contract that data sets are registered in
    """

    chain: int
    registry: Address
    dataset: Digest
    steward: Address

    @property
    def steward_id(self) -> str:
        """The steward's account as an IRI: did:pkh over a CAIP-10 account id."""
        return account_did(self.chain, self.steward)

    @property
    def registry_id(self) -> str:
        """The contract as an IRI, likewise."""
        return account_did(self.chain, self.registry)

    @property
    def dataset_id(self) -> str:
        """The data set as an IRI: its identifier as a fragment of the contract's."""
        return f"{self.registry_id}#0x{self.dataset.hex()}"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who answers for the data to people, as catalogues ask for; nothing of it is on the chain.

    name, contact            of the publisher; the contact is a mailto: or https: address
    access_body, body_contact  of the Health Data Access Body (EHDS, article 55) in charge, likewise
    legal_basis              IRI of a term of the Data Privacy Vocabulary (such as dpv's legal bases); "" says none
    category                 of EHDS article 51, as the authority list writes it: EHRS are health records
    """

    name: str
    contact: str
    access_body: str = ""
    body_contact: str = ""
    legal_basis: str = ""
    category: str = "EHRS"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a catalogue gets to know of a data set; all of it is public already, or said for the catalogue.

    readiness  as the steward states it; UNSTATED if no verdict is published
    place      None as long as it is not registered
    holder     None if nobody is named
    """

    card: Card
    terms: Terms
    readiness: Readiness = Readiness.UNSTATED
    place: Place | None = None
    holder: Holder | None = None

    @property
    def id(self) -> str:
        """An IRI: the data set's on the chain, or the card's digest (RFC 6920) before it is registered."""
        return self.card_id if self.place is None else self.place.dataset_id

    @property
    def card_id(self) -> str:
        """The card as an IRI by its digest (RFC 6920)."""
        return f"ni:///sha-256;{urlsafe_b64encode(self.card.digest()).decode().rstrip('=')}"


def account_did(chain: int, account: Address) -> str:
    """An account of an EVM chain as a decentralised identifier.

    Source: did:pkh method (W3C CCG), CAIP-10 with namespace eip155.
    """
    return f"did:pkh:eip155:{chain}:0x{account.hex()}"


NO_DOWNLOAD = (
    "There is no file to download: the records stay at their steward. Whoever is allowed to has a computation run on "
    "them, together with other sites, and gets its result: models and sums over sites."
)
"""What a catalogue's reader must know before anything else."""


def conditions(terms: Terms) -> tuple[str, ...]:
    """On which terms a computation is let in, sentences for people."""
    purposes = "any purpose" if terms.purposes is None else ", ".join(terms.purposes) or "no purpose"
    said = [
        f"Allowed purposes: {purposes}.",
        *([] if terms.use is None else [f"Data use: {say_use(terms.use.use)}."]),
        f"At least {terms.min_other_sites} other sites take part, and at most {terms.most_open.name.lower()} of single "
        "updates is seen.",
    ]
    if terms.budget_micro:
        said.append(
            f"Only with differential privacy: epsilon {show_micro(terms.budget_micro)} and delta "
            f"{terms.delta_pico / PICO:g} for the data set's whole life."
        )
    elif not terms.exact_sums:
        said.append("No exact sums are opened.")
    if terms.buyers is not None:
        said.append(f"{len(terms.buyers)} named buyers only.")
    if terms.withheld:
        said.append(f"Not for use: {', '.join(terms.withheld)}.")
    if terms.price_floor:
        said.append(f"Paid work: at least {terms.price_floor} token units per seat.")
    return tuple(said)


def duo_iris(terms: Terms) -> tuple[str, ...]:
    """IRIs of what a data set's terms name of the Data Use Ontology, each once; how they are joined is not said.

    Source: OBO Foundry's identifiers, http://obofoundry.org/id-policy.
    """
    if terms.use is None:
        return ()
    named = [term for grant in grants(terms.use.use) for term in (grant.permission, *grant.modifiers)]
    return tuple(dict.fromkeys(f"http://purl.obolibrary.org/obo/DUO_{int(term):07}" for term in named))


def is_for_research(terms: Terms) -> bool:
    """Whether the Data Use Ontology's terms are about research: all its permissions are."""
    return terms.use is not None and any(grant.permission in Permission for grant in grants(terms.use.use))


def readiness_words(readiness: Readiness) -> str:
    """A steward's verdict in words."""
    return {
        Readiness.UNSTATED: "The steward has published no verdict on whether the data are fit to be lent.",
        Readiness.BLOCKED: "The steward states that the data must not be lent as they are.",
        Readiness.CONDITIONAL: "The steward states that nothing blocks, and that something has to be looked at.",
        Readiness.READY: "The steward states that every rule was run and nothing needs attention.",
    }[readiness]
