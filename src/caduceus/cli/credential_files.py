"""Credentials in files: keys, claims, presentations, status lists."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Console

from caduceus import canon
from caduceus.cli.joining import address
from caduceus.cli.terms import read_terms
from caduceus.crypto import sd_jwt
from caduceus.crypto.sd_jwt_keys import encode, read_key, read_object, write_json
from caduceus.crypto.status_list import INVALID, VALID, StatusList, all_valid, pack_list, read_list
from caduceus.data.credential import KIND, STATUS_URI, occasion_of, prove
from caduceus.data.document import Document, read_document
from caduceus.data.use_day import read_day, start_of
from caduceus.data.use_file import DateText, Text
from caduceus.data.use_request import CLAIMS, ORGANISATIONS
from caduceus.edges import keyring
from caduceus.edges.credential_keys import make_key, read_key_file
from caduceus.edges.keystore import read_passphrase
from caduceus.edges.network import join_url
from caduceus.edges.tabular import read_text
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.market.specification import NONCE_BYTES
from caduceus.wiring.node.file import read_node_file
from caduceus.wiring.node.party import DEPLOYMENT, KEYS

_LIST_SIZE = 4096
"""Of a new status list: long enough that an index says little about when, or to whom, a credential was issued."""


class Says(Document):
    """What a credential is to say.

    issuer  its name, for people
    until   it says nothing from that day on
    index   its number on the issuer's status list
    says    claims, those of `CLAIMS`
    """

    issuer: Text
    until: DateText
    index: Annotated[int, Field(ge=0)] | None = None
    says: dict[str, Text]


@dataclass(frozen=True, slots=True)
class Listed:
    """Where an issuer keeps its status list, and whose account puts it on the chain."""

    status: Path | None
    account: str | None


def show_key(path: Path, passphrase_file: Path | None) -> None:
    """Show a key's public part; make it first where it is missing."""
    passphrase = read_passphrase(passphrase_file)
    is_new = not path.exists()
    key = make_key(path, passphrase) if is_new else read_key_file(path, passphrase)
    public = path.with_name(path.name + ".pub")
    write_whole(public, write_json(key.public.jwk))
    _say(f"{path}: {'a new key' if is_new else 'the key'}{'' if passphrase else ', in the clear'}; yours alone.")
    _say(f"Public key: {public}")
    _say(f"Thumbprint: {encode(key.public.thumbprint)}")


def issue_one(
    says: Path, out: Path, key_file: Path, holder: Path, listed: Listed, passphrase_file: Path | None
) -> None:
    """Issue a credential into a file."""
    if out.exists():
        raise Refused(f"{out}: there already")
    said = read_document(read_text(says), Says, where=says.name)
    if wrong := sorted(set(said.says) - set(CLAIMS)):
        raise Refused(f"{says.name}: says: no claim '{wrong[0]}'; there are {', '.join(CLAIMS)}")
    if said.says.get("organisation", "public") not in ORGANISATIONS.values():
        raise Refused(f"{says.name}: says: organisation is one of {', '.join(ORGANISATIONS.values())}")
    claims: dict[str, object] = {
        "vct": KIND,
        "iss": said.issuer,
        "iat": _now(),
        "exp": start_of(read_day(said.until)),
        **said.says,
        **_status(said, listed, says.name),
    }
    key = read_key_file(key_file, read_passphrase(passphrase_file))
    public = read_key(read_object(holder.read_bytes(), holder.name), holder.name)
    made = sd_jwt.issue(key, claims, tuple(said.says), public, salt=lambda: secrets.token_bytes(sd_jwt.SALT_BYTES))
    write_whole(out, made.encode(), mode=0o600)
    _say(f"{out}: for the holder alone; it says {', '.join(sorted(said.says))} until {said.until}.")


def _status(said: Says, listed: Listed, where: str) -> dict[str, object]:
    given = [one is not None for one in (listed.status, listed.account, said.index)]
    if any(given) and not all(given):
        raise Refused(f"{where}: a credential that can be revoked needs 'index', --status and --account together")
    if listed.status is None or listed.account is None or said.index is None:
        return {}
    if not listed.status.exists():
        write_whole(listed.status, pack_list(all_valid(_LIST_SIZE)))
    if _list_in(listed.status).at(said.index) != VALID:
        raise Refused(f"{where}: index {said.index} is revoked; give each credential a number of its own")
    account = address("--account", listed.account)
    return {"status": {"status_list": {"idx": said.index, "uri": f"{STATUS_URI}{account.hex()}"}}}


