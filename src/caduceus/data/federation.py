"""Which sites there are and where each one's records lie, as a federation TOML says it.

In use every site writes a file for itself; a file with many sites serves demonstrations, where one
machine plays them all.
"""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from caduceus.data.document import Document, read_document
from caduceus.errors import Refused
from caduceus.kinds import MICRO

SITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$"
SiteName = Annotated[str, Field(pattern=SITE_NAME)]

_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@|://.*[?&]password=")


def _without_password(place: str) -> str:
    if _PASSWORD.search(place):
        raise ValueError("holds a password, and this file is shown and copied; name the file with it in PGPASSFILE")
    return place


Place = Annotated[str, Field(min_length=1), AfterValidator(_without_password)]
"""A path, or the URL of a database."""


class Gather(Document):
    """Sends patients of a kind to one site, as a centre for a rare disease sees them: for demonstration.

    site        who gets them; it gives as many of its other patients back, so that sizes stay
    column      a column of numbers
    from_, to   lowest and highest value, both included (keys `from` and `to`)
    share       of all such patients, as far as the site has others to give
    """

    site: SiteName
    column: Annotated[str, Field(min_length=1)]
    from_: Annotated[float | None, Field(alias="from")] = None
    to: float | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 0.8

    def matches(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which rows are of the kind: bool[rows]; none where the value is missing."""
        low, high = (-np.inf if self.from_ is None else self.from_), (np.inf if self.to is None else self.to)
        return (values >= low) & (values <= high)


class Split(Document):
    """How one file becomes many sites: by what a column says, by blocks of rows, or by blocks of patients.

    column    a column with the role site
    min_rows  sites with fewer rows are left out, or gathered under `rest`
    rest      name of the site that gathers them; "" leaves them out
    prefix    what stands before the column's text in a site's name
    sizes     instead of a column: rows per site, in the order of the file
    names     a name for each of `sizes`; without them, for each of as many blocks with about as many patients each, in
              the order in which patients first appear
    gather    patients of a kind that one of `names` sees most of
    """

    column: str = ""
    min_rows: Annotated[int, Field(ge=1)] = 1
    rest: str = ""
    prefix: str = ""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    names: tuple[SiteName, ...] = ()
    gather: Gather | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Split:
        if bool(self.column) == bool(self.sizes or self.names):
            raise ValueError("a split needs either a 'column' or 'sizes', or only the 'names' of equal blocks")
        if (self.sizes and len(self.sizes) != len(self.names)) or len(set(self.names)) < len(self.names):
            raise ValueError("'sizes' needs as many 'names', all different")
        if self.gather is not None and self.gather.site not in self.names:
            raise ValueError(f"'gather' names '{self.gather.site}', which is not among 'names'")
        if self.names and self.model_fields_set - {"sizes", "names", "gather"}:
            raise ValueError("'min_rows', 'rest' and 'prefix' belong to a split by 'column'")
        return self


class About(Document):
    """The `[federation]` table: what the data are, where they lie, and what their owners ask for.

    data    folder of the sites' files, or the one file (of clinical records: folder) to split, under the data root; or
            a built-in source such as "sklearn:breast_cancer"; or, of an OMOP database, "postgresql://user@host/database"
    schema_file  the schema TOML, beside the federation file (key `schema`)
    terms_file   the terms TOML, beside it too (key `terms`); where there is none the careful choice holds
    evaluators   which of the sites take no part in training and judge others' updates by their records instead, where
                 a job has its updates judged; in other jobs they are left out
    card_epsilon what each site spends of its lifetime budget on counts on its card; 0 publishes none
    card_columns which columns are counted then; all if none is named
    """

    title: str
    description: str = ""
    licence: str = ""
    citation: str = ""
    data: Place
    schema_file: Annotated[str, Field(min_length=1, alias="schema")]
    terms_file: Annotated[str, Field(min_length=1, alias="terms")] = "terms.toml"
    split: Split | None = None
    evaluators: tuple[SiteName, ...] = ()
    card_epsilon: Annotated[float, Field(ge=0, le=8)] = 0.0
    card_columns: tuple[str, ...] = ()

    @property
    def card_epsilon_micro(self) -> int:
        """`card_epsilon` in millionths, rounded down."""
        return int(self.card_epsilon * MICRO)


class SiteEntry(Document):
    """A `[[site]]`: its name, and its file (of clinical records: folder) inside `data`, or its database."""

    name: SiteName
    file: Place


class FederationFile(Document):
    """A federation TOML: `[federation]`, and `[[site]]` entries or a split."""

    federation: About
    site: tuple[SiteEntry, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> FederationFile:
        if bool(self.site) == (self.federation.split is not None):
            raise ValueError("a federation lists its sites as [[site]], or splits one file; not both, not neither")
        names = [one.name for one in self.site]
        if len(set(names)) < len(names):
            raise ValueError("two sites have the same name")
        return self


def read_federation_file(text: str, *, where: str) -> FederationFile:
    """Read a federation TOML.

    text   the whole file
    where  its name, for the message

    Raises Refused, naming `where` and the first key that is wrong.
    """
    return read_document(text, FederationFile, where=where)


def assign(
    split: Split,
    rows: int,
    labels: npt.NDArray[np.str_] | None,
    *,
    where: str,
    patients: npt.NDArray[np.str_] | None = None,
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Which rows belong to which site.

    rows    how many the file has
    labels  text[rows], what the split's column says; None for another split
    where   the file, for the message
    patients  text[rows], whose row it is; None if every row is a patient of its own
    returns  for every site its name and the positions of its rows, in the order of the file. Sites of
             a column come in the order of their names (of their numbers, if all are whole), `rest` last

    Raises Refused if no site is left, if a site's name is unfit to be shown or stands twice, or if the
    sizes do not add up to the file.
    """
    if split.sizes:
        if sum(split.sizes) != rows:
            raise Refused(f"{where}: has {rows} rows, but the split's sizes add up to {sum(split.sizes)}")
        ends = np.cumsum(split.sizes)
        parts = np.split(np.arange(rows, dtype=np.int64), ends[:-1])
        return list(zip(split.names, parts, strict=True))
    if split.names:
        return _blocks(split.names, rows, patients, where=where)
    assert labels is not None
    found, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    numbered = all(one.isascii() and one.isdigit() for one in found)
    order = sorted(range(len(found)), key=lambda i: int(found[i]) if numbered else i)
    kept = [i for i in order if counts[i] >= split.min_rows]
    sites = [(f"{split.prefix}{found[i]}", np.flatnonzero(places == i)) for i in kept]
    if split.rest:
        small = np.flatnonzero(~np.isin(places, kept))
        sites += [(split.rest, small)] if small.size else []
    names = [name for name, _ in sites]
    if len(set(names)) < len(names) or not all(re.match(SITE_NAME, name) for name in names):
        raise Refused(
            f"{where}: column '{split.column}' makes no fit site names (all different; letters, digits, space, _ . -)"
        )
    if not sites:
        raise Refused(f"{where}: no site of column '{split.column}' has {split.min_rows} rows; lower min_rows")
    return sites


def _blocks(
    names: tuple[str, ...], rows: int, patients: npt.NDArray[np.str_] | None, *, where: str
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """As many blocks as names, with about as many patients each: the rows of a patient stay together."""
    whose = np.arange(rows)
    if patients is not None:
        _, firsts, inverse = np.unique(patients, return_index=True, return_inverse=True)
        whose = np.argsort(np.argsort(firsts))[inverse]
    count = int(whose.max()) + 1 if rows else 0
    if count < len(names):
        raise Refused(f"{where}: has fewer patients than the split has sites")
    block = whose * len(names) // count
    return [(name, np.flatnonzero(block == i)) for i, name in enumerate(names)]


def gathered(
    gather: Gather, parts: list[tuple[str, npt.NDArray[np.int64]]], alike: npt.NDArray[np.bool_]
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Swap rows between sites, in the order of the file, until one site has its share of a kind of patients.

    parts    from `assign`
    alike    bool[rows], who is of the kind
    returns  the same sites with as many rows each
    """
    rows = dict(parts)
    own, others = rows[gather.site], np.concatenate([part for name, part in parts if name != gather.site])
    due = round(gather.share * int(alike.sum())) - int(alike[own].sum())
    comes, goes = others[alike[others]], own[~alike[own]]
    count = max(0, min(due, len(comes), len(goes)))
    swap = dict(zip(comes[:count].tolist(), goes[:count].tolist(), strict=True))
    swap |= {gone: come for come, gone in swap.items()}
    return [(name, np.sort([swap.get(row, row) for row in part.tolist()]).astype(np.int64)) for name, part in parts]
