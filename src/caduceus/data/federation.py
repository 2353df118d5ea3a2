"""Which sites there are and where each one's records lie, as a federation TOML says it.

In use every site writes a file for itself; a file with many sites serves demonstrations, where one
machine plays them all.
"""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from caduceus.data.document import Document, read_document
from caduceus.errors import Refused

SITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$"
SiteName = Annotated[str, Field(pattern=SITE_NAME)]


class Split(Document):
    """How one file becomes many sites: by what a column says, or by blocks of rows.

    column    a column with the role site
    min_rows  sites with fewer rows are left out, or gathered under `rest`
    rest      name of the site that gathers them; "" leaves them out
    prefix    what stands before the column's text in a site's name
    sizes     instead of a column: rows per site, in the order of the file
    names     a name for each of `sizes`
    """

    column: str = ""
    min_rows: Annotated[int, Field(ge=1)] = 1
    rest: str = ""
    prefix: str = ""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    names: tuple[SiteName, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Split:
        if bool(self.column) == bool(self.sizes):
            raise ValueError("a split needs either a 'column' or 'sizes'")
        if len(self.sizes) != len(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError("'sizes' needs as many 'names', all different")
        if self.sizes and self.model_fields_set - {"sizes", "names"}:
            raise ValueError("'min_rows', 'rest' and 'prefix' belong to a split by 'column'")
        return self


class About(Document):
    """The `[federation]` table: what the data are, where they lie, and what their owners ask for.

    data    folder of the sites' files, or the one file to split, under the data root; or a built-in
            source such as "sklearn:breast_cancer"
    schema_file  the schema TOML, beside the federation file (key `schema`)
    terms_file   the terms TOML, beside it too (key `terms`); where there is none the careful choice holds
    """

    title: str
    description: str = ""
    licence: str = ""
    citation: str = ""
    data: Annotated[str, Field(min_length=1)]
    schema_file: Annotated[str, Field(min_length=1, alias="schema")]
    terms_file: Annotated[str, Field(min_length=1, alias="terms")] = "terms.toml"
    split: Split | None = None


class SiteEntry(Document):
    """A `[[site]]`: its name, and its file inside `data`."""

    name: SiteName
    file: Annotated[str, Field(min_length=1)]


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
    split: Split, rows: int, labels: npt.NDArray[np.str_] | None, *, where: str
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Which rows belong to which site.

    rows    how many the file has
    labels  text[rows], what the split's column says; None for a split by sizes
    where   the file, for the message
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
