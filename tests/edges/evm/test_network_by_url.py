"""A network whose node is somewhere else: joined with one's own key alone, and used from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from accounts import at_once, eventually

from anvil_node import AnvilNode
from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.edges.gateway import AT_ONCE, Account, GatewayWallet, RemoteSigner, Reverted, Sending
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.network import Network, join_url, open_node, open_url, read_deployment
from caduceus.errors import Misuse, Refused, Unavailable, Uncertain
from caduceus.kinds import Address, JobId, Role, Tokens
from suite_world import digest, key_of

TREASURY, SITE = key_of("treasury"), key_of("site-0")


@pytest.fixture
def deployment(anvil: AnvilNode, tmp_path: Path) -> Path:
    """The file that says where the contracts are; the parties have gas money."""
    path = tmp_path / "deployment"
    accounts = {"site": Signer(SITE).address}
    open_url(anvil.url, path, TREASURY, accounts).close()
    return path


@pytest.fixture
def joined(anvil: AnvilNode, deployment: Path) -> Iterator[Network]:
    with join_url(anvil.url, deployment, sending=AT_ONCE) as network:
        yield network


pytestmark = pytest.mark.anvil


def test_an_organisation_joins_with_its_own_key_and_acts(joined: Network) -> None:
    wallet = joined.wallet(SITE)
    wallet.register_member(Role.STEWARD, Signer(SITE).address, digest("key"), digest("profile"))
    member = joined.chain.member(wallet.account)
    assert member is not None
    assert member.roles == Role.STEWARD
    assert not joined.is_ours
    with pytest.raises(Refused, match="run the same command again"):
        joined.pass_time(joined.chain.now() + 100)


def test_wallets_of_one_account_share_its_nonces(joined: Network, anvil: AnvilNode) -> None:
    token = joined.deployment.token

    def send(number: int) -> Callable[[], object]:
        return lambda: joined.wallet(TREASURY).transfer(token, Signer(SITE).address, Tokens(number))

    outcomes = at_once([send(number) for number in range(1, 9)])
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert joined.chain.balance(token, Signer(SITE).address) == sum(range(1, 9))


def test_a_wallet_with_a_journal_remembers_and_one_without_is_not_silently_given_instead(
    joined: Network, tmp_path: Path
) -> None:
    with SqliteJournal(tmp_path / "journal") as journal:
        wallet = joined.wallet(SITE, journal)
        wallet.approve(joined.deployment.token, Tokens(5))
        assert [key.rpartition("/")[2] for key in journal.keys("outbox/")] == ["0000", "settled"]
        joined.wallet(SITE).approve(joined.deployment.token, Tokens(6))
        assert len(journal.keys("outbox/")) == 4
        joined.wallet(TREASURY)
        with pytest.raises(Misuse, match="ask with the journal first"):
            joined.wallet(TREASURY, journal)


def test_an_account_whose_key_is_elsewhere_acts_too(joined: Network, anvil: AnvilNode) -> None:
    (theirs,) = anvil.node.request("eth_accounts")
    signer = RemoteSigner(anvil.node.request, Address(bytes.fromhex(theirs[2:])))
    wallet = joined.wallet(signer)
    wallet.register_member(Role.BUYER, Signer(SITE).address, digest("key"), digest("profile"))
    assert joined.chain.member(wallet.account) is not None


def test_a_chain_that_is_not_a_developers_waits_for_one_confirmation(anvil: AnvilNode, deployment: Path) -> None:
    with join_url(anvil.url, deployment) as network:
        assert network.sending == Sending()
        assert network.sending.confirmations == 1
        wallet = network.wallet(SITE)
        outcomes: list[object] = []
        thread = threading.Thread(target=lambda: outcomes.append(wallet.approve(network.deployment.token, Tokens(1))))
        height = network.node.height()
        thread.start()
        eventually(lambda: network.node.height() == height + 1)
        thread.join(0.2)
        assert thread.is_alive()
        anvil.node.request("evm_mine")
        thread.join()
        assert outcomes


def test_a_refusal_that_an_earlier_transaction_may_explain_is_uncertain_once(
    anvil: AnvilNode, deployment: Path
) -> None:
    """Registering twice is refused; but if the first one's fate is unknown, it may be what happened."""
    with join_url(anvil.url, deployment, sending=AT_ONCE) as network:
        account = Account(network.node, Signer(SITE), estimate=True, patience=0.0)
        wallet = GatewayWallet(account, network.chain, network.deployment)
        values = (Role.STEWARD, Signer(SITE).address, digest("key"))
        anvil.node.request("evm_setAutomine", [False])
        with pytest.raises(Uncertain, match="not seen in a block"):
            wallet.register_member(*values, digest("profile"))
        anvil.node.request("evm_mine")
        with pytest.raises(Uncertain, match=r"AlreadyMember.*sent earlier, may be why: look on the chain"):
            wallet.register_member(*values, digest("another profile"))
        with pytest.raises(Reverted, match="AlreadyMember"):
            wallet.register_member(*values, digest("another profile"))


def test_a_node_of_another_chain_or_none_is_refused(anvil: AnvilNode, deployment: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="missing; it says where the contracts are"):
        join_url(anvil.url, tmp_path / "none")
    other = tmp_path / "other"
    at = read_deployment(deployment)
    other.write_bytes(canon.pack(replace(at, chain_id=5)))
    with pytest.raises(Refused, match=r"another network's chain.*chain 1337"):
        join_url(anvil.url, other)
    with pytest.raises(Unavailable, match="is the node running"):
        join_url("http://127.0.0.1:9", deployment)


def test_any_chain_opens_for_reading(anvil: AnvilNode, tmp_path: Path) -> None:
    with open_node(anvil.url) as node:
        assert node.chain_id() == anvil.chain_id
    with pytest.raises(Refused, match="missing; name a chain's file"), open_node(str(tmp_path / "none")):
        pass


def test_nothing_is_asked_of_a_job_that_is_not_there(joined: Network) -> None:
    assert joined.chain.job(JobId(digest("unheard of"))) is None
