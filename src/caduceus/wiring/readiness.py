"""A readiness check from a path to signed files."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from caduceus import canon
from caduceus.agents.steward import Stated
from caduceus.crypto.sign import Signer
from caduceus.data.readiness.cdm import Official, read_official
from caduceus.data.readiness.declaration import Declared, read_declaration
from caduceus.data.readiness.engine import examine
from caduceus.data.readiness.report import (
    COMMITMENT,
    SALTED_FILES,
    SignedReport,
    check,
    read_signed,
    report_json,
    signed,
    unsigned,
    write_report,
)
from caduceus.data.readiness.rule import Context
from caduceus.data.readiness.rules import all_rules
from caduceus.data.schema_file import SchemaFile
from caduceus.edges.code import code_digest
from caduceus.edges.federation import open_federation
from caduceus.edges.sheets.opening import Opened, open_path, open_site
from caduceus.edges.tabular import load_schema, read_text
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.report.readiness import readiness_page

SALT_BYTES = 32
JSON, PAGE, SIGNED, SALT = "report.json", "report.html", "report.cbor", "private-salt"
"""Files of a check's folder; the last stays at the site."""

FOLDER = "readiness"
"""Where a party keeps the report on the records that it lends, in its own folder."""

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be checked.

    path        a table, a FHIR export, a folder of OMOP tables, or a federation TOML or its folder
    site        which site of a federation; "" where it is none
    schema      of a table; None takes a federation's, or does without
    declaration TOML; None takes readiness.toml beside the path if there is one, or declares nothing
    data_root   under which a federation's data lie
    commitment  32 bytes that bind the report to the data set's card; None binds it to its files under a salt
    title       of the data set; "" takes the path's name
    checks      folder of OHDSI's check tables, for OMOP data; None does without
    free_text   "warn" where free text was cleaned and somebody vouches for it, else "block"
    """

    path: Path
    site: str = ""
    schema: Path | None = None
    declaration: Path | None = None
    data_root: Path | None = None
    commitment: bytes | None = None
    title: str = ""
    checks: Path | None = None
    free_text: str = "block"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it, not yet written.

    salt  with which the data set's digest was made; None if there is a commitment. Never leaves the site
    """

    signed: SignedReport
    salt: bytes | None = field(repr=False, default=None)


def check_readiness(
    asked: Asked, *, now: int, signer: Signer | None = None, step: Callable[[str], None] = lambda title: None
) -> Checked:
    """Read the data, run every rule, and sign the report.

    now     seconds since 1970-01-01 UTC
    signer  the steward's key; None leaves the report unsigned
    step    called with a rule's title when it is done

    Raises Refused, naming file and key or column, if something cannot be read.
    """
    opened, schema = _open(asked)
    declared = _declared(asked)
    context = Context(
        opened.sheets,
        opened.roles,
        schema,
        declared,
        free_text="warn" if asked.free_text == "warn" else "block",
        today=now // _DAY,
    )
    official = None if asked.checks is None else _official(asked.checks)
    outcome = examine(context, all_rules(official, _objections(asked, declared), opened.vocabulary), step=step)
    salt = secrets.token_bytes(SALT_BYTES) if asked.commitment is None else None
    report = write_report(
        outcome,
        title=asked.title or asked.site or asked.path.name,
        data=opened.digest(salt) if salt is not None else asked.commitment or b"",
        data_is=SALTED_FILES if salt is not None else COMMITMENT,
        sheets=opened.sheets,
        declared=declared,
        code=code_digest(),
        made=now,
    )
    return Checked(unsigned(report) if signer is None else signed(report, signer), salt)


def _open(asked: Asked) -> tuple[Opened, SchemaFile | None]:
    path = asked.path
    if path.suffix == ".toml" or (path / "federation.toml").is_file():
        if not asked.site:
            raise Refused(f"{path}: a federation; name one of its sites with --site")
        federation = open_federation(path)
        schema = federation.schema if isinstance(federation.schema, SchemaFile) else None
        return open_site(federation, asked.site, data_root=asked.data_root), schema
    if asked.site:
        raise Refused(f"{path}: not a federation, so there is no site '{asked.site}'")
    schema = None
    if asked.schema is not None:
        found = load_schema(asked.schema)
        schema = found if isinstance(found, SchemaFile) else None
    return open_path(path, schema), schema


