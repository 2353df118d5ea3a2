"""What the import linter cannot see: which parts of a package are used below the edges."""

from __future__ import annotations

import ast
from pathlib import Path

import caduceus

PURE = ("agents", "protocol", "data", "learn", "market", "privacy", "crypto")
IN_MEMORY = {"pyarrow", "pyarrow.compute"}
"""Of pyarrow, what works on arrays in memory; its files, file systems, Flight and CSV reader are for the edges."""


def test_below_the_edges_arrow_is_arrays_in_memory_only():
    root, found = Path(caduceus.__file__).parent, set[str]()
    for layer in PURE:
        for path in (root / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {one.name for one in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module is not None:
                    found.add(node.module)
    assert {name for name in found if name.split(".")[0] == "pyarrow"} == IN_MEMORY
