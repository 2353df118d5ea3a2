"""Which program this is: a digest over the code that works on records and decides what leaves a site."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from caduceus.kinds import Digest

_ROOT = Path(__file__).parent.parent
FILES = ("errors.py", "kinds.py", "canon.py", "ports.py")
FOLDERS = ("crypto", "privacy", "data", "learn", "market", "protocol", "agents")
"""What the digest covers, in the package."""


@cache
def code_digest() -> Digest:
    """SHA-256 over names and bytes of the sources, sorted by name.

    Covers everything between a site's table and the bytes that it sends: canonical tables, learning, noise, masks,
    messages, the role that decides. Not what only shows, stores or carries; nor Python and the packages beneath, which
    a site pins by itself. Asked early, this is what the process runs; `digest_on_disk` is what the next one would.
    """
    return digest_on_disk()


def digest_on_disk(root: Path = _ROOT) -> Digest:
    """The same over the sources as they lie there now: an upgrade changes them under a process that runs.

    root  the package
    """
    whole = sha256()
    files = [root / name for name in FILES]
    files += [path for name in FOLDERS for path in (root / name).rglob("*.py")]
    for path in sorted(files):
        name, text = path.relative_to(root).as_posix().encode(), path.read_bytes()
        whole.update(len(name).to_bytes(4) + name + sha256(text).digest())
    return Digest(whole.digest())
