"""The commands of one party in a network of organisations: what each is for, and nothing of how it is done.

As in `app`, each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

site = typer.Typer(no_args_is_help=True, help="Check a site's data, join a network as a site, and run it.")
coordinator = typer.Typer(no_args_is_help=True, help="Join a network as its coordinator, and run it.")
buyer = typer.Typer(no_args_is_help=True, help="Join a network as a buyer, run it, and post jobs.")
log = typer.Typer(no_args_is_help=True, help="A party's audit log.")
keys = typer.Typer(no_args_is_help=True, help="A party's keys.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The party's own folder.")]
Kit = Annotated[
    Path, typer.Option("--kit", metavar="KIT", help="The start-up kit that the network's operator issued; copied.")
]
Node = Annotated[
    str, typer.Option("--node", metavar="URL", help="An Ethereum node that you trust (http, https), best your own.")
]
Deployment = Annotated[
    Path, typer.Option("--deployment", metavar="FILE", help="The network's file that says where the contracts are.")
]
Coordinator = Annotated[
    str, typer.Option("--coordinator", metavar="0x...", help="The coordinator's account, as it told you.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Its first line encrypts the keys; else CADUCEUS_PASSPHRASE_FILE or CADUCEUS_PASSPHRASE, else none.",
    ),
]
Confirmations = Annotated[
    int, typer.Option(min=0, max=1000, metavar="N", help="Blocks on top before a transaction counts.")
]
Watch = Annotated[
    int, typer.Option("--watch", min=0, max=65535, metavar="PORT", help="Figures and health on 127.0.0.1; 0: none.")
]


@site.command("check")
def site_check(
    federation: Annotated[
        str, typer.Argument(metavar="FEDERATION", help="A federation TOML, its folder, or an example such as heart.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder under which the data lie; default: $CADUCEUS_DATA."),
    ] = None,
) -> None:
    """Check the sites' data against their schema; for stewards, on their own screen.

    Reads every file and says what is wrong with the first that is not as the
    schema says: file, column and row, never a value. If all is well, shows
    rows, columns and missing values of every site. Writes nothing, publishes
    nothing.

    \b
    caduceus site check heart --data ~/data
    caduceus site check my/federation.toml
    """
    from caduceus.cli import looking

    looking.site(federation, data)


@site.command("init")
def site_init(
    folder: Folder,
    kit: Kit,
    node: Node,
    deployment: Deployment,
    coordinator: Coordinator,
    records: Annotated[
        str, typer.Option("--data-from", metavar="FEDERATION", help="The TOML that says where your records are.")
    ],
    name: Annotated[
        str | None, typer.Option("--site", metavar="NAME", help="Your site in it; default: the one called as the kit.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder under which the data lie; default: $CADUCEUS_DATA."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    confirmations: Confirmations = 1,
    watch: Watch = 0,
) -> None:
    """Make a site's folder: keys, settings, and the kit with its role in it.

    Reads and checks the records first, and asks the node whether it is the
    network's chain; if anything is wrong, nothing is written. Your terms are
    in terms.toml beside FEDERATION; what they do not say is the careful choice.
    The program that is installed is allowed on the records; a job for any
    other is declined until you say `caduceus site allow`.

    \b
    caduceus site init ash --kit kits/ash --node http://127.0.0.1:8545 --deployment deployment
        --coordinator 0x... --data-from my/federation.toml

    Copies no record, and tells nobody anything: the site joins when it starts.
    """
    from caduceus.cli import joining

    told = joining.Joining(folder, kit, node, deployment, passphrase_file, confirmations, watch)
    joining.init_site(told, coordinator, joining.Records(records, name, data))


@site.command("start")
def site_start(folder: Folder, passphrase_file: PassphraseFile = None) -> None:
    """Run a site, in the foreground, until SIGTERM or Ctrl-C.

    It joins the network, registers the data set's commitment, card and terms,
    and then looks at every job: declines it, or stakes, trains and is paid.
    Stopped or killed, it goes on where it was when it is started again. Events
    go to FOLDER/log.jsonl; `caduceus status` shows how it stands.

    \b
    caduceus site start ash
    """
    from caduceus.cli import joining

    joining.start(folder, "site", passphrase_file)


@site.command("allow")
def site_allow(
    folder: Folder,
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="64 hex digits, as `caduceus code` prints there.")],
) -> None:
    """Allow a program on this site's records; for stewards, after reading it.

    A job names the digest of the program that it wants run. A site runs only
    what is installed there and on this list. Takes effect when the site is
    started again.

    \b
    caduceus code
    caduceus site allow ash 5f0c...
    """
    from caduceus.cli import joining

    joining.allow_program(folder, digest)


@site.command("readiness")
def site_readiness(
    folder: Folder,
    declare: Annotated[
        Path | None,
        typer.Option("--declare", metavar="FILE", help="What you declare; default: readiness.toml by the federation."),
    ] = None,
    checks: Annotated[
        Path | None, typer.Option("--checks", metavar="DIR", help="OHDSI's check tables (CSV), for OMOP data.")
    ] = None,
    free_text: Annotated[
        bool, typer.Option("--free-text-cleaned", help="You vouch that free text was cleaned: it does not block.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Check the records that this site lends, and have the verdict stand on the chain.

    Runs every rule (see `caduceus readiness --help`), signs the report with the
    site's key, binds it to the commitment, and writes it to FOLDER/readiness. At
    its next start the site states the report's digest and the verdict on the
    chain: nothing else of it leaves. Jobs may ask for a least verdict.

    \b
    caduceus site readiness ash --declare readiness.toml

    Ends with 2 if something blocks; that verdict is stated too.
    """
    from caduceus.cli import readiness_running

    readiness_running.check_own(folder, declare, checks, free_text, passphrase_file)


