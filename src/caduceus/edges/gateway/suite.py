"""The suite's functions and events by name, and its identifiers, computed as the contracts do."""

from __future__ import annotations

from eth_abi.abi import encode

from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.abi import contract
from caduceus.kinds import Address, Digest, JobId
from caduceus.market.ledger import JobTerms

MEMBERS = contract("Members").functions
VOUCHES = contract("Vouches").functions
STANDING = contract("Standing").functions
DATASETS = contract("Datasets").functions
JOBS = contract("Jobs").functions
STATUSES = contract("Statuses").functions
TOKEN = contract("DemoToken").functions
DATASET_EVENTS = contract("Datasets").events
JOB_EVENTS = contract("Jobs").events

_TERMS = JOBS["openAndFund"].inputs[0]
_DATASET = ("address", "bytes32", "bytes32", "bytes32", "uint64", "uint64", "bytes32")
_FIRST = bytes(32)


def terms_tuple(terms: JobTerms) -> tuple[object, ...]:
    """The terms in the order of the contract's struct."""
    return (
        terms.token,
        terms.price,
        terms.coordinator,
        terms.attester,
        terms.stake,
        terms.bond,
        terms.min_sites,
        terms.max_sites,
        terms.max_rounds,
        terms.enrol_for,
        terms.train_for,
        terms.challenge_for,
        terms.readiness,
        terms.epsilon_micro,
        terms.delta_pico,
        terms.sums,
        terms.costs,
        terms.spec,
    )


def job_id(buyer: Address | str, terms: tuple[object, ...]) -> JobId:
    """The id of the job that `buyer` opens with these terms (see `Jobs.idOf`)."""
    return JobId(keccak(encode(("address", _TERMS), (buyer, terms))))


def dataset_id(
    steward: Address | str,
    commitment: bytes,
    card: bytes,
    terms: bytes,
    budget_micro: int,
    delta_pico: int,
    previous: bytes | None = None,
) -> Digest:
    """The id of the data set that `steward` registers with these values (see `Datasets.idOf`).

    previous  the version that it supersedes; None for a first one
    """
    values = (steward, commitment, card, terms, budget_micro, delta_pico, previous or _FIRST)
    return Digest(keccak(encode(_DATASET, values)))
