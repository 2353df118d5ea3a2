"""A site's card as it is published: the same one however often it is asked for, and counted once.

Counts on a card spend epsilon. The noise is made of a secret and the records, so the same counts of the same records
are the same numbers again. What would be new is another epsilon, or a later version's counts: mostly the same patients,
and on the chain one budget with the version before. The party's own file says that there have been counts.
"""

from __future__ import annotations

from pathlib import Path

from caduceus import canon
from caduceus.crypto.entropy import Entropy
from caduceus.data.card import Card, describe, lendable, without_counts
from caduceus.data.card_counts import Wanted
from caduceus.data.card_reading import read_card
from caduceus.data.policy import Terms, show_micro
from caduceus.edges.federation import Federation, SiteTable
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Digest


def load_or_describe(
    folder: Path, federation: Federation, records: SiteTable, root: Digest, terms: Terms, entropy: Entropy
) -> Card:
    """The card of a site's records; its counts are kept in the site's own folder when they are first made.

    Once some records were counted, later versions of them are not; their cards say what was spent.

    folder   private to the site
    root     of the commitment to the records
    terms    whose budget bears the counts, and whose withheld columns are not counted
    entropy  the site's

    Raises Refused if the same records were counted with another epsilon, if the budget does not bear the counts, or if
    nobody would read such a card.
    """
    about = federation.file.federation
    path = folder / f"card-{root.hex()[:16]}"
    before = _read(path)
    others = (_read(one) for one in sorted(folder.glob("card-*")) if one != path and one.suffix != ".part")
    spent = next((one.noise for one in others if one is not None and one.noise is not None), None)
    wanted = None
    if about.card_epsilon_micro and spent is None:
        secret = entropy.derive("card", size=32)
        wanted = Wanted(about.card_epsilon_micro, secret, withheld=terms.withheld, columns=about.card_columns)
    if before is not None and before.noise is not None and before.noise.epsilon_micro != about.card_epsilon_micro:
        raise Refused(
            f"{path}: these records were counted for a card with epsilon {show_micro(before.noise.epsilon_micro)}, and "
            f"{federation.path.name} now asks for {show_micro(about.card_epsilon_micro)}: counting again would spend "
            "again; put the number back"
        )
    card = describe(
        records.table,
        title=f"{about.title}: {records.name}",
        description=about.description,
        licence=about.licence,
        citation=about.citation,
        commitment=root,
        wanted=wanted,
    )
    if spent is not None:
        card = without_counts(card, spent)
    if before is not None and [one.counts for one in before.columns] != [one.counts for one in card.columns]:
        raise Refused(
            f"{path}: these records were counted for a card with other columns or other withheld ones; counting again "
            f"would spend again: put card_columns in {federation.path.name} and the terms' withheld columns back"
        )
    read_card(canon.pack(card))  # as everybody else will
    lendable(card, terms.budget_micro, terms.delta_pico)
    if before is None and wanted is not None:
        write_whole(path, canon.pack(card), mode=0o600)
    return card


def _read(path: Path) -> Card | None:
    if not path.exists():
        return None
    try:
        return read_card(path.read_bytes())
    except Refused as problem:
        raise Refused(f"{path}: not a card ({problem}); put the file back from a backup") from None
