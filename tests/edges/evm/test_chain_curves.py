"""The precompiles of BLS12-381: loaded late, and right all the same."""

from __future__ import annotations

import subprocess
import sys

from caduceus.edges.evm_embedded import Node

ADD_IN_G1 = "0x000000000000000000000000000000000000000b"
GENERATOR = (
    "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    "0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
)
TWICE_THE_GENERATOR = (
    "000000000000000000000000000000000572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e"
    "00000000000000000000000000000000166a9d8cabc673a322fda673779d8e3822ba3ecb8670e461f73bb9021d5fd76a4c56d9d4cd16bd1bba86881979749d28"
)
"""Published with EIP-2537 (`add_G1_bls.json`: g1 + g1 = 2 * g1)."""


def test_a_contract_that_asks_for_the_curve_gets_the_published_sum(node: Node) -> None:
    answer = node.request("eth_call", [{"to": ADD_IN_G1, "data": "0x" + 2 * GENERATOR}, "latest"])
    assert answer == "0x" + TWICE_THE_GENERATOR


def test_the_curve_is_loaded_only_when_it_is_asked_for() -> None:
    script = f"""
import sys, caduceus.edges.evm_embedded
assert "py_ecc.optimized_bls12_381" not in sys.modules
from caduceus.edges.evm_embedded import Node, create
node = Node(create(None, chain_id=1, balances={{}}, clock=lambda: 1))
answer = node.request("eth_call", [{{"to": "{ADD_IN_G1}", "data": "0x{2 * GENERATOR}"}}, "latest"])
assert answer == "0x{TWICE_THE_GENERATOR}"
assert "py_ecc.optimized_bls12_381" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
