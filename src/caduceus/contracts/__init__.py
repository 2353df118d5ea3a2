"""The compiled contracts: what a chain needs to run them and a reader needs to trust them."""

from caduceus.contracts.artifacts import NAMES, SUITE, Artifact, load

__all__ = ["NAMES", "SUITE", "Artifact", "load"]
