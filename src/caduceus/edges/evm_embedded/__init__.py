"""A chain in this process: real blocks, state and receipts, in one file, with no node to run.

`create`, `open_chain` and `read_chain` give a `Chain`; `Node(chain).request(method, params)` speaks
JSON-RPC as a node does.
"""

from caduceus.edges.evm_embedded import curves  # isort: skip  (before anything imports py-evm)
from caduceus.edges.evm_embedded.chain import Chain, create, open_chain, read_chain
from caduceus.edges.evm_embedded.rpc import Node

__all__ = ["Chain", "Node", "create", "curves", "open_chain", "read_chain"]
