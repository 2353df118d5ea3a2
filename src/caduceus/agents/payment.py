"""The settlement of a job from public facts: the same function for the coordinator, the sites and the payees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from caduceus import canon
from caduceus.data.card import Card
from caduceus.data.card_reading import read_card
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, Stage, Tokens
from caduceus.learn.state import OPENING, State
from caduceus.market.settlement import Settlement
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, Enrolment, JobEntry, Store, Wallet
from caduceus.protocol.round_record import RoundRecord, participation, read_record, settled_by

_CARDS_REMEMBERED = 1024


def settlement_of(
    entry: JobEntry, spec: JobSpec, enrolments: Sequence[Enrolment], chain: Chain, store: Store
) -> tuple[Settlement, tuple[RoundRecord, ...]]:
    """Who is paid what for the rounds that the chain has, and the records that say so.

    Raises Refused if a record or a card is missing or is not what the chain says.
    """
    anchors = chain.anchors(entry.id)
    records = tuple(read_record(anchor, entry.id, store.get) for anchor in anchors)
    cards = tuple(card_of(enrolment.dataset, chain, store) for enrolment in enrolments)
    state = canon.unpack(State, store.get(anchors[-1].model)) if anchors else OPENING
    settled = settled_by(entry, spec, participation(enrolments, records, cards, state), records)
    return settled, records


def card_of(dataset: Digest, chain: Chain, store: Store) -> Card:
    """The card of a registered data set.

    Raises Refused if the chain has no such data set, or the card is missing or another one.
    """
    registered = chain.dataset(dataset)
    if registered is None:
        raise Refused(f"no data set {dataset.hex()} on the chain")
    return _read_card(store.get(registered.card))


@lru_cache(maxsize=_CARDS_REMEMBERED)  # public bytes in, public value out: every party reads every card
def _read_card(card: bytes) -> Card:
    return read_card(card)


def collect(chain: Chain, wallet: Wallet, entry: JobEntry, settlement: Settlement | None, deposit: Tokens) -> None:
    """Pull, once, what a job that has ended owes a site or the coordinator, and any credit.

    settlement  the amounts that were settled; counts only if the job was completed
    deposit     what the job still holds of this account's own money
    """
    if not any(claim.account == wallet.account for claim in chain.claims(entry.id)):
        _claim(wallet, settlement if entry.stage is Stage.COMPLETED else None, entry, deposit)
    withdraw_credit(chain, wallet, entry)


def stake_left(chain: Chain, entry: JobEntry, site: Address) -> Tokens:
    """What a job that has ended still owes a site of its stake, if the site never pulled it."""
    lost = {one.seat for one in chain.equivocations(entry.id)}
    if entry.stage is Stage.COMPLETED:
        lost |= set(chain.slashed(entry.id))
    seated = any(one.site == site and one.seat not in lost for one in chain.enrolments(entry.id))
    return entry.stake if seated else Tokens(0)


def withdraw_credit(chain: Chain, wallet: Wallet, entry: JobEntry) -> None:
    """Pull what the contract owes an account beyond claims, if it owes anything."""
    if chain.credit(entry.token, wallet.account):
        wallet.withdraw(entry.token)


def _claim(wallet: Wallet, settlement: Settlement | None, entry: JobEntry, deposit: Tokens) -> None:
    """Claim what a settlement gives this account together with its deposit; nothing is sent if nothing is due.

    settlement  None if the job ended without one: then the deposit alone
    deposit     what the job still holds of this account's own money
    """
    if settlement is not None:
        index = settlement.accounts.index(wallet.account)
        amount = settlement.amounts[index]
        if amount:
            wallet.claim(entry.id, amount, index, settlement.tree().proof(index))
            return
    if deposit:
        wallet.claim(entry.id, Tokens(0), 0, ())
