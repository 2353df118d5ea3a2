"""One set of laws for every store of blobs, and what each promises beyond."""

import random
import threading
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from caduceus.canon import digest_bytes
from caduceus.edges.layered_store import LayeredStore, fetch_from
from caduceus.edges.object_store import ObjectStore
from caduceus.edges.store import FolderStore, open_store
from caduceus.errors import PeerFault, Refused, Unavailable
from caduceus.kinds import Digest
from crashes import killed_while_writing

ABSENT = Digest(b"\0" * 32)
NO_SLEEP = {"sleep": lambda _seconds: None}


@pytest.fixture(params=["folder", "file", "memory", "fsspec over a folder", "layered"])
def store(request, tmp_path):
    places = {
        "folder": lambda: open_store(str(tmp_path / "blobs"), most=1000),
        "file": lambda: open_store(f"file://{tmp_path}/blobs", most=1000),
        "memory": lambda: open_store(f"memory://{tmp_path}", most=1000),
        "fsspec over a folder": lambda: ObjectStore(f"file://{tmp_path}/blobs", most=1000),
        "layered": lambda: LayeredStore(
            FolderStore(tmp_path / "here", most=1000), fetch_from(FolderStore(tmp_path / "there")), who="hub"
        ),
    }
    return places[request.param]()


def test_a_blob_comes_back_under_the_digest_of_its_bytes(store):
    for blob in (b"sum", b"", bytes(1000)):
        name = store.put(blob)
        assert name == store.put(blob) == digest_bytes(blob)
        assert store.get(name) == blob
        assert store.has(name)


def test_a_missing_blob_is_refused_by_name(store):
    for name in (ABSENT, digest_bytes(b"")):
        assert not store.has(name)
        with pytest.raises(Refused, match=rf"{name.hex()} is missing"):
            store.get(name)


def test_a_blob_that_is_too_long_is_refused_before_anything_is_written(store):
    with pytest.raises(Refused, match="more than 1000 bytes"):
        store.put(bytes(1001))
    assert not store.has(digest_bytes(bytes(1001)))


@pytest.mark.parametrize("kind", ["folder", "memory", "fsspec over a folder"])
def test_an_altered_blob_and_an_overgrown_one_are_refused_by_name(tmp_path, kind):
    store, path, fs = opened(tmp_path, kind)
    name = store.put(b"sum")
    fs.pipe_file(path(name), b"sun")
    with pytest.raises(Refused, match=rf"{name.hex()}.*altered"):
        store.get(name)
    fs.pipe_file(path(name), bytes(1001))
    with pytest.raises(Refused, match="more than 1000 bytes"):
        store.get(name)


@pytest.mark.parametrize("kind", ["memory", "fsspec over a folder"])
def test_a_blob_of_which_a_crash_left_half_is_put_again(tmp_path, kind):
    store, path, fs = opened(tmp_path, kind)
    name = digest_bytes(b"sum")
    fs.makedirs(path(name).rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path(name), b"s")
    with pytest.raises(Refused, match="altered"):
        store.get(name)
    store.put(b"sum")
    assert store.get(name) == b"sum"


def opened(tmp_path, kind):
    """A store, where its blobs lie, and the file system that they lie in."""
    if kind == "folder":
        store, root, fs = FolderStore(tmp_path, most=1000), str(tmp_path), fsspec.filesystem("file")
    else:
        scheme = "memory" if kind == "memory" else "file"
        store, root = ObjectStore(f"{scheme}://{tmp_path}", most=1000), str(tmp_path)
        fs = fsspec.filesystem(scheme)
    return store, lambda name: f"{root}/{name.hex()[:2]}/{name.hex()}", fs


def test_names_are_all_blobs_in_order_and_two_stores_agree_on_the_places(tmp_path):
    folder, objects = FolderStore(tmp_path), ObjectStore(f"file://{tmp_path}")
    names = sorted(folder.put(bytes([number])) for number in range(10))
    names = sorted([*names, objects.put(b"more")])
    assert list(folder.names()) == list(objects.names()) == names
    assert folder.get(digest_bytes(b"more")) == objects.get(digest_bytes(b"more")) == b"more"
    assert list(ObjectStore(f"file://{tmp_path}/nothing").names()) == []


@pytest.mark.parametrize(
    ("location", "options", "why"),
    [
        ("nonsense://x", None, "no store can be opened"),
        ("s3://user:secret@bucket/x?token=secret", {"no_such_option": 1}, "install what|no store"),
        ("file://relative/path", None, "file:///folder"),
        ("/tmp/x", {"anon": True}, "a folder takes no options"),
    ],
)
def test_a_place_that_cannot_be_opened_is_refused_without_its_secrets(location, options, why):
    with pytest.raises(Refused, match=why) as problem:
        open_store(location, options)
    assert "secret" not in str(problem.value)


class Flaky(MemoryFileSystem):
    """A back-end that fails as often as told, in the ways of networks."""

    protocol = "flaky"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    cachable = False
    failures: ClassVar = {}

    def _fail(self, what):
        if self.failures.get(what):
            problem = self.failures[what].pop(0)
            if isinstance(problem, BaseException):
                raise problem
            return problem
        return None

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        kept = self._fail("write")
        super().pipe_file(path, value if kept is None else value[:kept], mode=mode, **kwargs)

    def cat_file(self, path, start=None, end=None, **kwargs):
        cut = self._fail("read")
        data = super().cat_file(path, start=start, end=end, **kwargs)
        return data if cut is None else data[:cut]

    def info(self, path, **kwargs):
        self._fail("info")
        return super().info(path, **kwargs)


@pytest.fixture
def flaky():
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    Flaky.store, Flaky.failures = {}, {}
    return ObjectStore("flaky://bucket", **NO_SLEEP)


