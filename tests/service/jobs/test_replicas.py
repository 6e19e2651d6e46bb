"""Replicas that share their jobs in PostgreSQL: each job is run by one of them, and ends once."""

import contextlib
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import PASSWORD, Server
from fastapi import FastAPI
from receivers import Receiver
from serving import assert_shape, ended, running, service, speech, wav

from asr.errors import BadOption
from asr.runtime import Recognizer
from service.access.keys import new_key
from service.settings import Settings

pytestmark = pytest.mark.slow

URL = "/v1/jobs"
SECRET = "a secret of more than 24 characters"
KEY, LINE = new_key("ann")
Replica = tuple[FastAPI, httpx.Client]


def wait_until(condition: Any) -> None:
    while not condition():
        time.sleep(0.05)


def test_a_replica_killed_at_any_moment_leaves_every_job_to_end_once(
    clips: list[Path],
    tiny_bundle: Path,
    recognizer: Recognizer,
    tmp_path: Path,
    postgres: Server,
) -> None:
    chance = random.Random(31)
    bodies = [clips[0].read_bytes(), b"no sound", wav(speech(clips[0], 400 * 16_000))]
    shared = {"EARSHOT_JOBS_URL": postgres.new_database(), "EARSHOT_JOBS_LEASE_S": "5"}
    jobs: dict[str, int] = {}

    def post(http: httpx.Client, name: str, number: int) -> None:
        """Post a job, which may be known to another replica."""
        headers = {"idempotency-key": name}
        job = http.post(URL, files={"file": ("talk", bodies[number])}, headers=headers).json()
        assert jobs.setdefault(job["id"], number) == number

    with (
        service(tiny_bundle, tmp_path, **shared) as (_, stays),
        service(tiny_bundle, tmp_path, **shared) as (process, http),
    ):
        for turn in range(2):
            for number in range(len(bodies)):
                post(http, f"{turn}-{number}", number)
                post(stays, f"{turn}-{number}", number)
        goal = chance.randrange(2 * len(bodies))
        wait_until(lambda: len(ended(stays, list(jobs))) >= goal)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: len(ended(stays, list(jobs))) == len(jobs))
        assert len(jobs) == 2 * len(bodies)
        for id, number in jobs.items():
            result = stays.get(f"{URL}/{id}/result")
            if number == 1:
                assert result.status_code == 415
            else:
                assert result.json()["text"] == recognizer.transcribe(bodies[number]).text
        usage = stays.get("/v1/usage").json()
        assert usage["jobs"] == 0
        wait_until(lambda: stays.get("/v1/usage").json()["recordings"] >= 4)
        assert stays.get("/v1/usage").json()["recordings"] == 4  # counted where a job ends


@pytest.fixture
def shared(settings: Settings, tmp_path: Path, postgres: Server) -> Settings:
    given = {
        "jobs_url": postgres.new_database(),
        "jobs_folder": tmp_path / "jobs",
        "jobs_max_seconds": 401.0,
        "api_keys": LINE,
        "key_jobs_at_once": 2,
        "key_audio_seconds_per_day": 10_000.0,
        "callback_hosts": "127.0.0.1",
        "callback_secret": SECRET,
    }
    return Settings(**{**settings.model_dump(), **given})


@contextlib.contextmanager
def two(settings: Settings, folder: Path) -> Iterator[list[Replica]]:
    """Two replicas with folders of their own, whose devices wait for $GATE; clients have a key."""
    each = [settings.model_copy(update={"jobs_folder": folder / name}) for name in ("1", "2")]
    with contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(running(one, device="faulty:gated")) for one in each]
        for _, http in replicas:
            http.headers["authorization"] = f"Bearer {KEY}"
        yield replicas


def post(http: httpx.Client, body: bytes, repeats: str = "", **form: str) -> httpx.Response:
    headers = {"idempotency-key": repeats} if repeats else {}
    return http.post(URL, files={"file": ("talk", body)}, data=form, headers=headers)


def runs(replica: Replica, id: str) -> bool:
    return replica[0].state.jobs._work.running(id) is not None


def events(http: httpx.Client, id: str) -> Iterator[str]:
    """The types of the events of a job, but for its progress."""
    with http.stream("GET", f"{URL}/{id}/events") as response:
        for line in response.iter_lines():
            if line.startswith("event: ") and line != "event: job.progress":
                yield line.removeprefix("event: ")


