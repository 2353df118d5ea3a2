"""A ViewDefinition that is ready to run: from one resource to its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caduceus.edges.fhir.definition import ColumnDefinition, SelectDefinition, read_definition
from caduceus.edges.fhir.elements import Env, Evaluate, straight
from caduceus.edges.fhir.expression import Constant, Path, compile_path
from caduceus.edges.fhir.rows import Row, Rows, each, many_values, one_value, product, repeated, told
from caduceus.errors import Refused


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A compiled view.

    name      for messages
    resource  the type that it looks at
    columns   in order, names all different
    exact     whether it needs decimals as they were written (`moments.Written`)
    slow      paths that are not compiled but evaluated by the library
    """

    name: str
    resource: str
    columns: tuple[ColumnDefinition, ...]
    exact: bool
    slow: tuple[str, ...]
    _where: tuple[tuple[str, Evaluate], ...]
    _rows: Rows

    def rows(self, resource: dict[str, Any]) -> Sequence[Row]:
        """The rows of a resource; none if it is of another type or a condition is not met.

        Raises Refused, naming view, column and path but no value, if the data do not fit: several values for a
        column that is no collection, a condition that is no boolean.
        """
        if resource.get("resourceType") != self.resource:
            return ()
        env, focus = Env(resource), (resource,)
        for text, condition in self._where:
            met = told(f"{self.name}: where '{text}'", condition, focus, env)
            if not met:
                return ()
            if len(met) > 1 or type(met[0]) is not bool:
                raise Refused(f"{self.name}: where '{text}': gives no boolean")
            if not met[0]:
                return ()
        return self._rows(focus, env)


def compile_view(view: object, *, compiled: bool = True) -> View:
    """Compile a ViewDefinition, given as JSON gives it.

    compiled  False leaves every path to the library, to compare with

    Raises Refused, naming view, column and path, if it is malformed.
    """
    definition = read_definition(view)
    maker = _Maker(definition.name, definition.constants, compiled)
    where = tuple((text, maker.path(text, "where", definition.resource).evaluate) for text in definition.where)
    columns, rows = maker.combined(definition.selects, definition.resource)
    seen = set()
    for column in columns:
        if column.name in seen:
            raise Refused(f"{definition.name}: column '{column.name}' is there twice")
        seen.add(column.name)
    return View(definition.name, definition.resource, columns, maker.exact, tuple(maker.slow), where, rows)


class _Maker:
    """Makes the closures of one view."""

    def __init__(self, name: str, constants: Mapping[str, Constant], compiled: bool) -> None:
        self.name, self.exact, self._compiled = name, False, compiled
        self.slow: list[str] = []
        self._constants = constants

    def path(self, text: str, where: str, focus: str | None) -> Path:
        """A path of the view, compiled."""
        try:
            made = compile_path(text, self._constants, focus=focus, compiled=self._compiled)
        except Refused as error:
            raise Refused(f"{self.name}: {where} '{text}': {error}") from None
        self.exact |= made.exact
        if not made.compiled:
            self.slow.append(text)
        return made

    def combined(
        self, selects: Sequence[SelectDefinition], focus: str | None
    ) -> tuple[tuple[ColumnDefinition, ...], Rows]:
        """Selects side by side: every row of one with every row of the others."""
        made = [self.select(one, focus) for one in selects]
        columns = tuple(column for some, _ in made for column in some)
        return columns, product(self.name, [rows for _, rows in made])

    def select(self, select: SelectDefinition, focus: str | None) -> tuple[tuple[ColumnDefinition, ...], Rows]:
        """One select: its columns, nested selects and union combined, for everything that it walks over."""
        walks = [self.path(text, select.walk, focus) for text in select.paths]
        inside = focus if not select.walk else _type_of(focus, select.paths[0]) if select.walk != "repeat" else None
        columns, parts = list(select.columns), []
        if select.columns:
            parts.append(self._cells(select.columns, inside))
        for nested in select.selects:
            more, rows = self.select(nested, inside)
            columns.extend(more)
            parts.append(rows)
        if select.union is not None:
            more, rows = self._union(select.union, inside)
            columns.extend(more)
            parts.append(rows)
        rows = product(self.name, parts)
        match select.walk:
            case "forEach" | "forEachOrNull":
                blank = (None,) * len(columns) if select.walk == "forEachOrNull" else None
                rows = each(f"{self.name}: {select.walk} '{walks[0].text}'", walks[0].evaluate, rows, blank)
            case "repeat":
                rows = repeated(self.name, [walk.evaluate for walk in walks], rows)
        return tuple(columns), rows

    def _cells(self, columns: Sequence[ColumnDefinition], focus: str | None) -> Rows:
        cells = []
        for column in columns:
            path = self.path(column.path, f"column '{column.name}'", focus)
            where = f"{self.name}: column '{column.name}', path '{column.path}'"
            if column.collection:
                cells.append(many_values(where, path.evaluate))
            else:
                cells.append(
                    straight(path.names, one_value(where, path.evaluate))
                    if path.names
                    else one_value(where, path.evaluate)
                )
        if len(cells) == 1:
            only = cells[0]
            return lambda items, env: ((only(items, env),),)
        return lambda items, env: (tuple([cell(items, env) for cell in cells]),)

    def _union(self, union: Sequence[SelectDefinition], focus: str | None) -> tuple[tuple[ColumnDefinition, ...], Rows]:
        made = [self.select(one, focus) for one in union]
        first = made[0][0]
        for i, (columns, _) in enumerate(made[1:], 1):
            names = [[(one.name, one.collection) for one in some] for some in (first, columns)]
            if names[0] != names[1]:
                raise Refused(
                    f"{self.name}: unionAll[{i}] has the columns {', '.join(one.name for one in columns)}, not"
                    f" {', '.join(one.name for one in first)} as unionAll[0]"
                )
        parts = [rows for _, rows in made]
        return first, lambda items, env: [row for part in parts for row in part(items, env)]


_PLAIN = re.compile(r"^[a-z][A-Za-z]*(\.[a-z][A-Za-z]*)*$")
_INNERMOST = re.compile(r"\([^()]*\)|\[\d+\]")
_SAME_TYPE = re.compile(r"\.(where|first|last|tail|skip|take|single|distinct)(?=\.|$)")


def _type_of(focus: str | None, path: str) -> str | None:
    """The path of the type that elements lead to, some of them picked or not; None if the path is more than that."""
    before = None
    while before != path and "ofType" not in path:
        before, path = path, _INNERMOST.sub("", path)
    path = _SAME_TYPE.sub("", path)
    return f"{focus}.{path}" if focus is not None and _PLAIN.match(path) else None
