"""What people decide by files: which programs a site allows, and which jobs a buyer posts."""

from __future__ import annotations

from pathlib import Path

import pytest

from caduceus.edges.code import code_digest
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.wiring.cluster.begin import for_sites
from caduceus.wiring.node.allowing import allow
from caduceus.wiring.node.file import NODE_FILE, read_node_file
from caduceus.wiring.node.posting import give_job, result_of
from caduceus.wiring.node.setting import make_folder
from node_kits import Kits, make_kits
from small_federation import Small, write_small

OTHER = Digest(b"\x07" * 32)


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Kits:
    return make_kits(tmp_path_factory.mktemp("kits"))


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return write_small(tmp_path / "files")


@pytest.fixture
def east(kits: Kits, small: Small, tmp_path: Path) -> Path:
    make_folder(tmp_path / "east", kits.site(small.federation))
    return tmp_path / "east"


# ---------------------------------------------------------------- programs


def test_a_program_is_added_and_all_else_stays(east):
    before = (east / NODE_FILE).read_text()
    assert allow(east, OTHER)
    assert read_node_file(east).allowed == {code_digest(), OTHER}
    assert (east / NODE_FILE).read_text().replace(f', "{OTHER.hex()}"', "") == before


def test_a_program_that_is_allowed_already_changes_nothing(east):
    before = (east / NODE_FILE).read_bytes()
    assert not allow(east, code_digest())
    assert (east / NODE_FILE).read_bytes() == before


def test_a_list_over_several_lines_is_understood(east):
    path = east / NODE_FILE
    one = code_digest().hex()
    path.write_text(path.read_text().replace(f'["{one}"]', f'[\n  "{one}",\n]'))
    assert allow(east, OTHER)
    assert read_node_file(east).allowed == {code_digest(), OTHER}


def test_a_list_that_is_written_otherwise_is_left_to_its_owner(east):
    path = east / NODE_FILE
    head = path.read_text().split("[policy]")[0]
    path.write_text(f"{head}[ policy ]\ncode = []\n")
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"node\.toml: its \[policy\] code .* by hand"):
        allow(east, OTHER)
    assert path.read_bytes() == before
    assert [one.name for one in east.glob("node.toml*")] == [NODE_FILE]


def test_only_a_site_allows_programs(kits, tmp_path):
    make_folder(tmp_path / "me", kits.buyer())
    with pytest.raises(Refused, match=r"of a buyer; only a site"):
        allow(tmp_path / "me", OTHER)


# ---------------------------------------------------------------- jobs


def test_a_job_comes_with_its_schema_under_a_name_that_stays(small, tmp_path):
    label = give_job(tmp_path / "me", small.job)
    assert label == f"files-{small.job.stem}"
    place = tmp_path / "me" / "jobs" / "files"
    assert (place / small.job.name).read_bytes() == small.job.read_bytes()
    assert {one.name for one in place.iterdir()} == {small.job.name, "schema.toml"}
    assert give_job(tmp_path / "me", small.job) == label


def test_another_job_of_the_same_name_is_refused(small, tmp_path):
    give_job(tmp_path / "me", small.job)
    small.job.write_text(small.job.read_text() + "\n# changed\n")
    with pytest.raises(Refused, match=r"a job is posted once, so rename"):
        give_job(tmp_path / "me", small.job)


def test_a_wrong_job_is_refused_and_not_given(small, tmp_path):
    small.job.write_text(small.job.read_text().replace("[money]", "[cash]"))
    with pytest.raises(Refused, match=rf"{small.job.name}.*cash"):
        give_job(tmp_path / "me", small.job)
    assert not (tmp_path / "me").exists()


def test_a_file_that_the_process_would_not_see_is_refused(small, tmp_path):
    small.job.rename(small.job.with_name("wish.toml"))
    with pytest.raises(Refused, match=r"wish\.toml: the name of a job's file begins with 'job'"):
        give_job(tmp_path / "me", small.job.with_name("wish.toml"))


def test_what_a_job_came_to_is_a_model_or_answers(tmp_path):
    assert result_of(tmp_path, "a-job") is None
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "a-job.json").touch()
    assert result_of(tmp_path, "a-job") == tmp_path / "answers" / "a-job.json"


def test_a_job_for_more_sites_than_there_are_begins_when_all_have_come():
    text = (Path(__file__).parents[2] / "src/caduceus/examples/breast/job-network.toml").read_text()
    fewer = for_sites(text, 3, where="job.toml")
    assert fewer.replace("max = 3\n", "max = 5\n") == text
    assert fewer != text
    assert for_sites(text, 5, where="job.toml") == for_sites(text, 9, where="job.toml") == text