@coordinator.command("init")
def coordinator_init(
    folder: Folder,
    kit: Kit,
    node: Node,
    deployment: Deployment,
    name: Annotated[str, typer.Option(metavar="NAME", help="What people call it.")] = "coordinator",
    passphrase_file: PassphraseFile = None,
    confirmations: Confirmations = 1,
    watch: Watch = 0,
) -> None:
    """Make the coordinator's folder, and say which account the others are to be told.

    \b
    caduceus coordinator init hub --kit kits/server --node http://127.0.0.1:8545 --deployment deployment
    """
    from caduceus.cli import joining

    told = joining.Joining(folder, kit, node, deployment, passphrase_file, confirmations, watch)
    joining.init_coordinator(told, name)


@coordinator.command("start")
def coordinator_start(folder: Folder, passphrase_file: PassphraseFile = None) -> None:
    """Run the coordinator, in the foreground, until SIGTERM or Ctrl-C.

    It accepts jobs with a bond, sums what sites send without seeing any of it,
    anchors every round and settles. FOLDER/transcript is what auditors need.

    \b
    caduceus coordinator start hub
    """
    from caduceus.cli import joining

    joining.start(folder, "coordinator", passphrase_file)


@buyer.command("init")
def buyer_init(
    folder: Folder,
    kit: Kit,
    node: Node,
    deployment: Deployment,
    coordinator: Coordinator,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What people call you; default: the kit's.")] = None,
    passphrase_file: PassphraseFile = None,
    confirmations: Confirmations = 1,
    watch: Watch = 0,
) -> None:
    """Make a buyer's folder.

    \b
    caduceus buyer init me --kit kits/pharma --node http://127.0.0.1:8545 --deployment deployment --coordinator 0x...
    """
    from caduceus.cli import joining

    told = joining.Joining(folder, kit, node, deployment, passphrase_file, confirmations, watch)
    joining.init_buyer(told, coordinator, name)


@buyer.command("start")
def buyer_start(folder: Folder, passphrase_file: PassphraseFile = None) -> None:
    """Run a buyer, in the foreground, until SIGTERM or Ctrl-C: it posts what it is given, pays, and fetches models.

    \b
    caduceus buyer start me
    """
    from caduceus.cli import joining

    joining.start(folder, "buyer", passphrase_file)


@buyer.command("post")
def buyer_post(
    folder: Folder,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job TOML with its schema beside it, or an example.")],
) -> None:
    """Have a job posted by the buyer's process, once; its price is locked then.

    Reads and checks the job first. The process may be running or not.

    \b
    caduceus buyer post me my/job.toml
    """
    from caduceus.cli import joining

    joining.post(folder, job)


@log.command("verify")
def log_verify(
    folder: Annotated[Path, typer.Argument(metavar="LOG", help="A party's folder, its audit-log, or a file of that.")],
    head: Annotated[
        str | None, typer.Option(metavar="HEX", help="A head that was kept elsewhere; is it in the log?")
    ] = None,
) -> None:
    """Check an audit log line by line; names the first bad one.

    \b
    caduceus log verify ash
    caduceus log verify ash --head 9c1f...
    """
    from caduceus.cli import node_looking
    from caduceus.edges.watching.lookout import AUDIT_FOLDER

    inside = folder / AUDIT_FOLDER
    node_looking.verify_log(inside if inside.is_dir() else folder, head)


@keys.command("encrypt")
def keys_encrypt(folder: Folder, passphrase_file: PassphraseFile = None) -> None:
    """Put a party's keys under a passphrase, from a file or the environment; stop its process first.

    The account's key then lies in account.json as wallets keep it (Web3 Secret
    Storage), the others beside it (scrypt, AES-256-GCM).

    \b
    caduceus keys encrypt ash --passphrase-file secret
    caduceus site start ash --passphrase-file secret
    """
    from caduceus.cli import joining

    joining.encrypt_keys(folder, passphrase_file)


@keys.command("decrypt")
def keys_decrypt(folder: Folder, passphrase_file: PassphraseFile = None) -> None:
    """Put a party's keys in the clear again, such as to give them another passphrase.

    \b
    caduceus keys decrypt ash --passphrase-file secret
    """
    from caduceus.cli import joining

    joining.decrypt_keys(folder, passphrase_file)


def code() -> None:
    """Print the digest of this program: what jobs name, and stewards allow on their records.

    It covers the sources of all that works on records and decides what leaves
    a site. Two machines with the same digest run the same of it.

    \b
    caduceus code
    """
    from caduceus.cli import joining

    joining.show_code()


def status(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A party's folder, or a cluster's.")],
    json: Annotated[bool, typer.Option("--json", help="A party's status as JSON, nothing else.")] = False,
) -> None:
    """Say how a party's process stands, or all of a cluster: connection, chain, jobs, rounds, what was refused.

    \b
    caduceus status ash
    caduceus status net

    Reads what the processes say of themselves; changes nothing.
    """
    from caduceus.cli import cluster as clusters
    from caduceus.cli import node_looking

    if clusters.is_network(folder) and not json:
        clusters.show_network(folder)
        return
    node_looking.show_status(folder, as_json=json)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program's."""
    for group, name in (
        (site, "site"),
        (coordinator, "coordinator"),
        (buyer, "buyer"),
        (log, "log"),
        (keys, "keys"),
    ):
        app.add_typer(group, name=name)
    app.command("code")(code)
    app.command("status")(status)
