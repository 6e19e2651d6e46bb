"""Recordings in stores and on web servers: listed, fetched, and transcribed as files are."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import asr
from web import bucket, same, web

from asr.batch import Address, Input, Inputs, list_inputs, place_of, stores
from asr.batch.inputs import version_of
from asr.batch.spool import Spool
from asr.batch.stores import StoreError, is_address
from asr.batch.watch import settled
from asr.batch.web import Page, files_below
from asr.errors import BadOption

fsspec = pytest.importorskip("fsspec", reason="needs the extra `stores`")
pytest.importorskip("aiohttp", reason="needs the extra `stores`")


@pytest.fixture
def memory() -> Iterator[str]:
    """The address of an empty store."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield "memory://talks"
    store.store.clear()


def put(address: str, content: bytes = b"x") -> None:
    fsspec.filesystem("memory").pipe_file(address.removeprefix("memory:/"), content)


def inner(inputs: list[Input]) -> list[str]:
    assert all(isinstance(item.path, Address) for item in inputs)
    return [str(item.inner) for item in inputs]


def test_a_folder_of_a_store_is_listed_as_one_on_a_disk(memory: str) -> None:
    for name in (
        "b.wav",
        "deep/a.FLAC",
        "deep/notes.txt",
        ".hidden.wav",
        "deep/.no/c.wav",
        "é.mp3",
    ):
        put(f"{memory}/{name}")
    found = list_inputs([memory])
    assert inner(found) == ["b.wav", "deep/a.FLAC", "é.mp3"] and found.passed_over == 1
    assert inner(list_inputs([f"{memory}/", f"{memory}/deep"])) == inner(found)
    assert inner(list_inputs([memory], exclude=["deep"]).first(1)) == ["b.wav"]
    assert inner(list_inputs([f"{memory}/**/*.FLAC"])) == ["deep/a.FLAC"]
    assert inner(list_inputs([f"{memory}/d*"])) == ["deep/a.FLAC"]
    assert inner(list_inputs([f"{memory}/*/*.txt"])) == ["deep/notes.txt"]  # it was asked for
    assert inner(list_inputs([f"{memory}/deep/notes.txt"])) == ["notes.txt"]
    assert inner(list_inputs([], [f"{memory}/b.wav", f"{memory}/deep/"])) == [
        "talks/b.wav",
        "talks/deep/a.FLAC",
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("memory://talks/gone", "memory://talks/gone does not exist: check the address"),
        ("memory://talks/*.wav", "memory://talks/*.wav holds no recordings"),
        ("memory://talks", "memory://talks holds no recordings: give another address"),
    ],
)
def test_what_is_not_in_a_store_is_named(memory: str, given: str, problem: str) -> None:
    put(f"{memory}/notes.txt")
    (item,) = list_inputs([given])
    assert item.problem is not None and item.problem.startswith(problem)


def test_no_name_leads_out_of_the_output_folder() -> None:
    names = [
        item.inner for item in list_inputs([], ["s3://b/../../etc/x.wav", "https://h/%2e%2e/y"])
    ]
    assert names == [Path("b/etc/x.wav"), Path("h/y")]


@pytest.mark.parametrize("name", ["s3:/b/x.wav", "x.wav", "/a://b", "C://x", "talk 1://2.wav"])
def test_paths_are_no_addresses(name: str) -> None:
    assert not is_address(name)


def test_a_file_by_its_address_is_a_path() -> None:
    assert place_of("file:///data/two%20words.wav") == Path("/data/two words.wav")


@pytest.mark.parametrize("address", ["nothing://x/y", "github://x:y@z/"])
def test_a_store_that_cannot_be_used_ends_the_command(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "requests", None)
    said = asr("transcribe", address)
    assert said.returncode == 2 and said.stderr.count("\n") == 1
    missing = "needs a package that is not installed"
    unknown = "has a kind of store that is not known"
    assert (missing if address.startswith("github") else unknown) in said.stderr


