"""The sites of a federation file, and each one's table.

Where data lie is the operator's business: a data root is given as an option or in the environment
variable CADUCEUS_DATA. The built-in source needs neither.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from caduceus.data.cohort_file import CohortFile
from caduceus.data.federation import FederationFile, SiteEntry, assign, gathered, read_federation_file
from caduceus.data.schema import Schema, did_you_mean
from caduceus.data.schema_file import AnySchemaFile
from caduceus.data.table import Table, check_rows, check_usable
from caduceus.edges.cohort import Built
from caduceus.edges.cohort_sources import is_url, read_cohort, shown
from caduceus.edges.tabular import load_schema, read_table, read_text
from caduceus.errors import Refused

DATA_ROOT = "CADUCEUS_DATA"
"""The environment variable that names the folder under which data lie."""

EXAMPLES = Path(__file__).parent.parent / "examples"
"""The folder of the federations and jobs that come with the package."""

_SKLEARN = "sklearn:"


@dataclass(frozen=True, slots=True, eq=False)
class SiteTable:
    """One site of a federation: its name and its records."""

    name: str
    table: Table


@dataclass(frozen=True, slots=True)
class Federation:
    """A federation as its file says it; no data are read yet.

    path    the federation TOML
    file    what it says
    schema  its schema file
    """

    path: Path
    file: FederationFile
    schema: AnySchemaFile

    @property
    def title(self) -> str:
        """What the data are, for people."""
        return self.file.federation.title

    @property
    def public_schema(self) -> Schema:
        """What every site's table means."""
        return self.schema.public()


def example(name: str, *, file: str = "federation.toml") -> Path:
    """The path of a federation (or another file) that comes with the package.

    name  such as "breast", "heart" or "stroke"

    Raises Refused, naming the examples that exist, if there is no such file.
    """
    path = EXAMPLES / name / file
    if not path.is_file():
        known = sorted(f"{one.parent.name}/{one.name}" for one in EXAMPLES.glob("*/federation*.toml"))
        raise Refused(f"no example '{name}/{file}'; there are {', '.join(known)}")
    return path


def open_federation(path: Path) -> Federation:
    """Read a federation TOML and the schema that it names; no data yet.

    path  the TOML file, or a folder with a `federation.toml`

    Raises Refused, naming file and key, if either is absent or malformed.
    """
    if path.is_dir():
        path = path / "federation.toml"
    file = read_federation_file(read_text(path), where=path.name)
    schema = load_schema(path.parent / file.federation.schema_file)
    split = file.federation.split
    if split is not None and split.column:
        labels = () if isinstance(schema, CohortFile) else schema.labels
        sites = [one.name for one in labels if one.role == "site"]
        if split.column not in sites:
            raise Refused(
                f"{path.name}: federation split: '{split.column}' is no column with role 'site' in the schema"
            )
    return Federation(path, file, schema)


def read_sites(
    federation: Federation, *, data_root: Path | None = None, target: str | None = None
) -> tuple[SiteTable, ...]:
    """Read every site's records.

    data_root  the folder under which data lie; None takes it from CADUCEUS_DATA
    target     the column to be predicted, if it is known: it must vary at every site

    Raises Refused, naming file, site, column and row, if a file is absent or not as the schema says,
    if a site has no rows, or if its target (any of the schema's, if none is given) has one value only.
    """
    about = federation.file.federation
    if about.split is None:
        sites = tuple(_own(federation, one, data_root) for one in federation.file.site)
    else:
        place = source(federation, data_root)
        table = _table(place, federation.schema)
        labels = table.labels.get(about.split.column)
        parts = assign(about.split, table.rows, labels, where=shown(place), patients=table.patients)
        gather = about.split.gather
        if gather is not None:
            parts = gathered(gather, parts, gather.matches(table.column(gather.column)))
        sites = tuple(SiteTable(name, table.select(rows)) for name, rows in parts)
    for site in sites:
        _check_site(site, federation.public_schema, target)
    return sites


