"""The contracts behind the ports: reading and acting through any node that answers JSON-RPC.

node = Node(request)                         # an embedded chain's, or a URL's
account = Account(node, Signer(key))
deployment = deploy(account, supply=10**12)  # once per network
chain = GatewayChain(node, deployment)
wallet = GatewayWallet(account, chain, deployment)
"""

from caduceus.edges.gateway.abi import Reason, Reverted
from caduceus.edges.gateway.account import Account
from caduceus.edges.gateway.chain import GatewayChain
from caduceus.edges.gateway.deployment import Deployment, check, deploy
from caduceus.edges.gateway.node import Node
from caduceus.edges.gateway.wallet import GatewayWallet

__all__ = [
    "Account",
    "Deployment",
    "GatewayChain",
    "GatewayWallet",
    "Node",
    "Reason",
    "Reverted",
    "check",
    "deploy",
]
