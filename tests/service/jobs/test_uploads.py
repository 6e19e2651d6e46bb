"""Recordings of jobs in stores of fsspec: kept, fetched, removed, and what was left swept."""

import asyncio
import time
from pathlib import Path

import pytest

from asr.errors import BadOption
from service.errors import ApiError
from service.jobs.disk import guarded
from service.jobs.spool import Spool
from service.jobs.uploads import Uploads, UploadsFailed

pytest.importorskip("fsspec", reason="needs the extra `stores`")

ONE, TWO, OTHER = "job_" + "1" * 24, "job_" + "2" * 24, "notes.txt"


@pytest.fixture(params=["folder", "file", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    folder = tmp_path / "shared" / "deep"
    return {
        "folder": str(folder),
        "file": folder.as_uri(),
        "memory": f"memory://{tmp_path.name}/deep",
    }[str(request.param)]


def taken_in(spool: Spool, id: str, content: bytes, stays: bool = True) -> None:
    upload = spool.upload(id)
    upload.write(content)
    upload.save()
    if stays:
        upload.is_accepted = True
        upload.settle()
    upload.close()


def names(uploads: Uploads) -> set[str]:
    return {name.rsplit("/", 1)[-1] for name in uploads._files()}


def test_a_recording_is_in_the_store_and_on_the_disk_of_whoever_works_on_it(
    address: str, tmp_path: Path
) -> None:
    uploads = Uploads(address)
    one, two = (Spool(tmp_path / name, 10, Uploads(address)) for name in ("one", "two"))
    taken_in(one, ONE, b"abc")
    taken_in(one, TWO, b"defg", stays=False)
    assert one.held == 3 and names(uploads) == {ONE} and not list((tmp_path / "one").iterdir())
    assert two.fetch(ONE).read_bytes() == two.fetch(ONE).read_bytes() == b"abc"
    two.leave(ONE)
    assert not list((tmp_path / "two").iterdir()) and names(uploads) == {ONE}
    assert two.fetch(ONE).read_bytes() == b"abc"
    two.empty(ONE, 3)
    one.empty(ONE, 3)  # which was done elsewhere
    assert one.held == 0 and names(uploads) == set()
    with pytest.raises(FileNotFoundError):
        two.fetch(ONE)
    assert not list((tmp_path / "two").glob("*/*"))


def test_only_recordings_that_no_job_has_are_swept_once_they_are_old(
    address: str, tmp_path: Path
) -> None:
    uploads = Uploads(address)
    (tmp_path / "x").write_bytes(b"x")
    for name in (ONE, TWO, OTHER):
        uploads.put(name, tmp_path / "x")
    uploads.sweep({ONE}, 3600.0)
    assert names(uploads) == {ONE, TWO, OTHER}
    uploads.sweep({ONE}, -3600.0)
    assert names(uploads) == {ONE, OTHER}


def test_a_store_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uploads = Uploads(f"memory://{tmp_path.name}")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the bucket\nis frozen")

    for name in ("open", "put_file", "pipe_file", "rm_file", "find"):
        monkeypatch.setattr(type(uploads._store), name, fails)
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(UploadsFailed, match="the bucket is frozen"):
        uploads.put(ONE, tmp_path / "x")
    with pytest.raises(BadOption, match=r"EARSHOT_JOBS_UPLOADS cannot be used \(the bucket is"):
        Uploads(f"memory://{tmp_path.name}")
    uploads.sweep({ONE}, time.time())
    uploads.remove(ONE)
    assert "was not removed: the bucket is frozen" in caplog.text

    async def told() -> ApiError:
        with pytest.raises(ApiError) as caught:
            await guarded(asyncio.to_thread(uploads.fetch, ONE, tmp_path / "to" / "recording"))
        return caught.value

    error = asyncio.run(told())
    assert (error.status, error.detail.code) == (503, "uploads_failed")
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize(
    ("address", "said"),
    [("nothing://x/y", "kind of store that is not known"), ("github://x:y@z/", "not installed")],
)
def test_an_address_that_cannot_be_used_is_refused(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "requests", None)
    with pytest.raises(BadOption, match=said):
        Uploads(address)
