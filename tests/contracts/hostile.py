"""Tokens and wallets that only tests use, from the artifacts that `contracts/build.mjs` writes beside this file."""

from __future__ import annotations

import json
from pathlib import Path

from eth_abi.abi import encode

from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.abi import Function, unhex
from caduceus.kinds import Address
from suite_world import World

ARTIFACTS = Path(__file__).parent / "artifacts"


def deploy(world: World, name: str, *arguments: object) -> Address:
    """Put one of the contracts on the world's chain; the treasury pays and is its deployer."""
    tree = json.loads((ARTIFACTS / f"{name}.json").read_text())
    kinds = [one["type"] for part in tree["abi"] if part["type"] == "constructor" for one in part["inputs"]]
    receipt = world.treasury.send(b"", bytes.fromhex(tree["bytecode"]) + encode(kinds, arguments), name)
    return Address(unhex(receipt["contractAddress"]))


def function(signature: str) -> Function:
    """A function without a result, such as "refuse(bool)"."""
    name, _, kinds = signature.partition("(")
    inputs = tuple(kind for kind in kinds.rstrip(")").split(",") if kind)
    return Function(name, keccak(signature.encode())[:4], inputs, ())
