"""Sentences that a report says of a job: its model, what it protects, what a reader should know first."""

from __future__ import annotations

from collections.abc import Iterator

from caduceus.data.card import MISSING_SHOWN, ROWS_SHOWN, ROWS_STEP
from caduceus.data.policy import show_micro
from caduceus.errors import Misuse
from caduceus.kinds import PICO
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.judged.dishonest import Deed
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.judged.strata import LEAST
from caduceus.learn.private.program import PrivateProgram
from caduceus.learn.spec import CROSS, HOLDOUT, Averaging, Descent, Evaluation
from caduceus.market.work import Work
from caduceus.protocol.secagg_plan import A_THIRD, default_assumptions, threshold_for
from caduceus.wiring.recall import Recalled


def describe_model(task: Work) -> str:
    """The kind of model and how it is trained, or what is asked, in a few words."""
    if isinstance(task, Inquiry):
        return f"answers to {len(task.analysis.queries)} questions by one noisy sum"
    logistic, averaging = task.spec.logistic, task.spec.averaging
    if logistic is not None:
        how = "noisy gradients" if isinstance(task, PrivateProgram) else "federated Newton"
        return f"logistic regression by {how}, C = {logistic.C:g}"
    if averaging is not None:
        passes = "pass" if averaging.epochs == 1 else "passes"
        layers = _layers(task.design.width, averaging)
        unseen = ", updates judged unseen" if isinstance(task, JudgedProgram) else ""
        return f"{layers} by federated averaging, {averaging.epochs} {passes} per round{unseen}"
    if task.spec.descent is None:
        raise Misuse("describe_model: a task without a model")
    return f"{_layers(task.design.width, task.spec.descent)} by DP-SGD, one step of all sites per round"


def _layers(width: int, model: Averaging | Descent) -> str:
    return f"perceptron {'-'.join(map(str, (width, *model.hidden, 1)))} ({model.activation})"


def privacy_of(job: Recalled) -> tuple[str, ...]:
    """What is and is not protected, one sentence each."""
    return tuple(_privacy(job))


def _privacy(job: Recalled) -> Iterator[str]:
    if job.spec.judging is not None:
        yield "No record left its site: sites deal vectors computed from records, as shares that say nothing alone."
        yield from _who_sees_shares(job)
    else:
        yield "No record left its site: sites send vectors computed from records, masked before they leave."
        yield _who_sees(job)
    yield _what_noise_does(job)
    if job.spec.analysis is not None:
        yield "The sum and the answers are public in the transcript: what is withheld there is blurred, not hidden."
    elif job.spec.judging is None:
        yield "Sums and models are public in the transcript: means, deviations, gradients or averages of weights."
    learning = job.spec.learning
    if learning is not None and learning.evaluation.repeats and job.spec.privacy is None:
        begin, apart = (
            ("So is", "") if job.spec.judging is None else ("Public too is", ", and for those looked at apart")
        )
        yield (
            f"{begin} how predictions of held-out rows spread, by outcome, over all sites together{apart}; a bin of "
            "that histogram may hold one patient, of no known site."
        )
    yield (
        "The chain holds accounts, amounts, deadlines, seats, who was silent, and digests. Digests of records are "
        "salted one by one: a site that deletes a salt erases the link."
    )
    yield (
        f"Cards give the number of rows to within {ROWS_STEP}, and only 'fewer than {ROWS_SHOWN}' below that; shares "
        f"of missing values are coarse, and given from {MISSING_SHOWN} rows on. Where a site chose so, its card also "
        "has numbers of patients by column, with noise; they spend an epsilon of their own, off the lifetime budget."
    )


