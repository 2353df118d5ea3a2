"""Sites that do harm, for trying out what becomes of them. Nothing here is part of an honest site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import final

import numpy as np

from caduceus.errors import Refused
from caduceus.learn.judged.opened import Given
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.judged.rows import JudgedData
from caduceus.learn.state import Phase, State


class Deed(StrEnum):
    """What a dishonest site does."""

    FLIPS_LABELS = "flips-labels"
    """Trains, and judges others, with every outcome turned round."""
    TURNS_BACK = "turns-back"
    """Sends its update with the sign turned round and as long as it may be, and vouches for it."""
    REPLAYS = "replays"
    """Sends the last move of the model instead of training: a free-rider."""

    @staticmethod
    def named(text: str) -> Deed:
        """The deed of a name.

        Raises Refused, naming those that there are.
        """
        try:
            return Deed(text)
        except ValueError:
            raise Refused(f"'{text}' is nothing that a dishonest site does; there are {', '.join(Deed)}") from None


@final
@dataclass(frozen=True, slots=True)
class Dishonest:
    """Stands between a site and its task, and does a deed where the site would train.

    task  the honest one
    """

    task: JudgedProgram
    deed: Deed

    def contribute(self, state: State, site: JudgedData) -> Given:
        """What the site gives instead of its honest part."""
        if self.deed is Deed.FLIPS_LABELS:
            site = replace(site, target=1.0 - site.target)
        given = self.task.contribute(state, site)
        if state.phase is not Phase.TRAINING or self.deed is Deed.FLIPS_LABELS:
            return given
        rows, clip = given.rows.copy(), self.task.norm(state)
        if self.deed is Deed.TURNS_BACK:
            rows[0] *= -clip / max(float(np.linalg.norm(rows[0])), 1e-300)
            rows[1:] = -rows[0]
        elif state.judged is not None:
            moved = self.task.public(state)
            rows[0] = 0.0 if moved is None else moved
        return Given(rows, given.report)
