"""Sentences that a report says of a job: its model, what it protects, what a reader should know first."""

from __future__ import annotations

from collections.abc import Iterator

from caduceus.data.card import MISSING_SHOWN, ROWS_SHOWN, ROWS_STEP
from caduceus.errors import Misuse
from caduceus.learn.program import Program
from caduceus.learn.spec import CROSS, HOLDOUT, Averaging
from caduceus.protocol.secagg_plan import A_THIRD, default_assumptions, threshold_for
from caduceus.wiring.recall import Recalled


def describe_model(task: Program) -> str:
    """The kind of model and how it is trained, in a few words."""
    logistic, averaging = task.spec.logistic, task.spec.averaging
    if logistic is not None:
        return f"logistic regression by federated Newton, C = {logistic.C:g}"
    if averaging is None:
        raise Misuse("describe_model: a task without a model")
    return _describe_perceptron(task.design.width, averaging)


def _describe_perceptron(width: int, model: Averaging) -> str:
    layers = "-".join(map(str, (width, *model.hidden, 1)))
    passes = "pass" if model.epochs == 1 else "passes"
    return f"perceptron {layers} ({model.activation}) by federated averaging, {model.epochs} {passes} per round"


def privacy_of(job: Recalled) -> tuple[str, ...]:
    """What is and is not protected, one sentence each."""
    return tuple(_privacy(job))


def _privacy(job: Recalled) -> Iterator[str]:
    yield "No record left its site: sites send vectors computed from records, masked before they leave."
    yield _who_sees(job)
    yield (
        "The sums are exact: no noise was added, so nothing is promised in the sense of differential privacy. Someone "
        "who knows every row but one could work out the last from them."
    )
    yield "The sums and every model are public in the transcript: means, deviations, gradients or averages of weights."
    if job.spec.learning.evaluation.repeats:
        yield (
            "So is how predictions of held-out rows spread, by outcome, over all sites together; a bin of that "
            "histogram may hold one patient, of no known site."
        )
    yield (
        "The chain holds accounts, amounts, deadlines, seats, who was silent, and digests. Digests of records are "
        "salted one by one: a site that deletes a salt erases the link."
    )
    yield (
        f"Cards give the number of rows to within {ROWS_STEP}, and only 'fewer than {ROWS_SHOWN}' below that; shares "
        f"of missing values are coarse, and given from {MISSING_SHOWN} rows on."
    )


def _who_sees(job: Recalled) -> str:
    sites, cohort = job.entry.sites, job.spec.cohort
    over = f"sums over groups of at least {cohort} sites, drawn anew for every sum" if cohort else "sums over all sites"
    liars = "a third" if default_assumptions(sites).corrupt_permille == A_THIRD else "a tenth"
    group = " of a group" if cohort else ""
    return (
        f"No party saw a single site's vector: the coordinator opened {over} that took part, at least "
        f"{threshold_for(sites)} of {sites} (after Flamingo, Ma et al. 2023). This holds against a lying coordinator "
        f"with at most {liars} of the sites on its side; those could subtract their own part and see the sum over the "
        f"others{group}. What is sealed between sites stays sealed unless X25519 and ML-KEM-768 both break."
    )


def notes_on(job: Recalled) -> tuple[str, ...]:
    """What a reader should know before believing a figure."""
    return tuple(_notes(job))


def _notes(job: Recalled) -> Iterator[str]:
    if job.about.description:
        yield f"The data: {job.about.description}"
    yield (
        "One machine played every party in this run, each with keys, memory and messages of its own. What is said of "
        "who saw what holds for the messages; whoever owns this machine could see all of it."
    )
    evaluation = job.spec.learning.evaluation
    if evaluation.method == CROSS:
        yield (
            f"Figures are out of fold: {evaluation.repeats} times {evaluation.folds}-fold cross-validation inside "
            "every site, with means and deviations learned without the held-out rows too."
        )
    elif evaluation.method == HOLDOUT:
        yield (
            f"Figures are on held-out rows: {evaluation.repeats} times {evaluation.fraction:.0%} of every site's rows "
            "of each class, with means and deviations learned without them too."
        )
    else:
        yield "The job asked for no evaluation; nothing is known of how well its model predicts."
    yield "Sites were paid by verified participation, rows on the card times rounds finished: effort, not quality."
