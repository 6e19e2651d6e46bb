"""OpenAI's own client for live sessions, and what it sends."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from asr.audio import load

PAUSE = np.zeros(24_000, np.float32)
RATE = 16_000
MODEL = "gpt-live-transcribe"


def pcm(samples: np.ndarray) -> bytes:
    """Samples as they are sent."""
    return (samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()


def sound(clip: Path) -> np.ndarray:
    """A clip, with a pause behind it."""
    return np.concatenate([load(clip).samples, PAUSE])


@asynccontextmanager
async def connected_to(
    address: str, key: str = "none", **options: Any
) -> AsyncIterator[AsyncRealtimeConnection]:
    """An open session."""
    async with (
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=key) as client,
        client.realtime.connect(model=MODEL, **options) as connection,
    ):
        assert (await connection.recv()).type == "session.created"
        yield connection


@asynccontextmanager
async def session(address: str, **changes: Any) -> AsyncIterator[AsyncRealtimeConnection]:
    """An open session at 16 kHz, whose input is configured so."""
    async with connected_to(address) as connection:
        await update(connection, **changes)
        yield connection


async def update(connection: AsyncRealtimeConnection, **changes: Any) -> Any:
    """Change the session's input; the event that says so."""
    given = {"format": {"type": "audio/pcm", "rate": RATE}, **changes}
    configuration: Any = {"type": "transcription", "audio": {"input": given}}
    await connection.session.update(session=configuration)
    return await until(connection, "session.updated")


async def append(connection: AsyncRealtimeConnection, data: bytes, step: int = 3_201) -> None:
    """Send sound in messages of so many bytes."""
    for at in range(0, len(data), step):
        piece = base64.b64encode(data[at : at + step]).decode()
        await connection.input_audio_buffer.append(audio=piece)


async def until(connection: AsyncRealtimeConnection, kind: str) -> Any:
    """The next event of a kind; no other may be an error."""
    return (await all_until(connection, lambda event: event.type.endswith(kind)))[-1]


async def all_until(
    connection: AsyncRealtimeConnection, is_last: Callable[[Any], bool]
) -> list[Any]:
    """All events up to one; no other may be an error."""
    events: list[Any] = []
    while not events or not is_last(events[-1]):
        events.append(await connection.recv())
        assert events[-1].type != "error" or is_last(events[-1]), events[-1]
    return events
