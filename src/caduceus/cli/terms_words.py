"""A data set's terms in words: one line for the card, and all of them for `terms show`."""

from __future__ import annotations

from caduceus.cli.tables import whole
from caduceus.crypto.sd_jwt_keys import encode
from caduceus.data.policy import Terms, show_micro
from caduceus.data.use import How, Use, UseTerms, places, say_grant, say_use
from caduceus.kinds import PICO


def say_terms(terms: Terms) -> str:
    """One sentence with everything that a buyer has to meet."""
    buyers = "any buyer may ask" if terms.buyers is None else f"{len(terms.buyers)} named buyers may ask"
    purposes = "for any purpose" if terms.purposes is None else f"for {', '.join(terms.purposes) or 'no purpose'}"
    exact = "exact sums may be opened" if terms.exact_sums else "sums only with differential privacy"
    budget = (
        f"a privacy budget of epsilon {show_micro(terms.budget_micro)} and delta {terms.delta_pico / PICO:g}"
        if terms.budget_micro
        else "no privacy budget set"
    )
    withheld = f"withheld: {', '.join(terms.withheld)}" if terms.withheld else "no column withheld"
    use = "" if terms.use is None else f"; use: {say_use(terms.use.use)}{_say_proven(terms.use)}"
    return (
        f"{buyers}, {purposes}; at most visibility {terms.most_open.name.lower()} of single updates, with at least "
        f"{terms.min_other_sites} other sites{_say_records(terms)}; {exact}; {budget}; at least "
        f"{whole(terms.price_floor)} per seat; {withheld}{use}."
    )


def _say_records(terms: Terms) -> str:
    said = []
    if terms.minimum_here:
        said.append(f" and at least {whole(terms.minimum_here)} records here")
    if terms.minimum_cohort:
        said.append(f", at least {whole(terms.minimum_cohort)} records under a sum as the cards have them")
    return "".join(said)


def _say_proven(use: UseTerms) -> str:
    return f"; to be proved by credentials: {', '.join(use.proven)}" if use.proven else ""


def say_all(terms: Terms) -> list[str]:
    """Line by line, the expression of use as a tree."""
    lines = [say_terms(terms)]
    if terms.use is None:
        return [*lines, "Use: nothing is said in the words of the Data Use Ontology; the purposes above are all."]
    lines += ["Use, by the Data Use Ontology:", *_tree(terms.use.use, "use", 1)]
    diseases = terms.use.diseases
    lines.append(
        "Diseases: only the very same one matches; the terms have no hierarchy."
        if diseases is None
        else f"Diseases: by {len(diseases.pairs)} pairs from {diseases.source}."
    )
    for one in terms.use.issuers:
        revokes = f"revokes by 0x{one.account.hex()}" if one.account else "cannot revoke"
        lines.append(f"Issuer '{one.name}', key {encode(one.thumbprint)}, {revokes}: {', '.join(one.may_say)}.")
    if terms.use.proven:
        lines.append(f"Counts only if an issuer says so too: {', '.join(terms.use.proven)}.")
    return lines


def _tree(use: Use, where: str, depth: int) -> list[str]:
    lead = "  " * depth
    if use.grant is not None:
        return [f"{lead}{where}: {say_grant(use.grant)}"]
    word = "any of" if use.how is How.ANY else "all of"
    return [
        f"{lead}{where}: {word}",
        *(line for place, part in places(use, where) for line in _tree(part, place, depth + 1)),
    ]
