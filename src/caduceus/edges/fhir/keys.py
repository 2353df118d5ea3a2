"""The keys by which resources are joined: a resource's own, and the one that a reference points at."""

from __future__ import annotations

import re
from typing import Any

_LITERAL = re.compile(r"^(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-._]{1,128})(?:/_history/[^/]*)?(?:[#|].*)?$")
_SHORT = re.compile(r"/[A-Za-z0-9\-._]{1,128}")
_NAMED = ("urn:uuid:", "urn:oid:")
_MOST = 2048


def resource_key(resource: Any) -> str | None:
    """The key of a resource: its id; None if it has none."""
    key = resource.get("id") if isinstance(resource, dict) else None
    return key if isinstance(key, str) else None


def reference_key(reference: Any, wanted: str | None = None) -> str | None:
    """The key of the resource that a Reference points at.

    reference  a Reference, relative ("Patient/1"), absolute ("https://host/fhir/Patient/1"), or as it stands in
               bundles ("urn:uuid:...": the resource has the same UUID as its id, and its type can't be told)
    wanted     the type that it has to point at, None for any
    returns    None for contained resources, searches ("Patient?identifier=..."), identifiers and the wrong type
    """
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str) or len(text) > _MOST:
        return None
    if wanted is not None and text.startswith(wanted) and _SHORT.fullmatch(text, len(wanted)):
        return text[len(wanted) + 1 :]
    for scheme in _NAMED:
        if text.startswith(scheme):
            stated = reference.get("type")
            return text.removeprefix(scheme) if stated in (None, wanted) or wanted is None else None
    found = _LITERAL.match(text) if "?" not in text else None
    if found is None or (wanted is not None and found[1] != wanted):
        return None
    return found[2]