def _what_noise_does(job: Recalled) -> str:
    privacy = job.spec.privacy
    if privacy is None:
        return (
            "The sums are exact: no noise was added, so nothing is promised in the sense of differential privacy. "
            "Someone who knows every row but one could work out the last from them."
        )
    return (
        "Every sum carries noise: whether any one patient (all of the patient's rows at a site) is in the data changes "
        f"the chance of anything that could be seen by a factor of at most exp({show_micro(privacy.epsilon_micro)}), "
        f"but for a chance of {privacy.delta_pico / PICO:g} (differential privacy). Everything that was opened is in "
        "that, means and deviations too. Sites add the noise together, and it is enough while that of at most "
        f"{privacy.missing_percent} % of them is missing."
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


def _who_sees_shares(job: Recalled) -> Iterator[str]:
    """The same where three aggregators judge; last what is public, which the next sentences go on about."""
    yield (
        "No single party saw a site's vector. Each was split at random into three parts, of which every aggregator "
        "holds two; the third looks to it like any other vector. The coordinator relays what is sealed and holds none."
    )
    yield (
        "Any two of the three aggregators together could put every single update together, of this job's whole "
        "transcript and at any time, as could whoever gets hold of two of their keys: nothing but their being apart "
        "stands against it. One alone that computes falsely is found out, and the round is void. What is sealed for "
        "them stays sealed unless X25519 and ML-KEM-768 both break."
    )
    yield (
        "Public for good, in every round of training: the inner products of all updates, which say how long each "
        "site's update is, how like another's, and whose patients it helps; and each site's and evaluator's mean loss "
        "on held-out patients, to a thousandth, for everyone else and for those that are looked at apart, where there "
        f"are at least {LEAST} of them."
    )
    yield (
        f"Public for good, in every round: one sum, weighted by the public rule, over at least "
        f"{threshold_for(job.entry.sites)} of {job.entry.sites} sites, and the model or the means that it gives."
    )


def say_deed(deed: Deed) -> str:
    """What a site did that was made dishonest on purpose, as the end of a sentence about it."""
    return _DEEDS[deed]


_DEEDS = {
    Deed.FLIPS_LABELS: "learned, and judged others, with every outcome turned round",
    Deed.TURNS_BACK: "sent its update turned round, as long as it may be, and vouched for it",
    Deed.REPLAYS: "sent the last move of the model again instead of learning",
}


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
    if job.deeds:
        done = "; ".join(f"{site} {say_deed(deed)}" for site, deed in job.deeds.items())
        yield f"For trying out, this run made sites dishonest on purpose: {done}. No other party was told."
    if job.spec.learning is not None:
        yield _how_judged(job, job.spec.learning.evaluation)
    yield _how_paid(job)


def _how_paid(job: Recalled) -> str:
    if job.spec.judging is None:
        return "Sites were paid by verified participation, rows on the card times rounds finished: effort, not quality."
    return (
        "Sites were paid by measured contribution: what each update adds to the others' for held-out patients of other "
        "sites and of the evaluators, by its Shapley value, without what the move before already had. Rows and effort "
        "count for nothing by themselves, and what nobody earned went back to the buyer. The measure is as good as "
        "those patients are: whoever holds them could be mistaken, or lie together."
    )


def _how_judged(job: Recalled, evaluation: Evaluation) -> str:
    if evaluation.method == CROSS:
        return (
            f"Figures are out of fold: {evaluation.repeats} times {evaluation.folds}-fold cross-validation inside "
            "every site, with means and deviations learned without the held-out rows too."
        )
    if evaluation.method == HOLDOUT and job.spec.privacy is not None:
        return (
            f"Figures are of patients who were held back, {evaluation.fraction:.0%} of them, each drawn alone; they "
            "are read from a noisy histogram, and the error that is given covers its noise."
        )
    if evaluation.method == HOLDOUT and job.spec.judging is not None:
        return (
            f"Figures are on held-out rows: {evaluation.fraction:.0%} of every site's rows of each class, from which "
            "no model learned. The same rows judged the updates, so they had a say in the weights: the figures may "
            "flatter the model a little."
        )
    if evaluation.method == HOLDOUT:
        return (
            f"Figures are on held-out rows: {evaluation.repeats} times {evaluation.fraction:.0%} of every site's rows "
            "of each class, with means and deviations learned without them too."
        )
    return "The job asked for no evaluation; nothing is known of how well its model predicts."