def test_a_job_is_one_at_every_replica(
    shared: Settings,
    clips: list[Path],
    recognizer: Recognizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    long, clip = wav(speech(clips[0], 400 * 16_000)), clips[0].read_bytes()
    store = pytest.importorskip("fsspec").filesystem("memory")
    shared = shared.model_copy(update={"jobs_uploads": "memory://replicas"})
    receiver = Receiver(200)
    with contextlib.closing(receiver), two(shared, tmp_path) as replicas:
        http = replicas[0][1]
        job = post(http, long, "a").json()
        wait_until(lambda: any(runs(replica, job["id"]) for replica in replicas))
        replicas.sort(key=lambda replica: not runs(replica, job["id"]))
        (_, runner), (_, other) = replicas

        # The other knows it, and how far it is.
        again = post(other, long, "a")
        assert (again.status_code, again.json()["id"]) == (200, job["id"])
        with contextlib.closing(events(other, job["id"])) as seen:
            assert next(seen) == "job.segment"
            state = other.get(f"{URL}/{job['id']}").json()
            assert state["state"] == "running" and state["seconds"] == 400.0
            wait_until(lambda: other.get(f"{URL}/{job['id']}").json()["heard"] > 0)
            early = other.get(f"{URL}/{job['id']}/result")
            assert (early.status_code, assert_shape(early)["code"]) == (409, "job_not_ended")

            # Limits of a key hold at both.
            second = post(runner, long).json()
            wait_until(lambda: any(runs(replica, second["id"]) for replica in replicas))
            wait_until(lambda: other.get("/v1/usage").json()["jobs"] == 2)
            refused = post(other, clip)
            assert (refused.status_code, assert_shape(refused)["code"]) == (429, "too_many_jobs")

            # It is cancelled where it does not run.
            assert len(store.find("/replicas")) == 2
            assert other.delete(f"{URL}/{job['id']}").status_code == 200
            assert list(seen)[-1] == "job.deleted"
        wait_until(lambda: not runs(replicas[0], job["id"]))
        assert runner.get(f"{URL}/{job['id']}").status_code == 404

        # Each address is called once. Both devices may be at windows that wait for the gate.
        gate.touch()
        called = post(runner, clip, callback_url=receiver.url).json()["id"]
        wait_until(lambda: ended(other, [called]))
        wait_until(lambda: len(receiver.calls) >= 1)
        wait_until(lambda: ended(other, [second["id"]]))
        text = recognizer.transcribe(long).text
        assert other.get(f"{URL}/{second['id']}/result").json()["text"] == text
        wait_until(lambda: other.get("/v1/usage").json()["audio_seconds"] > 400)
        assert [headers["webhook-id"] for _, headers, _ in receiver.calls] == [called]
        wait_until(lambda: not list(tmp_path.glob("?/spool/*")) and not store.find("/replicas"))


def test_a_database_that_is_away_for_a_while_loses_nothing(
    shared: Settings,
    clips: list[Path],
    tmp_path: Path,
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    monkeypatch.setattr("service.jobs.work._RETRY_S", 0.05)
    long, clip = wav(speech(clips[0], 400 * 16_000)), clips[0].read_bytes()
    with running(shared, device="faulty:gated") as (app, http):
        http.headers["authorization"] = f"Bearer {KEY}"
        id = post(http, long).json()["id"]
        wait_until(lambda: runs((app, http), id))
        postgres.stop()
        for answer in (post(http, clip, "b"), http.get(f"{URL}/{id}")):
            assert (answer.status_code, assert_shape(answer)["code"]) == (503, "database_failed")
            assert answer.headers["retry-after"] == "10"
        assert http.post("/v1/transcribe", content=clip).status_code == 200
        gate.touch()
        wait_until(lambda: app.state.jobs._work.running(id).is_ending)
        postgres.start()
        wait_until(lambda: post(http, clip, "b").status_code in (200, 202))
        wait_until(lambda: len(ended(http, [id])) == 1)
        assert ended(http, [id])[0]["state"] == "done"


def test_a_database_that_cannot_be_used_is_told_in_a_sentence_without_its_password(
    postgres: Server,
) -> None:
    from service.jobs.postgres import Postgres
    from service.jobs.store import Store

    for url, said in (
        (postgres.url().replace(f":{postgres.port}/", ":1/"), "cannot be reached"),
        (postgres.url("none"), "cannot be reached"),
        (postgres.url().replace("a%20word", "wrong"), "cannot be reached"),
        ("postgresql://earshot:a@word@host:port:1/x", "EARSHOT_JOBS_URL"),
    ):
        with pytest.raises(BadOption, match=said) as caught:
            Postgres(url)
        assert "EARSHOT_JOBS_URL" in str(caught.value)
        assert not {"word", "wrong"} & set(re.findall(r"\w+", str(caught.value)))
        assert "\n" not in str(caught.value)
    url = postgres.new_database()
    database = Postgres(url)
    database.execute("CREATE TABLE jobs (id INTEGER)")
    with pytest.raises(BadOption, match="another program"):
        Store(database)
    database.close()
    for wrong in (f"mysql://user:{PASSWORD}@host/name", url):
        with pytest.raises(BadOption, match="EARSHOT_JOBS_") as caught:
            Settings.read(jobs_url=wrong)
        assert PASSWORD not in str(caught.value)
    assert "word%20that" in url
    assert "word%20that" not in Settings(jobs_url=url, jobs_folder=Path("jobs")).listed()
