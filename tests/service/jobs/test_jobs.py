"""Jobs over HTTP: their results are those of requests, and each key sees its own."""

import io
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from fastapi import FastAPI
from fastapi.testclient import TestClient
from serving import MAX_UPLOAD_BYTES, assert_shape, metric, running, speech, wav

from asr.audio import load
from asr.runtime import Recognizer
from service.access.keys import new_key
from service.app import create_app
from service.jobs.store import Store
from service.settings import Settings

pytestmark = pytest.mark.slow

URL = "/v1/jobs"
FORM = "/v1/audio/transcriptions"
MOST_BYTES = 4_000_000
KEYS = {name: new_key(name) for name in ("ann", "bob", "eve")}


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[name][0]}"}


@pytest.fixture(scope="module")
def app_and_client(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FastAPI, httpx.Client, Path]]:
    """A server with jobs, keys and limits, asked with Ann's; and its spool."""
    folder = tmp_path_factory.mktemp("jobs")
    given = {
        "jobs_folder": folder,
        "jobs_max_bytes": MOST_BYTES,
        "jobs_max_upload_bytes": MOST_BYTES,
        "jobs_max_seconds": 60.0,
        "key_jobs_at_once": 40,
        "key_audio_seconds_per_day": 10_000.0,
        "api_keys": ",".join(line for _, line in KEYS.values()),
    }
    with running(Settings(**{**settings.model_dump(), **given})) as (app, http):
        http.headers.update(bearer("ann"))
        yield app, http, folder / "spool"


@pytest.fixture
def server(app_and_client: tuple[FastAPI, httpx.Client, Path]) -> tuple[httpx.Client, Path]:
    return app_and_client[1:]


@pytest.fixture
def http(server: tuple[httpx.Client, Path]) -> httpx.Client:
    return server[0]


def post(http: httpx.Client, body: bytes, key: str = "ann", repeats: str = "", **form: Any) -> Any:
    headers = bearer(key) if "authorization" in http.headers else {}
    if repeats:
        headers["idempotency-key"] = repeats
    return http.post(URL, files={"file": ("talk", body)}, data=form, headers=headers)


