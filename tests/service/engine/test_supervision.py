"""Processes that die or hang, busy or idle: noticed at once, reported, and replaced."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faulty
import httpx
import pytest
from fastapi import FastAPI
from serving import (
    ask_all,
    assert_shape,
    frozen,
    metric,
    running,
    served,
    speech,
    wait_for_device,
    wait_until_ready,
    wav,
)

from asr.runtime import Recognizer
from service.app import create_app
from service.errors import ApiError
from service.settings import Settings

pytestmark = pytest.mark.slow  # processes are waited for that do nothing, and started anew
URL = "/v1/transcribe"
RESTARTS = "earshot_worker_restarts_total"
Both = tuple[FastAPI, httpx.Client]


def wait_until(true: Callable[[], Any]) -> None:
    """Return once it is; the test's own timeout is the only other end."""
    while not true():
        time.sleep(0.05)


def readiness(http: httpx.Client, model: str = "") -> httpx.Response:
    return http.get(f"/health/ready{model and '/'}{model}")


@pytest.fixture(scope="module")
def folder(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models' folder of the server of two bundles."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_bundle, folder / "small")
    return folder


@pytest.fixture(scope="module")
def two(settings: Settings, folder: Path) -> Iterator[Both]:
    """A server of two bundles, each of which has a device's process, and of slow decoders."""
    changes = {
        "models_folder": folder,
        "decode_timeout_s": 3.0,
        "decode_timeout_per_second": 10.0,
    }
    with running(settings.model_copy(update=changes), decoder="faulty:slow") as both:
        yield both


def test_a_device_that_dies_while_idle_is_replaced_before_anybody_asks(two: Both) -> None:
    app, http = two
    small = app.state.registry.find("small")
    pid = small.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: readiness(http).status_code == 503)
    told = readiness(http)
    if told.status_code == 503:  # else it has been replaced in the meantime
        assert told.headers["retry-after"] == "2"
        assert told.json()["models"][1] == {"id": "small", "status": "restarting", "device": "cpu"}
        assert "small is restarting" in (assert_shape_of(told)["message"])
        assert metric(http, "earshot_model_ready", model="small") == 0
    assert readiness(http, "whisper-1").status_code == 200
    wait_until(lambda: readiness(http, "small").status_code == 200)
    assert readiness(http).json()["models"][1]["status"] == "ready"
    assert small.pid != pid
    assert metric(http, RESTARTS, kind="device", reason="died") == 1
    assert metric(http, "earshot_model_ready", model="small") == 1


def assert_shape_of(response: httpx.Response) -> dict[str, str]:
    assert set(response.json()) == {"status", "error", "models", "decoders"}
    error: dict[str, str] = response.json()["error"]
    assert error["code"] == "not_ready" and response.headers["x-request-id"]
    return error


def test_decoders_that_die_while_idle_are_replaced_before_anybody_asks(two: Both) -> None:
    app, http = two
    pids = app.state.decoders.pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(app.state.decoders.pids - pids) == len(pids))
    assert metric(http, RESTARTS, kind="decoder", reason="died") == len(pids)
    assert readiness(http).json()["decoders"] == len(pids)


def test_no_model_of_that_name_is_404(two: Both) -> None:
    response = readiness(two[1], "none")
    assert response.status_code == 404
    assert assert_shape(response)["code"] == "model_not_found"


@pytest.fixture(scope="module")
def watched(settings: Settings) -> Iterator[Both]:
    """A server that takes a process for hung after seconds, and whose device gets stuck."""
    watched = settings.model_copy(update={"hang_s": 3.0})
    with running(watched, device="faulty:faulty") as both:
        yield both


def test_a_device_that_stands_still_while_idle_is_replaced(watched: Both) -> None:
    app, http = watched
    pid = app.state.registry.first.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: app.state.registry.first.pid != pid)
    wait_until(lambda: readiness(http).status_code == 200)
    assert not Path(f"/proc/{pid}").exists()
    assert metric(http, RESTARTS, kind="device", reason="hung") >= 1


def test_requests_at_a_device_that_stands_still_are_answered_by_the_next(
    watched: Both, recognizer: Recognizer, clip: Path
) -> None:
    app, http = watched
    pid = app.state.registry.first.pid
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(4) as pool:
        answers = ask_all(pool, http, [clip.read_bytes()] * 4)
        assert {answer.result().json()["text"] for answer in answers} == {
            recognizer.transcribe(clip).text
        }
    assert app.state.registry.first.pid != pid


