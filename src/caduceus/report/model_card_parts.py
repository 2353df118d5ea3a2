"""What a model card says, part by part, all of it from the record: nothing is filled in by hand.

Source of the parts: Mitchell, Wu, Zaldivar, Barnes, Vasserman, Hutchinson, Spitzer, Raji and Gebru, "Model Cards for
Model Reporting", FAT* 2019, section 4. What the record does not know is said to be unknown, and not left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caduceus.data.policy import show_micro
from caduceus.data.readiness.finding import FEW
from caduceus.data.schema import CATEGORY, Column
from caduceus.kinds import PICO
from caduceus.learn.spec import CROSS, HOLDOUT, Evaluation
from caduceus.learn.state import Phase, Quality
from caduceus.market.specification import JobSpec
from caduceus.protocol.provenance import Lineage, in_ranges
from caduceus.protocol.provenance_words import CLAIMS, environment, plain, readiness, say_terms, shown
from caduceus.report.privacy import guessing

UNKNOWN = "The record does not say."

_NOT_SHOWN = f"fewer than {FEW}"

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class CardTable:
    """A table of a card: a row per thing, the first column its name."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class CardPart:
    """A part of a card.

    key        in the JSON form
    title      for people
    facts      names and values
    sentences  in full
    tables     for what there are several of
    """

    key: str
    title: str
    facts: tuple[tuple[str, Cell], ...] = ()
    sentences: tuple[str, ...] = ()
    tables: tuple[CardTable, ...] = ()


def card_parts(lineage: Lineage, *, kind: str, chain_id: int, as_of: str) -> tuple[CardPart, ...]:
    """The nine parts of a model card.

    kind   the kind of model and how it was trained, in words
    as_of  when the chain was read, ISO 8601
    """
    return (
        _details(lineage, kind, chain_id, as_of),
        _intended(lineage),
        _factors(lineage),
        _metrics(lineage),
        _evaluation(lineage),
        _training(lineage),
        _quantitative(lineage),
        _ethical(lineage),
        _caveats(lineage),
    )


def _details(lineage: Lineage, kind: str, chain_id: int, as_of: str) -> CardPart:
    entry, spec = lineage.entry, lineage.spec
    where = environment(spec)
    return CardPart(
        "model_details",
        "Model details",
        (
            ("title", spec.title),
            ("kind", kind),
            ("predicts", spec.learning.target if spec.learning is not None else None),
            ("model (SHA-256 of the state)", lineage.state.hex()),
            ("job", shown(entry.id)),
            ("stage of the job", entry.stage.name.lower()),
            ("chain", chain_id),
            ("asked for by", shown(entry.buyer)),
            ("coordinated by", shown(entry.coordinator)),
            ("code (SHA-256)", where["code"]),
            ("schema (SHA-256)", where["schema"]),
            ("rounds", len(lineage.steps)),
            ("sums opened", lineage.sums),
            ("as of", as_of),
        ),
        (
            f"Not in the record: {where['not_recorded']}.",
            "Licence of the model: the record names none.",
        ),
    )


def _intended(lineage: Lineage) -> CardPart:
    lent: dict[str, list[str]] = {}
    for use in lineage.sources:
        lent.setdefault("; ".join(say_terms(use.terms)), []).append(use.card.title)
    rows = tuple((", ".join(titles), terms) for terms, titles in lent.items())
    return CardPart(
        "intended_use",
        "Intended use",
        (("purpose, as stated on the chain before training", lineage.spec.purpose), *_request(lineage.spec)),
        (
            "Other purposes are not covered: the data were lent for this one, on the terms below.",
            "That the model is fit for use on patients was not examined here; the record holds no clinical evaluation.",
        ),
        (CardTable("What the data's terms oblige to", ("data sets", "terms"), rows),),
    )


