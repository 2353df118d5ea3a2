"""What an analysis found: a picture and tables per question, with the error of every number and blanks where one is
withheld."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.report.answer_charts import WITHHELD, bars, cells, dots, interval_of, shown, value_of
from caduceus.report.facts import AnalysisFacts, AnswerFacts, AxisFacts, FigureFacts, JobFacts, NumbersFacts
from caduceus.report.markup import NONE, Column, Html, dash, figure, join, section, table, text
from caduceus.report.survival_chart import Curve, curve_legend, survival_chart
from caduceus.report.words import count, decimals_for, known, measured, significant, whole

ACROSS = 5
"""A table of more columns than this is drawn as wide as the page."""

NO_FIGURE = "the sum gave none"
NO_ERROR = "this number has none"

SURVIVAL = "survival"
_MEANS = ("mean", "quantiles")


def answers_section(facts: JobFacts, anchor: str) -> Html:
    """Every question, in the order in which it was asked."""
    told = facts.analysis
    if told is None:
        return NONE
    if not told.answers:
        return section(f"{anchor}-answers", Html("Answers"), Html("<p>– No sum was opened, so there are none.</p>"))
    return section(
        f"{anchor}-answers",
        Html("Answers"),
        join(_answer(one, f"{anchor}-answer-{number}") for number, one in enumerate(told.answers, 1)),
        _lead(told),
    )


def _lead(told: AnalysisFacts) -> Html:
    return Html(
        f"From one noisy sum over all sites. Standard errors are those of the noise; an interval holds the figure in "
        f"95 % of all cases. “{WITHHELD.capitalize()}”: about fewer than {count(told.minimum_cell, 'patient')}, or it "
        "would tell another number that is."
    )


def _answer(one: AnswerFacts, anchor: str) -> Html:
    head = f'<h4 id="{anchor}">{text(one.name)}</h4><p class="soft">{text(one.asks)}</p>'
    tables = [_table(numbers) for numbers in one.numbers]
    chart, wide = _chart(one)
    if wide or not chart:
        body = f'{chart}<div class="two">{join(Html(f"<div>{each}</div>") for each in tables)}</div>'
    else:
        body = f'<div class="two">{chart}<div>{join(tables)}</div></div>'
    return Html(f'<div class="answer" role="group" aria-labelledby="{anchor}">{head}{body}</div>')


def _chart(one: AnswerFacts) -> tuple[Html, bool]:
    """The picture, and whether it takes the width of the page; nothing where there is nothing to see."""
    if one.kind == SURVIVAL:
        return _survival(one), True
    if one.kind in _MEANS:
        numbers = next((some for some in one.numbers if some.what.startswith(one.kind)), None)
        if numbers is None or not _any(numbers.figures):
            return NONE, False
        drawn = dots(numbers.figures, title=f"{one.name}: {numbers.what}")
        return figure(drawn, Html(f"A dot is the answer, the line its 95 % interval{_in(numbers.unit)}.")), False
    numbers = one.numbers[0] if one.numbers else None
    if numbers is None or not _any(numbers.figures):
        return NONE, False
    if one.kind == "table" and len(one.axes) > 1:
        return _cells(one, numbers)
    caption = Html("Bars: patients; lines: 95 % intervals. An open circle: withheld, which does not mean nobody.")
    return figure(bars(numbers.figures, title=f"{one.name}: {numbers.what}"), caption), False


def _any(figures: Sequence[FigureFacts]) -> bool:
    return any(map(shown, figures))


def _in(unit: str) -> Html:
    return Html(f", unit {text(unit)}") if unit else NONE


def _cells(one: AnswerFacts, numbers: NumbersFacts) -> tuple[Html, bool]:
    """Two columns as one block of cells; of three, a block per cell of the first."""
    *outer, down, across = one.axes
    size = len(down.labels) * len(across.labels)
    layers = [f"{axis.column}: {name}" for axis in outer for name in axis.labels] or [""]
    if len(numbers.figures) != size * len(layers):
        return NONE, False
    wide = len(across.labels) > ACROSS
    blocks = [
        _block(numbers.figures[i * size : (i + 1) * size], (across, down), f"{one.name}{', ' * bool(name)}{name}", wide)
        for i, name in enumerate(layers)
    ]
    heads = [Html(f'<p class="soft">{text(name)}</p>' if name else "") for name in layers]
    drawn = join(part for pair in zip(heads, blocks, strict=True) for part in pair)
    return figure(drawn, Html("Darker: more patients. A dashed cell: withheld, which does not mean nobody.")), wide


def _block(figures: Sequence[FigureFacts], axes: tuple[AxisFacts, AxisFacts], title: str, wide: bool) -> Html:
    across, down = axes
    if not wide:
        return cells(figures, across, down, title=title, width=400)
    large, small = (cells(figures, across, down, title=title, width=width) for width in (840, 400))
    return Html(f'<div class="wide">{large}</div><div class="narrow">{small}</div>')


def _survival(one: AnswerFacts) -> Html:
    curves = [
        Curve(numbers.what.removeprefix(SURVIVAL).removeprefix(", "), numbers.figures)
        for numbers in one.numbers
        if numbers.what == SURVIVAL or numbers.what.startswith(f"{SURVIVAL}, ")
    ]
    times = [[figure.at for figure in curve.figures] for curve in curves]
    drawable = bool(times) and len(times[0]) > 1 and all(own == times[0] and all(map(known, own)) for own in times)
    if not drawable or not any(_any(curve.figures) for curve in curves):
        return NONE
    unit = _unit_of(curves[0])
    large, small = (survival_chart(curves, unit, title=one.name, width=width) for width in (840, 400))
    legend = curve_legend(curves) if len(curves) > 1 else NONE
    caption = Html(
        "Steps: the share without the event; bands: 95 % intervals. A dot is a time at which a number is published; "
        "where dots are missing, too few patients had left since the last one, or too few were still followed."
    )
    return figure(Html(f'{legend}<div class="wide">{large}</div><div class="narrow">{small}</div>'), caption)


def _unit_of(curve: Curve) -> str:
    """What stands behind the number in a time's label."""
    return curve.figures[0].label.partition(" ")[2]


def _table(numbers: NumbersFacts) -> Html:
    columns = (
        Column(text(numbers.what)),
        Column(_unit(numbers.unit), "num main"),
        Column(Html("±"), "num"),
        Column(Html("95 % interval"), "num"),
    )
    caption = Html(f"{text(numbers.what)}{_in(numbers.unit)}; intervals cover {text(numbers.covers)}.")
    return table(caption, columns, [_row(one) for one in numbers.figures])


def _unit(unit: str) -> Html:
    return text(unit) if unit else Html("value")


def _row(one: FigureFacts) -> tuple[Html, ...]:
    name = text(one.label)
    if one.withheld:
        return name, Html(f'<span class="mark open">{WITHHELD}</span>'), dash(WITHHELD), dash(WITHHELD)
    if not shown(one):
        return name, *[dash(NO_FIGURE)] * 3
    return name, value_of(one), _error(one), interval_of(one) or dash(NO_ERROR)


def _error(one: FigureFacts) -> Html:
    if one.error is None or not known(one.error):
        return dash(NO_ERROR)
    digits = decimals_for(one.error)
    return significant(one.error) if digits is None else measured(one.error, digits)


def answers_count(told: AnalysisFacts) -> Html:
    """How many numbers were published, and how many withheld."""
    figures = [one for answer in told.answers for numbers in answer.numbers for one in numbers.figures]
    hidden = sum(one.withheld for one in figures)
    return Html(f"{count(sum(map(shown, figures)), 'number')} published, {whole(hidden)} withheld")
