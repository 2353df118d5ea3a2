"""The contracts behind the ports: reading and acting through any node that answers JSON-RPC.

node = Node(request)                         # an embedded chain's, or a URL's
account = Account(node, Signer(key))         # on a public network: sending=Sending(...), outbox=Outbox(...)
deployment = deploy(account, supply=10**12)  # once per network
chain = GatewayChain(node, deployment)
wallet = GatewayWallet(account, chain, deployment)
"""

from caduceus.edges.gateway.abi import Reason, Reverted
from caduceus.edges.gateway.account import Account
from caduceus.edges.gateway.chain import GatewayChain
from caduceus.edges.gateway.deployment import Deployment, check, deploy
from caduceus.edges.gateway.node import Node
from caduceus.edges.gateway.outbox import Outbox
from caduceus.edges.gateway.signing import KeySigner, RemoteSigner, TransactionSigner
from caduceus.edges.gateway.wallet import GatewayWallet
from caduceus.edges.gateway.watch import AT_ONCE, Sending

__all__ = [
    "AT_ONCE",
    "Account",
    "Deployment",
    "GatewayChain",
    "GatewayWallet",
    "KeySigner",
    "Node",
    "Outbox",
    "Reason",
    "RemoteSigner",
    "Reverted",
    "Sending",
    "TransactionSigner",
    "check",
    "deploy",
]
