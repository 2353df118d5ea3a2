"""The commands of a whole network: founding one between organisations, and running one on this machine.

As in `app`, each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caduceus.cli.nodes import Node

network = typer.Typer(no_args_is_help=True, help="Found a network: kits for its parties, contracts, demo money.")
cluster = typer.Typer(no_args_is_help=True, help="A whole network on this machine, to try it out.")

Authority = Annotated[Path, typer.Argument(metavar="FOLDER", help="The network's folder, private to its operator.")]


@network.command("init")
def network_init(
    folder: Authority,
    parties: Annotated[str, typer.Option(metavar="NAME,...", help="Sites and buyers, each NAME or NAME=ORGANISATION.")],
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Name or IPv4 address of the coordinator's machine, as all reach it.")
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="Where it listens.")] = 8002,
    operator: Annotated[str, typer.Option(metavar="ORGANISATION", help="Who runs it.")] = "operator",
) -> None:
    """Make the network's root key, and a start-up kit for everybody.

    A kit is what a party proves itself with to the others (mutual TLS over
    NVIDIA FLARE). Whoever has the root key can let anybody in, and do nothing
    else: money, terms and records are beyond it.

    \b
    caduceus network init net --host hub.example.org --parties ash,birch=Birch_Hospital,pharma
    """
    from caduceus.cli import founding

    founding.init(folder, founding.Hub(host, port, operator), parties)


@network.command("add")
def network_add(
    folder: Authority,
    party: Annotated[str, typer.Argument(metavar="NAME", help="NAME or NAME=ORGANISATION.")],
) -> None:
    """Make a kit for one more party. Nobody has to be restarted.

    \b
    caduceus network add net cedar=Cedar_Hospital
    """
    from caduceus.cli import founding

    founding.add(folder, party)


@network.command("deploy")
def network_deploy(folder: Authority, node: Node) -> None:
    """Put the contracts on a chain, and write the file that says where they are.

    Asked again, it checks that they are there. The treasury's account pays; on
    a developer's node (anvil) it gets ether by itself, elsewhere the command
    names the account to be given some.

    \b
    caduceus network deploy net --node https://node.example.org
    """
    from caduceus.cli import founding

    founding.deploy(folder, node)


@network.command("fund")
def network_fund(
    folder: Authority,
    account: Annotated[str, typer.Argument(metavar="0x...", help="Whom.")],
    node: Node,
    tokens: Annotated[int, typer.Option(min=0, metavar="N", help="It shall hold at least so many.")] = 10_000_000,
) -> None:
    """Let a party hold some of the demo token, which stakes, bonds and prices are paid in.

    On a developer's node (anvil) it gets ether for gas too.

    \b
    caduceus network fund net 0x... --node http://127.0.0.1:8545
    """
    from caduceus.cli import founding

    founding.give(folder, account, node, tokens)


@cluster.command("up")
def cluster_up(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The network's folder; made if absent.")],
    federation: Annotated[
        str | None,
        typer.Argument(
            metavar="[FEDERATION]",
            help="Whose sites become processes; default: stroke with data ($CADUCEUS_DATA or --data), else breast.",
        ),
    ] = None,
    job: Annotated[
        str | None, typer.Option(metavar="JOB", help="What the buyer posts; default: job-network.toml beside it.")
    ] = None,
    sites: Annotated[int | None, typer.Option(min=3, metavar="N", help="Only the first N sites.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder under which the data lie; default: $CADUCEUS_DATA."),
    ] = None,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="End when the buyer has its model and the audit is made.")
    ] = False,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="What carries the frames: flare, or flower ($CADUCEUS_FLOWER_PYTHON).")
    ] = "flare",
) -> None:
    """Run a whole network on this machine, every party a process of its own.

    A chain node (anvil), the coordinator with the FLARE server, a buyer and one
    process per site, over mutual TLS on loopback, each in its own folder with
    its own keys. Whoever ends is started again. Ctrl-C ends them all; the same
    command on the same FOLDER goes on: chain, keys and journals are kept.

    \b
    caduceus cluster up net --until-done
    caduceus cluster up net breast --sites 3
    caduceus cluster up net stroke/federation-network.toml --job stroke/job-network.toml --data ~/data

    With fewer sites than the job allows, the posted copy of it asks for so
    many, so that training begins as soon as they have enrolled. With
    --until-done it ends with the audit's exit code.
    """
    from caduceus.cli import cluster as running

    running.up(folder, running.Wish(federation, job, data, sites, until_done, engine))


heads = typer.Typer(
    no_args_is_help=True, help="A private chain's head on a public chain: record it, and check that it is still there."
)
Private = Annotated[str, typer.Argument(metavar="CHAIN", help="The private chain: a node's URL, or a chain's file.")]
Public = Annotated[str, typer.Option("--public", metavar="URL", help="A node of the public chain.")]
Place = Annotated[Path, typer.Option("--place", metavar="FILE", help="Says where the contract Heads is.")]
Keys = Annotated[
    Path, typer.Option("--keys", metavar="DIR", help="Folder with the keys of who records; made if absent.")
]
Deep = Annotated[int, typer.Option(min=0, metavar="N", help="Public blocks on top before a transaction counts.")]


@heads.command("begin")
def heads_begin(private: Private, public: Public, place: Place, keys: Keys, confirmations: Deep = 1) -> None:
    """Register a private chain on a public one, with the contract put there first if FILE is absent.

    The account of DIR pays, and is the only one that can record this chain's
    heads. What becomes public is a hash and a number now and then.

    \b
    caduceus heads begin http://127.0.0.1:8545 --public https://node.example.org --place heads --keys operator
    """
    from caduceus.cli import heads as recording

    recording.begin(recording.Pair(private, public, place), keys, confirmations)


@heads.command("record")
def heads_record(
    private: Private,
    public: Public,
    place: Place,
    keys: Keys,
    confirmations: Deep = 1,
    depth: Annotated[int, typer.Option(min=0, metavar="N", help="Private blocks that must be on top of a head.")] = 0,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Record only after so many new blocks.")] = 1,
    interval: Annotated[float, typer.Option(min=0, metavar="S", help="Again every S seconds; 0 for once.")] = 0.0,
) -> None:
    """Record the private chain's head on the public one.

    It refuses to go on if the chain has lost the head that was recorded last:
    then it was rewritten, and recording on would hide that.

    \b
    caduceus heads record URL --public URL --place heads --keys operator --interval 3600
    """
    from caduceus.cli import heads as recording

    recording.record(recording.Pair(private, public, place), keys, confirmations, depth, every, interval)


@heads.command("check")
def heads_check(
    private: Private,
    public: Public,
    place: Place,
    account: Annotated[str, typer.Option("--account", metavar="0x...", help="Who should have recorded.")],
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Believe the private node nothing: compute every header's hash.")
    ] = False,
) -> None:
    """Check, as an auditor, that a private chain still has every head that was recorded of it.

    \b
    caduceus heads check chain.sqlite --public https://node.example.org --place heads --account 0x...

    Ends with 2 if it was rewritten, and names the first head that differs. It
    says nothing about blocks above the newest recorded head.
    """
    from caduceus.cli import heads as recording

    recording.check(recording.Pair(private, public, place), account, thorough)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program's."""
    app.add_typer(heads, name="heads")
    app.add_typer(network, name="network")
    app.add_typer(cluster, name="cluster")
