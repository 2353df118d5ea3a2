"""What lies at a path, as sheets, whatever it is: a table, a FHIR export, an OMOP database, a site of a federation."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from caduceus.data.federation import assign, gathered
from caduceus.data.readiness.sheet import Sheet
from caduceus.data.schema_file import SchemaFile
from caduceus.edges.federation import Federation, locate
from caduceus.edges.sheets.columns import DELIMITED, PARQUET, read_columns, roles, taken
from caduceus.edges.sheets.fhir import is_fhir, read_resources
from caduceus.edges.sheets.omop import is_omop, read_tables, read_vocabulary
from caduceus.edges.tabular import read_table
from caduceus.errors import Refused


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """What was found at a path.

    sheets      the data
    roles       what a schema says of places
    files       every file that was read
    part        what of the files it is, "" if all: binds a digest to a site's share of a file
    vocabulary  of an OMOP database: what its concepts mean, which is about nobody
    """

    sheets: tuple[Sheet, ...]
    files: tuple[Path, ...]
    roles: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    vocabulary: tuple[Sheet, ...] = ()

    def digest(self, salt: bytes) -> bytes:
        """A salted digest of the files, in the order of their names: means nothing to whoever lacks the salt.

        salt  32 bytes from the operating system's generator
        """
        whole = hmac.new(salt, self.part.encode(), sha256)
        for path in sorted(self.files):
            whole.update(sha256(path.read_bytes()).digest())
        return whole.digest()


def open_path(path: Path, schema: SchemaFile | None = None) -> Opened:
    """Read what lies at a path.

    path    a CSV or Parquet file, a file or folder of FHIR resources, or a folder of OMOP tables
    schema  of a table

    Raises Refused, saying what was looked for, if it is none of these.
    """
    if not path.exists():
        raise Refused(f"{path}: no such file or folder")
    if path.is_file():
        if is_fhir(path):
            return Opened(read_resources(path), (path,))
        if path.name.lower().endswith((*DELIMITED, *PARQUET)):
            sheet = read_columns(path, schema)
            return Opened((sheet,), (path,), {} if schema is None else roles(sheet, schema))
        raise Refused(f"{path}: not a CSV, Parquet or FHIR file by its name")
    if is_omop(path):
        tables = tuple(one for one in path.iterdir() if one.name.lower().endswith((*DELIMITED, *PARQUET)))
        return Opened(read_tables(path), tables, vocabulary=read_vocabulary(path))
    files = tuple(one for one in path.rglob("*") if one.is_file() and is_fhir(one))
    if files:
        return Opened(read_resources(path), files)
    raise Refused(f"{path}: holds neither FHIR resources (*.ndjson, *.json) nor OMOP tables (person.csv or .parquet)")


def open_site(federation: Federation, name: str, *, data_root: Path | None = None) -> Opened:
    """Read one site of a federation, as it lies in its file.

    Of clinical records that are split among sites for demonstration, all are read: their share is of the cohort.

    Raises Refused if there is no such site, or as `edges.federation.read_sites` does.
    """
    about = federation.file.federation
    schema = federation.schema if isinstance(federation.schema, SchemaFile) else None
    at = locate(about.data, data_root)
    if about.split is None:
        entry = next((one for one in federation.file.site if one.name == name), None)
        if entry is None:
            known = ", ".join(one.name for one in federation.file.site)
            raise Refused(f"{federation.path.name}: no site '{name}'; there are {known}")
        return open_path(at / entry.file, schema)
    if schema is None:
        return open_path(at)
    table = read_table(at, schema)
    labels = table.labels.get(about.split.column)
    parts = assign(about.split, table.rows, labels, where=at.name, patients=table.patients)
    gather = about.split.gather
    if gather is not None:
        parts = gathered(gather, parts, gather.matches(table.column(gather.column)))
    rows = dict(parts).get(name)
    if rows is None:
        raise Refused(f"{federation.path.name}: no site '{name}'; there are {', '.join(one for one, _ in parts)}")
    whole = read_columns(at, schema)
    if whole.rows != table.rows:
        raise Refused(f"{at.name}: its rows cannot be told apart; blank lines in a file with one column?")
    sheet = taken(whole, rows.tolist())
    return Opened((sheet,), (at,), roles(sheet, schema), name)