def events(
    http: httpx.Client, id: str, after: int | None = None, until: str = ""
) -> list[tuple[int | None, dict[str, Any]]]:
    """The numbered events of a job, to its end or the first of a type; progress is left out."""
    headers = {} if after is None else {"last-event-id": str(after)}
    found: list[tuple[int | None, dict[str, Any]]] = []
    number = None
    with http.stream("GET", f"{URL}/{id}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if event["type"] != "job.progress":
                    found.append((number, event))
                number = None
                if event["type"] == until:
                    break
            else:
                assert line == "" or line.startswith((":", "event: "))
    return found


def ended(http: httpx.Client, id: str) -> Any:
    """The job, once it has ended."""
    events(http, id)
    return http.get(f"{URL}/{id}").json()


def comparable(response: httpx.Response) -> Any:
    """An answer without the time that it took."""
    assert response.status_code == 200, response.text
    if "json" not in response.headers["content-type"]:
        return response.headers["content-type"], response.text
    return {name: value for name, value in response.json().items() if name != "timings"}


def test_a_jobs_result_is_what_a_request_answers_in_every_format(
    http: httpx.Client, clips: list[Path]
) -> None:
    body = clips[0].read_bytes()
    posted = post(http, body)
    assert posted.status_code == 202
    job = posted.json()
    assert posted.headers["location"] == f"{URL}/{job['id']}"
    assert ended(http, job["id"])["state"] == "done"
    for chosen in ("json", "text", "srt", "vtt", "verbose_json"):
        fields = {"response_format": chosen}
        if chosen == "verbose_json":
            fields["timestamp_granularities"] = "word"
        if chosen == "vtt":
            fields["highlight_words"] = "true"
        result = http.get(f"{URL}/{job['id']}/result", params=fields)
        asked = http.post(FORM, files={"file": body}, data=fields)
        assert comparable(result) == comparable(asked)
    for chosen in ("tsv", "ctm", "textgrid", "eaf", "txt"):
        result = http.get(f"{URL}/{job['id']}/result", params={"response_format": chosen})
        asked = http.post("/v1/transcribe", params={"format": chosen}, content=body)
        assert comparable(result) == comparable(asked)
    refused = http.get(f"{URL}/{job['id']}/result", params={"response_format": "mp3"})
    assert refused.status_code == 422 and assert_shape(refused)["param"] == "response_format"


def test_a_result_is_by_default_as_the_form_said(http: httpx.Client, clip: Path) -> None:
    form = {"response_format": "srt", "max_line_width": "20", "decoder": "beam", "hotwords": "sir"}
    job = post(http, clip.read_bytes(), **form).json()
    assert ended(http, job["id"])["state"] == "done"
    asked = http.post(FORM, files={"file": clip.read_bytes()}, data=form)
    assert comparable(http.get(f"{URL}/{job['id']}/result")) == comparable(asked)


def test_a_larger_recording_than_a_requests_is_read_channel_by_channel(
    http: httpx.Client, clips: list[Path], recognizer: Recognizer
) -> None:
    both = np.stack([speech(path, 25 * 16_000) for path in clips[:2]], axis=1)
    file = io.BytesIO()
    soundfile.write(file, np.repeat(both, 2, axis=0), 32_000, format="WAV", subtype="PCM_16")
    body = file.getvalue()
    assert len(body) > MAX_UPLOAD_BYTES
    job = post(http, body, channels="split").json()
    done = ended(http, job["id"])
    assert (done["state"], done["seconds"], done["heard"]) == ("done", 50.0, 50.0)
    whole = recognizer.transcribe(body, channels="split")
    *found, last = (event for _, event in events(http, job["id"]))
    assert last == {"type": "job.done", "seconds": 50.0, "duration": 25.0}
    assert [(one["text"], one["channel"]) for one in found] == [
        (segment.text, segment.channel) for segment in whole.segments
    ]
    named = {"response_format": "vtt", "speakers": "left=Ann,right=Bob"}
    assert "<v Ann>" in http.get(f"{URL}/{job['id']}/result", params=named).text
    named["response_format"] = "diarized_json"
    turns = http.get(f"{URL}/{job['id']}/result", params=named).json()["segments"]
    assert [(one["text"], one["speaker"]) for one in turns] == [
        (segment.text, "Ann" if segment.channel == 1 else "Bob") for segment in whole.segments
    ]


def test_events_have_all_segments_and_go_on_after_the_last_that_came(
    http: httpx.Client, clips: list[Path], recognizer: Recognizer
) -> None:
    parts = [np.append(load(path).samples, np.zeros(20_000)) for path in clips[:4]]
    body = wav(np.concatenate(parts).astype(np.float32)[: 50 * 16_000 // 2])
    whole = recognizer.transcribe(body)
    job = post(http, body).json()
    found = events(http, job["id"])
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    assert [event["text"] for _, event in found[:-1]] == [one.text for one in whole.segments]
    assert len(found) > 3 and found[-1][1]["type"] == "job.done"
    assert events(http, job["id"], after=2) == found[2:]
    assert events(http, job["id"], after=len(found) - 1) == found[-1:]
    for over in (len(found), 10_000):
        headers = {"last-event-id": str(over)}
        assert http.get(f"{URL}/{job['id']}/events", headers=headers).status_code == 204
    refused = http.get(f"{URL}/{job['id']}/events", headers={"last-event-id": "x"})
    assert refused.status_code == 422 and assert_shape(refused)["param"] == "last-event-id"


def test_what_is_no_recording_is_accepted_and_fails_with_its_reason(http: httpx.Client) -> None:
    job = post(http, b"no sound").json()
    ((number, event),) = events(http, job["id"])
    assert number == 1 and event["type"] == "job.failed"
    failed = http.get(f"{URL}/{job['id']}").json()
    assert failed["state"] == "failed" and failed["error"] == event["error"] | {"param": "file"}
    result = http.get(f"{URL}/{job['id']}/result")
    assert (result.status_code, assert_shape(result)) == (415, failed["error"])
    too_long = post(http, wav(np.zeros(61 * 16_000, np.float32))).json()
    assert ended(http, too_long["id"])["error"]["code"] == "audio_too_long"


def test_a_repeated_post_is_the_same_job(
    server: tuple[httpx.Client, Path], clips: list[Path]
) -> None:
    http, spool = server
    one, other = (path.read_bytes() for path in clips[:2])
    first = post(http, one, repeats="a")
    again = post(http, one, repeats="a")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert post(http, one, repeats="b").json()["id"] != first.json()["id"]
    assert post(http, one, repeats="a", key="bob").json()["id"] != first.json()["id"]
    for refused in (post(http, other, repeats="a"), post(http, one, repeats="a", prompt="Ann")):
        assert refused.status_code == 422 and assert_shape(refused)["code"] == "other_content"
    ended(http, first.json()["id"])
    assert post(http, one, repeats="a").json()["state"] == "done"
    assert post(http, one, repeats="x" * 256).status_code == 422
    wait_until(lambda: not list(spool.iterdir()))


def wait_until(condition: Any) -> None:
    while not condition():
        time.sleep(0.02)


def test_a_job_of_another_key_does_not_exist(http: httpx.Client, clip: Path) -> None:
    job = post(http, clip.read_bytes()).json()
    ended(http, job["id"])
    place = f"{URL}/{job['id']}"
    for method, path in (
        ("GET", place), ("GET", f"{place}/events"), ("GET", f"{place}/result"), ("DELETE", place),
    ):  # fmt: skip
        answer = http.request(method, path, headers=bearer("bob"))
        assert answer.status_code == 404 and assert_shape(answer)["code"] == "job_not_found"
    assert http.get(place, headers={"authorization": ""}).status_code == 401
    assert http.delete(place).json() == {"id": job["id"], "object": "job", "deleted": True}
    assert http.get(place).status_code == 404


def test_what_cannot_be_is_refused_at_once_and_leaves_nothing(
    server: tuple[httpx.Client, Path], clip: Path
) -> None:
    http, spool = server
    body = clip.read_bytes()
    for form, param in (
        ({"stream": "true"}, "stream"),
        ({"decoder": "best"}, "decoder"),
        ({"beam-size": "3"}, "beam-size"),
        ({"response_format": "srt", "include": "logprobs"}, "include"),
    ):
        refused = post(http, body, **form)
        assert refused.status_code == 422 and assert_shape(refused)["param"] == param
    assert post(http, body, model="gpt-9").status_code == 404
    large = bytes(MOST_BYTES + 1)
    refused = post(http, large)
    assert refused.status_code == 413
    assert "EARSHOT_JOBS_MAX_UPLOAD_BYTES" in assert_shape(refused)["message"]  # type: ignore[operator]
    packed = http.post(URL, content=b"x", headers={"content-encoding": "gzip"})
    assert packed.status_code == 415
    assert http.post(URL, content=b"x").status_code == 422
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert http.post(URL, content=_broken_off(body), headers=headers).status_code in (400, 422)
    wait_until(lambda: not list(spool.iterdir()))
    wait_until(lambda: metric(http, "earshot_spool_bytes") == 0)


def _broken_off(body: bytes) -> bytes:
    head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return head + body


def test_a_disk_that_fails_for_a_while_loses_nothing(
    server: tuple[httpx.Client, Path], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, spool = server
    calls: list[str] = []

    def failing(name: str, times: int) -> Any:
        sound = getattr(Store, name)

        def call(*values: Any, **named: Any) -> Any:
            calls.append(name)
            if calls.count(name) <= times:
                raise sqlite3.OperationalError("database or disk is full")
            return sound(*values, **named)

        return call

    monkeypatch.setattr("service.jobs.work._RETRY_S", 0.05)
    for name, times in (("add", 1), ("take", 2), ("finish", 2)):
        monkeypatch.setattr(Store, name, failing(name, times))
    refused = post(http, clip.read_bytes(), repeats="again")
    assert (refused.status_code, assert_shape(refused)["code"]) == (503, "disk_failed")
    wait_until(lambda: not list(spool.iterdir()))
    job = post(http, clip.read_bytes(), repeats="again")
    assert job.status_code == 202 and ended(http, job.json()["id"])["state"] == "done"
    assert (calls.count("add"), calls.count("finish")) == (2, 3)


def usage_of_eve(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/v1/usage", headers=bearer("eve")).json()
    return found


def test_a_key_has_its_audio_for_a_day_and_so_many_jobs(
    app_and_client: tuple[FastAPI, httpx.Client, Path], clips: list[Path], recognizer: Recognizer
) -> None:
    app, http, spool = app_and_client
    body = clips[0].read_bytes()
    seconds = recognizer.transcribe(body).duration
    ended(http, post(http, body).json()["id"])
    eve = usage_of_eve(http)
    assert (eve["key"], eve["recordings"], eve["audio_seconds"]) == ("eve", 0, 0.0)
    assert (eve["audio_seconds_limit"], eve["jobs_limit"]) == (10_000.0, 40)
    ids = [post(http, body, key="eve").json()["id"] for _ in range(2)]
    wait_until(lambda: usage_of_eve(http)["recordings"] == 2)
    wait_until(lambda: usage_of_eve(http)["jobs"] == 0)
    for path in ("/v1/transcribe", "/v1/vad"):
        assert http.post(path, content=body, headers=bearer("eve")).status_code == 200
    used = usage_of_eve(http)
    assert used["recordings"] == 4 and used["jobs"] == used["jobs_audio_seconds"] == 0
    assert abs(used["audio_seconds"] - 4 * seconds) < 0.01
    app.state.usage.add("eve", 10_000.0)
    for refused in (
        http.post("/v1/transcribe", content=body, headers=bearer("eve")),
        http.post(FORM, files={"file": body}, headers=bearer("eve")),
        post(http, body, key="eve"),
    ):
        assert refused.status_code == 429 and assert_shape(refused)["code"] == "audio_used_up"
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
    for id in ids:  # what is done stays
        result = http.get(f"{URL}/{id}/result", headers=bearer("eve"))
        assert result.status_code == 200
    assert http.post("/v1/transcribe", content=body).status_code == 200
    wait_until(lambda: not list(spool.iterdir()))


def test_the_schema_and_metrics_know_jobs(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert set(paths[f"{URL}/{{job_id}}"]) == {"get", "delete"}
    assert metric(http, "earshot_jobs_ended_total", outcome="done") > 0
    assert metric(http, "earshot_jobs_ended_total", outcome="failed") > 0


LONG_S = 400


def long_recording(clips: list[Path], seconds: int = LONG_S) -> bytes:
    """A recording of two windows."""
    parts = [np.append(load(path).samples, np.zeros(20_000)) for path in clips]
    file = io.BytesIO()
    samples = np.resize(np.concatenate(parts), seconds * 16_000).astype(np.float32)
    soundfile.write(file, samples, 16_000, format="FLAC")
    return file.getvalue()


def test_a_job_runs_beside_requests_and_is_cancelled(
    settings: Settings, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the device does not come to the end of the job, before a file is there."""
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    body, clip = long_recording(clips), clips[0].read_bytes()
    given = {"jobs_folder": tmp_path / "jobs", "jobs_max_seconds": LONG_S + 1.0}
    given |= {"jobs_max_bytes": len(body) + 2 * len(clip), "jobs_max_upload_bytes": len(body) + 999}
    with running(settings.model_copy(update=given), device="faulty:gated") as (_, http):
        id = post(http, body).json()["id"]
        with http.stream("GET", f"{URL}/{id}/events") as response:
            lines = response.iter_lines()
            first = next(line for line in lines if line == "event: job.segment")
            job = http.get(f"{URL}/{id}").json()
            assert job["state"] == "running" and first
            assert 0 < job["heard"] < job["seconds"] == LONG_S and job["left_seconds"] >= 0
            assert 0 < metric(http, "earshot_jobs_audio_seconds", state="running") < LONG_S
            # Others are answered meanwhile, requests and jobs.
            assert http.post("/v1/transcribe", content=clip).status_code == 200
            assert ended(http, post(http, clip).json()["id"])["state"] == "done"
            early = http.get(f"{URL}/{id}/result")
            assert (early.status_code, assert_shape(early)["code"]) == (409, "job_not_ended")
            full = post(http, body)
            assert (full.status_code, assert_shape(full)["code"]) == (503, "spool_full")
            assert http.delete(f"{URL}/{id}").status_code == 200
            assert [line for line in lines if line.startswith("event: ")][
                -1
            ] == "event: job.deleted"
        assert http.get(f"{URL}/{id}").status_code == 404
        wait_until(lambda: not list((tmp_path / "jobs" / "spool").iterdir()))
        gate.touch()


def test_segments_of_a_job_come_while_its_recording_is_still_decoded(
    settings: Settings,
    recognizer: Recognizer,
    clips: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, body = tmp_path / "gate", long_recording(clips, 500)
    monkeypatch.setenv("GATE", str(gate))
    monkeypatch.setattr("service.jobs.work.PATIENT_DECODER", "faulty:gated_decoder")
    given = {"jobs_folder": tmp_path / "jobs", "decode_timeout_s": 3600.0}
    with running(settings.model_copy(update=given)) as (_, http):
        id = post(http, body).json()["id"]
        with http.stream("GET", f"{URL}/{id}/events") as response:
            assert "event: job.segment" in response.iter_lines()
        gate.touch()
        assert ended(http, id)["heard"] == 500
        assert http.get(f"{URL}/{id}/result").json()["text"] == recognizer.transcribe(body).text


def test_those_who_followed_a_job_and_have_gone_leave_nothing_behind(
    settings: Settings, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    given = {"jobs_folder": tmp_path / "jobs"}
    with running(settings.model_copy(update=given), device="faulty:gated") as (app, http):
        jobs, id = app.state.jobs, post(http, long_recording(clips)).json()["id"]
        events(http, id, until="job.segment")  # nothing more comes until the gate is open
        for _ in range(3):
            with http.stream("GET", f"{URL}/{id}/events", headers={"last-event-id": "99"}) as one:
                next(one.iter_lines())
        wait_until(lambda: not jobs.paused._waiters)
        with http.stream("GET", f"{URL}/{id}/events") as one:
            http.delete(f"{URL}/{id}")
            assert "event: job.deleted" in one.iter_lines()
        wait_until(lambda: not jobs._changes)
        gate.touch()


def test_a_job_that_is_too_old_has_failed_and_is_forgotten(
    settings: Settings, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))  # which never opens
    monkeypatch.setattr("service.jobs.jobs._EXPIRE_EVERY_S", 0.1)
    given = {"jobs_folder": tmp_path / "jobs", "jobs_max_days": 1 / 86_400}
    with running(settings.model_copy(update=given), device="faulty:gated") as (_, http):
        id = post(http, long_recording(clips)).json()["id"]
        states = set()
        while (answer := http.get(f"{URL}/{id}")).status_code != 404:
            states.add(answer.json()["state"])
            time.sleep(0.02)
        assert states <= {"waiting", "running", "failed"}  # a slow machine may see none
        wait_until(lambda: not list((tmp_path / "jobs" / "spool").iterdir()))


def test_without_a_folder_there_are_no_jobs(clip: Path) -> None:
    http = TestClient(create_app(Settings(device="cpu")))  # without its life: nothing is loaded
    for refused in (
        http.post(URL, files={"file": clip.read_bytes()}),
        http.get(f"{URL}/job_1"),
        http.get(f"{URL}/job_1/events"),
    ):
        assert refused.status_code == 403 and assert_shape(refused)["code"] == "jobs_off"
