"""Clinical records of either form, read and made into a table."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from caduceus.data.cohort_file import FHIR, CohortFile
from caduceus.data.records import Records
from caduceus.edges.cohort import Built, build
from caduceus.errors import Refused


def is_url(place: Path | str) -> bool:
    """Whether a place is a database and no path."""
    return isinstance(place, str) and "://" in place


def read_cohort(place: Path | str, file: CohortFile) -> Built:
    """Read one site's clinical records, as far as a cohort needs them, and make its table.

    place  a folder, a file of FHIR resources, or the URL of a database

    Raises Refused, naming what cannot be read and where, and saying what to install if a reader is absent.
    """
    schema = file.public()
    return build(read_records(place, file, codes=schema.codes), schema, where=shown(place))


def read_records(place: Path | str, file: CohortFile, *, codes: frozenset[str] | None) -> Records:
    """Read one site's clinical records.

    codes  only events of these and their kinds; None reads all

    Raises Refused as `read_cohort`.
    """
    if file.file.format == FHIR:
        if is_url(place):
            raise Refused(f"{shown(place)}: FHIR resources are read from files; export them in bulk, as NDJSON")
        from caduceus.edges import fhir  # what it needs is an optional extra

        return fhir.read_records(Path(place), codes=codes)
    from caduceus.edges import omop

    return omop.read_records(place, codes=codes, namespace=file.file.namespace)


def shown(place: Path | str) -> str:
    """A place as a message names it: without a user, or the folders above."""
    if not is_url(place):
        return Path(place).name
    parts = urlsplit(str(place))
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
