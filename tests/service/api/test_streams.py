"""Server-sent events, as OpenAI's own client reads them."""

import asyncio
import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
import soundfile
from fastapi import FastAPI, Request, Response
from serving import Client, running, served

from asr.audio import load
from asr.errors import BadAudio
from asr.runtime import Recognizer
from asr.transcript import Segment, Transcript, Word
from service.access.middleware import RequestIds
from service.access.usage import Usage
from service.api.events import Shape, streamed
from service.engine.order import InOrder, OnSegment
from service.engine.transcriber import Result
from service.settings import Settings

URL = "/v1/audio/transcriptions"


def test_the_deltas_joined_are_the_text_of_done(
    client: Client, clips: list[Path], recognizer: Recognizer
) -> None:
    for clip in clips[:3]:
        events = list(
            client.openai.audio.transcriptions.create(file=clip, model="whisper-1", stream=True)
        )
        *deltas, done = events
        assert all(event.type == "transcript.text.delta" for event in deltas)
        assert done.type == "transcript.text.done"
        assert "".join(event.delta for event in deltas) == done.text  # type: ignore[union-attr]
        spoken = recognizer.transcribe(clip)
        assert done.text == spoken.text
        usage = {"type": "duration", "seconds": round(spoken.duration, 3)}
        assert done.model_dump(mode="json", exclude_unset=True)["usage"] == usage


def test_logprobs_come_with_each_delta_and_all_at_the_end(client: Client, clip: Path) -> None:
    *deltas, done = client.openai.audio.transcriptions.create(
        file=clip, model="whisper-1", stream=True, include=["logprobs"]
    )
    found = [one for event in deltas for one in event.logprobs or []]
    assert [one.model_dump() for one in found] == [
        one.model_dump()
        for one in done.logprobs or []  # type: ignore[union-attr]
    ]
    assert "".join(one.token or "" for one in found) == done.text  # type: ignore[union-attr]


def test_silence_is_a_done_without_deltas(client: Client) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0), 16_000, format="WAV")
    (done,) = client.openai.audio.transcriptions.create(
        file=("quiet.wav", file.getvalue()), model="whisper-1", stream=True
    )
    assert (done.type, done.text) == ("transcript.text.done", "")  # type: ignore[union-attr]


def test_what_is_no_recording_has_its_status_also_when_streamed(client: Client) -> None:
    error = client.refusal(file=("no.wav", b"no sound"), model="whisper-1", stream=True)
    assert (error.status_code, error.code) == (415, "unsupported_audio")


SAID = Transcript(
    "one two three",
    (Word("one", 0.0, 0.3, 1.0), Word("two", 0.4, 0.7, 0.5), Word("three", 2.0, 2.4, 0.9)),
    0.8,
    3.0,
    False,
)


