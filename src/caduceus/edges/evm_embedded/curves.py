"""Loads the arithmetic of the BLS12-381 curve when a contract first asks for it.

Importing py-evm imports that arithmetic too, which computes tables for a quarter of all the time that a process
needs to start; our contracts never call those precompiles (EIP-2537). Until one is called, functions of the same
names stand in for them. What a contract gets, and pays, is the same.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

_MODULE = "eth.precompiles.bls12_381"
_NAMES = (
    "bls12_g1_add",
    "bls12_g1_msm",
    "bls12_g2_add",
    "bls12_g2_msm",
    "bls12_map_fp_to_g1",
    "bls12_map_fp2_to_g2",
    "bls12_pairing_check",
)


def load_when_called() -> None:
    """Let functions stand in for the precompiles; once py-evm is imported it is too late, and nothing changes."""
    if "eth.precompiles" not in sys.modules:
        stand_in = ModuleType(_MODULE)
        for name in _NAMES:
            setattr(stand_in, name, _stand_in(name))
        sys.modules[_MODULE] = stand_in


def _stand_in(name: str) -> Callable[[Any], Any]:
    def precompile(computation: Any) -> Any:
        return getattr(_module(), name)(computation)

    return precompile


@cache
def _module() -> ModuleType:
    """py-evm's own module."""
    sys.modules.pop(_MODULE, None)
    return importlib.import_module(_MODULE)


load_when_called()