class Odd(Exception):
    """Back-ends raise what they like."""


@pytest.mark.parametrize("problem", [OSError(5, "x"), TimeoutError(), ConnectionResetError(), Odd("secret")])
def test_a_back_end_that_fails_for_a_moment_is_asked_again(flaky, problem):
    Flaky.failures = {what: [problem, problem] for what in ("write", "read", "info")}
    name = flaky.put(b"sum")
    assert flaky.get(name) == b"sum"
    assert not any(Flaky.failures.values())


@pytest.mark.parametrize("what", ["write", "read", "info"])
def test_a_back_end_that_keeps_failing_is_unavailable_and_its_words_stay_out(flaky, what):
    name = flaky.put(b"sum")
    Flaky.failures = {what: [Odd("secret")] * 3}
    with pytest.raises(Unavailable, match=r"Odd, 3 times") as problem:
        flaky.get(name) if what == "read" else flaky.put(b"another") if what == "write" else flaky.has(name)
    assert "secret" not in str(problem.value)
    assert flaky.get(name) == b"sum"


def test_a_write_that_got_cut_is_unavailable_and_is_mended_by_putting_again(flaky):
    Flaky.failures = {"write": [1]}
    with pytest.raises(Unavailable, match="not there whole"):
        flaky.put(b"sum")
    name = flaky.put(b"sum")
    assert flaky.get(name) == b"sum"


def test_a_read_that_got_cut_is_read_again_and_never_believed(flaky):
    name = flaky.put(b"sum")
    Flaky.failures = {"read": [1]}
    assert flaky.get(name) == b"sum"
    Flaky.failures = {"read": [1, 2]}
    with pytest.raises(Refused, match="altered"):
        flaky.get(name)


def test_a_back_end_that_does_not_permit_it_is_refused_at_once(flaky):
    Flaky.failures = {"write": [PermissionError(13, "secret")]}
    with pytest.raises(Refused, match="credentials") as problem:
        flaky.put(b"sum")
    assert "secret" not in str(problem.value)


def test_a_bucket_that_is_not_there_is_refused_at_once(flaky):
    Flaky.failures = {"write": [FileNotFoundError(2, "The specified bucket does not exist")]}
    with pytest.raises(Refused, match="make it first"):
        flaky.put(b"sum")


def test_a_layered_store_fetches_once_and_keeps_what_it_fetched(tmp_path):
    there, here = FolderStore(tmp_path / "there"), FolderStore(tmp_path / "here")
    asked = []

    def fetch(digest, most):
        asked.append((digest, most))
        return there.get(digest)

    layered = LayeredStore(here, fetch, who="hub", most=99)
    name = there.put(b"model")
    assert not layered.has(name)
    assert layered.get(name) == layered.get(name) == here.get(name) == b"model"
    assert asked == [(name, 99)]
    own = layered.put(b"own")
    assert here.has(own)
    assert not there.has(own)
    with pytest.raises(Refused, match="missing"):
        layered.get(ABSENT)


@pytest.mark.parametrize("answer", [b"", b"modem", b"model ", bytes(100)])
def test_bytes_that_are_not_the_blob_name_who_sent_them_and_are_not_kept(tmp_path, answer):
    here = FolderStore(tmp_path)
    layered = LayeredStore(here, lambda _digest, _most: answer, who="hub", most=99)
    name = digest_bytes(bytes(100)) if len(answer) > 99 else digest_bytes(b"model")
    with pytest.raises(PeerFault, match="hub: answered"):
        layered.get(name)
    assert list(here.names()) == []


def test_an_altered_blob_here_is_shown_and_not_papered_over(tmp_path):
    here = FolderStore(tmp_path)
    name = here.put(b"model")
    next(tmp_path.glob("*/*")).write_bytes(b"modem")
    with pytest.raises(Refused, match="altered"):
        LayeredStore(here, lambda _digest, _most: b"model", who="hub").get(name)


def test_silence_from_there_stays_what_it_is(tmp_path):
    def silent(_digest, _most):
        raise Unavailable("hub: no answer")

    with pytest.raises(Unavailable, match="no answer"):
        LayeredStore(FolderStore(tmp_path), silent, who="hub").get(ABSENT)


def test_threads_that_put_the_same_blob_do_not_trip_over_each_other(tmp_path):
    store = FolderStore(tmp_path, durable=False)
    blobs = [bytes([number]) * 50_000 for number in range(30)]
    problems = []

    def work():
        try:
            for blob in blobs:
                store.put(blob)
        except OSError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {store.get(name) for name in store.names()} == set(blobs)


def test_a_full_disk_is_unavailable_and_leaves_nothing_behind(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Unavailable, match="No space left on device"):
            store.put(b"sum")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.get(store.put(b"sum")) == b"sum"


WRITER = """
    import os, sys
    from caduceus.edges.object_store import ObjectStore
    from caduceus.edges.store import open_store
    kind, place = sys.argv[1:]
    store = ObjectStore(f"file://{place}") if kind == "fsspec" else open_store(place)
    while True:
        print(store.put(os.urandom(300_000)).hex(), flush=True)
"""


@pytest.mark.parametrize("kind", ["folder", "fsspec"])
def test_a_killed_process_leaves_whole_blobs_only(tmp_path, kind):
    chance = random.Random(3)
    for _ in range(3):
        said = killed_while_writing(WRITER, kind, str(tmp_path), after=chance.randrange(1, 20))
        store = FolderStore(tmp_path)
        names = list(ObjectStore(f"file://{tmp_path}").names())
        assert {bytes.fromhex(one) for one in said} <= set(names)
        for name in names:
            assert len(store.get(name)) == 300_000
        for left in tmp_path.rglob("*.part"):
            left.unlink()
