"""A steward's word on which programs may work on the records: `[policy] code` in `node.toml`."""

from __future__ import annotations

import re
from pathlib import Path

from caduceus.edges.tabular import read_text
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.wiring.node.file import NODE_FILE, read_node_file

_LIST = re.compile(r"^(\[policy\][^\[]*?^code\s*=\s*)\[[^\]]*\]", re.MULTILINE)


def allow(folder: Path, program: Digest) -> bool:
    """Let a program work on a site's records, from the process's next start on; what else the file says stays.

    returns  False if it was allowed already

    Raises Refused, naming the file, if it is not a site's or has no list that could be found in it.
    """
    found, path = read_node_file(folder), folder / NODE_FILE
    if found.policy is None:
        raise Refused(f"{path}: of a {found.party.role}; only a site allows programs")
    if program in found.allowed:
        return False
    digests = ", ".join(f'"{one}"' for one in (*found.policy.code, program.hex()))
    text, changed = _LIST.subn(lambda match: f"{match[1]}[{digests}]", read_text(path), count=1)
    draft = path.with_name(f"{NODE_FILE}.new")
    write_whole(draft, text.encode())
    if not changed or read_node_file(folder, draft.name).allowed != found.allowed | {program}:
        draft.unlink()
        raise Refused(f"{path}: its [policy] code is written in a way that this command does not change; do it by hand")
    draft.replace(path)
    return True
