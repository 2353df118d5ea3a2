"""The compiled contracts: what a chain needs to run them and a reader needs to trust them."""

from caduceus.contracts.artifacts import NAMES, Artifact, load

__all__ = ["NAMES", "Artifact", "load"]
