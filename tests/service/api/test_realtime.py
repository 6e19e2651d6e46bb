"""Live sessions, as OpenAI's own client has them with a real server."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import soxr
from live_clients import (
    MODEL,
    PAUSE,
    RATE,
    all_until,
    append,
    connected_to,
    pcm,
    session,
    sound,
    until,
    update,
)
from serving import assert_shape, metric, served, wait_until_ready, wav
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_now

from asr.audio import PcmStream, load
from asr.audio.pcm import Encoding
from service.access.keys import new_key
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.slow

BY_HAND: dict[str, Any] = {"turn_detection": None}
KEY, LINE = new_key("ann")


def kinds(events: list[Any]) -> list[str]:
    return [event.type.rpartition(".")[2] for event in events]


def completed(count: int) -> Any:
    """Whether an event is the last one of so many turns."""
    left = [None] * count

    def is_last(event: Any) -> bool:
        if event.type.endswith("completed"):
            left.pop()
        return not left

    return is_last


def test_a_turn_reads_as_its_stretch_does_when_it_is_uploaded(address: str, clip: Path) -> None:
    sent = np.concatenate([PAUSE, sound(clip)])

    async def follow() -> list[Any]:
        async with session(address) as connection:
            await append(connection, pcm(sent))
            return await all_until(connection, lambda event: event.type.endswith("completed"))

    events = asyncio.run(follow())
    started, stopped = events[0], events[-3 - (kinds(events)[-2] == "delta")]
    assert kinds([started, stopped]) == ["speech_started", "speech_stopped"]
    committed, done = events[events.index(stopped) + 1], events[-1]
    assert committed.previous_item_id is None
    assert {event.item_id for event in events} == {done.item_id}
    start, stop = (RATE * ms // 1000 for ms in (started.audio_start_ms, stopped.audio_end_ms))
    alone = httpx.post(
        f"{address}/v1/audio/transcriptions",
        files={"file": wav(sent[start:stop])},
        data={"response_format": "verbose_json", "timestamp_granularities[]": "word"},
        timeout=120,
    ).json()
    assert done.transcript == alone["text"] != ""
    assert done.usage.seconds == alone["usage"]["seconds"] == (stop - start) / RATE
    words = done.to_dict()["words"]
    for word, expected in zip(words, alone["words"], strict=True):
        assert word["word"] == expected["word"]
        assert word["start"] == pytest.approx(expected["start"] + start / RATE, abs=0.002)
    deltas = [event for event in events if event.type.endswith("delta")]
    settled = "".join(event.delta for event in deltas)
    assert settled == done.transcript or not done.transcript.startswith(settled)


def test_words_are_shown_and_settled_while_they_are_said(address: str, clips: list[Path]) -> None:
    speech = np.concatenate([load(clip).samples for clip in clips])[: 12 * RATE]

    async def follow(http: httpx.Client) -> list[Any]:
        async with session(address, **BY_HAND) as connection:
            for at in range(0, len(speech), RATE):
                before = metric(http, "earshot_live_readings_total")
                await append(connection, pcm(speech[at : at + RATE]))
                while metric(http, "earshot_live_readings_total") == before:
                    await asyncio.sleep(0.01)
            await connection.input_audio_buffer.commit()
            return await all_until(connection, completed(1))

    with httpx.Client(base_url=address, timeout=120) as http:
        *events, done = asyncio.run(follow(http))
    deltas = [event for event in events if event.type.endswith("delta")]
    assert {delta.item_id for delta in deltas} == {done.item_id}
    assert any(delta.to_dict()["tentative"] for delta in deltas)
    settled = [delta.delta for delta in deltas if delta.delta]
    assert len(settled) > 1
    assert not settled[0].startswith(" ") and all(text.startswith(" ") for text in settled[1:])


def test_a_client_that_commits_by_hand_has_its_turns_and_may_forget_one(
    address: str, clip: Path
) -> None:
    speech = soxr.resample(load(clip).samples, RATE, 24_000)

    async def follow() -> tuple[list[Any], list[Any], Any]:
        async with session(address, format={"type": "audio/pcm"}, **BY_HAND) as connection:
            turns = []
            for _ in range(2):
                await append(connection, pcm(speech))
                await connection.input_audio_buffer.commit()
                turns.append(await all_until(connection, completed(1)))
            await append(connection, pcm(speech))
            await connection.input_audio_buffer.clear()
            await until(connection, "cleared")
            await connection.input_audio_buffer.commit()
            return *turns, await until(connection, "error")

    first, second, error = asyncio.run(follow())
    for turn in (first, second):
        assert "speech_started" not in kinds(turn) and "speech_stopped" not in kinds(turn)
        assert turn[-1].usage.seconds == pytest.approx(len(speech) / 24_000, abs=0.03)
        assert turn[-1].transcript == first[-1].transcript != ""
    before, after = (
        next(event for event in turn if event.type.endswith("committed"))
        for turn in (first, second)
    )
    assert (before.previous_item_id, after.previous_item_id) == (None, before.item_id)
    assert error.error.code == "input_audio_buffer_commit_empty"


def test_a_turn_that_is_too_long_is_cut_and_none_of_it_is_lost(
    address: str, clips: list[Path]
) -> None:
    speech = np.resize(np.concatenate([load(clip).samples for clip in clips]), 70 * RATE)

    async def follow() -> list[Any]:
        async with session(address, **BY_HAND) as connection:
            await append(connection, pcm(speech), step=400_000)
            await connection.input_audio_buffer.commit()
            events = []
            while sum(event.usage.seconds for event in events) < 70:
                events.append((await all_until(connection, completed(1)))[-1])
            return events

    turns = [turn.to_dict() for turn in asyncio.run(follow())]
    assert all(turn["end"] - turn["start"] <= 30 for turn in turns)
    assert [turn["start"] for turn in turns] == [0, *(turn["end"] for turn in turns[:-1])]


def test_what_was_said_counts_towards_usage_and_is_measured(address: str, clip: Path) -> None:
    async def follow(http: httpx.Client) -> tuple[float, float]:
        async with session(address) as connection:
            open_now = metric(http, "earshot_live_sessions")
            await append(connection, pcm(sound(clip)))
            return open_now, (await until(connection, "completed")).usage.seconds

    with httpx.Client(base_url=address, timeout=120) as http:
        before = http.get("/v1/usage").json()["audio_seconds"]
        count = metric(http, "earshot_live_final_seconds_count")
        open_now, seconds = asyncio.run(follow(http))
        assert open_now >= 1
        after = http.get("/v1/usage").json()["audio_seconds"]
        assert after - before == pytest.approx(seconds, abs=0.01)
        assert metric(http, "earshot_live_final_seconds_count") == count + 1
        while metric(http, "earshot_live_sessions"):
            pass
        name, value = "earshot_requests_total", {"route": "/v1/realtime", "status": "101"}
        assert metric(http, name, **value) >= 1


def test_a_session_is_configured_step_by_step(address: str) -> None:
    async def follow() -> tuple[Any, Any]:
        async with session(address) as connection:
            vad = {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 300}
            said = {"model": "gpt-transcribe", "language": ["en"], "prompt": "Nyx", "digits": None}
            reduced = {"type": "near_field"}
            first = await update(connection, turn_detection=vad, transcription={"model": MODEL})
            await update(connection, transcription={**said, "keywords": ["Ann"]})
            return first, await update(connection, noise_reduction=reduced, **BY_HAND)

    # OpenAI's types know 24 kHz alone.
    first, second = (event.to_dict(warnings=False)["session"] for event in asyncio.run(follow()))
    assert first["type"] == "transcription" and first["id"].startswith("sess_")
    assert first["audio"]["input"]["turn_detection"] == {
        "type": "server_vad", "threshold": 0.7, "prefix_padding_ms": 300,
        "silence_duration_ms": 300, "create_response": None, "interrupt_response": None,
    }  # fmt: skip
    changed = second["audio"]["input"]
    assert changed["turn_detection"] is None and changed["format"]["rate"] == RATE
    assert changed["transcription"]["keywords"] == ["Ann"]
    assert changed["transcription"]["prompt"] == "Nyx"


def configured(**input: Any) -> str:
    session = {"type": "transcription", "audio": {"input": input}}
    return json.dumps({"type": "session.update", "event_id": "mine", "session": session})


def appended(audio: Any) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "event_id": "mine", "audio": audio})


WRONG: list[tuple[str | bytes, str, str | None]] = [
    ("", "invalid_json", None),
    ("{", "invalid_json", None),
    ("[1]", "invalid_json", None),
    ("7", "invalid_json", None),
    ("[" * 100_000, "invalid_json", None),
    (b"\x00\x01" * 400, "invalid_json", None),
    ("{}", "unknown_event", None),
    ('{"type": ["a"]}', "unknown_event", None),
    ('{"type": "response.create", "event_id": "mine"}', "unknown_event", "mine"),
    ('{"type": "input_audio_buffer.append"}', "missing_field", None),
    ('{"type": "input_audio_buffer.commit", "event_id": "\\ud800"}', "invalid_json", None),
    (appended(7), "invalid_value", "mine"),
    (appended("not base64!"), "invalid_audio", "mine"),
    (appended("äö"), "invalid_audio", "mine"),
    (appended("AAA"), "invalid_audio", "mine"),
    ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
    ('{"type": "input_audio_buffer.commit", "now": 1}', "unknown_field", None),
    ('{"type": "session.update", "session": {"type": "realtime"}}', "invalid_value", None),
    (configured(format={"type": "audio/opus"}), "invalid_value", "mine"),
    (configured(format={"type": "audio/pcmu", "rate": 16_000}), "invalid_value", "mine"),
    (configured(format={"type": "audio/pcm", "rate": 8000}), "invalid_value", "mine"),
    (configured(transcription={"model": "gpt-9"}), "model_not_found", "mine"),
    (configured(transcription={"language": ["en", "de"]}), "invalid_value", "mine"),
    (configured(transcription={"language": "xx-klingon"}), "invalid_value", "mine"),
    (configured(transcription={"lm_weight": 1}), "invalid_option", "mine"),
    (configured(turn_detection={"type": "semantic_vad"}), "invalid_value", "mine"),
    (configured(turn_detection={"type": "server_vad", "threshold": 2}), "invalid_value", "mine"),
    (configured(turn_detection={"silence_duration_ms": 1e400}), "invalid_value", "mine"),
]  # fmt: skip


def test_what_a_client_does_wrong_is_told_and_its_session_goes_on(address: str, clip: Path) -> None:
    async def follow() -> tuple[list[Any], Any]:
        async with session(address) as connection:
            raw: ClientConnection = connection._connection
            errors = []
            for message, *_ in WRONG:
                await raw.send(message)
                errors.append(json.loads(await raw.recv()))
            await append(connection, pcm(sound(clip)))
            return errors, await until(connection, "completed")

    errors, done = asyncio.run(follow())
    assert done.transcript
    for event, (message, code, event_id) in zip(errors, WRONG, strict=True):
        assert event["type"] == "error", message
        error = event["error"]
        assert (error["code"], error["event_id"]) == (code, event_id), (message, error)
        assert error["message"].endswith(".") and error["type"] == "invalid_request_error"


@pytest.mark.parametrize(("encoding", "subtype"), [("pcmu", "ULAW"), ("pcma", "ALAW")])
def test_a_telephone_is_heard(address: str, clip: Path, encoding: Encoding, subtype: str) -> None:
    call = io.BytesIO()
    spoken = soxr.resample(sound(clip), RATE, 8_000)
    soundfile.write(call, spoken, 8_000, format="RAW", subtype=subtype)
    stream, format = PcmStream(8_000, encoding), {"type": f"audio/{encoding}"}
    samples = np.concatenate([stream.add(call.getvalue()), stream.end()])

    async def follow() -> tuple[Any, Any]:
        async with connected_to(address) as connection:
            told = await update(connection, format=format, **BY_HAND)
            await append(connection, call.getvalue())
            await connection.input_audio_buffer.commit()
            return told, await until(connection, "completed")

    told, done = asyncio.run(follow())
    shown = told.to_dict(warnings=False)["session"]["audio"]["input"]["format"]
    assert shown == {**format, "rate": 8_000}
    assert done.start == 0 and done.end == pytest.approx(len(spoken) / 8_000, abs=0.05)
    turn = wav(samples[: round(done.end * RATE)])
    alone = httpx.post(f"{address}/v1/transcribe", content=turn, timeout=120).json()
    assert done.transcript == alone["text"] != ""


def test_the_rate_stays_once_sound_has_come(address: str) -> None:
    async def follow() -> Any:
        async with session(address) as connection:
            await append(connection, pcm(PAUSE))
            await update(connection)  # to what it is already
            await connection._connection.send(configured(format={"rate": 24_000}))
            return await until(connection, "error")

    assert asyncio.run(follow()).error.param == "session.audio.input.format"


def test_a_message_that_is_too_large_ends_the_session(address: str) -> None:
    async def follow() -> int:
        async with session(address) as connection:
            await connection._connection.send(appended("A" * 2**20))
            with pytest.raises(ConnectionClosed) as caught:
                await connection.recv()
            assert caught.value.rcvd is not None
            return caught.value.rcvd.code

    assert asyncio.run(follow()) == 1009


@pytest.fixture(scope="module")
def guarded(settings: Settings) -> Iterator[str]:
    """A server for one session at a time, with a key, that waits for no slow reader."""
    changes = {
        "api_keys": LINE, "live_sessions": 1, "cors_origins": "https://app.example",
        "body_timeout_s": 1.0,
    }  # fmt: skip
    with served(create_app(Settings(**{**settings.model_dump(), **changes}))) as address:
        wait_until_ready(address)
        yield address


def refused(address: str, **options: Any) -> tuple[int, str]:
    """Status and code with which a session is refused."""

    async def follow() -> InvalidStatus:
        with pytest.raises(InvalidStatus) as caught:
            async with connected_to(address, **options):
                pass
        return caught.value

    response = asyncio.run(follow()).response
    assert response.headers["x-request-id"]
    return response.status_code, json.loads(response.body)["error"]["code"]


def by_browser(address: str, *protocols: str, **options: Any) -> Any:
    """A connection as a script in a browser makes it, which has no headers of its own."""
    url = address.replace("http", "ws", 1) + "/v1/realtime"
    return connect_now(url, subprotocols=["realtime", *protocols], **options)


def test_a_session_needs_a_key_by_header_or_subprotocol(guarded: str) -> None:
    assert refused(guarded) == (401, "invalid_api_key")
    protocol = f"openai-insecure-api-key.{KEY}"
    with by_browser(guarded, protocol, "openai-beta.realtime-v1") as socket:
        assert socket.subprotocol == "realtime"
        assert json.loads(socket.recv())["type"] == "session.created"
    with by_browser(guarded, "openai-insecure-api-key.wrong") as socket:
        assert json.loads(socket.recv())["error"]["code"] == "invalid_api_key"
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv()
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008


@pytest.mark.parametrize("path", ["/v1/foo", "/v1/realtime/", "/v1/audio/transcriptions", "/ws"])
def test_a_socket_anywhere_else_is_404_with_the_path_of_live_speech(
    address: str, guarded: str, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def url(address: str) -> str:
        return address.replace("http", "ws", 1) + path

    def answer(address: str, **options: Any) -> tuple[int, dict[str, str | None]]:
        with (
            pytest.raises(InvalidStatus) as caught,
            connect_now(url(address), open_timeout=None, **options),
        ):
            pass
        response = caught.value.response
        assert response.headers["x-request-id"]
        return response.status_code, json.loads(response.body)["error"]

    status, error = answer(address)
    assert (status, error["code"]) == (404, None)
    assert error["message"] == f"There is no WebSocket at {path}: live speech is at /v1/realtime."
    assert answer(guarded)[0] == (401 if path.startswith("/v1/") else 404)
    assert answer(guarded, additional_headers={"authorization": f"Bearer {KEY}"})[0] == 404
    options: dict[str, Any] = {"subprotocols": ["realtime"], "open_timeout": None}
    with connect_now(url(address), **options) as socket:
        assert json.loads(socket.recv())["error"]["message"] == error["message"]
    assert "handshake" not in caplog.text


def test_a_request_that_asks_for_no_socket_is_told_to(address: str, guarded: str) -> None:
    response = httpx.get(f"{address}/v1/realtime?model={MODEL}", timeout=120)
    assert response.status_code == 426
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"].lower() == "upgrade"
    error = assert_shape(response)
    assert error["code"] == "upgrade_required" and "is a WebSocket" in (error["message"] or "")
    response = httpx.post(f"{address}/v1/realtime", timeout=120)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert httpx.get(f"{guarded}/v1/realtime", timeout=120).status_code == 401


def test_pages_of_other_sites_need_to_be_listed(guarded: str) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    other = {**headers, "origin": "https://evil.example"}
    assert refused(guarded, key=KEY, extra_headers=other) == (403, "origin_refused")
    for origin in ("https://app.example", guarded):
        with by_browser(guarded, additional_headers=headers, origin=origin) as socket:
            event = json.loads(socket.recv())
            # The one before may not have ended yet.
            assert event.get("error", {}).get("code") in (None, "too_many_sessions")


def test_one_session_too_many_is_refused_with_the_reason_until_another_ends(guarded: str) -> None:
    async def follow() -> None:
        async with asyncio.timeout(120):
            while True:
                try:
                    async with connected_to(guarded, KEY):
                        await asyncio.to_thread(at_once)
                        break
                except InvalidStatus:  # one of before has not ended yet
                    continue
            while True:
                try:
                    async with connected_to(guarded, KEY):
                        return
                except InvalidStatus:
                    continue

    def at_once() -> None:
        assert refused(guarded, key=KEY) == (503, "too_many_sessions")
        with by_browser(guarded, f"openai-insecure-api-key.{KEY}") as socket:
            assert json.loads(socket.recv())["error"]["code"] == "too_many_sessions"
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1013

    asyncio.run(follow())


def test_a_client_that_does_not_read_is_cut_off(guarded: str) -> None:
    with httpx.Client(base_url=guarded, timeout=120) as http:
        before = metric(http, "earshot_refusals_total", reason="unread")
        url = guarded.replace("http", "ws", 1) + "/v1/realtime"
        headers = {"authorization": f"Bearer {KEY}"}

        async def flood() -> None:
            async with connect(url, additional_headers=headers, max_queue=1) as socket:
                socket.transport.pause_reading()
                with pytest.raises(ConnectionClosed):
                    while True:
                        await socket.send("x" * 1000)

        asyncio.run(flood())
        assert metric(http, "earshot_refusals_total", reason="unread") == before + 1


def test_a_session_without_sound_ends(settings: Settings) -> None:
    changes = {"live_idle_s": 0.3}

    async def follow(address: str) -> tuple[Any, int]:
        async with connected_to(address) as connection:
            error = await until(connection, "error")
            with pytest.raises(ConnectionClosed) as caught:
                await connection.recv()
            assert caught.value.rcvd is not None
            return error.error, caught.value.rcvd.code

    with served(create_app(settings.model_copy(update=changes))) as address:
        wait_until_ready(address)
        error, code = asyncio.run(follow(address))
    assert (error.code, code) == ("idle", 1000)


def test_a_server_that_stops_reads_what_was_said_and_says_so(
    settings: Settings, clip: Path
) -> None:
    async def follow(address: str, stop: Any) -> tuple[list[Any], int]:
        async with session(address, **BY_HAND) as connection:
            await append(connection, pcm(sound(clip)))
            await until(connection, "delta")
            stopping = threading.Thread(target=stop)
            stopping.start()
            events = await all_until(connection, completed(1))
            with pytest.raises(ConnectionClosed) as caught:
                await connection.recv()
            stopping.join()
            assert caught.value.rcvd is not None
            return events, caught.value.rcvd.code

    with ExitStack() as stack:
        address = stack.enter_context(served(create_app(settings)))
        wait_until_ready(address)
        events, code = asyncio.run(follow(address, stack.close))
    assert events[-1].transcript and code == 1012
