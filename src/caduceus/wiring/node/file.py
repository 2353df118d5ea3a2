"""What a party's process is told: `node.toml` in the party's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from caduceus.data.document import Document, read_document
from caduceus.data.federation import SiteName
from caduceus.edges.tabular import read_text
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest

NODE_FILE = "node.toml"

Account = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
CodeDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PartyPart(Document):
    """`[party]`: who this is."""

    name: SiteName
    role: Literal["site", "coordinator", "buyer"]


class ChainPart(Document):
    """`[chain]`: the node that is asked, and how it is paid.

    url           http or https
    confirmations blocks on top before a transaction counts; 0 on a developer's node
    max_fee_gwei  the most that is paid per gas; none sets no limit
    poll          seconds between two looks
    """

    url: Annotated[str, Field(pattern=r"^https?://")]
    confirmations: Annotated[int, Field(ge=0, le=1000)] = 1
    max_fee_gwei: Annotated[int | None, Field(ge=1)] = None
    poll: Annotated[float, Field(ge=0.1, le=3600)] = 2.0


class SignerPart(Document):
    """`[signer]`: who keeps the account's key, where it is not in this party's folder.

    url      of a signer that answers JSON-RPC, such as web3signer or clef; http or https
    account  for which it signs
    method   what it calls that
    """

    url: Annotated[str, Field(pattern=r"^https?://")]
    account: Account
    method: Literal["eth_signTransaction", "account_signTransaction"] = "eth_signTransaction"


class HubPart(Document):
    """`[coordinator]`: whose hub this party connects to."""

    account: Account


class DataPart(Document):
    """`[data]`: the records of a site.

    federation  the TOML that says which file has them, and the schema and terms beside it
    site        this site's name in it; the party's own where none is given
    root        the folder under which data lie; none takes it from the environment
    """

    federation: Annotated[str, Field(min_length=1)]
    site: SiteName | None = None
    root: str | None = None


class PolicyPart(Document):
    """`[policy]`: what no job can override.

    code  digests of the programs that the steward allows on the records
    """

    code: tuple[CodeDigest, ...]


class WatchPart(Document):
    """`[watch]`: where figures can be read; port 0 for none."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0


class NodeFile(Document):
    """The whole of `node.toml`.

    engine  what carries this party's frames
    store   where public blobs are kept: a folder, or a URL that fsspec knows
    """

    engine: Literal["flare", "flower"] = "flare"

    party: PartyPart
    chain: ChainPart
    signer: SignerPart | None = None
    coordinator: HubPart | None = None
    data: DataPart | None = None
    policy: PolicyPart | None = None
    watch: WatchPart = WatchPart()
    store: str = "blobs"

    @property
    def hub(self) -> Address:
        """The coordinator's account. Raises Refused if the file has none."""
        if self.coordinator is None:
            raise Refused(f"{NODE_FILE}: [coordinator] account: missing; a {self.party.role} has to know whom it joins")
        return Address(bytes.fromhex(self.coordinator.account[2:]))

    @property
    def allowed(self) -> frozenset[Digest]:
        """Programs that the steward allows."""
        return frozenset(Digest(bytes.fromhex(one)) for one in (() if self.policy is None else self.policy.code))


def read_node_file(folder: Path, name: str = NODE_FILE) -> NodeFile:
    """The `node.toml` of a party's folder, or a draft of it.

    Raises Refused, naming the file and the first key that is wrong.
    """
    path = folder / name
    if not path.is_file():
        raise Refused(f"{path}: missing; `caduceus site init` writes it")
    found = read_document(read_text(path), NodeFile, where=str(path))
    if found.party.role == "site" and (found.data is None or found.policy is None):
        raise Refused(f"{path}: a site needs [data] and [policy]")
    return found