def _request(spec: JobSpec) -> tuple[tuple[str, Cell], ...]:
    """What the job said of its use, field by field."""
    if spec.use is None:
        return ()
    told = plain(spec.use)
    return tuple(
        (f"use: {name.replace('_', ' ')}", ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in told.items()
        if value and not isinstance(value, dict)
    )


def _factors(lineage: Lineage) -> CardPart:
    spec = lineage.spec
    if spec.learning is None:
        return CardPart("factors", "Factors", (), ("The job asks questions; there are no inputs of a model.",))
    rows = tuple(_column(spec.schema.column(name)) for name in (*spec.learning.features, spec.learning.target))
    apart = () if spec.judging is None else tuple(stratum.name for stratum in spec.judging.strata)
    looked = (
        f"Groups of patients that were looked at apart while training: {', '.join(apart)}."
        if apart
        else "No group of patients was looked at apart: how well the model serves any one group is not in the record."
    )
    missing = spec.learning.missing_indicators
    absent = f"That a value is missing is itself an input for: {', '.join(missing)}." if missing else ""
    columns = ("column", "role", "kind", "unit", "range or levels", "meaning")
    return CardPart(
        "factors",
        "Factors",
        (),
        tuple(part for part in (looked, absent) if part),
        (CardTable("What the model reads, and what it predicts", columns, rows),),
    )


def _column(column: Column) -> tuple[Cell, ...]:
    span = f"{column.range[0]:g} to {column.range[1]:g}" if column.range is not None else None
    levels = ", ".join(column.levels) if column.kind == CATEGORY else span
    return (column.name, column.role, column.kind, column.unit or None, levels, column.description or None)


def _metrics(lineage: Lineage) -> CardPart:
    if lineage.model.quality is None:
        return CardPart("metrics", "Metrics", (), (f"How well the model predicts: {UNKNOWN}",))
    return CardPart(
        "metrics",
        "Metrics",
        (),
        (
            "AUROC: the chance that of two patients the one with the outcome gets the higher risk; .5 is a coin.",
            "Brier score: the mean squared distance of risks from outcomes; lower is better.",
            "Calibration: of patients with about the same predicted risk, how many had the outcome.",
            "Both classes count as they come in the data; no threshold was chosen.",
        ),
    )


def _evaluation(lineage: Lineage) -> CardPart:
    learning, quality = lineage.spec.learning, lineage.model.quality
    if learning is None or quality is None:
        return CardPart("evaluation_data", "Evaluation data", (), ("Nothing was judged.",))
    return CardPart(
        "evaluation_data",
        "Evaluation data",
        (("rows judged, mean over repeats", _whole(float(np.mean(quality.rows)))), ("repeats", len(quality.rows))),
        (
            _split(learning.evaluation, lineage.spec),
            "These rows are of the same data sets as the training rows; there was no evaluation elsewhere.",
        ),
    )


def _split(evaluation: Evaluation, spec: JobSpec) -> str:
    if evaluation.method == CROSS:
        return f"{evaluation.repeats} times {evaluation.folds}-fold cross-validation inside every site."
    if evaluation.method == HOLDOUT:
        noisy = "; the figures are read from a noisy histogram" if spec.privacy is not None else ""
        return f"{evaluation.repeats} times {evaluation.fraction:.0%} of every site's rows held back{noisy}."
    return "Nothing was held back."


def _training(lineage: Lineage) -> CardPart:
    columns = (
        "data set",
        "version",
        "identifier",
        "rows",
        "rounds",
        "epsilon charged",
        "readiness",
        "licence",
        "citation",
    )
    rows = tuple(
        (
            use.card.title,
            use.version,
            shown(use.dataset.id),
            use.card.rows_text,
            in_ranges(use.rounds),
            show_micro(use.epsilon_micro) if use.dataset.budget_micro else None,
            readiness(use)["readiness_when_enrolled"],
            use.card.licence or None,
            use.card.citation or None,
        )
        for use in lineage.sources
    )
    said = [
        "Number of rows as the public cards say them: rounded down to tens.",
        *(f"{use.card.title}: {use.card.description}" for use in lineage.sources if use.card.description),
    ]
    if lineage.idle:
        names = ", ".join(use.card.title for use in lineage.idle)
        said.append(f"Took a seat and are in no sum: {names}.")
    table = CardTable("The data sets that are in the model", columns, rows)
    return CardPart("training_data", "Training data", (("data sets", len(rows)),), tuple(said), (table,))


def _quantitative(lineage: Lineage) -> CardPart:
    state = lineage.model
    if state.quality is None:
        stage = "" if state.phase is Phase.DONE else " This state is from before the evaluation."
        return CardPart("quantitative_analyses", "Quantitative analyses", (), (f"No figure.{stage}",))
    tables = [_calibration(state.quality)]
    if state.judged is not None and state.judged.by_stratum is not None and lineage.spec.judging is not None:
        names = ("everyone else", *(stratum.name for stratum in lineage.spec.judging.strata))
        tables.append(_by_group(state.judged.by_stratum, names))
    return CardPart(
        "quantitative_analyses",
        "Quantitative analyses",
        (
            ("AUROC over all rows", _mean(state.quality.auroc)),
            ("AUROC may be off, by binning and noise, by", _mean(state.quality.auroc_error)),
            ("Brier score over all rows", _mean(state.quality.brier)),
            *_over_sites(state.quality),
        ),
        (),
        tuple(tables),
    )


def _over_sites(quality: Quality) -> tuple[tuple[str, Cell], ...]:
    counted = quality.sites > 0
    if not counted.any():
        return ()
    return (
        ("AUROC, mean over sites", _mean(quality.site_auroc[counted])),
        ("Brier score, mean over sites", _mean(quality.site_brier[counted])),
        ("sites in these means", _whole(float(quality.sites.mean()))),
    )


def _calibration(quality: Quality) -> CardTable:
    rows = quality.calibration[:, :, 0].sum(axis=0)
    shares = [(quality.calibration[:, :, 0] * quality.calibration[:, :, i]).sum(axis=0) for i in (1, 2)]
    parts, repeats = len(rows), len(quality.calibration)
    told: list[tuple[Cell, ...]] = []
    for place, count in enumerate(rows):
        span = f"{place / parts:g} to {(place + 1) / parts:g}"
        if count / repeats < FEW:
            told.append((span, _NOT_SHOWN, None, None))
            continue
        means = [_round(float(share[place] / count)) for share in shares]
        told.append((span, _whole(float(count) / repeats), *means))
    return CardTable("Calibration", ("predicted risk", "rows", "mean predicted", "had the outcome"), tuple(told))


def _by_group(quality: Quality, names: Sequence[str]) -> CardTable:
    told: list[tuple[Cell, ...]] = []
    for name, rows, auroc, brier in zip(names, quality.rows, quality.auroc, quality.brier, strict=False):
        if rows < FEW:
            told.append((name, _NOT_SHOWN, None, None))
        else:
            told.append((name, _whole(float(rows)), _round(float(auroc)), _round(float(brier))))
    return CardTable("By group of patients", ("group", "rows", "AUROC", "Brier score"), tuple(told))


def _ethical(lineage: Lineage) -> CardPart:
    privacy = lineage.spec.privacy
    said = [
        "No record left its site. What the public state holds (weights, means, deviations) is open to everybody who "
        "has the transcript.",
        *_promise(lineage),
        "Whoever is forgotten by a site afterwards is not taken out of this model: no unlearning is claimed.",
    ]
    facts: tuple[tuple[str, Cell], ...] = (
        ("epsilon of the job", None if privacy is None else show_micro(privacy.epsilon_micro)),
        ("delta of the job", None if privacy is None else privacy.delta_pico / PICO),
        ("visibility of single updates", lineage.spec.visibility.name.lower()),
    )
    return CardPart("ethical_considerations", "Ethical considerations: privacy", facts, tuple(said))


def _promise(lineage: Lineage) -> tuple[str, ...]:
    privacy = lineage.spec.privacy
    if privacy is None:
        return (
            "Sums were opened exactly, without noise: nothing is promised in the sense of differential privacy. "
            "Someone who knows every row but one could work out the last.",
        )
    right = 100 * guessing(privacy.epsilon_micro, privacy.delta_pico)
    return (
        "Whether any one patient (all of the patient's rows at a site) is in the data changes the chance of anything "
        f"that the job opened by a factor of at most exp({show_micro(privacy.epsilon_micro)}), but for a chance of "
        f"{privacy.delta_pico / PICO:g}.",
        "Someone who has to guess whether a patient is in the data, at even odds beforehand, is right with a chance of "
        f"at most {np.ceil(right * 10) / 10:.1f} %.",
        f"This holds while the noise of at most {privacy.missing_percent} % of the sites is missing. That sites cut "
        "and add noise as stated happens under the mask and was seen by nobody.",
    )


def _caveats(lineage: Lineage) -> CardPart:
    rows = tuple((claim, word.word, why) for claim, word, why in CLAIMS)
    done = lineage.model.phase is Phase.DONE
    said = (
        *(() if done else ("The learning was not finished when this state was made.",)),
        "This card says what the chain and the transcript hold, and nothing that anyone wrote for it.",
        "Patients of other hospitals, other years or other ways of measuring may be unlike these; check the model on "
        "your own before relying on it.",
    )
    table = CardTable("What this card rests on", ("claim", "evidence", "how"), rows)
    return CardPart("caveats_and_recommendations", "Caveats and recommendations", (), said, (table,))


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float | None:
    return _round(float(np.mean(values)))


def _round(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def _whole(value: float) -> int | None:
    return round(value) if np.isfinite(value) else None