def read_site(
    federation: Federation, name: str, *, data_root: Path | None = None, target: str | None = None
) -> SiteTable:
    """Read one site's records; where every site has its own file, no other file is touched.

    Raises Refused as `read_sites` does, and, with the nearest name, if there is no such site.
    """
    entries = [one for one in federation.file.site if one.name == name]
    if entries:
        site = _own(federation, entries[0], data_root)
        _check_site(site, federation.public_schema, target)
        return site
    known = [one.name for one in federation.file.site]
    if federation.file.federation.split is not None:
        sites = {one.name: one for one in read_sites(federation, data_root=data_root, target=target)}
        if name in sites:
            return sites[name]
        known = list(sites)
    raise Refused(f"{federation.path.name}: no site '{name}'{did_you_mean(name, tuple(known))}")


def read_cohorts(
    federation: Federation, *, data_root: Path | None = None, site: str | None = None
) -> tuple[tuple[str, Built], ...]:
    """What becomes of the clinical records of each source: of every site that has its own, or of the one that is split.

    site  only this one's

    Raises Refused as `read_sites`, or if the federation's tables are not made of clinical records, or, with the nearest
    name, if no source of its own belongs to such a site.
    """
    schema = federation.schema
    if not isinstance(schema, CohortFile):
        raise Refused(
            f"{federation.path.name}: its tables are read from files; a cohort is made of FHIR or OMOP records"
        )
    if federation.file.federation.split is not None:
        if site is not None:
            raise Refused(
                f"{federation.path.name}: its sites have one source together, so none has a cohort of its own"
            )
        return ((federation.title, read_cohort(source(federation, data_root), schema)),)
    entries = [one for one in federation.file.site if site in (None, one.name)]
    if not entries:
        known = tuple(one.name for one in federation.file.site)
        raise Refused(f"{federation.path.name}: no site '{site}'{did_you_mean(str(site), known)}")
    return tuple((one.name, read_cohort(source(federation, data_root, one), schema)) for one in entries)


def _own(federation: Federation, entry: SiteEntry, data_root: Path | None) -> SiteTable:
    return SiteTable(entry.name, _table(source(federation, data_root, entry), federation.schema))


def _table(place: Path | str, schema: AnySchemaFile) -> Table:
    if isinstance(schema, CohortFile):
        return read_cohort(place, schema).table
    return read_table(Path(place), schema)


def source(federation: Federation, data_root: Path | None, entry: SiteEntry | None = None) -> Path | str:
    """Where records lie: a path, or of clinical records the URL of a database.

    entry  of a site; None is the one source of a federation that is split

    Raises Refused as `locate`, or if a table is to be read from a database.
    """
    data = federation.file.federation.data
    said = data if entry is None else entry.file
    if is_url(said) or (entry is not None and is_url(data)):
        if not isinstance(federation.schema, CohortFile) or not is_url(said):
            raise Refused(f"{federation.path.name}: a database holds clinical records of one site or of all, no files")
        return said
    return locate(data, data_root) if entry is None else locate(data, data_root) / entry.file


def _check_site(site: SiteTable, schema: Schema, target: str | None) -> None:
    where = f"site '{site.name}'"
    check_rows(site.table, where)
    for one in schema.targets if target is None else (target,):
        check_usable(site.table, one, where)


def locate(data: str, data_root: Path | None) -> Path:
    """Where data lie on this machine.

    data       a path, absolute or under the data root, or "sklearn:" and a bundled data set's name
    data_root  None takes it from CADUCEUS_DATA

    Raises Refused if a root is needed and none is given, or if the built-in source is not installed.
    """
    if data.startswith(_SKLEARN):
        return _bundled(data.removeprefix(_SKLEARN))
    path = Path(data)
    if path.is_absolute():
        return path
    if data_root is None:
        given = os.environ.get(DATA_ROOT)
        if not given:
            raise Refused(f"'{data}' lies under a data root, and none is given; set {DATA_ROOT} or pass --data")
        data_root = Path(given)
    if not data_root.is_dir():
        raise Refused(f"{data_root}: no such folder; the data root ({DATA_ROOT}) must be one")
    return data_root / path


def _bundled(name: str) -> Path:
    """A data file inside the installed scikit-learn, found without importing it (which costs a second)."""
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise Refused(
            f"'{_SKLEARN}{name}' comes with scikit-learn, which is not installed: pip install 'caduceus[demo]'"
        )
    path = Path(package.origin).parent / "datasets" / "data" / f"{name}.csv"
    if not path.is_file():
        raise Refused(f"'{_SKLEARN}{name}': the installed scikit-learn has no such data set")
    return path