def test_a_file_is_fetched_and_its_version_is_that_of_the_listing(
    memory: str, tmp_path: Path
) -> None:
    put(f"{memory}/a.wav", b"sound")
    (item,) = list_inputs([memory])
    assert isinstance(item.path, Address) and item.known is not None and item.known[0] == 5
    spool = Spool(tmp_path / "spool")
    path, version = spool.fetch(item.path)
    assert isinstance(path, Path) and path.read_bytes() == b"sound" and path.suffix == ".wav"
    assert version == item.known == version_of(Input(Address(item.path.url), Path("a")))
    put(f"{memory}/a.wav", b"other")
    found = spool.fetch(item.path)
    assert isinstance(found, tuple) and found[0].read_bytes() == b"other" and found[1] != version
    spool.end()
    assert not (tmp_path / "spool").exists()
    with pytest.raises(EOFError):
        spool.fetch(item.path)


def test_what_changes_again_and_again_while_it_is_fetched_is_refused(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{memory}/a.wav")
    (item,) = list_inputs([memory])
    store = type(fsspec.filesystem("memory"))
    real = store.get_file

    def get_file(self: object, name: str, *rest: object) -> None:
        real(self, name, *rest)
        put(f"{memory}/a.wav", b"another")

    monkeypatch.setattr(store, "get_file", get_file)
    assert isinstance(item.path, Address)
    spool = Spool(tmp_path / "spool")
    assert spool.fetch(item.path) == (
        f"{item.path} changes while it is fetched: try again when it is whole"
    )
    assert not list((tmp_path / "spool").iterdir())


def test_a_spool_holds_no_more_than_one_file_above_its_limit(memory: str, tmp_path: Path) -> None:
    for number in range(6):
        put(f"{memory}/{number}.wav", b"12345678")
    spool = Spool(tmp_path / "spool", most=10)
    fetched: list[Path] = []
    done = threading.Semaphore(0)

    def fetch(address: Address) -> None:
        found = spool.fetch(address)
        assert isinstance(found, tuple)
        fetched.append(found[0])
        done.release()

    items = list_inputs([memory])
    threads = [threading.Thread(target=fetch, args=(item.path,)) for item in items]
    for thread in threads:
        thread.start()
    for place in range(6):
        done.acquire()
        assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= 16
        if place:
            spool.drop(fetched[place - 1])
    for thread in threads:
        thread.join()


def test_what_arrives_in_a_store_is_taken_once_it_stays_the_same(memory: str) -> None:
    looks = 0
    stop = threading.Event()

    def look() -> Inputs:
        """The file grows until the third look, and changes at the sixth."""
        nonlocal looks
        looks += 1
        if looks <= 3:
            put(f"{memory}/a.wav", b"x" * looks)
        if looks == 6:
            put(f"{memory}/a.wav", b"other")
        if looks == 9:
            stop.set()
        return list_inputs([memory])

    taken = [(looks, item.known) for item in settled(look, stop, 0.0)]
    assert [(look, known and known[0]) for look, known in taken] == [(4, 3), (7, 5)]


@pytest.mark.parametrize("option", ["--output", "--status", "--jsonl"])
def test_results_are_not_written_to_a_folder_named_like_a_store(
    clips: list[Path], tmp_path: Path, option: str
) -> None:
    said = asr("transcribe", clips[0], option, "s3://ours/out", cwd=tmp_path)
    assert said.returncode == 2 and said.stderr.startswith("asr: s3://ours/out is in a store, and")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_job_over_a_web_server_is_that_over_its_folder(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, output, whole = tmp_path / "in", tmp_path / "out", tmp_path / "whole"
    (folder / "deep er").mkdir(parents=True)
    shutil.copy(clips[1], folder / "deep er" / "é 1.opus")
    for name in ("busy", "private", "changing"):
        shutil.copy(clips[0], folder / f"{name}.flac")
    left = output / ".earshot" / "fetched" / "1.flac"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a killed job")
    refused = {"/busy.flac": (503, 1), "/private.flac": (403, 10**6)}
    arguments = ("transcribe", "--bundle", tiny_bundle, "--format", "json", "--output")
    with web(folder, refused) as address:
        first = asr(*arguments, output, f"{address}/")
        assert first.returncode == 1 and "3 of 4 written" in first.stderr
        assert f"{address}/private.flac is refused (Forbidden): give credentials" in first.stderr
        status = asr("transcribe", "--status", output)
        assert status.returncode == 1
        assert status.stdout.startswith(f"{address}/private.flac\t{address}/private.flac is refus")
        del refused["/private.flac"]
        (folder / "changing.flac").write_bytes(clips[1].read_bytes())
        again = asr(*arguments, output, f"{address}/")
        assert again.returncode == 0 and "asr: 2 of them by an earlier run\n" in again.stderr
        alone = asr("transcribe", "--bundle", tiny_bundle, f"{address}/deep%20er/%C3%A9%201.opus")
        dry = asr("transcribe", "--dry-run", f"{address}/**/*.opus")
        assert dry.stderr == ("asr: 1 recording of unknown length in stores; nothing was written\n")
    assert not left.parent.exists()
    asr(*arguments, whole, folder)
    written = {path.relative_to(output): path.read_bytes() for path in output.rglob("*.json")}
    assert written == {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.json")}
    assert json.loads(written[Path("deep er/é 1.json")])["text"] == alone.stdout.strip()


@pytest.mark.slow
def test_a_folder_on_a_web_server_is_listed_with_what_is_left_out(tmp_path: Path) -> None:
    for name in ("a b/x.flac", "a b/README", "closed/y.flac", "é/deep.er/z.flac", ".no/n.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    refused = {"/closed/": (403, 10**6)}
    with web(tmp_path, refused) as address:
        found = list_inputs([f"{address}/"])
        assert [item.inner.as_posix() for item in found if not item.problem] == [
            "é/deep.er/z.flac",  # sorted as they are written in addresses
            "a b/x.flac",
        ]
        assert [item.problem for item in found if item.problem] == [
            f"{address}/closed/ is refused (Forbidden): give credentials that may read it, as its "
            "store's own tools take them"
        ]
        assert found.passed_over == 1
        refused.clear()
        assert inner(list_inputs([f"{address}/a%20b"])) == ["x.flac"]  # a folder all the same
        assert inner(list_inputs([f"{address}/*/x.*"])) == ["a b/x.flac"]
        assert len(list_inputs([f"{address}/**/*.flac"])) == 3
        assert inner(list_inputs([f"{address}/é/*"])) == ["deep.er/z.flac"]
        (gone,) = list_inputs([f"{address}/gone"])
        assert gone.problem == f"{address}/gone does not exist: check the address"


@pytest.mark.parametrize(
    ("page", "heard", "left"),
    [
        ('<a href="a/">a</a> <A HREF=x.wav>x</A>', ["x.wav"], "a/ lies in a circle, by the links"),
        ('<a href="a/">a</a>', [], "a/" * 17 + " lies more than 16 folders below"),
        ("<a href='a/'>a</a> <a href='b/'>b</a>", [], "a/ lies, as 1 more, in a circle, by the"),
        ('<a href="../">up</a> <a href="?C=N">sort</a> <a href="/">', None, ""),
    ],
)
def test_links_in_a_circle_are_left_out_with_a_word(
    page: str, heard: list[str] | None, left: str
) -> None:
    asked: list[str] = []
    with same(page, asked) as address:
        found = list_inputs([f"{address}/"])
    assert [item.inner.as_posix() for item in found if not item.problem] == (heard or [])
    (problem,) = (item.problem for item in found if item.problem)
    if heard is None:
        assert problem == f"{address}/ holds no recordings: give another address"
    else:
        assert problem.startswith(f"{address}/{left}")
    assert len(asked) <= 18


def test_more_folders_than_anybody_can_read_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.batch.web._FOLDERS", 5)
    names = iter(range(1000))

    def read(url: str) -> Page:
        return Page(url, [f"{next(names)}/", f"{next(names)}/", f"{next(names)}.wav"])

    *files, left = files_below(read, "http://h/")
    assert len(files) == 5 and all(file.problem is None for file in files)
    assert "others are left out, after 5 folders or 1,000,000 links" in str(left.problem)


@pytest.mark.slow
def test_a_page_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.batch.web._PAGE_BYTES", 1000)
    with same("<a href='a.wav'>" * 1000, []) as address:
        (item,) = list_inputs([f"{address}/"])
    assert item.problem is not None and "(its page has more than 0 MB)" in item.problem


@pytest.mark.parametrize("watched", [True, False])
def test_what_is_not_there_is_named_at_once(
    tmp_path: Path, memory: str, tiny_bundle: Path, watched: bool
) -> None:
    put(f"{memory}/notes.txt")
    given = (tmp_path / "gone", f"{memory}/gone too")
    options = ("--bundle", tiny_bundle, "--output", tmp_path / "out", *["--watch"] * watched)
    said = asr("transcribe", *given, *options)
    assert said.returncode == 2 and not (tmp_path / "out").exists()
    assert said.stderr == (
        f"asr: {given[0]} does not exist: check the path\n"
        f"asr: {given[1]} does not exist: check the address\n"
    )


def test_a_watched_bucket_is_listed_and_its_files_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3fs = pytest.importorskip("s3fs", reason="needs the extra `stores`")
    for name, value in (("DEFAULT_REGION", "us-east-1"), ("SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(f"AWS_{name}", value)
    asked: list[str] = []
    with bucket("ours", {"talks/a.wav": b"a", "talks/empty.wav": b""}, asked) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "good")
        stores._store.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
        stop, looks = threading.Event(), iter(range(1, 4))

        def look() -> Inputs:
            if next(looks) == 3:
                stop.set()
            return list_inputs(["s3://ours/talks"])

        assert len(list(settled(look, stop, pause_s=0.0))) == 2
    assert asked and not [path for path in asked if path.endswith(".wav")]
    stores._store.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_a_bucket_is_read_by_the_client_of_s3(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3fs = pytest.importorskip("s3fs", reason="needs the extra `stores`")
    files = {f"talks/{place}x.flac": clips[0].read_bytes() for place in ("", "a b/")}
    with bucket("ours", {**files, "talks/notes.txt": b"mine"}) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

        def transcribe(name: str, key: str = "good") -> "subprocess.CompletedProcess[str]":
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            stores._store.cache_clear()
            s3fs.S3FileSystem.clear_instance_cache()
            return asr("transcribe", name, "--bundle", tiny_bundle, "--output", tmp_path / "out")

        for said in ("asr: 2 of 2 written to", "asr: 2 of them by an earlier run\n"):
            done = transcribe("s3://ours/talks")
            assert done.returncode == 0 and said in done.stderr, done.stderr
            assert "asr: 1 other file passed over (.txt 1)\n" in done.stderr
        texts = {str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("*.txt")}
        assert texts == {"x.txt", "a b/x.txt"}
        for name, key, said in (
            ("s3://ours/gone", "good", "asr: s3://ours/gone does not exist: check the address\n"),
            ("s3://theirs/x", "good", "asr: s3://theirs/x cannot be read ("),
            ("s3://ours/talks", "bad", "asr: s3://ours/talks is refused (Forbidden): give cred"),
        ):
            refused = transcribe(name, key)
            assert refused.returncode == 2 and refused.stderr.startswith(said), refused.stderr
            assert refused.stderr.count("\n") == 1
    stores._store.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_store_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    with web(tmp_path) as address:
        pass  # nobody listens there now
    with pytest.raises(StoreError) as refused:
        Address(f"{address}/a.wav").version()
    assert not refused.value.final and "check the address and the network" in str(refused.value)
    with pytest.raises(BadOption, match="kind of store that is not known"):
        Address("nothing://a").version()