def _declared(asked: Asked) -> Declared:
    path = asked.declaration
    if path is None:
        beside = (asked.path if asked.path.is_dir() else asked.path.parent) / "readiness.toml"
        if not beside.is_file():
            return Declared()
        path = beside
    return read_declaration(read_text(path), where=path.name)


def _official(folder: Path) -> Official:
    """OHDSI's check tables, as its release has them.

    Raises Refused if the folder does not hold them.
    """
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder; it should hold OHDSI's check tables for the CDM")
    return read_official({path.name: read_text(path) for path in sorted(folder.glob("*.csv"))})


def _objections(asked: Asked, declared: Declared) -> frozenset[str] | None:
    """Who has objected, from the site's file, a line each; None if the declaration names no such file."""
    if declared.opt_out.rule != "list":
        return None
    beside = asked.declaration if asked.declaration is not None else asked.path / "readiness.toml"
    folder = beside.parent if beside.exists() else asked.path.parent
    lines = read_text(folder / declared.opt_out.list).splitlines()
    return frozenset(line.strip() for line in lines if line.strip())


def write_files(checked: Checked, folder: Path) -> tuple[Path, ...]:
    """Write the report as JSON, as a page and as the record that was signed, and the salt for the site alone.

    returns  the files, the salt's last if there is one
    """
    files = [
        (folder / JSON, report_json(checked.signed).encode() + b"\n", 0o666),
        (folder / PAGE, readiness_page(checked.signed).encode(), 0o666),
        (folder / SIGNED, canon.pack(checked.signed), 0o666),
    ]
    if checked.salt is not None:
        files.append((folder / SALT, checked.salt, 0o600))
    for path, data, mode in files:
        write_whole(path, data, mode=mode)
    return tuple(path for path, _, _ in files)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of a report's file says.

    signer  who signed it
    same_code  whether the code on this machine is the code that looked
    same_data  whether the data are those that were looked at; None if they were not given
    """

    report: SignedReport
    signer: Address
    same_code: bool
    same_data: bool | None


def verify_file(path: Path, *, data: Asked | None = None, salt: Path | None = None) -> Verified:
    """Check a report's signature, and that its verdict follows from what it says was found.

    path  report.cbor
    data  where the data lie, for the steward, who has the salt too
    salt  the file private-salt

    Raises Refused if the file is no report, is unsigned, or does not hold.
    """
    try:
        found = read_signed(path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"{path}: no such file; a check writes {SIGNED}") from None
    except Refused:
        raise Refused(f"{path}: not a readiness report; a check writes {SIGNED}") from None
    try:
        signer = check(found)
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None
    same = None
    if data is not None:
        if salt is None or found.report.data_is != SALTED_FILES:
            raise Refused(f"{path}: to compare with the data takes the file {SALT} that was written with this report")
        opened, _ = _open(data)
        same = secrets.compare_digest(opened.digest(_salt(salt)), found.report.data)
    return Verified(found, signer, found.report.code == code_digest(), same)


def stated_in(folder: Path, root: bytes, signer: Address) -> Stated | None:
    """What a party's own report says of the records that it lends; None if there is none about these.

    folder  the party's; the report is `readiness/report.cbor` in it
    root    the commitment of the data set
    signer  the party's

    A report about another version is passed over: a new version's readiness is not stated until it is looked at.

    Raises Refused, naming the file, if it is damaged or somebody else's.
    """
    path = folder / FOLDER / SIGNED
    if not path.exists():
        return None
    found = verify_file(path)
    report = found.report.report
    if found.signer != signer:
        raise Refused(f"{path}: signed by somebody else; make this site's own with `caduceus site readiness`")
    if report.data_is != COMMITMENT or report.data != root:
        return None
    return Stated(report.digest(), report.readiness)


def _salt(path: Path) -> bytes:
    try:
        salt = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: no such file") from None
    if len(salt) != SALT_BYTES:
        raise Refused(f"{path}: a salt has {SALT_BYTES} bytes")
    return salt