class Slow:
    """A server whose recogniser takes as long as the test wants; counts what is cancelled."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self.released = threading.Event()
        self.cancelled = threading.Event()
        self.fault: Exception | None = None
        self.early = 0
        """Segments that are known before the rest."""
        self.app = FastAPI()
        self.app.state.usage = Usage(0)
        self.app.post(URL)(self.transcribe)
        self.app.add_middleware(RequestIds)

    async def transcribe(self, request: Request) -> Response:
        await request.body()
        return await streamed(request, self.work, Shape(), heartbeat_s=0.05)

    async def work(self, on_segment: OnSegment) -> Result:
        for segment in SAID.segments[: self.early]:
            on_segment(segment)
        try:
            while not self.released.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.fault is not None:
            raise self.fault
        return Result((SAID,), {"model": 0.5}, self.recognizer)


LONG_S = 500
"""Seconds of a recording that is read in two windows."""


@pytest.mark.slow
@pytest.mark.parametrize("killed", [None, "device", "decoder"])
def test_segments_come_before_the_end_is_decoded_and_the_whole_is_the_unstreamed_text(
    settings: Settings,
    recognizer: Recognizer,
    clips: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed: str | None,
) -> None:
    parts = [np.append(load(path).samples, np.zeros(20_000)) for path in clips]
    samples = np.resize(np.concatenate(parts), LONG_S * 16_000).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="FLAC")
    whole = recognizer.transcribe(load(file.getvalue()))
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    given = {"max_seconds": 600.0, "max_upload_bytes": 25_000_000, "decode_timeout_s": 3600.0}
    given["decode_workers"] = 1  # two that are killed at once are two deaths of one recording
    workers = {"device": "faulty:gated", "decoder": "faulty:gated_decoder"}
    with running(settings.model_copy(update=given), **workers) as (app, http):
        events = []
        with http.stream("POST", URL, files={"file": file.getvalue()}, data={"stream": "true"}) as (
            response
        ):
            for line in response.iter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 1 and not gate.exists():  # the last window is not decoded yet
                    device, decoders = app.state.registry.first.pid, app.state.decoders.pids
                    for pid in {"device": {device}, "decoder": decoders}.get(killed, set()):
                        os.kill(pid, signal.SIGKILL)
                    gate.touch()
    *deltas, done = events
    assert "".join(event["delta"] for event in deltas) == done["text"] == whole.text
    assert len(deltas) == len(whole.segments) > 20
    for event, segment in zip(deltas, whole.segments, strict=True):
        assert (event["start"], event["end"]) == (round(segment.start, 3), round(segment.end, 3))
        said = [(word["word"], word["start"], word["probability"]) for word in event["words"]]
        assert said == [
            (word.text, round(word.start, 3), round(word.confidence, 4)) for word in segment.words
        ]


def test_segments_of_several_channels_come_in_order_of_time() -> None:
    def segments(*starts: float) -> list[Segment]:
        return [Segment((Word("so", start, start + 0.5, 1.0),)) for start in starts]

    found: list[Segment] = []
    order = InOrder(2, found.append)
    order.add(0, segments(1.0, 3.0))
    assert not found
    order.add(1, segments(1.0, 2.0, 7.0))
    order.add(0, segments(9.0))
    assert [(segment.start, segment.channel) for segment in found] == [
        (1.0, 1), (1.0, 2), (2.0, 2), (3.0, 1), (7.0, 2),
    ]  # fmt: skip


def test_what_came_early_is_not_repeated(slow: tuple[Slow, Client]) -> None:
    server, client = slow
    server.early = 1
    events = client.openai.audio.transcriptions.create(file=b"x", model="whisper-1", stream=True)
    first = next(iter(events))
    server.released.set()
    assert [first.delta, *(event.delta for event in events if "delta" in event.type)] == [  # type: ignore[union-attr]
        "one two",
        " three",
    ]


@pytest.fixture
def slow(recognizer: Recognizer) -> Iterator[tuple[Slow, Client]]:
    slow = Slow(recognizer)
    with served(slow.app) as address:
        client = Client(address)
        with client.http:
            yield slow, client
        slow.released.set()


def test_a_stream_shows_life_while_the_model_works(slow: tuple[Slow, Client]) -> None:
    server, client = slow
    lines = []
    with client.http.stream("POST", URL, content=b"x") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        for line in response.iter_lines():
            lines.append(line)
            if lines.count(": still at work") == 3:
                server.released.set()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data")]
    assert [event.get("delta", event.get("text")) for event in events] == [
        "one two",
        " three",
        "one two three",
    ]
    assert events[-1]["timings"] == {"model": 0.5} and events[-1]["duration"] == 3.0
    assert all(line == "" or line.startswith((":", "data: ")) for line in lines)


def test_a_fault_in_mid_stream_is_an_error_that_the_client_raises(
    slow: tuple[Slow, Client],
) -> None:
    server, client = slow
    server.fault = BadAudio("talk.mp3 is damaged")
    stream = client.openai.audio.transcriptions.create(
        file=b"x", model="whisper-1", stream=True, extra_headers={"x-request-id": "trace-5"}
    )
    server.released.set()
    with pytest.raises(openai.APIError, match=r"talk\.mp3 is damaged") as caught:
        list(stream)
    assert caught.value.code == "unsupported_audio"
    assert len(client.sent) == 1


def test_work_for_a_client_that_hangs_up_is_cancelled(slow: tuple[Slow, Client]) -> None:
    server, client = slow
    with client.http.stream("POST", URL, content=b"x") as response:
        next(response.iter_lines())
    assert server.cancelled.wait(120)