def present_one(file: Path, key_file: Path, wanted: tuple[str, str | None, str], passphrase_file: Path | None) -> None:
    """Print the lines for a job's file.

    wanted  the buyer's account, the nonce or None, and names of claims
    """
    buyer, nonce, show = wanted
    chosen = tuple(one.strip() for one in show.split(",") if one.strip())
    occasion = occasion_of(secrets.token_bytes(NONCE_BYTES) if nonce is None else _nonce(nonce), _buyer(buyer))
    key = read_key_file(key_file, read_passphrase(passphrase_file))
    text = sd_jwt.present(read_text(file).strip(), chosen, occasion, key, now=_now())
    print(f"nonce = {json.dumps(occasion.nonce.split('/')[0])}")  # noqa: T201  (to be pasted: nothing may wrap it)
    print(f"presentations = [{json.dumps(text)}]")  # noqa: T201


def verify_one(file: Path, occasion: tuple[str, str], terms: Path, status: Path | None) -> None:
    """Say what a presentation proves.

    occasion  the buyer's account and the nonce
    """
    found = re.search(r'[^\s"\[\]]+~[^\s"\[\]]*', read_text(file))
    if found is None:
        raise Refused(f"{file}: no presentation is in it")
    use = read_terms(terms).use
    if use is None:
        raise Refused(f"{terms.name}: trusts no issuer: there is no [use]")
    wanted = occasion_of(_nonce(occasion[1]), _buyer(occasion[0]))

    def status_of(_issuer: Address) -> StatusList | None:
        return None if status is None else _list_in(status)

    proof = prove(found[0].encode(), use.issuers, wanted, now=_now(), status_of=status_of)
    _say(f"'{proof.issuer}' says: {'; '.join(f'{claim} {value}' for claim, value in proof.says) or 'nothing'}.")
    if proof.until is not None:
        _say(f"Until {datetime.fromtimestamp(proof.until, UTC):%Y-%m-%d %H:%M} UTC, unless it is revoked.")


def revoke_one(status: Path, index: int, *, restore: bool) -> None:
    """Write a status list anew, with one credential revoked or restored."""
    changed = _list_in(status).with_status(index, VALID if restore else INVALID)
    write_whole(status, pack_list(changed))
    _say(f"{status}: credential {index} {'counts again' if restore else 'is revoked'} once this list is published.")
    _say(f"Digest: {canon.digest_bytes(status.read_bytes()).hex()}")


def publish_list(status: Path, folder: Path, passphrase_file: Path | None) -> None:
    """Put the list's digest on the chain, by a party's account."""
    _list_in(status)
    found = read_node_file(folder)
    ring = keyring.load(folder / KEYS, read_passphrase(passphrase_file))
    root = canon.digest_bytes(status.read_bytes())
    with join_url(found.chain.url, folder / DEPLOYMENT) as network:
        wallet = network.wallet(ring.account)
        if network.chain.status_root(wallet.account) != root:
            wallet.publish_status(root)
        account = wallet.account
    _say(f"The list of digest {root.hex()} counts for 0x{account.hex()}.")
    _say(f"Buyers put it into status_lists: {json.dumps(read_text(status))}")


def _list_in(path: Path) -> StatusList:
    try:
        return read_list(path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"{path}: missing; `caduceus credential issue --status` makes it") from None


def _nonce(text: str) -> bytes:
    if not re.fullmatch(rf"[0-9a-f]{{{2 * NONCE_BYTES}}}", text):
        raise Refused(f"--nonce: expected {2 * NONCE_BYTES} hex digits")
    return bytes.fromhex(text)


def _buyer(text: str) -> Address:
    return address("--buyer", text)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())


def _say(line: str) -> None:
    Console(highlight=False).print(line, markup=False, soft_wrap=True)
