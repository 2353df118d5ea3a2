"""A private chain's head on a public one, by the commands that an operator and an auditor give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from anvil_node import AnvilNode
from anvil_node import anvil as anvil
from caduceus.cli import heads
from caduceus.cli.heads import Pair
from caduceus.crypto.sign import Signer
from caduceus.edges import evm_embedded, keyring
from caduceus.edges.network import EMBEDDED_CHAIN_ID
from caduceus.errors import Refused

pytestmark = pytest.mark.anvil

MOMENT = 1_700_000_000


def genesis(folder: Path) -> None:
    """An embedded chain with nothing but its first block."""
    folder.mkdir()
    evm_embedded.create(folder / "chain", chain_id=EMBEDDED_CHAIN_ID, balances={}, clock=lambda: MOMENT).close()


def grown(folder: Path, origin: Path, blocks: int, pace: int) -> str:
    """A copy of a chain with so many empty blocks more, `pace` seconds apart; returns its file."""
    shutil.copytree(origin, folder)
    now = [MOMENT]
    with evm_embedded.open_chain(folder / "chain", chain_id=EMBEDDED_CHAIN_ID, clock=lambda: now[0]) as chain:
        for _ in range(blocks):
            now[0] += pace
            evm_embedded.Node(chain).request("evm_mine", [])
    return str(folder / "chain")


def test_a_head_is_recorded_once_checked_and_a_rewritten_chain_is_named(
    tmp_path: Path, anvil: AnvilNode, capsys: pytest.CaptureFixture[str]
) -> None:
    """From nothing: the contract, the registration, a recording; then the auditor's question about two chains."""
    who = Signer(keyring.load_or_make(tmp_path / "operator" / "keys").account).address
    anvil.fund(who, 10**18)
    genesis(tmp_path / "genesis")
    pair = Pair(grown(tmp_path / "private", tmp_path / "genesis", 3, 1), anvil.url, tmp_path / "heads")
    heads.begin(pair, tmp_path / "operator", 0)
    heads.record(pair, tmp_path / "operator", 0, 0, 1, 0.0)
    heads.record(pair, tmp_path / "operator", 0, 0, 1, 0.0)
    said = " ".join(capsys.readouterr().out.split())
    assert "Block 3 0x" in said
    assert "Nothing to record" in said
    heads.check(pair, f"0x{who.hex()}", True)
    assert "was not rewritten up to block 3" in " ".join(capsys.readouterr().out.split())
    other = Pair(grown(tmp_path / "rewritten", tmp_path / "genesis", 4, 2), anvil.url, tmp_path / "heads")
    with pytest.raises(Refused, match=r"rewritten: block 3 was recorded as 0x"):
        heads.check(other, f"0x{who.hex()}", False)


def test_an_account_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anybody is asked."""
    with pytest.raises(Refused, match=r"--account 0x12: an account is 20 bytes"):
        heads.check(Pair("nowhere", "http://127.0.0.1:1", tmp_path / "heads"), "0x12", False)
