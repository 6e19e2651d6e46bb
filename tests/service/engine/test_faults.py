"""Whatever fails, every accepted request is answered, and only the one at fault gets an error."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faulty
import httpx
import pytest
from fastapi import FastAPI
from serving import (
    ask_all,
    assert_shape,
    frozen,
    logged,
    metric,
    running,
    speech,
    wait_for_device,
    wav,
)

from asr.audio import Limits, load
from asr.errors import TooLong
from asr.options import Selection
from asr.runtime import Recognizer
from service.engine.decode_pool import DecodePool, DecodeTimeouts
from service.settings import Settings

pytestmark = pytest.mark.slow

URL = "/v1/transcribe"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="others tell no process's time")


@pytest.fixture(scope="module")
def healthy(settings: Settings) -> Iterator[tuple[FastAPI, httpx.Client]]:
    with running(settings) as both:
        yield both


def wait_for_queue(http: httpx.Client, count: int) -> None:
    """Return once so many requests are let in; /v1/models counts those that have been read."""
    while sum(model["under_way"] for model in http.get("/v1/models").json()["data"]) != count:
        time.sleep(0.02)


def test_killed_decoders_are_replaced_and_their_uploads_decoded_by_others(
    healthy: tuple[FastAPI, httpx.Client], recognizer: Recognizer, clip: Path
) -> None:
    app, http = healthy
    before = metric(http, "earshot_worker_restarts_total", kind="decoder")
    with ThreadPoolExecutor(8) as pool:
        with frozen(*app.state.decoders.pids):
            answers = ask_all(pool, http, [clip.read_bytes()] * 6)
            wait_for_queue(http, 6)
            for pid in app.state.decoders.pids:
                os.kill(pid, signal.SIGKILL)
        texts = {answer.result().json()["text"] for answer in answers}
    assert texts == {recognizer.transcribe(clip).text}
    # The end of one that nobody asked anything may be noticed after the last answer.
    while metric(http, "earshot_worker_restarts_total", kind="decoder") < before + 2:
        time.sleep(0.02)


def test_decoders_killed_while_idle_are_replaced(
    healthy: tuple[FastAPI, httpx.Client], clip: Path
) -> None:
    app, http = healthy
    for pid in app.state.decoders.pids:
        os.kill(pid, signal.SIGKILL)
    for _ in range(3):
        assert http.post(URL, content=clip.read_bytes()).status_code == 200


def test_a_killed_device_is_replaced_and_all_its_requests_are_answered(
    healthy: tuple[FastAPI, httpx.Client], recognizer: Recognizer, clip: Path
) -> None:
    app, http = healthy
    lengths = [8_000, 20_000, 40_000, 41_000, 160_000]
    waves = [speech(clip, length) for length in lengths]
    pid = app.state.registry.first.pid
    with ThreadPoolExecutor(8) as pool:
        with frozen(pid):
            answers = ask_all(pool, http, [wav(wave) for wave in waves])
            wait_for_device(app.state.registry.first, len(waves))
            os.kill(pid, signal.SIGKILL)
        expected = [recognizer.transcribe((wave, 16_000)).text for wave in waves]
        assert [answer.result().json()["text"] for answer in answers] == expected
    assert app.state.registry.first.pid != pid
    assert metric(http, "earshot_worker_restarts_total", kind="device") == 1


def test_a_client_that_goes_while_it_waits_is_dropped_before_its_batch(
    healthy: tuple[FastAPI, httpx.Client], clip: Path
) -> None:
    app, http = healthy
    wait_for_queue(http, 0)
    run, gone = (
        metric(http, name) for name in ("earshot_batch_fill_ratio_count", "earshot_hangups_total")
    )
    with frozen(app.state.registry.first.pid):
        # The lanes take some batches before the device stands still for all to see.
        for _ in range(12):
            with pytest.raises(httpx.ReadTimeout):
                impatient = httpx.Timeout(60, read=0.3)
                httpx.post(f"{http.base_url}{URL}", content=clip.read_bytes(), timeout=impatient)
        while metric(http, "earshot_hangups_total") < gone + 12:
            time.sleep(0.02)
        wait_for_queue(http, 0)
    assert metric(http, "earshot_queued_audio_seconds") == 0
    assert metric(http, "earshot_hangups_total") == gone + 12
    assert http.post(URL, content=clip.read_bytes()).status_code == 200
    lanes = max(2, len(os.sched_getaffinity(0)))  # at most: batches that the device process takes
    assert metric(http, "earshot_batch_fill_ratio_count") - run <= 1 + lanes


def test_a_client_that_goes_while_it_uploads_leaves_nothing_behind(
    healthy: tuple[FastAPI, httpx.Client], clip: Path
) -> None:
    _, http = healthy
    gone = metric(http, "earshot_hangups_total")

    def half() -> Iterator[bytes]:
        yield clip.read_bytes()[:2000]
        raise ConnectionAbortedError

    for _ in range(3):
        with pytest.raises(ConnectionAbortedError):
            httpx.post(f"{http.base_url}{URL}", content=half(), timeout=120)
    while metric(http, "earshot_hangups_total") < gone + 3:
        time.sleep(0.02)
    assert http.post(URL, content=clip.read_bytes()).status_code == 200


def test_a_wall_clock_that_jumps_changes_nothing(
    healthy: tuple[FastAPI, httpx.Client], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, http = healthy
    real = time.time
    for jump in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        response = http.post(URL, content=clip.read_bytes())
        assert response.status_code == 200
        timings = response.headers["server-timing"].split(", ")
        assert all(0 <= float(stage.split("=")[1]) < 60_000 for stage in timings)


@pytest.fixture(scope="module")
def unsound(settings: Settings) -> Iterator[tuple[FastAPI, httpx.Client]]:
    """A server whose workers have faults."""
    with running(settings, device="faulty:faulty", decoder="faulty:fragile") as both:
        yield both


def test_a_recording_is_not_blamed_for_decoders_that_died_together(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEATHS", str(tmp_path))
    ends: list[str] = []

    async def decode() -> float:
        timeouts = DecodeTimeouts(120.0, 1.0, 60.0)
        decoders = DecodePool(2, Limits(), timeouts, ends.append, "faulty:doomed")
        await decoders.start()
        try:
            (channel,), _ = await decoders.decode(clip.read_bytes(), "the clip", Selection())
            return channel.seconds
        finally:
            decoders.stop()

    assert asyncio.run(decode()) == pytest.approx(load(clip).duration)
    assert ends == ["died", "died"]


@pytest.mark.parametrize("by_work", [False, pytest.param(True, marks=LINUX)])
def test_a_job_is_given_up_by_its_work_alone(clip: Path, by_work: bool) -> None:
    """A decoder that waits, as one does that leaves busy processors to others."""

    async def decode(body: bytes, within_s: float) -> float:
        timeouts = DecodeTimeouts(within_s, 0.0, 5.0, by_work)
        decoders = DecodePool(1, Limits(), timeouts, lambda _: None, "faulty:slow")
        await decoders.start()
        try:
            (channel,), _ = await decoders.decode(body, "the clip", Selection())
            return channel.seconds
        finally:
            decoders.stop()

    lasts = 15.0  # so that half of the waiting is far more than the work of any machine
    waits = wav(speech(clip, round(lasts * 16_000)))
    least_s = lasts * faulty.SLOWNESS / 2
    if by_work:
        assert asyncio.run(decode(waits, least_s)) == pytest.approx(lasts)
    for body in (faulty.BUSY, faulty.ENDLESS) if by_work else (waits,):
        with pytest.raises(TooLong, match="to decode"):
            asyncio.run(decode(body, 0.1 if by_work else least_s))


@pytest.mark.parametrize("poison", [faulty.POISON, faulty.DEADLY])
def test_of_32_recordings_only_the_poisoned_one_fails(
    unsound: tuple[FastAPI, httpx.Client], recognizer: Recognizer, clip: Path, poison: int
) -> None:
    app, http = unsound
    waves = [speech(clip, 12_000 + 10 * at) for at in range(32)]
    waves[17] = speech(clip, poison)
    with ThreadPoolExecutor(32) as pool:
        with frozen(app.state.registry.first.pid):
            answers = ask_all(pool, http, [wav(wave) for wave in waves])
            wait_for_device(app.state.registry.first, 32)
        responses = [answer.result() for answer in answers]
    bad = responses.pop(17)
    assert bad.status_code == 500
    assert bad.headers["x-should-retry"] == "false"
    assert "The model fails on this recording" in (assert_shape(bad)["message"] or "")
    del waves[17]
    expected = [recognizer.transcribe((wave, 16_000)).text for wave in waves]
    assert [response.json().get("text") for response in responses] == expected
    assert http.post(URL, content=wav(waves[0])).status_code == 200


def test_out_of_memory_makes_batches_smaller_and_the_service_goes_on(
    unsound: tuple[FastAPI, httpx.Client], clip: Path
) -> None:
    app, http = unsound
    before = metric(http, "earshot_batch_limit_seconds")
    with ThreadPoolExecutor(24) as pool:
        with frozen(app.state.registry.first.pid):
            answers = ask_all(pool, http, [wav(speech(clip, 16_000 + at)) for at in range(24)])
            wait_for_device(app.state.registry.first, 24)
        assert [answer.result().status_code for answer in answers] == [200] * 24
    assert metric(http, "earshot_batch_limit_seconds") < before


def test_only_the_recording_whose_search_ends_the_device_is_given_up(
    settings: Settings, clip: Path
) -> None:
    """Both are searched at a time, since one is long, when the device ends."""
    longer = settings.model_copy(update={"max_seconds": 120.0, "max_upload_bytes": 8_000_000})
    with running(longer, device="faulty:mortal") as (_, http), ThreadPoolExecutor(2) as pool:

        def ask(body: bytes, hot_word: str) -> int:
            return http.post(URL, content=body, params={"hotwords": hot_word}).status_code

        innocent = pool.submit(ask, wav(speech(clip, 61 * 16_000)), faulty.SLOW_WORD)
        time.sleep(0.5)
        guilty = pool.submit(ask, clip.read_bytes(), faulty.DEADLY_WORD)
        assert (innocent.result(), guilty.result()) == (200, 500)


def test_a_file_that_ends_its_decoder_twice_is_the_clients_mistake(
    unsound: tuple[FastAPI, httpx.Client], clip: Path
) -> None:
    _, http = unsound
    with ThreadPoolExecutor(8) as pool:
        bodies = [clip.read_bytes(), faulty.BOMB, clip.read_bytes(), clip.read_bytes()]
        answers = [answer.result() for answer in ask_all(pool, http, bodies)]
    assert [answer.status_code for answer in answers] == [200, 415, 200, 200]
    assert_shape(answers[1])


def test_the_log_says_where_a_process_failed_and_not_what_it_was_given(
    unsound: tuple[FastAPI, httpx.Client], clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, http = unsound

    def ask(body: bytes, hot_word: str) -> int:
        file, id = ("Ann Lee.wav", body), {"x-request-id": "trace-9"}
        form = {"hotwords": hot_word}
        url = "/v1/audio/transcriptions"
        return http.post(url, files={"file": file}, data=form, headers=id).status_code

    with logged("plain"):
        assert ask(clip.read_bytes(), f"{faulty.HOT_WORD},zoe") == 500
        assert ask(wav(speech(clip, faulty.POISON)), "zoe") == 500
        assert ask(faulty.QUOTED, "zoe") == 415
    lines = capfd.readouterr().err.splitlines()
    given_up = [line for line in lines if "a recording is given up" in line]
    assert all(line.endswith(" [trace-9 127.0.0.1]") for line in given_up)
    searched, run = given_up
    assert "raise ValueError(str(message.options))" in searched and "ValueError" in searched
    assert "a kernel refused these samples" in run
    (decoded,) = [line for line in lines if "a decoder failed on a recording" in line]
    assert "raise ValueError(message.name)" in decoded
    assert not any(word in line for line in lines for word in ("Ann", "zoe", faulty.HOT_WORD))
