"""The commands about terms and credentials: from a key to a verdict, and what is refused with its reason."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caduceus.cli import app
from caduceus.cli.exits import REFUSED
from caduceus.edges.credential_keys import make_key, read_key_file
from caduceus.edges.keystore import LIGHT, Passphrase
from caduceus.errors import Refused
from small_federation import JOB, SCHEMA, TERMS, write_small

BUYER = "0x" + "07" * 20
CONSORTIUM = "0x" + "0c" * 20
USE = """
proven = ["country"]
hierarchy = "mondo.csv"

[[issuer]]
name = "Consortium"
thumbprint = "{thumbprint}"
account = "{account}"
may_say = ["country", "ethics"]

[use]
permission = "DS"
diseases = ["MONDO:0011057"]
modifiers = ["IRB", "PUB"]
regions = ["EU"]
months = 12
"""
ASKED = """
[use]
research = ["disease"]
disease = "MONDO:0005098"
ethics = "EK 7"
country = "DE"
publish = true
months = 6
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def done(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.stdout.split())


def refused(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == REFUSED, (result.output, result.exception)
    assert "Traceback" not in result.stderr
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an issuer, a holder, a credential that can be revoked, terms that ask for it, and a job."""
    at = tmp_path_factory.mktemp("made")
    thumbprint = done("credential", "key", at / "issuer.key").rsplit(" ", 1)[1]
    done("credential", "key", at / "buyer.key")
    (at / "says.toml").write_text(
        'issuer = "Consortium"\nuntil = 2090-01-01\nindex = 7\n[says]\ncountry = "DE"\nethics = "EK 7"\n'
    )
    keys = ("--key", at / "issuer.key", "--holder", at / "buyer.key.pub")
    listed = ("--status", at / "list.json", "--account", CONSORTIUM)
    done("credential", "issue", at / "says.toml", *keys, *listed, "--out", at / "c")
    (at / "mondo.csv").write_text("child,parent\nMONDO:0005098,MONDO:0011057\n")
    (at / "terms.toml").write_text(TERMS + USE.format(thumbprint=thumbprint, account=CONSORTIUM))
    (at / "schema.toml").write_text(SCHEMA)
    (at / "job.toml").write_text(JOB + ASKED)
    return at


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the commands run."""
    folder = Path(shutil.copytree(made, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder


def present(folder: Path, *more: str, buyer: str = BUYER, lists: bool = True) -> None:
    """Put a presentation, and the newest status list, into the job."""
    shown = call("credential", "present", "c", "--key", "buyer.key", "--buyer", buyer, "--show", "country", *more)
    assert shown.exit_code == 0, shown.output
    (folder / "shown.txt").write_text(shown.stdout)
    status = f"status_lists = [{json.dumps((folder / 'list.json').read_text())}]\n" if lists else ""
    (folder / "job.toml").write_text(JOB + ASKED + shown.stdout + status)


def test_terms_are_said_in_words(here: Path):
    said = done("terms", "show", "terms.toml")
    for word in (
        "DS disease specific research (MONDO:0011057)",
        "PUB publication required",
        "GS geographical restriction (EU)",
        "TS time limit on use (12 months)",
        "Diseases: by 1 pairs from mondo.csv",
        "Issuer 'Consortium'",
        f"revokes by {CONSORTIUM}",
        "Counts only if an issuer says so too: country",
    ):
        assert word in said, said


def test_a_job_is_judged_before_anybody_pays_with_every_reason(here: Path):
    said = refused("terms", "check", "terms.toml", "job.toml", "--buyer", BUYER)
    assert "use GS: no trusted credential proves its country" in said
    (here / "job.toml").write_text(JOB)
    said = refused("terms", "check", "terms.toml", "job.toml")
    for word in ("use DS: it does not say what it is for", "use PUB:", "use IRB:", "use GS:", "use TS:"):
        assert word in said, said


def test_a_job_with_its_credential_is_allowed_and_its_buyer_hears_what_it_takes_on(here: Path):
    present(here)
    said = done("terms", "check", "terms.toml", "job.toml", "--buyer", BUYER, "--on", "2027-01-01")
    assert "terms.toml allows job.toml." in said
    assert "The buyer takes on to publish the results." in said
    assert "The buyer takes on to end the use before 2028-01-01." in said
    assert "another buyer" in refused("terms", "check", "terms.toml", "job.toml", "--buyer", CONSORTIUM)
    assert "is expired" in refused("terms", "check", "terms.toml", "job.toml", "--buyer", BUYER, "--on", "2090-01-01")


def test_what_is_not_shown_is_not_in_the_job(here: Path):
    present(here)
    assert "EK 7" not in (here / "shown.txt").read_text()
    assert "hides no claim 'user'" in refused(
        "credential", "present", "c", "--key", "buyer.key", "--buyer", BUYER, "--show", "user"
    )
    assert "bound to another key" in refused(
        "credential", "present", "c", "--key", "issuer.key", "--buyer", BUYER, "--show", "country"
    )


def test_a_revoked_credential_is_refused_and_counts_again_when_restored(here: Path):
    present(here)
    check = ("terms", "check", "terms.toml", "job.toml", "--buyer", BUYER)
    done(*check)
    assert "Digest:" in done("credential", "revoke", "list.json", "7")
    present(here)
    assert "it is revoked or suspended" in refused(*check)
    done("credential", "revoke", "list.json", "7", "--restore")
    present(here)
    done(*check)
    present(here, lists=False)
    assert "has put no status list on the chain" in refused(*check)
    assert "not on its issuer's status list" in refused("credential", "revoke", "list.json", "999999")


def test_a_presentation_is_verified_for_its_job_and_buyer(here: Path):
    nonce = "00112233445566778899aabbccddeeff"
    present(here, "--nonce", nonce)
    verify = ("credential", "verify", "shown.txt", "--terms", "terms.toml", "--status", "list.json", "--buyer", BUYER)
    assert "'Consortium' says: country DE." in done(*verify, "--nonce", nonce)
    assert "another job or another buyer" in refused(*verify, "--nonce", nonce[::-1])
    assert "expected 32 hex digits" in refused(*verify, "--nonce", "12")
    assert "has put no status list" in refused(*verify[:5], "--buyer", BUYER, "--nonce", nonce)


def test_keys_are_their_owners_alone_and_are_not_made_over_others(here: Path):
    assert stat.S_IMODE((here / "issuer.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((here / "c").stat().st_mode) == 0o600
    assert "the key, in the clear" in done("credential", "key", "issuer.key")
    (here / "issuer.key").chmod(0o644)
    assert "others may read" in refused("credential", "key", "issuer.key")
    (here / "issuer.key").chmod(0o600)
    with pytest.raises(Refused, match="there already"):
        make_key(here / "issuer.key")


def test_a_key_under_a_passphrase_is_read_with_it_alone(tmp_path: Path):
    path, right, wrong = tmp_path / "key", Passphrase("right"), Passphrase("wrong")
    made = make_key(path, right, cost=LIGHT)
    assert read_key_file(path, right).public == made.public
    for passphrase, why in ((wrong, "wrong passphrase"), (None, "encrypted")):
        with pytest.raises(Refused, match=why):
            read_key_file(path, passphrase)
    make_key(tmp_path / "clear")
    with pytest.raises(Refused, match="lies in the clear"):
        read_key_file(tmp_path / "clear", right)
    (tmp_path / "clear").write_bytes(b"x")
    with pytest.raises(Refused, match="not a key for credentials"):
        read_key_file(tmp_path / "clear")
    with pytest.raises(Refused, match="missing"):
        read_key_file(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('issuer = "C"\nuntil = 2090-01-01\n[says]\nwealth = "x"\n', "no claim 'wealth'"),
        ('issuer = "C"\nuntil = 2090-01-01\n[says]\norganisation = "nice"\n', "organisation is one of"),
        ('issuer = "C"\nuntil = 2090-01-01\nindex = 1\n[says]\ncountry = "DE"\n', "needs 'index', --status and"),
        ('issuer = "C"\n[says]\ncountry = "DE"\n', "key 'until' is missing"),
    ],
)
def test_a_credential_that_makes_no_sense_is_not_issued(here: Path, text: str, why: str):
    (here / "says.toml").write_text(text)
    out = ("--key", "issuer.key", "--holder", "buyer.key.pub", "--out", "d")
    assert why in refused("credential", "issue", "says.toml", *out)
    assert not (here / "d").exists()


def test_a_whole_run_is_played_and_audited_under_terms_of_use_and_another_is_refused_before_it_begins(tmp_path: Path):
    small = write_small(tmp_path / "files")
    small.terms.write_text(TERMS + '[use]\npermission = "HMB"\nmodifiers = ["PUB", "NPUNCU"]\n')
    said = refused("run", small.job, small.federation, "--out", tmp_path / "out")
    assert "use NPUNCU: it does not say whether its use is commercial" in said
    assert not (tmp_path / "out").exists()
    asked = '[use]\nresearch = ["health"]\npublish = true\ncommercial = false\norganisation = "public"\n'
    small.job.write_text(JOB + asked)
    said = done("run", small.job, small.federation, "--out", tmp_path / "out", "--no-report")
    assert "re-executed" in done("audit", tmp_path / "out")
