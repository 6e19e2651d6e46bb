"""The store and the spool: what is in them after every step, and after a restart."""

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr.errors import BadOption
from asr.transcript import Alternative, Transcript, Word
from service.errors import ApiError
from service.jobs.database import Sqlite
from service.jobs.disk import Disk
from service.jobs.records import Record, TooManyBytes, TooManyJobs
from service.jobs.results import packed, unpacked
from service.jobs.spool import Spool, SpoolFull
from service.jobs.store import Store
from service.settings import Settings

JOB = Record(
    "job_1", "ann", "digest", "talk.wav", 5, {"model": "en"}, {"nbest": 2}, 1.5, 60.0, repeats="r"
)


Reopen = Callable[..., Store]
MOST = 10**9


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens one database as a service does at its start; those before it have ended."""
    shared = request.param == "postgres"
    url = request.getfixturevalue("postgres").new_database() if shared else ""
    stores: list[Store] = []

    def another(replica: str = "one", lease_s: float = 0.0) -> Store:
        if not shared:
            for store in stores:
                store.close()
        database: Any
        if shared:
            from service.jobs.postgres import Postgres

            database = Postgres(url)
        else:
            database = Sqlite(tmp_path / "jobs.sqlite")
        stores.append(Store(database, replica, lease_s))
        return stores[-1]

    yield another
    for store in stores:
        store.close()


def ids(store: Store) -> list[str]:
    """The jobs that wait, in the order in which they are taken."""
    queue = store.standing().queue
    return [job.id for job in iter(queue.take, None)]


def taken(store: Store, now: float, most: float = math.inf) -> Record | None:
    found = store.take(now, most)
    return None if found is None else found[0]


def test_a_job_ends_once_and_stays_ended(opened: Reopen) -> None:
    store = opened()
    assert store.add(JOB, 0, MOST) == JOB
    assert store.get("job_1") == JOB and store.get("job_2") is None
    assert taken(store, 2.0, most=59.9) is None
    first = taken(store, 2.0, most=60.0)
    assert first == replace(JOB, state="running", starts=1, started=2.0)
    assert taken(store, 2.0) is None
    store = opened("two", 3600.0)  # it ran when the service ended
    assert ids(store) == ["job_1"]
    assert taken(store, 3.0) == replace(JOB, state="running", starts=2, started=3.0)
    store.put_back()
    store.put_back()
    assert ids(store) == ["job_1"]
    assert taken(store, 4.0) == replace(JOB, state="running", starts=2, started=4.0)
    assert store.standing().bytes == 5
    assert store.finish("job_1", 5.0, 61.0, "the result")
    assert not store.finish("job_1", 6.0, None, None, {"status": 500}, whoever_holds_it=True)
    store.put_back()
    assert taken(store, 7.0) is None
    store = opened()
    assert store.unended() == set() and store.standing().bytes == 0
    done = replace(JOB, state="done", starts=2, started=4.0, ended=5.0, seconds=61.0)
    assert store.get("job_1") == done and store.result("job_1") == "the result"
    assert store.older(5.0) == [] and store.older(5.1) == [done]
    assert store.usage(0) == [("ann", 1, 61.0)]
    assert not store.forget("job_1") and not store.forget("job_1")
    assert store.get("job_1") is None and store.result("job_1") is None


def test_a_repeated_job_is_the_first_one_also_when_it_has_ended(opened: Reopen) -> None:
    store = opened()
    store.add(JOB, 1, MOST)
    assert store.add(JOB, 1, MOST) == JOB  # as after a connection that broke
    assert store.add(replace(JOB, id="job_2", repeats="r"), 1, MOST).id == "job_1"
    with pytest.raises(TooManyJobs):
        store.add(replace(JOB, id="job_2", repeats=None), 1, MOST)
    with pytest.raises(TooManyBytes):
        store.add(replace(JOB, id="job_2", repeats=None), 0, 9)
    assert store.add(replace(JOB, id="job_2", key="bob", repeats="r"), 1, 10).id == "job_2"
    assert taken(store, 4.0) == replace(JOB, state="running", starts=1, started=4.0)
    store.finish("job_1", 5.0, 1.0, "")
    assert store.add(replace(JOB, id="job_3", repeats="r"), 1, MOST).id == "job_1"
    assert store.add(replace(JOB, id="job_3", repeats=None), 1, MOST).id == "job_3"
    assert store.unended() == {"job_2", "job_3"} and store.unfinished("bob") == 1
    assert store.forget("job_2") and store.unended() == {"job_3"}


def test_keys_take_turns_also_after_a_restart(opened: Reopen) -> None:
    store = opened()
    for number in range(4):
        store.add(replace(JOB, id=f"ann {number}", repeats=None), 0, MOST)
    order = [taken(store, 1.0), taken(store, 1.0)]
    for id in ("ann 0", "ann 1"):
        assert store.finish(id, 2.0, 60.0, "")
    store.add(replace(JOB, id="bob 0", key="bob", repeats=None), 0, MOST)
    store = opened()
    assert ids(store) == ["bob 0", "ann 2", "ann 3"]
    order += [taken(store, 3.0) for _ in range(3)]
    assert [job.id for job in order if job] == ["ann 0", "ann 1", "bob 0", "ann 2", "ann 3"]


def test_an_address_is_called_by_one_until_it_has_answered(opened: Reopen) -> None:
    store = opened()
    store.add(replace(JOB, callback="https://host.example/"), 0, MOST)
    store.take(1.0, math.inf)
    assert store.take_calls(8, 0.0) == []
    store.finish("job_1", 2.0, 1.0, "")
    (due,) = store.take_calls(8, 3600.0)
    assert (due.id, due.calls) == ("job_1", 0)
    assert store.take_calls(8, 3600.0) == []  # somebody calls it
    store.called("job_1", -1.0)
    (again,) = store.take_calls(8, -1.0)
    assert again.calls == 1
    (again,) = store.take_calls(8, 3600.0)  # who called it has ended
    assert again.calls == 1
    store.called("job_1", None)
    assert store.take_calls(8, 3600.0) == []


def test_usage_is_kept(opened: Reopen) -> None:
    store = opened()
    assert store.usage(1) == []
    store.keep_usage(1, [("ann", 2, 3.5), ("bob", 1, 1.0)])
    store.keep_usage(1, [("ann", 3, 4.5)])
    store.keep_usage(2, [("ann", 1, 0.1 + 0.2)])
    assert store.usage(1) == store.usage(2) == []  # its own
    store = opened("two")
    assert store.usage(1) == [("ann", 3, 4.5), ("bob", 1, 1.0)]
    assert store.usage(2) == [("ann", 1, 0.1 + 0.2)]
    store.keep_usage(2, [("ann", 1, 1.0)])
    store = opened("three")
    assert store.usage(2) == [("ann", 2, 0.1 + 0.2 + 1.0)]
    store.keep_usage(3, [])
    assert store.usage(1) == []


def test_text_that_a_database_may_refuse_is_kept(opened: Reopen) -> None:
    store = opened()
    odd = replace(JOB, name="\0 ' % ? %s é 🙂", repeats="%s?", fields={"prompt": "\0 % ?"})
    store.add(odd, 0, MOST)
    found = store.get("job_1")
    assert found is not None and found.fields == odd.fields
    assert found.name.replace("\ufffd", "\0") == odd.name
    assert store.add(replace(odd, id="job_2"), 0, MOST).id == "job_1"
    assert store.get("\0") is None


def test_a_store_is_used_by_one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.sqlite"
    database = Sqlite(path)
    monkeypatch.setattr("service.jobs.database._BUSY_S", 0.05)
    with pytest.raises(BadOption, match="another service uses it"):
        Sqlite(path)
    database.close()
    Sqlite(path).close()


def test_a_store_that_is_none_or_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but a text that is long enough" * 50)
    with pytest.raises(BadOption, match="cannot be read"):
        Sqlite(tmp_path / "text")
    with sqlite3.connect(tmp_path / "new") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    new = Sqlite(tmp_path / "new")
    with pytest.raises(BadOption, match="another version"):
        Store(new)
    new.close()


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
    upload.settle()
    upload.close()
    other = spool.upload("job_2")
    other.write(b"1234")
    assert not spool.has_room(1)
    other.close()
    other.close()
    assert spool.held == 6 and spool.recording("job_1").read_bytes() == b"abcdef"

    (tmp_path / "spool" / "job_3").mkdir()
    again = Spool(tmp_path / "spool", 10)
    again.set_accepted(6)
    again.sweep({"job_1"}, 3600.0)  # which may be on its way to another replica
    assert {path.name for path in tmp_path.glob("spool/*")} == {"job_1", "job_3"}
    again.sweep({"job_1"}, 0.0)
    assert again.held == 6 and [path.name for path in tmp_path.glob("spool/*")] == ["job_1"]
    again.empty("job_1", 6)
    again.empty("job_1", 0)
    assert again.held == 0 and not list(tmp_path.glob("spool/*"))


def test_a_disk_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    async def told(disk: Disk, call: Any) -> tuple[int, str | None]:
        with pytest.raises(ApiError) as caught:
            await disk.ask(call(disk), "no statement")
        return caught.value.status, caught.value.detail.code

    async def run() -> None:
        off, disk = Disk(Settings()), Disk(Settings(jobs_folder=tmp_path))
        await off.open()
        assert await told(off, lambda disk: disk.store) == (403, "jobs_off")
        assert await told(disk, lambda disk: disk.spool) == (503, "not_ready")
        await disk.open()
        failed = await told(disk, lambda disk: disk.store._execute)
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


def test_a_spool_that_cannot_be_swept_for_now_is_a_failure_of_the_disk(tmp_path: Path) -> None:
    async def swept() -> None:
        disk = Disk(Settings(jobs_folder=tmp_path))
        await disk.open()
        try:
            (tmp_path / "spool").rmdir()
            with pytest.raises(ApiError) as caught:
                await disk.sweep()
            assert caught.value.detail.code == "disk_failed"
        finally:
            await disk.close()

    asyncio.run(swept())
