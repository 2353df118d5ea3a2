"""Consent and objections: what the steward declares, held against every record."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import Flags, numbers, per_record, share
from caduceus.data.readiness.finding import Finding, Severity, masked
from caduceus.data.readiness.ground import GROUND, declared_finding
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet


def look_for_consent(context: Context) -> Iterator[Finding | Skipped]:
    """Hold the declared consent against every record."""
    consent = context.declared.consent
    if consent.rule == "unstated":
        guess = [
            place for _, leaf, place in context.leaves(TABLE) if naming.speaks_of(leaf.path, "consent\\w*|einwilligung")
        ]
        yield declared_finding(
            "consent.records",
            guess[0] if guess else "declaration.consent",
            Severity.WARN,
            "a column speaks of consent, and the declaration does not say how to read it"
            if guess
            else "the declaration does not say whether anybody consented",
            "state consent 'all', 'column' or 'not_needed'",
        )
    if consent.rule == "column":
        yield from _by_column(context, consent.column, consent.positive, must=True)
    if consent.rule == "not_needed" and context.declared.legal_basis.article_9 == "9.2.a":
        return  # look_for_ground says so
    if consent.rule == "all" and not consent.version.strip():
        yield declared_finding(
            "consent.records",
            "declaration.consent.version",
            Severity.NOTE,
            "the version of the consent form is not named",
            "name it, so that a later change of the form can be told apart",
        )


def look_for_objections(context: Context, opted_out: frozenset[str] | None = None) -> Iterator[Finding | Skipped]:
    """Hold the declared objections against every record.

    opted_out  identifiers of patients who objected, as the site's file lists them; None if it was not read
    """
    objection = context.declared.opt_out
    if objection.rule == "unstated":
        yield declared_finding(
            "consent.objections",
            "declaration.opt_out",
            Severity.WARN,
            "the declaration does not say who has objected",
            "consult the register of objections, then state 'removed', 'column', 'list' or 'none'",
        )
    if objection.rule == "column":
        yield from _by_column(context, objection.column, objection.positive, must=False)
    if objection.rule == "removed" and not objection.checked:
        yield declared_finding(
            "consent.objections",
            "declaration.opt_out.checked",
            Severity.WARN,
            "it is not said when the register of objections was last consulted",
            "state the day as 'checked'",
        )
    if objection.rule == "list" and opted_out is None:
        yield Skipped("the file of patients who objected was not read", "declaration.opt_out.list", applies=True)
    elif objection.rule == "list" and opted_out is not None:
        yield from _by_list(context, opted_out)


def look_for_denials(context: Context) -> Iterator[Finding | Skipped]:
    """Look for FHIR Consent resources in force that deny, and for consents that are no longer in force."""
    sheet = next((one for one in context.sheets if one.source == FHIR and one.name == "Consent"), None)
    if sheet is None or not sheet.rows:
        yield Skipped("no Consent resources")
        return
    active = _is_text(sheet, "Consent.status", ("active",))
    deny = _is_text(sheet, "Consent.provision.type", ("deny",)) | _is_text(sheet, "Consent.decision", ("deny",))
    for marked, says in (
        (active & deny, "are Consent resources in force that deny"),
        (
            ~active & ~_is_text(sheet, "Consent.status", ("draft", "proposed")),
            "are Consent resources no longer in force",
        ),
    ):
        count = int(marked.sum())
        if not count:
            continue
        blocks = says.endswith("deny")
        yield Finding(
            rule="consent.denied",
            where="Consent.provision.type" if blocks else "Consent.status",
            count=masked(count),
            of=masked(sheet.rows),
            severity=Severity.BLOCK if blocks else Severity.WARN,
            says=f"{share(count, sheet.rows)} {says}",
            remedy="leave out the patients whom they are of, as far as they deny research; export again without them"
            if blocks
            else "make sure that the patients whom they are of are not in the data",
        )


def _by_column(
    context: Context, name: str, positive: tuple[str | int | float | bool, ...], *, must: bool
) -> Iterator[Finding]:
    """Records whose column lacks one of the codes (`must`), or has one of them."""
    rule = "consent.records" if must else "consent.objections"
    found = [(sheet, leaf) for sheet, leaf, place in context.leaves() if name in (leaf.path, place)]
    if not found:
        where = "declaration.consent.column" if must else "declaration.opt_out.column"
        yield declared_finding(
            rule, where, Severity.BLOCK, "no sheet has the column that the declaration names", "correct its name"
        )
    for sheet, leaf in found:
        says_so = _codes(per_record(leaf, sheet.rows), positive)
        count = int((~says_so if must else says_so).sum())
        if count:
            what = "have no consent by this column" if must else "are of persons who objected, by this column"
            yield Finding(
                rule=rule,
                where=sheet.place(leaf.path),
                count=masked(count),
                of=masked(sheet.rows),
                severity=Severity.BLOCK,
                says=f"{share(count, sheet.rows)} {what}",
                remedy="take these records out before the data are lent",
            )


def _by_list(context: Context, opted_out: frozenset[str]) -> Iterator[Finding | Skipped]:
    looked = False
    for sheet in context.sheets:
        leaf = _patient(context, sheet)
        if leaf is None:
            continue
        looked = True
        there = pc.is_in(_texts(per_record(leaf, sheet.rows)), value_set=pa.array(sorted(opted_out), pa.string()))
        count = int(pc.sum(there).as_py() or 0)
        if count:
            yield Finding(
                rule="consent.objections",
                where=sheet.place(leaf.path),
                count=masked(count),
                of=masked(sheet.rows),
                severity=Severity.BLOCK,
                says=f"{share(count, sheet.rows)} are of persons on the list of objections",
                remedy="take these records out before the data are lent",
            )
    if not looked:
        yield Skipped(
            "no column says whose records they are, so the list of objections can't be held against them", applies=True
        )


def _patient(context: Context, sheet: Sheet) -> Leaf | None:
    if sheet.patient:
        return sheet.leaves.get(sheet.patient)
    roles = {context.role(sheet.place(leaf.path)): leaf for leaf in sheet.leaves.values()}
    return roles.get("patient", roles.get("identifier"))


def _codes(values: pa.Array, positive: tuple[str | int | float | bool, ...]) -> Flags:
    """bool[rows]: whether a value is one of the codes; missing is none of them."""
    if pa.types.is_boolean(values.type):
        wanted = [bool(one) for one in positive if isinstance(one, bool | int)]
        return _filled(pc.is_in(values, value_set=pa.array(wanted, pa.bool_())))
    measured = numbers(values)
    if measured is not None:
        figures = [float(one) for one in positive if not isinstance(one, str) or one.replace(".", "", 1).isdigit()]
        found: Flags = np.isin(measured, figures)
        return found
    return _filled(pc.is_in(_texts(values), value_set=pa.array([str(one).strip() for one in positive], pa.string())))


def _texts(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        values = values.cast(pa.int64(), safe=False)
    return pc.utf8_trim_whitespace(values.cast(pa.string()))


def _filled(flags: pa.Array) -> Flags:
    found: Flags = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
    return found


def _is_text(sheet: Sheet, path: str, wanted: tuple[str, ...]) -> Flags:
    leaf = sheet.leaves.get(path)
    if leaf is None:
        return np.zeros(sheet.rows, bool)
    return _filled(pc.is_in(per_record(leaf, sheet.rows).cast(pa.string()), value_set=pa.array(wanted, pa.string())))


def rules(opted_out: frozenset[str] | None = None) -> tuple[Rule, ...]:
    """The rules of this file.

    opted_out  as in `look_for_objections`
    """
    every = (TABLE, FHIR, OMOP)

    def look(context: Context) -> Iterator[Finding | Skipped]:
        return look_for_objections(context, opted_out)

    return (
        GROUND,
        Rule(
            name="consent.records",
            title="records without consent",
            about="Holds the declared consent against every record.",
            hipaa=(),
            sources=every,
            look=look_for_consent,
        ),
        Rule(
            name="consent.objections",
            title="records of persons who objected",
            about="Holds the declared column or list of objections against every record.",
            hipaa=(),
            sources=every,
            look=look,
        ),
        Rule(
            name="consent.denied",
            title="FHIR Consent resources that deny",
            about="Consent resources in force whose provision is 'deny' (R4: provision.type; R5: decision), and "
            "those that are "
            "no longer in force.",
            hipaa=(),
            sources=(FHIR,),
            look=look_for_denials,
        ),
    )


RULES = rules()
