"""The terms TOML: what a steward writes, and the terms that it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from caduceus import canon
from caduceus.data.document import Document, read_document
from caduceus.data.policy import Terms, read_terms
from caduceus.data.use import UseTerms, grants
from caduceus.data.use_disease import MOST_PAIRS, Diseases, excerpt, read_diseases
from caduceus.data.use_file import Claim, IssuerFile, UseFile
from caduceus.errors import Refused
from caduceus.kinds import MICRO, PICO, Visibility

_AddressText = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class TermsFile(Document):
    """A terms TOML. What is not said is the careful choice, except that anyone may ask.

    buyers      addresses, or "any"
    purposes    words that jobs state as their purpose, or "any"
    visibility  the most that may be seen of single updates
    aggregators addresses of which all three must be that judge updates, or "any"; counts with visibility "gram"
    epsilon     lifetime privacy budget; absent if none is set. With a budget, only jobs with differential privacy are
                let in
    delta       lifetime budget for delta; counts where there is one for epsilon
    missing     per cent of a private job's sites whose noise must not be needed
    minimum_here, minimum_cohort   fewest records at this site, and under the smallest sum
    hierarchy   file beside this one, an excerpt of MONDO as OBO or CSV, by which diseases are judged
    proven      which statements of a job count only if a credential says so too
    issuer      whose credentials count
    use         what the data may be used for, by the Data Use Ontology
    """

    buyers: tuple[_AddressText, ...] | Literal["any"] = "any"
    purposes: tuple[str, ...] | Literal["any"] = ("research",)
    visibility: Literal["open", "cohort", "gram", "sum"] = "sum"
    aggregators: tuple[_AddressText, ...] | Literal["any"] = "any"
    min_other_sites: Annotated[int, Field(ge=0)] = 2
    price_floor: Annotated[int, Field(ge=0)] = 0
    epsilon: Annotated[float, Field(gt=0, le=1000)] | None = None
    delta: Annotated[float, Field(ge=1e-12, le=0.01)] = 1e-4
    missing: Annotated[int, Field(ge=0, le=90)] = 20
    exact_sums: bool = False
    withheld: tuple[str, ...] = ()
    minimum_here: Annotated[int, Field(ge=0)] = 0
    minimum_cohort: Annotated[int, Field(ge=0)] = 0
    hierarchy: Annotated[str, Field(min_length=1)] | None = None
    proven: tuple[Claim, ...] = ()
    issuer: Annotated[tuple[IssuerFile, ...], Field(max_length=64)] = ()
    use: UseFile | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> TermsFile:
        if self.epsilon is not None and self.exact_sums:
            raise ValueError("'exact_sums' voids a budget: leave out the one or 'epsilon'")
        if self.use is None and (self.hierarchy or self.proven or self.issuer):
            raise ValueError("'hierarchy', 'proven' and 'issuer' count with a [use] table only")
        unsaid = set(self.proven) - {claim for one in self.issuer for claim in one.may_say}
        if unsaid:
            raise ValueError(f"proven: no issuer may say '{min(unsaid)}', so no job could ever be allowed")
        return self

    def terms(self, diseases: Diseases | None = None) -> Terms:
        """The terms as a record; epsilon and delta are rounded down, because a budget must not grow.

        diseases  what `hierarchy` holds

        Raises Refused if the use is malformed, or if the hierarchy is needed and missing or too large.
        """
        return Terms(
            buyers=None if self.buyers == "any" else tuple(_address(one) for one in self.buyers),
            purposes=None if self.purposes == "any" else tuple(self.purposes),
            most_open=Visibility[self.visibility.upper()],
            aggregators=None if self.aggregators == "any" else tuple(_address(one) for one in self.aggregators),
            min_other_sites=self.min_other_sites,
            price_floor=self.price_floor,
            budget_micro=0 if self.epsilon is None else int(self.epsilon * MICRO),
            delta_pico=0 if self.epsilon is None else int(self.delta * PICO),
            missing_percent=self.missing,
            exact_sums=self.exact_sums,
            withheld=self.withheld,
            minimum_here=self.minimum_here,
            minimum_cohort=self.minimum_cohort,
            use=None if self.use is None else self._use_terms(self.use, diseases),
        )

    def _use_terms(self, file: UseFile, diseases: Diseases | None) -> UseTerms:
        if (self.hierarchy is None) != (diseases is None):
            raise Refused("hierarchy: the file that it names must be read with the terms")
        use = file.use()
        kept = None if diseases is None else excerpt(diseases, {one for each in grants(use) for one in each.diseases})
        if kept is not None and len(kept.pairs) > MOST_PAIRS:
            raise Refused(f"hierarchy: {len(kept.pairs)} pairs below the diseases of the terms; at most {MOST_PAIRS}")
        return UseTerms(use, kept, tuple(one.issuer() for one in self.issuer), tuple(dict.fromkeys(self.proven)))


def read_terms_file(text: str, *, where: str, beside: Callable[[str], str] | None = None) -> Terms:
    """Read a terms TOML.

    beside  reads a file that lies beside it, by name; needed where the terms name a hierarchy of diseases

    Raises Refused, naming `where` and the first key that is wrong.
    """
    file = read_document(text, TermsFile, where=where)
    try:
        diseases = None
        if file.hierarchy is not None:
            if beside is None:
                raise Refused(f"hierarchy: '{file.hierarchy}' cannot be read from here")
            diseases = read_diseases(beside(file.hierarchy), where=file.hierarchy)
        return read_terms(canon.pack(file.terms(diseases)))  # what nobody would read is no terms
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None


def _address(text: str) -> bytes:
    return bytes.fromhex(re.sub("^0x", "", text))
