"""The parties of a run on one machine, each with keys, a wallet and a journal of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256

from caduceus.agents.standing import Secrets
from caduceus.agents.steward import Steward
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer
from caduceus.crypto.xwing import Decapsulator
from caduceus.data.policy import Terms
from caduceus.edges import keyring
from caduceus.edges.card_file import load_or_describe
from caduceus.edges.federation import Federation, SiteTable
from caduceus.edges.forgetting_files import previous_of
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.keyring import Keyring
from caduceus.edges.network import Network
from caduceus.edges.private import load_or_commit
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.kinds import Address
from caduceus.ports import Wallet
from caduceus.wiring.readiness import stated_in

TREASURY, BUYER, COORDINATOR = "treasury", "buyer", "coordinator"
"""Names of the parties that are not sites; the treasury deploys and hands out demo money."""

AGGREGATORS = ("first aggregator", "second aggregator", "third aggregator")
"""Names of the three that hold shares of updates, where updates are judged. In use, three organisations."""


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with keys.

    name     as people call it
    account  address that holds money
    """

    name: str
    account: Address
    ring: Keyring

    @property
    def secrets(self) -> Secrets:
        """What it signs, opens and masks with."""
        return Secrets(Signer(self.ring.signer), self.ring.identity, KeyedEntropy(self.ring.entropy))

    @property
    def opener(self) -> Decapsulator:
        """What opens the shares that are sealed for it, as an aggregator."""
        return Decapsulator(KeyedEntropy(self.ring.entropy).derive("aggregator/kem", size=32))

    @property
    def agreement_key(self) -> bytes:
        """SHA-256 of the key that vouches for the keys that it makes for jobs."""
        return sha256(Identity(self.ring.identity).public).digest()


@dataclass(frozen=True, slots=True)
class Cast:
    """Everyone who plays in a run, by name."""

    parties: dict[str, Party]

    def __getitem__(self, name: str) -> Party:
        return self.parties[name]

    @property
    def accounts(self) -> dict[str, Address]:
        """Accounts by name."""
        return {name: party.account for name, party in self.parties.items()}

    def name_of(self, account: bytes) -> str:
        """The name behind an account; its hexadecimal form if nobody here has it."""
        return next((name for name, party in self.parties.items() if party.account == account), f"0x{account.hex()}")


def gather(workspace: Workspace, others: Sequence[str]) -> Cast:
    """Load everyone's keys, made first where there are none.

    others  sites, and whoever judges

    Raises Refused if a name cannot be a party's, or a key file is damaged or readable by others.
    """
    parties = {}
    for name in (TREASURY, BUYER, COORDINATOR, *others):
        ring = keyring.load_or_make(workspace.party(name) / "keys")
        parties[name] = Party(name, Signer(ring.account).address, ring)
    return Cast(parties)


@dataclass(frozen=True, slots=True)
class Site:
    """A site at work: its steward, its records and its memory."""

    party: Party
    steward: Steward
    records: SiteTable
    journal: SqliteJournal


def open_site(
    workspace: Workspace,
    network: Network,
    party: Party,
    records: SiteTable,
    federation: Federation,
    terms: Terms,
    stack: ExitStack,
) -> Site:
    """Put a site together; its journal closes with `stack`.

    Raises Refused if its records are not those that its data set commits to.
    """
    folder = workspace.party(party.name)
    openings = load_or_commit(folder / "openings", records.table)
    card = load_or_describe(folder, federation, records, openings.root, terms, KeyedEntropy(party.ring.entropy))
    steward = Steward(
        network.chain,
        network.wallet(party.ring.account),
        FolderStore(workspace.blobs),
        card,
        terms,
        federation.public_schema,
        previous_of(folder, openings.root),
        stated_in(folder, openings.root, party.secrets.signer.address),
    )
    return Site(party, steward, records, stack.enter_context(SqliteJournal(folder / "journal.sqlite")))


def fund(network: Network, treasury: Wallet, account: Address, amount: int) -> None:
    """Make sure that an account holds at least an amount of the demo token."""
    short = amount - network.chain.balance(network.deployment.token, account)
    if short > 0:
        treasury.transfer(network.deployment.token, account, short)  # type: ignore[arg-type]
