"""How a view's parts make rows: cells, walks over what a path finds, and combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from caduceus.edges.fhir.elements import Env, Evaluate
from caduceus.edges.fhir.operators import NONE, Items
from caduceus.errors import Refused

Row = tuple[Any, ...]
Rows = Callable[[Items, Env], Sequence[Row]]
"""From a focus to the rows of a part."""

MOST_ROWS = 1_000_000
"""Rows that one resource may make: selects side by side multiply."""


def told(where: str, evaluate: Evaluate, items: Items, env: Env) -> Items:
    """The values of a path; what it refuses is said with its place."""
    try:
        return evaluate(items, env)
    except Refused as error:
        raise Refused(f"{where}: {error}") from None


def one_value(where: str, evaluate: Evaluate) -> Callable[[Items, Env], Any]:
    """The cell of a column that holds one value."""

    def cell(items: Items, env: Env) -> Any:
        try:
            found = evaluate(items, env)
        except Refused as error:
            raise Refused(f"{where}: {error}") from None
        if not found:
            return None
        if len(found) > 1:
            raise Refused(f"{where}: there are several values; say 'collection' or select one, as by first()")
        return found[0]

    return cell


def many_values(where: str, evaluate: Evaluate) -> Callable[[Items, Env], Any]:
    """The cell of a column that holds a list."""
    return lambda items, env: list(told(where, evaluate, items, env))


def product(name: str, parts: Sequence[Rows]) -> Rows:
    """Every row of one part with every row of the others."""
    if len(parts) == 1:
        return parts[0]

    def combined(items: Items, env: Env) -> Sequence[Row]:
        rows: Sequence[Row] = ((),)
        for part in parts:
            more = part(items, env)
            if len(more) == 1 == len(rows):
                rows = (rows[0] + more[0],)
                continue
            if not more:
                return ()
            if len(rows) * len(more) > MOST_ROWS:
                raise Refused(f"{name}: one resource makes more than {MOST_ROWS} rows")
            rows = [left + right for left in rows for right in more]
        return rows

    return combined


def each(where: str, walk: Evaluate, rows: Rows, blank: Row | None) -> Rows:
    """The rows for everything that a path finds.

    blank  the row where it finds nothing, if there is to be one
    """

    def walked(items: Items, env: Env) -> Sequence[Row]:
        found, outer = told(where, walk, items, env), env.row
        if not found:
            if blank is None:
                return ()
            env.row = 0
            made = rows(NONE, env) or (blank,)
            env.row = outer
            return made
        out: list[Row] = []
        for env.row, item in enumerate(found):
            out.extend(rows((item,), env))
        env.row = outer
        return out

    return walked


def repeated(name: str, walks: Sequence[Evaluate], rows: Rows) -> Rows:
    """Everything that is reached by the paths again and again, parents before their children."""
    where = f"{name}: repeat"

    def walked(items: Items, env: Env) -> Sequence[Row]:
        outer, out = env.row, list[Row]()
        waiting = [one for walk in walks for one in told(where, walk, items, env)][::-1]
        number = 0
        while waiting:
            item = waiting.pop()
            env.row, number = number, number + 1
            out.extend(rows((item,), env))
            if number > MOST_ROWS or len(out) > MOST_ROWS:
                raise Refused(f"{where}: one resource makes more than {MOST_ROWS} rows")
            waiting.extend([one for walk in walks for one in told(where, walk, (item,), env)][::-1])
        env.row = outer
        return out

    return walked
