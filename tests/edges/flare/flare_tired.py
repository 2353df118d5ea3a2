"""A role that ends by itself, as one does that has found a bug."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Tired:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def wait(self) -> bool:
        return True

    def stop(self) -> None:
        (self.folder / "stopped").touch()


def tired(folder: Path, transport: Any) -> Tired:
    return Tired(folder)