def test_uploads_at_decoders_that_stand_still_are_decoded_by_others(
    watched: Both, recognizer: Recognizer, clip: Path
) -> None:
    app, http = watched
    for pid in app.state.decoders.pids:
        os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(4) as pool:
        answers = ask_all(pool, http, [clip.read_bytes()] * 4)
        assert {answer.result().json()["text"] for answer in answers} == {
            recognizer.transcribe(clip).text
        }
    assert metric(http, RESTARTS, kind="decoder", reason="hung") >= 2


def test_a_batch_that_never_comes_back_costs_only_the_recording_that_holds_it(
    watched: Both, recognizer: Recognizer, clip: Path
) -> None:
    app, http = watched
    before = metric(http, RESTARTS, kind="device", reason="hung")
    waves = [speech(clip, samples) for samples in (12_000, faulty.STUCK, 12_100)]
    with ThreadPoolExecutor(3) as pool:
        with frozen(app.state.registry.first.pid):
            answers = ask_all(pool, http, [wav(wave) for wave in waves])
            wait_for_device(app.state.registry.first, 3)
        first, stuck, last = (answer.result() for answer in answers)
    assert stuck.status_code == 500
    assert stuck.headers["x-should-retry"] == "false"
    for response, wave in ((first, waves[0]), (last, waves[2])):
        assert response.json()["text"] == recognizer.transcribe((wave, 16_000)).text
    assert metric(http, RESTARTS, kind="device", reason="hung") >= before + 2


def test_what_a_dead_device_had_is_503_where_none_can_be_started_and_it_goes_on_later(
    two: Both, folder: Path, clip: Path
) -> None:
    app, http = two
    bundle, away = folder / "small", folder / "away"
    small, url = app.state.registry.find("small"), f"{URL}?model=small"
    with ThreadPoolExecutor(2) as pool:
        with frozen(small.pid):
            answers = [pool.submit(http.post, url, content=clip.read_bytes()) for _ in range(2)]
            wait_for_device(small, 2)
            bundle.rename(away)
            os.kill(small.pid, signal.SIGKILL)
        later = http.post(url, content=clip.read_bytes())
        for response in [*(answer.result() for answer in answers), later]:
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            assert assert_shape(response)["code"] == "not_ready"
    assert readiness(http).json()["models"][1]["status"] == "failed"
    assert http.get("/v1/models").status_code == 200
    errors = []
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            small.check(1)
        errors.append(refused.value)
    assert errors[0] is not errors[1]  # one for all would hold the frames of all its callers
    away.rename(bundle)
    wait_until(lambda: readiness(http).status_code == 200)
    assert http.post(url, content=clip.read_bytes()).status_code == 200


def test_who_waits_for_a_new_device_beyond_the_deadline_is_told_to_try_again(
    settings: Settings, clip: Path
) -> None:
    app = create_app(settings.model_copy(update={"deadline_s": 5.0}))
    with served(app) as address, httpx.Client(base_url=address, timeout=120) as http:
        wait_until_ready(address)
        first = app.state.registry.first
        pid = first.pid
        with ThreadPoolExecutor(1) as pool, frozen(pid):
            (answer,) = ask_all(pool, http, [clip.read_bytes()])
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: first.pid != pid)
            with frozen(first.pid):  # as slow to load as may be
                response = answer.result()
        assert response.status_code == 503
        assert response.headers["retry-after"] == "2"
        assert assert_shape(response)["code"] == "not_ready"


def test_decoding_that_takes_too_long_is_stopped_and_a_long_recording_has_more_time(
    two: Both, clip: Path
) -> None:
    _, http = two
    began = time.monotonic()
    assert http.post(URL, content=wav(speech(clip, 30 * 16_000))).status_code == 200
    assert time.monotonic() - began > 6.0
    refused = http.post(URL, content=faulty.ENDLESS)
    assert refused.status_code == 413
    assert "took more than 3 s to decode" in (assert_shape(refused)["message"] or "")
    assert http.post(URL, content=clip.read_bytes()).status_code == 200


def test_uploads_are_503_where_no_decoder_can_be_started_and_it_goes_on_later(
    two: Both, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, http = two
    monkeypatch.setattr("service.engine.decode_pool._RETRY_START_S", 0.2)
    decoders = app.state.decoders
    wait_until(lambda: len(decoders.pids) == decoders.count)  # also those that replace others
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/gone/python")
        for pid in decoders.pids:
            os.kill(pid, signal.SIGKILL)
        for _ in range(2):
            response = http.post(URL, content=clip.read_bytes())
            assert response.status_code == 503 and int(response.headers["retry-after"]) > 0
            told = assert_shape(response)
            assert told["code"] == "not_ready" and "cannot be decoded for now" in str(told)
        assert "no process that decodes uploads" in readiness(http).json()["error"]["message"]
    wait_until(lambda: readiness(http).status_code == 200)
    assert http.post(URL, content=clip.read_bytes()).status_code == 200
