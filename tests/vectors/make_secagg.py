"""Writes the vectors in `secagg/`, with the protocol as it is written a second time in `secagg_again.py`.

None of the package's code is used. ML-DSA signatures and X-Wing encapsulations come out different every time: those
in the files were made once, are kept in them under "chance", and everything else is made again around them.

    python tests/vectors/make_secagg.py          write the files again; they do not change
    python tests/vectors/make_secagg.py --anew   with new signatures and encapsulations, after the protocol changed
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from secagg_again import Chance
from secagg_cases import commitments, draws, keys, masks, parcels, plans, shares
from secagg_common import Json
from secagg_records import messages
from secagg_stories import lies, round_vectors, setup

FOLDER = Path(__file__).parent / "secagg"

ALL: dict[str, Callable[[Chance], Json]] = {
    "plan": plans,
    "draws": draws,
    "keys": keys,
    "shares": shares,
    "parcel": parcels,
    "commitments": commitments,
    "masks": masks,
    "messages": messages,
    "setup": setup,
    "round": round_vectors,
    "lies": lies,
}
SAME_CHANCE = {"round": "setup"}
"""Files that stand on what another file drew."""


def text(name: str, *, anew: bool = False) -> str:
    """A file as it is written; what was drawn by chance is read from the file as it stands, unless made anew."""
    kept = FOLDER / f"{SAME_CHANCE.get(name, name)}.json"
    once = None
    if kept.exists() and not (anew and name not in SAME_CHANCE):
        once = json.loads(kept.read_text()).get("chance", {})
    chance = Chance(once)
    found = ALL[name](chance)
    if chance.made and name not in SAME_CHANCE:
        found["chance"] = chance.made
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in ALL:
        (FOLDER / f"{name}.json").write_text(text(name, anew="--anew" in sys.argv))
