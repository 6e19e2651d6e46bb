"""The store and the spool: what is in them after every step, and after a restart."""

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr.errors import BadOption
from asr.transcript import Alternative, Transcript, Word
from service.errors import ApiError
from service.jobs.disk import Disk
from service.jobs.results import packed, unpacked
from service.jobs.spool import Spool, SpoolFull
from service.jobs.store import Record, Store, TooManyJobs

JOB = Record(
    "job_1", "ann", "digest", "talk.wav", 5, {"model": "en"}, {"nbest": 2}, 1.5, 60.0, repeats="r"
)


def reopened(store: Store, path: Path) -> Store:
    store.close()
    return Store(path)


def test_a_job_ends_once_and_stays_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    assert store.add(JOB, 0) == JOB
    assert store.get("job_1") == JOB and store.get("job_2") is None
    store.begin("job_1", 2.0)
    store = reopened(store, tmp_path / "jobs.sqlite")
    (job,) = store.unended()  # it ran when the service ended
    assert (job.state, job.starts) == ("waiting", 1)
    store.begin("job_1", 3.0)
    store.put_back("job_1")
    store.put_back("job_1")
    store.begin("job_1", 4.0)
    assert store.finish("job_1", 5.0, 61.0, "the result")
    assert not store.finish("job_1", 6.0, None, None, {"status": 500})
    store.put_back("job_1")
    store.begin("job_1", 7.0)
    store = reopened(store, tmp_path / "jobs.sqlite")
    assert store.unended() == []
    done = replace(JOB, state="done", starts=2, started=4.0, ended=5.0, seconds=61.0)
    assert store.get("job_1") == done and store.result("job_1") == "the result"
    assert store.older(5.0) == [] and store.older(5.1) == [done]
    store.forget("job_1")
    assert store.get("job_1") is None
    store.close()


def test_a_repeated_job_is_the_first_one_also_when_it_has_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    store.add(JOB, 1)
    assert store.add(replace(JOB, id="job_2", repeats="r"), 1).id == "job_1"
    with pytest.raises(TooManyJobs):
        store.add(replace(JOB, id="job_2", repeats=None), 1)
    assert store.add(replace(JOB, id="job_2", key="bob", repeats="r"), 1).id == "job_2"
    store.finish("job_1", 5.0, 1.0, "")
    assert store.add(replace(JOB, id="job_3", repeats="r"), 1).id == "job_1"
    assert store.add(replace(JOB, id="job_3", repeats=None), 1).id == "job_3"
    assert [job.id for job in store.unended()] == ["job_2", "job_3"]
    store.close()


def test_usage_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    assert store.usage() == []
    store.keep_usage([("ann", 1, 2, 3.5), ("bob", 1, 1, 1.0)])
    store.keep_usage([("ann", 2, 1, 0.1 + 0.2)])
    store = reopened(store, tmp_path / "jobs.sqlite")
    assert store.usage() == [("ann", 2, 1, 0.1 + 0.2)]
    store.close()


def test_a_store_is_used_by_one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.sqlite"
    store = Store(path)
    monkeypatch.setattr("service.jobs.store._BUSY_S", 0.05)
    with pytest.raises(BadOption, match="another service uses it"):
        Store(path)
    store.close()
    Store(path).close()


def test_a_store_that_is_none_or_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but a text that is long enough" * 50)
    with pytest.raises(BadOption, match="cannot be read"):
        Store(tmp_path / "text")
    with sqlite3.connect(tmp_path / "new") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(BadOption, match="another version"):
        Store(tmp_path / "new")


def test_the_spool_counts_what_it_holds_and_what_is_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10)
    upload = spool.upload("job_1")
    assert not list(tmp_path.glob("spool/*"))
    upload.write(b"abc")
    upload.write(b"def")
    assert (spool.held, upload.size, upload.head) == (6, 6, b"abcdef")
    with pytest.raises(SpoolFull):
        upload.write(b"12345")
    upload.save()
    upload.is_accepted = True
    upload.close()
    other = spool.upload("job_2")
    other.write(b"1234")
    assert not spool.has_room(1)
    other.close()
    other.close()
    assert spool.held == 6 and spool.recording("job_1").read_bytes() == b"abcdef"

    (tmp_path / "spool" / "job_3").mkdir()
    again = Spool(tmp_path / "spool", 10)
    again.sweep({"job_1"})
    assert again.held == 6 and [path.name for path in tmp_path.glob("spool/*")] == ["job_1"]
    again.empty("job_1")
    again.empty("job_1")
    assert again.held == 0 and not list(tmp_path.glob("spool/*"))


def test_a_disk_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    async def told(disk: Disk, call: Any) -> tuple[int, str | None]:
        with pytest.raises(ApiError) as caught:
            await disk.ask(call(disk), "no statement")
        return caught.value.status, caught.value.detail.code

    async def run() -> None:
        off, disk = Disk(None, 10), Disk(tmp_path, 10)
        assert await off.open() == []
        assert await told(off, lambda disk: disk.store) == (403, "jobs_off")
        assert await told(disk, lambda disk: disk.spool) == (503, "not_ready")
        await disk.open()
        failed = await told(disk, lambda disk: disk.store._database.execute)
        assert failed == (503, "disk_failed")
        await disk.close()
        await off.close()

    asyncio.run(run())


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadOption, match=r"EARSHOT_JOBS_FOLDER .* cannot be used"):
        Spool(tmp_path / "file" / "spool", 10)


def test_a_result_is_exact() -> None:
    words = (Word("one", 0.1 + 0.2, 1 / 3, 0.123456789, channel=1), Word("two", 2.0, 3.0, 1.0))
    whole = replace(Transcript.of(words, 4.0), alternatives=(Alternative("one", -1 / 3),))
    timings = {"model": time.time()}
    outcome = unpacked(packed((whole, Transcript.of([], 4.0)), timings))
    assert outcome.transcripts == (whole, Transcript.of([], 4.0)) and outcome.timings == timings
